"""Does this scalar grow at one steady rate along every trajectory? (Dabholkar and Barak 2025.)

A Koopman eigenfunction psi of rate lambda > 0 obeys psi(x(t)) = e^(lambda t) psi(x(0)): it is
zero on the separatrix and nowhere else near it. Any function of a state may be asked, a
network, features or a closed form. At lambda = the unstable rate of the saddle psi crosses zero
with a slope; above, ever more functions solve the equation; below, they have a cusp.
"""

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.system import System

Numbers = Array | np.ndarray
Psi = Callable[..., Array]  # one state in, a scalar or a row of scalars out


def _numbers(value) -> Numbers:
    """At full precision until it is used: JAX outside float64 would cut it."""
    return value if isinstance(value, jax.Array) else np.asarray(value, float)


class Equation(eqx.Module):
    r"""What psi obeys along a flow f: $\nabla\psi \cdot f = \lambda g(\psi)$.

    g(psi) = psi; or, squashed, psi - psi^3, solved by psi / sqrt(1 + psi^2) of a linear one:
    1 and -1 at the attractors, no poles. Along a Map: the same, integrated over dt.
    Raises ValueError unless the rate is positive and `hold` fits the system.
    """

    system: System
    hold: Float[Numbers, " input"] = eqx.field(converter=_numbers)
    rate: Float[Numbers, ""] = eqx.field(converter=_numbers)  # lambda, per unit of time
    squashed: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        if self.hold.shape != (self.system.input_size,):
            raise ValueError(
                f"hold has shape {self.hold.shape}, {type(self.system).__name__} takes "
                f"{(size := self.system.input_size)} inputs. Give hold=jnp.zeros({size})."
            )
        if not isinstance(self.rate, Tracer) and not 0 < self.rate < np.inf:
            raise ValueError(
                f"rate={self.rate}: an eigenfunction that is zero on a separatrix grows. "
                "Give a rate > 0, best the unstable rate of the saddle."
            )

    def sides(self, psi: Psi, x: Float[Array, " state"]):
        r"""`(a, b)` at `x`, equal for an eigenfunction; shapes of `psi(x)`.

        Flow: $a = \nabla\psi \cdot f / \lambda$, $b = g(\psi)$. Map: the growth of psi in one
        step, and the growth due, both over $e^{\lambda dt} - 1$: the flow's as dt goes to 0.
        """
        value, a = self.growth(psi, x)
        return a, self.due(value)

    def growth(self, psi: Psi, x: Float[Array, " state"]):
        """`(psi(x), a)`."""
        hold = jnp.asarray(self.hold)
        if self.system.discrete:
            value = psi(x)
            gain = jnp.expm1(self.rate * self.system.dt)
            return value, (psi(self.system.step(x, hold)) - value) / gain
        value, change = jax.jvp(psi, (x,), (self.system.velocity(x, hold),))
        return value, change / self.rate

    def due(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """b, where psi is `value`."""
        if not self.squashed:
            return value
        if not self.system.discrete:
            return value - value**3
        gain = jnp.expm1(self.rate * self.system.dt)  # squash(e^(lambda dt) unsquash(psi))
        later = value * (1 + gain) / jnp.sqrt(1 + value**2 * gain * (gain + 2))
        return (later - value) / gain

    def check(self, states: Float[Numbers, "sample state"]) -> None:
        """Raise ValueError unless `states` are finite states of the system."""
        size = self.system.state_size
        if states.ndim != 2 or states.shape[1] != size:
            raise ValueError(
                f"The states have shape {states.shape}, a state of "
                f"{type(self.system).__name__} has {size} numbers. Give rows of {size}."
            )
        if isinstance(states, Tracer):
            return
        if bad := int((~np.isfinite(np.asarray(states)).all(axis=1)).sum()):
            raise ValueError(
                f"{bad} of {len(states)} states are not finite. Leave them out: "
                "states[np.isfinite(states).all(axis=1)]."
            )


def residual(psi: Psi, equation: Equation, x: Float[Array, " state"]) -> Float[Array, "..."]:
    """a - b at one state: zero everywhere for an eigenfunction."""
    a, b = equation.sides(psi, x)
    return a - b


class Normaliser(eqx.Module):
    """What a squared residual is compared with, so that psi = 0 is no answer."""

    @abc.abstractmethod
    def __call__(
        self,
        a: Float[Array, "sample ..."],
        b: Float[Array, "sample ..."],
        key: PRNGKeyArray | None,
    ) -> Float[Array, "..."]:
        """Of both sides at the samples."""


class Permuted(Normaliser):
    """mean (a - b')^2, b' being b in an order drawn anew. The paper's."""

    def __call__(self, a, b, key):
        if key is None:
            raise ValueError(
                "Permuted() draws an order and needs a key: give key=jax.random.key(0), or "
                "take AllPairs(), its mean over all orders."
            )
        return ((a - jr.permutation(key, b)) ** 2).mean(axis=0)


class AllPairs(Normaliser):
    """The mean of (a_i - b_j)^2 over all pairs: the mean of `Permuted`, without its noise."""

    def __call__(self, a, b, key):
        return (a**2 + b**2).mean(axis=0) - 2 * a.mean(axis=0) * b.mean(axis=0)


class Deviations(Normaliser):
    """std a times std b."""

    def __call__(self, a, b, key):
        return a.std(axis=0) * b.std(axis=0)


class Absolute(Normaliser):
    """1: the squared residual itself. psi = 0 solves it, so the fit needs anchors."""

    def __call__(self, a, b, key):
        return jnp.ones(a.shape[1:], a.dtype)


def ratio(a, b, normaliser: Normaliser, key: PRNGKeyArray | None) -> Float[Array, ""]:
    """mean (a - b)^2 over the normaliser; the mean over outputs where psi has several."""
    return (((a - b) ** 2).mean(axis=0) / normaliser(a, b, key)).mean()


def ratio_loss(
    psi: Psi,
    equation: Equation,
    states: Float[Numbers, "sample state"],
    normaliser: Normaliser = AllPairs(),
    key: PRNGKeyArray | None = None,
) -> Float[Array, ""]:
    """How far psi is from an eigenfunction on `states`: 0 is one, about 1 is chance.

    It says nothing on which eigenfunction, or how exact its zeros are. `Permuted()` draws an
    order and raises ValueError when key is None, the others need none.
    """
    if key is None and isinstance(normaliser, Permuted):
        normaliser(jnp.zeros(1), jnp.zeros(1), None)
    equation.check(states)
    a, b = jax.vmap(lambda x: equation.sides(psi, x))(jnp.asarray(states))
    return ratio(a, b, normaliser, key)


def balance(values: Float[Array, "sample ..."]) -> Float[Array, ""]:
    """|mean / std| of psi: large when it has one sign; the mean over outputs."""
    return jnp.abs(values.mean(axis=0) / values.std(axis=0)).mean()
