"""Are damaged, forged and foreign files refused, with a sentence, and their code never run?"""

import io
import os
import pathlib
import pickle
import struct
import sys
import time
import zipfile

import jax.random as jr
import numpy as np
import pytest

from slowpoint.cells.linear import Linear
from slowpoint.core.wrap import Delayed
from slowpoint.weights import torch_file
from slowpoint.weights.load import load, read
from slowpoint.weights.save import save

DATA = pathlib.Path(__file__).parent / "data"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"hello", "neither"),
        (pickle.dumps({}), "bare pickle"),
        (b"\x10\0\0\0\0\0\0\0{}", "truncated or damaged"),
        (b"PK\x03\x04", "truncated or damaged"),
    ],
)
def test_other_files_are_named(content, message, tmp_path):
    (tmp_path / "net.pt").write_bytes(content)
    with pytest.raises(ValueError, match=rf"net\.pt: .*{message}"):
        load(tmp_path / "net.pt")


# .pt files by hand, so that forged ones can be made too


def word(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def whole(n: int) -> bytes:
    return b"\x8a\x08" + struct.pack("<q", n)


def saved(key, kind, record, count, offset, shape, strides) -> bytes:
    """The pickle of one tensor under its key."""
    storage = b"(" + word("storage") + f"ctorch\n{kind}\n".encode() + word(record) + word("cpu")
    sizes = [b"(" + b"".join(whole(n) for n in numbers) + b"t" for numbers in (shape, strides)]
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + whole(count) + b"tQ"
    rest = b"\x89ccollections\nOrderedDict\n)RtR"
    return word(key) + rebuild + whole(offset) + sizes[0] + sizes[1] + rest + b"s"


def archive(path, tree: bytes, records: dict, byteorder="little", packed=False):
    """A zip file as PyTorch writes it."""
    method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("net/data.pkl", tree)
        file.writestr("net/version", "3\n")
        file.writestr("net/byteorder", byteorder)
        for name, data in records.items():
            file.writestr(f"net/data/{name}", data)
    return path


WEIGHTS = np.arange(24, dtype=np.float32)


def forged(path, kind="FloatStorage", data=None, **claims):
    """A network whose recurrent weights are a view of 24 numbers, `claims` replacing truths."""
    truth = {"count": 24, "offset": 2, "shape": (3, 3), "strides": (1, 4)}
    records = {
        "0": WEIGHTS.tobytes() if data is None else data,
        "1": np.ones(6, "<f4").tobytes(),
    }
    tree = b"\x80\x02}" + saved("weight_hh", kind, "0", **truth | claims)
    tree += saved("weight_ih", "FloatStorage", "1", 6, 0, (3, 2), (2, 1)) + b"."
    return archive(path, tree, records)


@pytest.fixture(params=["torch", "reader"])
def way(request, monkeypatch):
    """With PyTorch, and as if it was not there."""
    if request.param == "reader":
        monkeypatch.setitem(sys.modules, "torch", None)
    else:
        pytest.importorskip("torch")
    return request.param


def test_views_halves_and_byte_orders(way, tmp_path):
    expected = np.lib.stride_tricks.as_strided(WEIGHTS[2:], (3, 3), (4, 16))
    path = tmp_path / "net.pt"
    bf16 = (WEIGHTS.view(np.uint32) >> 16).astype("<u2").tobytes()
    for kind, data in [
        ("FloatStorage", None),
        ("DoubleStorage", WEIGHTS.astype("<f8").tobytes()),
        ("HalfStorage", WEIGHTS.astype("<f2").tobytes()),
        ("BFloat16Storage", bf16),
    ]:
        net = load(forged(path, kind, data))
        if way == "torch":
            assert set(torch_file._by_torch(path.read_bytes())) == {"weight_hh", "weight_ih"}
        np.testing.assert_array_equal(net.flow.recurrent, expected)
        wide = np.float64 if kind == "DoubleStorage" else np.float32
        assert net.flow.recurrent.dtype == wide


def test_the_other_byte_order(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    tree = b"\x80\x02}" + saved("weight_hh", "FloatStorage", "0", 9, 0, (3, 3), (3, 1))
    tree += saved("weight_ih", "FloatStorage", "0", 9, 0, (3, 2), (3, 1)) + b"."
    weights = WEIGHTS[:9].reshape(3, 3)
    path = archive(tmp_path / "net.pt", tree, {"0": weights.astype(">f4").tobytes()}, "big")
    np.testing.assert_array_equal(load(path).flow.recurrent, weights)


@pytest.mark.parametrize(
    "claim",
    [
        {"count": 25},
        {"count": 2**40},
        {"offset": 16},
        {"offset": -1},
        {"strides": (1, 10)},
        {"strides": (-1, 4)},
        {"shape": (2**31, 2**31), "strides": (0, 0)},
        {"shape": (3, 3, 3)},
        {"shape": (2**62, 2**62), "strides": (0, 0)},
        {"shape": (5, 5), "strides": (0, 0)},
    ],
)
def test_a_tensor_stays_within_its_storage(claim, way, tmp_path):
    with pytest.raises(ValueError, match=r"net\.pt: .*(holds a tensor|numbers instead of)"):
        load(forged(tmp_path / "net.pt", **claim))


def test_odd_archives(way, tmp_path):
    path = tmp_path / "net.pt"
    np.savez(tmp_path / "net.npz", a=np.ones(3))
    with pytest.raises(ValueError, match=r"net\.npz: .*not one that PyTorch wrote"):
        load(tmp_path / "net.npz")
    archive(path, b"\x80\x02}.", {"0": b"\0" * 1000}, packed=True)
    with pytest.raises(ValueError, match="a packed zip"):
        load(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("net/data.pkl", b"\x80\x02}.")
        file.writestr("net/constants.pkl", b"")
    with pytest.raises(ValueError, match=r"TorchScript.*torch\.save"):
        load(path)
    for tree, message in [
        (b"}.", "an empty dict"),
        (b"].", "a list, not a state dict"),
        (b"}" + word("epoch") + b"K\x03s.", "a dict with the keys 'epoch'"),
    ]:
        with pytest.raises(ValueError, match=message):
            load(archive(path, b"\x80\x02" + tree, {}))


def test_checkpoints(way, tmp_path):
    inner = b"}" + saved("rnn.weight_hh", "FloatStorage", "0", 9, 0, (3, 3), (3, 1))
    inner += saved("rnn.weight_ih", "FloatStorage", "0", 9, 0, (3, 2), (3, 1))
    records = {"0": WEIGHTS[:9].tobytes()}
    one = b"\x80\x02}" + word("epoch") + b"K\x03s" + word("model") + inner + b"s"
    _, source = read(archive(tmp_path / "net.pt", one + b".", records))
    assert "under 'model'" in source.assumed[0]
    two = one + word("averaged") + inner + b"s."
    with pytest.raises(
        ValueError, match=r"2 state dicts.*model, averaged.*checkpoint\['model'\]"
    ):
        load(archive(tmp_path / "net.pt", two, records))


class Evil:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


def for_torch(tree: bytes) -> bytes:
    """A checkpoint with `tree` and a name that only PyTorch knows, so that it is asked."""
    return b"\x80\x02}" + word("dtype") + b"ctorch\nfloat32\ns" + word("a") + tree[2:-1] + b"s."


@pytest.mark.parametrize("protocol", range(6))
def test_code_in_a_pickle_is_never_run(protocol, way, tmp_path):
    mark = tmp_path / "mark"
    tree = pickle.dumps({"weight_hh": Evil(mark)}, protocol=protocol)
    with pytest.raises(
        ValueError, match=r"net\.pt: .*never code.*torch\.save\(model\.state_dict"
    ):
        load(archive(tmp_path / "net.pt", tree, {}))
    if protocol == 2:
        with pytest.raises(ValueError, match=r"names torch\.float32"):
            load(archive(tmp_path / "net.pt", for_torch(tree), {}))
    assert not mark.exists()


def test_a_name_is_refused_even_where_nothing_calls_it(way, tmp_path):
    tree = pickle.dumps({"weight_hh": os.system}, protocol=2)
    with pytest.raises(ValueError, match=r"names (posix|nt)\.system\. Only numbers are taken"):
        load(archive(tmp_path / "net.pt", tree, {}))
    with pytest.raises(ValueError, match=r"names torch\.QUInt8Storage"):
        load(forged(tmp_path / "net.pt", "QUInt8Storage"))


def test_bombs_of_shared_references_do_not_hang(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    nested = b"}q\x00" + word("a") + b"K\x01s"
    for i in range(60):  # a dict that holds the one before twice: 2**60 paths
        nested += b"}" + b"q" + bytes([i + 1])
        nested += word("a") + b"h" + bytes([i]) + b"s" + word("b") + b"h" + bytes([i]) + b"s"
    start = time.monotonic()
    with pytest.raises(ValueError, match=r"net\.pt: "):
        load(archive(tmp_path / "net.pt", b"\x80\x02" + nested + b".", {}))
    pairs = b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(60))
    with pytest.raises(ValueError, match="a key that is no word"):
        load(archive(tmp_path / "net.pt", b"\x80\x02})" + pairs + b"K\x01s.", {}))
    assert time.monotonic() - start < 5


def outcomes(path, contents) -> int:
    """How many of `contents` are refused; anything but a sentence or a network raises."""
    sentences = []
    for content in contents:
        path.write_bytes(content)
        try:
            load(path)
        except ValueError as error:
            sentences.append(str(error))
    assert all(s.startswith(f"{path}: ") for s in sentences)
    return len(sentences)


def flipped(data: bytes, count: int, seed: int):
    """Copies of `data` with one to three bytes changed."""
    draw = np.random.default_rng(seed)
    for _ in range(count):
        copy = bytearray(data)
        for place in draw.integers(len(data), size=draw.integers(1, 4)):
            copy[place] ^= int(draw.integers(1, 256))
        yield bytes(copy)


@pytest.mark.parametrize("name", ["gru_model", "lstm_model"])
def test_damaged_torch_files_are_refused(name, way, tmp_path):
    data = (DATA / f"{name}.pt").read_bytes()
    cuts = [data[:n] for n in range(0, len(data), 97)]
    assert outcomes(tmp_path / "net.pt", cuts) == len(cuts)
    outcomes(tmp_path / "net.pt", flipped(data, 100, seed=1))


@pytest.mark.parametrize("name", ["gru_model", "lstm_model"])
def test_forged_pickles_are_refused(name, way, tmp_path):
    """The checksum is right, the pickle inside is not."""
    with zipfile.ZipFile(DATA / f"{name}.pt") as file:
        tree = file.read(f"{name}/data.pkl")
        records = {str(i): file.read(f"{name}/data/{i}") for i in range(6)}
    if way == "torch":
        tree = for_torch(tree)
        load(archive(tmp_path / "net.pt", tree, records))

    def contents():
        cuts = [tree[:n] for n in range(0, len(tree), 23)]
        for changed in [*cuts, *flipped(tree, 300, seed=2)]:
            whole_file = io.BytesIO()
            archive(whole_file, changed, records)
            yield whole_file.getvalue()

    assert outcomes(tmp_path / "net.pt", contents()) > 200


def test_damaged_files_of_ours_are_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    save(Delayed(Linear.random(3, 2, 1, key=jr.key(0)), ticks=2), path)
    data = path.read_bytes()
    cuts = [data[:n] for n in range(0, len(data), 41)]
    assert outcomes(path, cuts) == len(cuts)
    outcomes(path, flipped(data[:700], 300, seed=3))
    assert outcomes(path, (c + data[700:] for c in flipped(data[:700], 300, seed=3))) > 100
