"""How Gaussian are the weights of a network, column by column?"""

import numpy as np
from jaxtyping import Array, Float
from scipy.stats import norm

from slowpoint.core.result import Result


class Gaussianity(Result):
    """Two marks per column; a Gaussian has 1 and 0, but for chance of about N^-1/2."""

    qq: Float[np.ndarray, " column"]  # correlation of sorted entries with normal quantiles
    kurtosis: Float[np.ndarray, " column"]  # fourth moment of z-scores, less 3


def gaussianity(columns: Float[Array | np.ndarray, "unit column"]) -> Gaussianity:
    """Q-Q correlation (Filliben 1975) and excess kurtosis of each column, about its own mean.

    Raises ValueError for fewer than 8 units, an entry that is not finite, or a column that is
    constant.
    """
    entries = np.asarray(columns, float)
    if len(entries) < 8 or not np.isfinite(entries).all():
        raise ValueError(
            f"{len(entries)} units came, all finite: {bool(np.isfinite(entries).all())}. "
            "Give at least 8 rows of finite numbers."
        )
    spread = entries.std(axis=0)
    if still := np.flatnonzero(spread <= 1e-12 * np.abs(entries).max(axis=0)).tolist():
        raise ValueError(f"columns {still} are constant: neither mark is defined. Leave them.")
    scores = (entries - entries.mean(axis=0)) / spread
    ranks = np.arange(1, len(scores) + 1)
    normal = norm.ppf(
        (ranks - 0.3175) / (len(scores) + 0.365)
    )  # medians of the order statistics
    qq = normal @ np.sort(scores, axis=0) / (np.sqrt(len(scores)) * np.linalg.norm(normal))
    return Gaussianity(qq, (scores**4).mean(axis=0) - 3)
