"""How far does a branch go, and by which steps?"""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from slowpoint.analysis.branch import bending, Branch, follow, measure, sink, STILL
from slowpoint.analysis.certificates import certify
from slowpoint.analysis.crossings import crossings
from slowpoint.analysis.events import Clock, Event, see, Seen
from slowpoint.analysis.folds import fold
from slowpoint.analysis.points import FIXED, NEITHER, SLOW
from slowpoint.analysis.solve import Tolerance

LEADING = 8  # rates kept per value
REACHED, FOLDED, LOST, NEVER = range(4)


class Steps(eqx.Module):
    """How carefully to walk."""

    halvings: int = 8  # of the step between two values, at most
    near: float = 0.1  # seek="slow": a longer move, per unit (root mean square), is halved


class Way(NamedTuple):
    """What is walked, and how."""

    branch: Branch
    clock: Clock
    span: float  # of the values
    slow: bool
    steps: Steps


class Spot(NamedTuple):
    """A state of the branch, and what its row says."""

    seen: Seen
    row: dict[str, Any]

    @property
    def fixed(self) -> bool:
        """Whether the state stands still."""
        return self.row["kinds"] == FIXED


class Leg(NamedTuple):
    """The way to the next value, or as far as it went."""

    end: Spot
    events: list[Event]
    substeps: int
    jumped: bool
    last: float  # length of the last step tried


class Walked(NamedTuple):
    """All legs, and how it ended."""

    legs: list[Leg]
    events: list[Event]
    ended: int
    says: str


def walk(way: Way, point: np.ndarray, values: np.ndarray) -> Walked:
    """From `point` at the first value to the last, or as far as the branch goes."""
    here = _start(way, point, float(values[0]))
    if here is None:
        says = f"Newton did not contract from the point given at value {values[0]:g}: start at"
        return Walked([], [], NEVER, f"{says} a fixed point of family({values[0]:g})")
    legs, events = [Leg(here, [], 0, False, 0.0)], []
    for target in values[1:].tolist():
        leg = _leg(way, legs[-1].end, target)
        events += leg.events
        if leg.end.seen.value != target:
            end = _fold_ahead(way, leg)
            if end is None:
                return Walked(legs, events, LOST, _lost(leg, target))
            return Walked(legs, [*events, end], FOLDED, end.sentence())
        legs.append(leg)
    return Walked(legs, events, REACHED, f"the last value, {values[-1]:g}, was reached")


def _leg(way: Way, here: Spot, target: float) -> Leg:
    """Steps to `target`, halved where the corrector refuses, doubled where it does not."""
    by = target - here.seen.value
    smallest = abs(by) * 2.0**-way.steps.halvings
    events, substeps, jumped = [], 0, False
    while here.seen.value != target:
        ahead = target - here.seen.value
        by = ahead if jumped or abs(by) >= abs(ahead) else by
        there = _step(way, here, target if by == ahead else here.seen.value + by)
        near = there is not None and (jumped or _near(way, here, there))
        if not near and abs(by) > smallest:
            by /= 2
            continue
        if there is None:
            break
        jumped |= not near  # the row is marked: the rest of the leg needs no care
        events += [] if jumped else _events(way, here, there)
        here, substeps, by = there, substeps + 1, 2 * by
    return Leg(here, events, substeps, jumped, abs(by))


def _near(way: Way, a: Spot, b: Spot) -> bool:
    """Whether `b` may be the bottom of the valley of `a`; a fixed point was asked already."""
    moved = np.linalg.norm(b.seen.x - a.seen.x)
    return not way.slow or bool(moved <= way.steps.near * len(a.seen.x) ** 0.5)


def _events(way: Way, a: Spot, b: Spot) -> list[Event]:
    if a.fixed and b.fixed:
        return crossings(way.branch, way.clock, a.seen, b.seen, way.span)
    if not (way.slow and (a.fixed or b.fixed)):  # else this leg would ask for itself
        return []
    still, moving = (a, b) if a.fixed else (b, a)
    leg = _leg(way._replace(slow=False), still, moving.seen.value)
    end = _fold_ahead(way, leg) if leg.end.seen.value != moving.seen.value else None
    return leg.events if end is None else [*leg.events, end]


def _fold_ahead(way: Way, leg: Leg) -> Event | None:
    """The fold that the last refused step ran into."""
    here = leg.end.seen
    event = fold(way.branch, way.clock, here, way.span)
    if event is None or abs(event.value - here.value) > 8 * leg.last:
        return None
    away = float(np.sum((event.state - here.x) ** 2))
    along_parabola = abs(event.push / event.bend) * 8 * leg.last if event.regular else np.inf
    return event if away <= 4 * along_parabola else None


def _lost(leg: Leg, target: float) -> str:
    return (
        f"lost at {leg.end.seen.value:.10g}, on the way to {target:g}: steps of {leg.last:.1e} "
        "did not contract, and no fold is near. Give denser values, or look for the points "
        "there with fixed_points"
    )


def _start(way: Way, point: np.ndarray, value: float) -> Spot | None:
    return _spot(way, *_moved(way, point, value, 0.0), value)


def _step(way: Way, here: Spot, value: float) -> Spot | None:
    by = value - here.seen.value
    return _spot(way, *_moved(way, here.seen.x, here.seen.value, by), value)


def _moved(way: Way, x: np.ndarray, value: float, by: float) -> tuple[np.ndarray, bool]:
    """`(state, arrived)` at `value + by`."""
    start, at, length = map(jnp.asarray, (x, value, by))
    if way.slow:
        return np.asarray(sink(way.branch, start, at + length)), True
    there = follow(way.branch, start, at, length)
    arrived = bool(there.arrived)
    if arrived and there.strained:
        half = follow(way.branch, start, at, length / 2)
        end = follow(way.branch, half.x, at + length / 2, length / 2)
        agree = jnp.linalg.norm(end.x - there.x) <= 1e-8 * (1 + jnp.linalg.norm(x))
        arrived = bool(half.arrived & end.arrived & agree)
    return np.asarray(there.x), arrived


def _spot(way: Way, x: np.ndarray, arrived: bool, value: float) -> Spot | None:
    """Everything that is known of the state `x`; None where there is none."""
    if not arrived or not np.isfinite(x).all():
        return None
    measured = measure(way.branch, jnp.asarray(x), jnp.asarray(value))
    r, slope, speed, output, gradient, bound = map(np.asarray, measured)
    seen = see(way.clock, x, value, slope)
    size, proof = float(np.linalg.norm(r)), certify(r[None], slope[None], bound[None])
    kind = FIXED if proof.certified[0] or size <= STILL else NEITHER
    if kind == NEITHER and gradient <= Tolerance().gradient:
        bend = np.asarray(bending(way.branch, jnp.asarray(x), jnp.asarray(value)))
        kind = SLOW if np.linalg.eigvalsh(bend)[0] >= -1e-8 else NEITHER
    row = {
        "values": value,
        "states": x,
        "outputs": output,
        "kinds": kind,
        "speeds": float(speed),
        "residuals": size,
        "gradients": float(gradient),
        "radius": float(proof.radius[0]),
        "rates": seen.rates[:LEADING],
        "n_unstable": int((np.real(seen.rates) > 1e-9).sum()),
    }
    return Spot(seen, row)
