"""Which smallest change of the state makes it change its mind?

The point of the separatrix nearest to a state, found by the iteration of Hasofer and Lind
(1974) and Rackwitz and Fiessler (1978): walk along a ray to the surface, take the normal there
as the next ray. Proved by simulation on both sides of its length.
"""

from typing import ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from slowpoint.analysis.mountain_pass import Pass
from slowpoint.analysis.referee import referee, resolved
from slowpoint.analysis.separatrix import Separatrix
from slowpoint.core.chance import generator
from slowpoint.core.clock import on_clock
from slowpoint.core.result import Result
from slowpoint.core.system import System

Numbers = Array | np.ndarray
(FOUND, NO_UNITS, OUTSIDE, NO_BASIN, WRONG_SIDE, OUT_OF_REACH, UNPROVED, UNCONVERGED) = range(8)
STEPS = 120  # of the iteration at most
ALIGNED = 1e-8  # 1 - cosine between ray and normal where it stops
SETTLED = 1e-10  # share of its length by which a step no longer shortens a push
REACH = 8.0  # how far a ray is searched, in distances from the start to the saddle
INNER = 31  # lengths looked at along a ray at once
SLACK = 1e-3  # the push crosses at 1 + SLACK of its norm, and not at 1 - SLACK


class Push(Result):
    """The smallest change found; a local minimum, the best of several starts."""

    SAYS: ClassVar[tuple[str, ...]] = (
        "The push crosses at 1.001 of its norm and not at 0.999, by simulation.",
        "The mask allows no unit to be changed. Allow one: mask[unit] = True.",
        "The start lies below its lower bounds. Give a start inside them.",
        "The start comes to rest at neither of the two attractors of this separatrix.",
        "The separatrix puts the start on the other side of the boundary than simulation does. "
        "See its fit; pull back for longer, or take another way.",
        "No crossing within reach along any ray: units that may not be stimulated, or bounds, "
        "may make it impossible.",
        "The push found does not cross within a fifth of its length: the separatrix is not "
        "exact enough there.",
        "The iteration was still turning when it stopped: a shorter push may exist.",
    )

    vector: Float[np.ndarray, " state"]  # add it to the start; NaN where none was found
    norm: float  # its length
    turns: int  # of the best start's ray, until it met the normal
    cosine: float  # between the push and the normal where it crosses; 1 at a minimum
    basin: int  # of the start: row of `separatrix.attractors`; below 0: what Referee says
    crosses: bool  # at 1.001 of its norm, by simulation
    holds: bool  # comes back at 0.999
    other_clock: bool  # whether it crosses at 1.001 under the other clock too
    norms: Float[np.ndarray, " start"]  # where every start of the search ended
    searched: float  # distance searched along a ray
    code: int

    @property
    def message(self) -> str:
        """What `code` means."""
        return self.SAYS[self.code]


