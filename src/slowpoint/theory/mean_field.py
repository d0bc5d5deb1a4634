r"""What does learning converge to as the number of units grows, whatever their distribution?

The closed equations of overlaps take the weights of all units for one Gaussian. Training a
nonlinear network makes them something else, so these equations have an error that no number of
units removes. The limit itself has none: a cloud of weighted particles $Z_i = (m, u, v, z)_i$,
at first the nodes of a Gauss-Hermite rule for the Gaussian of the first overlaps, each of which
learns as one unit does, $Z_i \leftarrow Z_i - (\eta / w_i)\, \partial L / \partial Z_i$.

With $Q_i = \sqrt{w_i} Z_i$ that is plain descent, $Q \leftarrow Q - \eta\, \partial L/\partial
Q$, and $\Sigma = Q^\top Q$. A network of N units is the case $w_i = 1/N$. (The model: Ger and
Barak 2026, arXiv:2605.04115; the limit by quadrature is ours.)
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray
from numpy.polynomial.hermite_e import hermegauss

from slowpoint.cells.low_rank import LowRank
from slowpoint.core.nonlinearity import erf, Nonlinearity
from slowpoint.core.precision import float64, widen
from slowpoint.core.result import Result
from slowpoint.core.system import Map, System
from slowpoint.learning.descend import descend
from slowpoint.learning.grid import At
from slowpoint.theory.latent import Latent
from slowpoint.theory.overlaps import (
    check_overlaps,
    columns_of,
    Dims,
    dims_of,
    Overlaps,
    rank_one,
)

LIGHTEST = 1e-13  # a node that weighs less is left out
MOST = 10**6  # nodes of a rule
# The loss of a System; the key draws a batch, and may be ignored
SystemLoss = Callable[[System, PRNGKeyArray | None], Float[Array, ""]]


class Particles(Map):
    r"""A low-rank network whose units have weights; its Euler step is that of the network.

    The state is $\kappa$, of inputs + rank numbers, and the averages
    $\sum_i w_i (v_i, z_i) \phi(m_i \kappa_m + u_i \kappa_u)$ that follow from it: kept, since
    the next step needs them again. Memory does not grow with the number of steps.
    """

    roots: Float[Array, "particle column"]  # Q: sqrt(w) times the entries of M, U, V, Z
    weights: Float[Array, " particle"]  # w, with sum 1
    dims: Dims = eqx.field(static=True, default=Dims())
    nonlinearity: Nonlinearity = eqx.field(static=True, default=erf)
    dt: float = eqx.field(static=True, default=0.1)

    def __check_init__(self):
        if self.roots.shape[-1] != self.dims.size:
            raise ValueError(
                f"Particles of {self.roots.shape[-1]} columns; {self.dims} has "
                f"{self.dims.size}. Give (particle, {self.dims.size})."
            )

    @property
    def state_size(self):
        return self.dims.inputs + 2 * self.dims.rank + self.dims.outputs

    @property
    def input_size(self):
        return self.dims.inputs

    @property
    def output_size(self):
        return self.dims.outputs

    @property
    def initial(self):
        return self.state_at(jnp.zeros(self.dims.inputs + self.dims.rank, self.roots.dtype))

    @property
    def overlaps(self) -> Float[Array, "column column"]:
        """Sigma, Q'Q."""
        return self.roots.T @ self.roots

    @property
    def columns(self) -> Float[Array, "particle column"]:
        """P = [M | U | V | Z]."""
        return self.roots / jnp.sqrt(self.weights)[:, None]

    def state_at(self, kappa: Float[Array, " latent"]) -> Float[Array, " state"]:
        """The state in which the units stand at [M U] kappa."""

        @jax.checkpoint  # a gradient keeps kappa of each step, not all units
        def averages(roots, kappa):
            root = jnp.sqrt(self.weights)
            rates = self.nonlinearity((kappa @ roots[:, self.dims.makes].T) / root)
            return (root * rates) @ roots[:, self.dims.reads]

        return jnp.concatenate([kappa, averages(self.roots, kappa)])

    def step(self, x, u):
        latent = self.dims.inputs + self.dims.rank
        kappa, back = x[:latent], x[latent : latent + self.dims.rank]
        return self.state_at(kappa + self.dt * (jnp.concatenate([u, back]) - kappa))

    def output(self, x):
        return x[-self.dims.outputs :]


def quadrature(
    sigma: Overlaps, nodes: int, odd: bool = True
) -> tuple[Float[np.ndarray, "particle column"], Float[np.ndarray, " particle"]]:
    """`(Q, w)` of the Gaussian of covariance `sigma`: `nodes` along each column, all crossed.

    For an odd nonlinearity Z and -Z do the same, so half of the nodes do. What weighs less
    than 1e-13 is left out. Raises ValueError when no network has these overlaps, and on less
    than 2 nodes or more than a million in all.
    """
    check_overlaps(sigma)
    size = len(sigma)
    if nodes < 2 or nodes**size > MOST:
        raise ValueError(
            f"{nodes} nodes along each of {size} columns are {nodes**size} particles. Give 2 "
            f"or more, and at most {int(MOST ** (1 / size) + 1e-9)}."
        )
    line, share = hermegauss(nodes)
    points = np.stack(np.meshgrid(*size * [line], indexing="ij"), -1).reshape(-1, size)
    weights = np.ones(1)
    for _ in range(size):
        weights = np.multiply.outer(weights, share / share.sum()).ravel()
    kept = weights >= LIGHTEST
    if odd:  # node i and node -1-i are opposite; the middle one, if any, is its own
        kept &= np.arange(len(points)) >= len(points) // 2
        weights = weights * np.where(points.any(axis=1), 2.0, 1.0)
    values, vectors = np.linalg.eigh(np.asarray(sigma, float))
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    points, weights = points[kept], weights[kept]
    return np.sqrt(weights)[:, None] * (points @ root), weights


