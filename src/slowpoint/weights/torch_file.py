"""What does a file that PyTorch wrote hold? (Numbers only: no code in it is run.)"""

import functools
import importlib
import io
import struct
import zipfile
import zlib

import numpy as np

from slowpoint.weights import torch_reader
from slowpoint.weights.tensors import numbers, Tensors

SAVE = "Type in Python: torch.save(model.state_dict(), 'network.pt')"
DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError)
DEPTH = 3  # how deep in a checkpoint a state dict is looked for


def parse(data: bytes) -> tuple[Tensors, str]:
    """`(arrays, where)`: the one state dict in `data`, and its name within a checkpoint.

    Read by a reader that knows the names a state dict needs and no others. A file that names
    more of PyTorch goes to `torch.load(weights_only=True)` where that is installed: forged
    files can hang or crash it, so it is not asked first.
    Raises ValueError on anything else, saying what was found.
    """
    with _archive(data) as archive:
        try:
            tree = _by_reader(archive)
        except torch_reader.Refused as error:
            why = f"{error} Only numbers are taken, never code. {SAVE}"
            if not isinstance(error, torch_reader.Unknown):
                raise ValueError(why) from None
            try:
                tree = _by_torch(data)
            except Exception:  # the reader said in words what it is
                raise ValueError(why) from None
    return _state_dict(tree)


def _archive(data: bytes) -> zipfile.ZipFile:
    """The checked zip file: whole, not packed, no TorchScript."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        entries = archive.infolist()
        if any(e.compress_type != zipfile.ZIP_STORED for e in entries):
            raise ValueError("a packed zip file; PyTorch writes unpacked ones. " + SAVE)
        if sum(e.file_size for e in entries) > len(data):
            raise ValueError("a forged zip file (its entries overlap). " + SAVE)
        damaged = archive.testzip()
    except DAMAGED as error:
        raise ValueError(f"truncated or damaged ({error}). Copy it again.") from None
    if damaged is not None:
        raise ValueError(f"damaged ({damaged} fails its checksum). Copy it again.")
    names = [e.filename.partition("/")[2] for e in entries]
    if "constants.pkl" in names:
        raise ValueError("holds a TorchScript program, which is code. " + SAVE)
    if names.count("data.pkl") != 1:
        raise ValueError("a zip file, but not one that PyTorch wrote. " + SAVE)
    return archive


def _by_torch(data: bytes) -> object:
    torch = importlib.import_module("torch")
    loaded = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    return _to_numpy(torch, loaded, {})


def _to_numpy(torch, tree, seen: dict[int, object]):
    """`tree` with arrays for tensors; `seen` holds the dicts met, each turned once."""
    if isinstance(tree, torch.Tensor):
        held = tree.untyped_storage().nbytes() // tree.element_size()
        if tree.numel() > held:
            raise ValueError(f"a tensor of {tree.numel()} numbers, of which {held} are there")
        small = tree.is_floating_point() and tree.dtype != torch.float64
        return (tree.detach().float() if small else tree.detach()).numpy()
    if isinstance(tree, dict) and id(tree) not in seen:
        seen[id(tree)] = turned = {}
        turned.update((key, _to_numpy(torch, value, seen)) for key, value in tree.items())
    return seen.get(id(tree), tree)


def _by_reader(archive: zipfile.ZipFile) -> object:
    top = next(n for n in archive.namelist() if n.partition("/")[2] == "data.pkl")
    folder = top.removesuffix("data.pkl")
    byteorder = f"{folder}byteorder"
    big = byteorder in archive.namelist() and archive.read(byteorder) == b"big"

    @functools.cache  # without the count: each record is read once, whatever claims it
    def held(kind: str, record: str) -> np.ndarray:
        return numbers(archive.read(f"{folder}data/{record}"), kind, ">" if big else "<")

    def storage(kind: str, record: str, count: int) -> np.ndarray:
        if (values := held(kind, record)).size < count:
            raise ValueError(f"storage {record}: {values.size} numbers instead of {count}")
        return values

    return torch_reader.read(archive.read(top), storage)


def _state_dict(tree: object) -> tuple[Tensors, str]:
    """The one dict of arrays in `tree` that holds recurrent weights, else the one on top.

    Arrays of the dicts beside it come along: a readout may be saved as one of them.
    """
    if not isinstance(tree, dict):
        raise ValueError(f"holds {_what(tree)}, not a state dict. {SAVE}")
    found = list(_recurrent(tree))
    if len(found) > 1:
        names = [where for where, _, _ in found]
        raise ValueError(
            f"holds {len(found)} state dicts with recurrent weights: {', '.join(names)}. Save "
            f"one of them alone: torch.save(checkpoint[{names[0]!r}], 'network.pt')"
        )
    if not found and not _arrays(tree):
        raise ValueError(
            f"holds {_what(tree)} and no arrays of a recurrent layer beneath. {SAVE}"
        )
    where, taken, around = found[0] if found else ("", tree, {})
    near = {key: d for key, d in around.items() if isinstance(d, dict) and d is not taken}
    beside = {f"{key}.{n}": array for key, d in near.items() for n, array in _arrays(d).items()}
    return beside | _arrays(taken), where


def _recurrent(tree: dict):
    """`(where, dict, the dict around it)` of each with a recurrent weight among its arrays."""
    seen, queue = set(), [("", tree, {}, 0)]
    for where, held, around, depth in queue:  # grows while it is read
        if id(held) in seen:
            continue
        seen.add(id(held))
        if any("weight_hh" in key for key in _arrays(held)):
            yield where, held, around
        elif depth < DEPTH:
            inner = [(key, value) for key, value in held.items() if isinstance(value, dict)]
            start = f"{where}." if where else ""
            queue += [(f"{start}{key}", value, held, depth + 1) for key, value in inner]


def _arrays(tree: dict) -> Tensors:
    return {
        key.encode(errors="replace").decode(): value
        for key, value in tree.items()
        if isinstance(key, str) and isinstance(value, np.ndarray)
    }


def _what(tree: object) -> str:
    if isinstance(tree, np.ndarray):
        return f"one array of shape {tree.shape}"
    if isinstance(tree, dict):
        keys = ", ".join(repr(key)[:60] for key in list(tree)[:6])
        return f"a dict with the keys {keys}" if keys else "an empty dict"
    return f"a {type(tree).__name__}"
