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

    Read by `torch.load(weights_only=True)` where PyTorch is installed, else, or when that
    refuses, by a reader that knows the names a state dict needs and no others.
    Raises ValueError on anything else, saying what was found.
    """
    with _archive(data) as archive:
        try:
            tree = _by_torch(data)
        except Exception:  # whatever it was, the reader finds it again and says it in words
            tree = _by_reader(archive)
    return _state_dict(tree)


def _archive(data: bytes) -> zipfile.ZipFile:
    """The checked zip file: whole, not packed, no TorchScript."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        entries = archive.infolist()
        if any(e.compress_type != zipfile.ZIP_STORED for e in entries):
            raise ValueError("a packed zip file; PyTorch writes unpacked ones. " + SAVE)
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
    return _to_numpy(torch, loaded, DEPTH)


def _to_numpy(torch, tree, depth: int):
    if isinstance(tree, torch.Tensor):
        held = tree.untyped_storage().nbytes() // tree.element_size()
        if tree.numel() > held:
            raise ValueError(f"a tensor of {tree.numel()} numbers, of which {held} are there")
        small = tree.is_floating_point() and tree.dtype != torch.float64
        return (tree.detach().float() if small else tree.detach()).numpy()
    if isinstance(tree, dict) and depth:
        return {key: _to_numpy(torch, value, depth - 1) for key, value in tree.items()}
    return tree


def _by_reader(archive: zipfile.ZipFile) -> object:
    top = next(n for n in archive.namelist() if n.partition("/")[2] == "data.pkl")
    folder = top.removesuffix("data.pkl")
    byteorder = f"{folder}byteorder"
    big = byteorder in archive.namelist() and archive.read(byteorder) == b"big"

    @functools.cache
    def storage(kind: str, record: str, count: int) -> np.ndarray:
        values = numbers(archive.read(f"{folder}data/{record}"), kind, ">" if big else "<")
        if values.size < count:
            raise ValueError(f"storage {record}: {values.size} numbers instead of {count}")
        return values

    try:
        return torch_reader.read(archive.read(top), storage)
    except torch_reader.Refused as error:
        raise ValueError(f"{error} Only numbers are taken, never code. {SAVE}") from None


def _state_dict(tree: object) -> tuple[Tensors, str]:
    """The one dict of arrays in `tree` that holds recurrent weights, else the one on top."""
    if not isinstance(tree, dict):
        raise ValueError(f"holds {_what(tree)}, not a state dict. {SAVE}")
    found = dict(_recurrent(tree, "", DEPTH))
    if len(found) > 1 and "" not in found:
        raise ValueError(
            f"holds {len(found)} state dicts with recurrent weights: {', '.join(found)}. Save "
            f"one of them alone: torch.save(checkpoint[{next(iter(found))!r}], 'network.pt')"
        )
    if not found and not _arrays(tree):
        raise ValueError(
            f"holds {_what(tree)} and no arrays of a recurrent layer beneath. {SAVE}"
        )
    where = "" if "" in found or not found else next(iter(found))
    return found.get(where) or _arrays(tree), where


def _recurrent(tree: dict, where: str, depth: int):
    """`(where, arrays)` of every dict in `tree` with a recurrent weight among its arrays."""
    arrays = _arrays(tree)
    if any("weight_hh" in key for key in arrays):
        yield where, arrays
    elif depth:
        for key, value in tree.items():
            if isinstance(value, dict):
                yield from _recurrent(value, f"{where}.{key}" if where else f"{key}", depth - 1)


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
        keys = ", ".join(repr(key) for key in list(tree)[:6])
        return f"a dict with the keys {keys}" if keys else "an empty dict"
    return f"a {type(tree).__name__}"
