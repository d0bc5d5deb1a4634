r"""Which two objectives pull against each other while a loop is not yet stable?

Short-term improvement of the policy and long-term stability (Ger and Barak 2025,
arXiv:2505.13567, figure 4), for rank one on the double integrator at dt = 1. Overlaps are
(s_zm, s_zu, s_vm, s_vu), leading axes allowed; NumPy or JAX, what comes in goes out.
"""

import numpy as np
from jaxtyping import Array, Float

from slowpoint.theory.loop_stability import characteristic, roots

Numbers = Array | np.ndarray
Number = float | Float[Numbers, "*many"]


def short_term(overlaps: Float[Numbers, "*many 4"]) -> Number:
    r"""L_0: the squared size of the plant three steps on, $|E^\top P^3 E|_F^2$.

    $(s_{zm}+1)^2 + (s_{zm}+3)^2 + (p + 2 s_{zm})^2 + (p + 3 s_{zm} + 1)^2$ with
    $p = s_{zu} s_{vm}$. (Ger and Barak 2025, figure 4.)
    """
    s_zm, p = overlaps[..., 0], overlaps[..., 1] * overlaps[..., 2]
    return (s_zm + 1) ** 2 + (s_zm + 3) ** 2 + (p + 2 * s_zm) ** 2 + (p + 3 * s_zm + 1) ** 2


def slow_root(overlaps: Float[Numbers, "*many 4"]) -> Number:
    r"""The real eigenvalue l_3 to first order in p: $s_{vu} + p / ((1-s_{vu})^2 - s_{zm})$."""
    s_zm, s_vu = overlaps[..., 0], overlaps[..., 3]
    return s_vu + overlaps[..., 1] * overlaps[..., 2] / ((1 - s_vu) ** 2 - s_zm)


def long_term(overlaps: Float[Numbers, "*many 4"], root: Number | None = None) -> Number:
    r"""L_inf: $|l_1|^2$ of the pair, $1 + 2 s_{vu} - s_{zm} - (2 + s_{vu}) l_3 + l_3^2$.

    An identity where `root` is the real eigenvalue l_3; None takes `slow_root`. (Ger and Barak
    2025, figure 4.)
    """
    l3 = slow_root(overlaps) if root is None else root
    s_zm, s_vu = overlaps[..., 0], overlaps[..., 3]
    return 1 + 2 * s_vu - s_zm - (2 + s_vu) * l3 + l3**2


def real_root(overlaps: Float[Numbers, "*many 4"]) -> Float[np.ndarray, "*many"]:
    """The real eigenvalue l_3, exactly; of three real ones that nearest to `slow_root`."""
    overlaps = np.asarray(overlaps, float)
    values = roots(characteristic(overlaps))
    turning = np.abs(np.imag(values)) > 1e-12 * (1 + np.abs(values))
    away = np.where(
        turning, np.inf, np.abs(values - np.asarray(slow_root(overlaps))[..., None])
    )
    nearest = np.argmin(away, axis=-1, keepdims=True)
    return np.asarray(np.take_along_axis(np.real(values), nearest, axis=-1)[..., 0])
