"""A double well beside a detour: two coordinates that grow before they decay."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from slowpoint.core.system import Flow

REACH = (2.0, 2.0, 22.0, 2.0)  # half-widths of the box; x_4 drives x_3 tenfold


class NonnormalBistable(Flow):
    r"""$\dot x = (x_1 - x_1^3, \, -x_2, \, -x_3 + 10 x_4, \, -2 x_4)$.

    Attractors at $x_1 = \pm 1$ (rates -1, -1, -2, -2), saddle at 0 (1, -1, -1, -2), separatrix
    $x_1 = 0$. The block of $x_3, x_4$ is not normal: $x_4$ shows up in $x_3$ amplified by
    $10 (e^{-t} - e^{-2t})$, up to 2.5 at $t = \ln 2$ (Dabholkar and Barak 2025,
    arXiv:2505.15231).
    """

    dt: float = eqx.field(static=True, default=0.05)
    state_size: int = eqx.field(static=True, default=4, init=False)
    input_size: int = eqx.field(static=True, default=0, init=False)
    output_size: int = eqx.field(static=True, default=4, init=False)

    def velocity(self, x, u):
        return jnp.stack([x[0] - x[0] ** 3, -x[1], -x[2] + 10 * x[3], -2 * x[3]])

    def output(self, x):
        return x

    def box(self, u):
        if self.dt * (3 * REACH[0] ** 2 - 1) > 1:
            return None  # a longer Euler step can jump out at the far side
        corner = jnp.array(REACH)
        return -corner, corner

    def lipschitz_bound(self, x, u, radius):
        return 6 * (jnp.abs(x[0]) + radius)  # of -3 x_1^2, the one entry that varies


def example(key: PRNGKeyArray) -> NonnormalBistable:
    """The only one; nothing is drawn."""
    del key
    return NonnormalBistable()