class _Ways(eqx.Module):
    """Rays from one start: who may move, and how low."""

    separatrix: Separatrix
    start: Float[np.ndarray, " state"]
    mask: Bool[np.ndarray, " state"]
    floor: Float[np.ndarray, " state"]  # the least change of every unit; -inf: any
    sign: int  # of the field at the start
    reach: float

    def states(self, ways: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """The start changed by every length along every way, inside the bounds.

        Clipping a ray at the bounds gives the shortest change of its kind: the minimum of
        |change| on a plane under bounds is a clipped multiple of the plane's normal.
        """
        change = np.maximum(lengths[..., None] * ways[:, None], self.floor)
        return self.start + change

    def first_crossing(self, ways: np.ndarray, most: np.ndarray) -> np.ndarray:
        """Length to the first sign change of the field along each way; NaN: none to `most`."""
        share = np.linspace(0, 1, INNER + 1)
        low, high, zero = self._bracket(ways, most[:, None] * share**1.5)
        for _ in range(2):
            lengths = low[:, None] + (high - low)[:, None] * share
            low, high, zero = self._bracket(ways, lengths)
        return zero

    def _bracket(self, ways, lengths) -> tuple[np.ndarray, ...]:
        """The lengths beside the first sign change of each row, and where a line puts it."""
        field = self.sign * self.separatrix.value(self.states(ways, lengths))
        over = field[:, 1:] < 0
        after, rows = np.argmax(over, axis=1) + 1, np.arange(len(ways))
        after[~over.any(axis=1)] = 0  # none: NaN, as the field before the first is unknown
        low, high = lengths[rows, after - 1], lengths[rows, after]
        before, behind = field[rows, after - 1], field[rows, after]
        with np.errstate(divide="ignore", invalid="ignore"):
            zero = low + (high - low) * before / (before - behind)
        none = after == 0
        return tuple(np.where(none, np.nan, length) for length in (low, high, zero))

    def normals(self, states: np.ndarray) -> np.ndarray:
        """Unit vectors towards the other side, over the units that may move."""
        slopes = -self.sign * self.separatrix.normal(states) * self.mask
        with np.errstate(invalid="ignore"):
            return slopes / np.linalg.norm(slopes, axis=1, keepdims=True)


def smallest_push(
    system: System,
    start: Float[Numbers, " state"],
    separatrix: Separatrix,
    *,
    mask: Bool[Numbers, " state"] | None = None,
    lower: Float[Numbers, " state"] | float | None = None,
    tries: int = 8,
    key: PRNGKeyArray,
) -> Push:
    """The shortest vector that takes `start` across `separatrix` to the other attractor.

    `mask`: the units that may be changed. `lower`: bounds that the changed state keeps (0 for
    abundances). `tries` rays: to the saddle, to the other attractor, along the normal, and
    random ones. The result is the best of them, its length settled by simulation. Raises
    ValueError on wrong shapes; what can't be found is a code and a sentence in the result.
    """
    around = separatrix.around
    start = separatrix.checked(np.asarray(start, float))
    mask = np.ones(len(start), bool) if mask is None else np.asarray(mask, bool)
    low = np.asarray(-np.inf if lower is None else lower, float)
    low = np.full(len(start), low) if low.ndim == 0 else low
    if start.ndim != 1 or mask.shape != start.shape or np.shape(low) != start.shape:
        raise ValueError(
            f"start has shape {start.shape}, mask {mask.shape}, lower {np.shape(low)}: give "
            f"each one number per unit of the state, ({system.state_size},)."
        )
    reach = REACH * float(np.linalg.norm(around.saddle - start))
    basin = -1 if around.judge is None else int(around.judge(start[None])[0])
    side = int(separatrix.side(start))
    if code := _refusal(start, mask, low, basin, side):
        return _nothing(start, basin, reach, code)
    ways = _Ways(separatrix, start, mask, np.asarray(low - start), side, reach)
    rays = _iterate(ways, _first_ways(ways, basin, tries, key))
    if not np.isfinite(rays.norm).any():
        return _nothing(start, basin, reach, OUT_OF_REACH)
    return _proved(ways, rays, basin, system)


def _refusal(start, mask, low, basin: int, side: int) -> int:
    """The code for what makes a search pointless; 0: nothing does."""
    if not mask.any():
        return NO_UNITS
    if (start < low).any():
        return OUTSIDE
    if basin < 0:
        return NO_BASIN
    return WRONG_SIDE if side != 2 * basin - 1 else 0


def _nothing(start: np.ndarray, basin: int, reach: float, code: int) -> Push:
    nan = float("nan")
    vector, norms = np.full(len(start), nan), np.zeros(0)
    return Push(vector, nan, 0, nan, basin, False, False, False, norms, reach, code)


def _first_ways(ways: _Ways, basin: int, tries: int, key: PRNGKeyArray) -> np.ndarray:
    """Unit rays to begin with, over the units that may move."""
    around, start = ways.separatrix.around, ways.start
    known = [
        around.saddle - start,
        around.ends[1 - basin] - start,
        (1 - 2 * basin) * around.left,
    ]
    drawn = generator(key).standard_normal((max(0, tries - len(known)), len(start)))
    rays = np.vstack([*known, *drawn])[: max(tries, 1)] * ways.mask
    lengths = np.linalg.norm(rays, axis=1, keepdims=True)
    return (rays / np.where(lengths > 0, lengths, 1.0))[lengths[:, 0] > 0]


class _Rays:
    """Every ray with the best crossing that it has found; filled in place."""

    def __init__(self, first: np.ndarray, reach: float):
        count = len(first)
        self.best = first.copy()  # the ray of the best crossing
        self.norm = np.full(count, np.nan)  # of the change there
        self.length = np.full(count, reach / 2)  # along that ray
        self.change, self.normal = np.full(first.shape, np.nan), first.copy()
        self.cosine, self.count = np.full(count, np.nan), np.zeros(count, int)
        self.turn = np.ones(count)  # how far the next ray turns from the best to its normal

    def keep(self, row: np.ndarray, ray, length, change, normal, cosine) -> None:
        """Put crossings in the place of the best ones of `row`."""
        self.best[row], self.length[row], self.change[row] = ray, length, change
        self.normal[row], self.cosine[row] = normal, cosine
        self.norm[row] = np.linalg.norm(change, axis=1)

    def next(self, row: np.ndarray) -> np.ndarray:
        """Rays turned from the best towards the normal."""
        turn = self.turn[row][:, None]
        mixed = (1 - turn) * self.best[row] + turn * self.normal[row]
        return mixed / np.linalg.norm(mixed, axis=1, keepdims=True)


def _iterate(ways: _Ways, first: np.ndarray) -> _Rays:
    """Every ray turned to the normal where it crosses, while that shortens it."""
    rays = _Rays(first, ways.reach)
    active, ray = np.arange(len(first)), first
    for _ in range(STEPS):
        if not len(active):
            break
        rays.count[active] += 1
        length = ways.first_crossing(ray, 2 * rays.length[active])
        states = ways.states(ray, length[:, None])[:, 0]
        change = states - ways.start
        norm = np.linalg.norm(change, axis=1)
        before = rays.norm[active]
        better = np.isfinite(norm) & ~(norm >= before * (1 + 1e-10))
        settled = better & (before - norm < SETTLED * norm)
        row = active[better]
        if len(row):
            normal = ways.normals(states[better])
            straight = _alignment(change[better], normal, ways.floor)
            rays.keep(row, ray[better], length[better], change[better], normal, straight)
        turn = rays.turn[active]
        rays.turn[active] = np.where(better, np.minimum(1, 2 * turn), turn / 4)
        lost = np.isnan(rays.norm) | (rays.turn < 1e-3)
        active = active[~settled & ~lost[active] & ~(rays.cosine[active] > 1 - ALIGNED)]
        ray = rays.next(active)
    return rays


def _alignment(change: np.ndarray, normal: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Cosine between changes and normals over the units that no bound holds; 0 where a held
    unit would rather move off its bound.
    """
    free = change > floor
    size = np.linalg.norm(change * free, axis=1) * np.linalg.norm(normal * free, axis=1)
    with np.errstate(invalid="ignore"):
        cosine = (change * normal * free).sum(axis=1) / size
    return np.where(((normal > 0) & ~free).any(axis=1), 0.0, cosine)


def _proved(ways: _Ways, rays: _Rays, basin: int, system: System) -> Push:
    """The best ray's push with its length settled, and what simulation says of it."""
    around = ways.separatrix.around
    judge = around.judge
    assert judge is not None  # or there would be no basin
    best = int(np.nanargmin(rays.norm))
    change = rays.change[best]
    at = lambda factors: ways.start + np.maximum(np.multiply.outer(factors, change), ways.floor)
    factor, code = _settled(lambda factors: judge(at(factors)), basin)
    vector = at(np.array([factor]))[0] - ways.start
    tests = at(factor * np.array([1 - SLACK, 1 + SLACK]))
    holds, crosses = judge(tests) == (basin, 1 - basin)
    if code == FOUND and not (holds and crosses):
        code = UNPROVED
    if code == FOUND and not rays.cosine[best] > 1 - 1e-4:
        code = UNCONVERGED
    return Push(
        vector,
        float(np.linalg.norm(vector)),
        int(rays.count[best]),
        float(rays.cosine[best]),
        basin,
        bool(crosses),
        bool(holds),
        _on_other_clock(around, system, tests[1]) == 1 - basin,
        rays.norm,
        ways.reach,
        code,
    )


def _settled(label, basin: int) -> tuple[float, int]:
    """`(factor at which the push leaves the basin, FOUND or UNPROVED)`, by simulation."""
    factors = np.linspace(0.8, 1.2, 34)
    for _ in range(6):
        left = label(factors) != basin
        first = int(np.argmax(left))
        if first == 0:  # leaves at once, or never
            return 1.0, UNPROVED
        factors = np.linspace(factors[first - 1], factors[first], 8)
    return float(factors[-1]), FOUND


def _on_other_clock(around: Pass, system: System, state: np.ndarray) -> int:
    """Where `state` goes under the other clock; -1 where the attractors are none there."""
    other = on_clock(system, "flow" if around.system.discrete else "map")
    fine = resolved(other, np.vstack([around.saddle, *around.ends]), around.hold)
    try:
        return int(referee(fine, around.ends, around.hold)(state[None])[0])
    except ValueError:
        return -1
