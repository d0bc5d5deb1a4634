"""Where on the boundary between two basins does the state come to rest?

Bisection between two states that part ways, followed until it slows down: edge tracking
(Skufca, Yorke and Eckhardt 2006, Phys. Rev. Lett. 96, 174101).
"""

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Int

from slowpoint.analysis.methods import Newton
from slowpoint.analysis.mountain_pass import directions, held
from slowpoint.analysis.points import FixedPoints
from slowpoint.analysis.referee import jacobian_at, referee, resolved
from slowpoint.analysis.settle import settle
from slowpoint.analysis.solve import solve, Tolerance
from slowpoint.core.clock import Clock, on_clock
from slowpoint.core.precision import float64, widen
from slowpoint.core.result import Result
from slowpoint.core.system import System

Numbers = Array | np.ndarray
Label = Callable[[np.ndarray], Int[np.ndarray, " start"]]
FOUND, MOVING, WRONG_INDEX, ELSEWHERE = range(4)
INNER = 7  # states tried inside a bracket at once
ROUNDS = 12  # of bisecting and following
LONGEST = 20_000  # ticks followed in a round
SLOW = 1e-4  # speed at which Newton takes over, in units of the median speed between the ends
ASLEEP = 1e-12  # of its size that a state moves in a tick, when no more is followed: > REST
PARTED = 1e-3  # how far apart the two sides may drift, in units of their first distance


class EdgeState(Result):
    """The saddle between two states; NaN where `code` says that there is none."""

    SAYS: ClassVar[tuple[str, ...]] = (
        "An edge state with one unstable direction was found.",
        "The state on the edge never comes to rest: a cycle or chaos separates the basins. "
        "Its stability needs Floquet exponents, which are not computed here.",
        "The state on the edge rests at a point that has not exactly one unstable direction: "
        "more than two basins meet there. Give two states whose basins are neighbours.",
        "The saddle found does not let go into the two basins that were given: another basin "
        "lies between them. Ask for the edge to that one first.",
    )

    state: Float[np.ndarray, " state"]
    speed: float  # per unit time
    rates: Complex[np.ndarray, " state"]  # the fastest growing first, per unit time
    left: Float[np.ndarray, " state"]  # left eigenvector of the growing rate; b is its + side
    ends: Float[np.ndarray, "side state"]  # where a and b come to rest; NaN: nowhere
    width: float  # of the last bracket
    rounds: int  # of bisecting and following
    code: int

    @property
    def message(self) -> str:
        """What `code` means."""
        return self.SAYS[self.code]


def edge_state(
    system: System,
    a: Float[Numbers, " state"],
    b: Float[Numbers, " state"],
    *,
    hold: Float[Numbers, " input"] | None = None,
    clock: Clock | None = None,
    label: Label | None = None,
) -> EdgeState:
    """The state at rest on the boundary between the basins of `a` and `b`.

    `label` is any `states -> whole numbers`, constant along trajectories; by default states
    are followed to the two attractors that `a` and `b` come to rest at. Raises ValueError when
    both have the same label, or when an end does not attract.
    """
    asked, hold = on_clock(system, clock), held(system, hold)
    pair = np.stack([np.asarray(a, float), np.asarray(b, float)])
    if label is None:
        _refuse_unstable(asked, pair, hold)
    fine = resolved(asked, _between(pair, 5), hold)  # a may lie where nothing happens fast
    run = settle(fine, pair, hold)
    ends = np.where(run.settled[:, None], run.ends, np.nan)
    label = _labelled(fine, ends, hold) if label is None else label
    names = label(pair)
    if names[0] == names[1] or (names < 0).any():
        raise ValueError(
            f"Both ends flow to attractor {names[0]}; give one state from each basin."
            if names[0] == names[1]
            else f"The ends have the labels {names.tolist()}: one is undecided. Give states "
            "that come to rest."
        )
    chase = _Chase(fine, hold, label, names)
    state, slow, width, rounds = _follow(chase, pair)
    return _edge(asked, chase, pair, ends, (state, slow, width, rounds))


def _refuse_unstable(system: System, pair: np.ndarray, hold) -> None:
    """Raise ValueError where an end stands still but is left by a small push."""
    options = {"hold": hold, "method": Newton(), "box": None, "tolerance": Tolerance()}
    for name, state in zip("ab", pair, strict=True):
        points = solve(system, state[None], **options)
        if len(points) and np.linalg.norm(points.states[0] - state) < 1e-6:
            if not points.n_unstable[0]:
                continue
            rate = points.rates[0][0].real
            raise ValueError(
                f"{name} is not attracting: a small push grows there at the rate {rate:+.4g} "
                f"per unit time, along coordinate {_coordinate(points)}. Give a state inside a "
                "basin; where that coordinate stays zero by itself, ask the system without it "
                "(its invariant face), on which the state may be stable."
            )


def _coordinate(points: FixedPoints) -> int:
    """The coordinate that the fastest growing mode changes most, zero at the point first."""
    mode, state = np.abs(points.modes[0][:, 0]), np.abs(points.states[0])
    absent = mode * (state < 1e-9)
    return int(np.argmax(absent if absent.max() > 0.05 * mode.max() else mode))


def _labelled(fine: System, ends: np.ndarray, hold) -> Label:
    for name, end in zip("ab", ends, strict=True):
        if not np.isfinite(end).all():
            raise ValueError(
                f"{name} does not come to rest. Give label=..., a function that tells on which "
                "side a state ends."
            )
    if np.linalg.norm(ends[1] - ends[0]) < 1e-6:
        raise ValueError("Both ends flow to attractor 0; give one state from each basin.")
    return referee(fine, ends, hold)


