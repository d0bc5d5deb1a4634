r"""Which rank-one controllers stabilise the double integrator, and what do they feel like?

The loop's eigenvalues are 0 and the roots of
$\chi(l) = (l - s_{vu})((l-1)^2 - s_{zm}) - p$, $p = s_{zu} s_{vm}$ (Ger and Barak 2025,
arXiv:2505.13567). The conditions of Jury are then intervals of p: the window is ours.
Overlaps are (s_zm, s_zu, s_vm, s_vu), leading axes allowed.
"""

import numpy as np
from jaxtyping import Array, Bool, Complex, Float

from slowpoint.core.result import Result
from slowpoint.theory.loop_spectrum import effective_matrix

Numbers = Array | np.ndarray
Number = float | Float[np.ndarray, "*many"]


def characteristic(overlaps: Float[Numbers, "*many 4"]) -> Float[np.ndarray, "*many 4"]:
    r"""The coefficients of $\chi$, the highest first:
    $1, -(2 + s_{vu}), 1 + 2 s_{vu} - s_{zm}, s_{vu} s_{zm} - s_{vu} - p$.
    """
    s_zm, s_zu, s_vm, s_vu = np.moveaxis(np.asarray(overlaps, float), -1, 0)
    last = s_vu * s_zm - s_vu - s_zu * s_vm
    return np.stack([np.ones_like(s_zm), -(2 + s_vu), 1 + 2 * s_vu - s_zm, last], axis=-1)


def roots(coefficients: Float[np.ndarray, "*many 4"]) -> Complex[np.ndarray, "*many 3"]:
    """The roots of cubics that begin with 1, in one batched call; NaN where not finite."""
    companion = np.zeros((*coefficients.shape[:-1], 3, 3))
    companion[..., 0, :] = -coefficients[..., 1:]
    companion[..., 1, 0] = companion[..., 2, 1] = 1.0
    whole = np.asarray(np.isfinite(coefficients).all(axis=-1, keepdims=True))
    values = np.linalg.eigvals(np.where(whole[..., None], companion, 0.0))
    return np.where(whole, values, np.nan).astype(complex)


def is_stable(overlaps: Float[Numbers, "*many 4"]) -> Bool[np.ndarray, "*many"]:
    """Whether all eigenvalues of the loop are inside the unit circle, by Jury's conditions."""
    _, a2, a1, a0 = np.moveaxis(characteristic(overlaps), -1, 0)
    ends = (1 + a2 + a1 + a0 > 0) & (1 - a2 + a1 - a0 > 0)
    return np.asarray(ends & (np.abs(a0) < 1) & (np.abs(a0**2 - 1) > np.abs(a0 * a2 - a1)))


class Window(Result):
    """Between which p = s_zu s_vm the loop is stable."""

    low: Float[np.ndarray, "*many"]  # NaN where no p will do
    high: Float[np.ndarray, "*many"]
    exists: Bool[np.ndarray, "*many"]


def stability_window(s_zm: Number, s_vu: Number) -> Window:
    r"""The p that stabilise a loop of position gain `s_zm` and memory `s_vu`, exactly.

    While the pair decides, as in learning,
    $\frac12 [2 + s_{vu} - \sqrt{(2 - s_{vu})^2 + 4 s_{zm}}] - s_{vu} (1 - s_{zm}) < p
    < -s_{zm} (1 - s_{vu})$; in general the narrowest of Jury's conditions. NaN, and `exists`
    False, where the root is imaginary or nothing is left.
    """
    s_zm, s_vu = np.broadcast_arrays(np.asarray(s_zm, float), np.asarray(s_vu, float))
    with np.errstate(invalid="ignore"):
        pair = np.sqrt((2 - s_vu) ** 2 + 4 * s_zm)
        other = np.sqrt((2 + s_vu) ** 2 + 4 * (2 + 2 * s_vu - s_zm))
    middle = -s_vu * (1 - s_zm)  # p where the last coefficient of chi is 0
    # the last two, |a0^2 - 1| > |a0 a2 - a1| opened up, contain |a0| < 1: their sum is a0^2 < 1
    sides = middle + (2 + s_vu) / 2, middle - (2 + s_vu) / 2
    low = np.max([(s_zm - 4) * (1 + s_vu), sides[0] - pair / 2, sides[1] - other / 2], axis=0)
    high = np.min([-s_zm * (1 - s_vu), sides[0] + pair / 2, sides[1] + other / 2], axis=0)
    exists = np.asarray(low < high)
    return Window(np.where(exists, low, np.nan), np.where(exists, high, np.nan), exists)


def gain_of(
    matrix: Float[Numbers, "*many loop loop"],
    command: Float[Numbers, "*many control loop"],
    steps: int,
    plant_size: int = 2,
) -> Float[np.ndarray, "*many control plant"]:
    r"""The gain K that fits $u_t = K x_t$ best over t = 1 .. T-1, over all starts of the plant.

    $K = [\sum_t U P^t E (E^\top P^t E)^\top] [\sum_t E^\top P^t E (E^\top P^t E)^\top]^{-1}$:
    what a regression without intercept finds in many trials. `matrix` is P, `command` U the
    rows that read the controls off the joint state. Raises ValueError on fewer than 3 steps.
    """
    if steps < 3:
        raise ValueError(f"steps={steps}: a gain shows in 3 steps or more.")
    matrix, command = np.asarray(matrix, float), np.asarray(command, float)
    mode = np.broadcast_to(
        np.eye(matrix.shape[-1], plant_size), (*matrix.shape[:-1], plant_size)
    )
    shape = (*matrix.shape[:-2], plant_size, plant_size)
    sent, seen = np.zeros((*shape[:-2], command.shape[-2], plant_size)), np.zeros(shape)
    for _ in range(steps - 1):
        mode = matrix @ mode
        plant = np.swapaxes(mode[..., :plant_size, :], -1, -2)
        sent = sent + command @ mode @ plant
        seen = seen + np.swapaxes(plant, -1, -2) @ plant
    # K seen = sent, seen symmetric
    return np.swapaxes(np.linalg.solve(seen, np.swapaxes(sent, -1, -2)), -1, -2)


def effective_gain(
    overlaps: Float[Numbers, "*many 4"], steps: int
) -> Float[np.ndarray, "*many 2"]:
    """`gain_of` rank one on the double integrator: (k1, k2), negative when it brakes."""
    overlaps = np.asarray(overlaps, float)
    nothing = np.zeros_like(overlaps[..., :2])
    rows = np.concatenate([nothing, overlaps[..., :2]], axis=-1)[..., None, :]
    return gain_of(effective_matrix(overlaps), rows, steps)[..., 0, :]


def is_stable_gain(k1: Number, k2: Number) -> bool | np.bool_ | Bool[np.ndarray, "*many"]:
    r"""Whether $u = k_1 x + k_2 v$ stabilises the double integrator: $k_2 < k_1 < 0$ and
    $k_1 < 4 + 2 k_2$, the triangle.
    """
    return (k2 < k1) & (k1 < 0) & (k1 < 4 + 2 * k2)
