"""What is left of a fixed point beyond its fold, and how long does a state stay with it?"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from slowpoint.analysis.branch import along
from slowpoint.analysis.class_points import ToTheBottom
from slowpoint.analysis.events import Event
from slowpoint.analysis.problem import Problem
from slowpoint.core.precision import float64, widen
from slowpoint.core.result import Result
from slowpoint.core.system import System

Numbers = Array | np.ndarray
NONE = jnp.zeros(0)


class Ghosts(Result):
    r"""One row per distance beyond the fold.

    Along its slow mode v a state obeys about $\dot y = b + a y^2$; b is `push`, a is `bend`,
    both per unit time, with $l \cdot v = |v| = 1$ for the left vector l.
    """

    beyond: Float[np.ndarray, " gap"]  # how far the value is from the fold
    states: Float[np.ndarray, "gap state"]  # the slow point
    q: Float[np.ndarray, " gap"]  # half its squared residual
    speeds: Float[np.ndarray, " gap"]  # per unit time
    gradients: Float[np.ndarray, " gap"]  # |projected gradient of q|
    defects: Float[np.ndarray, " gap"]  # distance from singular of the residual's Jacobian
    push: Float[np.ndarray, " gap"]  # l . velocity
    bend: Float[np.ndarray, " gap"]  # half the second derivative of l . velocity along v
    steps: Int[np.ndarray, " gap"]  # taken until the state has left; -1: it had not
    dt: float  # of a step


def ghosts(
    family: Callable[..., System],
    fold: Event,
    beyond: Float[np.ndarray, " gap"],
    start: Float[Numbers, " state"],
    leaves: Callable[[Float[Array, " output"]], Bool[Array, ""]],
    *,
    most: int = 20_000,
) -> Ghosts:
    """The slow points `beyond` a fold of `family`, and a run from `start` past each of them.

    `family(value)` takes no input, as in `track`. The run ends when the output `leaves`.
    Raises ValueError when a distance is not above 0.
    """
    beyond = np.asarray(beyond, float)
    if not (beyond > 0).all():
        raise ValueError(f"beyond={beyond}: give distances above 0, where no point is.")
    with float64():
        values = fold.value + np.sign(fold.push) * beyond
        family = widen(family)
        x = jnp.asarray(fold.state)
        rows = [_describe(family, jnp.asarray(value), x) for value in values]
        columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        begin = jnp.asarray(np.asarray(start, float))
        steps = np.asarray(_run(family, jnp.asarray(values), begin, leaves, most))
        dt = float(family(jnp.asarray(values[0])).dt)
    return Ghosts(beyond=beyond, steps=steps.astype(int), dt=dt, **columns)


def _describe(family, value: Array, x: Array) -> dict[str, np.ndarray]:
    """The slow point near `x` and the two numbers of its slow mode."""
    state, r, slope, gradient = map(np.asarray, _bottom(family, value, x))
    values, right = np.linalg.eig(slope)
    slow = np.argmin(np.abs(values))
    v = np.real(right[:, slow])
    v = v / np.linalg.norm(v)
    left = np.real(np.linalg.inv(right)[slow])
    left = left / (left @ v)
    system = family(value)
    per_time = 1 / system.dt if system.discrete else 1.0
    bend = 0.5 * per_time * left @ np.asarray(_second(family, value, state, v))
    push = per_time * left @ r
    return {
        "states": state,
        "q": np.array(0.5 * r @ r),
        "speeds": np.array(per_time * np.linalg.norm(r)),
        "gradients": np.array(np.linalg.norm(gradient)),
        "defects": np.array(np.abs(values[slow])),
        "push": np.array(push * np.sign(push)),
        "bend": np.array(bend * np.sign(push)),
    }


@eqx.filter_jit
def _bottom(family, value, x):
    problem = Problem(family(value))
    (state,), _, _ = ToTheBottom()(problem, x[None], NONE)
    gradient = jax.grad(problem.q)(state, NONE)
    free = jnp.where(problem.at_bound(state, NONE, gradient), 0.0, gradient)
    return state, problem.residual(state, NONE), problem.jacobian(state, NONE), free


@eqx.filter_jit
def _second(family, value, x, v):
    residual = lambda x: Problem(family(value)).residual(x, NONE)
    return along(lambda x: along(residual, x, v), x, v)


@eqx.filter_jit
def _run(family, values, start, leaves, most: int):
    def one(value):
        system = family(value)
        inside = lambda state: ~leaves(system.output(state[0])) & (state[1] < most)
        move = lambda state: (system.step(state[0], NONE), state[1] + 1)
        x, steps = jax.lax.while_loop(inside, move, (start, jnp.zeros((), int)))
        return jnp.where(leaves(system.output(x)), steps, -1)

    return jax.vmap(one)(values)
