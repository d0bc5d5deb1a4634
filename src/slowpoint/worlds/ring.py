"""Places on a ring: where do so many steps around it lead?

Ratzon and Barak (2025), arXiv:2511.09290, asks it of lines; the ring is ours.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from slowpoint.core.system import Map
from slowpoint.core.transitions import Transitions


class Ring(Map):
    """The state is (cos, sin) of the place's angle; the input, steps of 1/size of a turn."""

    size: int = eqx.field(static=True, default=20)  # S
    dt: float = eqx.field(static=True, default=1.0)
    state_size: int = eqx.field(static=True, default=2, init=False)
    input_size: int = eqx.field(static=True, default=1, init=False)
    output_size: int = eqx.field(static=True, default=2, init=False)

    @property
    def initial(self):
        return jnp.array([1.0, 0.0])

    def step(self, x, u):
        angle = 2 * jnp.pi * u[0] / self.size
        cos, sin = jnp.cos(angle), jnp.sin(angle)
        return jnp.stack([cos * x[0] - sin * x[1], sin * x[0] + cos * x[1]])

    def output(self, x):
        return x

    def lipschitz_bound(self, x, u, radius):
        return jnp.zeros(())  # a rotation


def ring_world(size: int, horizon: int) -> Transitions:
    """All SB pairs of S = `size` places and actions -A to A, B = 2A + 1, around the ring.

    The latent is (cos, sin) of the angle. Raises ValueError unless A >= 1 and B <= S: else
    two actions would be one.
    """
    most = (size - 1) // 2
    if not 1 <= horizon <= most:
        raise ValueError(
            f"A={horizon} steps on a ring of S={size} places: give 1 <= A <= {most}, so that "
            f"no two of the {2 * horizon + 1} actions are the same."
        )
    steps = np.arange(-horizon, horizon + 1)
    state, action = np.divmod(np.arange(size * len(steps)), len(steps))
    angle = 2 * np.pi * np.arange(size) / size
    places = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    target = (state + steps[action]) % size
    return Transitions(state, action, target, np.abs(steps)[action], places, len(steps))


def example(key: PRNGKeyArray) -> Ring:
    """Twelve places; nothing is drawn."""
    del key
    return Ring(size=12)
