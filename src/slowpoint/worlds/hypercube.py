"""A double well in every coordinate: an attractor at each corner of a cube."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from slowpoint.core.system import Flow

REACH = 2.0  # half-width of the box


class Hypercube(Flow):
    r"""$\dot x_i = x_i - x_i^3$ for each of `size` coordinates.

    Every $x \in \{-1, 0, 1\}^N$ rests, with rate -2 for each $\pm 1$ and 1 for each 0: $2^N$
    attractors, and a saddle with one unstable rate on each edge of the cube. The basins are
    the orthants, their separatrices the planes $x_i = 0$ (Dabholkar and Barak 2025,
    arXiv:2505.15231).
    """

    size: int = eqx.field(static=True, default=2)  # N
    dt: float = eqx.field(static=True, default=0.05)
    input_size: int = eqx.field(static=True, default=0, init=False)

    def __check_init__(self):
        if self.size < 1:
            raise ValueError(f"A cube of {self.size} dimensions. Give size=1 or more.")

    @property
    def state_size(self):
        return self.size

    @property
    def output_size(self):
        return self.size

    def velocity(self, x, u):
        return x - x**3

    def output(self, x):
        return x

    def box(self, u):
        if self.dt * (3 * REACH**2 - 1) > 1:
            return None  # a longer Euler step can jump out at the far side
        corner = jnp.full(self.size, REACH)
        return -corner, corner

    def lipschitz_bound(self, x, u, radius):
        return 6 * (jnp.abs(x).max() + radius)  # of -3 x_i^2, each alone on the diagonal


def example(key: PRNGKeyArray) -> Hypercube:
    """Three coordinates, eight attractors; nothing is drawn."""
    del key
    return Hypercube(size=3)
