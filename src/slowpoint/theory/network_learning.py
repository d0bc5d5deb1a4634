"""How do the weights and overlaps of a network of N units move, under any optimiser?

By simulation: this is what theories of overlaps are held against.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from slowpoint.cells.low_rank import LowRank
from slowpoint.core.chance import generator
from slowpoint.core.nonlinearity import identity, Nonlinearity
from slowpoint.core.precision import float64, widen
from slowpoint.core.result import Result
from slowpoint.core.system import System
from slowpoint.learning.descend import descend
from slowpoint.learning.grid import At
from slowpoint.theory.latent import Latent
from slowpoint.theory.mean_field import overlap_velocity, SystemLoss, units_of
from slowpoint.theory.overlap_learning import sensitivity
from slowpoint.theory.overlaps import as_network, columns_of, Dims, realise


class OfOverlaps(eqx.Module):
    """A loss of Systems as one of overlaps, for `learn`: that of the latent flow."""

    loss: SystemLoss
    dims: Dims = eqx.field(static=True, default=Dims())
    nonlinearity: Nonlinearity = eqx.field(static=True, default=identity)
    dt: float = eqx.field(static=True, default=0.05)

    def __call__(self, sigma: Float[Array, "column column"], key: PRNGKeyArray | None):
        return self.loss(Latent(sigma, self.dims, self.nonlinearity, self.dt), key)


class NetworkHistory(Result):
    """One network while it learns."""

    losses: Float[np.ndarray, " step"]  # before each step, and after the last; NaN: not finite
    epochs: Int[np.ndarray, " record"]  # of the records below
    columns: Float[np.ndarray, "record unit column"]  # P = [M | U | V | Z]

    @property
    def overlaps(self) -> Float[np.ndarray, "record column column"]:
        """Sigma."""
        return np.swapaxes(self.columns, 1, 2) @ self.columns / self.columns.shape[1]


@eqx.filter_jit
def _value(loss, network, key):
    return loss(network, key)


def learn_network(
    loss: SystemLoss,
    network: LowRank,
    optimiser: optax.GradientTransformation,
    *,
    updates: int,
    every: int,
    key: PRNGKeyArray,
) -> NetworkHistory:
    """Train all weights of `network` on `loss`, a record each `every` updates, in float64.

    Overlaps that learn at the rate eta are those of `optax.sgd(eta * units)`. Raises ValueError
    when `every` does not divide `updates`.
    """
    if updates % every:
        raise ValueError(f"{updates} updates, every={every}: give a divisor.")
    with float64():
        loss = widen(loss)
        found = descend(
            widen(network),
            loss,
            updates=updates,
            key=key,
            optimiser=optimiser,
            snapshots=At(tuple(range(0, updates + 1, every))),
        )
        columns = np.asarray(jax.vmap(columns_of)(found.snapshots))
        last = jr.fold_in(key, updates)
        final = _value(loss, found.system, last) if found.stopped < 0 else jnp.nan
        return NetworkHistory(
            np.append(found.losses, float(final)), found.snapshot_updates, columns
        )


def apart(
    one: Float[np.ndarray, "*#many column column"],
    other: Float[np.ndarray, "*#many column column"],
) -> np.ndarray:
    """The Frobenius norm of the difference, over that of the other; leading axes broadcast."""
    size = lambda matrices: np.linalg.norm(matrices, axis=(-2, -1))
    return np.asarray(size(one - other) / size(other))


def velocity_error(
    loss: SystemLoss, latent: Latent, units: int, keys: Key[Array, " network"]
) -> Float[np.ndarray, " network"]:
    r"""How wrong $d\Sigma/ds = -2 (S \Sigma + \Sigma S)$ is for networks of N units, relative.

    One network per key, of Gaussian columns whose overlaps are exactly those of `latent`: what
    is left is that N units are no Gaussian, about $N^{-1/2}$. `loss` is exact: its key is None.
    """
    dims, nonlinearity, dt = latent.dims, latent.nonlinearity, latent.dt
    with float64():
        sigma = np.asarray(latent.sigma, float)
        closed = OfOverlaps(widen(loss), dims, nonlinearity, dt)
        s = _sensitivity(closed, jnp.asarray(sigma))
        half = sigma @ np.asarray(s)
    errors = []
    for key in keys:
        columns = realise(sigma, units, jr.fold_in(key, units))
        with float64():
            cloud = units_of(as_network(columns, dims, dt, nonlinearity))
        errors.append(apart(overlap_velocity(loss, cloud), -2 * (half + half.T)))
    return np.array(errors)


@eqx.filter_jit
def _sensitivity(loss, sigma):
    return sensitivity(loss, sigma, None)[1]


def output_error(
    outputs: Callable[[System], Array], columns: Float[np.ndarray, "unit column"], like: Latent
) -> float:
    """How far off overlaps are when they say what the network of `columns` does.

    `outputs(system)` of the latent flow at its overlaps less that of the network itself, root
    mean squares, relative. `like` gives dims, nonlinearity and dt.
    """
    dims, nonlinearity, dt = like.dims, like.nonlinearity, like.dt
    with float64():
        sigma = jnp.asarray(columns.T @ columns / len(columns))
        true = outputs(as_network(columns, dims, dt, nonlinearity))
        said = outputs(Latent(sigma, dims, nonlinearity, dt))
        return float(jnp.linalg.norm(said - true) / jnp.linalg.norm(true))


def balanced_columns(
    units: int, key: PRNGKeyArray, within: float = 1e-3
) -> Float[np.ndarray, "unit 4"]:
    """Gaussian columns m, u, v, z of length sqrt(N) with zu = vm and mu = zv, nearly.

    They are redrawn until both pairs differ by less than `within` and have equal signs: the
    start of figures 4 and 8 of Ger and Barak (2026). For 600 units that takes a few thousand
    draws. Raises ValueError for less than 8 units or when `within` is not above 0.
    """
    if units < 8 or not within > 0:
        raise ValueError(f"units={units}, within={within}: give 8 or more, and more than 0.")
    chance = generator(key)
    while True:
        columns = chance.standard_normal((units, 4))
        columns *= np.sqrt(units) / np.linalg.norm(columns, axis=0)
        zu, vm, mu, zv = (columns.T @ columns / units)[[3, 2, 0, 3], [1, 0, 1, 2]]
        if max(abs(zu - vm), abs(mu - zv)) < within and min(zu * vm, mu * zv) > 0:
            return columns
