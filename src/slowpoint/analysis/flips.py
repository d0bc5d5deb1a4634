"""What does it take to make a network change its mind, from every memory to every neighbour?

Over each saddle between two attractors: the surface that parts them, and the smallest push
each way, beside two that need no search.
"""

import time
from typing import ClassVar

import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from slowpoint.analysis.along import crossing_distances
from slowpoint.analysis.fit import Fit, judged
from slowpoint.analysis.mountain_pass import held, mountain_pass, Pass
from slowpoint.analysis.points import FixedPoints
from slowpoint.analysis.pullback import Pullback
from slowpoint.analysis.push import FOUND, Push, smallest_push
from slowpoint.analysis.separatrix import between, Separatrix
from slowpoint.analysis.topology import Topology
from slowpoint.core.clock import clock_of
from slowpoint.core.result import Result
from slowpoint.core.system import System

Numbers = Array | np.ndarray
NO_TIME, NO_SURFACE = -1, -2  # beside the codes of a Push
CURVES, POINTS = 16, 16  # of the sample that each surface is judged on
TICKS = 512  # that a plane is pulled back for at most: the pushes are proved by simulation
SECTIONS = 64  # of a straight line, each looked at


class Flips(Result):
    """One row per way over a saddle, there and back in turn.

    Points are rows of the FixedPoints given. NaN and false stand where nothing is known;
    `code` says why. Fields named `within_...` are of the push that changes only `units`.
    """

    SAYS: ClassVar[dict[int, str]] = {
        **dict(enumerate(Push.SAYS)),
        NO_TIME: "Not looked for: the time was over.",
        NO_SURFACE: "No surface was found: the growing rate of the saddle flips sides every "
        "step, or an end of it does not attract.",
    }

    origin: Int[np.ndarray, " way"]
    target: Int[np.ndarray, " way"]
    saddle: Int[np.ndarray, " way"]
    rate: Float[np.ndarray, " way"]  # at which the edge is left, per unit time
    agreement: Float[np.ndarray, " way"]  # of the separatrix with simulation, and its error
    error: Float[np.ndarray, " way"]
    fit: Int[np.ndarray, " way"]  # code of that Fit; -1: it was not made
    distance: Float[np.ndarray, " way"]  # between the two attractors
    to_saddle: Float[np.ndarray, " way"]  # distance from the origin
    straight: Float[np.ndarray, " way"]  # push towards the target that crosses
    norm: Float[np.ndarray, " way"]  # of the smallest push
    vector: Float[np.ndarray, "way state"]  # add it to the origin
    crosses: Bool[np.ndarray, " way"]  # at 1.001 of the norm, by simulation
    holds: Bool[np.ndarray, " way"]  # comes back at 0.999
    other_clock: Bool[np.ndarray, " way"]  # crosses at 1.001 under the other clock too
    code: Int[np.ndarray, " way"]  # of the Push, or NO_TIME, NO_SURFACE
    within_norm: Float[np.ndarray, " way"]
    within_vector: Float[np.ndarray, "way state"]
    within_crosses: Bool[np.ndarray, " way"]
    within_code: Int[np.ndarray, " way"]
    units: Bool[np.ndarray, " state"] | None  # that may be changed; None: nobody asked
    clock: str  # whose boundary it is: "map" or "flow"

    def __len__(self) -> int:
        return len(self.origin)

    @property
    def leaving(self) -> Float[np.ndarray, " way"]:
        """Time constant of leaving the edge state, in units of time."""
        return 1 / self.rate

    @property
    def share(self) -> Float[np.ndarray, " way"]:
        """The norm over the distance between the two attractors."""
        return self.norm / self.distance

    @property
    def easiest(self) -> Int[np.ndarray, " way"]:
        """Rows, the smallest push first and those without one last."""
        return np.argsort(self.norm, kind="stable")

    @property
    def proved(self) -> Bool[np.ndarray, " way"]:
        """Whether the push crosses at 1.001 of its norm and holds at 0.999."""
        return self.code == FOUND


