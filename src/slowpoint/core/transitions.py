"""Which state follows which, when what is done? All pairs of a small world."""

import jax.random as jr
import numpy as np
from jaxtyping import Bool, Float, Int, PRNGKeyArray

from slowpoint.core.result import Result


class Transitions(Result):
    """Pairs (state, action) and the state they lead to, with where every state lies."""

    state: Int[np.ndarray, " pair"]
    action: Int[np.ndarray, " pair"]  # a number from 0, not a length
    target: Int[np.ndarray, " pair"]
    reach: Int[np.ndarray, " pair"]  # how far the action goes, along its longest axis
    places: Float[np.ndarray, "state axis"]  # the latent: coordinates of every state
    n_actions: int

    @property
    def n_states(self) -> int:
        """S."""
        return len(self.places)

    @property
    def latent(self) -> Float[np.ndarray, "pair axis"]:
        """Where each pair leads to."""
        return self.places[self.target]

    @property
    def near(self) -> Bool[np.ndarray, " pair"]:
        """Pairs that go one step at most: at every horizon the same cloud, so comparable."""
        return self.reach <= 1

    def rows(self, mask: Bool[np.ndarray, " pair"]) -> "Transitions":
        """The pairs where `mask` holds, of the same states and actions."""
        return Transitions(
            self.state[mask],
            self.action[mask],
            self.target[mask],
            self.reach[mask],
            self.places,
            self.n_actions,
        )

    def one_hot(self) -> Float[np.ndarray, "pair input"]:
        """X: rows [e_s ; e_a], the states before the actions."""
        where = np.stack([self.state, self.n_states + self.action], axis=1)
        return np.eye(self.n_states + self.n_actions)[where].sum(axis=1)

    def targets(self) -> Float[np.ndarray, "pair state"]:
        """Y: rows e_t."""
        return np.eye(self.n_states)[self.target]

    def refuse_unseen(self) -> None:
        """Raise ValueError when some state is never a target: order and NC1 lack it."""
        missing = np.setdiff1d(np.arange(self.n_states), self.target)
        if missing.size:
            raise ValueError(
                f"No pair leads to the states {', '.join(map(str, missing))} of "
                f"{self.n_states}. Give them a pair, or leave them out of the world."
            )


def held_out(
    transitions: Transitions, share: float, key: PRNGKeyArray
) -> Bool[np.ndarray, " pair"]:
    """Which pairs to keep for a test: `share` of them or as many as may go.

    Each state, action and target keeps at least one pair to learn from. Raises ValueError on
    a share that is not in [0, 1).
    """
    if not 0 <= share < 1:
        raise ValueError(f"share={share}: give a number from 0 to below 1.")
    t = transitions
    sides = [(t.state, t.n_states), (t.action, t.n_actions), (t.target, t.n_states)]
    left = [np.bincount(side, minlength=size) for side, size in sides]
    mask = np.zeros(len(t.state), bool)
    for pair in np.asarray(jr.permutation(key, len(mask))):
        if mask.sum() >= int(share * len(mask)):
            break
        if all(count[side[pair]] > 1 for count, (side, _) in zip(left, sides)):
            mask[pair] = True
            for count, (side, _) in zip(left, sides):
                count[side[pair]] -= 1
    return mask
