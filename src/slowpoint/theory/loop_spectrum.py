r"""Which matrix moves a network and its plant together, and how fast do its modes grow?

Plant $x' = A x + B u$, $y = C x$ and network $h' = (1-a) h + a (W h + M y')$, $u = Z h$. With
$W = U V^\top$ and h = 0 at the start the network stays in the span of M and U,
$h = M q_m + U q_u$, so that the overlaps ZM, ZU, VM, VU move all there is to see. (Ger and
Barak 2025, arXiv:2505.13567, for rank one and the double integrator; a leak, any rank, any
linear plant and both orders are the same derivation.)
"""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from slowpoint.cells.low_rank import LowRank
from slowpoint.core.closed_loop import ClosedLoop
from slowpoint.core.precision import float64, widen
from slowpoint.theory.wide import is_traced, wide

Numbers = Array | np.ndarray
Plant = tuple[Float[Numbers, "_ _"], Float[Numbers, "_ _"], Float[Numbers, "_ _"]]  # A, B, C
First = Literal["world", "agent"]
DOUBLE_INTEGRATOR: Plant = (
    np.array([[1.0, 1.0], [0.0, 1.0]]),
    np.array([[0.0], [1.0]]),
    np.array([[1.0, 0.0]]),
)


class LoopOverlaps(eqx.Module):
    """What a plant sees of a low-rank network, of any rank and any number of inputs."""

    zm: Float[Numbers, "control output"]  # output: what the plant shows
    zu: Float[Numbers, "control rank"]
    vm: Float[Numbers, "rank output"]
    vu: Float[Numbers, "rank rank"]


# One rank, one input, one output: (s_zm, s_zu, s_vm, s_vu)
Overlaps = Float[Numbers, "*many 4"] | LoopOverlaps


def loop_overlaps(network: LowRank) -> LoopOverlaps:
    """The overlaps of `network`, its factor `strength` before each product."""
    m, u, v, z = network.encoder, network.left, network.right, network.readout
    products = (z.T @ m, z.T @ u, v.T @ m, v.T @ u)
    return LoopOverlaps(*(network.strength * product for product in products))


def blocks(overlaps: Overlaps) -> LoopOverlaps:
    """`overlaps` as matrices; those of rank one come as four numbers."""
    if isinstance(overlaps, LoopOverlaps):
        return overlaps
    return LoopOverlaps(*jnp.asarray(overlaps).reshape(4, 1, 1))


def check_loop(overlaps: Overlaps, plant: Plant | None, leak) -> None:
    """Raise ValueError when sizes do not fit or a leak is not in (0, 1]."""
    if not is_traced(leak) and not 0 < leak <= 1:
        raise ValueError(f"leak={leak}: give dt / tau, above 0 and at most 1.")
    a, b, c = plant or DOUBLE_INTEGRATOR
    size = len(a)
    if a.shape != (size, size) or b.shape[0] != size or c.shape[1] != size:
        raise ValueError(
            f"The plant does not fit: A has shape {a.shape}, B {b.shape}, C {c.shape}. Give "
            f"({size}, {size}), ({size}, controls), (outputs, {size}), as "
            "worlds.linear_plant.matrices does."
        )
    sends, takes = overlaps.zm.shape if isinstance(overlaps, LoopOverlaps) else (1, 1)
    if (sends, takes) != (b.shape[1], c.shape[0]):
        raise ValueError(
            f"The network takes {takes} numbers and sends {sends}; the plant shows "
            f"{c.shape[0]} and takes {b.shape[1]}. Give a network of these sizes, or other "
            "columns of B and rows of C."
        )


@wide
def command(overlaps: Overlaps, plant: Plant | None = None) -> Float[Numbers, "control loop"]:
    """The rows (0, ZM, ZU) that read the controls off the state (x, q_m, q_u)."""
    parts = blocks(overlaps)
    size = len((plant or DOUBLE_INTEGRATOR)[0])
    return jnp.concatenate([jnp.zeros((len(parts.zm), size)), parts.zm, parts.zu], axis=1)


