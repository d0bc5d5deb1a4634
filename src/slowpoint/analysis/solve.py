"""Which states stand still near these guesses? (Sussillo and Barak 2013.)

Guesses move at once in float64; what arrived is grouped, certified and described.
"""

import dataclasses
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from slowpoint.analysis.certificates import certify
from slowpoint.analysis.lanes import run_lanes
from slowpoint.analysis.methods import free_part, Method
from slowpoint.analysis.points import FIXED, FixedPoints, in_order, NEITHER, SLOW
from slowpoint.analysis.problem import evaluate, Problem, project, rounding, slopes, steepness
from slowpoint.analysis.rows import over_rows
from slowpoint.analysis.valley import Valley
from slowpoint.core.precision import float64, widen
from slowpoint.core.system import System

Numbers = Array | np.ndarray
Box = Literal["auto"] | None | tuple[Numbers, Numbers]
Seek = Literal["fixed", "slow", "all"]
MODES = 128  # eigenvectors kept per point at most


class Tolerance(eqx.Module):
    """When a state counts as still, and two states as one."""

    residual: float = 1e-10  # |r| of a fixed point without a certificate
    same: float = 1e-6  # distance under which uncertified points are one
    gradient: float = 1e-10  # |projected gradient of q| of a slow point
    singular: float = 1e-9  # sigma_min(J) / sigma_max(J) of a degenerate one


def solve(
    system: System,
    guesses: Float[Numbers, "guess state"],
    *,
    hold: Float[Numbers, "..."],
    method: Method,
    box: Box = "auto",
    seek: Seek = "fixed",
    tolerance: Tolerance,
    seconds: float | None = None,
) -> FixedPoints:
    """The distinct points that `guesses` lead to under `hold`. See `fixed_points`."""
    guesses, hold = np.asarray(guesses), np.asarray(hold)
    check(system, guesses, hold)
    with float64():
        wide = widen(system)
        corners = (jnp.asarray(box[0]), jnp.asarray(box[1])) if isinstance(box, tuple) else None
        problem = Problem(wide, corners, boxed=box is not None)
        start = guesses.astype(np.float64)
        holds = np.broadcast_to(hold, (len(guesses), system.input_size)).astype(np.float64)
        inside = project(problem, start, holds)
        x, steps = _arrive(method, problem, inside, holds, seek, seconds)
        found = _describe(problem, x, holds, seek, tolerance)
    return dataclasses.replace(
        found,
        guess_steps=steps,
        projected=int((inside != start).any(axis=1).sum()),
        widened=_narrow((system, guesses, hold)),
    )


