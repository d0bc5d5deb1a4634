"""What must vanish along a family of systems, and how is a point of it corrected?

Newton steps that must contract at once: Deuflhard (2004), Newton Methods for Nonlinear
Problems, chapter 5. So a corrector that would leave for another branch is refused.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from slowpoint.analysis.methods import free_part
from slowpoint.analysis.problem import Problem, RADIUS, rounding
from slowpoint.analysis.valley import Valley
from slowpoint.core.precision import widen
from slowpoint.core.system import System

CONTRACTION = 0.5  # a Newton step may be half as long as the one before, at most
TURN = 0.25  # how far a move may differ from its tangents, in their length; below 1/3
STILL = 1e-10  # |r| of a point that stands still


class Branch(eqx.Module):
    """The equations r(x, value) = 0 of `family(value)` under `hold`; z joins x and value."""

    family: Callable[..., System]
    hold: Float[Array, " input"]

    def problem(self, value: Float[Array, ""]) -> Problem:
        """The equations of one value."""
        return Problem(widen(self.family(value)))

    @eqx.filter_jit
    def residual(self, z: Float[Array, " joint"]) -> Float[Array, " state"]:
        """r at z."""
        return self.problem(z[-1]).residual(z[:-1], self.hold)

    @eqx.filter_jit
    def slope(self, z: Float[Array, " joint"]) -> Float[Array, "state state"]:
        """Derivative of r with respect to x alone."""
        return self.problem(z[-1]).jacobian(z[:-1], self.hold)


def join(x: Float[Array, " state"], value: Float[Array, ""]) -> Float[Array, " joint"]:
    """z."""
    return jnp.append(x, value)


def only_value(size: int) -> np.ndarray:
    """The direction in which x stays and the value grows."""
    return np.append(np.zeros(size - 1), 1.0)


def along(function: Callable, z: Array, way: Array) -> Array:
    """Directional derivative of `function` at z."""
    return jax.jvp(function, (z,), (way,))[1]


@eqx.filter_jit
def first(branch: Branch, z, a) -> Float[Array, " state"]:
    """Dr(a)."""
    return along(branch.residual, z, a)


@eqx.filter_jit
def second(branch: Branch, z, a, b) -> Float[Array, " state"]:
    """D^2 r(a, b)."""
    return along(lambda z: along(branch.residual, z, a), z, b)


@eqx.filter_jit
def third(branch: Branch, z, a, b, c) -> Float[Array, " state"]:
    """D^3 r(a, b, c)."""
    return along(lambda z: along(lambda z: along(branch.residual, z, a), z, b), z, c)


def regular(slope: Float[Array, "state state"]) -> Float[Array, "state state"]:
    """`slope`, moved by what cannot be felt, so that no pivot is exactly zero."""
    return slope + (1e-14 * jnp.abs(slope).max() + 1e-300) * jnp.eye(len(slope))


class Followed(NamedTuple):
    """The state at the next value, whether it is one, and whether half steps should confirm."""

    x: Float[Array, " state"]
    arrived: Bool[Array, ""]
    strained: Bool[Array, ""]


@eqx.filter_jit
def follow(
    branch: Branch, x: Float[Array, " state"], value: Float[Array, ""], by: Float[Array, ""]
) -> Followed:
    """The point at `value + by`, from the point `x` at `value`: a tangent step, then Newton.

    Arrived on the same branch only when the move agrees with the mean of the tangent steps at
    both ends, as it does up to the cube of `by`. Strained when those two differ as much as
    they are long: a kink, or a turn.
    """
    there = _tangent_step(branch, x, value, by)
    y, arrived = newton(branch, x + there, value + by)
    back = -_tangent_step(branch, y, value + by, -by)
    norm = jnp.linalg.norm
    length, little = (norm(there) + norm(back)) / 2, 1e-9 * (1 + norm(x))
    same = norm(y - x - (there + back) / 2) <= TURN * length + little
    return Followed(y, arrived & (same | (by == 0)), norm(there - back) > length + little)


def _tangent_step(branch: Branch, x: Array, value: Array, by: Array) -> Array:
    """-J^-1 (r(value + by) - r(value)): a difference, as weights may have kinks in value."""
    here, there = join(x, value), join(x, value + by)
    change = branch.residual(there) - branch.residual(here)
    return jnp.linalg.solve(regular(branch.slope(here)), -change)


def newton(
    branch: Branch, x: Float[Array, " state"], value: Float[Array, ""], most: int = 12
) -> tuple[Float[Array, " state"], Bool[Array, ""]]:
    """`(state, arrived)` after full Newton steps, given up as soon as they do not contract."""
    problem, u = branch.problem(value), branch.hold
    size = lambda x: jnp.linalg.norm(problem.residual(x, u))

    def going(state):
        _, _, steps, going = state
        return going & (steps < most)

    def step(state):
        x, before, steps, _ = state
        p = jnp.linalg.solve(regular(problem.jacobian(x, u)), -problem.residual(x, u))
        length = jnp.linalg.norm(p)
        last = length <= 1e-9 * (1 + jnp.linalg.norm(x))
        contracts = last | (length <= CONTRACTION * before)
        x = jnp.where(contracts, x + p, jnp.nan)  # refused: no state at all
        return x, length, steps + 1, contracts & ~last & (size(x) > rounding(len(x)))

    begin = x, jnp.full((), jnp.inf), jnp.zeros((), int), size(x) > rounding(len(x))
    x, _, _, going_on = jax.lax.while_loop(going, step, begin)
    return x, ~going_on & (size(x) <= STILL)


@eqx.filter_jit
def sink(
    branch: Branch, x: Float[Array, " state"], value: Float[Array, ""]
) -> Float[Array, " state"]:
    """The bottom of the valley of q that `x` lies in; exactly a root where there is one."""
    method, problem = Valley(), branch.problem(value)

    def going(lane):
        return ~lane.done & (lane.steps < method.max_steps)

    start = method.start(problem.project(x, branch.hold), branch.hold)
    bottom = jax.lax.while_loop(going, lambda lane: method.step(problem, lane), start).x
    root, arrived = newton(branch, bottom, value)
    near = jnp.linalg.norm(root - bottom) <= 1e-4 * (1 + jnp.linalg.norm(bottom))
    return jnp.where(arrived & near, root, bottom)


@eqx.filter_jit
def measure(branch: Branch, x: Float[Array, " state"], value: Float[Array, ""]):
    """`(r, its jacobian, speed, output, |projected gradient of q|, Lipschitz bound)`."""
    problem, u = branch.problem(value), branch.hold
    r, slope = problem.residual(x, u), problem.jacobian(x, u)
    gradient = slope.T @ r
    free = jnp.where(problem.at_bound(x, u, gradient), 0.0, gradient)
    speed = jnp.linalg.norm(problem.system.velocity(x, u))
    bound = problem.system.lipschitz_bound(x, u, RADIUS)
    return r, slope, speed, problem.system.output(x), jnp.linalg.norm(free), bound


@eqx.filter_jit
def bending(branch: Branch, x: Float[Array, " state"], value: Float[Array, ""]):
    """q's Hessian at `x` among the coordinates that the box leaves free."""
    problem, u = branch.problem(value), branch.hold
    held = problem.at_bound(x, u, jax.grad(problem.q)(x, u))
    return free_part(jax.hessian(problem.q)(x, u), held)
