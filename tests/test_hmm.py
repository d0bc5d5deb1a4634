"""Are hidden states inferred and learned as on paper, and does a clock change no prediction?"""

import itertools

import jax.random as jr
import numpy as np
import pytest
from scipy.stats import bernoulli, poisson

from slowpoint.latents.emissions import BernoulliEmissions, PoissonEmissions
from slowpoint.latents.hmm import clocked, fit_em, HMM, random_start

KINDS = pytest.mark.parametrize(
    ("kind", "law"), [(BernoulliEmissions, bernoulli), (PoissonEmissions, poisson)]
)


def model(kind=BernoulliEmissions, states=3, channels=5):
    rng = np.random.default_rng(4)
    start = rng.dirichlet(np.ones(states))
    transitions = rng.dirichlet(np.ones(states), size=states)
    return HMM(start, transitions, kind(rng.uniform(0.1, 0.9, (states, channels))))


def ring(states=4, channels=30):
    step = np.roll(np.eye(states), 1, axis=1) + 0.01
    means = np.random.default_rng(0).uniform(size=(states, channels))
    uniform = np.full(states, 1 / states)
    transitions = step / step.sum(axis=1, keepdims=True)
    return HMM(uniform, transitions, BernoulliEmissions(means))


def by_paths(hmm, law, counts, channels):
    """`(posteriors, log-likelihood)` of one trial, summed over all paths of states."""
    states, bins = len(hmm.start), len(counts)
    total, posteriors = 0.0, np.zeros((bins, states))
    for path in itertools.product(range(states), repeat=bins):
        p = hmm.start[path[0]]
        for before, after in itertools.pairwise(path):
            p *= hmm.transitions[before, after]
        for t, z in enumerate(path):
            for n in channels:
                if not np.isnan(counts[t, n]):
                    p *= law.pmf(counts[t, n], hmm.emissions.means[z, n])
        total += p
        posteriors[np.arange(bins), path] += p
    return posteriors / total, np.log(total)


@KINDS
@pytest.mark.parametrize("missing", [False, True])
def test_smoothing_is_the_sum_over_all_paths(kind, law, missing):
    hmm = model(kind)
    counts = hmm.sample(3, 4, key=jr.key(0))[1]
    if missing:
        counts[0, 1] = counts[1, 2, 3] = counts[2, 3] = np.nan
    for channels in ([0, 3], range(5)):
        found = hmm.smooth(counts, list(channels))
        for trial in range(3):
            posteriors, total = by_paths(hmm, law, counts[trial], channels)
            np.testing.assert_allclose(found.posteriors[trial], posteriors, atol=1e-12)
            np.testing.assert_allclose(found.log_likelihood[trial], total, rtol=1e-12)


def test_without_counts_the_posterior_is_the_chain():
    hmm = model()
    found = hmm.smooth(np.full((3, 4, 5), np.nan))
    chain = [hmm.start]
    for _ in range(3):
        chain.append(chain[-1] @ hmm.transitions)
    np.testing.assert_allclose(found.posteriors, np.broadcast_to(chain, (3, 4, 3)), atol=1e-14)
    np.testing.assert_allclose(found.log_likelihood, 0, atol=1e-14)


def test_many_silent_channels_do_not_underflow():
    sure = np.full((2, 400), 1e-6)
    sure[1] = 1 - 1e-6
    hmm = HMM(np.array([1.0, 0.0]), np.eye(2), BernoulliEmissions(sure))
    found = hmm.smooth(np.ones((1, 6, 400)))
    np.testing.assert_array_equal(found.posteriors, np.broadcast_to([1.0, 0.0], (1, 6, 2)))
    np.testing.assert_allclose(found.log_likelihood, 6 * 400 * np.log(1e-6))


@KINDS
def test_samples_are_those_of_the_model(kind, law):
    hmm = model(kind)
    states, counts = hmm.sample(20_000, 3, key=jr.key(1))
    known = [hmm.start @ np.linalg.matrix_power(hmm.transitions, t) for t in range(3)]
    for t in range(3):
        shares = np.bincount(states[:, t], minlength=3) / len(states)
        np.testing.assert_allclose(shares, known[t], atol=0.02)
    for z in range(3):
        mean, means = counts[states == z].mean(axis=0), hmm.emissions.means[z]
        np.testing.assert_allclose(mean, means, atol=0.03)
        spread = counts[states == z].var(axis=0)
        np.testing.assert_allclose(spread, law.var(means), atol=0.06)
    moves = np.histogram2d(states[:, :-1].ravel(), states[:, 1:].ravel(), bins=3)[0]
    shares = moves / moves.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, hmm.transitions, atol=0.02)
    again = hmm.sample(20_000, 3, key=jr.key(1))[1]
    np.testing.assert_array_equal(counts, again)


@KINDS
def test_the_objective_of_em_never_falls(kind, law):
    counts = model(kind).sample(30, 6, key=jr.key(2))[1]
    counts[0, 4:] = counts[1, :, 2] = np.nan
    for pseudo_count in (0.1, 0.0):
        begun = random_start(counts, 3, kind, key=jr.key(3))
        fit = fit_em(begun, counts, updates=60, pseudo_count=pseudo_count)
        assert np.diff(fit.objective).min() > -1e-9
        assert fit.objective[-1] > fit.objective[0] + 1
        assert np.isfinite(fit.objective).all()
    np.testing.assert_allclose(
        fit.log_likelihood, fit.model.smooth(counts).log_likelihood.sum()
    )
    np.testing.assert_allclose(fit.objective[0], begun.smooth(counts).log_likelihood.sum())


