"""How does a closed loop move near its goal, wherever that is?"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from slowpoint.core.closed_loop import ClosedLoop
from slowpoint.core.precision import float64, to_numpy, widen
from slowpoint.core.system import System
from slowpoint.core.trial import Trial
from slowpoint.core.with_effort import WithEffort

STEPS = 50  # of a run, where no trial says how long it is
SETTLE, POLISH = 200, 5  # steps of the agent; then of Newton's method
SEARCH = 20  # Gauss-Newton steps to a goal


class Goals(eqx.Module):
    """Runs of a loop, each towards a goal that is held: what does not depend on the agent.

    The first runs begin as the trials do. Where all trials begin at their goal in some
    coordinate, there are two more that begin a little off it, one on either side.
    """

    holds: Float[np.ndarray, "run input"]  # of the loop: the goal, and no noise
    states: Float[np.ndarray, "run world"]  # at the goal: at rest without effort, target shown
    starts: Float[np.ndarray, "run world"]
    misses: Float[np.ndarray, " goal"]  # how far they are from rest and from the target
    steps: int = eqx.field(static=True)


def loop_in(model: Any) -> ClosedLoop:
    """The ClosedLoop that `model` is, or is made of. Raises ValueError when there is none."""
    is_loop = lambda part: isinstance(part, ClosedLoop)
    found = [part for part in jax.tree.leaves(model, is_leaf=is_loop) if is_loop(part)]
    if not found:
        raise ValueError(
            f"This is a {type(model).__name__}, without a closed loop in it. Train "
            "ClosedLoop(world, agent), or WithEffort of one. For the fixed points of a network "
            "that moves no world type: slowpoint explain NETWORK"
        )
    return found[0]


def find_goals(model: Any, trials: Trial | None = None) -> Goals:
    r"""The goals of `trials`, and runs towards them.

    A goal is the state w of the world that comes nearest to resting there with the target
    shown: least $|step(w, 0) - w|^2 + |seen(w) - target|^2$ at the target of the last step,
    from where the trial begins. `seen` is the world's output, or its state where the model is
    a WithEffort that shows that. Without trials the goal is the rest nearest to 0.
    """
    loop = loop_in(model)
    size, width = loop.world.state_size, loop.goal_size
    if trials is None:
        starts, aims = np.zeros((1, size)), np.zeros((1, 0))
        holds, steps = np.zeros((1, loop.input_size)), STEPS
    else:
        given = np.asarray(trials.start, float)[:, :size]
        starts = np.tile(np.asarray(loop.world.initial, float), (len(given), 1))
        starts[:, : given.shape[1]] = given
        aims = np.asarray(trials.targets, float)[:, -1]
        holds, steps = np.zeros((len(given), loop.input_size)), trials.inputs.shape[1]
        holds[:, :width] = np.asarray(trials.inputs, float)[:, -1, :width]
    whole = isinstance(model, WithEffort) and model.shows == "state"
    found = [_rest(loop.world, *one, whole) for one in zip(starts, aims)]
    states, misses = (np.array(parts) for parts in zip(*found))
    return _spread(Goals(holds, states, starts, misses, steps), loop.dt)


@eqx.filter_jit
def _off(world: System, w, aim, whole: bool):
    """`(value, slope)` of what is to be 0 at a goal."""

    def off(w):
        moved = world.step(w, jnp.zeros(world.input_size)) - w
        seen = (w if whole else world.output(w))[: len(aim)]
        return jnp.concatenate([moved, seen - aim[: len(seen)]])

    return off(w), jax.jacfwd(off)(w)


def _rest(world: System, start, aim, whole: bool) -> tuple[np.ndarray, float]:
    """`(state, distance)`: Gauss-Newton from `start`, the shortest step where many do."""
    with float64():
        wide, aim = widen(world), jnp.asarray(aim)
        look = lambda w: map(np.asarray, _off(wide, jnp.asarray(w), aim, whole))
        w, (value, slope) = start, look(start)
        for _ in range(SEARCH):
            new = w - np.linalg.pinv(slope) @ value
            value_there, slope_there = look(new)
            if not np.linalg.norm(value_there) < np.linalg.norm(value):
                break
            w, value, slope = new, value_there, slope_there
    return w, float(np.linalg.norm(value))


def _spread(goals: Goals, dt: float) -> Goals:
    """With runs for each coordinate in which every trial begins at its goal.

    Their size is that of the other coordinates, over the time of a run; 1 when all do.
    """
    off = np.sqrt(((goals.starts - goals.states) ** 2).mean(axis=0))
    flat = np.flatnonzero(off <= 1e-6 * off.max())
    if not len(flat):
        return goals
    size = off.max() / (goals.steps * dt) if off.max() > 0 else 1.0
    more = size * np.eye(len(off))[flat]
    starts = np.concatenate([goals.states[0] + more, goals.states[0] - more])
    holds, states = (np.repeat(a[:1], len(starts), axis=0) for a in (goals.holds, goals.states))
    if off.max() > 0:
        starts = np.concatenate([goals.starts, starts])
        holds = np.concatenate([goals.holds, holds])
        states = np.concatenate([goals.states, states])
    return Goals(holds, states, starts, goals.misses, goals.steps)


class Near(eqx.Module):
    """How a loop moves near its goals."""

    jacobians: Float[Array, "goal state state"]  # of its step, at the goals asked for
    efforts: Float[Array, " effort"]  # what the agent does at the first goal: 0 if it rests
    states: Float[Array, "run time world"]  # of the runs, from the goal of each
    actions: Float[Array, "run time effort"]  # that act on `states`, from those at the goal


def near(loop: ClosedLoop, goals: Goals, at: tuple[int, ...]) -> Near:
    """Linearise at the goals numbered `at`, and run towards all; NumPy, in float64.

    The agent stands where it settles while the world is held at the goal.
    """
    with float64():
        return to_numpy(_near(widen(loop), widen(goals), at))


@eqx.filter_jit
def _near(loop: ClosedLoop, goals: Goals, at: tuple[int, ...]) -> Near:
    def one(start, hold, goal):
        agent = _settled(loop, goal, hold)
        effort = loop.agent.output(agent)

        def tick(x, _):
            after = loop.step(x, hold)
            world, agent = loop.split(x)
            if loop.first == "agent":  # it answers before the world moves
                _, agent = loop.split(after)
            return after, (world - goal, loop.agent.output(agent) - effort)

        x = jnp.concatenate([start, loop.agent.initial])
        run = jax.lax.scan(tick, x, length=goals.steps)[1]
        return jnp.concatenate([goal, agent]), effort, *run

    joint, efforts, states, actions = jax.vmap(one)(goals.starts, goals.holds, goals.states)
    where = np.array(at)
    jacobians = jax.vmap(jax.jacfwd(loop.step))(joint[where], goals.holds[where])
    return Near(jacobians, efforts[0], states, actions)


def _settled(loop: ClosedLoop, world, hold):
    """Where the agent stands still while the world does."""
    u = jnp.concatenate([loop.world.output(world), hold[: loop.goal_size]])
    move = lambda h: loop.agent.step(h, u)
    off = lambda h: move(h) - h
    h, _ = jax.lax.scan(lambda h, _: (move(h), None), loop.agent.initial, length=SETTLE)

    def polish(h, _):
        better = h - jnp.linalg.solve(jax.jacfwd(off)(h), off(h))
        take = jnp.linalg.norm(off(better)) < jnp.linalg.norm(off(h))
        return jnp.where(take | ~jnp.isfinite(h).all(), better, h), None

    return jax.lax.scan(polish, h, length=POLISH)[0]


def push(
    world: System,
    state: Float[np.ndarray, " world"],
    gain: Float[np.ndarray, "effort world"],
    steps: int,
) -> float:
    r"""How a controller u = K x pushes the world back to a goal: below 0 in all directions.

    The largest real part of an eigenvalue of
    $\frac{2}{T (T - 1)} N^\top \sum_{t<T} A^t B K N$: N spans the displacements in which the
    world rests anywhere (A N = N), the sum is how far an effort held for T = `steps` ticks
    moves it along them. For the double integrator at dt = 1 this is the position gain k1. NaN
    where K is; minus infinity where there is no such N: the world returns by itself.
    """
    with float64():
        wide, at = widen(world), jnp.asarray(state)
        a, b = map(np.asarray, _slopes(wide, at))
    b = b[:, : len(gain)]
    _, sizes, rows = np.linalg.svd(a - np.eye(len(a)))
    free = rows[sizes < 1e-9 * max(1.0, sizes.max())].T
    if not free.size:
        return -np.inf
    if not np.isfinite(gain).all():
        return np.nan
    moved = np.zeros_like(b)
    for _ in range(steps):
        moved = a @ moved + b
    back = 2 / (steps * (steps - 1)) * free.T @ moved @ gain @ free
    return float(np.linalg.eigvals(back).real.max())


@eqx.filter_jit
def _slopes(world: System, at):
    return jax.jacfwd(world.step, (0, 1))(at, jnp.zeros(world.input_size))
