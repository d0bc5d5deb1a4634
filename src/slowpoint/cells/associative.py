"""A network that an input turns towards a memory, through weights that it may learn.

Kurikawa, Barak and Kaneko (2020), Phys. Rev. Research 2, 023307, arXiv:1906.11770.
"""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.nonlinearity import tanh
from slowpoint.core.system import Flow


class Associative(Flow):
    r"""$\dot x = \tanh \beta (J x + \gamma u) - x$, $y = x$, without self-coupling.

    Each unit has its input to itself. Time in units of the leak. Raises ValueError on a weight
    of a unit to itself, a gain that is not above 0, a strength below 0, and steps of 1 or more.
    """

    recurrent: Float[Array, "state state"] | Float[np.ndarray, "state state"]  # J
    gain: float | Float[Array, ""] = 4.0  # beta
    strength: float | Float[Array, ""] = 1.0  # gamma
    dt: float = eqx.field(static=True, default=0.1)

    def __check_init__(self):
        if not 0 < self.dt < 1:
            raise ValueError(f"dt={self.dt}: give a step above 0 and below 1, the leak's time.")
        if not isinstance(self.gain, Tracer) and not np.all(np.asarray(self.gain) > 0):
            raise ValueError(f"gain={self.gain}: give beta above 0.")
        if not isinstance(self.strength, Tracer) and not np.all(np.asarray(self.strength) >= 0):
            raise ValueError(f"strength={self.strength}: give gamma, 0 or more.")
        if not isinstance(self.recurrent, Tracer) and getattr(self.recurrent, "ndim", 0) == 2:
            own = np.abs(np.diagonal(np.asarray(self.recurrent)))
            if own.size and own.max() > 0:
                raise ValueError(
                    f"J[{own.argmax()}, {own.argmax()}] = {own.max():.3g}: no unit drives "
                    "itself here. Type numpy.fill_diagonal(J, 0)"
                )

    @classmethod
    def random(cls, units: int, gain=4.0, strength=1.0, dt=0.1, *, key) -> "Associative":
        """Gaussian weights without the diagonal, each row scaled to length 1."""
        weights = jr.normal(key, (units, units)) * (1 - jnp.eye(units))
        return cls(
            weights / jnp.linalg.norm(weights, axis=1, keepdims=True), gain, strength, dt
        )

    @property
    def state_size(self):
        return self.recurrent.shape[0]

    @property
    def input_size(self):
        return self.recurrent.shape[0]

    @property
    def output_size(self):
        return self.recurrent.shape[0]

    def encode(self, u):
        return self.strength * u

    def velocity(self, x, u):
        return self.target(x, self.encode(u)) - x

    def advance(self, x, drive):
        return x + self.dt * (self.target(x, drive) - x)

    def target(self, x, drive):
        """Where the leak pulls `x`."""
        return jnp.tanh(self.gain * (x @ self.recurrent.T + drive))

    def output(self, x):
        return x

    def jacobian(self, x, u):
        slope = self.gain * (1 - self.target(x, self.encode(u)) ** 2)
        return slope[:, None] * self.recurrent - jnp.eye(self.state_size)

    def box(self, u):
        one = jnp.ones(self.state_size)  # a step is a weighted mean with a point inside
        return -one, one

    def lipschitz_bound(self, x, u, radius):
        rows = jnp.sum(jnp.asarray(self.recurrent) ** 2, axis=1)
        return tanh.curvature * self.gain**2 * jnp.linalg.norm(rows)


def example(key: PRNGKeyArray) -> Associative:
    """A small one, for the contract tests."""
    return Associative.random(6, key=key)
