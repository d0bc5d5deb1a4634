"""Starts of learning in a loop, the epoch of stability, and descent on overlaps themselves."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from slowpoint.core.precision import float64
from slowpoint.theory.gram import GramHistory
from slowpoint.theory.loop_spectrum import effective_matrix, radius
from slowpoint.theory.loop_start import stabilised, start_columns, start_grams
from slowpoint.theory.reduced_learning import learn_overlaps


def test_columns_are_drawn_as_the_paper_says():
    columns = start_columns(jr.key(0), 200, 100)
    assert np.array_equal(columns, start_columns(jr.key(0), 200, 100))
    assert np.abs(columns[..., [0, 3]]).max() <= 0.1  # m, z: within 1 / sqrt(N)
    assert np.abs(columns[..., [1, 2]]).max() > 0.3
    grams = start_grams(jr.key(0), 200, 100)
    assert np.allclose(grams.mean(axis=0), np.diag([1 / 3, 1, 1, 1 / 3]), atol=0.03)
    assert np.allclose(grams[3], columns[3].T @ columns[3], rtol=1e-12)


def history(stable):
    """One whose loops are stable where `stable` says so."""
    golden = (1 + 5**0.5) / 2
    good, bad = np.array([-golden, 2 * golden, 1.0, -2 / golden]), np.zeros(4)
    assert radius(effective_matrix(good)) < 1 <= radius(effective_matrix(bad))
    overlaps = np.where(np.array(stable)[..., None], good, bad)
    grams = np.arange(overlaps.size * 4.0).reshape(*overlaps.shape[:2], 4, 4)
    epochs = 5 * np.arange(overlaps.shape[1])
    losses = np.zeros(overlaps.shape[:2])
    return GramHistory(losses, epochs, grams, overlaps, np.full(len(stable), -1))


def test_stable_means_to_the_end():
    rows = [[0, 0, 1, 1], [0, 1, 0, 1], [1, 1, 1, 1], [1, 1, 1, 0]]
    run = history(np.array(rows, bool))
    found = stabilised(run)
    assert found.epochs.tolist() == [10, 15, 0, -1]
    for network, record in enumerate([2, 3, 0, 3]):
        assert np.array_equal(found.grams[network], run.grams[network, record])
        assert np.array_equal(found.overlaps[network], run.overlaps[network, record])


def test_descent_on_overlaps_is_clipped_descent():
    """Against the same steps one by one, clipped at first and not at last."""
    loss = lambda s: jnp.sum(jnp.array([3.0, 1.0, 0.5, 0.2]) * (s - 1) ** 2)
    starts = np.array([[2.0, 1.5, 1.0, 0.0], [0.9, 1.0, 1.1, 1.0]])
    found = learn_overlaps(starts, loss, rate=0.1, steps=20, every=5)
    with float64():
        slope = jax.jit(jax.grad(loss))
        for start, path, losses in zip(starts, found.overlaps, found.losses):
            now = start
            for step in range(20):
                assert losses[step] == pytest.approx(float(loss(jnp.asarray(now))), rel=1e-12)
                way = np.asarray(slope(jnp.asarray(now)))
                now = now - 0.1 * way * min(1, 1 / (np.linalg.norm(way) + 1e-6))
            assert np.allclose(path[-1], now, rtol=1e-12)
    assert found.epochs.tolist() == [0, 5, 10, 15, 20]
    assert np.linalg.norm(found.overlaps[0, 1] - starts[0]) <= 5 * 0.1  # the clip
    free = learn_overlaps(starts[0], loss, rate=0.1, steps=1, clip=None)
    assert np.linalg.norm(free.overlaps[-1] - starts[0]) > 0.5


def test_what_makes_no_sense_is_refused():
    loss = lambda s: jnp.sum(s**2)
    for says, wrong in (
        ("rate=0", {"rate": 0.0}),
        ("clip=0", {"clip": 0.0}),
        ("steps=5, every=2", {"steps": 5, "every": 2}),
    ):
        with pytest.raises(ValueError, match=says):
            learn_overlaps(np.ones(4), loss, **{"rate": 0.1, "steps": 4} | wrong)
