"""Do models that fill in what is hidden see only what they may, and learn what is there?"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from slowpoint.analysis.bits_per_spike import bits_per_spike, Poisson
from slowpoint.latents.autoencoder import Autoencoder, fit_autoencoder
from slowpoint.latents.masked import fit_masked, MaskedLoss, MaskedTransformer
from slowpoint.latents.recorded_trials import Batch, poisson_loss, RecordedTrials

HELD_IN, BINS = 6, 8


def recording(trials=120):
    """Two groups of neurons that take turns, at a phase of its own in every trial."""
    rng = np.random.default_rng(0)
    phase = rng.uniform(0, 2 * np.pi, (trials, 1, 1))
    turn = np.sin(phase + 0.8 * np.arange(BINS)[:, None])
    rates = np.exp(0.5 + 1.2 * turn * np.array([1, -1, 1, -1, 1, -1, 1, -1]))
    return rng.poisson(rates)


def trials(counts):
    return RecordedTrials.of(counts[..., :HELD_IN], counts[..., HELD_IN:], batch=32)


MODELS = pytest.mark.parametrize(
    "make",
    [
        lambda data: MaskedTransformer.random(data, 8, 1, 0.1, key=jr.key(0)),
        lambda data: Autoencoder.random(data, 3, 8, key=jr.key(0)),
    ],
    ids=["masked", "autoencoder"],
)


def test_hidden_bins_are_not_shown_and_only_they_are_scored():
    data = trials(recording())
    batch = data.masked_bins(0.4, jr.key(1))
    shown, scored, counts = map(np.asarray, (batch.shown, batch.scored, batch.counts))
    hidden = scored[..., :HELD_IN]
    assert (hidden == hidden[..., :1]).all(), "whole bins"
    assert 0.3 < hidden.mean() < 0.5
    assert scored[..., HELD_IN:].all()
    np.testing.assert_array_equal(shown, np.where(hidden, 0, counts[..., :HELD_IN]))
    rows = {trial.tobytes() for trial in np.asarray(data.counts)}
    drawn = {trial.tobytes() for trial in counts}
    assert drawn <= rows
    assert len(drawn) == 32


def test_a_count_that_is_shown_is_not_scored():
    batch = trials(recording()).dropped_counts(0.25, jr.key(1))
    shown, scored, counts = map(np.asarray, (batch.shown, batch.scored, batch.counts))
    hidden = scored[..., :HELD_IN]
    assert 0.15 < hidden.mean() < 0.35
    assert not (hidden == hidden[..., :1]).all()
    assert scored[..., HELD_IN:].all()
    np.testing.assert_allclose(
        shown, np.where(hidden, 0, counts[..., :HELD_IN] / 0.75), rtol=1e-6
    )


def test_the_loss_is_that_of_what_is_scored():
    rng = np.random.default_rng(1)
    logs, counts = rng.normal(size=(2, 3, 4)), rng.poisson(1.0, (2, 3, 4)).astype(float)
    scored = rng.random((2, 3, 4)) < 0.5
    batch = Batch(*map(jnp.asarray, (counts, counts[..., :2], scored)))
    known = np.mean((np.exp(logs) - counts * logs)[scored])
    np.testing.assert_allclose(float(poisson_loss(jnp.asarray(logs), batch)), known, rtol=1e-5)


@MODELS
def test_latents_are_frozen_and_each_trial_is_alone(make):
    counts = recording(6)
    model = make(trials(counts))
    found = model.encode(counts[..., :HELD_IN])
    np.testing.assert_array_equal(found, model.encode(counts[..., :HELD_IN]))
    np.testing.assert_allclose(found[2:3], model.encode(counts[2:3, :, :HELD_IN]), atol=1e-5)
    changed = counts[..., :HELD_IN].copy()
    changed[0] += 1
    again = model.encode(changed)
    assert np.abs(again[0] - found[0]).max() > 1e-3
    np.testing.assert_allclose(again[1:], found[1:], atol=1e-6)
    logs = jax.vmap(model.log_rates)(jnp.asarray(found, jnp.float32))
    np.testing.assert_allclose(
        model.rates(counts[..., :HELD_IN]), np.exp(np.asarray(logs, float)), rtol=1e-4
    )


@pytest.mark.parametrize("off", ["neither", "time", "space", "both"])
def test_every_bin_can_tell_of_every_other(off):
    """By attention over time, or over features, whose values are mixed over bins."""
    counts = recording(4)
    model = MaskedTransformer.random(trials(counts), 8, 1, 0.0, key=jr.key(0))
    for name in ("time", "space"):
        if off in (name, "both"):
            where = lambda m, name=name: getattr(m.layers, name).output_proj.weight
            model = eqx.tree_at(where, model, jnp.zeros_like(where(model)))
    slope = jax.jacobian(lambda x: model.latents(x)[:, 0])
    shown = jnp.asarray(counts[0, :, :HELD_IN] + 1.0)
    told = np.abs(np.asarray(slope(shown))).sum(axis=2)
    known = np.eye(BINS, dtype=bool) if off == "both" else np.ones((BINS, BINS), bool)
    np.testing.assert_array_equal(told > 0, known)


@pytest.mark.parametrize("way", ["forth", "back"])
def test_a_trial_is_read_both_ways(way):
    counts = recording(4)
    model = Autoencoder.random(trials(counts), 3, 8, key=jr.key(0))
    line = model.start.weight
    kept = slice(0, 8) if way == "forth" else slice(8, 16)
    alone = eqx.tree_at(
        lambda m: m.start.weight, model, jnp.zeros_like(line).at[:, kept].set(line[:, kept])
    )
    shown = jnp.asarray(counts[0, :, :HELD_IN], jnp.float32)
    told = jax.jacobian(lambda x: alone.latents(x)[0, 0])(shown + 1.0)
    size = np.abs(np.asarray(told)).sum(axis=1)
    assert (size > 0).all()
    near, far = (-1, 0) if way == "forth" else (0, -1)  # what was read last is known best
    assert size[near] > size[far]


def test_dropout_needs_a_key():
    counts = recording(4)
    data = trials(counts)
    model = MaskedTransformer.random(data, 8, 1, 0.5, key=jr.key(0))
    shown = jnp.asarray(counts[0, :, :HELD_IN], jnp.float32)
    one, other = (model.latents(shown, jr.key(i)) for i in (1, 2))
    assert np.abs(np.asarray(one - other)).max() > 1e-3
    losses = [float(MaskedLoss(data)(model, jr.key(i))) for i in (1, 2)]
    assert losses[0] != losses[1]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["masked", "autoencoder"])
def test_held_out_neurons_are_predicted(kind):
    counts = recording(400)
    data = trials(counts[:300])
    if kind == "masked":
        begun = MaskedTransformer.random(data, 16, 2, 0.1, key=jr.key(0))
        fit, rate = fit_masked, 5e-3
    else:
        begun = Autoencoder.random(data, 4, 24, key=jr.key(0))
        fit, rate = fit_autoencoder, 1e-2
    model = fit(begun, data, updates=600, learning_rate=rate, key=jr.key(1))
    score = lambda m: (
        bits_per_spike(
            m.rates(counts[300:, :, :HELD_IN])[..., HELD_IN:],
            counts[300:, :, HELD_IN:],
            family=Poisson(),
        ).pooled
    )
    assert score(begun) < 0.05
    assert score(model) > 0.25


@MODELS
def test_counts_that_do_not_fit_are_refused(make):
    counts = recording(4)
    model = make(trials(counts))
    for wrong in (counts[..., :5], np.where(counts == 0, np.nan, counts)[..., :HELD_IN]):
        with pytest.raises(ValueError, match="none missing"):
            model.encode(wrong)


def test_recordings_that_do_not_fit_are_refused():
    counts = recording(4).astype(float)
    with pytest.raises(
        ValueError, match=r"held_in has shape \(4, 8, 6\), held_out \(3, 8, 2\)"
    ):
        RecordedTrials.of(counts[..., :6], counts[:3, :, 6:])
    for wrong in (-1.0, np.nan):
        bad = counts.copy()
        bad[0, 0, 0] = wrong
        with pytest.raises(ValueError, match="missing or below 0"):
            RecordedTrials.of(bad[..., :6], bad[..., 6:])
