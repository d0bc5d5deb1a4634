"""A double well seen in slanted coordinates: its separatrix is a known oblique line."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from slowpoint.core.system import Flow

REACH = (2.0, 0.5)  # half-widths of the box
STEEPEST = 3 * 2.5**2 - 1  # decay of x_1 in the box, where x_1 + x_2 = 2.5


class AffineBistable(Flow):
    r"""$\dot x_1 = x_1 + 2 x_2 - (x_1 + x_2)^3$, $\dot x_2 = -x_2$.

    In $s = x_1 + x_2$ this is $\dot s = s - s^3$. Attractors at $(\pm 1, 0)$ (rates -2 and -1),
    saddle at 0 (rates 1 and -1), separatrix $s = 0$; s solves the squashed Koopman equation at
    rate 1 (Dabholkar and Barak 2025, arXiv:2505.15231).
    """

    dt: float = eqx.field(static=True, default=0.05)
    state_size: int = eqx.field(static=True, default=2, init=False)
    input_size: int = eqx.field(static=True, default=0, init=False)
    output_size: int = eqx.field(static=True, default=2, init=False)

    def velocity(self, x, u):
        return jnp.stack([x[0] + 2 * x[1] - (x[0] + x[1]) ** 3, -x[1]])

    def output(self, x):
        return x

    def box(self, u):
        if self.dt * STEEPEST > 1:
            return None  # a longer Euler step can jump out at the far side
        corner = jnp.array(REACH)
        return -corner, corner

    def lipschitz_bound(self, x, u, radius):
        # of -3 s^2 in a row of two entries: |s - s'| <= sqrt(2) |x - x'|
        return 12 * (jnp.abs(x[0] + x[1]) + 2**0.5 * radius)


def example(key: PRNGKeyArray) -> AffineBistable:
    """The only one; nothing is drawn."""
    del key
    return AffineBistable()
