"""Do the marks of Gaussianity know a Gaussian, and what is none?"""

import numpy as np
import pytest
from scipy.stats import norm, probplot

from slowpoint.analysis.even import even_normal
from slowpoint.analysis.gaussianity import gaussianity


def test_marks_of_columns_whose_moments_are_on_paper():
    """Kurtosis of the normal 0, uniform -1.2, coin -2, Laplace 3; of any scale and mean."""
    share = (np.arange(200_000) + 0.5) / 200_000
    laplace = np.where(share < 0.5, np.log(2 * share), -np.log(2 - 2 * share))
    normal = norm.ppf(share)
    columns = np.stack([3 + 0.1 * normal, share, np.sign(share - 0.5), laplace], axis=1)
    mixed = np.random.default_rng(0).permutation(columns)
    marks = gaussianity(mixed)
    assert marks.kurtosis == pytest.approx([0, -1.2, -2, 3], abs=0.02)
    # correlations of quantile functions: sqrt(3 / pi), sqrt(2 / pi)
    assert marks.qq[0] == pytest.approx(1, abs=1e-4)
    assert marks.qq[1] == pytest.approx(np.sqrt(3 / np.pi), abs=1e-3)
    assert marks.qq[2] == pytest.approx(np.sqrt(2 / np.pi), abs=1e-3)


def test_the_correlation_is_that_of_a_probability_plot():
    draw = np.random.default_rng(1)
    columns = np.stack([draw.normal(size=300), draw.standard_t(3, size=300)], axis=1)
    marks = gaussianity(columns)
    expected = [probplot(column)[1][2] for column in columns.T]
    assert marks.qq == pytest.approx(expected, abs=2e-4)
    assert marks.qq[0] > marks.qq[1]


def test_even_points_of_a_normal_are_gaussian():
    marks = gaussianity(even_normal(4096, 3))
    assert marks.qq.min() > 0.9999
    assert np.abs(marks.kurtosis).max() < 0.05


def test_columns_without_a_shape_are_refused():
    good = np.random.default_rng(2).normal(size=(20, 3))
    with pytest.raises(ValueError, match=r"7 units came, all finite: True. Give at least 8"):
        gaussianity(good[:7])
    with pytest.raises(ValueError, match="all finite: False"):
        gaussianity(np.where(good == good[3, 1], np.nan, good))
    good[:, 1] = 0.3
    with pytest.raises(ValueError, match=r"columns \[1\] are constant"):
        gaussianity(good)
