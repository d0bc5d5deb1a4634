"""Species that grow and hinder each other (generalised Lotka and Volterra)."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.system import Flow


class LotkaVolterra(Flow):
    r"""$\dot x_i = x_i (\rho_i + \sum_j K_{ij} x_j)$.

    A species that is absent stays absent, so every face of the positive orthant is invariant.
    Time in the unit of `growth`: days for the gut bacteria of Stein et al. (2013).
    """

    growth: Float[Array, " state"]  # rho
    interactions: Float[Array, "state state"]  # K: row = affected, column = acting
    dt: float = eqx.field(static=True, default=0.05)
    input_size: int = eqx.field(static=True, default=0, init=False)

    @property
    def state_size(self):
        return self.growth.shape[0]

    @property
    def output_size(self):
        return self.growth.shape[0]

    def velocity(self, x, u):
        return x * (self.growth + self.interactions @ x)

    def output(self, x):
        return x

    def jacobian(self, x, u):
        share = self.growth + self.interactions @ x  # growth per head
        return jnp.diag(share) + x[:, None] * self.interactions

    def lipschitz_bound(self, x, u, radius):
        rows = jnp.linalg.norm(self.interactions, axis=1)
        return rows.max() + jnp.linalg.norm(self.interactions, 2)


def example(key: PRNGKeyArray) -> LotkaVolterra:
    """Four species that limit themselves more than each other."""
    grow, hinder = jr.split(key)
    interactions = 0.3 * jr.normal(hinder, (4, 4)) - jnp.eye(4)
    return LotkaVolterra(jr.uniform(grow, (4,), minval=0.5, maxval=1.0), interactions)
