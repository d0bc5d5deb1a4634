"""Do the models of the pool see what they may, and is compared what was fixed beforehand?"""

import jax.random as jr
import numpy as np
import pytest

from slowpoint.experiments import cross_decoding_pool as experiment
from slowpoint.latents.emissions import PoissonEmissions
from slowpoint.latents.hmm import fit_em, random_start
from slowpoint.latents.pool import (
    autoencoders,
    components,
    factors,
    markov,
    Parts,
    transformers,
)


def parts():
    """Six neurons held in, two held out; two drives move them all."""
    rng = np.random.default_rng(0)
    drive = np.cumsum(rng.normal(size=(60, 7, 2)), axis=1)
    counts = rng.poisson(np.exp(0.5 + 0.4 * drive @ rng.normal(size=(2, 8)))).astype(float)
    return Parts(counts[..., :6], counts[..., 6:], np.arange(60) < 40)


MAKERS = {
    "PCA": lambda p: components(p, (2, 3)),
    "factors": lambda p: factors(p, (2,)),
    "HMM": lambda p: markov(p, (2, 3), 3, key=jr.key(0)),
    "masked": lambda p: transformers(p, 1, 2, key=jr.key(0)),
    "autoencoder": lambda p: autoencoders(p, (2,), 2, key=jr.key(0)),
}


SLOW = {"masked", "autoencoder"}  # to compile
KINDS = [pytest.param(k, marks=pytest.mark.slow) if k in SLOW else k for k in MAKERS]


@pytest.mark.parametrize("kind", KINDS)
def test_latents_come_from_held_in_counts_and_models_from_training_trials(kind):
    whole = parts()
    again = Parts(whole.held_in.copy(), whole.held_out.copy(), whole.train)
    again.held_in[50:] = 0
    again.held_out[~whole.train] = 9
    for one, other in zip(MAKERS[kind](whole), MAKERS[kind](again), strict=True):
        assert one.kind == kind
        assert one.name == other.name
        assert one.latents.shape[:2] == (60, 7)
        assert np.isfinite(one.latents).all()
        np.testing.assert_array_equal(one.latents[:50], other.latents[:50])
        assert np.abs(one.latents[50:] - other.latents[50:]).max() > 1e-3


def test_hidden_states_are_inferred_from_held_in_neurons():
    whole = parts()
    two, three = markov(whole, (2, 3), 3, key=jr.key(0))
    assert (two.latents.shape[2], three.latents.shape[2]) == (2, 3)
    counts = np.concatenate([whole.held_in, whole.held_out], axis=2)
    start = random_start(counts[:40], 3, PoissonEmissions, key=jr.split(jr.key(0), 2)[1])
    model = fit_em(start, counts[:40], updates=3).model
    counts[..., 6:] = np.nan
    np.testing.assert_allclose(three.latents, model.smooth(counts).posteriors, atol=1e-9)


@pytest.mark.slow
def test_transformers_are_drawn_at_random():
    names = [m.name for key in (0, 1) for m in transformers(parts(), 1, 1, key=jr.key(key))]
    assert names[0] != names[1]


def pool(n=30, near=None, sign=-1.0):
    column = np.linspace(0.1, 0.8, n)
    score = (0.05 + sign * 0.01 * column)[:, None] * np.ones(4)
    near = np.ones(n, bool) if near is None else near
    return experiment.Pool(
        kind=np.array(["PCA", "HMM"] * (n // 2)),
        name=np.arange(n).astype(str),
        dims=np.arange(n) + 1.0,
        co_smoothing=np.full(n, 0.06),
        near=near,
        alphas=np.array(experiment.ALPHAS),
        scores=score,
        sem=np.full_like(score, 1e-3),
        column=np.where(near, column, np.nan),
        by_all=column,
    )


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_what_comes_out_is_reported_either_way(sign):
    found = pool(sign=sign)
    results = experiment.Results(found, experiment._agreement(found, jr.key(0)))
    said = {c.says: c for c in experiment.claims(results)}
    near = next(c for says, c in said.items() if says.startswith("penalty 0.001: r of"))
    assert near.value == pytest.approx(sign)
    assert near.verdict("full") == "reported"
    assert all(c.verdict("full") != "fails" for c in said.values())


def test_too_few_near_models_have_no_correlation_and_a_small_pool_fails():
    few = pool(n=8, near=np.arange(8) < 2)
    results = experiment.Results(few, experiment._agreement(few, jr.key(0)))
    assert np.isnan(results.agreement.near).all()
    np.testing.assert_allclose(results.agreement.everyone, -1)
    failing = [c.says for c in experiment.claims(results) if c.verdict("full") == "fails"]
    assert failing == ["models in the pool"]
    figure = experiment.draw(results)
    figure.canvas.draw()


def test_the_recording_is_cut_without_overlap():
    found = experiment._parts(experiment.Settings(), jr.key(0))
    assert found.held_in.shape == (611, 20, 66)
    assert found.held_out.shape == (611, 20, 21)
    assert found.train.sum() == 458
    one, other = (
        np.moveaxis(x, 2, 0).reshape(x.shape[2], -1) for x in (found.held_in, found.held_out)
    )
    assert not any((one == row).all(axis=1).any() for row in other)
    composition = experiment.Settings()
    models = len(composition.components) + len(composition.factors) + len(composition.states)
    assert models + composition.transformers + len(composition.autoencoders) == 34
