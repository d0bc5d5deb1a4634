"""Which curve runs into a saddle of the plane? The true boundary of the two basins beside it.

Backward in time both branches leave the saddle and what is beside them closes in, so a curve
begun on the eigenvector is exact to rounding soon after.
"""

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from scipy.integrate import solve_ivp

from slowpoint.analysis.mountain_pass import held
from slowpoint.core.precision import float64, widen
from slowpoint.core.result import Result
from slowpoint.core.system import Box, System

Numbers = Array | np.ndarray
Corners = tuple[Float[Numbers, " 2"], Float[Numbers, " 2"]]
Velocity = Callable[[np.ndarray], np.ndarray]
START = 1e-6  # from the saddle, along the eigenvector
REST = 1e-3  # of the speed at the start: nothing leads on from here
WIDER = 3.0  # the box is left for good when this many times its size is
TOLERANCE = {"method": "DOP853", "rtol": 1e-11, "atol": 1e-13}
LEFT, LONG, SOURCE, FAILED = range(4)


class StableManifold(Result):
    """One polyline from end to end through the saddle, in samples of equal arc length.

    It may leave the box and come back; the first and last sample are at most one beyond it.
    """

    SAYS: ClassVar[tuple[str, ...]] = (
        "left the box",
        "was followed to the length asked for: it may go on in the box",
        "comes from a point that is at rest",
        "was lost: the velocity is not smooth or not finite there",
    )

    states: Float[np.ndarray, "point 2"]
    arcs: Float[np.ndarray, " point"]  # from the saddle, < 0 on the first branch
    inside: Bool[np.ndarray, " point"]  # the box
    saddle: Float[np.ndarray, " 2"]
    rates: Float[np.ndarray, " 2"]  # of the saddle, the growing one first
    direction: Float[np.ndarray, " 2"]  # the stable eigenvector, towards the second branch
    ends: Int[np.ndarray, " 2"]  # how each branch ended: index into SAYS

    @property
    def message(self) -> str:
        """How both branches ended."""
        first, second = (self.SAYS[end] for end in self.ends)
        return f"One branch {first}; the other {second}."

    def beside(
        self, distance: float
    ) -> tuple[Float[np.ndarray, "point 2"], Float[np.ndarray, "point 2"]]:
        """The samples moved by `distance` to the left of the curve, and to the right."""
        tangents = np.gradient(self.states, self.arcs, axis=0)
        normals = np.stack([-tangents[:, 1], tangents[:, 0]], axis=1)
        normals = normals / np.linalg.norm(normals, axis=1, keepdims=True)
        return self.states + distance * normals, self.states - distance * normals


def stable_manifold(
    system: System,
    saddle: Float[Numbers, " state"],
    *,
    hold: Float[Numbers, " input"] | None = None,
    box: Corners | None = None,
    length: float | None = None,
    spacing: float = 0.005,
) -> StableManifold:
    r"""Follow $dx/ds = -f/|f|$ from both sides of the saddle, s the arc length.

    `box` is by default the system's own; `length` of each branch, ten times the box's longest
    side. Only for a Flow in the plane with one growing and one decaying rate at the saddle:
    raises ValueError otherwise, with what to use instead.
    """
    _refuse(system)
    with float64():
        wide, u = widen(system), jnp.asarray(held(system, hold))
        at = jax.jit(lambda x: wide.velocity(x, u))
        velocity = lambda x: np.asarray(at(x))
        slope = jax.jit(lambda x: wide.jacobian(x, u))
        point = _polished(velocity, slope, np.asarray(saddle, float))
        rates, way = _stable(np.asarray(slope(point)))
        low, high = _corners(system.box(u) if box is None else box, point)
        reach = 10 * float((high - low).max()) if length is None else length
        follow = lambda way: _branch(velocity, point, way, (low, high), reach, spacing)
        (before, first), (after, second) = follow(-way), follow(way)
    states = np.concatenate([before[::-1], point[None], after])
    arcs = spacing * np.arange(-len(before), len(after) + 1)
    inside = np.all((states >= low) & (states <= high), axis=1)
    return StableManifold(states, arcs, inside, point, rates, way, np.array([first, second]))


