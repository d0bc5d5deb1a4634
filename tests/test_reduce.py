"""Are the latents those of PCA and of factor analysis, and are extra ones independent?"""

import jax.random as jr
import numpy as np
import pytest
import scipy.optimize

from slowpoint.latents.reduce import _factors, fit_factors, fit_pca, independent_latents
from slowpoint.recordings.binned import smooth


def counts(trials=40, bins=12, channels=9):
    rng = np.random.default_rng(0)
    drive = smooth(rng.normal(size=(trials, bins, 2)), 2.0)
    rates = np.exp(1 + 1.5 * drive @ rng.normal(size=(2, channels)))
    return rng.poisson(rates)


@pytest.mark.parametrize("fit", [fit_pca, fit_factors])
def test_latents_have_unit_variance_and_do_not_go_together(fit):
    x = counts()
    rows = fit(x, 3).encode(x).reshape(-1, 3)
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(np.cov(rows.T, bias=True), np.eye(3), atol=1e-4)


def test_pca_finds_the_directions_of_most_variance():
    x = counts()
    roots = smooth(np.sqrt(x), 1.5).reshape(-1, 9)
    roots = (roots - roots.mean(axis=0)) / roots.std(axis=0)
    left, _, _ = np.linalg.svd(roots, full_matrices=False)
    found = fit_pca(x, 4).encode(x).reshape(-1, 4)
    np.testing.assert_allclose(
        np.abs(left[:, :4].T @ found), np.sqrt(480) * np.eye(4), atol=1e-9
    )


def test_new_trials_are_encoded_with_what_was_learned():
    x = counts()
    model = fit_pca(x[:30], 2)
    np.testing.assert_array_equal(model.encode(x)[:30], model.encode(x[:30]))
    gone = x[30:].astype(float)
    gone[0, 5:] = np.nan
    found = model.encode(gone)
    assert np.isnan(found[0, 5:]).all()
    assert np.isfinite(found[0, :5]).all()
    np.testing.assert_array_equal(found[1:], model.encode(x[31:]))


def test_factors_are_a_maximum_of_the_likelihood():
    rng = np.random.default_rng(1)
    truth, noise = rng.normal(size=(6, 2)), rng.uniform(0.3, 1, 6)
    data = rng.normal(size=(500, 2)) @ truth.T + rng.normal(size=(500, 6)) * np.sqrt(noise)
    covariance = np.cov(data.T, bias=True)

    def loss(flat):
        loadings, own = flat[:12].reshape(6, 2), flat[12:]
        sigma = loadings @ loadings.T + np.diag(own)
        return np.linalg.slogdet(sigma)[1] + np.trace(np.linalg.solve(sigma, covariance))

    loadings, own = _factors(covariance, 2, 5000)
    here = np.concatenate([loadings.ravel(), own])
    slope = scipy.optimize.approx_fprime(here, loss, 1e-6)
    assert np.abs(slope).max() < 1e-3
    assert loss(here) < loss(np.concatenate([truth.ravel(), noise]))
    np.testing.assert_allclose(own, noise, rtol=0.35)


def test_factors_and_pca_differ_where_one_channel_is_noisy():
    x = counts()
    x[..., 0] = np.random.default_rng(3).poisson(30.0, x.shape[:2])
    share = [abs(fit(x, 3).weights[0]).max() for fit in (fit_factors, fit_pca)]
    assert share[0] < 0.3 * share[1]


def test_a_channel_that_never_moves_weighs_nothing():
    x = counts()
    x[..., 4] = 3
    for fit in (fit_pca, fit_factors):
        np.testing.assert_allclose(fit(x, 2).weights[4], 0, atol=1e-12)


@pytest.mark.parametrize("dims", [0, 10])
@pytest.mark.parametrize("fit", [fit_pca, fit_factors])
def test_dimensions_that_are_not_there_are_refused(fit, dims):
    with pytest.raises(ValueError, match=f"{dims} dimensions were asked of 9 channels"):
        fit(counts(), dims)


def test_counts_that_do_not_fit_are_refused():
    x = counts()
    with pytest.raises(ValueError, match="have 8 channels, the model was fitted on 9"):
        fit_pca(x, 2).encode(x[..., :8])
    with pytest.raises(ValueError, match="counts hold -1"):
        fit_pca(-(x > 0).astype(int), 2)


def test_extra_latents_are_stationary_and_independent():
    extra = independent_latents(4000, 12, 3, key=jr.key(0))
    np.testing.assert_allclose(extra.var(axis=0), 1, atol=0.1)
    np.testing.assert_allclose((extra[:, 1:] * extra[:, :-1]).mean(axis=(0, 1)), 0.9, atol=0.03)
    across = np.corrcoef(extra.reshape(-1, 3).T) - np.eye(3)
    assert np.abs(across).max() < 0.05
    with pytest.raises(ValueError, match="coefficient is 1"):
        independent_latents(2, 2, 1, coefficient=1.0, key=jr.key(0))
