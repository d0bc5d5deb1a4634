r"""The overlaps of a low-rank network: the scalar products of its connectivity vectors.

$P = [M | U | V | Z]$ has K = inputs + 2 rank + outputs columns, and $\Sigma = P^\top P / N$.
M and U make the activity, V and Z read it (Ger and Barak 2026, arXiv:2605.04115).
"""

import dataclasses

import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.cells.low_rank import LowRank
from slowpoint.core.nonlinearity import identity, Nonlinearity
from slowpoint.core.precision import float64

Numbers = Array | np.ndarray
Overlaps = Float[Numbers, "column column"]
LOWEST = -1e-9  # an eigenvalue below it belongs to no network


@dataclasses.dataclass(frozen=True)
class Dims:
    """How many columns of each kind; the slices say where they stand in P and Sigma."""

    rank: int = 1
    inputs: int = 1
    outputs: int = 1

    def __post_init__(self):
        if min(self.rank, self.inputs, self.outputs) < 1:
            raise ValueError(f"{self}: give 1 or more of each.")

    @property
    def size(self) -> int:
        """Columns, K."""
        return self.inputs + 2 * self.rank + self.outputs

    @property
    def count(self) -> int:
        """Different overlaps, K (K + 1) / 2."""
        return self.size * (self.size + 1) // 2

    @property
    def m(self) -> slice:
        """Where inputs push."""
        return slice(0, self.inputs)

    @property
    def u(self) -> slice:
        """Where the recurrence pushes."""
        return slice(self.inputs, self.inputs + self.rank)

    @property
    def v(self) -> slice:
        """What the recurrence reads."""
        return slice(self.inputs + self.rank, self.inputs + 2 * self.rank)

    @property
    def z(self) -> slice:
        """What the outside reads."""
        return slice(self.inputs + 2 * self.rank, self.size)

    @property
    def makes(self) -> slice:
        """M and U, which make the activity."""
        return slice(0, self.inputs + self.rank)

    @property
    def reads(self) -> slice:
        """V and Z, which read it."""
        return slice(self.inputs + self.rank, self.size)

    @property
    def columns(self) -> list[str]:
        """The letter of each column, numbered from 1 where there are several."""
        kinds = zip("muvz", (self.inputs, self.rank, self.rank, self.outputs))
        return [
            letter + (str(i + 1) if many > 1 else "")
            for letter, many in kinds
            for i in range(many)
        ]

    @property
    def names(self) -> list[str]:
        """Of each overlap in the order of `vector`; the reader's letter first: zm, vu, mu."""
        order = {letter: i for i, letter in enumerate("zvmu")}
        pairs = zip(*np.triu_indices(self.size))
        letters = [(self.columns[i], self.columns[j]) for i, j in pairs]
        return ["".join(sorted(pair, key=lambda name: order[name[0]])) for pair in letters]

    def check(self, sigma: Overlaps) -> None:
        """Raise ValueError unless `sigma` is symmetric and of this size."""
        sigma = np.asarray(sigma)
        if sigma.shape[-2:] != (self.size, self.size):
            raise ValueError(
                f"Sigma has shape {sigma.shape}; {self} has {self.size} columns. Give "
                f"({self.size}, {self.size})."
            )
        check_overlaps(sigma)


def check_overlaps(sigma: Float[Numbers, "*many column column"]) -> None:
    """Raise ValueError unless `sigma` is symmetric and some network has these overlaps."""
    sigma = np.asarray(sigma, float)
    if sigma.ndim < 2 or sigma.shape[-1] != sigma.shape[-2]:
        raise ValueError(f"Sigma has shape {sigma.shape}; give a square matrix.")
    scale = max(float(np.abs(sigma).max(initial=0.0)), 1e-300)
    uneven = np.abs(sigma - np.swapaxes(sigma, -1, -2)).max(initial=0.0)
    if not uneven <= 1e-9 * scale:
        raise ValueError(f"Sigma differs from its transpose by {uneven:.3g}; symmetrise it.")
    lowest = smallest_eigenvalue(sigma)
    if lowest < LOWEST:
        raise ValueError(
            f"no network has these overlaps: smallest eigenvalue {lowest:.3g}; see "
            "is_realisable"
        )


