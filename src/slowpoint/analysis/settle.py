"""Where does the system itself go, left alone under a held input?"""

import dataclasses
import time

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from slowpoint.analysis.lanes import run_lanes
from slowpoint.analysis.methods import Forward, Newton
from slowpoint.analysis.problem import evaluate, Problem
from slowpoint.analysis.rows import over_rows
from slowpoint.analysis.solve import solve, Tolerance
from slowpoint.core.precision import float64, widen
from slowpoint.core.result import Result
from slowpoint.core.system import System

COARSE = 1e-6  # speed at which Newton may shorten the last, exponential stretch
CALM = 1e-3  # speed above which there is no such stretch to shorten


class Settled(Result):
    """One row per start. Where `settled` is false the run was still moving when it stopped."""

    ends: Float[np.ndarray, "start state"]
    speeds: Float[np.ndarray, " start"]  # per unit time, when the stepping stopped
    steps: Int[np.ndarray, " start"]
    settled: Bool[np.ndarray, " start"]
    shortened: Bool[np.ndarray, " start"]  # the end is the stable point it was converging to


def settle(
    system: System,
    starts: Float[Array | np.ndarray, "start state"],
    hold: Float[Array | np.ndarray, " input"],
    *,
    until: Forward | None = None,
    seconds: float | None = None,
) -> Settled:
    """Step `system` from every start until it moves slower than `until.speed` (1e-9).

    A run that is slower than 1e-6, or out of steps, and so close to a stable fixed point that
    one Newton step all but reaches it, is taken there: with time constants of thousands of
    steps the stepping alone would not end. The others go on; those still moving after
    `until.max_steps` are cycles, chaos or slower still.
    """
    until = Forward() if until is None else until
    end = None if seconds is None else time.monotonic() + seconds
    x = np.asarray(starts, np.float64)
    with float64():
        problem = Problem(widen(system), boxed=False)
        u = np.broadcast_to(np.asarray(hold, np.float64), (len(x), system.input_size))
        # speeds are arrays: both runs are one compiled program
        coarse = dataclasses.replace(until, speed=jnp.maximum(COARSE, until.speed))
        until = dataclasses.replace(until, speed=jnp.asarray(until.speed))
        run = run_lanes(coarse, problem, x, u, seconds=seconds)
        ends, steps, speeds = run.x.copy(), run.steps.copy(), _speeds(problem, run.x, u)
    calm = np.flatnonzero(speeds < CALM)
    ends[calm], near = _limits(system, run.x[calm], hold)
    shortened = np.isin(np.arange(len(x)), calm[near])
    settled = shortened.copy()
    left = np.flatnonzero(~shortened & run.done)
    seconds = None if end is None else end - time.monotonic()
    with float64():
        run = run_lanes(until, problem, ends[left], u[left], seconds=seconds)
        ends[left], settled[left] = run.x, run.done
        steps[left] += run.steps
        speeds[left] = _speeds(problem, run.x, u[left])
    return Settled(ends, speeds, steps, settled, shortened)


def _speeds(problem: Problem, x: np.ndarray, u: np.ndarray) -> np.ndarray:
    return evaluate(problem, x, u)[1].copy()


def _limits(system: System, x: np.ndarray, hold) -> tuple[np.ndarray, np.ndarray]:
    """`(states, whether)`: the stable point each state converges to, where that is clear.

    Clear: Newton ends at a stable isolated point, and its first step covered nine tenths of
    the way there, so that the state is where the system is linear.
    """
    if not len(x):
        return x, np.zeros(0, bool)
    method = Newton(max_steps=12)
    points = solve(system, x, hold=hold, method=method, box=None, tolerance=Tolerance())
    good = np.append((points.n_unstable == 0) & ~points.degenerate, False)[points.guess_index]
    goal = np.where(good[:, None], np.vstack([points.states, x[:1]])[points.guess_index], x)
    with float64():
        problem = Problem(widen(system), boxed=False)
        u = np.broadcast_to(np.asarray(hold, float), (len(x), system.input_size))
        first = _first_steps(problem, x, u)
    miss = np.linalg.norm(x + first - goal, axis=1)
    near = good & (miss <= 0.1 * np.linalg.norm(x - goal, axis=1) + 1e-9)
    return np.where(near[:, None], goal, x), near


@over_rows
def _first_steps(problem: Problem, x, u):
    return -jnp.linalg.solve(problem.jacobian(x, u), problem.residual(x, u))
