"""Are the weights of a readout those of least loss, and are they the same for equal latents?"""

import numpy as np
import pytest
from scipy.optimize import minimize

from slowpoint.latents.poisson_glm import poisson_glm
from slowpoint.latents.readout import BernoulliReadout, PoissonReadout

TRIALS, BINS, DIMS, CHANNELS = 12, 6, 3, 4


def recording(dims=DIMS, trials=TRIALS):
    rng = np.random.default_rng(5)
    z = rng.normal(size=(trials, BINS, dims))
    weights = rng.normal(size=(dims, CHANNELS)) * 0.5
    return z, rng.poisson(np.exp(z @ weights - 0.2)).astype(float)


def posteriors(states=3, sharp=1.0):
    rng = np.random.default_rng(6)
    xi = rng.dirichlet(np.ones(states) / sharp, (TRIALS, BINS))
    coins = rng.uniform(0.1, 0.9, (states, CHANNELS))
    return xi, (rng.uniform(size=(TRIALS, BINS, CHANNELS)) < xi @ coins).astype(float)


@pytest.mark.parametrize("alpha", [0.0, 1e-3, 1e-2, 0.1])
def test_no_other_weights_have_a_smaller_loss(alpha):
    z, x = recording()
    x[0, 2:] = np.nan  # a shorter trial
    x[3, :, 1] = np.nan  # a channel lost
    rows, y = z.reshape(-1, DIMS), x.reshape(-1, CHANNELS)
    found = poisson_glm(rows, y, alpha)
    assert found.converged.all()
    for n in range(CHANNELS):
        seen = ~np.isnan(y[:, n])

        def loss(w, seen=seen, n=n):
            eta = rows[seen] @ w[:-1] + w[-1]
            grad = np.exp(eta) - y[seen, n]
            slope = np.append(rows[seen].T @ grad, grad.sum()) / seen.sum()
            slope[:-1] += alpha * w[:-1]
            value = (np.exp(eta) - y[seen, n] * eta).mean() + alpha / 2 * (w[:-1] ** 2).sum()
            return value, slope

        best = minimize(loss, np.zeros(DIMS + 1), jac=True, method="BFGS", tol=1e-11).x
        assert np.allclose(np.append(found.weights[:, n], found.intercepts[n]), best, atol=2e-7)
        slope = loss(np.append(found.weights[:, n], found.intercepts[n]))[1]
        assert np.abs(slope).max() < 1e-12


@pytest.mark.parametrize("alpha", [0.0, 1e-3, 1e-2, 0.1])
def test_weights_are_those_of_scikit_learn(alpha):
    linear_model = pytest.importorskip("sklearn.linear_model")
    z, x = recording()
    rows, y = z.reshape(-1, DIMS), x.reshape(-1, CHANNELS)
    found = poisson_glm(rows, y, alpha)
    how = linear_model.PoissonRegressor(alpha=alpha, tol=1e-10, max_iter=10_000)
    for n in range(CHANNELS):
        theirs = how.fit(rows, y[:, n])
        assert np.allclose(found.weights[:, n], theirs.coef_, atol=1e-6)
        assert np.isclose(found.intercepts[n], theirs.intercept_, atol=1e-6)


def test_products_in_pieces_are_the_same_fit(monkeypatch):
    z, x = recording()
    rows, y = z.reshape(-1, DIMS), x.reshape(-1, CHANNELS)
    whole = poisson_glm(rows, y, 1e-3)
    monkeypatch.setattr("slowpoint.latents.poisson_glm.WHOLE", 100)
    pieces = poisson_glm(rows, y, 1e-3)
    assert np.allclose(whole.weights, pieces.weights, atol=1e-12)
    assert np.array_equal(whole.steps, pieces.steps)  # a wrong curvature takes longer
    assert whole.steps.max() < 9


