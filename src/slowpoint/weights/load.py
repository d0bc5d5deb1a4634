"""Which network does a file hold?"""

import dataclasses
import os
import pathlib

import jax
import numpy as np

from slowpoint.core.precision import float64
from slowpoint.core.system import System
from slowpoint.weights import save, state_dict, tensors, torch_file
from slowpoint.weights.source import Source


def load(
    path: str | os.PathLike,
    *,
    nonlinearity: str | None = None,
    dt: float | None = None,
    readout: str | None = None,
) -> System:
    """The network in `path`: ours (.safetensors), or a PyTorch state dict.

    Of PyTorch one layer of nn.RNN, nn.GRU or nn.LSTM (or a ...Cell), and its linear readout;
    without one the outputs are the hidden states. `nonlinearity` of an nn.RNN is not in its
    file: tanh when None. `dt` is the time one step stands for (1). `readout` names the layer
    when several could be it. `read` also says what was found and what was assumed.

    float64 weights come as NumPy arrays where JAX is in float32, so that no bit is lost: they
    compute in float32 there, in full inside `float64()`. Raises ValueError with the path and
    the reason for any other file.
    """
    return read(path, nonlinearity=nonlinearity, dt=dt, readout=readout)[0]


def read(
    path: str | os.PathLike,
    *,
    nonlinearity: str | None = None,
    dt: float | None = None,
    readout: str | None = None,
) -> tuple[System, Source]:
    """As `load`; also the `Source`: what was found, used and assumed."""
    if dt is not None and not 0 < dt < float("inf"):
        raise ValueError(f"dt={dt}: the time of one step is a positive number.")
    data = pathlib.Path(path).read_bytes()
    options = {"nonlinearity": nonlinearity, "dt": dt, "readout": readout}
    try:
        with float64():
            system, source = _parse(data, options)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    sizes = (system.state_size, system.input_size, system.output_size)
    return _settled(system), dataclasses.replace(source, path=str(path), sizes=sizes)


def _parse(data: bytes, options: dict) -> tuple[System, Source]:
    where = ""
    if data[:2] == b"PK":
        arrays, where = torch_file.parse(data)
    elif data[8:9] == b"{":
        metadata, arrays = tensors.parse(data)
        if "slowpoint" in metadata:
            return _ours(metadata, arrays, options)
    else:
        raise ValueError(_unknown(data))
    system, source = state_dict.network(arrays, **options)
    if where:
        inside = f"The state dict was found in the checkpoint under {where!r}."
        source = dataclasses.replace(source, assumed=(inside, *source.assumed))
    return system, source


def _ours(metadata, arrays, options) -> tuple[System, Source]:
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise ValueError(f"says its {given[0]} itself. Leave {given[0]}= out.")
    types = sorted({str(a.dtype) for a in arrays.values()})
    source = Source(
        program="slowpoint",
        kind=metadata.get("class", "System"),
        dtype=" and ".join(types) or "no arrays",
        keys={name: name for name in arrays},
    )
    return save.restore(metadata, arrays), source


def _unknown(data: bytes) -> str:
    if not data:
        return "the file is empty."
    if data[:1] == b"\x80":
        return (
            "a bare pickle (PyTorch before 1.6, or another program), which is code. Where it "
            "comes from, type: torch.save(model.state_dict(), 'network.pt')"
        )
    return (
        "neither a safetensors file nor a PyTorch file. Write one: slowpoint.save(network, "
        "'network.safetensors') or torch.save(model.state_dict(), 'network.pt')"
    )


def _settled(system: System) -> System:
    """`system` with the arrays that JAX would cut at the precision in force as NumPy."""

    def one(leaf):
        if not isinstance(leaf, jax.Array):
            return leaf
        kept = jax.dtypes.canonicalize_dtype(leaf.dtype) == leaf.dtype
        return leaf if kept else np.asarray(leaf)

    return jax.tree.map(one, system)
