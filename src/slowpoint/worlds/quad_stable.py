"""Four wells, one in each quadrant, parted by the two axes."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from slowpoint.core.system import Flow

REACH = (1.5, 2.0)  # half-widths of the box
STEEPEST = 3 * REACH[1] ** 2 + 1  # decay of y in the box, where y = 2 and x = 0


class QuadStable(Flow):
    r"""$\dot x = x - x^3 - x y^2$, $\dot y = -y + 1.5 x^2 y - y^3$. State `[x, y]`.

    Attractors at $(\pm 2, \pm 1) / \sqrt 5$ (rates $-1 \pm i \sqrt{0.6}$), saddles at 0 (rates
    1 and -1) and $(\pm 1, 0)$ (0.5 and -2). The separatrices are the axes: x = 0 belongs to the
    saddle at 0, each half of y = 0 to its own (after Dabholkar and Barak 2025,
    arXiv:2505.15231). With $+ x y^2$ nothing attracts: states escape along $x^2 = 0.8 y^2$.
    """

    dt: float = eqx.field(static=True, default=0.05)
    state_size: int = eqx.field(static=True, default=2, init=False)
    input_size: int = eqx.field(static=True, default=0, init=False)
    output_size: int = eqx.field(static=True, default=2, init=False)

    def velocity(self, x, u):
        x, y = x
        return jnp.stack([x - x**3 - x * y**2, -y + 1.5 * x**2 * y - y**3])

    def output(self, x):
        return x

    def box(self, u):
        if self.dt * STEEPEST > 1:
            return None  # a longer Euler step can jump out at the far side
        corner = jnp.array(REACH)
        return -corner, corner

    def lipschitz_bound(self, x, u, radius):
        # the second derivatives have Frobenius norm sqrt(58 x^2 + 53 y^2)
        return 58**0.5 * (jnp.linalg.norm(x) + radius)


def example(key: PRNGKeyArray) -> QuadStable:
    """The only one; nothing is drawn."""
    del key
    return QuadStable()
