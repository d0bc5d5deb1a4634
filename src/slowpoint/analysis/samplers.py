"""Where in state space is an equation asked to hold? (Dabholkar and Barak 2025.)

Samples must reach the whole separatrix that is wanted, and centre on a point of it, best the
saddle: off it, a fit fails in silence.
"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.clock import RungeKutta
from slowpoint.core.system import System

Numbers = Array | np.ndarray
TICKS = 10  # Runge-Kutta steps in which `anisotropic` moves its samples along a flow


def _floats(value) -> Array:
    return jnp.asarray(value, float)


class Sampler(eqx.Module):
    """A distribution over states."""

    @abc.abstractmethod
    def draw(self, key: PRNGKeyArray, count: int) -> Float[Array, "count state"]:
        """`count` independent states."""


class Gaussian(Sampler):
    """N(centre, variance I). `variance` is s_k of the paper: the deviation is its root."""

    centre: Float[Array, " state"] = eqx.field(converter=_floats)
    variance: Float[Array, ""] = eqx.field(converter=_floats)

    def __check_init__(self):
        _refuse(self.variance > 0, f"variance={self.variance}", "a variance > 0")

    def draw(self, key, count):
        noise = jr.normal(key, (count, len(self.centre)), self.centre.dtype)
        return self.centre[None] + jnp.sqrt(self.variance) * noise


class Uniform(Sampler):
    """Evenly in the box between two corners."""

    low: Float[Array, " state"] = eqx.field(converter=_floats)
    high: Float[Array, " state"] = eqx.field(converter=_floats)

    def __check_init__(self):
        _refuse(self.low < self.high, f"low={self.low}, high={self.high}", "low < high")

    def draw(self, key, count):
        share = jr.uniform(key, (count, len(self.low)), self.low.dtype)
        return self.low[None] + (self.high - self.low)[None] * share


class Gamma(Sampler):
    """Each coordinate Gamma distributed, so never negative: abundances.

    Highest density at `mode`; where `deviation` (standard) is 0 the coordinate stays at it.
    """

    mode: Float[Array, " state"] = eqx.field(converter=_floats)
    deviation: Float[Array, " state"] = eqx.field(converter=_floats)

    def __check_init__(self):
        fine = (self.mode >= 0) & (self.deviation >= 0)
        _refuse(fine, f"mode={self.mode}, deviation={self.deviation}", "numbers >= 0")

    def draw(self, key, count):
        # mode = (shape - 1) scale, deviation^2 = shape scale^2
        scale = (jnp.sqrt(self.mode**2 + 4 * self.deviation**2) - self.mode) / 2
        shape = 1 + self.mode / jnp.where(scale > 0, scale, 1.0)
        drawn = scale[None] * jr.gamma(key, shape[None], (count, len(self.mode)), shape.dtype)
        return jnp.where(scale[None] > 0, drawn, self.mode[None])


class Beta(Sampler):
    """Each coordinate Beta distributed between `low` and `high`, highest density at `mode`.

    `concentration` 0 is uniform; the deviation falls like one over its root.
    """

    low: Float[Array, " state"] = eqx.field(converter=_floats)
    high: Float[Array, " state"] = eqx.field(converter=_floats)
    mode: Float[Array, " state"] = eqx.field(converter=_floats)
    concentration: Float[Array, ""] = eqx.field(converter=_floats)

    def __check_init__(self):
        fine = (self.low <= self.mode) & (self.mode <= self.high) & (self.low < self.high)
        came = f"low={self.low}, mode={self.mode}, high={self.high}"
        _refuse(fine, came, "low <= mode <= high, low < high")
        _refuse(self.concentration >= 0, f"concentration={self.concentration}", "0 or more")

    def draw(self, key, count):
        reach = self.high - self.low
        share = self.concentration * (self.mode - self.low) / reach
        a, b = 1 + share, 1 + self.concentration - share
        return self.low[None] + reach[None] * jr.beta(key, a[None], b[None], (count, len(a)))


class Correlated(Sampler):
    """N(centre, root root^T)."""

    centre: Float[Array, " state"] = eqx.field(converter=_floats)
    root: Float[Array, "state state"] = eqx.field(converter=_floats)

    def draw(self, key, count):
        noise = jr.normal(key, (count, len(self.centre)), self.centre.dtype)
        return self.centre[None] + noise @ self.root.T


def anisotropic(
    system: System,
    hold: Float[Numbers, " input"],
    centre: Float[Numbers, " state"],
    along: Float[Numbers, " state"],
    across: float,
    *,
    time: float = 0.2,
    count: int = 4096,
    key: PRNGKeyArray,
) -> Correlated:
    r"""Long between the attractors, thin elsewhere, then bent as the dynamics bend it.

    $N(centre, p^2 I + (\ell^2 - p^2) u u^T)$ with `along` = l u and `across` = p, both in
    standard deviations; `count` samples of it move for `time`, in the unit of the rates, and
    mean and covariance are fitted to where they are. A Map moves by whole steps, at least one.
    """
    centre, along = _floats(centre), _floats(along)
    long = jnp.linalg.norm(along)
    _refuse(jnp.stack([long, jnp.asarray(across)]) > 0, f"{long}, {across}", "lengths > 0")
    unit = along / long
    first = across * jnp.eye(len(centre)) + (long - across) * jnp.outer(unit, unit)
    moved = _move(system, _floats(hold), Correlated(centre, first).draw(key, count), time)
    covariance = jnp.atleast_2d(jnp.cov(moved, rowvar=False))
    sizes, vectors = jnp.linalg.eigh(covariance)
    return Correlated(moved.mean(axis=0), vectors * jnp.sqrt(jnp.maximum(sizes, 0.0))[None])


@eqx.filter_jit
def _move(system: System, hold, states, time):
    clock = system if system.discrete else RungeKutta(system, time / TICKS)
    ticks = max(1, round(time / clock.dt))

    def run(x):
        return jax.lax.fori_loop(0, ticks, lambda _, x: clock.step(x, hold), x)

    return jax.vmap(run)(states)


def _refuse(fine, came: str, asked: str) -> None:
    if not isinstance(fine, Tracer) and not np.asarray(fine).all():
        raise ValueError(f"{came}: give {asked}.")
