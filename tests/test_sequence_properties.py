"""What repeated local learning must do whatever the numbers are, and what it refuses."""

import functools
import warnings

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from slowpoint.analysis.capacity import Recall, recall
from slowpoint.analysis.fixed_points import fixed_points
from slowpoint.cells.associative import Associative
from slowpoint.core.precision import float64
from slowpoint.learning.grid import At
from slowpoint.learning.plasticity import (
    delta_rule,
    learn_map,
    learn_sequence,
    normalised_delta_rule,
    Plasticity,
)
from slowpoint.tasks.recall import InputOutputMaps
from slowpoint.theory.capacity import pseudo_inverse, two_block

UNITS = 16
RULES = [delta_rule, normalised_delta_rule]


def draw(seed, maps=3, units=UNITS):
    """`(weights with rows of length 1, targets, inputs, state)`."""
    chance = np.random.default_rng(seed)
    weights = chance.standard_normal((units, units)) * (1 - np.eye(units))
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    return (
        weights,
        *chance.choice([-1.0, 1.0], (2, maps, units)),
        chance.uniform(-1, 1, units),
    )


@functools.partial(jax.jit, static_argnums=4)
def learned(weights, targets, inputs, state, rule):
    """All maps, twice: `(J, state)` after each, and the times."""
    how, found = Plasticity(rule=rule, rate=3e-3, longest=20.0), []
    for target, pattern in [*zip(targets, inputs)] * 2:
        weights, state, steps = learn_map(Associative(weights), how, target, pattern, state)
        found.append((weights, state, steps))
    return [jnp.stack(part) for part in zip(*found)]


def path(rule, *start):
    with float64():
        return [np.asarray(part) for part in learned(*map(jnp.asarray, start), rule)]


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(RULES))
def test_a_unit_with_both_signs_turned_learns_the_same_turned(seed, rule):
    weights, targets, inputs, state = draw(seed)
    sign = np.random.default_rng(seed + 1).choice([-1.0, 1.0], UNITS)
    ours = path(rule, weights, targets, inputs, state)
    theirs = path(
        rule, np.outer(sign, sign) * weights, targets * sign, inputs * sign, state * sign
    )
    np.testing.assert_array_equal(ours[2], theirs[2])
    np.testing.assert_allclose(ours[0] * np.outer(sign, sign), theirs[0], atol=1e-9)
    np.testing.assert_allclose(ours[1] * sign, theirs[1], atol=1e-9)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(RULES))
def test_units_under_other_numbers_learn_the_same(seed, rule):
    weights, targets, inputs, state = draw(seed)
    order = np.random.default_rng(seed + 1).permutation(UNITS)
    ours = path(rule, weights, targets, inputs, state)
    theirs = path(
        rule, weights[np.ix_(order, order)], targets[:, order], inputs[:, order], state[order]
    )
    np.testing.assert_array_equal(ours[2], theirs[2])
    np.testing.assert_allclose(ours[0][:, order][:, :, order], theirs[0], atol=1e-7)
    np.testing.assert_allclose(ours[1][:, order], theirs[1], atol=1e-7)


@pytest.mark.parametrize("rule", RULES)
def test_weights_stay_where_the_input_holds_the_state_at_its_target(rule):
    """Without weights and gain enough, tanh(beta gamma eta) is eta to the last digit."""
    target = draw(0)[1][0]
    net = Associative(np.zeros((UNITS, UNITS)), gain=50.0)
    how = Plasticity(rule=rule, rate=1.0, longest=5.0)
    with float64():
        rows = map(jnp.asarray, (target, target, target))
        weights, state, steps = learn_map(net, how, *rows)
        assert not np.asarray(weights).any()
        np.testing.assert_array_equal(state, target)
        assert int(steps) == 1  # the stop is tested after the first step
        away = learn_map(net, how, *map(jnp.asarray, (target, target, 0 * target)))
        assert np.asarray(away[0]).any()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 10))
def test_zero_is_a_fixed_point_of_every_network_without_input(seed, gain):
    weights = draw(seed)[0]
    with float64():
        net = Associative(jnp.asarray(weights), gain)
        none = jnp.zeros(UNITS)
        assert not np.asarray(net.velocity(none, none)).any()
        found = np.sort_complex(np.asarray(net.rates(none, none)))
    known = np.sort_complex(-1 + gain * np.linalg.eigvals(weights))
    np.testing.assert_allclose(found, known, atol=1e-9)