def joint_matrix(
    overlaps: Overlaps, plant: Plant | None, leak, first: First = "world"
) -> Float[Array, "loop loop"]:
    """`effective_matrix` of one loop, without checks, for losses that are traced."""
    parts = blocks(overlaps)
    a, b, c = map(jnp.asarray, plant or DOUBLE_INTEGRATOR)
    size, seen, own = len(a), len(c), len(c) + len(parts.vu)
    moved = jnp.concatenate([a, b @ parts.zm, b @ parts.zu], axis=1)
    world = jnp.concatenate([moved, jnp.eye(own, size + own, size)])
    sees = jnp.concatenate([leak * c, (1 - leak) * jnp.eye(seen, own)], axis=1)
    recurs = leak * jnp.concatenate([0 * parts.vm @ c, parts.vm, parts.vu], axis=1)
    recurs = recurs + (1 - leak) * jnp.eye(own - seen, size + own, size + seen)
    agent = jnp.concatenate([jnp.eye(size, size + own), sees, recurs])
    return agent @ world if first == "world" else world @ agent


@wide
def _effective(overlaps, plant, leak, first):
    one = lambda overlaps: joint_matrix(overlaps, plant, leak, first)
    if isinstance(overlaps, LoopOverlaps):
        return one(overlaps)
    return jnp.vectorize(one, signature="(s)->(n,n)")(overlaps)


def effective_matrix(
    overlaps: Overlaps,
    plant: Plant | None = None,
    *,
    leak: float = 1.0,
    first: First = "world",
) -> Float[Numbers, "*many loop loop"]:
    r"""The matrix of one step of the state (x, q_m, q_u), exactly.

    With the world first
    $[[A, B\,ZM, B\,ZU], [a C A, (1-a) + a C B\,ZM, a C B\,ZU], [0, a\,VM, (1-a) + a\,VU]]$.
    `overlaps` of rank one are four numbers (s_zm, s_zu, s_vm, s_vu), leading axes allowed;
    `plant` is (A, B, C), by default the double integrator at dt = 1. NumPy and float64 unless
    traced. Raises ValueError when sizes do not fit. (Ger and Barak 2025.)
    """
    check_loop(overlaps, plant, leak)
    if first not in ("world", "agent"):
        raise ValueError(f'first={first!r}: type first="world" or first="agent".')
    return _effective(overlaps, plant, leak, first)


@eqx.filter_jit
def _slope(loop, at):
    return jax.jacfwd(loop.step)(at, jnp.zeros(loop.input_size))


def coupled_matrix(
    loop: ClosedLoop, at: Float[Numbers, " state"] | None = None
) -> Float[np.ndarray, "state state"]:
    r"""The matrix of one step of the joint state (x, h), in float64: its Jacobian at rest, 0.

    $[[A, B Z], [a M C A, (1-a) + a (W + M C B Z)]]$ when the world is first and the network is
    linear; a network that is not is linearised, at the joint state `at` if it rests elsewhere.
    """
    with float64():
        wide_loop = widen(loop)
        state = jnp.zeros(loop.state_size) if at is None else jnp.asarray(at, float)
        return np.asarray(_slope(wide_loop, state))


@eqx.filter_jit
def _slopes(loops):
    return eqx.filter_vmap(lambda loop: _slope(loop, jnp.zeros(loop.state_size)))(loops)


def coupled_matrices(snapshots: ClosedLoop) -> Float[np.ndarray, "record state state"]:
    """`coupled_matrix` of each snapshot of a training: arrays with a leading axis."""
    with float64():
        return np.asarray(_slopes(widen(snapshots)))


def spectrum(
    matrices: Float[Numbers, "*many state state"],
) -> Complex[np.ndarray, "*many state"]:
    """Eigenvalues in one batched call, the largest first; NaN where not finite."""
    matrices = np.asarray(matrices, float)
    whole = np.asarray(np.isfinite(matrices).all(axis=(-2, -1), keepdims=True))
    values = np.linalg.eigvals(np.where(whole, matrices, 0.0)).astype(complex)
    values = np.where(whole[..., 0], values, np.nan)
    order = np.argsort(-np.abs(values), axis=-1, kind="stable")
    return np.take_along_axis(values, order, axis=-1)


def radius(matrices: Float[Numbers, "*many state state"]) -> Float[np.ndarray, "*many"]:
    """The spectral radius of each matrix: stable below 1; NaN where not finite."""
    return np.asarray(np.abs(spectrum(matrices))[..., 0])
