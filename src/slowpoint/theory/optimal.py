r"""What is the best that a controller can do, and what the best that one of rank 1 can?

The loop is $x' = A x + B u$, $y = C x$, the world first: $u_0 = 0$, $y_0$ is never seen,
$u_t$ knows $y_1 \dots y_t$. The start has covariance `variance` times 1, and the loss is
$L = \frac{1}{2T} \sum_{t<T} E|x_t|^2 + \beta \sum_{t<T} E|u_t|^2$ ($\beta$ the `penalty`;
Ger and Barak 2025, arXiv:2505.13567; bounds and optima are ours). From a Gaussian start no
causal controller, linear or not, does better than `lqg_bound`.
"""

import contextlib
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
import scipy.optimize
from jaxtyping import Array, Float

from slowpoint.core.precision import float64
from slowpoint.core.result import Result
from slowpoint.theory.loop_loss import expected_loss
from slowpoint.theory.loop_spectrum import command, DOUBLE_INTEGRATOR, effective_matrix, Plant
from slowpoint.theory.loop_stability import gain_of

Matrix = Float[np.ndarray, "_ _"]
Known = tuple[Matrix, Matrix, Matrix]  # a Plant in NumPy
Theta = Float[np.ndarray, "3"]  # s_zm, p, s_vu: all that behaviour depends on
FLAT = 1e-9  # a gradient below it, per unit of loss, is zero
FAR = 1e3  # overlaps beyond it, in units of the plant's, are on their way to infinity
_GAINS = np.array([0, -0.02, 0.02, -0.1, 0.1, -0.5, 0.5, -1.5, 1.5])
_MEMORIES = np.array([0, -0.5, 0.5])
GRID = np.stack(np.meshgrid(_GAINS, _GAINS, _MEMORIES, indexing="ij"), -1).reshape(-1, 3)
BEST = [0, 5, 20]  # the places, by loss, of the points of the grid that are followed


class Regulator(Result):
    """u = -K x, and what it costs from x on, x'S x. NaN where that cannot be finite."""

    gains: Float[np.ndarray, "*step input state"]  # K
    values: Float[np.ndarray, "*step state state"]  # S


class Bound(Result):
    """The best of all causal controllers: u = -K (estimate of x)."""

    loss: float
    gains: Float[np.ndarray, "step input state"]  # K
    unknown: Float[np.ndarray, "step state state"]  # covariance of x given what u_t may know


class RankOne(Result):
    """The best linear controller of rank 1, u_t = s_zm y_t + p sum_j s_vu^j y_(t-1-j)."""

    overlaps: Float[np.ndarray, "4"]  # s_zm, s_zu, s_vm, s_vu in the gauge s_vm = 1: s_zu is p
    loss: float
    slope: float  # |gradient of the loss| in (s_zm, p, s_vu); 0 at a minimum
    gain: Float[np.ndarray, " state"]  # k of the least squares fit u_t = k x_t, t = 1 .. T - 1
    radius: float  # spectral, of the loop; at 1 or above it is unstable beyond the horizon
    found: bool  # False: the loss falls on and on towards infinite overlaps, or is infinite


def lqr(
    plant: Plant,
    state_cost: Matrix | float,
    control_cost: Matrix | float,
    steps: int | None = None,
) -> Regulator:
    r"""The controller that sees x and has the least $\sum_t x_t^\top Q x_t + u_t^\top R u_t$.

    Over t < `steps`, by Riccati's recursion from 0, a gain for each step; or (None) over all
    time, one gain. Costs are symmetric and not negative; a number stands for itself times 1.
    Raises ValueError on a plant or costs that do not fit.
    """
    a, b, _ = _checked(plant)
    q, r = _cost(state_cost, len(a), "state"), _cost(control_cost, b.shape[1], "control")
    if steps is None:
        return _forever(a, b, q, r)
    if steps < 1:
        raise ValueError(f"steps={steps}: give 1 or more, or None for all time.")
    value, gains, values = np.zeros_like(q), [], []
    for _ in range(steps):
        if not np.isfinite(value).all():
            return _none(a, b, (steps,))
        # where R = 0 the last u changes nothing that counts: the pseudoinverse leaves it 0
        gain = np.linalg.pinv(r + b.T @ value @ b, hermitian=True) @ b.T @ value @ a
        value = q + a.T @ value @ (a - b @ gain)
        value = (value + value.T) / 2
        gains.append(gain)
        values.append(value)
    return Regulator(np.stack(gains[::-1]), np.stack(values[::-1]))


def _forever(a: Matrix, b: Matrix, q: Matrix, r: Matrix) -> Regulator:
    try:
        value = scipy.linalg.solve_discrete_are(a, b, q, r)
        return Regulator(np.linalg.solve(r + b.T @ value @ b, b.T @ value @ a), value)
    except np.linalg.LinAlgError:
        return _none(a, b, ())