class _Chase(eqx.Module):
    """What stays the same while an edge is followed."""

    fine: System
    hold: np.ndarray
    label: Label
    names: np.ndarray  # labels of the two sides

    def bracket(self, pair: np.ndarray) -> np.ndarray:
        """The pair moved together on its segment, as far as float64 lets it."""
        floor = 4 * np.finfo(float).eps * max(1.0, float(np.abs(pair).max()))
        share = np.linspace(0, 1, INNER + 2)[:, None]
        while np.linalg.norm(pair[1] - pair[0]) > floor:
            states = (1 - share) * pair[0] + share * pair[1]
            seen = np.concatenate([self.names[:1], self.label(states[1:-1]), self.names[1:]])
            first = int(np.argmax(seen != self.names[0]))  # the first that is not on a's side
            smaller = states[[first - 1, first]]
            if np.linalg.norm(smaller[1] - smaller[0]) >= np.linalg.norm(pair[1] - pair[0]):
                break
            pair = smaller
            if seen[first] != self.names[1]:  # a third basin, or undecided: its edge is next
                self.names[1] = seen[first]
        return pair


def _follow(chase: _Chase, pair: np.ndarray):
    """`(slowest state seen, its speed over the median, bracket, rounds)`."""
    between = _between(pair, 65)
    first = float(np.linalg.norm(pair[1] - pair[0]))
    best, slowest, width = pair.mean(axis=0), np.inf, first
    with float64():
        system, u = widen(chase.fine), jnp.asarray(chase.hold)
        usual = float(np.median(_speeds(system, u, jnp.asarray(between))))
    number = 0
    while number < ROUNDS and slowest >= SLOW:
        number += 1
        pair = chase.bracket(pair)
        width = float(np.linalg.norm(pair[1] - pair[0]))
        with float64():
            asleep = ASLEEP * (1 + float(np.linalg.norm(pair[0]))) / system.dt
            apart, state, speed = _run_on(system, u, jnp.asarray(pair), PARTED * first, asleep)
        speed = float(speed)
        if speed / usual < slowest:
            best, slowest = np.asarray(state), speed / usual
        pair = np.asarray(apart)
    return best, slowest, width, number


def _between(pair: np.ndarray, count: int) -> np.ndarray:
    """`count` states on the segment, its ends among them."""
    share = np.linspace(0, 1, count)[:, None]
    return (1 - share) * pair[0] + share * pair[1]


@eqx.filter_jit
def _speeds(system: System, hold, states):
    return jax.vmap(lambda x: jnp.linalg.norm(system.velocity(x, hold)))(states)


@eqx.filter_jit
def _run_on(system: System, hold, pair, parted, asleep):
    """The pair while it is together and awake: `(last pair, slowest middle, its speed)`."""
    speed = lambda x: jnp.linalg.norm(system.velocity(x, hold))

    def tick(carry):
        number, pair, best, least = carry
        middle = pair.mean(axis=0)
        now = speed(middle)
        best = jnp.where(now < least, middle, best)
        pair = jax.vmap(lambda x: system.step(x, hold))(pair)
        return number + 1, pair, best, jnp.minimum(now, least)

    def together(carry):
        number, pair, _, least = carry
        near = jnp.linalg.norm(pair[1] - pair[0]) < parted
        return (number < LONGEST) & near & (least > asleep)

    start = (0, pair, pair[0], jnp.inf)
    _, pair, best, least = jax.lax.while_loop(together, tick, start)
    return pair, best, least


def _edge(system: System, chase: _Chase, pair, ends, followed) -> EdgeState:
    """The fixed point beside the slowest state seen, and what kind it is."""
    state, slow, width, rounds = followed
    size = len(state)
    nothing = np.full(size, np.nan)
    if not slow < 100 * SLOW:
        rates = np.full(size, np.nan, complex)
        return EdgeState(nothing, np.nan, rates, nothing, ends, width, rounds, MOVING)
    options = {"hold": chase.hold, "method": Newton(), "box": None, "tolerance": Tolerance()}
    points = solve(system, state[None], **options)
    near = 0.05 * float(np.linalg.norm(pair[1] - pair[0]))
    if not len(points) or np.linalg.norm(points.states[0] - state) > near:
        rates = np.full(size, np.nan, complex)
        return EdgeState(nothing, np.nan, rates, nothing, ends, width, rounds, MOVING)
    found, speed, rates = points.states[0], float(points.speeds[0]), points.rates[0]
    if points.n_unstable[0] != 1:
        return EdgeState(found, speed, rates, nothing, ends, width, rounds, WRONG_INDEX)
    left, code = _oriented(system, chase, found, pair)
    return EdgeState(found, speed, rates, left, ends, width, rounds, code)


def _oriented(system: System, chase: _Chase, saddle, pair) -> tuple[np.ndarray, int]:
    """`(left eigenvector with b on its positive side, FOUND or ELSEWHERE)`."""
    left, right = directions(jacobian_at(system, saddle, chase.hold), system.discrete)
    push = 1e-3 * float(np.linalg.norm(pair[1] - pair[0])) * right
    sides = chase.label(np.stack([saddle - push, saddle + push]))
    a, b = chase.label(pair)
    if sides[0] == b and sides[1] == a:
        return -left, FOUND
    return left, FOUND if sides[0] == a and sides[1] == b else ELSEWHERE