def gaussian_particles(latent: Latent, nodes: int) -> Particles:
    """The units of the infinite network whose overlaps are those of `latent`, in float64.

    Raises as `quadrature` does.
    """
    there = np.linspace(0.25, 4, 16)
    with float64():
        ahead, behind = (
            np.asarray(latent.nonlinearity(jnp.asarray(x))) for x in (there, -there)
        )
        odd = bool(np.allclose(ahead, -behind, rtol=1e-12, atol=1e-12))
        roots, weights = quadrature(np.asarray(latent.sigma), nodes, odd)
        cloud = jnp.asarray(roots), jnp.asarray(weights)
        return Particles(*cloud, latent.dims, latent.nonlinearity, latent.dt)


def units_of(network: LowRank) -> Particles:
    """The units of `network` as particles of weight 1/N, in float64.

    Descent on them at the rate eta is descent on its columns at eta N. Raises ValueError when
    its products are not divided by N.
    """
    units = network.state_size
    if network.strength != 1 / units:
        raise ValueError(
            f"scale={network.scale}: averages over {units} units divide by {units}. Build the "
            "LowRank with scale=None."
        )
    if not isinstance(network.nonlinearity, Nonlinearity):
        raise ValueError("Give the LowRank a nonlinearity of slowpoint.core.nonlinearity.")
    with float64():
        roots = jnp.asarray(columns_of(network), float) / np.sqrt(units)
        weights = jnp.full(units, 1 / units)
        return Particles(roots, weights, dims_of(network), network.nonlinearity, network.dt)


class MeanField(Result):
    """The infinite network while it learns."""

    losses: Float[np.ndarray, " step"]  # before each step, and after the last; NaN: not finite
    epochs: Int[np.ndarray, " record"]  # of the records below
    overlaps: Float[np.ndarray, "record column column"]  # Sigma
    columns: Float[np.ndarray, "particle column"]  # P after the last step
    weights: Float[np.ndarray, " particle"]  # of the particles

    @property
    def final(self) -> Float[np.ndarray, "column column"]:
        """Sigma after the last step."""
        return self.overlaps[-1]


def mean_field_learn(
    loss: SystemLoss,
    latent: Latent,
    nodes: int,
    *,
    eta: float,
    steps: int,
    every: int | None = None,
    key: PRNGKeyArray | None = None,
) -> MeanField:
    r"""Gradient descent of `loss(system, key)` as the number of units goes to infinity.

    `latent` gives the first overlaps, the nonlinearity and dt, `nodes` the quadrature points
    along each column: for rank 1, 6 make 648 particles and 8 make 2008. Steps of size eta,
    times N for a network of N units. Records come each `every` steps (default: at the two
    ends). Computes in float64; a `key` gives each step its own, as in `learn`. After a number
    that is not finite the weights stay, and losses are NaN.

    Raises ValueError on a rate or step count that makes no sense, and as `quadrature` does.
    """
    every = every or max(steps, 1)
    if not eta > 0:
        raise ValueError(f"eta={eta}: give a rate above 0.")
    if steps < 1 or every < 1 or steps % every:
        raise ValueError(
            f"steps={steps}, every={every}: give 1 or more steps, a multiple of `every`."
        )
    first = gaussian_particles(latent, nodes)
    with float64():
        loss = widen(loss) if key is not None else _Keyless(widen(loss))
        found = descend(
            first,
            loss,
            updates=steps,
            key=jr.key(0) if key is None else key,
            optimiser=optax.sgd(eta),
            trainable=lambda cloud: cloud.roots,
            snapshots=At(tuple(range(0, steps + 1, every))),
        )
        last = None if key is None else jr.fold_in(key, steps)
        final = float(_value(loss, found.system, last)) if found.stopped < 0 else np.nan
        roots = np.asarray(found.snapshots.roots)
        columns, weights = np.asarray(found.system.columns), np.asarray(first.weights)
    overlaps = np.swapaxes(roots, 1, 2) @ roots
    epochs = found.snapshot_updates
    return MeanField(np.append(found.losses, final), epochs, overlaps, columns, weights)


class _Keyless(eqx.Module):
    """A loss without chance, given the None that it expects."""

    loss: SystemLoss

    def __call__(self, system, key):
        return self.loss(system, None)


@eqx.filter_jit
def _value(loss, system, key):
    return loss(system, key)


@eqx.filter_jit
def _velocity(loss, particles):
    def value(roots):
        return loss(eqx.tree_at(lambda p: p.roots, particles, roots), None)

    mixed = particles.roots.T @ jax.grad(value)(particles.roots)
    return -(mixed + mixed.T)


def overlap_velocity(
    loss: SystemLoss, particles: Particles
) -> Float[np.ndarray, "column column"]:
    r"""$d\Sigma/ds$ of the gradient flow of `particles`, in float64; s is eta times steps.

    Where they are the nodes of a Gaussian it is that of the closed equations. `loss` is exact:
    its key is None.
    """
    with float64():
        return np.asarray(_velocity(widen(loss), widen(particles)))


def example(key: PRNGKeyArray) -> Particles:
    """A coarse cloud; nothing is drawn."""
    del key
    roots, weights = quadrature(rank_one(vu=0.9, zm=0.3), 2)
    return Particles(jnp.asarray(roots), jnp.asarray(weights))
