"""Near which slow point does a network keep each class? (Haviv, Rivkind and Barak 2019.)

PMLR 97, 2663, by the authors' descent or to the bottom of the valley.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Int

from slowpoint.analysis.memory import names
from slowpoint.analysis.problem import Problem
from slowpoint.analysis.solve import check, described, Tolerance
from slowpoint.analysis.valley import Valley
from slowpoint.cells.lstm import LSTM
from slowpoint.core.precision import float64, widen
from slowpoint.core.result import Result
from slowpoint.core.system import System
from slowpoint.tasks.delayed_classification import DelayedClassification

Numbers = Array | np.ndarray


class ClassPoints(Result):
    """One row per class, in the order of the centres; speeds and rates per unit time."""

    states: Float[np.ndarray, "class state"]
    named: Int[np.ndarray, " class"]  # what the point is read out as; -1: no class
    speeds: Float[np.ndarray, " class"]  # |velocity|
    minimised: Float[np.ndarray, " class"]  # root of what the descent minimised, per step
    gradients: Float[np.ndarray, " class"]  # |projected gradient of q|
    kinds: Int[np.ndarray, " class"]  # index into FixedPoints.KINDS
    rates: Complex[np.ndarray, "class state"]  # the fastest growing first
    n_unstable: Int[np.ndarray, " class"]
    at_bound: Int[np.ndarray, " class"]  # coordinates that the box holds
    moved: Float[np.ndarray, " class"]  # distance from the centre
    steps: Int[np.ndarray, " class"]  # of the descent


class ClippedAdam(eqx.Module):
    r"""Minimise $|F(h) - h|^2$ by Adam, h clipped to the box at every step: the authors' way.

    The rate falls to a tenth after two fifths of the steps. Of an LSTM: $|\Delta h|^2 +
    |\Delta \tanh c|^2$, only h clipped. Its speed depends on its steps: state them.
    """

    steps: int = eqx.field(static=True, default=100_000)
    rate: float = 1e-3

    def __call__(self, problem: Problem, x: Float[Array, "row state"], u):
        """`(states, steps taken, root of what was minimised)`."""
        move = jax.vmap(jax.value_and_grad(lambda x: stir(problem.system, x, u)))

        def step(number, carry):
            x, mean, square = carry
            _, gradient = move(x)
            mean = 0.9 * mean + 0.1 * gradient
            square = 0.999 * square + 0.001 * gradient**2
            t = number + 1
            rate = jnp.where(number < 0.4 * self.steps, self.rate, self.rate / 10)
            upon = jnp.sqrt(square / (1 - 0.999**t)) + 1e-8
            x = x - rate * (mean / (1 - 0.9**t)) / upon
            return jax.vmap(lambda x: clipped(problem, x, u))(x), mean, square

        zero = jnp.zeros_like(x)
        x, *_ = jax.lax.fori_loop(0, self.steps, step, (x, zero, zero))
        return x, jnp.full(len(x), self.steps), jnp.sqrt(move(x)[0])


class ToTheBottom(eqx.Module):
    """Minimise q by Newton steps until its projected gradient is rounding."""

    method: Valley = Valley()

    def __call__(self, problem: Problem, x: Float[Array, "row state"], u):
        """`(states, steps taken, root of what was minimised)`."""

        def one(x):
            lane = self.method.start(problem.project(x, u), u)
            going = lambda lane: ~lane.done & (lane.steps < self.method.max_steps)
            lane = jax.lax.while_loop(going, lambda lane: self.method.step(problem, lane), lane)
            return lane.x, lane.steps, jnp.linalg.norm(problem.residual(lane.x, u))

        return jax.lax.map(one, x)  # one by one: each takes the steps that it needs


def stir(system: System, x: Float[Array, " state"], u: Float[Array, " input"]):
    """Squared length of one step, the memory of an LSTM seen through its tanh."""
    after = system.step(x, u)
    if isinstance(system, LSTM):
        squash = lambda x: x.at[system.memory].set(jnp.tanh(x[system.memory]))
        x, after = squash(x), squash(after)
    return jnp.sum((after - x) ** 2)


def clipped(problem: Problem, x: Float[Array, " state"], u: Float[Array, " input"]):
    """`x` inside its box; of an LSTM only h."""
    if isinstance(problem.system, LSTM):
        hidden = problem.system.hidden
        return x.at[hidden].set(jnp.clip(x[hidden], -1, 1))
    return problem.project(x, u)


def class_slow_points(
    system: System,
    task: DelayedClassification,
    centres: Float[Numbers, "class state"],
    how: ClippedAdam | ToTheBottom | None = None,
) -> ClassPoints:
    """The slow point that `centres` lead to under the mean frame of the task, in float64.

    `how`: `ToTheBottom()`, or `ClippedAdam()` as in the paper. Raises ValueError when the
    sizes of system, task and centres disagree or a number is not finite.
    """
    how = ToTheBottom() if how is None else how
    check(system, np.asarray(centres), np.asarray(task.quiet))
    with float64():
        problem = Problem(widen(system))
        quiet = np.asarray(widen(task).quiet)
        start = jnp.asarray(centres, float)
        x, steps, minimised = map(np.asarray, _descend(how, problem, start, jnp.asarray(quiet)))
        held = np.broadcast_to(quiet, (len(x), len(quiet)))
        found = described(problem, x, held, Tolerance())
    same = ("states", "speeds", "gradients", "kinds", "rates", "n_unstable")
    return ClassPoints(
        **{name: found[name] for name in same},
        at_bound=found["at_bound"].sum(axis=1),
        named=names(system, task, x),
        minimised=minimised,
        moved=np.linalg.norm(x - np.asarray(start), axis=1),
        steps=steps.astype(int),
    )


@eqx.filter_jit
def _descend(how: ClippedAdam | ToTheBottom, problem: Problem, x, u):
    return how(problem, x, u)
