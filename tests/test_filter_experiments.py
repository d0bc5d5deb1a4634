"""Do the experiments on filters measure what they say?"""

import jax.random as jr
import numpy as np

from slowpoint.experiments import overlap_learning


def test_epochs_are_counted_to_the_first_that_is_below():
    losses = np.array([[4.0, 2.0, 1.9, 0.41, 0.39, 0.1, 0.03], [1.0, 0.6, 0.4, 0.2, 3, 1, 1]])
    found = overlap_learning.reached(losses)
    assert found.tolist() == [[2, 4, 6], [2, np.inf, np.inf]]


def test_drawn_columns_have_unit_norms_and_are_nearly_orthogonal():
    sigmas = overlap_learning.drawn(overlap_learning.Settings(units=400, draws=50), jr.key(3))
    apart = sigmas[:, *np.triu_indices(4, 1)]
    assert np.allclose(np.diagonal(sigmas, axis1=1, axis2=2), 1, atol=1e-14)
    assert abs(apart.std() * 20 - 1) < 0.2  # 1 / sqrt(N)
    assert np.array_equal(sigmas, np.swapaxes(sigmas, 1, 2))
