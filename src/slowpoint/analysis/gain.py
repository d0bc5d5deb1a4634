"""Which constant gain on the state comes nearest to what a controller does?"""

import numpy as np
from jaxtyping import Array, Float

from slowpoint.core.result import Result

Numbers = Array | np.ndarray


class Gain(Result):
    """`efforts` = `gain` times the state, as nearly as squares go."""

    gain: Float[np.ndarray, "effort state"]  # k; NaN where the states do not span the space
    residual: Float[np.ndarray, " effort"]  # share of the mean square that is left; 0: exact
    rank: int  # directions that the states show; below their number k is not defined


def regress_gain(
    states: Float[Numbers, "... state"], efforts: Float[Numbers, "... effort"]
) -> Gain:
    r"""Least squares without an intercept: $u_t \approx K x_t$ (Ger and Barak 2025, figure 2).

    Give rows as they belong together: the state and the effort that acts on it. Leading axes
    (trials, time) are pooled. Leave out t = 0, where an agent that begins at 0 does nothing. A
    sample that is not finite makes everything NaN. Raises ValueError when shapes differ.
    """
    states, efforts = np.asarray(states, float), np.asarray(efforts, float)
    if states.shape[:-1] != efforts.shape[:-1] or not states.size:
        raise ValueError(
            f"states have shape {states.shape}, efforts {efforts.shape}: all but the last axis "
            "must agree, and none be empty. Type regress_gain(states[:, 1:], efforts[:, 1:])"
        )
    x, u = states.reshape(-1, states.shape[-1]), efforts.reshape(-1, efforts.shape[-1])
    nothing = np.full((u.shape[1], x.shape[1]), np.nan)
    if not (np.isfinite(x).all() and np.isfinite(u).all()):
        return Gain(nothing, np.full(u.shape[1], np.nan), 0)
    solution, _, rank, _ = np.linalg.lstsq(x, u)
    power = (u**2).mean(axis=0)
    left = ((u - x @ solution) ** 2).mean(axis=0)
    residual = np.divide(left, power, out=np.zeros_like(left), where=power > 0)
    return Gain(solution.T if rank == x.shape[1] else nothing, residual, int(rank))


def cost_of_gains(
    gains: Float[Numbers, "*run 2"], start: tuple[float, float] = (1.0, 1.0), steps: int = 50
) -> Float[np.ndarray, "*run"]:
    r"""Mean of $|x_t|^2$ over `steps` steps of the double integrator, u = k1 x1 + k2 x2.

    The background of figure 2b. The start counts as the first step.
    """
    if steps < 1:
        raise ValueError(f"steps={steps}: give 1 or more.")
    k1, k2 = np.moveaxis(np.asarray(gains, float), -1, 0)
    position, speed = (np.full(k1.shape, number, float) for number in start)
    total = np.zeros(k1.shape)
    for _ in range(steps):
        total += position**2 + speed**2
        position, speed = position + speed, speed + k1 * position + k2 * speed
    return np.asarray(total / steps)
