"""Do weights follow the rule, map by map, and is a sequence what its key says?"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from slowpoint.analysis.capacity import recall
from slowpoint.cells.associative import Associative
from slowpoint.core.precision import float64
from slowpoint.learning import plasticity
from slowpoint.learning.grid import At
from slowpoint.learning.plasticity import (
    delta_rule,
    learn_map,
    learn_sequence,
    normalised_delta_rule,
    Plasticity,
    SequentialLearning,
)
from slowpoint.tasks.recall import InputOutputMaps

UNITS = 20


@pytest.fixture(scope="module")
def network():
    with float64():
        return Associative.random(UNITS, key=jr.key(0))


@pytest.fixture(scope="module")
def maps():
    return InputOutputMaps.random(4, UNITS, key=jr.key(1))


HOW = Plasticity(rate=3e-3, longest=40.0)


def test_one_map_is_the_loop_as_it_is_told(network):
    """Step by step in NumPy: old fields, new state, error of the new state, no own weight."""
    chance = np.random.default_rng(0)
    target, pattern = chance.choice([-1.0, 1.0], (2, UNITS))
    state = chance.uniform(-1, 1, UNITS)
    with float64():
        found = learn_map(network, HOW, *map(jnp.asarray, (target, pattern, state)))
    weights, steps = np.array(network.recurrent), 0
    while steps < 400 and (not steps or np.mean(target * state) < HOW.stop):
        field = weights @ state
        state = state + 0.1 * (np.tanh(4 * (field + pattern)) - state)
        error = target - state
        weights += 0.1 * HOW.rate * error[:, None] * (state - field[:, None] * weights)
        np.fill_diagonal(weights, 0)
        steps += 1
    assert int(found[2]) == steps > 3
    np.testing.assert_allclose(found[0], weights, atol=1e-11)
    np.testing.assert_allclose(found[1], state, atol=1e-11)


def test_a_state_at_its_target_changes_no_weight(network):
    with float64():
        x = jnp.sign(jnp.arange(UNITS) - 7.5)
        field = network.recurrent @ x
        for rule in (delta_rule, normalised_delta_rule):
            assert not rule(network.recurrent, 0 * x, x, field).any()


def test_rows_of_length_one_keep_it_to_the_square_of_a_step():
    with float64():
        keys = jr.split(jr.key(3), 3)
        weights = jr.normal(keys[0], (UNITS, UNITS))
        weights /= jnp.linalg.norm(weights, axis=1, keepdims=True)
        state, error = jr.uniform(keys[1], (2, UNITS), minval=-1)
        change = normalised_delta_rule(weights, error, state, weights @ state)
        off = lambda dt: jnp.abs(jnp.linalg.norm(weights + dt * change, axis=1) - 1).max()
        assert off(1e-2) > 1e-6
        assert off(1e-2) / off(5e-3) == pytest.approx(4, rel=0.02)
        grown = delta_rule(weights, error, state, weights @ state)
        drift = jnp.linalg.norm(weights + 1e-2 * grown, axis=1) - 1
        assert jnp.abs(drift).max() > 30 * off(1e-2)


def flip(network, sign, order):
    weights = sign[:, None] * np.asarray(network.recurrent) * sign
    return Associative(weights[np.ix_(order, order)])


def test_signs_and_names_of_units_do_not_matter(network, maps):
    chance = np.random.default_rng(5)
    sign, order = chance.choice([-1.0, 1.0], UNITS), chance.permutation(UNITS)
    change = lambda rows: (np.asarray(rows) * sign)[..., order]
    with float64():
        state = chance.uniform(-1, 1, UNITS)
        target, pattern = np.asarray(maps.targets[0], float), np.asarray(maps.inputs[0], float)
        learn = lambda net, *rows: learn_map(net, HOW, *map(jnp.asarray, rows))
        ours = learn(network, target, pattern, state)
        theirs = learn(flip(network, sign, order), *map(change, (target, pattern, state)))
        assert int(ours[2]) == int(theirs[2])
        np.testing.assert_allclose(change(ours[1]), theirs[1], atol=1e-9)
        moved = flip(Associative(np.asarray(ours[0])), sign, order).recurrent
        np.testing.assert_allclose(moved, theirs[0], atol=1e-9)


def test_without_input_states_come_in_pairs():
    with float64():
        network = Associative.random(UNITS, key=jr.key(7))
        x, none = jr.normal(jr.key(8), (UNITS,)), jnp.zeros(UNITS)
        np.testing.assert_allclose(network.velocity(-x, none), -network.velocity(x, none))
        assert not network.velocity(none, none).any()
        known = -1 + 4 * np.linalg.eigvals(np.asarray(network.recurrent))
        found = np.asarray(network.rates(none, none))
        np.testing.assert_allclose(np.sort_complex(found), np.sort_complex(known), atol=1e-10)


def test_a_map_that_is_learned_alone_is_recalled(network):
    alone = InputOutputMaps.random(1, UNITS, key=jr.key(11))
    done = learn_sequence(network, alone, Plasticity(rate=1.5e-3), passes=1, key=jr.key(2))
    assert done.finished.all()
    assert done.diverged == -1
    assert recall(done.network(network), alone, key=jr.key(3)).fraction() == 1


@pytest.fixture(scope="module")
def learned(network, maps):
    return learn_sequence(
        network, maps, HOW, passes=6, key=jr.key(2), snapshots=At((0, 2, 5, 6))
    )


def test_a_sequence_is_its_maps_one_after_another(network, maps, learned):
    assert learned.passes.tolist() == [0, 2, 5, 6]
    np.testing.assert_array_equal(learned.recurrent[0], network.recurrent)
    assert [sorted(row) for row in learned.order.tolist()] == [[0, 1, 2, 3]] * 6
    assert len({tuple(row) for row in learned.order.tolist()}) > 1
    net, state = learned.network(network, 2), learned.states[2]
    with float64():
        for row in learned.order[5]:
            pair = jnp.asarray(maps.targets[row], float), jnp.asarray(maps.inputs[row], float)
            weights, state, steps = learn_map(net, HOW, *pair, jnp.asarray(state))
            net = eqx.tree_at(lambda n: n.recurrent, net, weights)
            assert learned.durations[5, row] == pytest.approx(0.1 * int(steps))
    np.testing.assert_allclose(learned.recurrent[3], net.recurrent, atol=1e-10)
    assert learned.durations[-1].mean() < learned.durations[0].mean()
    assert (learned.durations[learned.finished] <= HOW.longest).all()


def test_the_same_key_repeats_and_another_does_not(network, maps, learned):
    again = learn_sequence(network, maps, HOW, passes=6, key=jr.key(2))
    np.testing.assert_array_equal(again.recurrent[-1], learned.recurrent[-1])
    other = learn_sequence(network, maps, HOW, passes=1, key=jr.key(9), shuffled=False)
    assert other.order.tolist() == [[0, 1, 2, 3]]
    assert not np.allclose(other.states[0], learned.states[0])


def test_an_interrupted_sequence_goes_on(network, maps, learned, tmp_path, monkeypatch):
    file, count, show = tmp_path / "sequence.npz", [0], plasticity._show_all

    def stop(*args):
        count[0] += 1
        if count[0] == 4:
            raise KeyboardInterrupt
        return show(*args)

    how = {"key": jr.key(2), "snapshots": At((0, 2, 5, 6)), "file": file}
    monkeypatch.setattr(plasticity, "_show_all", stop)
    with pytest.raises(KeyboardInterrupt, match="after 3 of 6 passes"):
        learn_sequence(network, maps, HOW, passes=6, **how)
    assert SequentialLearning.load(file).passes.tolist() == [0, 2, 3]
    monkeypatch.setattr(plasticity, "_show_all", show)
    whole = learn_sequence(network, maps, HOW, passes=6, **how)
    for ours, theirs in zip(jax.tree.leaves(whole), jax.tree.leaves(learned), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    longer = learn_sequence(network, maps, HOW, passes=7, **(how | {"snapshots": At((7,))}))
    np.testing.assert_array_equal(longer.order[:6], learned.order)
    for wrong, says in (
        ({"passes": 6}, "holds 7 passes"),
        ({"passes": 8, "shuffled": False}, "of another run"),
        ({"passes": 8, "key": jr.key(5)}, "of another run"),
    ):
        with pytest.raises(ValueError, match=says):
            learn_sequence(network, maps, HOW, **(how | wrong))


def test_weights_stay_where_numbers_are_not_finite(network, maps):
    wild = learn_sequence(network, maps, Plasticity(rate=1e200), passes=2, key=jr.key(2))
    assert wild.diverged == 0
    assert np.isfinite(wild.recurrent).all()
    assert np.isfinite(wild.states).all()


def test_rows_can_be_kept_at_length_one(network, maps):
    how = Plasticity(rate=3e-3, longest=40.0, renormalise=True)
    kept = learn_sequence(network, maps, how, passes=2, key=jr.key(2))
    np.testing.assert_allclose(np.linalg.norm(kept.recurrent[-1], axis=1), 1, atol=1e-12)
    plain = learn_sequence(network, maps, HOW, passes=2, key=jr.key(2))
    assert np.abs(np.linalg.norm(plain.recurrent[-1], axis=1) - 1).max() > 1e-5


def test_bad_input_is_named(network, maps):
    for call, says in (
        (lambda: Plasticity(rate=0.0), "rate=0.0"),
        (lambda: Plasticity(longest=-1.0), "longest=-1.0"),
        (lambda: Plasticity(stop=1.0), "tanh stays below 1"),
        (lambda: learn_sequence(network, maps, passes=0, key=jr.key(0)), "1 or more"),
        (
            lambda: learn_sequence(
                network, InputOutputMaps.random(2, 9, key=jr.key(0)), passes=1, key=jr.key(0)
            ),
            r"Associative.random\(9",
        ),
    ):
        with pytest.raises(ValueError, match=says):
            call()
