"""Which attractors are neighbours? Where a saddle lets go, the state runs to them."""

import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from slowpoint.analysis.basins import nearest, UNDECIDED
from slowpoint.analysis.methods import Forward
from slowpoint.analysis.points import FIXED, FixedPoints
from slowpoint.analysis.settle import settle
from slowpoint.core.chance import generator
from slowpoint.core.result import Result
from slowpoint.core.system import System

Numbers = Array | np.ndarray
NEAR = 1e-3  # of an attractor: there


class Topology(Result):
    """One row per run: pushed off a saddle along unstable directions, where did it end?

    Indices are rows of the points given. `attractor` -1: still moving when stopped, -2: came
    to rest at no attractor among the points.
    """

    attractors: Int[np.ndarray, " attractor"]
    saddle: Int[np.ndarray, " run"]
    attractor: Int[np.ndarray, " run"]
    neighbours: Int[np.ndarray, "pair 3"]  # attractor, attractor, the index-1 saddle between

    def reached(self, saddle: int | np.integer) -> list[int]:
        """The attractors that runs from `saddle` ended in."""
        ends = self.attractor[(self.saddle == saddle) & (self.attractor >= 0)]
        return sorted({int(end) for end in ends})


def topology(
    system: System,
    points: FixedPoints,
    hold: Float[Numbers, " input"],
    *,
    key: PRNGKeyArray,
    push: float = 1e-3,
    directions: int = 16,
    until: Forward | None = None,
    seconds: float | None = None,
) -> Topology:
    """Push every saddle among `points` by `push` both ways along its unstable mode and let go.

    A saddle with more than one unstable mode is pushed along `directions` random mixtures of
    them, and their opposites. Runs that `seconds` cut short are undecided (-1).
    """
    still = (points.kinds == FIXED) & ~points.degenerate
    stable = np.flatnonzero(still & (points.n_unstable == 0))
    saddles = np.flatnonzero(still & (points.n_unstable > 0)).tolist()
    starts, owner = [np.zeros((0, system.state_size))], [np.zeros(0, int)]
    for row, part in zip(saddles, jr.split(key, len(saddles))):
        ways = _ways(points, row, directions, generator(part))
        starts.append(points.states[row] + push * np.vstack([ways, -ways]))
        owner.append(np.full(2 * len(ways), row))
    run = settle(system, np.vstack(starts), hold, until=until, seconds=seconds)
    found = nearest(run.ends, points.states[stable], NEAR)
    ends = np.where(found >= 0, np.append(stable, 0)[np.maximum(found, 0)], found)
    ends = np.where(run.settled, ends, UNDECIDED)
    saddle = np.concatenate(owner)
    return Topology(stable, saddle, ends, _pairs(points, saddle, ends))


def _ways(
    points: FixedPoints, row: int, directions: int, chance: np.random.Generator
) -> np.ndarray:
    """Unit vectors in the unstable subspace of a point."""
    modes = points.modes[row][:, : points.n_unstable[row]]
    basis, _ = np.linalg.qr(np.hstack([np.real(modes), np.imag(modes)]))
    basis = basis[:, : points.n_unstable[row]]
    if basis.shape[1] == 1:
        return basis.T
    mix = chance.standard_normal((directions, basis.shape[1]))
    return (mix / np.linalg.norm(mix, axis=1, keepdims=True)) @ basis.T


def _pairs(points: FixedPoints, saddle: np.ndarray, ends: np.ndarray) -> np.ndarray:
    pairs = []
    for row in np.unique(saddle[points.n_unstable[saddle] == 1]):
        both = sorted({int(e) for e in ends[saddle == row] if e >= 0})
        if len(both) == 2:
            pairs.append([*both, int(row)])
    return np.array(pairs, int).reshape(-1, 3)
