"""A unit mass in the plane: two forces in, its place out."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from slowpoint.core.system import Map


class Plane(Map):
    r"""$x' = x + dt\,v_x$, $v_x' = v_x + dt\,u_x$, and so for y. State `[x, vx, y, vy]`.

    Places and velocities stay within `limit`, where one is given: an untrained controller
    does not drive the mass to infinity. (Tracking task of Ger and Barak 2025,
    arXiv:2505.13567, whose limit is 10.)
    """

    dt: float = eqx.field(static=True, default=0.1)
    limit: float | None = eqx.field(static=True, default=None)
    state_size: int = eqx.field(static=True, default=4, init=False)
    input_size: int = eqx.field(static=True, default=2, init=False)
    output_size: int = eqx.field(static=True, default=2, init=False)

    def __check_init__(self):
        if self.limit is not None and not self.limit > 0:
            raise ValueError(f"limit={self.limit}: give a distance above 0, or None.")

    def step(self, x, u):
        moved = x + self.dt * jnp.stack([x[1], u[0], x[3], u[1]])
        return moved if self.limit is None else jnp.clip(moved, -self.limit, self.limit)

    def output(self, x):
        return x[::2]


def example(key: PRNGKeyArray) -> Plane:
    """The plane of the tracking task; nothing is drawn."""
    del key
    return Plane(limit=10.0)
