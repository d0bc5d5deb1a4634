"""Which cell is a PyTorch state dict? (One layer of nn.RNN, nn.GRU, nn.LSTM, and a readout.)"""

import re

import jax.numpy as jnp
import numpy as np

from slowpoint.cells.gru import GRU
from slowpoint.cells.lstm import LSTM
from slowpoint.cells.vanilla import Vanilla
from slowpoint.core.nonlinearity import BY_NAME
from slowpoint.core.settings import nearest
from slowpoint.core.system import System
from slowpoint.core.wrap import Sampled
from slowpoint.weights.source import Source
from slowpoint.weights.tensors import finite, listing, Tensors

KEY = re.compile(  # of a layer (weight_hh_l0) or of a cell (weight_hh)
    r"(?P<prefix>(.*\.)?)(?P<role>(weight|bias)_(ih|hh|hr))(_l(?P<layer>\d+))?(?P<back>_reverse)?"
)
KINDS = {1: "nn.RNN", 3: "nn.GRU", 4: "nn.LSTM"}  # blocks of rows in weight_hh
TAKEN = (
    "Taken: one layer of nn.RNN, nn.GRU or nn.LSTM, whose keys end in weight_ih_l0 and "
    "weight_hh_l0 (or weight_ih and weight_hh), and one linear readout."
)


def network(
    tensors: Tensors,
    *,
    nonlinearity: str | None,
    dt: float | None,
    readout: str | None,
) -> tuple[System, Source]:
    """The System in a state dict, and what of it was assumed. Call it inside `float64`.

    Rows of an LSTM are i, f, g, o, of a GRU r, z, n, whose two biases of n stay apart; all
    other pairs of biases are added exactly, in float64 where float32 would round the sum.
    Raises ValueError when it is anything else, saying what was found and what is taken.
    """
    layer = _layer(tensors)
    units = tensors[layer["weight_hh"]].shape[-1]
    weights, kind = _weights(tensors, layer, units)
    if nonlinearity is not None and (kind != "nn.RNN" or nonlinearity not in BY_NAME):
        wrong = "always uses tanh and sigmoid. Leave nonlinearity= out."
        why = nearest(nonlinearity, BY_NAME) if kind == "nn.RNN" else f"{kind} {wrong}"
        raise ValueError(f"nonlinearity={nonlinearity!r} does not fit. {why}")
    used = _readout(tensors, layer, units, readout)
    system = _system(kind, weights, _linear(tensors, used, units), nonlinearity, dt)
    keys = layer | used
    unused = {key: array for key, array in tensors.items() if key not in keys.values()}
    source = Source(
        program="PyTorch",
        kind=kind,
        dtype=str(tensors[layer["weight_hh"]].dtype),
        keys=keys,
        unused=tuple(unused),
        assumed=tuple(_assumptions(kind, nonlinearity, used, unused)),
    )
    return system, source


def _layer(tensors: Tensors) -> dict[str, str]:
    """The key of each role of the one recurrent layer."""
    matches = [m for key in tensors if (m := KEY.fullmatch(key))]
    prefixes = sorted({m["prefix"] for m in matches})
    if not any(m["role"] == "weight_hh" for m in matches):
        found = listing(tensors) if tensors else "nothing"
        raise ValueError(f"holds no recurrent layer, but {found}. {TAKEN}")
    if len(prefixes) > 1:
        names = ", ".join(p.rstrip(".") or "(no prefix)" for p in prefixes)
        raise ValueError(
            f"holds {len(prefixes)} recurrent layers: {names}. {TAKEN} Save one alone: "
            f"torch.save(model.{prefixes[-1].rstrip('.')}.state_dict(), 'network.pt')"
        )
    if any(m["back"] for m in matches):
        raise ValueError(f"holds a bidirectional layer, which is no System. {TAKEN}")
    if any(m["role"].endswith("hr") for m in matches):
        raise ValueError(f"holds an LSTM with proj_size, which is not taken. {TAKEN}")
    depth = len({m["layer"] for m in matches})
    if depth > 1:
        raise ValueError(f"holds {depth} layers (num_layers={depth}); one is taken. {TAKEN}")
    layer = {m["role"]: m[0] for m in matches}
    if "weight_ih" not in layer or ("bias_ih" in layer) != ("bias_hh" in layer):
        raise ValueError(f"holds only {', '.join(layer.values())} of a layer. {TAKEN}")
    return layer


