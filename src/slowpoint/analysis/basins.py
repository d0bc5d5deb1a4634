"""Which attractor does each state end in, and how large are the basins?"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Array, Float, Int

from slowpoint.analysis.methods import Forward
from slowpoint.analysis.settle import settle
from slowpoint.core.result import Result
from slowpoint.core.system import System

Numbers = Array | np.ndarray
UNDECIDED, ELSEWHERE = -1, -2


class Basins(Result):
    """`labels` are rows of `attractors`; -1: still moving when stopped, -2: rests elsewhere.

    `fractions` has one entry per attractor, then undecided, then elsewhere; `errors` are
    their binomial standard errors.
    """

    attractors: Float[np.ndarray, "attractor state"]
    labels: Int[np.ndarray, " start"]
    fractions: Float[np.ndarray, " outcome"]
    errors: Float[np.ndarray, " outcome"]
    ends: Float[np.ndarray, "start state"]


def basins(
    system: System,
    starts: Float[Numbers, "start state"],
    attractors: Float[Numbers, "attractor state"],
    hold: Float[Numbers, " input"],
    *,
    near: float = 1e-3,
    until: Forward | None = None,
    seconds: float | None = None,
) -> Basins:
    """Let every start run under `hold` and see within `near` of which attractor it rests."""
    attractors = np.asarray(attractors, float)
    run = settle(system, starts, hold, until=until, seconds=seconds)
    labels = np.where(run.settled, nearest(run.ends, attractors, near), UNDECIDED)
    fractions, errors = shares(labels, len(attractors))
    return Basins(attractors, labels, fractions, errors, run.ends)


def basin_fractions(
    label: Callable[[np.ndarray], Int[np.ndarray, " start"]],
    starts: Float[Numbers, "start state"],
    attractors: int,
) -> tuple[Float[np.ndarray, " outcome"], Float[np.ndarray, " outcome"]]:
    """`(fractions, standard errors)` for any way of labelling starts: a separatrix, a rule."""
    return shares(np.asarray(label(np.asarray(starts))), attractors)


def nearest(states: np.ndarray, attractors: np.ndarray, near: float) -> np.ndarray:
    """Row of the attractor within `near` of each state, -2 where there is none."""
    if not len(attractors):
        return np.full(len(states), ELSEWHERE)
    gaps = np.linalg.norm(states[:, None] - attractors[None], axis=2)
    return np.where(gaps.min(axis=1) < near, gaps.argmin(axis=1), ELSEWHERE)


def shares(labels: np.ndarray, attractors: int) -> tuple[np.ndarray, np.ndarray]:
    """Share of every outcome (attractors, undecided, elsewhere) and its standard error."""
    outcomes = [*range(attractors), UNDECIDED, ELSEWHERE]
    count = max(1, len(labels))
    fractions = np.array([(labels == outcome).mean() for outcome in outcomes])
    return fractions, np.sqrt(fractions * (1 - fractions) / count)
