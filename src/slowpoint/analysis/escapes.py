"""Which course of input noise is the cheapest that carries a memory over a saddle?

The most likely way out in weak noise: Freidlin and Wentzell (2012), Random Perturbations of
Dynamical Systems, chapter 4. Found as the nearest point of a surface is: Hasofer and Lind
(1974). How often it is taken: `slowpoint.analysis.escape_amplitude`.
"""

import time
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from slowpoint.analysis.basins import nearest
from slowpoint.analysis.escape_amplitude import amplitude
from slowpoint.analysis.points import FixedPoints
from slowpoint.analysis.settle import settle
from slowpoint.analysis.topology import NEAR, Topology
from slowpoint.core.precision import float64, widen
from slowpoint.core.result import Result
from slowpoint.core.system import System

Numbers = Array | np.ndarray
PROVED, UNPROVED, TURNS, NO_TIME, STRONG = range(5)
HORIZON = 256  # steps of a course
TURNS_FIRST, TURNS_LAST = 40, 25  # of the iteration, to the saddle's plane and pulled back
SLACK = 0.02  # a course crosses at 1 + SLACK of its size, and not at 1 - SLACK
TOGETHER = 8  # courses sought at once
WEAK = 0.25  # change of curvature of a step within the noise, as a share of it, at most


class Escapes(Result):
    """One row per way over a saddle, there and back in turn; points are rows of FixedPoints.

    Rates are per step, noise in units of its standard deviation. NaN where `code` is not 0.
    """

    SAYS: ClassVar[tuple[str, ...]] = (
        "The course crosses at 1.02 of its size and not at 0.98, by simulation.",
        "The course found is no border between staying and leaving: there may be a cheaper "
        f"one, or one that takes longer than {HORIZON} steps.",
        "The growing rate of the saddle flips sides every step: no course was sought.",
        "Not looked for: the time was over.",
        "The noise is too strong: within a single step the network bends in it.",
    )

    origin: Int[np.ndarray, " way"]
    target: Int[np.ndarray, " way"]
    saddle: Int[np.ndarray, " way"]
    rate: Float[np.ndarray, " way"]  # at which the saddle is left
    barrier: Float[np.ndarray, " way"]  # half the squared size of the course: exp(-it) is paid
    amplitude: Float[np.ndarray, " way"]  # of exp(-barrier): how wide the way is
    cosine: Float[np.ndarray, " way"]  # between the course and the gradient; 1 at a minimum
    courses: Float[np.ndarray, "way time input"]
    code: Int[np.ndarray, " way"]
    noise: Float[np.ndarray, " input"]  # standard deviation per step

    @property
    def proved(self) -> Bool[np.ndarray, " way"]:
        """Whether the course is a border between staying and leaving."""
        return self.code == PROVED


def escapes(
    system: System,
    points: FixedPoints,
    topology: Topology,
    hold: Float[Numbers, " input"],
    noise: Float[Numbers, " input"],
    *,
    seconds: float = 60.0,
) -> Escapes:
    """The cheapest course of noise over every saddle in `topology.neighbours`, both ways.

    `noise`: the standard deviation of each input around `hold`, drawn anew at every step.
    No course is begun after `seconds`. Raises ValueError when `noise` is not one number from 0
    per input, or all are 0.
    """
    end = time.monotonic() + seconds
    noise = checked_noise(system, noise)
    found = _blank(system, points, topology.neighbours, noise)
    with float64():
        wide, held = widen(system), jnp.asarray(np.asarray(hold, float))
        left = np.zeros((len(found.origin), system.state_size))
        for row in range(len(left)):
            left[row], found.rate[row] = _edge(wide, held, points, found, row)
        found.code[~np.isfinite(found.rate)] = TURNS
        wanted = np.flatnonzero(np.isfinite(found.rate))
        for rows in np.split(wanted, range(TOGETHER, len(wanted), TOGETHER)):
            if len(rows) and time.monotonic() < end:
                _sought(found, rows, points, left, (wide, held))
        _judged(found, points, topology, system, hold)
        for row in np.flatnonzero(found.proved).tolist():
            start = jnp.asarray(points.states[found.origin[row]])
            both = jnp.stack([start, jnp.asarray(points.states[found.saddle[row]])])
            if _bending(wide, held, jnp.asarray(noise), both) > WEAK:
                found.code[row] = STRONG
                continue
            course, slope = jnp.asarray(found.courses[row]), jnp.asarray(left[row])
            found.amplitude[row] = amplitude(
                wide, held, jnp.asarray(noise), start, course, slope
            )
    for name in ("barrier", "amplitude", "cosine"):
        getattr(found, name)[~found.proved] = np.nan
    return found


def checked_noise(
    system: System, noise: Float[Numbers, "..."] | float
) -> Float[np.ndarray, " input"]:
    """A standard deviation per input. Raises ValueError where that can't be."""
    given = np.asarray(noise, float)
    if given.ndim == 0:
        given = np.full(system.input_size, given)
    fits = given.shape == (system.input_size,) and np.isfinite(given).all()
    if not fits or (given < 0).any() or not given.any():
        raise ValueError(
            f"noise is {given.tolist()}, the network takes {system.input_size} inputs. Give "
            "one standard deviation above 0, or one from 0 for each input."
        )
    return given


def _blank(system: System, points: FixedPoints, pairs: np.ndarray, noise) -> Escapes:
    a, b, saddle = np.repeat(pairs, 2, axis=0).T
    there = np.arange(len(a)) % 2 == 0
    number = lambda *shape: np.full((len(a), *shape), np.nan)
    return Escapes(
        origin=np.where(there, a, b),
        target=np.where(there, b, a),
        saddle=saddle,
        rate=number(),
        barrier=number(),
        amplitude=number(),
        cosine=number(),
        courses=np.zeros((len(a), HORIZON, system.input_size)),
        code=np.full(len(a), NO_TIME),
        noise=noise,
    )


