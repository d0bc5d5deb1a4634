"""Worlds of places, the task to predict what is next, and networks that forget."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from hypothesis import given, settings, strategies as st

from slowpoint.cells.feedforward import DeepLinear
from slowpoint.cells.vanilla import Vanilla
from slowpoint.core.precision import float64
from slowpoint.core.rollout import rollout, Trajectory
from slowpoint.core.stacked import Stacked
from slowpoint.core.transitions import held_out
from slowpoint.learning.descend import descend
from slowpoint.learning.given_trials import GivenTrials
from slowpoint.tasks.predict_ahead import EveryPair, PredictAhead
from slowpoint.tasks.predict_walk import PredictWalk
from slowpoint.worlds.corridor import Corridor, corridor, corridors
from slowpoint.worlds.grid import Grid, grid
from slowpoint.worlds.ring import Ring, ring_world

few = settings(max_examples=25, deadline=None)


@few
@given(st.integers(2, 30), st.data())
def test_as_many_pairs_as_stay_inside(size, data):
    horizon = data.draw(st.integers(1, size - 1))
    line = corridor(size, horizon)
    actions = 2 * horizon + 1
    assert len(line.state) == size * actions - horizon * (horizon + 1)
    assert np.array_equal(line.target, line.state + line.action - horizon)
    assert line.near.sum() == 3 * size - 2
    if actions <= size:
        assert len(ring_world(size, horizon).state) == size * actions


def test_counts_of_the_paper():
    assert [len(corridor(20, a).state) for a in (1, 10, 19)] == [58, 310, 400]
    assert [len(corridors(2, 30, a).state) for a in (1, 15)] == [176, 1380]
    assert grid(8, 2).n_actions == 9
    assert grid(10, 2, "square").n_actions == 25


@pytest.mark.parametrize(
    ("world", "pairs", "act"),
    [
        (Corridor(7), corridor(7, 3), lambda a: a[..., None] - 3.0),
        (Ring(11), ring_world(11, 4), lambda a: a[..., None] - 4.0),
        (Grid(4), grid(4, 2, "square"), lambda a: np.stack(np.divmod(a, 5), -1) - 2.0),
    ],
    ids=["line", "ring", "grid"],
)
def test_walking_leads_where_the_pairs_say(world, pairs, act):
    there = jax.vmap(world.step)(pairs.places[pairs.state], act(pairs.action))
    np.testing.assert_allclose(there, pairs.latent, atol=1e-5)


def test_a_walk_through_a_ring_comes_home():
    path = rollout(Ring(8), jnp.array([1.0, 0.0]), jnp.ones((8, 1)))
    np.testing.assert_allclose(path.states[-1], [1.0, 0.0], atol=1e-5)


def test_corridors_share_nothing():
    both = corridors(2, 5, 2)
    first, second = (both.rows(both.state // 5 == k) for k in (0, 1))
    assert not set(first.action) & set(second.action)
    assert not set(first.target) & set(second.target)
    assert np.array_equal(first.latent, second.latent)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: corridor(20, 0), "A=0 steps in a world of S=20.*1 <= A <= 19"),
        (lambda: corridor(20, 20), "A=20"),
        (lambda: corridor(20, 3, (1, 1)), "different ones"),
        (lambda: corridors(0, 20, 1), "1 corridor or more"),
        (lambda: ring_world(20, 10), "1 <= A <= 9.*no two of the 21"),
        (lambda: grid(4, 4), "1 <= A <= 3"),
        (lambda: grid(4, 1, "knight"), "'axis' or 'square'"),
        (lambda: PredictAhead.one_hot(corridor(5, 1), "hinge"), "'cross_entropy' or 'squared'"),
        (lambda: PredictAhead.one_hot(corridor(5, 4, (2, 3))), "states 0, 1 of 5"),
        (lambda: PredictAhead.seen_as(np.ones((4, 2)), corridor(5, 1), "squared"), "4 views"),
        (lambda: PredictAhead.seen_as(np.ones((5, 2)), corridor(5, 1), "cross_entropy"), "hot"),
        (lambda: DeepLinear.random((4,), key=jr.key(0)), "sizes"),
        (lambda: PredictWalk(size=1), "2 places"),
        (lambda: held_out(corridor(5, 1), 1.0, jr.key(0)), "share=1.0"),
        (lambda: Stacked(()), "Nothing to stack"),
    ],
)
def test_misuse_is_said(make, says):
    with pytest.raises(ValueError, match=says):
        make()


@few
@given(st.integers(3, 15), st.floats(0, 0.875), st.integers(0, 9), st.data())
def test_what_is_held_out_leaves_one_of_each(size, share, seed, data):
    world = corridor(size, data.draw(st.integers(1, size - 1)))
    mask = held_out(world, share, jr.key(seed))
    rest = world.rows(~mask)
    for one in ("state", "action", "target"):
        assert set(getattr(rest, one)) == set(getattr(world, one))
    assert mask.sum() <= share * len(mask)


def test_a_fifth_is_held_out_where_it_may():
    sizes = [held_out(corridor(20, a), 0.2, jr.key(0)).sum() for a in (1, 2, 10)]
    assert sizes == [11, 18, 62]


@pytest.mark.parametrize("mark", ["cross_entropy", "squared"])
def test_every_pair_is_the_loss_of_every_trial(mark):
    """The gathered product and the network that is shown each input agree, as do slopes."""
    world = corridor(6, 2)
    task = PredictAhead.one_hot(world, mark)
    net = DeepLinear.random((11, 7, 7, 6), gain=2.0, key=jr.key(1))
    slow, fast = GivenTrials(task, task.every()), EveryPair.of(world, mark)
    for a, b in zip(
        jax.tree.leaves(eqx.filter_jit(eqx.filter_value_and_grad(slow))(net, None)),
        jax.tree.leaves(eqx.filter_jit(eqx.filter_value_and_grad(fast))(net, None)),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-7)


def test_a_perfect_prediction_is_marked_so():
    task = PredictAhead.random(corridor(6, 2), width=8, key=jr.key(0))
    trials = task.every()
    mark = jax.vmap(lambda t, out: task.accuracy(t, Trajectory(jnp.zeros((1, 1)), out)))
    assert mark(trials, trials.targets).min() == 1
    assert mark(trials, jnp.roll(trials.targets, 1, 0)).min() == 0


def test_the_walk_stays_and_is_shown_now_and_then():
    task = PredictWalk(size=5, every=4, steps=40)
    trial = jax.jit(jax.vmap(task.trial))(jr.split(jr.key(3), 50))
    shown = trial.inputs[..., :5].sum(-1)
    assert np.array_equal(shown, np.broadcast_to(np.arange(40) % 4 == 0, (50, 40)))
    place = trial.targets.argmax(-1)
    move = trial.inputs[..., 5:].argmax(-1) - 1
    assert np.array_equal(np.diff(place), move[:, 1:])
    first = trial.inputs[:, 0, :5].argmax(-1)
    assert np.array_equal(first + move[:, 0], place[:, 0])


def test_a_stack_is_its_layers_one_by_one():
    low, high = (
        Vanilla.random(4, inputs, 3, dt=1.0, form="rate", key=jr.key(k))
        for k, inputs in ((0, 2), (1, 4))
    )
    both = Stacked((low, high))
    inputs = jr.normal(jr.key(2), (9, 2))
    below = rollout(low, jnp.zeros(0), inputs).states
    above = rollout(high, jnp.zeros(0), below)
    path = rollout(both, jnp.zeros(0), inputs)
    np.testing.assert_allclose(path.states, jnp.hstack([below, above.states]), atol=1e-6)
    np.testing.assert_allclose(path.outputs, above.outputs, atol=1e-6)
    with pytest.raises(ValueError, match="state of 4, part 1 takes an input of 2"):
        Stacked((low, low))


@pytest.mark.slow
def test_a_far_horizon_orders_one_hidden_layer():
    """The published effect, at its smallest: S = 20, A = 10 against A = 1."""
    orders = []
    for horizon in (1, 10):
        world = corridor(20, horizon)
        with float64():
            net = DeepLinear.random((21 + 2 * horizon, 40, 20), key=jr.key(0))
            loss = EveryPair.of(world)
            net = descend(net, loss, updates=1000, key=jr.key(1), optimiser=optax.adam(5e-3))
            near = world.rows(world.near)
            code = np.asarray(jax.vmap(net.system.encode)(near.one_hot()))
        first = np.linalg.svd(code - code.mean(0), full_matrices=False)[0][:, 0]
        place = near.latent[:, 0] - near.latent.mean()
        orders.append((first @ place) ** 2 / (place @ place))
    assert orders[0] < 0.7
    assert orders[1] > 0.95
