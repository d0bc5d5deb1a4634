"""What do overlaps go through when a network learns several things, one after another?"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from slowpoint.core.result import Result
from slowpoint.theory.overlap_learning import learn, Loss, OverlapHistory
from slowpoint.theory.overlaps import Overlaps


class Phase(NamedTuple):
    """`epochs` steps of gradient descent on `loss` at the rate `eta`."""

    loss: Loss  # exact: it is called without a key
    epochs: int
    eta: float


class Path(Result):
    """Overlaps through phases, a record each few epochs."""

    epochs: Int[np.ndarray, " record"]  # since the first phase began
    ends: Int[np.ndarray, " phase"]  # the record at which each phase ends
    losses: Float[np.ndarray, " record"]  # of the phase; where one ends, of the next
    overlaps: Float[np.ndarray, "record column column"]  # Sigma

    def after(self, phase: int) -> Float[np.ndarray, "column column"]:
        """Sigma when the phase (0 is the first) ends."""
        return self.overlaps[self.ends[phase]]


def through(phases: Sequence[Phase], sigma: Overlaps, *, every: int) -> Path:
    """Gradient descent from `sigma` through `phases`, a record each `every` epochs.

    Raises ValueError when `every` does not divide the epochs of a phase.
    """
    parts: list[OverlapHistory] = []
    for phase in phases:
        start = parts[-1].final if parts else sigma
        parts.append(learn(phase.loss, start, eta=phase.eta, steps=phase.epochs, every=every))
    begins = np.cumsum([0, *(phase.epochs for phase in phases)])
    return Path(
        _joined([part.epochs + begin for part, begin in zip(parts, begins)]),
        begins[1:] // every,
        _joined([part.losses[part.epochs] for part in parts]),
        _joined([part.overlaps for part in parts]),
    )


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    """One after another; each begins where the one before ends."""
    return np.concatenate([*(part[:-1] for part in parts), parts[-1][-1:]])
