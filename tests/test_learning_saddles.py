"""Is the loss that of the filter, and are its three levels where learning stands still?"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from slowpoint.analysis.fixed_points import fixed_points
from slowpoint.core.precision import float64
from slowpoint.core.rollout import rollout
from slowpoint.experiments import learning_saddles as saddles
from slowpoint.theory.latent import Latent
from slowpoint.theory.overlap_learning import OverlapFlow
from slowpoint.theory.overlaps import Dims, rank_one


def euler_loss(sigma, dt):
    """The squared error of the impulse response, by small steps to time 40."""
    impulse = np.zeros((round(40 / dt), 1))
    impulse[0] = 1 / dt
    with float64():
        found = rollout(Latent(jnp.asarray(sigma), Dims(), dt=dt), np.zeros(0), impulse).outputs
    time = dt * np.arange(len(impulse))
    return float(((np.asarray(found)[:, 0] - np.exp(-saddles.C * time)) ** 2).sum() * dt)


@pytest.mark.parametrize("vu", [0.0, 0.4, -0.3])
def test_the_loss_is_that_of_the_filter(vu):
    sigma = rank_one(zm=0.8, zu=0.5, vm=0.7, vu=vu, mm=2.0, zz=2.0)
    coarse, fine = (euler_loss(sigma, dt) for dt in (0.02, 0.01))
    known = saddles.filter_loss(sigma)
    assert abs(2 * fine - coarse - known) < 1e-3 * known  # what is left of Euler's error
    assert 0 < abs(fine - known) < abs(coarse - known)


@pytest.mark.slow
def test_three_levels_and_their_rates():
    forward = rank_one(zm=saddles.GAP, vu=0.3, mm=2.0, zz=2.0)
    solved = rank_one(zm=1.0, zu=0.8, vm=1.0, vu=0.8, mm=2.0, zz=2.0, uu=2.0, vv=2.0)
    sigmas = [np.zeros((4, 4)), forward, solved]
    losses = [saddles.filter_loss(sigma) for sigma in sigmas]
    assert np.allclose(losses, saddles.LEVELS, atol=1e-14)
    guesses = np.array([sigma[saddles.UPPER] for sigma in sigmas])
    found = fixed_points(OverlapFlow(saddles.filter_loss, 4), guesses)
    assert found.degenerate.all()
    assert np.allclose(found.states[found.guess_index], guesses)
    levels = saddles.by_level(saddles.of_networks(found))
    assert [points.n_unstable.tolist() for points in levels] == [[3], [1], [0]]
    assert [saddles.zeros(points).tolist() for points in levels] == [[4], [7], [7]]
    # by hand, at mu = zv = 0: the slope by w times the root of (uu + zz)(mm + vv)
    slope = 1 / (1 + 0.7) * saddles.GAP - saddles.GAP / (0.7 + saddles.C)
    assert np.real(levels[1].rates[0, 0]) == pytest.approx(abs(slope) * 3, abs=1e-12)
    assert saddles.curvature_error(levels[1]) < 1e-12
    assert saddles.curvature_error(levels[2]) < 1e-12


def test_what_no_network_has_is_left_out():
    outside = rank_one(zm=saddles.GAP, mm=1.0, zz=1.0)  # zm > 1 of two columns of length 1
    growing = rank_one(zm=saddles.GAP, vu=1.5, mm=2.0, zz=2.0, uu=2.0, vv=2.0)
    guesses = np.array([sigma[saddles.UPPER] for sigma in (outside, growing)])
    found = fixed_points(OverlapFlow(saddles.filter_loss, 4), guesses)
    assert len(found) == 2
    assert len(saddles.of_networks(found)) == 0


@pytest.mark.slow
def test_claims_hold_from_other_networks():
    settings = saddles.Settings(networks=8, steps=400, seed=3)
    results = saddles.run(settings)
    assert [c.says for c in saddles.claims(results) if c.verdict("full") == "fails"] == []
    assert jax.config.read("jax_enable_x64") is False
