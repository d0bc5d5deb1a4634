"""Does a trained network do as overlaps say, and are fixed trials marked right?"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from slowpoint.core.nonlinearity import erf, identity
from slowpoint.core.precision import float64, to_numpy
from slowpoint.core.rollout import rollout
from slowpoint.learning.fixed_trials import fixed_trials
from slowpoint.tasks.flipflop import FlipFlop, Intervals
from slowpoint.theory.latent import Latent
from slowpoint.theory.network_learning import (
    apart,
    balanced_columns,
    learn_network,
    OfOverlaps,
    output_error,
    velocity_error,
)
from slowpoint.theory.overlap_learning import learn
from slowpoint.theory.overlaps import as_network, Dims, overlaps, rank_one, realise

SIGMA = rank_one(zm=0.3, zu=0.4, vm=0.4, vu=0.6, mu=0.2, zv=0.2)
DT = 0.25


def batch():
    timing = Intervals(grace=1.0, shortest=1.0, longest=3.0, dt=DT)
    return fixed_trials(FlipFlop(1, 40, timing, target=0.5), 3, jr.key(4))


def network(units=9, sigma=SIGMA):
    with float64():
        return as_network(realise(sigma, units), Dims(), DT)


@pytest.mark.slow
def test_the_mark_is_the_mean_over_all_steps_that_count():
    """Trials differ in how many do, so it is not the mean of the trials' own marks."""
    asked, trials = batch(), to_numpy(batch().trials)
    with float64():
        latent = Latent(jnp.asarray(SIGMA), Dims(), erf, DT)
        found = float(eqx.filter_jit(asked)(latent, None))
        run = jax.jit(lambda inputs: rollout(latent, np.zeros(0), inputs).outputs)
        outputs = np.stack([np.asarray(run(one)) for one in trials.inputs])
        assert np.abs(np.asarray(asked.outputs(latent)) - outputs).max() < 1e-14
    kept = zip(outputs - trials.targets, trials.weights > 0, strict=True)
    errors = [error[counts] ** 2 for error, counts in kept]
    assert found == pytest.approx(np.concatenate(errors).mean(), rel=1e-12)
    assert found != pytest.approx(np.mean([e.mean() for e in errors]), abs=1e-6)


def test_a_linear_network_learns_as_its_overlaps_do():
    asked = batch()
    rule = optax.sgd(0.1 * 9)
    found = learn_network(asked, network(), rule, updates=30, every=10, key=jr.key(0))
    theory = learn(OfOverlaps(asked, dt=DT), SIGMA, eta=0.1, steps=30, every=10)
    assert found.columns.shape == (4, 9, 4)
    assert np.array_equal(found.epochs, theory.epochs)
    assert np.abs(found.overlaps - theory.overlaps).max() < 1e-12
    assert np.abs(found.losses - theory.losses).max() < 1e-12
    assert found.losses[-1] < 0.9 * found.losses[0]


@pytest.mark.slow
def test_velocities_of_finite_networks_err_with_the_root_of_their_size():
    """A linear one does not err at all."""
    with float64():
        linear, curved = (Latent(jnp.asarray(SIGMA), Dims(), f, DT) for f in (identity, erf))
    keys = jr.split(jr.key(1), 6)
    assert velocity_error(batch(), linear, 20, keys[:1])[0] < 1e-12
    small, large = (velocity_error(batch(), curved, n, keys).mean() for n in (100, 6400))
    assert 4 < small / large < 16  # 8 by theory
    assert small > 1e-3


def test_overlaps_say_what_a_linear_network_does_and_roughly_what_another_does():
    columns = realise(SIGMA, 40, jr.key(5))
    columns[:, 2] *= 3  # so that saturation matters
    with float64():
        linear, curved = (Latent(jnp.asarray(SIGMA), Dims(), f, DT) for f in (identity, erf))
    ask = eqx.filter_jit(batch().outputs)
    assert output_error(ask, columns, linear) < 1e-12
    assert 1e-4 < output_error(ask, columns, curved) < 0.5


def test_matrices_are_compared_by_their_size():
    one, other = np.array([[0.0, 3.0], [4.0, 0.0]]), np.diag([10.0, 0.0])
    assert apart(one + other, other) == pytest.approx(0.5)
    assert apart(np.stack([other, 2 * other]), other) == pytest.approx([0, 1])


def test_balanced_columns_are_those_of_the_paper():
    columns = balanced_columns(100, jr.key(2), within=4e-3)
    with float64():
        sigma = np.asarray(overlaps(columns))
    zu, vm, mu, zv = sigma[3, 1], sigma[2, 0], sigma[0, 1], sigma[3, 2]
    assert np.diag(sigma) == pytest.approx(np.ones(4), abs=1e-12)
    assert max(abs(zu - vm), abs(mu - zv)) < 4e-3
    assert min(zu * vm, mu * zv) > 0
    assert abs(sigma[2, 1] - sigma[3, 0]) > 4e-3  # the others are as they come
    assert not np.array_equal(columns, balanced_columns(100, jr.key(3), within=4e-3))
    with pytest.raises(ValueError, match=r"units=7, within=0.001: give 8 or more"):
        balanced_columns(7, jr.key(2))


def test_what_is_not_finite_is_a_value_and_records_are_even():
    asked = batch()
    wild = learn_network(asked, network(), optax.sgd(1e5), updates=8, every=4, key=jr.key(0))
    assert np.isfinite(wild.losses[0])
    assert np.isnan(wild.losses[-1])
    with pytest.raises(ValueError, match="7 updates, every=2: give a divisor"):
        learn_network(asked, network(), optax.sgd(1.0), updates=7, every=2, key=jr.key(0))
