"""A line of places: where does so many steps lead, if not into a wall?

Ratzon and Barak (2025), Multi-step predictive coding leads to simplicity bias,
arXiv:2511.09290.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from slowpoint.core.system import Map
from slowpoint.core.transitions import Transitions


class Corridor(Map):
    """The state is the place, from 0 to size - 1; the input, steps to walk. Walls stop."""

    size: int = eqx.field(static=True, default=20)  # S
    dt: float = eqx.field(static=True, default=1.0)
    state_size: int = eqx.field(static=True, default=1, init=False)
    input_size: int = eqx.field(static=True, default=1, init=False)
    output_size: int = eqx.field(static=True, default=1, init=False)

    def step(self, x, u):
        return jnp.clip(x + u, 0.0, self.size - 1.0)

    def output(self, x):
        return x

    def box(self, u):
        return jnp.zeros(1), jnp.full(1, self.size - 1.0)


def corridor(size: int, horizon: int, lengths: tuple[int, ...] | None = None) -> Transitions:
    """All pairs of S = `size` places and actions -A to A that stay inside: SB - A(A+1) of them.

    `lengths`: other actions than those. Pairs that would leave are dropped, not clamped: only
    so is the least-squares predictor known (`theory.prediction`). Raises ValueError unless
    1 <= A <= S - 1.
    """
    refuse_horizon(size, horizon)
    steps = np.array(lengths) if lengths else np.arange(-horizon, horizon + 1)
    if len(np.unique(steps)) < len(steps) or np.abs(steps).max() >= size:
        raise ValueError(f"lengths={lengths}: give different ones, shorter than {size}.")
    state, action = np.divmod(np.arange(size * len(steps)), len(steps))
    target = state + steps[action]
    inside = (target >= 0) & (target < size)
    places = np.arange(size, dtype=float)[:, None]
    reach = np.abs(steps)[action]
    return Transitions(state, action, target, reach, places, len(steps)).rows(inside)


def corridors(count: int, size: int, horizon: int) -> Transitions:
    """`count` corridors that share nothing: states and actions of each are its own.

    State and action i of corridor k have the numbers kS + i and kB + i. The latent is the
    place within the corridor. Raises ValueError for less than one corridor, and see `corridor`.
    """
    if count < 1:
        raise ValueError(f"count={count}: give 1 corridor or more.")
    one = corridor(size, horizon)
    which = np.repeat(np.arange(count), len(one.state))
    state, action, target, reach = (
        np.tile(part, count) for part in (one.state, one.action, one.target, one.reach)
    )
    return Transitions(
        state + size * which,
        action + one.n_actions * which,
        target + size * which,
        reach,
        np.tile(one.places, (count, 1)),
        count * one.n_actions,
    )


def refuse_horizon(size: int, horizon: int) -> None:
    """Raise ValueError unless an action may go that far."""
    if not 1 <= horizon <= size - 1:
        raise ValueError(
            f"A={horizon} steps in a world of S={size} places: give 1 <= A <= {size - 1}."
        )


def example(key: PRNGKeyArray) -> Corridor:
    """Ten places; nothing is drawn."""
    del key
    return Corridor(size=10)