def smallest_eigenvalue(sigma: Float[Numbers, "*many column column"]) -> float:
    """The least eigenvalue of all matrices given; infinite when there is none."""
    return float(np.linalg.eigvalsh(np.asarray(sigma, float)).min(initial=np.inf))


def is_realisable(sigma: Overlaps, margin: float = LOWEST) -> bool:
    """Whether some network has these overlaps: no eigenvalue below `margin`."""
    return smallest_eigenvalue(sigma) >= margin


def vector(sigma: Overlaps) -> Float[Array, " overlap"]:
    """The K (K + 1) / 2 different overlaps: the upper triangle, row by row."""
    return jnp.asarray(sigma)[np.triu_indices(len(sigma))]


def matrix(overlaps: Float[Numbers, " overlap"]) -> Float[Array, "column column"]:
    """The symmetric matrix of which `overlaps` is the `vector`."""
    size = round((np.sqrt(8 * len(overlaps) + 1) - 1) / 2)
    rows, columns = np.triu_indices(size)
    half = jnp.zeros((size, size), jnp.asarray(overlaps).dtype).at[rows, columns].set(overlaps)
    return half + jnp.triu(half, 1).T


def rank_one(**named: float) -> Float[np.ndarray, "4 4"]:
    """Sigma of one input, one output and rank 1 from named overlaps, as in `rank_one(zm=0.3)`.

    Norms that are not named (mm, uu, vv, zz) are 1, other overlaps 0.
    """
    names = Dims().names
    if wrong := set(named) - set(names):
        raise ValueError(f"{', '.join(sorted(wrong))}: the overlaps are {', '.join(names)}.")
    values = [named.get(name, float(name[0] == name[1])) for name in names]
    half = np.zeros((4, 4))
    half[np.triu_indices(4)] = values
    return half + np.triu(half, 1).T


def columns_of(network: LowRank) -> Float[Array, "unit column"]:
    """P = [M | U | V | Z]."""
    parts = [network.encoder, network.left, network.right, network.readout]
    return jnp.concatenate(parts, axis=1)


def dims_of(network: LowRank) -> Dims:
    """The columns of `network`."""
    return Dims(network.left.shape[1], network.input_size, network.output_size)


def overlaps(columns: Float[Numbers, "unit column"]) -> Float[Array, "column column"]:
    """Sigma of P."""
    columns = jnp.asarray(columns)
    return columns.T @ columns / len(columns)


def as_network(
    columns: Float[Numbers, "unit column"],
    dims: Dims,
    dt: float,
    nonlinearity: Nonlinearity = identity,
) -> LowRank:
    """The network of P, its products divided by N."""
    m, u, v, z = (jnp.asarray(columns)[:, part] for part in (dims.m, dims.u, dims.v, dims.z))
    return LowRank(m, u, v, z, dt=dt, nonlinearity=nonlinearity)


def realise(
    sigma: Overlaps, units: int, key: PRNGKeyArray | None = None
) -> Float[np.ndarray, "unit column"]:
    r"""Columns with exactly these overlaps: $\sqrt{N} Q \Sigma^{1/2}$, in float64.

    Q is a random orthonormal frame: Gaussian columns, whitened. Without a key it is the first
    K unit vectors: for linear networks, to which all frames are alike, that is the smallest
    and plainest network. Raises ValueError when `units` < K, or no network has them.
    """
    check_overlaps(sigma)
    size = len(sigma)
    if units < size:
        raise ValueError(f"{units} units: overlaps of K = {size} columns need {size} or more.")
    values, vectors = np.linalg.eigh(np.asarray(sigma, float))
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    if key is None:
        return np.sqrt(units) * np.eye(units, size) @ root
    with float64():
        normal = np.asarray(jr.normal(key, (units, size), float))
    left, _, right = np.linalg.svd(normal, full_matrices=False)
    return np.sqrt(units) * (left @ right) @ root
