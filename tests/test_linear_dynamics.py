"""Are the paths the most likely ones, and is the rule that made them found again?"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from slowpoint.core.precision import float64, widen
from slowpoint.latents.linear_dynamics import (
    _paths,
    _weights,
    fit_dynamics,
    LinearDynamics,
    precision,
    RIDGE,
)

BINS = 6


def turning(channels=12, noise=0.06):
    """A slow rotation that decays."""
    angle = 0.4
    turn = 0.97 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    loadings = 0.7 * np.random.default_rng(0).normal(size=(channels, 2))
    own = noise * np.array([[1.0, 0.3], [0.3, 0.8]])
    first = np.array([[1.0, -0.2], [-0.2, 0.7]])
    return LinearDynamics(turn, own, first, loadings, np.full(channels, 0.3))


def sample(model, trials, bins):
    rng = np.random.default_rng(1)
    z = np.empty((trials, bins, 2))
    z[:, 0] = rng.multivariate_normal(np.zeros(2), model.first, trials)
    for t in range(1, bins):
        step = rng.multivariate_normal(np.zeros(2), model.noise, trials)
        z[:, t] = z[:, t - 1] @ model.transition.T + step
    return z, rng.poisson(model.rates(z)).astype(float)


def covariance(model, bins):
    """Of a path, bin by bin, from the rule."""
    found = np.zeros((bins, 2, bins, 2))
    now = model.first
    for t in range(bins):
        later = now
        for s in range(t, bins):
            found[s, :, t], found[t, :, s] = later, later.T
            later = model.transition @ later
        now = model.transition @ now @ model.transition.T + model.noise
    return found.reshape(2 * bins, 2 * bins)


def test_the_precision_is_the_inverse_of_the_covariance():
    model = turning()
    with float64():
        found = np.asarray(precision(widen(model), BINS)).reshape(2 * BINS, 2 * BINS)
    np.testing.assert_allclose(found @ covariance(model, BINS), np.eye(2 * BINS), atol=1e-10)


def test_unseen_paths_are_what_they_were_before():
    model = turning()
    with float64():
        paths = _paths(widen(model), jnp.full((2, BINS, 12), jnp.nan))
        spreads = np.asarray(paths.spreads)[0].transpose(0, 2, 1, 3)
    np.testing.assert_allclose(paths.means, 0, atol=1e-12)
    np.testing.assert_allclose(
        spreads.reshape(2 * BINS, -1), covariance(model, BINS), atol=1e-10
    )


def test_a_path_is_the_most_likely_one():
    model = turning()
    x = sample(model, 3, BINS)[1]
    x[1, 3] = np.nan
    inverse = np.linalg.inv(covariance(model, BINS))

    def cost(flat, x):
        eta = flat.reshape(BINS, 2) @ model.loadings.T + model.offsets
        return np.nansum(np.exp(eta) - x * eta) + flat @ inverse @ flat / 2

    found = model.encode(x)
    for trial in range(3):
        best = scipy.optimize.minimize(cost, np.zeros(2 * BINS), args=(x[trial],), tol=1e-12)
        np.testing.assert_allclose(found[trial].ravel(), best.x, atol=1e-4)


def test_channels_left_out_are_channels_missing():
    model = turning()
    x = sample(model, 3, BINS)[1]
    kept = np.array([0, 3, 4, 9])
    lost = np.full_like(x, np.nan)
    lost[..., kept] = x[..., kept]
    np.testing.assert_allclose(model.encode(x[..., kept], kept), model.encode(lost), atol=1e-10)


def test_weights_are_most_likely_given_the_spread_of_the_paths():
    model = turning()
    rng = np.random.default_rng(2)
    z, x = sample(model, 40, BINS)
    each = np.full((40, BINS, 2, 2), [[0.3, 0.1], [0.1, 0.4]])
    with float64():
        wide = widen(model)
        arrays = [jnp.asarray(a) for a in (x, z, each)]
        for _ in range(3):
            c, d = _weights(wide, *arrays)
            wide = eqx.tree_at(lambda m: (m.loadings, m.offsets), wide, (c, d))
        c, d = np.asarray(c), np.asarray(d)

    def cost(flat):
        w, b = flat[:2], flat[2]
        rate = np.exp(z @ w + b + np.einsum("rtij,i,j->rt", each, w, w) / 2)
        return (rate - x[..., n] * (z @ w + b)).sum() + RIDGE * w @ w / 2

    for n in rng.choice(12, 3, replace=False):
        slope = scipy.optimize.approx_fprime(np.append(c[n], d[n]), cost, 1e-6)
        np.testing.assert_allclose(slope, 0, atol=2e-2)


@pytest.mark.slow
def test_the_rule_is_found_again():
    model = turning()
    z, x = sample(model, 80, 20)
    found = fit_dynamics(x, 2, updates=20)
    rates = lambda m: np.sort_complex(np.linalg.eigvals(m.transition))
    np.testing.assert_allclose(rates(found), rates(model), atol=0.04)
    paths = found.encode(x).reshape(-1, 2)
    map_back = np.linalg.lstsq(paths, z.reshape(-1, 2), rcond=None)[0]
    missed = (z.reshape(-1, 2) - paths @ map_back).var(axis=0) / z.reshape(-1, 2).var(axis=0)
    own = (z - model.encode(x)).reshape(-1, 2).var(axis=0) / z.reshape(-1, 2).var(axis=0)
    assert (missed < 1.4 * own).all()
    # the basis is free, the spread of what moves the neurons is not
    spread = lambda m: m.loadings @ m.first @ m.loadings.T
    np.testing.assert_allclose(spread(found), spread(model), atol=0.35)
    pushed = lambda m: np.trace(m.loadings @ m.noise @ m.loadings.T)
    np.testing.assert_allclose(pushed(found), pushed(model), rtol=0.25)


def test_what_cannot_be_is_refused():
    model = turning()
    x = sample(model, 2, BINS)[1]
    with pytest.raises(ValueError, match="11 channels, the model 12"):
        model.encode(x[..., :11])
    with pytest.raises(ValueError, match="counts hold -1"):
        model.encode(x - 1 - x.min())
    with pytest.raises(ValueError, match="needs every count"):
        fit_dynamics(np.where(x == 0, np.nan, x), 2)
    with pytest.raises(ValueError, match="20 dimensions were asked of"):
        fit_dynamics(x, 20)
