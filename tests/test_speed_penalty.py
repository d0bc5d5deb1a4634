"""Does the penalty on speed weigh what it says, and nothing when its weight is nothing?"""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from slowpoint.analysis.fixed_points import fixed_points
from slowpoint.cells.gru import GRU
from slowpoint.cells.vanilla import Vanilla
from slowpoint.learning.descend import descend
from slowpoint.learning.speed_penalty import Penalised, speed_penalty
from slowpoint.learning.train import TaskLoss, train
from slowpoint.tasks.flipflop import FlipFlop

TASK = FlipFlop(bits=2, steps=12)
OPTIONS = {"updates": 12, "key": jr.key(4), "optimiser": optax.adam(1e-2)}


def silence(_, number):
    return jnp.zeros((number, 2))


def noise(key, number):
    return jr.normal(key, (number, 2))


@pytest.fixture(scope="module")
def net():
    return GRU.random(6, 2, 2, key=jr.key(0))


def test_it_is_the_sum_on_paper(net):
    points = np.random.default_rng(0).uniform(-1, 1, (3, 6)).astype(np.float32)
    term = speed_penalty(points, noise, repeats=4, weight=0.3)
    frames = np.asarray(noise(jr.key(7), 12)).reshape(3, 4, 2)
    known = sum(
        float(np.sum((np.asarray(net.step(h, u)) - h) ** 2))
        for h, each in zip(points, frames)
        for u in each
    )
    assert float(term(net, jr.key(7))) == pytest.approx(0.3 * known, rel=1e-5)
    assert float(term(net, jr.key(8))) != pytest.approx(0.3 * known, rel=1e-3)


def test_it_vanishes_at_a_fixed_point_without_noise(net):
    found = fixed_points(net, np.zeros((1, 6)), hold=np.zeros(2)).fixed
    assert len(found) == 1
    term = speed_penalty(found.states, silence, weight=1.0)
    assert float(term(net, jr.key(0))) < 1e-11  # rounding, in float32
    elsewhere = speed_penalty(found.states + 0.3, silence, weight=1.0)
    assert float(elsewhere(net, jr.key(0))) > 1e-2


def test_weight_0_is_the_control_bit_for_bit(net):
    points = np.random.default_rng(0).uniform(-1, 1, (3, 6)).astype(np.float32)
    plain = train(net, TASK, batch=4, **OPTIONS)
    trained = []
    for weight in (0.0, 1e-2):
        term = speed_penalty(points, noise, weight=weight)
        trained.append(descend(net, Penalised(TaskLoss(TASK, 4), term), **OPTIONS))
        assert np.array_equal(term.points, points)  # constants
    for a, b in zip(jax.tree.leaves(plain.system), jax.tree.leaves(trained[0].system)):
        assert np.array_equal(a, b)
    assert np.array_equal(plain.losses, trained[0].losses)
    assert not np.array_equal(plain.losses, trained[1].losses)


def test_it_slows_a_network_of_any_kind_at_its_points():
    slow = Vanilla.random(8, 2, 2, gain=1.5, dt=0.5, key=jr.key(1))
    points = np.random.default_rng(1).uniform(-1, 1, (4, 8))
    term = speed_penalty(points, silence, repeats=1, weight=1.0)
    taught = descend(slow, Penalised(TaskLoss(TASK, 4), term), **OPTIONS | {"updates": 60})
    before, after = (float(term(system, jr.key(0))) for system in (slow, taught.system))
    assert after < 0.5 * before


def test_a_weight_that_is_too_large_freezes_the_replicate_and_names_the_update(net):
    term = speed_penalty(np.full((3, 6), 0.9), noise, weight=3e38)
    trained = descend(net, Penalised(TaskLoss(TASK, 4), term), **OPTIONS)
    assert trained.stopped == 0
    assert np.isnan(trained.losses[1:]).all()
    for a, b in zip(jax.tree.leaves(net), jax.tree.leaves(trained.system)):
        assert np.array_equal(a, b)


@pytest.mark.parametrize(
    ("do", "says"),
    [
        (lambda: speed_penalty(np.full((2, 6), np.nan), noise), "not all finite"),
        (lambda: speed_penalty(np.zeros((2, 6)), noise, weight=-1.0), "weight from 0"),
        (lambda: speed_penalty(np.zeros((2, 6)), noise, weight=np.nan), "weight from 0"),
        (lambda: speed_penalty(np.zeros((2, 6)), noise, repeats=0), "1 or more repeats"),
        (
            lambda: speed_penalty(np.zeros((2, 5)), noise)(
                GRU.random(6, 2, 2, key=jr.key(0)), jr.key(0)
            ),
            r"shape \(2, 5\), the state of GRU has 6",
        ),
    ],
)
def test_bad_input_is_named(do, says):
    with pytest.raises(ValueError, match=says):
        do()
