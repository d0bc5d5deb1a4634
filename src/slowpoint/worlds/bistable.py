"""A double well along one axis: the smallest system with a separatrix."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from slowpoint.core.system import Flow

REACH = 2.0  # half-width of the box


class Bistable(Flow):
    r"""$\dot x_p = x_p - x_p^3$ along `axis` p, $\dot x_j = -x_j$ elsewhere.

    Attractors at $x_p = \pm 1$ (rates -2 and -1), saddle at 0 (rates 1 and -1), separatrix
    the plane $x_p = 0$; $x_p$ solves the squashed Koopman equation at rate 1 (Dabholkar and
    Barak 2025, arXiv:2505.15231).
    """

    size: int = eqx.field(static=True, default=2)
    axis: int = eqx.field(static=True, default=0)  # p
    dt: float = eqx.field(static=True, default=0.05)
    input_size: int = eqx.field(static=True, default=0, init=False)

    def __check_init__(self):
        if not 0 <= self.axis < self.size:
            raise ValueError(
                f"axis={self.axis} is not among the {self.size} coordinates. "
                f"Give size=1 or more and an axis from 0 to size - 1."
            )

    @property
    def state_size(self):
        return self.size

    @property
    def output_size(self):
        return self.size

    def velocity(self, x, u):
        return (-x).at[self.axis].set(x[self.axis] - x[self.axis] ** 3)

    def output(self, x):
        return x

    def box(self, u):
        if self.dt * (3 * REACH**2 - 1) > 1:
            return None  # a longer Euler step can jump out at the far side
        corner = jnp.full(self.size, REACH)
        return -corner, corner

    def lipschitz_bound(self, x, u, radius):
        return 6 * (jnp.abs(x[self.axis]) + radius)  # of -3 x_p^2, the one entry that varies


def example(key: PRNGKeyArray) -> Bistable:
    """Three coordinates; nothing is drawn."""
    del key
    return Bistable(size=3, axis=1)
