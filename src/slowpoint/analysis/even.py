"""Which points fill a space evenly, when nothing may be drawn? (Sobol 1967.)"""

import numpy as np
from jaxtyping import Float
from scipy.stats import norm, qmc


def even_box(count: int, size: int) -> Float[np.ndarray, "count size"]:
    """The first `count` points of a Sobol sequence in the unit cube, none on its faces."""
    power = max(1, int(np.ceil(np.log2(max(count, 2)))))
    points = qmc.Sobol(size, scramble=False).random_base2(power)
    return points[:count] + 0.5 / 2**power  # the middle of its cell: never 0, nor 1/2


def even_normal(count: int, size: int) -> Float[np.ndarray, "count size"]:
    """`count` points that fill N(0, I) evenly."""
    return norm.ppf(even_box(count, size))
