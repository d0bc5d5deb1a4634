"""Do the laws of few-shot costs have their limits, and do small simulations obey them?"""

import jax.random as jr
import numpy as np
import pytest

from slowpoint.analysis.posterior_decoding import kl_decode
from slowpoint.theory.few_shot import (
    clock_divergence,
    clock_path,
    clock_size,
    coin_log_likelihood,
    effective_readout_size,
    exact_readout_size,
    few_shot_curve,
    glm_readout_size,
    least_squares_error,
    prototype_error,
)


def posteriors(states=4, number=0):
    return np.random.default_rng(number).dirichlet(np.full(states, 0.4), (30, 10))


def test_coins_cost_half_a_nat_per_state_and_sample():
    best = 0.3 * np.log(0.3) + 0.7 * np.log(0.7)
    found = coin_log_likelihood(0.3, 4, np.array([100.0, 1000.0]))
    assert np.allclose(found, best - np.array([0.02, 0.002]))
    assert coin_log_likelihood(0.0, 4, np.array(100.0)) == -0.02


def test_noise_without_end_leaves_the_ridgeless_limit():
    k = np.array([10, 26, 46])
    gamma = 51 / k
    found = least_squares_error(k, 50, 0.3, 1e6)
    assert np.allclose(found, gamma / (gamma - 1) + 0.09 / (gamma - 1))


def test_with_samples_enough_the_size_of_the_noise_does_not_matter():
    k = np.array([64.0, 100.0, 1000.0])
    found = [least_squares_error(k, 50, 0.3, spread) for spread in (0.1, 1.0, 2.0)]
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
    assert np.allclose(found[0], 0.09 * 51 / (k - 51))
    assert least_squares_error(np.array(51.0), 50, 0.3, 1.0) == np.inf


def test_least_squares_and_prototypes_as_the_source_has_them():
    one = least_squares_error(np.array([10, 26, 100]), 50, 0.3, 1.0)
    assert np.allclose(one, [0.826, 0.584, 0.094], atol=5e-4)
    assert np.isclose(least_squares_error(np.array(16), 50, 0.3, 2.0), 1.215, atol=5e-4)
    five = prototype_error(np.array([10, 46, 214]), 20, 5.0)
    assert np.allclose(five, [0.358, 0.201, 0.033], atol=5e-4)
    assert np.isclose(prototype_error(np.array(1000), 20, 10.0), 0.159, atol=5e-4)


def test_the_size_of_certain_states_is_their_number_and_of_none_one():
    hot = np.eye(5)[np.arange(40) % 5]
    assert np.isclose(effective_readout_size(hot), 5)
    assert np.isclose(effective_readout_size(np.full((40, 5), 0.2)), 1)
    never = np.concatenate([hot, np.zeros((40, 1))], axis=1)
    assert np.isclose(effective_readout_size(never), 5)
    missing = np.concatenate([hot, np.full((3, 5), np.nan)])
    assert np.isclose(effective_readout_size(missing), 5)
    with pytest.raises(ValueError, match="hold no bin"):
        effective_readout_size(np.zeros((0, 5)))


def test_names_and_copies_of_states_do_not_matter():
    xi = posteriors()
    size = effective_readout_size(xi)
    assert 1 < size < 4
    assert np.isclose(effective_readout_size(xi[..., [2, 0, 3, 1]]), size)
    copy = np.concatenate([xi[..., :3], 0.3 * xi[..., 3:], 0.7 * xi[..., 3:]], axis=-1)
    assert np.isclose(effective_readout_size(copy), size)
    assert exact_readout_size(copy) == exact_readout_size(xi) == 4
    assert glm_readout_size(8) == 9


def test_sizes_of_products_are_products():
    xi, path = posteriors(), clock_path(4, 0.9, 10)
    # the clock is the same in every trial, and these states do not know the time
    even = np.concatenate([np.roll(xi, shift, axis=1) for shift in range(10)])
    both = (even[..., :, None] * path[:, None, :]).reshape(300, 10, 16)
    expected = effective_readout_size(even) * clock_size(4, 0.9, 10)
    assert np.isclose(effective_readout_size(both), expected)


def test_clocks_as_the_source_has_them():
    factors = [clock_size(4, dose, 10) for dose in (0.8, 0.9, 0.95, 1.0)]
    assert np.allclose(factors, [1.0935, 1.4085, 2.0348, 4.0], atol=1e-4)
    terms = [clock_divergence(4, dose, 10) for dose in (0.8, 0.9, 0.95, 1.0)]
    assert np.allclose(terms, [0.2160, 0.4616, 0.7361, 1.3662], atol=1e-4)
    assert np.isclose(clock_divergence(2, 1.0, 10), np.log(2))
    assert clock_size(4, 0.0, 10) == pytest.approx(1)
    assert clock_divergence(4, 0.0, 10) == pytest.approx(0, abs=1e-12)


def test_a_clock_is_the_chain_that_it_says():
    even, ring = np.full((3, 3), 1 / 3), np.roll(np.eye(3), 1, axis=1)
    p = 0.3 * even[0] + 0.7 * np.eye(3)[0]
    for row in clock_path(3, 0.7, 6):
        assert np.allclose(row, p)
        p = p @ (0.3 * even + 0.7 * ring)


def test_a_clock_is_missing_to_who_does_not_know_the_time():
    path = clock_path(4, 0.9, 10)
    xi = np.random.default_rng(1).dirichlet(np.ones(4), (400, 10))
    clocks = np.broadcast_to(path, (400, 10, 4)).copy()
    found = kl_decode((xi[:300], xi[300:]), (clocks[:300], clocks[300:]), key=jr.key(0))
    assert np.isclose(found.divergence, clock_divergence(4, 0.9, 10), rtol=0.01)


def test_the_curve_ends_at_the_full_score():
    found = few_shot_curve(
        0.44, 4.0, k=np.array([20, 64, 2000]), trials=2000, bins=10, mean_count=0.5
    )
    assert found[2] == 0.44
    assert np.isclose(found[1], 0.44 - 4 / (10 * np.log(2)) * (1 / 64 - 1 / 2000))
    assert found[0] < found[1]
