"""Are few-shot scores those of the draws, the same draws for every model, and flagged?"""

import jax.random as jr
import numpy as np
import pytest

from slowpoint.analysis.bits_per_spike import Bernoulli, bits_per_spike, Poisson
from slowpoint.analysis.few_shot import (
    co_smoothing,
    Disjoint,
    few_shot,
    Random,
    target_channels,
)
from slowpoint.latents.readout import BernoulliReadout, PoissonReadout

TRAIN, TEST, BINS, DIMS, CHANNELS = 20, 9, 5, 3, 4


def recording(dims=DIMS):
    rng = np.random.default_rng(8)
    z = rng.normal(size=(TRAIN + TEST, BINS, dims))
    x = rng.poisson(np.exp(z @ rng.normal(size=(dims, CHANNELS)) * 0.5)).astype(float)
    return z[:TRAIN], x[:TRAIN], z[TRAIN:], x[TRAIN:]


@pytest.mark.parametrize("scheme", [Random(3), Disjoint()], ids=["random", "disjoint"])
def test_a_score_is_that_of_a_readout_fitted_to_the_trials_drawn(scheme):
    z, x, zt, xt = recording()
    found = few_shot(
        z, x, zt, xt, readout=PoissonReadout(), k=(6, 9), key=jr.key(1), scheme=scheme
    )
    mean, scale = z.mean(axis=(0, 1)), z.std(axis=(0, 1))
    raw = PoissonReadout(standardize=False)
    for i, k in enumerate((6, 9)):
        draws = scheme.draw(TRAIN, k, jr.key(1))
        assert found.draws[i] == len(draws)
        for j, draw in enumerate(draws):
            rates = raw.fit((z[draw] - mean) / scale, x[draw]).rates((zt - mean) / scale)
            score = bits_per_spike(rates, xt, family=Poisson()).pooled
            assert np.isclose(found.scores[i, j], score, rtol=1e-8)
        row = found.scores[i, : len(draws)]
        assert np.isclose(found.mean[i], row.mean())
        assert np.isclose(found.sem[i], row.std(ddof=1) / np.sqrt(len(row)))
    assert np.isnan(found.scores[1, found.draws[1] :]).all()


def test_the_same_key_gives_every_model_the_same_trials():
    draws = Random(20).draw(TRAIN, 6, jr.key(3))
    assert np.array_equal(draws, Random(20).draw(TRAIN, 6, jr.key(3)))
    assert not np.array_equal(draws, Random(20).draw(TRAIN, 6, jr.key(4)))
    assert draws.shape == (20, 6)
    assert all(len(set(row)) == 6 for row in draws.tolist())
    assert len({tuple(row) for row in draws.tolist()}) == 20  # no two alike
    assert set(draws.ravel().tolist()) == set(range(TRAIN))
    assert np.array_equal(Random(20).draw(TRAIN, 9, jr.key(3))[:, :6], draws)


def test_disjoint_draws_are_neighbours_and_share_no_trial():
    draws = Disjoint().draw(TRAIN, 6, jr.key(3))
    assert draws.tolist() == [list(range(6)), list(range(6, 12)), list(range(12, 18))]


def test_all_trials_in_one_draw_are_the_full_fit():
    z, x, zt, xt = recording()
    options = {"readout": PoissonReadout(), "key": jr.key(0)}
    found = few_shot(z, x, zt, xt, k=TRAIN, scheme=Random(1), **options)
    full = co_smoothing(z, x, zt, xt, readout=PoissonReadout())
    assert np.isclose(found.scores[0, 0], full.pooled, rtol=1e-9)
    assert np.isnan(found.sem[0])


def test_trials_of_different_length_count_by_their_bins():
    z, x, zt, xt = recording()
    options = {"readout": PoissonReadout(), "k": 5, "key": jr.key(0)}
    once = few_shot(z, x, zt, xt, **options)
    pad = lambda a: np.concatenate([a, np.full((len(a), 2, a.shape[2]), np.nan)], axis=1)
    again = few_shot(*map(pad, (z, x, zt, xt)), **options)
    assert np.allclose(once.scores, again.scores, rtol=1e-9)
    assert np.allclose(once.clipped, again.clipped)


