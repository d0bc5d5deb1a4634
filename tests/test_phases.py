"""Do overlaps go through several tasks as they would go through each alone?"""

import equinox as eqx
import jax.random as jr
import numpy as np
import optax
import pytest

from slowpoint.core.precision import float64
from slowpoint.theory.column_learning import learn_columns
from slowpoint.theory.overlap_learning import learn
from slowpoint.theory.overlaps import overlaps, rank_one, realise
from slowpoint.theory.phases import Phase, through

START = rank_one(zm=0.3, zu=0.2, vm=0.1, vu=0.4, mu=0.2, uu=1.5)


class Wanted(eqx.Module):
    """Visible overlaps should have these values."""

    zm: np.ndarray
    vu: np.ndarray

    def __call__(self, sigma, key):
        product = sigma[3, 1] * sigma[2, 0] - 0.3
        return (sigma[3, 0] - self.zm) ** 2 + (sigma[2, 1] - self.vu) ** 2 + product**2


A = Wanted(np.asarray(1.0), np.asarray(0.8))
B = Wanted(np.asarray(0.5), np.asarray(-0.2))


def of(columns):
    with float64():
        return np.asarray(overlaps(columns))


def test_each_phase_begins_where_the_one_before_ends():
    path = through([Phase(A, 30, 0.05), Phase(B, 20, 0.02)], START, every=10)
    first = learn(A, START, eta=0.05, steps=30, every=10)
    then = learn(B, first.final, eta=0.02, steps=20, every=10)
    assert path.epochs.tolist() == [0, 10, 20, 30, 40, 50]
    assert path.ends.tolist() == [3, 5]
    np.testing.assert_array_equal(path.after(0), first.final)
    np.testing.assert_array_equal(path.after(1), then.final)
    np.testing.assert_array_equal(path.overlaps[:4], first.overlaps)
    np.testing.assert_array_equal(path.losses[:3], first.losses[[0, 10, 20]])
    np.testing.assert_array_equal(path.losses[3:], then.losses[[0, 10, 20]])


def test_records_must_fit_every_phase():
    with pytest.raises(ValueError, match="every=10"):
        through([Phase(A, 30, 0.05), Phase(B, 25, 0.05)], START, every=10)


def test_weights_under_plain_descent_have_the_overlaps_of_the_theory():
    units, eta = 12, 0.02
    columns = np.stack([realise(START, units, jr.key(i)) for i in range(2)])
    found = learn_columns(
        [(A, 40), (B, 20)], columns, optax.sgd(eta * units), every=20, key=jr.key(0)
    )
    path = through([Phase(A, 40, eta), Phase(B, 20, eta)], START, every=20)
    assert found.shape == (2, 4, units, 4)
    for network in found:
        for record, sigma in zip(network, path.overlaps, strict=True):
            np.testing.assert_allclose(of(record), sigma, rtol=0, atol=1e-12)
    assert np.abs(path.overlaps[2] - path.overlaps[1]).max() > 0.1


def test_an_optimiser_keeps_its_memory_from_phase_to_phase():
    columns = realise(START, 8, jr.key(0))[None]
    adam = optax.adam(1e-2)
    halves = learn_columns([(A, 20), (A, 20)], columns, adam, every=20, key=jr.key(0))
    whole = learn_columns([(A, 40)], columns, adam, every=20, key=jr.key(0))
    np.testing.assert_array_equal(halves, whole)


def test_adam_first_moves_each_weight_by_its_rate():
    columns = realise(START, 8, jr.key(0))[None]
    found = learn_columns([(A, 1)], columns, optax.adam(1e-2), every=1, key=jr.key(0))
    with float64():
        slope = 2 * columns[0] @ _sensitivity() / 8
    np.testing.assert_allclose(found[0, 1] - found[0, 0], -1e-2 * np.sign(slope), rtol=1e-4)


def _sensitivity():
    """S of A at START, on paper."""
    slopes = np.zeros((4, 4))
    product = 2 * (START[3, 1] * START[2, 0] - 0.3)
    slopes[3, 0] = 2 * (START[3, 0] - 1.0)
    slopes[2, 1] = 2 * (START[2, 1] - 0.8)
    slopes[3, 1], slopes[2, 0] = product * START[2, 0], product * START[3, 1]
    return (slopes + slopes.T) / 2


def test_updates_must_fit_the_records():
    columns = realise(START, 8, jr.key(0))[None]
    with pytest.raises(ValueError, match="25 updates, every=10"):
        learn_columns([(A, 25)], columns, optax.sgd(0.1), every=10, key=jr.key(0))
