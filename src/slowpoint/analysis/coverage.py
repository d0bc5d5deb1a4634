"""How many points might the finder have missed?

Three witnesses: attractors that the system itself runs into; an index sum that must be +1;
how often each point was hit (Good 1953; Chao 1984).
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from slowpoint.analysis.points import FixedPoints
from slowpoint.analysis.settle import Settled
from slowpoint.core.precision import float64, widen
from slowpoint.core.result import Result
from slowpoint.core.system import System

CRAWL = 1e-3  # speed that separates a slow memory from motion


class Coverage(Result):
    """What speaks for and against a set of fixed points being complete."""

    attractors: Float[np.ndarray, "attractor state"]  # where forward runs came to rest
    attractor_hits: Int[np.ndarray, " attractor"]
    missed_attractors: int  # of these, not among the points
    cycles: int  # forward runs that did not come to rest and still moved
    crawling: int  # runs that did not either, but were slower than CRAWL: very slow memories
    index_sum: int | None  # sum of sign det(-J) over the points; complete sets have +1
    index_reason: str  # why the sum is None, or what it means
    singletons: int  # points hit by one guess only
    doubletons: int
    good_turing: float  # estimated share of further hits that would be new points
    chao: float  # estimated number of points missed, a lower bound
    curve: Int[np.ndarray, " guess"]  # distinct points after so many guesses

    @property
    def open_questions(self) -> list[str]:
        """Every sign that a point is missing, in words; empty when there is none."""
        signs = []
        if self.missed_attractors:
            signs.append(f"{self.missed_attractors} attractors are not among the points")
        if self.index_sum is None:
            signs.append(f"the index sum is unknown: {self.index_reason}")
        elif self.index_sum != 1:
            signs.append(f"the index sum is {self.index_sum}, a complete set has +1")
        if self.singletons:
            signs.append(f"{self.singletons} points were hit only once")
        if self.cycles:
            signs.append(f"{self.cycles} forward runs did not come to rest: cycles or chaos")
        if self.crawling:
            signs.append(
                f"{self.crawling} forward runs still crept, slower than {CRAWL:g} per unit time"
            )
        return signs


def coverage(system: System, points: FixedPoints, forward: Settled) -> Coverage:
    """Hold the fixed points among `points` against forward runs, their index and their hits.

    All points must belong to one held input.
    """
    fixed = points.fixed
    ends = forward.ends[forward.settled]
    attractors, hits = distinct(ends, near=1e-4)
    missed = sum(
        not (np.linalg.norm(fixed.states - a, axis=1) < 1e-4).any() for a in attractors
    )
    index, reason = index_sum(system, fixed)
    ones, twos = int((fixed.hits == 1).sum()), int((fixed.hits == 2).sum())
    arrived = points.guess_index[points.guess_index >= 0]
    return Coverage(
        attractors=attractors,
        attractor_hits=hits,
        missed_attractors=missed,
        cycles=int((~forward.settled & (forward.speeds >= CRAWL)).sum()),
        crawling=int((~forward.settled & (forward.speeds < CRAWL)).sum()),
        index_sum=index,
        index_reason=reason,
        singletons=ones,
        doubletons=twos,
        good_turing=ones / max(1, fixed.hits.sum()),
        chao=ones**2 / (2 * twos) if twos else ones * (ones - 1) / 2,
        curve=_curve(points.guess_index) if len(arrived) else np.zeros(0, int),
    )


def index_sum(system: System, fixed: FixedPoints) -> tuple[int | None, str]:
    """`(sum of indices, reason)`: +1 for the complete set of points in a box kept by the steps.

    For a Map sign det(I - J), for a Flow sign det(-J) (Brouwer degree; Poincare and Hopf).
    """
    if not len(fixed):
        return 0, "there are no points"
    if fixed.degenerate.any():
        return None, "a point is degenerate (not isolated), so indices do not add up"
    with float64():
        box = widen(system).box(jnp.asarray(fixed.hold[0]))
    if box is None or not all(np.isfinite(np.asarray(corner)).all() for corner in box):
        return None, f"{type(system).__name__} knows no box that its steps do not leave"
    return int(fixed.signs.sum()), "a complete set of regular points has +1"


def distinct(
    states: Float[Array | np.ndarray, "start state"], *, near: float
) -> tuple[Float[np.ndarray, "kept state"], Int[np.ndarray, " kept"]]:
    """States further than `near` from each other, and how many each stands for."""
    left = np.asarray(states)
    kept, counts = [], []
    while len(left):
        close = np.linalg.norm(left - left[0], axis=1) <= near
        kept.append(left[0])
        counts.append(close.sum())
        left = left[~close]
    return np.array(kept).reshape(len(kept), np.shape(states)[1]), np.array(counts, int)


def _curve(index: np.ndarray) -> np.ndarray:
    """Distinct points seen after each guess."""
    new = np.zeros(len(index), int)
    rows, first = np.unique(index, return_index=True)
    new[first[rows >= 0]] = 1
    return np.cumsum(new)