def _arrive(
    method: Method,
    problem: Problem,
    x: np.ndarray,
    u: np.ndarray,
    seek: Seek,
    seconds: float | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Where the guesses end and after how many steps."""
    solved = problem
    if method.via is not None:
        solved = dataclasses.replace(problem, system=widen(method.via))
    if method.double:
        lanes = run_lanes(method, solved, x, u, seconds=seconds)
    else:
        with jax.enable_x64(False):
            solved = jax.tree.map(lambda a: a.astype("float32"), solved)
            single = x.astype(np.float32), u.astype(np.float32)
            lanes = run_lanes(method, solved, *single, seconds=seconds)
    x, steps = np.array(lanes.x, np.float64), lanes.steps
    if seek == "fixed":
        return x, steps
    residuals, *_ = evaluate(problem, x, u)
    moving = np.flatnonzero(~(residuals < rounding(x.shape[1])))
    slow = run_lanes(Valley(), problem, x[moving], u[moving], seconds=seconds)
    x[moving], steps[moving] = slow.x, steps[moving] + slow.steps
    return x, steps


def _describe(problem: Problem, x, u, seek: Seek, tolerance: Tolerance) -> FixedPoints:
    residuals, *_ = evaluate(problem, x, u)
    worth = np.isfinite(residuals) if seek == "all" else residuals < tolerance.residual
    if seek == "slow":
        worth |= steepness(problem, x, u) <= tolerance.gradient
    first, group = _group(x, u, residuals, np.flatnonzero(worth), tolerance.same)
    table = described(problem, x[first], u[first], tolerance)
    first, group, table = _merge(x, u, first, group, table)

    keep = np.ones(len(first), bool) if seek == "all" else table["kinds"] != NEITHER
    order = in_order(table)
    order = order[keep[order]]
    new = np.full(len(first) + 1, -1)  # the last entry: guesses in no group
    new[order] = np.arange(len(order))
    kinds = np.append(table["kinds"], NEITHER)[group]
    hits = np.bincount(group[group >= 0], minlength=len(first))
    return FixedPoints(
        **{name: column[order] for name, column in table.items()},
        hits=hits[order],
        guess_kinds=kinds,
        guess_index=new[group],
        guess_steps=np.zeros(len(x), int),
        projected=0,
        widened=False,
    )


def _group(x, u, residuals, candidates, same: float):
    """`(best member of each group, group of each guess)`; group -1: not a candidate."""
    group = np.full(len(x), -1)
    first: list[int] = []
    left = candidates[np.argsort(residuals[candidates], kind="stable")]
    while len(left):
        best = left[0]
        near = np.linalg.norm(x[left] - x[best], axis=1) <= same
        near &= (u[left] == u[best]).all(axis=1)
        near[0] = True
        group[left[near]] = len(first)
        first.append(int(best))
        left = left[~near]
    return np.array(first, int), group


def _merge(x, u, first, group, table):
    """Groups whose certified balls hold one and the same root become one."""
    target = np.arange(len(first))
    for i in range(len(first)):
        reach = np.maximum(table["unique"][i], table["unique"][:i])
        distance = np.linalg.norm(x[first[:i]] - x[first[i]], axis=1)
        one = (distance < reach) & (u[first[:i]] == u[first[i]]).all(axis=1)
        if one.any():
            target[i] = target[np.argmax(one)]
    kept, new = np.unique(target, return_inverse=True)
    merged = np.where(group >= 0, np.append(new, -1)[group], -1)
    return first[kept], merged, {name: column[kept] for name, column in table.items()}


def described(
    problem: Problem,
    x: Float[np.ndarray, "point state"],
    u: Float[np.ndarray, "point input"],
    tolerance: Tolerance,
) -> dict[str, np.ndarray]:
    """Everything that FixedPoints says of a point, for the states `x` under the inputs `u`."""
    n, discrete = problem.system.state_size, problem.system.discrete
    residuals, speeds, outputs = evaluate(problem, x, u)
    vectors, jacobians, gradients, held, lipschitz = slopes(problem, x, u)
    proof = certify(vectors, jacobians, lipschitz)
    values, modes = np.linalg.eig(jacobians) if len(x) else (np.empty((0, n)), jacobians)
    rates = _rates(values, problem.system.dt, discrete)
    order = np.argsort(-np.real(rates), axis=1, kind="stable")
    free = np.linalg.norm(np.where(held, 0, gradients), axis=1)
    flat = (free <= tolerance.gradient) & (residuals > rounding(n))
    bends = _bends(problem, x, u, flat)
    sizes = np.abs(jacobians).sum(axis=2).max(axis=1, initial=0)
    singular = 1 / proof.beta <= tolerance.singular * np.maximum(sizes, 1e-300)
    still = residuals < tolerance.residual
    fixed = proof.certified | (still & (singular | (proof.newton < tolerance.same)))
    slow = ~fixed & flat & (bends >= -1e-8)
    rates = np.take_along_axis(rates, order, axis=1)
    kept = order[:, None, : min(n, MODES)]
    return {
        "states": x,
        "outputs": outputs,
        "hold": u,
        "speeds": speeds,
        "residuals": residuals,
        "kinds": np.where(fixed, FIXED, np.where(slow, SLOW, NEITHER)),
        "rates": rates,
        "modes": np.take_along_axis(modes, kept, axis=2).astype(complex),
        "n_unstable": (np.real(rates) > 1e-9).sum(axis=1),
        "signs": np.linalg.slogdet(-jacobians)[0].astype(int) if len(x) else np.empty(0, int),
        "certified": proof.certified,
        "degenerate": fixed & singular & ~proof.certified,
        "radius": proof.radius,
        "unique": proof.unique,
        "alpha": proof.alpha,
        "gradients": free,
        "bends": np.where(slow, bends, np.nan),
        "defects": np.abs(values).min(axis=1, initial=np.inf),
        "at_bound": held,
    }


def _rates(values: np.ndarray, dt: float, discrete: bool) -> np.ndarray:
    """Growth rates per unit time from the eigenvalues of the residual's Jacobian."""
    if not discrete:
        return values.astype(complex)
    with np.errstate(divide="ignore"):
        logs = np.log(1 + values.astype(complex))
    return np.real(logs) / dt + 1j * (np.imag(logs) / dt)  # a multiplier of 0 has rate -inf


def _bends(problem: Problem, x, u, flat: np.ndarray) -> np.ndarray:
    """Least eigenvalue of q's Hessian along the box's free directions; NaN where not `flat`."""
    bends = np.full(len(x), np.nan)
    if flat.any():
        bends[flat] = _bend(problem, x[flat], u[flat])
    return bends


@over_rows
def _bend(problem: Problem, x, u):
    held = problem.at_bound(x, u, jax.grad(problem.q)(x, u))
    return jnp.linalg.eigvalsh(free_part(jax.hessian(problem.q)(x, u), held))[0]


def input_jacobian(
    system: System, points: FixedPoints
) -> Float[np.ndarray, "point state input"]:
    """How each point's next step (Map) or velocity (Flow) answers a small change of input."""
    with float64():
        wide = widen(system)
        move = wide.step if wide.discrete else wide.velocity
        slope = jax.jit(jax.vmap(jax.jacfwd(move, argnums=1)))
        return np.asarray(slope(jnp.asarray(points.states), jnp.asarray(points.hold)))


def _narrow(tree) -> bool:
    leaves = [a for a in jax.tree.leaves(tree) if eqx.is_inexact_array_like(a)]
    return any(getattr(a, "dtype", None) == np.float32 for a in leaves)


def check(system: System, guesses: np.ndarray, hold: np.ndarray) -> None:
    """Raise ValueError when sizes disagree or a number is not finite; say what to give."""
    name, n = type(system).__name__, system.state_size
    if guesses.ndim != 2 or guesses.shape[1] != n:
        joined = " (an LSTM's state is [h, c]: 2N numbers)" if name == "LSTM" else ""
        raise ValueError(
            f"guesses have shape {guesses.shape}, the state of {name} has {n} numbers{joined}. "
            f"Give guesses of shape (guesses, {n})."
        )
    sizes = [(system.input_size,), (len(guesses), system.input_size)]
    if hold.shape not in sizes:
        raise ValueError(
            f"hold has shape {hold.shape}, {name} takes {system.input_size} inputs and there "
            f"are {len(guesses)} guesses. Give hold of shape {sizes[0]}, or {sizes[1]} to hold "
            "another input at each guess."
        )
    named = {"guesses": guesses, "hold": hold}
    weights, _ = jax.tree_util.tree_flatten_with_path(eqx.filter(system, eqx.is_inexact_array))
    named |= {f"weights{jax.tree_util.keystr(path)}": np.asarray(a) for path, a in weights}
    for what, array in named.items():
        if not np.isfinite(array).all():
            where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            raise ValueError(
                f"{what} of {name} hold {array[where]} at index {where}, where a number was "
                "expected. Load an earlier checkpoint, or leave that row out."
            )
    with float64():
        wide = widen(system)
        answer = eqx.filter_eval_shape(wide.step, jnp.zeros(n), jnp.zeros(system.input_size))
    if answer.dtype != np.float64:
        raise ValueError(
            f"{name} answers in {answer.dtype} although its weights and state are float64. "
            "Remove the casts from its step: residuals under 1e-6 need float64."
        )