def test_fixed_points_without_input_come_in_pairs_and_zero_is_found():
    weights = pseudo_inverse(*draw(3, maps=2, units=8)[1:3], strength=0.0)
    guesses = np.random.default_rng(0).uniform(-1, 1, (60, 8))
    both = np.concatenate([guesses, -guesses])
    found = fixed_points(Associative(weights), both, hold=np.zeros(8))
    apart = np.linalg.norm(found.states[:, None] + found.states[None], axis=2)
    assert len(found) >= 5  # two memories, each with its mirror image, and zero
    assert (apart.min(axis=1) < 1e-8).all()
    assert (np.linalg.norm(found.states, axis=1) < 1e-8).sum() == 1


def test_a_map_learned_alone_is_recalled_whatever_the_maps():
    for seed in range(3):
        begin, patterns, show, ask = jr.split(jr.key(seed), 4)
        net = Associative.random(30, key=begin)
        maps = InputOutputMaps.random(1, 30, key=patterns)
        done = learn_sequence(net, maps, Plasticity(rate=1e-3), passes=1, key=show)
        assert done.finished.all()
        assert recall(done.network(net), maps, key=ask).fraction() == 1


def test_recall_is_the_same_in_another_order_of_maps():
    targets, inputs = draw(5, maps=5, units=30)[1:3]
    net = Associative(two_block(targets, inputs))
    order = np.array([3, 0, 4, 1, 2])
    options = {"key": jr.key(0), "duration": 2.0, "counted": 0.5}  # on the way
    ours = recall(net, InputOutputMaps(targets, inputs), **options)
    theirs = recall(net, InputOutputMaps(targets[order], inputs[order]), **options)
    assert not ours.settled.any()
    np.testing.assert_allclose(ours.overlap[:, order], theirs.overlap, atol=1e-12)
    assert ours.fraction() == theirs.fraction()


# ---------------------------------------------------------------- bad input


def test_patterns_that_are_none_are_refused():
    ones = np.ones((2, 6))
    for targets, inputs, says in (
        (ones[0], ones[0], r"shape \(6,\), inputs \(6,\)"),
        (ones[None], ones[None], r"\(1, 2, 6\)"),
        (ones, ones.T, r"\(2, 6\), inputs \(6, 2\)"),
        (ones, ones[:1], r"\(2, 6\), inputs \(1, 6\)"),
        (0 * ones, ones, "targets hold numbers other"),
        (ones, np.nan * ones, "inputs hold numbers other"),
        (ones, 2 * ones, "inputs hold numbers other"),
    ):
        with pytest.raises(ValueError, match=says):
            InputOutputMaps(targets, inputs)


@pytest.mark.parametrize("wrap", [float, jnp.asarray])
def test_constants_at_and_past_their_borders_are_refused(wrap):
    none = np.zeros((3, 3))
    for change, says in (
        ({"gain": 0.0}, "beta above 0"),
        ({"gain": -1.0}, "beta above 0"),
        ({"gain": np.nan}, "beta above 0"),
        ({"strength": -1e-3}, "gamma, 0 or more"),
        ({"strength": np.nan}, "gamma, 0 or more"),
    ):
        with pytest.raises(ValueError, match=says):
            Associative(none, **{name: wrap(value) for name, value in change.items()})
    Associative(none, strength=wrap(0.0))  # no input at all is allowed
    for dt in (0.0, -0.1, 1.0, 2.0):
        with pytest.raises(ValueError, match="above 0 and below 1"):
            Associative(none, dt=dt)
    for change, says in (
        ({"rate": 0.0}, "rate=0.0"),
        ({"rate": -1e-4}, "above 0"),
        ({"longest": 0.0}, "longest=0.0"),
        ({"stop": 1.0}, "tanh stays below 1"),
        ({"stop": 1.5}, "tanh stays below 1"),
    ):
        with pytest.raises(ValueError, match=says):
            Plasticity(**change)