def test_a_step_too_far_is_halved():
    rows = np.zeros((40, 1))
    rows[0] = 30.0  # the first step of Newton overshoots by orders of magnitude
    y = np.zeros((40, 1))
    y[0] = 60
    found = poisson_glm(rows, y, 1e-6)
    assert found.converged.all()
    assert np.isclose(np.exp(found.weights[0, 0] * 30 + found.intercepts[0]), 60, rtol=1e-2)


def test_scale_and_origin_of_the_latents_do_not_matter():
    z, x = recording()
    moved = 37.0 * z + np.array([5.0, -2.0, 100.0])
    rates = PoissonReadout(1e-2).fit(z, x).rates(z)
    again = PoissonReadout(1e-2).fit(moved, x).rates(moved)
    assert np.allclose(rates, again, rtol=1e-8)
    raw = PoissonReadout(1e-2, standardize=False)
    assert not np.allclose(raw.fit(z, x).rates(z), raw.fit(moved, x).rates(moved), rtol=1e-3)


def test_without_a_penalty_any_basis_gives_the_same_rates():
    z, x = recording()
    basis = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, -1.0], [0.5, 0.0, 3.0]])
    rates = PoissonReadout(0.0).fit(z, x).rates(z)
    other = PoissonReadout(0.0).fit(z @ basis, x).rates(z @ basis)
    assert np.allclose(rates, other, rtol=1e-7)
    penalised = [PoissonReadout(0.1).fit(a, x).rates(a) for a in (z, z @ basis)]
    assert not np.allclose(*penalised, rtol=1e-3)


def test_rates_keep_within_what_the_channel_did():
    z, x = recording(dims=40, trials=3)
    fitted = PoissonReadout(1e-6).fit(z, x)
    scale = np.array([0.0, 1.0, 30.0])[:, None, None]  # the mean of the latents is inside
    rates, bounded = fitted.predict(scale * z)
    assert bounded.any()
    assert not bounded.all()
    most = x.max(axis=(0, 1))
    assert (rates <= 2 * most * (1 + 1e-12)).all()
    assert (rates >= 0.5 / (3 * BINS) * (1 - 1e-12)).all()
    free = PoissonReadout(1e-6, margin=np.inf).fit(z, x).rates(scale * z)
    assert free.max() > 1e3 * rates.max()


def test_a_silent_channel_has_half_a_spike_and_says_so():
    z, x = recording()
    x[:, :, 2] = 0
    fitted = PoissonReadout(1e-3).fit(z, x)
    rates, bounded = fitted.predict(z)
    assert fitted.silent.tolist() == [False, False, True, False]
    assert np.allclose(rates[:, :, 2], 0.5 / (TRIALS * BINS))
    assert bounded[:, :, 2].all()
    assert fitted.converged.all()
    glm = poisson_glm(z.reshape(-1, DIMS), x.reshape(-1, CHANNELS), 1e-3)
    assert np.isclose(np.exp(glm.intercepts[2]), 0.5 / (TRIALS * BINS))
    assert not glm.weights[:, 2].any()


def test_a_latent_that_stands_still_weighs_nothing():
    z, x = recording()
    still = np.concatenate([z, np.full((TRIALS, BINS, 1), 3.3)], axis=2)
    rates = PoissonReadout(1e-3).fit(still, x).rates(still)
    assert np.allclose(rates, PoissonReadout(1e-3).fit(z, x).rates(z), rtol=1e-8)


def test_missing_bins_enter_nothing():
    z, x = recording()
    longer = np.concatenate([z, np.full((TRIALS, 2, DIMS), np.nan)], axis=1)
    counts = np.concatenate([x, np.full((TRIALS, 2, CHANNELS), np.nan)], axis=1)
    again = PoissonReadout(1e-3).fit(longer, counts).rates(longer)
    assert np.allclose(again[:, :BINS], PoissonReadout(1e-3).fit(z, x).rates(z), rtol=1e-10)
    assert np.isnan(again[:, BINS:]).all()


