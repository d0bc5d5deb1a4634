"""Do files built to hang, to crash or to fill the memory end in a sentence?"""

import io
import struct
import sys
import time
import zipfile

import numpy as np
import pytest

from slowpoint.weights import torch_reader
from slowpoint.weights.load import load, read


def word(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def nested(levels: int) -> bytes:
    """A tuple of twice the tuple before it: 2**levels leaves in a few bytes."""
    return b")q\x00" + b"h\x00\x86q\x00" * levels


def storage(record: bytes) -> bytes:
    return (
        b"(" + word("storage") + b"ctorch\nFloatStorage\n" + record + word("cpu") + b"K\x04tQ"
    )


def tensor(shape: bytes, strides: bytes = b"K\x01\x85") -> bytes:
    start = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage(word("0"))
    return start + b"K\x00" + shape + strides + b"\x89}tR"


def wide(width: int) -> bytes:
    """Dicts that each hold the one before `width` times."""
    tree = b"}q\x00"
    for level in range(1, 5):
        items = b"".join(word(f"k{i}") + b"h" + bytes([level - 1]) for i in range(width))
        tree += b"}q" + bytes([level]) + b"(" + items + b"u"
    return tree


def written(path, tree: bytes):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("net/data.pkl", b"\x80\x02" + tree + b".")
        file.writestr("net/data/0", np.zeros(4, "<f4").tobytes())
    return path


DEEP = b")" + b"\x85" * 20_000  # longer ones overflow the stack of C when hashed
MANY = b"(" + b"K\x01" * 99 + b"t"
PAIRS = b"ccollections\nOrderedDict\n((" + b"h\x01" * 3000 + b"t\x85R"


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (b"}" + word("w") + tensor(b"(" + nested(60) + b"t") + b"s", "no whole numbers"),
        (b"}" + word("w") + tensor(DEEP) + b"s", "no whole numbers"),
        (b"}" + word("w") + tensor(MANY, MANY) + b"s", "holds a tensor of shape"),
        (b"}" + word("w") + storage(nested(60)) + b"s", "by other than words"),
        (b"}" + word("w") + storage(DEEP) + b"s", "by other than words"),
        (b"}" + nested(60) + b"K\x01s", "a key that is no word"),
        (b"}" + DEEP + b"K\x01s", "a key that is no word"),
        (b"(" + b"K\x01" * 3000 + b"tq\x01" + PAIRS, "too many values"),
        (wide(300), "no arrays of a recurrent layer"),
    ],
    ids=["shape", "deep", "axes", "record", "depth", "key", "deep key", "pairs", "wide"],
)
def test_references_to_references_end_soon(tree, message, tmp_path):
    start = time.monotonic()
    with pytest.raises(ValueError, match=rf"net\.pt: .*{message}"):
        load(written(tmp_path / "net.pt", tree))
    assert time.monotonic() - start < 5


def test_a_dict_of_pairs_is_a_dict():
    pairs = b"](" + b"](" + word("a") + b"K\x01e" + word("b") + b"K\x02\x86e"
    tree = b"\x80\x02ccollections\nOrderedDict\n" + pairs + b"\x85R."
    assert torch_reader.read(tree, lambda *_: np.zeros(0)) == {"a": 1, "b": 2}


def test_entries_that_overlap_are_not_read_one_by_one(tmp_path):
    with zipfile.ZipFile(tmp_path / "net.pt", "w") as file:
        file.writestr("net/data.pkl", b"\x80\x02}.")
        file.writestr("net/data/0", b"\0" * 10_000)
        file.filelist.extend(file.filelist[-1:] * 99)
    with pytest.raises(ValueError, match="entries overlap"):
        load(tmp_path / "net.pt")


def test_a_record_is_read_once_whatever_claims_it(tmp_path, monkeypatch):
    reads = []
    whole = zipfile.ZipFile.read
    monkeypatch.setattr(
        zipfile.ZipFile, "read", lambda z, name: reads.append(name) or whole(z, name)
    )
    claims = b"".join(
        word(f"k{i}") + storage(word("0")).replace(b"K\x04tQ", b"K" + bytes([i]) + b"tQ") + b"s"
        for i in range(4)
    )
    with pytest.raises(ValueError, match="no recurrent layer"):
        load(written(tmp_path / "net.pt", b"}" + claims))
    assert reads.count("net/data/0") == 1


def test_a_readout_saved_beside_its_network_is_found(tmp_path):
    torch = pytest.importorskip("torch")
    gru, line = torch.nn.GRU(3, 7), torch.nn.Linear(7, 2)
    saved = {"encoder": gru.state_dict(), "decoder": line.state_dict(), "epoch": 3}
    torch.save(saved, tmp_path / "net.pt")
    net, source = read(tmp_path / "net.pt")
    np.testing.assert_array_equal(net.readout, line.weight.detach().numpy())
    np.testing.assert_array_equal(net.readout_bias, line.bias.detach().numpy())
    assert source.keys["readout"] == "decoder.weight"


def test_more_of_pytorch_than_a_state_dict_needs_pytorch(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    gru = torch.nn.GRU(3, 7)
    whole = io.BytesIO()
    torch.save({"model": gru.state_dict(), "shape": torch.Size([3])}, whole)
    (tmp_path / "net.pt").write_bytes(whole.getvalue())
    found = load(tmp_path / "net.pt").recurrent
    np.testing.assert_array_equal(found, gru.weight_hh_l0.detach().numpy())
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ValueError, match=r"names torch\.Size"):
        load(tmp_path / "net.pt")