def test_the_largest_weight_of_a_unit_to_itself_is_named():
    weights = np.diag([0.0, -0.3, 0.2, 0.0])
    with pytest.raises(ValueError, match=r"J\[1, 1\] = 0.3.*fill_diagonal"):
        Associative(weights)
    with pytest.raises(ValueError, match=r"J\[2, 2\] = 0.2"):
        Associative(jnp.asarray(np.diag([0.0, 0.1, 0.2])))


def test_designs_name_the_bound_that_they_meet():
    small = draw(0, maps=7)[1:3]
    two_block(*small)
    with pytest.raises(ValueError, match="fewer than 8 maps"):
        two_block(*draw(0, maps=8)[1:3])
    pseudo_inverse(*draw(0, maps=14)[1:3])
    with pytest.raises(ValueError, match="fewer than 15 maps"):
        pseudo_inverse(*draw(0, maps=15)[1:3])


def test_patterns_that_depend_on_each_other_are_warned_of():
    _, targets, inputs, _ = draw(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        InputOutputMaps(targets, inputs)
        InputOutputMaps(targets, -targets)
    twice = np.concatenate([targets, targets[:1]])
    with pytest.warns(UserWarning, match="1 targets stand there already and 0"):
        InputOutputMaps(twice, np.concatenate([inputs, -inputs[:1]]))
    with pytest.warns(UserWarning, match="0 targets stand there already and 1"):
        InputOutputMaps(targets, np.concatenate([targets[:1], inputs[1:]]))


def test_a_pass_that_finishes_no_map_is_no_error():
    weights, targets, inputs, _ = draw(2)
    short = Plasticity(rate=1e-3, longest=0.3)
    options = {"passes": 2, "key": jr.key(0)}
    done = learn_sequence(
        Associative(weights), InputOutputMaps(targets, inputs), short, **options
    )
    assert not done.finished.any()
    np.testing.assert_allclose(done.durations, 0.3)
    assert done.diverged == -1
    assert np.abs(done.recurrent[-1] - weights).max() > 0


def test_the_last_good_weights_are_kept_and_the_pass_is_named():
    """The second of three maps explodes in the second pass: then nothing changes any more."""
    weights, targets, inputs, _ = draw(4)
    maps, second = InputOutputMaps(targets, inputs), targets[1]

    def learn(size, passes):
        def explodes(recurrent, error, state, field):
            """A unit's error has the sign of its target, so the map is known by it."""
            late = jnp.linalg.norm(recurrent - weights) > size
            wrong = late & (jnp.sign(error) == second).all()
            return jnp.where(wrong, jnp.inf, 1.0) * delta_rule(recurrent, error, state, field)

        how = Plasticity(rule=explodes, rate=3e-3, longest=20.0)
        options = {"key": jr.key(0), "shuffled": False, "snapshots": At((*range(passes + 1),))}
        return learn_sequence(Associative(weights), maps, how, passes=passes, **options)

    good = learn(1e9, 2)
    assert good.diverged == -1
    size = np.linalg.norm(good.recurrent[1] - weights)
    bad = learn(float(size), 4)
    assert bad.diverged == 1
    np.testing.assert_array_equal(bad.recurrent[1], good.recurrent[1])
    with float64():
        now = (
            Associative(jnp.asarray(good.recurrent[1])),
            Plasticity(delta_rule, 3e-3, longest=20.0),
        )
        rows = map(jnp.asarray, (targets[0], inputs[0], good.states[1]))
        kept, state, _ = map(np.asarray, learn_map(*now, *rows))
    assert np.linalg.norm(kept - good.recurrent[1]) > 1e-6  # the first map, and no other
    for after in (2, 3, 4):
        np.testing.assert_allclose(bad.recurrent[after], kept, atol=1e-12)
        np.testing.assert_allclose(bad.states[after], state, atol=1e-12)


def test_a_threshold_close_to_where_learning_stopped_is_warned_of():
    found = Recall(np.array([[0.88, 0.91]]), np.zeros((1, 2)), np.zeros((1, 2, 3)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert found.fraction() == 1
        assert found.fraction(0.9) == 0.5
        assert found.fraction(0.85, 0.9) == 1
        assert found.recalled(0.9, 0.99).tolist() == [[False, True]]
    for call in (
        lambda: found.recalled(0.92),
        lambda: found.fraction(0.85, 0.88),
        lambda: found.fraction(0.85, stop=0.85),
    ):
        with pytest.warns(UserWarning, match="learning stopped at"):
            call()