def test_draws_share_the_scale_of_all_trials():
    z, x = recording()
    z[6:] *= 5
    draws = [np.arange(5), np.array([2, 9, 7])]
    both = list(PoissonReadout(0.1).fits(z, x, draws))
    rows = z.reshape(-1, DIMS)
    scaled = (z - rows.mean(axis=0)) / rows.std(axis=0)
    for fitted, draw in zip(both, draws, strict=True):
        alone = PoissonReadout(0.1, standardize=False).fit(scaled[draw], x[draw])
        assert np.allclose(fitted.rates(z), alone.rates(scaled), rtol=1e-9)


def test_one_step_counts_spikes_of_each_state():
    xi, x = posteriors()
    for prior in (0.0, 0.5):
        b = BernoulliReadout(prior).fit(xi, x).emissions
        for m in range(3):
            for n in range(CHANNELS):
                top = (xi[..., m] * x[..., n]).sum() + prior
                assert np.isclose(b[m, n], top / (xi[..., m].sum() + 2 * prior), rtol=1e-12)


def test_the_exact_fit_is_the_most_likely():
    xi, x = posteriors(sharp=0.5)
    rows, y = xi.reshape(-1, 3), x.reshape(-1, CHANNELS)

    def nats(b):
        rate = rows @ b
        return (y * np.log(rate) + (1 - y) * np.log(1 - rate)).sum(axis=0)

    b = BernoulliReadout(exact=True).fit(xi, x).emissions
    step = BernoulliReadout().fit(xi, x).emissions
    assert (nats(b) > nats(step) + 0.05).all()
    chance = np.random.default_rng(0)
    for _ in range(50):
        other = np.clip(b + 0.02 * chance.normal(size=b.shape), 1e-3, 1 - 1e-3)
        assert (nats(other) < nats(b) + 1e-3).all()


def test_a_state_that_never_was_has_the_mean_of_the_channel():
    xi, x = posteriors()
    xi = np.concatenate([xi, np.zeros((TRIALS, BINS, 1))], axis=2)
    b = BernoulliReadout().fit(xi, x).emissions
    assert np.allclose(b[3], x.mean(axis=(0, 1)))


def test_missing_coins_enter_nothing():
    xi, x = posteriors()
    x[2, 3:, 0] = np.nan
    for exact in (False, True):
        b = BernoulliReadout(exact=exact).fit(xi, x).emissions[:, :1]
        keep = ~np.isnan(x[:, :, 0])
        alone = BernoulliReadout(exact=exact).fit(xi[keep][:, None], x[keep][:, None, :1])
        assert np.allclose(b, alone.emissions, rtol=1e-12)


def spoiled(array, value):
    array = array.copy()
    array[1, 1, 0] = value
    return array


@pytest.mark.parametrize(
    ("change", "readout", "says"),
    [
        (lambda z, x: (z[1:], x), PoissonReadout(), r"\(11, 6, 3\), counts \(12, 6, 4\)"),
        (lambda z, x: (z, spoiled(x, 0.5)), PoissonReadout(), "hold 0.5"),
        (lambda z, x: (z, spoiled(x, -1)), PoissonReadout(), "hold -1"),
        (lambda z, x: (spoiled(z, np.nan), x), PoissonReadout(), "not finite in 1 bins"),
        (lambda z, x: (np.abs(z), np.minimum(x, 1)), BernoulliReadout(), "no probabilities"),
        (lambda z, x: (z, spoiled(np.minimum(x, 1), 2)), BernoulliReadout(), "hold 2"),
    ],
    ids=["trials", "half", "negative", "nan", "posteriors", "two"],
)
def test_what_cannot_be_read_out_is_refused(change, readout, says):
    with pytest.raises(ValueError, match=says):
        readout.fit(*change(*recording()))


@pytest.mark.parametrize(
    "make", [lambda: PoissonReadout(-1.0), lambda: PoissonReadout(margin=0.5)]
)
def test_an_impossible_penalty_is_refused(make):
    with pytest.raises(ValueError, match="give a penalty of 0 or more"):
        make()


def test_an_impossible_prior_is_refused():
    with pytest.raises(ValueError, match="pseudo-count"):
        BernoulliReadout(-0.1)