def test_coins_are_scored_as_coins():
    rng = np.random.default_rng(2)
    xi = rng.dirichlet(np.ones(3) / 4, (TRAIN + TEST, BINS))
    coins = rng.uniform(0.1, 0.9, (3, CHANNELS))
    x = (rng.uniform(size=(TRAIN + TEST, BINS, CHANNELS)) < xi @ coins).astype(float)
    parts = xi[:TRAIN], x[:TRAIN], xi[TRAIN:], x[TRAIN:]
    found = few_shot(*parts, readout=BernoulliReadout(0.5), k=4, key=jr.key(0))
    draw = Random().draw(TRAIN, 4, jr.key(0))[2]
    rates = BernoulliReadout(0.5).fit(parts[0][draw], parts[1][draw]).rates(parts[2])
    score = bits_per_spike(rates, parts[3], family=Bernoulli()).pooled
    assert np.isclose(found.scores[0, 2], score, rtol=1e-12)


def test_what_a_bound_decided_is_counted():
    z, x, zt, xt = recording()
    x[:, :, 1] = 0  # nothing teaches channel 1
    xt[:, :, 2] = 0  # nothing scores channel 2
    found = few_shot(z, x, zt, xt, readout=PoissonReadout(), k=15, key=jr.key(0))
    assert found.dropped.tolist() == [False, False, True, False]
    assert (found.untaught == 1).all()
    assert np.allclose(found.clipped, 1 / 3, atol=0.02)
    assert found.finite.all()
    assert "Channels 2 have no spike" in found.says
    assert "no spike in the k trials" in str(found)


def test_a_score_that_is_not_finite_is_kept_and_said(monkeypatch):
    z, x, zt, xt = recording()
    readout = PoissonReadout(1e-9, margin=np.inf)
    found = few_shot(z, x, 1e4 * zt, xt, readout=readout, k=4, key=jr.key(0), scheme=Random(2))
    assert found.scores.min() == -np.inf
    assert found.mean[0] == -np.inf
    assert not found.finite.all()
    assert "not finite" in found.says


@pytest.mark.parametrize("k", [0, TRAIN + 1, (4, 0)])
def test_a_k_without_trials_is_refused(k):
    with pytest.raises(ValueError, match="20 training trials"):
        few_shot(*recording(), readout=PoissonReadout(), k=k, key=jr.key(0))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda z, x, zt, xt: (z, x[:-1], zt, xt), r"\(20, 5, 3\), counts \(19, 5, 4\)"),
        (lambda z, x, zt, xt: (z, x, zt, xt[:, :-1]), r"\(9, 5, 3\), counts \(9, 4, 4\)"),
        (lambda z, x, zt, xt: (z, x, zt[..., :2], xt), r"dims"),
        (lambda z, x, zt, xt: (z, x, zt, xt[..., :2]), r"channels"),
        (lambda z, x, zt, xt: (z, x, np.nan * zt, xt), "not finite in 45 bins"),
        (lambda z, x, zt, xt: (z, x, zt, xt + 0.5), "hold"),
        (lambda z, x, zt, xt: (z, x, zt, 0 * xt), "none of 4 units"),
    ],
    ids=["trials", "bins", "dims", "channels", "nan", "half", "silent"],
)
def test_what_cannot_be_scored_is_refused(change, says):
    parts = change(*recording())
    with pytest.raises(ValueError, match=says):
        few_shot(*parts, readout=PoissonReadout(), k=4, key=jr.key(0))
    with pytest.raises(ValueError, match=says):
        co_smoothing(*parts, readout=PoissonReadout())


def test_no_draws_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        Random(0)


def test_targets_that_were_held_in_are_refused():
    x = recording()[1]
    assert np.array_equal(
        target_channels(x, np.array([0, 2]), np.array([3, 1])), x[..., [3, 1]]
    )
    for held_in, targets, says in (
        ([0, 1, 3], [1, 3], "Channels 1, 3 are held in and targets"),
        ([0, 1], [4], "targets names channel 4"),
        ([-1], [0], "held_in names channel -1"),
        ([0], [1, 1], "one twice"),
    ):
        with pytest.raises(ValueError, match=says):
            target_channels(x, np.array(held_in), np.array(targets))
