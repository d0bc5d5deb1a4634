"""Is a score of spikes the one on paper, and does it refuse what has none?"""

import numpy as np
import pytest
from scipy.stats import bernoulli, poisson

from slowpoint.analysis.bits_per_spike import Bernoulli, bits_per_spike, Poisson

FAMILIES = pytest.mark.parametrize(
    ("family", "law"), [(Poisson(), poisson), (Bernoulli(), bernoulli)], ids=["poisson", "coin"]
)


def recording(law, trials=7, bins=5, units=4):
    rng = np.random.default_rng(3)
    rates = rng.uniform(0.1, 0.9, (trials, bins, units))
    counts = law.rvs(rates, random_state=rng).astype(float)
    counts[1, 3:] = np.nan  # a shorter trial
    return rates, counts


@FAMILIES
def test_the_score_is_that_of_the_written_out_probabilities(family, law):
    rates, counts = recording(law)
    nats = spikes = 0.0
    for n in range(4):
        mean = np.nanmean(counts[:, :, n])
        for x, r in zip(counts[:, :, n].ravel(), rates[:, :, n].ravel(), strict=True):
            if not np.isnan(x):
                nats += law.logpmf(x, r) - law.logpmf(x, mean)
                spikes += x
    score = bits_per_spike(rates, counts, family=family)
    assert np.isclose(score.pooled, nats / np.log(2) / spikes, rtol=1e-12)
    assert score.spikes.sum() == spikes
    assert score.finite
    assert score.clipped == 0


@FAMILIES
def test_mean_rates_score_nothing(family, law):
    _, counts = recording(law)
    means = np.broadcast_to(np.nanmean(counts, axis=(0, 1)), counts.shape)
    score = bits_per_spike(means, counts, family=family)
    assert abs(score.pooled) < 1e-14
    assert np.abs(score.each).max() < 1e-14


@FAMILIES
def test_a_given_null_shifts_the_score_by_what_it_lacks(family, law):
    rates, counts = recording(law)
    other = np.array([0.2, 0.3, 0.4, 0.5])
    nulls = np.broadcast_to(other, counts.shape)
    apart = bits_per_spike(rates, counts, family=family).pooled
    lacks = bits_per_spike(nulls, counts, family=family).pooled
    given = bits_per_spike(rates, counts, family=family, null=other).pooled
    assert lacks < -0.01
    assert np.isclose(given, apart - lacks, rtol=1e-12)


@FAMILIES
def test_order_and_missing_bins_do_not_matter(family, law):
    rates, counts = recording(law)
    score = bits_per_spike(rates, counts, family=family)
    for trials, units in (([3, 1, 0, 2, 6, 5, 4], [0, 1, 2, 3]), (range(7), [2, 0, 3, 1])):
        pick = np.ix_(list(trials), range(5), units)
        again = bits_per_spike(rates[pick], counts[pick], family=family)
        assert np.isclose(again.pooled, score.pooled, rtol=1e-12)
        assert np.allclose(again.each, score.each[list(units)], rtol=1e-12)
    missing = np.full((7, 2, 4), np.nan)
    longer = [np.concatenate([part, missing], axis=1) for part in (rates, counts)]
    again = bits_per_spike(*longer, family=family)
    assert np.isclose(again.pooled, score.pooled, rtol=1e-12)
    assert again.clipped == 0


def test_pooled_is_the_mean_over_units_weighted_with_spikes():
    rates, counts = recording(poisson)
    counts[:, :, 0] *= 9  # so that an unweighted mean is another number
    score = bits_per_spike(rates, counts, family=Poisson())
    assert np.isclose(score.pooled, np.average(score.each, weights=score.spikes), rtol=1e-12)
    assert abs(score.pooled - score.each.mean()) > 0.01


def test_a_silent_unit_is_named_and_in_no_sum():
    rates, counts = recording(poisson)
    whole = bits_per_spike(rates[:, :, :3], counts[:, :, :3], family=Poisson())
    counts[:, :, 3] = np.where(np.isnan(counts[:, :, 3]), np.nan, 0.0)
    rates[0, 0, 3] = 0.0  # not counted as clipped
    score = bits_per_spike(rates, counts, family=Poisson())
    assert score.silent.tolist() == [False, False, False, True]
    assert np.isclose(score.pooled, whole.pooled, rtol=1e-12)
    assert np.isnan(score.each).tolist() == score.silent.tolist()
    assert score.clipped == 0


def test_rates_out_of_bounds_are_moved_and_counted():
    counts = np.array([[[0.0], [1.0], [1.0], [np.nan]]])
    rates = np.array([[[1.0], [0.0], [0.5], [0.0]]])
    score = bits_per_spike(rates, counts, family=Bernoulli(), null=np.array([0.5]))
    assert score.clipped == 2
    assert np.isclose(score.pooled, (2 * np.log2(1e-9) + 2) / 2, atol=1e-6)
    score = bits_per_spike(rates, counts, family=Poisson(), null=np.array([1.0]))
    assert score.clipped == 1
    nats = np.log(1e-9) - 1e-9 + np.log(0.5) - 0.5 + 2 - 0.0
    assert np.isclose(score.pooled, nats / 2 / np.log(2), atol=1e-12)


def test_an_infinite_rate_is_a_score_with_a_flag():
    rates, counts = recording(poisson)
    rates[0, 0, 1] = np.inf
    score = bits_per_spike(rates, counts, family=Poisson())
    assert score.pooled == -np.inf
    assert not score.finite
    assert np.isfinite(score.each).tolist() == [True, False, True, True]


def changed(array, value):
    array = array.copy()
    array[0, 0, 0] = value
    return array


@pytest.mark.parametrize(
    ("change", "family", "says"),
    [
        (lambda r, x: (r[:-1], x), Poisson(), r"\(6, 5, 4\), counts \(7, 5, 4\)"),
        (lambda r, x: (r, changed(x, 0.5)), Poisson(), "hold 0.5, which Poisson"),
        (lambda r, x: (r, changed(x, -1.0)), Poisson(), "hold -1, which Poisson"),
        (lambda r, x: (r, changed(x, np.inf)), Poisson(), "hold inf, which Poisson"),
        (lambda r, x: (r, changed(x, 2.0)), Bernoulli(), "hold 2, which Bernoulli"),
        (lambda r, x: (changed(r, np.nan), x), Poisson(), "NaN at 1 counts"),
        (lambda r, x: (r, 0 * x), Poisson(), "none of 4 units"),
    ],
    ids=["shapes", "half", "negative", "infinite", "two", "nan", "silent"],
)
def test_what_has_no_score_is_refused(change, family, says):
    rates, counts = change(*recording(bernoulli))
    with pytest.raises(ValueError, match=says):
        bits_per_spike(rates, counts, family=family)


@pytest.mark.parametrize("null", [np.ones(3), np.array([1, 1, np.nan, 1]), -np.ones(4)])
def test_a_null_that_is_no_rate_is_refused(null):
    with pytest.raises(ValueError, match="give 4 finite rates"):
        bits_per_spike(*recording(poisson), family=Poisson(), null=null)
