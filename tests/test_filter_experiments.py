"""Do the experiments on filters measure what they say?"""

import jax.random as jr
import numpy as np

from slowpoint.experiments import invisible_overlaps, overlap_learning, overlap_rank_two
from slowpoint.theory.overlaps import realise


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


def test_noise_reaches_the_output_as_in_a_network():
    """The covariance of all neurons, step by step, against that of two numbers."""
    dt, kick, units = 0.05, 0.3, 12
    _, u, v, z = realise(invisible_overlaps.OTHER, units, jr.key(0)).T
    step = (1 - dt) * np.eye(units) + dt * np.outer(u, v) / units
    spread, known = np.zeros((units, units)), []
    for _ in range(60):
        spread = step @ spread @ step.T + kick**2 * np.eye(units)
        known.append(z @ spread @ z / units**2)
    sigma = invisible_overlaps.OTHER
    found = invisible_overlaps.variances(sigma, kick / units**0.5, dt, 60)
    np.testing.assert_allclose(found, known, rtol=1e-12)


def test_the_networks_differ_in_what_no_output_shows():
    a, b, alone = invisible_overlaps.NETWORKS.values()
    unseen = np.zeros((4, 4), bool)
    unseen[[0, 1, 1], [1, 0, 1]] = True  # mu and uu
    assert np.array_equal(a != b, unseen)
    unseen[1, 1] = False
    assert np.array_equal(a != alone, unseen)
    other = invisible_overlaps.OTHER
    assert np.array_equal((other != a)[:, :2], np.zeros((4, 2)))  # the function, m and u


def test_columns_of_rank_two_have_the_norms_of_the_paper():
    settings = overlap_rank_two.Settings(units=40, draws=5)
    m, u1, u2, v1, v2, z = np.moveaxis(overlap_rank_two.columns(settings, jr.key(1)), 2, 0)
    for part in ([m], [u1, u2], [v1, v2], [z]):
        np.testing.assert_allclose((np.stack(part) ** 2).sum(axis=(0, 2)), 40, rtol=1e-12)
    assert ((u1**2).sum(axis=1) / 40).std() > 0.02  # one by one they are not normalised


def test_the_wanted_eigenvalue_rings_as_the_target_does():
    task = overlap_rank_two.TASK
    trial = task.trial(jr.key(0))
    factor = 1 + task.dt * (overlap_rank_two.wanted(task) - 1)
    known = (factor ** np.arange(task.steps)).real
    np.testing.assert_allclose(np.asarray(trial.targets)[:, 0], known, atol=1e-5)
    sigma = np.zeros((6, 6))
    sigma[3:5, 1:3] = [[0.6, -1.9], [1.9, 0.6]]
    found = overlap_rank_two.poles(sigma[None])
    np.testing.assert_allclose(found, [[0.6 - 1.9j, 0.6 + 1.9j]], atol=1e-12)
