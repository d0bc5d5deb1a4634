"""Where does the system itself go, left alone under a held input?"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from slowpoint.analysis.lanes import run_lanes
from slowpoint.analysis.methods import Forward
from slowpoint.analysis.problem import Problem
from slowpoint.core.precision import float64, widen
from slowpoint.core.result import Result
from slowpoint.core.system import System


class Settled(Result):
    """One row per start. Where `settled` is false the run was still moving when it stopped."""

    ends: Float[np.ndarray, "start state"]
    speeds: Float[np.ndarray, " start"]  # per unit time
    steps: Int[np.ndarray, " start"]
    settled: Bool[np.ndarray, " start"]


def settle(
    system: System,
    starts: Float[Array | np.ndarray, "start state"],
    hold: Float[Array | np.ndarray, " input"],
    *,
    until: Forward | None = None,
    seconds: float | None = None,
) -> Settled:
    """Step `system` from every start until it moves slower than `until.speed` (1e-9).

    Runs that are still moving after `until.max_steps` are cycles, chaos or very slow.
    """
    until = Forward() if until is None else until
    with float64():
        problem = Problem(widen(system), boxed=False)
        x = np.asarray(starts, np.float64)
        u = np.broadcast_to(np.asarray(hold, np.float64), (len(x), system.input_size))
        lanes = run_lanes(until, problem, x, u, seconds=seconds)
        speed = jax.jit(jax.vmap(lambda x, u: jnp.linalg.norm(problem.system.velocity(x, u))))
        speeds = np.asarray(speed(jnp.asarray(lanes.x), jnp.asarray(u)))
    return Settled(lanes.x, speeds, lanes.steps, lanes.done)