def flips(
    system: System,
    points: FixedPoints,
    topology: Topology,
    hold: Float[Numbers, " input"],
    *,
    mask: Bool[Numbers, " state"] | None = None,
    seconds: float = 60.0,
    key: PRNGKeyArray,
) -> Flips:
    """The smallest pushes over every saddle in `topology.neighbours`, on the system's clock.

    `mask`: units that may be changed; then a second push changes only those. No search is begun
    after `seconds`: the rows that are left say NO_TIME. Raises ValueError on a mask or a hold
    of the wrong size.
    """
    end, hold = time.monotonic() + seconds, held(system, hold)
    found = _blank(system, points, topology.neighbours, _checked(system, mask))
    ways = np.arange(len(found)).reshape(-1, 2)
    for pair, part in zip(ways, jr.split(key, len(ways)), strict=True):
        if time.monotonic() >= end:
            break
        surface = _surface(system, points.states[found.saddle[pair[0]]], hold)
        if surface is None:
            found.code[pair] = found.within_code[pair] = NO_SURFACE
            continue
        _describe(found, pair, surface)
        for row, one in zip(pair.tolist(), jr.split(part), strict=True):
            if time.monotonic() < end:
                _cross(found, row, points, system, surface, one)
    return found


def _checked(system: System, mask: Numbers | None) -> np.ndarray | None:
    if mask is None or np.shape(mask) == (system.state_size,):
        return None if mask is None else np.array(mask, bool)
    raise ValueError(
        f"mask has shape {np.shape(mask)}: give one true or false per number of the state, "
        f"({system.state_size},)."
    )


def _blank(system: System, points: FixedPoints, pairs: np.ndarray, units) -> Flips:
    """What is known before any search; filled in place."""
    a, b, saddle = np.repeat(pairs, 2, axis=0).T
    there = np.arange(len(a)) % 2 == 0
    origin, target = np.where(there, a, b), np.where(there, b, a)
    apart = lambda i, j: np.linalg.norm(points.states[i] - points.states[j], axis=1)
    number = lambda *shape: np.full((len(a), *shape), np.nan)
    no, code = lambda: np.zeros(len(a), bool), lambda: np.full(len(a), NO_TIME)
    return Flips(
        origin=origin,
        target=target,
        saddle=saddle,
        rate=np.real(points.rates[saddle, 0]),
        agreement=number(),
        error=number(),
        fit=np.full(len(a), -1),
        distance=apart(a, b),
        to_saddle=apart(origin, saddle),
        straight=number(),
        norm=number(),
        vector=number(system.state_size),
        crosses=no(),
        holds=no(),
        other_clock=no(),
        code=code(),
        within_norm=number(),
        within_vector=number(system.state_size),
        within_crosses=no(),
        within_code=code(),
        units=units,
        clock=clock_of(system),
    )


def _surface(system: System, saddle: np.ndarray, hold: np.ndarray) -> Separatrix | None:
    """The pulled-back separatrix through `saddle`; None where there is none to be had."""
    try:
        around = mountain_pass(system, saddle, hold=hold)
    except ValueError:  # its growing rate turns, or an end of it does not attract
        return None
    made = Pullback().make(around, None)
    if made.field.pack()["ticks"] > TICKS:
        made = Pullback(time=TICKS * around.fine.dt).make(around, None)
    fit = judged(around, made, between(around, CURVES, POINTS))
    return Separatrix(around, made.field, fit)


def _describe(found: Flips, pair: np.ndarray, surface: Separatrix) -> None:
    fit: Fit = surface.fit
    found.rate[pair] = surface.around.rate
    found.fit[pair] = fit.code
    found.agreement[pair], found.error[pair] = fit.agreement, fit.error


def _cross(found: Flips, row: int, points: FixedPoints, system: System, surface, key) -> None:
    """Fill in the pushes of `row`."""
    start, goal = points.states[found.origin[row]], points.states[found.target[row]]
    push = smallest_push(system, start, surface, key=key)
    for name in ("norm", "vector", "crosses", "holds", "other_clock", "code"):
        getattr(found, name)[row] = getattr(push, name)
    if push.basin >= 0:
        found.straight[row] = _straight(surface.around, start, goal)
    if found.units is not None:
        push = smallest_push(system, start, surface, mask=found.units, key=key)
        for name in ("norm", "vector", "crosses", "code"):
            getattr(found, f"within_{name}")[row] = getattr(push, name)


def _straight(around: Pass, start: np.ndarray, goal: np.ndarray) -> float:
    """How far towards `goal` a state runs to the other attractor; NaN where it never does."""
    way = goal - start
    reach = float(np.linalg.norm(way))
    far = crossing_distances(around, start, way[None], reach=reach, sections=SECTIONS)[0]
    return float(far) if np.isfinite(far) else float("nan")
