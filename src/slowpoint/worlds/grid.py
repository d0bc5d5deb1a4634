"""Places on a square: where do so many steps along its axes lead?

Ratzon and Barak (2025), arXiv:2511.09290.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from slowpoint.core.system import Map
from slowpoint.core.transitions import Transitions


class Grid(Map):
    """The state is (row, column), from 0 to size - 1; the input, steps along each."""

    size: int = eqx.field(static=True, default=8)  # S
    dt: float = eqx.field(static=True, default=1.0)
    state_size: int = eqx.field(static=True, default=2, init=False)
    input_size: int = eqx.field(static=True, default=2, init=False)
    output_size: int = eqx.field(static=True, default=2, init=False)

    def step(self, x, u):
        return jnp.clip(x + u, 0.0, self.size - 1.0)

    def output(self, x):
        return x

    def box(self, u):
        return jnp.zeros(2), jnp.full(2, self.size - 1.0)


def grid(size: int, horizon: int, moves: str = "axis") -> Transitions:
    """All pairs of S x S places and moves that stay inside.

    "axis": -A to A along one axis, 4A + 1 moves. "square": along both, (2A + 1)^2 moves.
    Raises ValueError on other moves and unless 1 <= A <= S - 1.
    """
    if not 1 <= horizon <= size - 1:
        raise ValueError(
            f"A={horizon} steps on a grid of {size} x {size}: give 1 <= A <= {size - 1}."
        )
    if moves not in ("axis", "square"):
        raise ValueError(f"moves={moves!r}: give 'axis' or 'square'.")
    along = np.arange(-horizon, horizon + 1)
    steps = np.stack(np.meshgrid(along, along, indexing="ij"), axis=-1).reshape(-1, 2)
    if moves == "axis":
        steps = steps[(steps == 0).any(axis=1)]
    state, action = np.divmod(np.arange(size**2 * len(steps)), len(steps))
    places = np.stack(np.divmod(np.arange(size**2), size), axis=1)
    there = places[state] + steps[action]
    inside = np.all((there >= 0) & (there < size), axis=1)
    target, reach = there @ [size, 1], np.abs(steps).max(axis=1)[action]
    places = places.astype(float)
    return Transitions(state, action, target, reach, places, len(steps)).rows(inside)


def example(key: PRNGKeyArray) -> Grid:
    """Five by five; nothing is drawn."""
    del key
    return Grid(size=5)
