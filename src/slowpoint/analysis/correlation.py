"""Do two numbers go together over models, and how sure is that with so few?"""

import numpy as np
import scipy.stats
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.chance import generator
from slowpoint.core.result import Result

Numbers = Array | np.ndarray
RESAMPLES = 2000


class Correlation(Result):
    """Of two numbers per model; ranges are of 95 %, NaN where too many resamples have none."""

    pearson: float
    spearman: float
    pearson_range: Float[np.ndarray, " 2"]  # percentiles of a bootstrap over models
    spearman_range: Float[np.ndarray, " 2"]
    models: int


def correlate(
    one: Float[Numbers, " model"], other: Float[Numbers, "..."], *, key: PRNGKeyArray
) -> Correlation:
    """Pearson's and Spearman's correlation, models drawn again for their ranges.

    A resample in which a number does not vary has no correlation and is left out; with more
    than a tenth of such, the range is NaN. Undefined (NaN) when a number never varies or is
    not finite. Raises ValueError on fewer than 3 models or different numbers of them.
    """
    a, b = np.asarray(one, float), np.asarray(other, float)
    if a.shape != b.shape or len(a) < 3:
        raise ValueError(
            f"Got {a.shape} and {b.shape} numbers: a correlation needs one of each for 3 "
            "models or more."
        )
    drawn = generator(key).integers(len(a), size=(RESAMPLES, len(a)))
    found = {}
    for name, (x, y) in {
        "pearson": (a, b),
        "spearman": (scipy.stats.rankdata(a), scipy.stats.rankdata(b)),
    }.items():
        again = _pearson(x[drawn], y[drawn])
        known = again[~np.isnan(again)]
        enough = len(known) >= 0.9 * RESAMPLES
        found[name] = float(_pearson(x[None], y[None])[0])
        found[f"{name}_range"] = np.quantile(known, [0.025, 0.975]) if enough else _NONE
    if not np.isfinite([a, b]).all():  # ranks would hide it
        return Correlation(np.nan, np.nan, _NONE, _NONE, len(a))
    return Correlation(**found, models=len(a))


_NONE = np.full(2, np.nan)


def _pearson(x, y) -> Float[np.ndarray, " draw"]:
    """Row by row; NaN where one does not vary."""
    with np.errstate(invalid="ignore", divide="ignore"):
        x = x - x.mean(axis=1, keepdims=True)
        y = y - y.mean(axis=1, keepdims=True)
        small = 1e-24
        size = (x**2).sum(axis=1) * (y**2).sum(axis=1)
        return np.where(size > small**2, (x * y).sum(axis=1) / np.sqrt(size), np.nan)
