"""The unforced Duffing oscillator: two wells, one saddle, a separatrix that spirals."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.system import Flow


class Duffing(Flow):
    r"""$\dot x = v$, $\dot v = x - x^3 - \delta v$. Wells at $x = \pm 1$, saddle at 0.

    Rates at the wells $(-\delta \pm \sqrt{\delta^2 - 8}) / 2$, at the saddle
    $(-\delta \pm \sqrt{\delta^2 + 4}) / 2$. State `[x, v]`.
    """

    damping: float | Float[Array, ""] = 1.0  # delta
    dt: float = eqx.field(static=True, default=0.05)
    state_size: int = eqx.field(static=True, default=2, init=False)
    input_size: int = eqx.field(static=True, default=0, init=False)
    output_size: int = eqx.field(static=True, default=2, init=False)

    def velocity(self, x, u):
        position, speed = x
        return jnp.stack([speed, position - position**3 - self.damping * speed])

    def output(self, x):
        return x

    def lipschitz_bound(self, x, u, radius):
        return 6 * (jnp.abs(x[0]) + radius)  # of -3 x^2, the one entry that varies


def example(key: PRNGKeyArray) -> Duffing:
    """The one of the separatrix literature; nothing is drawn."""
    del key
    return Duffing()