def _none(a: Matrix, b: Matrix, lead: tuple[int, ...]) -> Regulator:
    """No controller."""
    return Regulator(np.full((*lead, *b.T.shape), np.nan), np.full((*lead, *a.shape), np.nan))


def lqg_bound(
    plant: Plant | None, steps: int, variance: float, penalty: float = 0.0, delay: int = 0
) -> Bound:
    r"""The least loss of any causal controller: Riccati's gains on the best estimate.

    Without noise the estimate is exact but for the part of $x_0$ that the outputs so far do not
    show. $L = tr(S_0 V) + \sum_t tr(K_t^\top (R + B^\top S_{t+1} B) K_t \Sigma_t)$, V the
    covariance of the start, $\Sigma_t$ that of $x_t$ given $y_1 \dots y_t$. `delay` steps pass
    until an output is seen; None is the double integrator at dt = 1.
    """
    _check(steps, variance, penalty)
    prompt = _checked(plant)
    (a, b, c), size = _late(prompt, delay), len(prompt[0])
    q = np.diag(np.arange(len(a)) < size) / (2 * steps)
    best = lqr((a, b, c), q, penalty, steps)
    unknown = variance * _unseen(a, c, np.eye(len(a), size), steps)
    after = np.concatenate([best.values[1:], np.zeros_like(q)[None]])
    weight = penalty * np.eye(b.shape[1]) + b.T @ after @ b
    regret = np.einsum("tij,tik,tkl,tlj->", best.gains, weight, best.gains, unknown)
    loss = variance * np.trace(best.values[0][:size, :size]) + regret
    return Bound(float(loss), best.gains, unknown)


def _unseen(a: Matrix, c: Matrix, free: Matrix, steps: int) -> Float[np.ndarray, "step _ _"]:
    """Covariances of x_t given y_1 .. y_t, when x_0 is white in the columns of `free`."""
    moved, found = np.eye(len(a)), [free @ free.T]
    for _ in range(steps - 1):
        moved = a @ moved
        view = c @ moved
        _, sizes, ways = np.linalg.svd(view @ free)
        seen = np.count_nonzero(sizes > 1e-10 * np.linalg.norm(view))
        free = free @ ways[seen:].T
        found.append(moved @ free @ free.T @ moved.T)
    return np.stack(found)


def best_rank_one(
    steps: int,
    variance: float,
    penalty: float = 0.0,
    delay: int = 0,
    plant: Plant | None = None,
) -> RankOne:
    """The linear network of rank 1 with the least expected loss, for any number of units.

    The best points of a grid are followed downhill (BFGS on log L), the best end is polished
    by Newton's method. `delay` steps pass until an output is seen (the register starts at 0,
    so that y_0 is seen then); None is the double integrator at dt = 1. Plants of one input
    and one output. Raises ValueError on anything else.
    """
    _check(steps, variance, penalty)
    a, b, c = _checked(plant)
    if (b.shape[1], len(c)) != (1, 1):
        raise ValueError(
            f"The plant has {b.shape[1]} inputs and {len(c)} outputs; s_zm .. s_vu are one "
            "number each. Give a plant of one input and one output."
        )
    size, late = len(a), _late((a, b, c), delay)
    unit = 1 / max(float(np.linalg.norm(b) * np.linalg.norm(c)), 1e-300)
    units = np.array([unit, unit, 1.0])
    with float64():
        scaled = (late, (float(variance), float(penalty)))
        late_plant, scales = jax.tree.map(jnp.asarray, scaled)

        def both(theta: Theta):
            value, slope = _both(theta, late_plant, scales, steps, size)
            return np.asarray(value), np.asarray(slope)

        theta = _search(both, units)
        value, slope = both(theta)
    overlaps, flat = np.insert(theta, 2, 1.0), np.linalg.norm(slope * units) <= FLAT * value
    found = bool(flat and np.max(np.abs(theta / units)) < FAR)
    matrix = np.asarray(effective_matrix(overlaps, late))
    radius = float(np.abs(np.linalg.eigvals(matrix)).max())
    gain = _gain(overlaps, late, size, steps)
    return RankOne(overlaps, float(value), float(np.linalg.norm(slope)), gain, radius, found)


def _loss(theta, plant, scales, steps: int, counted: int) -> Float[Array, ""]:
    overlaps = jnp.insert(theta, 2, 1.0)
    return jnp.asarray(
        expected_loss(overlaps, steps, scales[0], scales[1], plant, counted=counted)
    )


@functools.partial(jax.jit, static_argnames=("steps", "counted"))
def _both(theta, plant, scales, steps: int, counted: int):
    """`(loss, gradient)`."""
    loss = lambda theta: _loss(theta, plant, scales, steps, counted)
    return jax.value_and_grad(loss)(theta)