@KINDS
def test_the_objective_holds_the_prior(kind, law):
    counts = model(kind).sample(30, 6, key=jr.key(2))[1]
    begun = random_start(counts, 3, kind, key=jr.key(3))
    fit = fit_em(begun, counts, updates=60, pseudo_count=0.1)
    means = begun.emissions.means
    tables = np.log(begun.start).sum() + np.log(begun.transitions).sum()
    # as if each state had seen a spike (and as often none) of every channel
    seen = law.logpmf(1, means).sum() + (law.logpmf(0, means).sum() if law is bernoulli else 0)
    total = begun.smooth(counts).log_likelihood.sum()
    np.testing.assert_allclose(fit.objective[0], total + 0.1 * (tables + seen))


def test_one_state_is_learned_at_once():
    counts = model().sample(30, 6, key=jr.key(2))[1]
    counts[0, 4:] = np.nan
    fit = fit_em(random_start(counts, 1, key=jr.key(3)), counts, updates=1)
    spikes, bins = np.nansum(counts, axis=(0, 1)), (~np.isnan(counts)).sum(axis=(0, 1))
    np.testing.assert_allclose(fit.model.emissions.means[0], (spikes + 0.1) / (bins + 0.2))
    rates = fit_em(random_start(counts, 1, PoissonEmissions, key=jr.key(3)), counts, updates=1)
    np.testing.assert_allclose(rates.model.emissions.means[0], (spikes + 0.1) / (bins + 0.1))


def test_em_finds_the_teacher():
    teacher = ring()
    counts = teacher.sample(300, 10, key=jr.key(5))[1]
    fits = [
        fit_em(random_start(counts, 4, key=key), counts, updates=100)
        for key in jr.split(jr.key(6), 2)
    ]
    best = max(fits, key=lambda fit: fit.log_likelihood).model
    distance = np.abs(best.emissions.means[:, None] - teacher.emissions.means).mean(axis=2)
    order = distance.argmin(axis=0)
    assert sorted(order) == [0, 1, 2, 3]
    assert distance[order, range(4)].max() < 0.03
    moved = best.transitions[np.ix_(order, order)]
    np.testing.assert_allclose(moved, teacher.transitions, atol=0.02)


@pytest.mark.parametrize(("states", "dose"), [(4, 0.0), (4, 0.9), (4, 1.0), (3, 0.5), (1, 1.0)])
def test_a_clock_changes_no_prediction(states, dose):
    teacher = ring()
    counts = teacher.sample(20, 10, key=jr.key(7))[1]
    student = clocked(teacher, states, dose)
    held_in = np.arange(8)
    ours, theirs = (m.smooth(counts, held_in) for m in (student, teacher))
    rates = [m.rates(s.posteriors) for m, s in ((student, ours), (teacher, theirs))]
    np.testing.assert_allclose(*rates, atol=1e-12)
    np.testing.assert_allclose(ours.log_likelihood, theirs.log_likelihood, rtol=1e-12)
    # the posterior is a product, and the clock's hand is where theory says
    apart = ours.posteriors.reshape(20, 10, 4, states)
    hand = 1 / states + dose ** np.arange(1, 11)[:, None] * (
        np.eye(states)[np.arange(10) % states] - 1 / states
    )
    np.testing.assert_allclose(apart.sum(axis=3), theirs.posteriors, atol=1e-12)
    product = theirs.posteriors[..., None] * hand[:, None]
    np.testing.assert_allclose(apart, product, atol=1e-12)


def test_what_cannot_be_is_refused():
    hmm = model()
    counts = hmm.sample(2, 4, key=jr.key(0))[1]
    with pytest.raises(ValueError, match="counts hold 2, which BernoulliEmissions"):
        hmm.smooth(counts + 2 * (counts == 0))
    with pytest.raises(ValueError, match=r"counts hold 0\.5, which PoissonEmissions"):
        fit_em(model(PoissonEmissions), counts / 2)
    with pytest.raises(ValueError, match="4 channels, the model 5"):
        hmm.smooth(counts[..., :4])
    with pytest.raises(ValueError, match="4 channels, the model 5"):
        fit_em(hmm, counts[..., :4])
    for wrong in ([5], [-1]):
        with pytest.raises(ValueError, match="the model has 5, counted from 0"):
            hmm.smooth(counts, wrong)
    with pytest.raises(ValueError, match="updates is 0"):
        fit_em(hmm, counts, updates=0)
    for states, dose in ((0, 0.5), (2, 1.1), (2, -0.1)):
        with pytest.raises(ValueError, match="A clock of"):
            clocked(hmm, states, dose)
    with pytest.raises(ValueError, match="transitions must hold probabilities"):
        HMM(hmm.start, hmm.transitions.T, hmm.emissions)
    with pytest.raises(ValueError, match="start must hold probabilities"):
        HMM(hmm.start * 2, hmm.transitions, hmm.emissions)
    with pytest.raises(ValueError, match="one row of finite means for each of 3"):
        HMM(hmm.start, hmm.transitions, BernoulliEmissions(np.ones((2, 5))))