def _refuse(system: System) -> None:
    name, truth = (
        type(system).__name__,
        "slowpoint.analysis.curve_test.crossings(curves, label)",
    )
    if system.discrete:
        raise ValueError(
            f"{name} moves in steps, and steps cannot be followed backward. For the flow with "
            "the same fixed points give slowpoint.core.clock.on_clock(system, 'flow'); for the "
            f"boundary of the steps themselves use {truth}."
        )
    if system.state_size != 2:
        raise ValueError(
            f"{name} has {system.state_size} dimensions; the boundary is a curve in 2 only. "
            f"Use {truth} as the truth."
        )


def _polished(velocity: Velocity, slope: Callable, saddle: np.ndarray) -> np.ndarray:
    """The fixed point that `saddle` names to a few digits."""
    if saddle.shape != (2,) or not np.isfinite(saddle).all():
        raise ValueError(f"The saddle is {saddle}. Give its two finite coordinates.")
    point = saddle
    for _ in range(8):
        point = point - np.linalg.lstsq(np.asarray(slope(point)), velocity(point))[0]
    moved, speed = np.linalg.norm(point - saddle), np.linalg.norm(velocity(point))
    if not (moved <= 1e-3 * (1 + np.linalg.norm(saddle)) and speed < 1e-9):
        raise ValueError(
            f"At {saddle} the speed is {np.linalg.norm(velocity(saddle)):.2g}: no fixed point. "
            "Give one row of fixed_points(system, guesses, hold=hold).saddles.states."
        )
    return point


def _stable(slope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both rates, the growing one first, and the stable eigenvector of length 1."""
    rates, vectors = np.linalg.eig(slope)
    growing, decaying = (int(np.sum(n)) for n in (np.real(rates) > 0, np.real(rates) < 0))
    if (growing, decaying) != (1, 1):
        raise ValueError(
            f"The point has {growing} unstable and {decaying} stable rates "
            f"({', '.join(f'{rate:.3g}' for rate in rates)}). A curve runs into a point with "
            "one of each: give a saddle."
        )
    way = vectors[:, np.argmin(rates)]
    return np.sort(rates)[::-1], way * np.sign(way[np.argmax(np.abs(way))])


def _corners(box: Box | Corners | None, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if box is None:
        raise ValueError("This system has no box of its own. Give box=(lowest, highest).")
    low, high = (np.asarray(corner, float) for corner in box)
    if not ((low < point) & (point < high)).all():
        raise ValueError(
            f"The saddle {point} is not between {low} and {high}. Give box=(lowest, highest) "
            "round it."
        )
    return low, high


@dataclasses.dataclass(frozen=True)
class _Stop:
    """An event of `solve_ivp` that ends it where `room` comes to 0."""

    room: Callable[[np.ndarray], float]
    terminal: bool = True

    def __call__(self, _, x):
        return self.room(x)


def _branch(
    velocity: Velocity,
    saddle: np.ndarray,
    way: np.ndarray,
    box: tuple[np.ndarray, np.ndarray],
    length: float,
    spacing: float,
) -> tuple[np.ndarray, int]:
    """Samples along one branch, without the saddle, and how it ended."""
    (low, high), start = box, saddle + START * way
    margin = (WIDER - 1) / 2 * (high - low)
    least = REST * float(np.linalg.norm(velocity(start)))

    def backward(_, x):
        f = velocity(x)
        return -f / np.linalg.norm(f)

    left = _Stop(lambda x: min((x - low + margin).min(), (high + margin - x).min()))
    rest = _Stop(lambda x: float(np.linalg.norm(velocity(x))) - least)
    stops = {"events": (left, rest), "dense_output": True}
    run = solve_ivp(backward, (START, length), start, **stops, **TOLERANCE)
    arcs = spacing * np.arange(1, int(run.t[-1] / spacing) + 1)
    states = run.sol(arcs).T.reshape(-1, 2)
    inside = np.flatnonzero(((states >= low) & (states <= high)).all(axis=1))
    keep = int(inside[-1]) + 2 if len(inside) else 1
    return states[:keep], _ending(run, keep < len(states))


def _ending(run, trimmed: bool) -> int:
    if trimmed or len(run.t_events[0]):
        return LEFT
    if len(run.t_events[1]):
        return SOURCE
    return LONG if run.status == 0 else FAILED