def _weights(tensors: Tensors, layer: dict[str, str], units: int) -> tuple[Tensors, str]:
    """The layer's arrays by role, their shapes checked, and its kind in PyTorch's words."""
    recurrent = tensors[layer["weight_hh"]]
    rows = recurrent.shape[0] if recurrent.ndim == 2 else 0
    if not units or rows % units or rows // units not in KINDS:
        raise ValueError(
            f"{layer['weight_hh']} has shape {recurrent.shape}; N units make (N, N) in an RNN, "
            "(3N, N) in a GRU and (4N, N) in an LSTM."
        )
    weights = {"bias_ih": np.zeros(rows, recurrent.dtype)}
    weights["bias_hh"] = weights["bias_ih"]  # bias=False
    for role, key in layer.items():
        array, ndim = finite(key, tensors[key]), 1 if role.startswith("bias") else 2
        if array.ndim != ndim or array.shape[0] != rows or array.dtype.kind != "f":
            raise ValueError(
                f"{key} has shape {array.shape} and type {array.dtype}; beside "
                f"{layer['weight_hh']} of shape {recurrent.shape} it must have {rows} rows of "
                "real numbers."
            )
        weights[role] = array
    return weights, KINDS[rows // units]


def _readout(
    tensors: Tensors, layer: dict[str, str], units: int, readout: str | None
) -> dict[str, str]:
    """The keys of the linear readout: the one matrix with a column per unit, and its bias."""
    candidates = {
        key: array
        for key, array in tensors.items()
        if key not in layer.values()
        and array.ndim == 2
        and array.shape[1] == units
        and array.dtype.kind == "f"
    }
    if readout is not None:
        named = {readout, f"{readout}.weight", f"{readout}weight"}
        candidates = {key: array for key, array in candidates.items() if key in named}
    if readout is not None and not candidates:
        others = {k: a for k, a in tensors.items() if k not in layer.values()}
        raise ValueError(
            f"holds no readout={readout!r} of shape (outputs, {units}), but "
            f"{listing(others) or 'none at all'}."
        )
    if len(candidates) > 1:
        first = next(iter(candidates)).removesuffix(".weight")
        raise ValueError(
            f"holds {len(candidates)} matrices that could be the readout: "
            f"{listing(candidates)}. Say which: readout={first!r}."
        )
    if not candidates:
        return {}
    key, array = next(iter(candidates.items()))
    head, dot, last = key.rpartition(".")
    bias = f"{head}{dot}{last.replace('weight', 'bias')}"
    if bias != key and bias in tensors and tensors[bias].shape == array.shape[:1]:
        return {"readout": key, "readout_bias": bias}
    return {"readout": key}


def _linear(
    tensors: Tensors, used: dict[str, str], units: int
) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias of the readout; without one the outputs are the hidden states."""
    if not used:
        return np.eye(units, dtype=np.float32), np.zeros(units, np.float32)
    weight = finite(used["readout"], tensors[used["readout"]])
    if "readout_bias" not in used:
        return weight, np.zeros(len(weight), weight.dtype)
    return weight, finite(used["readout_bias"], tensors[used["readout_bias"]])


def _system(kind, weights, linear, nonlinearity, dt) -> System:
    """The cell with these weights."""
    late = weights["bias_hh"].copy()
    n = weights["weight_hh"].shape[1]
    if kind == "nn.GRU":
        late[2 * n :] = 0  # b_hn stands within the reset, apart from b_in
    arrays = [weights["weight_hh"], weights["weight_ih"], _sum(weights["bias_ih"], late)]
    if kind == "nn.GRU":
        arrays.append(weights["bias_hh"][2 * n :])
    arrays = [jnp.asarray(a) for a in (*arrays, *linear)]
    if kind == "nn.GRU":
        return GRU(*arrays, dt=dt or 1.0)
    if kind == "nn.LSTM":
        return LSTM(*arrays, dt=dt or 1.0)
    phi = BY_NAME[nonlinearity or "tanh"]
    return Sampled(Vanilla(*arrays, dt=1.0, form="rate", nonlinearity=phi), tick=dt)


def _sum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`a + b`, in the type of `a` where that holds it, else in float64."""
    total = a.astype(np.float64) + b
    narrow = total.astype(a.dtype)
    return narrow if np.array_equal(narrow, total) else total


def _assumptions(kind: str, nonlinearity: str | None, used: dict[str, str], unused: Tensors):
    if kind == "nn.RNN" and nonlinearity is None:
        yield (
            "The file does not say whether the units are tanh or relu: tanh was assumed. If "
            "they are relu, say so: nonlinearity='relu' (--nonlinearity relu)."
        )
    if used:
        bias = f" and {used['readout_bias']}" if "readout_bias" in used else ", without a bias"
        yield f"The readout was found by its shape: {used['readout']}{bias}."
    else:
        yield "The file holds no readout: the outputs are the hidden states."
    if unused:
        yield f"Left aside, neither the recurrent layer nor its readout: {listing(unused)}."
