r"""Which low-rank network stands for a network from a file, and what is lost?

Theory wants $\dot x = -x + U V^\top \phi(x)/N + M u$, $y = Z^\top \phi(x)/N$. A recurrent
matrix is cut by its singular values, $W \approx U V^\top / N$ with both factors of one size; a
readout C gives $Z = N C^\top$.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from slowpoint.cells.low_rank import LowRank
from slowpoint.cells.vanilla import Vanilla
from slowpoint.core.precision import float64, to_numpy
from slowpoint.core.system import System
from slowpoint.core.wrap import Sampled


@dataclasses.dataclass(frozen=True)
class Cut:
    """A low-rank network, its products divided by N, and what the given one had besides."""

    network: LowRank  # NumPy arrays in float64
    rest: float  # share of the sum of squares of the recurrent matrix that was left out
    lost: tuple[str, ...] = ()  # what was dropped, by how much: the function has changed
    notes: tuple[str, ...] = ()  # what was rewritten


def as_low_rank(system: System, rank: int | None = None) -> Cut:
    """`system` as a low-rank network of `rank` (of a LowRank, its own when None).

    Takes LowRank, Vanilla in currents, and Vanilla in rates with steps of 1 (PyTorch's
    nn.RNN), whose steps from rest are those of currents. Raises ValueError on other systems,
    on rates with other steps, and on a rank that is missing or impossible.
    """
    inside = system.flow if isinstance(system, Sampled) else system
    if isinstance(inside, LowRank):
        return _of_low_rank(inside, rank)
    if isinstance(inside, Vanilla):
        return _of_vanilla(inside, rank)
    raise ValueError(
        f"{type(inside).__name__}: overlaps describe networks of one recurrent matrix. Give a "
        "LowRank, a Vanilla or an nn.RNN."
    )


def _of_low_rank(network: LowRank, rank: int | None) -> Cut:
    parts = (network.encoder, network.left, network.right, network.readout)
    m, u, v, z = (np.asarray(part, float) for part in parts)
    factor, notes = network.strength * len(u), ()
    if not np.isclose(factor, 1.0, rtol=1e-12):
        root = np.sqrt(abs(factor))
        u, v, z = np.sign(factor) * root * u, root * v, factor * z
        notes = (
            f"Its products are multiplied by {network.strength:g}, not 1/N: U, V and Z were "
            "scaled so that they are. The function is the same; learning is that of steps "
            "eta N on the scaled columns.",
        )
    own = u.shape[1]
    if rank is None or rank == own:
        return Cut(_network(m, u, v, z, network), 0.0, (), notes)
    left, right, rest = _factors(u @ v.T / len(u), rank)
    return Cut(_network(m, left, right, z, network), rest, (), (*notes, _split(rank)))


def _of_vanilla(network: Vanilla, rank: int | None) -> Cut:
    if network.form == "rate" and network.dt != 1:
        raise ValueError(
            f"this Vanilla network is in rates with steps of {network.dt:g}: its input goes "
            "unfiltered through the nonlinearity and its readout is filtered, so no network in "
            "currents answers alike. Give one trained with form='current', or with dt=1."
        )
    w, c = np.asarray(network.recurrent, float), np.asarray(network.readout, float)
    units = len(w)
    if rank is None:
        shown = ", ".join(f"{value:.3g}" for value in np.linalg.svd(w, compute_uv=False)[:6])
        raise ValueError(
            f"a full recurrent matrix ({units} x {units}) has to be cut: say at which rank. "
            f"Its singular values begin {shown}. Type for example: --rank 1"
        )
    left, right, rest = _factors(w, rank)
    notes = [_split(rank)]
    if network.form == "rate":
        notes.append("In rates with steps of 1, from rest, it answers like one in currents.")
    rewritten = _network(np.asarray(network.encoder, float), left, right, units * c.T, network)
    return Cut(rewritten, rest, tuple(_lost(network)), tuple(notes))


def _lost(network: Vanilla):
    """What a LowRank has no place for, and how large it was."""
    weights = (network.recurrent, network.encoder)
    size = np.sqrt(sum(float((np.asarray(a, float) ** 2).sum()) for a in weights))
    for name, values, scale, whose in (
        ("biases", network.bias, size, "the recurrent and input weights"),
        (
            "readout biases",
            network.readout_bias,
            np.linalg.norm(network.readout),
            "its weights",
        ),
        ("the initial state", network.initial_state, network.state_size**0.5, "all units at 1"),
    ):
        norm = 0.0 if values is None else float(np.linalg.norm(np.asarray(values, float)))
        if norm > 0:
            share = norm / max(float(scale), 1e-300)
            yield f"{name} dropped: norm {norm:.3g}, {share:.2%} of that of {whose}"


def _factors(
    w: Float[np.ndarray, "unit unit"], rank: int
) -> tuple[Float[np.ndarray, "unit rank"], Float[np.ndarray, "unit rank"], float]:
    """`(U, V, share of the squares left out)` of the nearest matrix U V'/N of this rank."""
    if not 1 <= rank <= len(w):
        raise ValueError(f"rank={rank}: {len(w)} units have ranks 1 to {len(w)}.")
    left, values, right = np.linalg.svd(w)
    root = np.sqrt(len(w) * values[:rank])
    squares = values**2
    rest = float(squares[rank:].sum() / max(squares.sum(), 1e-300))
    return left[:, :rank] * root, right[:rank].T * root, rest


def _split(rank: int) -> str:
    return (
        f"Its recurrent matrix was cut at rank {rank} into two factors of one size. How it "
        "would learn without that cut, every entry by itself, is not predicted."
    )


def _network(m, u, v, z, like: LowRank | Vanilla) -> LowRank:
    with float64():
        parts = (jnp.asarray(part) for part in (m, u, v, z))
        return to_numpy(LowRank(*parts, dt=like.dt, nonlinearity=like.nonlinearity))
