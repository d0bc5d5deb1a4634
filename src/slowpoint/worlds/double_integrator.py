"""A unit mass on a line: force in, position out."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from slowpoint.core.system import Flow


class DoubleIntegrator(Flow):
    r"""$\dot x = v$, $\dot v = u$, $y = x$. State `[x, v]`.

    One step is $A x + B u$ with $A = [[1, dt], [0, 1]]$ and $B = [0, dt]$, the plant of Ger and
    Barak (2025), arXiv:2505.13567, at dt = 1.
    """

    dt: float = eqx.field(static=True, default=1.0)
    state_size: int = eqx.field(static=True, default=2, init=False)
    input_size: int = eqx.field(static=True, default=1, init=False)
    output_size: int = eqx.field(static=True, default=1, init=False)

    def velocity(self, x, u):
        return jnp.stack([x[1], u[0]])

    def output(self, x):
        return x[:1]

    def lipschitz_bound(self, x, u, radius):
        return jnp.zeros(())


def example(key: PRNGKeyArray) -> DoubleIntegrator:
    """The plant in short steps; nothing is drawn."""
    del key
    return DoubleIntegrator(dt=0.1)