def _edge(wide: System, held, points: FixedPoints, found: Escapes, row: int):
    """`(left vector of the growing mode, towards the target; its rate)`; NaN: it flips."""
    saddle = points.states[found.saddle[row]]
    slope = np.asarray(wide.jacobian(jnp.asarray(saddle), held))
    if not wide.discrete:
        slope = np.eye(len(slope)) + wide.dt * slope
    values, vectors = np.linalg.eig(slope.T)
    first = np.argmax(np.abs(values))
    left = np.real(vectors[:, first])
    if values[first].imag or values[first].real <= 1:
        return left, np.nan
    return left * np.sign(left @ (points.states[found.target[row]] - saddle)), np.log(
        values[first].real
    )


def _sought(found: Escapes, rows: np.ndarray, points: FixedPoints, left, asked) -> None:
    """Fill in the courses of `rows`."""
    padded = np.pad(rows, (0, TOGETHER - len(rows)), mode="edge")
    lanes = (
        jnp.asarray(points.states[found.origin[padded]]),
        jnp.asarray(points.states[found.saddle[padded]]),
        jnp.asarray(left[padded]),
    )
    course, noise = jnp.asarray(found.courses[padded]), jnp.asarray(found.noise)
    tail = np.minimum(np.round(1 / found.rate[padded]), HORIZON // 4)
    for quiet, turns in ((0 * tail, TURNS_FIRST), (tail, TURNS_LAST)):
        last = jnp.asarray(HORIZON - quiet)
        course, cosine = _descend(asked, noise, lanes, course, last, turns)
    found.courses[rows] = np.asarray(course)[: len(rows)]
    found.barrier[rows] = 0.5 * (found.courses[rows] ** 2).sum(axis=(1, 2))
    found.cosine[rows] = np.asarray(cosine)[: len(rows)]
    found.code[rows] = UNPROVED


@eqx.filter_jit
def _descend(asked, noise, lanes, course, last, turns):
    """`(course, cosine)` after `turns` steps towards the least noise that meets the plane."""
    system, held = asked
    lit = (jnp.arange(HORIZON)[None] < last[:, None])[:, :, None]

    def one(start, saddle, left, course, lit):
        def beyond(course):
            end = end_of(system, held[None] + noise[None] * course * lit, start)
            return left @ (end - saddle)

        miss, slope = jax.value_and_grad(beyond)(course)
        square = jnp.sum(slope**2)
        goal = (jnp.sum(slope * course) - miss) / square * slope
        trials = course[None] + (2.0 ** -jnp.arange(8))[:, None, None] * (goal - course)[None]
        size = lambda part: jnp.linalg.norm(part)
        price = 2 * jnp.maximum(size(goal), size(course)) / jnp.sqrt(square)
        off = jnp.abs(jax.vmap(beyond)(trials))
        merit = 0.5 * jnp.sum(trials**2, axis=(1, 2)) + price * off
        aligned = jnp.sum(slope * course) / (jnp.sqrt(square) * size(course) + 1e-300)
        return trials[merit.argmin()], aligned

    def turn(_, carry):
        starts, saddles, lefts = lanes
        return jax.vmap(one)(starts, saddles, lefts, carry[0], lit)

    return jax.lax.fori_loop(0, turns, turn, (course, jnp.zeros(len(course))))


def end_of(system: System, inputs: Float[Array, "time input"], start: Float[Array, " state"]):
    """Where a state is after `inputs`."""
    drives = jax.vmap(system.encode)(inputs)
    return jax.lax.scan(lambda x, u: (system.advance(x, u), None), start, drives)[0]


@eqx.filter_jit
def _bending(system: System, held, noise, states):
    """How much the curvature of a step in its noise changes within the noise, as a share."""

    def curvature(x, size):
        step = lambda way: system.step(x, held + size * way)
        each = jax.vmap(lambda way: step(way) + step(-way) - 2 * step(0 * way))
        return each(jnp.diag(noise)).sum(axis=0) / size**2

    # at sqrt(3) deviations is what the mean over the noise feels: Gauss and Hermite
    near, wide = (jax.vmap(lambda x, s=s: curvature(x, s))(states) for s in (0.05, 3**0.5))
    return jnp.linalg.norm(wide - near) / (jnp.linalg.norm(near) + 1e-9)


def _judged(found: Escapes, points: FixedPoints, topology: Topology, system, hold) -> None:
    """Let the network go after each course, a little larger and a little smaller."""
    rows = np.flatnonzero(found.code == UNPROVED)
    if not len(rows):
        return
    wide, held, noise = widen(system), jnp.asarray(np.asarray(hold, float)), found.noise
    ends = []
    for size in (1 + SLACK, 1 - SLACK):
        inputs = held[None, None] + jnp.asarray(size * noise * found.courses[rows])
        starts = jnp.asarray(points.states[found.origin[rows]])
        after = np.asarray(_ends(wide, inputs, starts))
        run = settle(system, after, hold)
        there = nearest(run.ends, points.states[topology.attractors], NEAR)
        ends.append(np.where(there >= 0, topology.attractors[np.maximum(there, 0)], -1))
    good = (ends[0] == found.target[rows]) & (ends[1] == found.origin[rows])
    found.code[rows[good]] = PROVED


@eqx.filter_jit
def _ends(system: System, inputs, starts):
    return jax.vmap(lambda u, x: end_of(system, u, x))(inputs, starts)
