"""Rate network whose recurrent weights are a sum of few outer products.

Mastrogiuseppe and Ostojic (2018), Neuron 99, 609; letters and learning as in Ger and Barak
(2026), arXiv:2605.04115, eq. 1.
"""

import math
from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.nonlinearity import tanh
from slowpoint.core.system import Flow


class LowRank(Flow):
    r"""$\dot x = -x + s\, U V^\top \phi(x) + M u$, $y = s\, Z^\top \phi(x)$.

    `scale` s is 1/N when None. Time in units of tau.
    """

    encoder: Float[Array, "units input"]  # M: where the input pushes
    left: Float[Array, "units rank"]  # U: where the recurrence pushes
    right: Float[Array, "units rank"]  # V: what the recurrence reads
    readout: Float[Array, "units output"]  # Z: what the outside reads
    dt: float = eqx.field(static=True, default=0.1)
    scale: float | None = eqx.field(static=True, default=None)
    nonlinearity: Callable[[Array], Array] = eqx.field(static=True, default=tanh)  # phi

    @classmethod
    def random(
        cls, state_size, input_size, output_size, *, rank=1, overlap=0.0, dt=0.1, key
    ) -> "LowRank":
        """Standard Gaussian vectors; `overlap` is the mean of `right * left`, rank by rank."""
        m, u, v, z = jr.split(key, 4)
        left = jr.normal(u, (state_size, rank))
        right = overlap * left + jr.normal(v, (state_size, rank))
        encoder = jr.normal(m, (state_size, input_size))
        return cls(encoder, left, right, jr.normal(z, (state_size, output_size)), dt)

    @property
    def state_size(self):
        return self.left.shape[0]

    @property
    def input_size(self):
        return self.encoder.shape[1]

    @property
    def output_size(self):
        return self.readout.shape[1]

    @property
    def strength(self) -> float:
        """The factor s before the recurrence and the readout."""
        return 1 / self.state_size if self.scale is None else self.scale

    def encode(self, u):
        return u @ self.encoder.T

    def velocity(self, x, u):
        return self.pull(x) + self.encode(u)

    def advance(self, x, drive):
        return x + self.dt * (self.pull(x) + drive)

    def pull(self, x):
        """The velocity without input; costs N x rank, not N x N."""
        latent = self.strength * (self.nonlinearity(x) @ self.right)
        return latent @ self.left.T - x

    def output(self, x):
        return self.strength * (self.nonlinearity(x) @ self.readout)

    def box(self, u):
        largest = max(
            abs(getattr(self.nonlinearity, "low", -math.inf)),
            abs(getattr(self.nonlinearity, "high", math.inf)),
        )
        if math.isinf(largest):
            return None
        latent = self.strength * largest * jnp.abs(self.right).sum(axis=0)
        reach = jnp.abs(self.left) @ latent
        return self.encode(u) - reach, self.encode(u) + reach

    def lipschitz_bound(self, x, u, radius):
        curvature = getattr(self.nonlinearity, "curvature", math.nan)
        spread = jnp.linalg.norm(self.left, 2) * jnp.linalg.norm(self.right, 2)
        return curvature * self.strength * spread


def example(key: PRNGKeyArray) -> LowRank:
    """A small one, for the contract tests."""
    return LowRank.random(8, 2, 2, rank=2, key=key)