def _search(both: Callable[[Theta], tuple[np.ndarray, np.ndarray]], units: Theta) -> Theta:
    """The lowest of the ends of BFGS on log L from the best of the grid, then polished."""
    heights = [both(units * point)[0] for point in GRID]
    starts = GRID[np.argsort(np.nan_to_num(heights, nan=np.inf), kind="stable")[BEST]]

    def logarithm(scaled):
        value, slope = both(scaled * units)
        return np.log(value), slope * units / value

    how = {"jac": True, "method": "BFGS", "options": {"gtol": 1e-10}}
    with np.errstate(all="ignore"):
        ends = [scipy.optimize.minimize(logarithm, start, **how) for start in starts]
    scaled = min(ends, key=lambda end: np.nan_to_num(end.fun, nan=np.inf)).x
    return units * _polish(lambda scaled: both(scaled * units)[1] * units, scaled)


def _polish(slope_at: Callable[[Theta], Theta], theta: Theta) -> Theta:
    """Newton's steps, as long as they flatten the slope."""
    slope, near = slope_at(theta), 1e-5 * np.eye(3)
    for _ in range(20):
        bend = np.stack([slope_at(theta + h) - slope_at(theta - h) for h in near]) / 2e-5
        if not (np.isfinite(bend).all() and np.isfinite(slope).all()):
            break
        trial = theta - np.linalg.lstsq(bend, slope, rcond=1e-10)[0]
        flatter = slope_at(trial)
        if not np.linalg.norm(flatter) < np.linalg.norm(slope):
            break
        theta, slope = trial, flatter
    return theta


def _gain(overlaps: np.ndarray, plant: Known, size: int, steps: int) -> Float[np.ndarray, " _"]:
    """k of the least squares fit of u_t = k x_t; NaN where there is none."""
    row, matrix = np.asarray(command(overlaps, plant)), effective_matrix(overlaps, plant)
    with np.errstate(all="ignore"), contextlib.suppress(np.linalg.LinAlgError):
        if steps > 2:
            return gain_of(matrix, row, steps, size)[0]
    return np.full(size, np.nan)


def _late(plant: Known, delay: int) -> Known:
    """The plant whose outputs pass a register of `delay` steps before they are seen."""
    if isinstance(delay, bool) or not isinstance(delay, int) or delay < 0:
        raise ValueError(f"delay={delay!r}: give a whole number of steps, 0 or more.")
    for _ in range(delay):
        a, b, c = plant
        shown = len(c)
        transition = np.block([[a, np.zeros((len(a), shown))], [c, np.zeros((shown, shown))]])
        sensor = np.concatenate([np.zeros_like(c), np.eye(shown)], axis=1)
        plant = (transition, np.concatenate([b, np.zeros((shown, b.shape[1]))]), sensor)
    return plant


def _checked(plant: Plant | None) -> Known:
    """The plant in float64. Raises ValueError where its matrices do not fit."""
    a, b, c = (
        np.asarray(part, float) for part in (DOUBLE_INTEGRATOR if plant is None else plant)
    )
    if a.shape[0] != a.shape[1]:
        raise ValueError(f"A has shape {a.shape}. Give a square matrix.")
    if b.shape[0] != len(a):
        raise ValueError(f"B has {b.shape[0]} rows, A has {len(a)}. Give B {len(a)} rows.")
    if c.shape[1] != len(a):
        raise ValueError(
            f"C has {c.shape[1]} columns, A has {len(a)}. Give C {len(a)} columns."
        )
    return a, b, c


def _cost(cost: Matrix | float, size: int, name: str) -> Matrix:
    cost = cost * np.eye(size) if np.ndim(cost) == 0 else np.asarray(cost, float)
    if cost.shape != (size, size):
        raise ValueError(f"{name}_cost has shape {cost.shape}. Give ({size}, {size}).")
    least = np.linalg.eigvalsh((cost + cost.T) / 2).min(initial=0)
    if not least >= -1e-12 * np.abs(cost).max(initial=0) or not np.allclose(cost, cost.T):
        raise ValueError(
            f"{name}_cost is not symmetric and semidefinite: its smallest eigenvalue is "
            f"{least:.3g}. Give one whose eigenvalues are 0 or more."
        )
    return cost


def _check(steps: int, variance: float, penalty: float) -> None:
    if steps < 2:
        raise ValueError(f"steps={steps}: give 2 or more; the first control acts after one.")
    if not variance > 0:
        raise ValueError(f"variance={variance}: give the variance of the start, above 0.")
    if not penalty >= 0:
        raise ValueError(f"penalty={penalty}: give the weight of u^2, 0 or more.")
