"""Which arrays are in these bytes? (safetensors, and the raw numbers of other formats.)"""

import json

import numpy as np
import safetensors

Tensors = dict[str, np.ndarray]
KINDS = {  # safetensors' word and NumPy's; BF16 is widened by `numbers`
    "F16": "f2",
    "F32": "f4",
    "F64": "f8",
    "I8": "i1",
    "I16": "i2",
    "I32": "i4",
    "I64": "i8",
    "U8": "u1",
    "U16": "u2",
    "U32": "u4",
    "U64": "u8",
    "BOOL": "?",
    "C64": "c8",
}


def numbers(raw: bytes | bytearray, kind: str, order: str = "<") -> np.ndarray:
    """The numbers in `raw`, one after the other, in the machine's own byte order.

    float16 and bfloat16 come as float32, which holds each of them exactly.
    """
    if kind == "BF16":
        halves = np.frombuffer(raw, f"{order}u2").astype(np.uint32)
        return (halves << 16).view(np.float32)
    values = np.frombuffer(raw, order + KINDS[kind])
    wanted = np.dtype(np.float32) if kind == "F16" else values.dtype.newbyteorder("=")
    return values.astype(wanted, copy=False)


def parse(data: bytes) -> tuple[dict[str, str], Tensors]:
    """`(metadata, arrays)` of a safetensors file. Arrays of unknown types are left out.

    Raises ValueError when the file is damaged.
    """
    try:
        found = dict(safetensors.deserialize(data))
    except safetensors.SafetensorError as error:
        raise ValueError(f"truncated or damaged ({error}).") from None
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    tensors = {
        name: numbers(entry["data"], entry["dtype"]).reshape(entry["shape"])
        for name, entry in sorted(found.items())
        if entry["dtype"] in KINDS or entry["dtype"] == "BF16"
    }
    return header.get("__metadata__") or {}, tensors


def finite(name: str, array: np.ndarray) -> np.ndarray:
    """`array`, or a ValueError that names its first number that is none."""
    if array.dtype.kind in "fc" and not (good := np.isfinite(array)).all():
        first = tuple(int(i) for i in np.argwhere(~good)[0])
        raise ValueError(
            f"{name}{list(first)} is {array[first]}: {np.sum(~good)} of {array.size} numbers "
            "there are not finite. Load a network from before its training diverged."
        )
    return array


def listing(tensors: Tensors, most: int = 6) -> str:
    """Names and shapes, for a sentence about what was found."""
    shown = [f"{name} {array.shape}" for name, array in list(tensors.items())[:most]]
    rest = len(tensors) - len(shown)
    return ", ".join(shown) + (f" and {rest} more" if rest else "")
