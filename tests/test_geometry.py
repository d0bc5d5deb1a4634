"""Spread of clouds whose covariance is known."""

import numpy as np
import pytest

from slowpoint.analysis.geometry import participation_ratio, pca


def test_axes_of_a_stretched_cloud():
    cloud = np.random.default_rng(0).standard_normal((4000, 5)) * [5.0, 2.0, 1.0, 0.1, 0.1]
    found = pca(cloud, 2)
    assert np.allclose(np.abs(found.components), np.eye(5)[:2], atol=0.05)
    assert np.allclose(found.variances, [25, 4], rtol=0.1)
    assert found.shares.sum() == pytest.approx(29 / 30.02, abs=0.01)
    assert np.allclose(found.components @ found.components.T, np.eye(2))
    assert np.allclose(found.project(found.mean + 3 * found.components[1]), [0, 3])


def test_all_components_carry_all_the_variance():
    cloud = np.random.default_rng(1).standard_normal((3, 7, 4))
    assert pca(cloud, 4).shares.sum() == pytest.approx(1)


def test_participation_ratio():
    corners = np.vstack([np.eye(6), -np.eye(6)])
    assert participation_ratio(corners) == pytest.approx(6)
    assert participation_ratio(corners[:, :1] * np.ones(6)) == pytest.approx(1)
    assert participation_ratio(np.ones((5, 3))) == 0


def test_one_state_is_no_cloud():
    with pytest.raises(ValueError, match="at least two"):
        pca(np.ones((1, 3)))
