"""How one guess is moved to a state that stands still.

Each method is a step on a Lane: a state, the input held, and what the method remembers.
"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

from slowpoint.analysis.problem import Problem, rounding
from slowpoint.core.system import System

WIDE = 256
HALVINGS = 2.0 ** -np.arange(10)  # step lengths tried at once


class Lane(eqx.Module):
    """One guess on its way."""

    x: Float[Array, " state"]
    u: Float[Array, " input"]
    memory: PyTree[Float[Array, "..."]]
    steps: Int[Array, ""]
    done: Bool[Array, ""]


class Method(eqx.Module):
    """Moves a lane one step. `done` says that it has arrived or can go no further."""

    max_steps: eqx.AbstractVar[int]
    via: eqx.AbstractVar[System | None]  # solve this System instead: its points are the same
    block: eqx.AbstractVar[int]  # steps between two looks at which lanes are done
    width: eqx.AbstractVar[int]  # lanes moved at once: few where a step is dear
    double: eqx.AbstractVar[bool]

    @abc.abstractmethod
    def remember(self, x: Float[Array, " state"]) -> PyTree:
        """What a lane carries besides its state, before the first step."""

    @abc.abstractmethod
    def move(self, problem: Problem, lane: Lane) -> tuple[Array, PyTree, Array]:
        """`(state, memory, done)` after one step."""

    def start(self, x, u) -> Lane:
        """A lane at the guess `x`."""
        return Lane(x, u, self.remember(x), jnp.zeros((), int), jnp.zeros((), bool))

    def step(self, problem: Problem, lane: Lane) -> Lane:
        """The lane one step on; a lane that is done, or out of steps, stays."""
        x, memory, done = self.move(problem, lane)
        moved = Lane(x, lane.u, memory, lane.steps + 1, done)
        stays = lane.done | (lane.steps >= self.max_steps)
        return jax.tree.map(lambda old, new: jnp.where(stays, old, new), lane, moved)


def floor(n: int) -> float:
    """q below which a residual is rounding and nothing else."""
    return 0.5 * (rounding(n) / 50) ** 2


def search_line(problem: Problem, merit, x, u, p):
    """`x` after the longest of ten halved steps along `p` that lowers `merit` enough.

    Returns `(x, found)`; when none does, `x` stays.
    """
    trials = jax.vmap(lambda s: problem.project(x + s * p, u))(HALVINGS)
    enough = jax.vmap(merit)(trials) <= (1 - 2e-4 * HALVINGS) * merit(x)
    found = enough.any()
    return jnp.where(found, trials[jnp.argmax(enough)], x), found


class Newton(Method):
    """Damped Newton on r = 0: a few LU factorisations, and points of any index.

    It stops at slow points, where the Jacobian is singular. `avoid` (rows of states) deflates
    roots that are known (Farrell, Birkisson and Funke 2015), without a second factorisation.
    """

    max_steps: int = 48
    via: System | None = None
    avoid: Float[Array, "known state"] | None = None
    block: int = 4
    width: int = WIDE
    double: bool = True

    def remember(self, x):
        return ()

    def move(self, problem, lane):
        x, u = lane.x, lane.u
        slope = problem.jacobian(x, u)
        # an exactly singular pivot would end in NaN; at this size it can't be felt
        tiny = 1e-14 * jnp.abs(slope).max() * jnp.eye(len(x))
        p = jnp.linalg.solve(slope + tiny, -problem.residual(x, u))
        merit = lambda x: problem.q(x, u)
        if self.avoid is not None:
            known = self.avoid
            p = deflated(x, p, known)
            merit = lambda x: problem.q(x, u) * deflation(x, known) ** 2
        x, found = search_line(problem, merit, x, u, p)
        return x, (), ~found | (problem.q(x, u) <= floor(len(x)))


def deflation(x, known):
    """m(x) = prod(1 + |x - x_k|^-2): large near a known root, 1 far away."""
    return jnp.exp(jnp.log1p(1 / ((x[None, :] - known) ** 2).sum(axis=1)).sum())


def deflated(x, p, known):
    """The Newton step of m r from the step `p` of r: exactly a multiple of it.

    Sherman and Morrison: p / (1 - grad(log m) . p). Capped at norm 2.
    """
    towards = x[None, :] - known
    square = (towards**2).sum(axis=1)
    gradient = -2 * (towards / (square * (square + 1))[:, None]).sum(axis=0)
    p = p / (1 - gradient @ p)
    return p * jnp.minimum(1.0, 2.0 / jnp.linalg.norm(p))


class LevenbergMarquardt(Method):
    """Damped Gauss-Newton: surer than Newton where gates saturate or gain is high, slower."""

    max_steps: int = 96
    via: System | None = None
    block: int = 4
    width: int = WIDE
    double: bool = True

    def remember(self, x):
        return jnp.full((), 1e-2)

    def move(self, problem, lane):
        x, u, damping = lane.x, lane.u, lane.memory
        r, slope = problem.residual(x, u), problem.jacobian(x, u)
        q = 0.5 * r @ r
        gradient = slope.T @ r
        normal = slope.T @ slope + damping * jnp.sqrt(2 * q) * jnp.eye(len(x))
        p = -jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(normal), gradient)
        trial = problem.project(x + p, u)
        expected = q - 0.5 * jnp.sum((r + slope @ (trial - x)) ** 2)
        gained = q - problem.q(trial, u)
        ratio = gained / jnp.maximum(expected, 1e-300)
        taken = gained > 0
        factor = jnp.where(ratio > 0.75, 0.2, jnp.where(ratio < 0.25, 3.0, 1.0))
        damping = jnp.clip(damping * jnp.where(taken, factor, 6.0), 1e-14, 1e14)
        x = jnp.where(taken, trial, x)
        stuck = ~taken & (damping > 1e12)
        return x, damping, stuck | (problem.q(x, u) <= floor(len(x)))


def free_part(bend, held):
    """The Hessian among coordinates that may move; the others keep a row of the identity."""
    free = ~held
    return jnp.where(free[:, None] & free[None, :], bend, 0.0) + jnp.diag(held * 1.0)


class Adam(Method):
    """Gradient descent on q, for comparison only: what the older finders do.

    The rate falls by `decay` whenever q has not fallen by 1e-4 of itself for three steps.
    """

    max_steps: int = 5000
    via: System | None = None
    rate: float = 0.01
    decay: float = 0.95
    block: int = 1000
    width: int = WIDE
    double: bool = False

    def remember(self, x):
        zero = jnp.zeros_like(x)
        return zero, zero, jnp.full((), self.rate), jnp.full((), jnp.inf), jnp.zeros(())

    def move(self, problem, lane):
        mean, square, rate, best, waited = lane.memory
        q, gradient = jax.value_and_grad(problem.q)(lane.x, lane.u)
        t = lane.steps + 1
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        change = (mean / (1 - 0.9**t)) / (jnp.sqrt(square / (1 - 0.999**t)) + 1e-8)
        x = problem.project(lane.x - rate * change, lane.u)
        better = q < best * (1 - 1e-4)
        waited = jnp.where(better, 0.0, waited + 1)
        rate = jnp.where(waited > 2, rate * self.decay, rate)
        waited = jnp.where(waited > 2, 0.0, waited)
        memory = (mean, square, rate, jnp.minimum(q, best), waited)
        return x, memory, jnp.zeros((), bool)


class Forward(Method):
    """No search at all: the system's own steps, until it moves less than `speed`."""

    max_steps: int = 20_000
    via: System | None = None
    speed: float | Float[Array, ""] = 1e-9  # per unit time
    block: int = 100
    width: int = WIDE
    double: bool = True

    def remember(self, x):
        return ()

    def move(self, problem, lane):
        system = problem.system
        x = system.step(lane.x, lane.u)
        moved = jnp.linalg.norm(x - lane.x) / system.dt
        return x, (), moved < self.speed
