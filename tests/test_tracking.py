"""Points followed through a value, on normal forms whose crossings are on paper."""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

from slowpoint.analysis.branch import Branch, newton
from slowpoint.analysis.events import FLIP, FOLD, HOPF, NEIMARK_SACKER
from slowpoint.analysis.families import between, under_input
from slowpoint.analysis.fixed_points import fixed_points
from slowpoint.analysis.points import FIXED, NEITHER, SLOW
from slowpoint.analysis.tracking import Track, track
from slowpoint.analysis.walk import FOLDED, LOST, NEVER, REACHED, Steps
from slowpoint.cells.vanilla import Vanilla
from slowpoint.core.precision import float64
from slowpoint.core.rollout import rollout
from slowpoint.core.system import Flow, Map
from slowpoint.core.wrap import Sampled
from slowpoint.weights.trained import flipflop_gru
from slowpoint.worlds.duffing import Duffing


class FormFlow(Flow):
    """dx/dt = rule(value, x)."""

    value: Float[Array, ""]
    rule: Callable = eqx.field(static=True)
    state_size: int = eqx.field(static=True, default=1)
    input_size: int = eqx.field(static=True, default=0)
    output_size: int = eqx.field(static=True, default=1)
    dt: float = eqx.field(static=True, default=0.1)

    def velocity(self, x, u):
        return self.rule(self.value, x)

    def output(self, x):
        return x[:1]


class FormMap(Map):
    """x' = rule(value, x)."""

    value: Float[Array, ""]
    rule: Callable = eqx.field(static=True)
    state_size: int = eqx.field(static=True, default=1)
    input_size: int = eqx.field(static=True, default=0)
    output_size: int = eqx.field(static=True, default=1)
    dt: float = eqx.field(static=True, default=0.5)

    def step(self, x, u):
        return self.rule(self.value, x)

    def output(self, x):
        return x[:1]


def saddle_node(mu, x):
    return mu - x**2


def falling(mu) -> FormFlow:
    """The saddle-node, one function for all tests, so that it is compiled once."""
    return FormFlow(mu, saddle_node)


DOWN = np.linspace(1.0, -1.0, 8)


# ---------------------------------------------------------------- folds


@pytest.fixture(scope="module")
def folded():
    return track(falling, np.ones(1), DOWN)


def test_a_saddle_node_is_followed_to_its_fold(folded):
    reached = DOWN[DOWN > 0]
    np.testing.assert_array_equal(folded.values, reached)
    np.testing.assert_allclose(folded.states[:, 0], np.sqrt(reached), atol=1e-12)
    np.testing.assert_allclose(folded.rates[:, 0], -2 * np.sqrt(reached), atol=1e-12)
    np.testing.assert_allclose(folded.jumps[1:], -np.diff(np.sqrt(reached)), atol=1e-12)
    assert folded.residuals.max() < 1e-13
    assert (folded.kinds == FIXED).all()
    assert not folded.n_unstable.any()
    assert folded.ended == FOLDED
    (event,) = folded.events
    assert event.kind == FOLD
    assert event.regular
    np.testing.assert_allclose([event.value, *event.state], 0, atol=1e-10)
    # along y = -x, where the square has a plus: dy/dt = -mu + y^2
    np.testing.assert_allclose([event.push, event.bend], [-1, 1], atol=1e-10)
    assert event.residual < 1e-12
    assert "fold at" in folded.says


def test_the_same_fold_of_a_map_from_the_side_that_grows():
    rule = lambda mu, x: x + saddle_node(mu, x)
    found = track(lambda v: FormMap(v, rule), -np.ones(1), DOWN)
    reached = DOWN[DOWN > 0]
    np.testing.assert_allclose(found.states[:, 0], -np.sqrt(reached), atol=1e-12)
    np.testing.assert_allclose(found.rates[:, 0], np.log(1 + 2 * np.sqrt(reached)) / 0.5)
    assert (found.n_unstable == 1).all()
    (event,) = found.events
    assert event.regular
    np.testing.assert_allclose(event.value, 0, atol=1e-10)
    # per unit time: a step is half of one
    np.testing.assert_allclose([event.push, event.bend], [-2, 2], atol=1e-10)


def tanh_unit(weight: float = 2.0) -> Sampled:
    """x' = tanh(weight x + u)."""
    one, zero = jnp.ones((1, 1)), jnp.zeros(1)
    return Sampled(Vanilla(weight * one, one, zero, one, zero, dt=1.0, form="rate"))


@pytest.mark.parametrize(
    ("side", "values"), [(1.0, np.linspace(0.0, 1.0, 6)), (-1.0, np.array([0.0, 3.0]))]
)
def test_the_fold_of_a_tanh_unit_is_met_however_long_the_steps(side, values):
    family = under_input(tanh_unit(), np.array([-side]))
    found = track(family, np.array([side * 0.957504]), values)
    fold = math.atanh(math.sqrt(0.5)) - 2 * math.sqrt(0.5)  # where 2 (1 - x^2) = 1
    assert found.ended == FOLDED
    np.testing.assert_allclose(found.values, values[values < -fold])
    (event,) = found.events
    np.testing.assert_allclose(event.value, -fold, atol=1e-10)
    np.testing.assert_allclose(event.state, side * math.sqrt(0.5), atol=1e-10)
    np.testing.assert_allclose(event.push, 0.5, atol=1e-10)  # 1 - x^2
    np.testing.assert_allclose(event.bend, math.sqrt(2), atol=1e-10)  # 4 x (1 - x^2)


def test_an_input_held_beside_the_family_is_the_same_as_one_inside():
    inside = track(under_input(tanh_unit(), np.ones(1)), np.array([0.96]), np.array([0.1]))
    beside = track(
        lambda v: tanh_unit(v), np.array([0.96]), np.array([2.0]), hold=np.array([0.1])
    )
    np.testing.assert_allclose(inside.states, beside.states, atol=1e-14)
    assert inside.radius[0] < 1e-12  # a Vanilla cell knows its Lipschitz bound


@pytest.mark.parametrize(
    ("rule", "start", "values"),
    [
        # from 0.1 by -0.4 the tangents of both sides agree with a leap past the branch point
        (lambda mu, x: mu * x - x**3, 1.0, np.array([1.0, 0.5, 0.1, -0.3, -0.8])),
        (lambda mu, x: mu * x - x**3, 0.0, np.linspace(-1.0, 1.0, 7)),  # 0 is among them
        (lambda mu, x: mu * x - x**2, -1.0, np.linspace(-1.0, 1.0, 6)),
    ],
    ids=["pitchfork, branch", "pitchfork, zero", "transcritical"],
)
def test_a_branch_point_is_called_degenerate(rule, start, values):
    found = track(lambda v: FormFlow(v, rule), np.array([start]), values)
    (event,) = found.events
    assert event.kind == FOLD
    assert not event.regular
    assert event.sentence().startswith("degenerate fold at")
    assert "not pushed" in event.sentence()
    np.testing.assert_allclose([event.value, *event.state], 0, atol=1e-6)
    if start == 1.0:  # nothing of this branch is left
        assert found.ended == FOLDED
    else:  # the other branches go through, and change their stability
        assert found.ended == REACHED
        growing = values > 0 if start == 0 else values < -2
        np.testing.assert_array_equal(found.n_unstable, growing | (start < 0) & (values < 0))


# ---------------------------------------------------------------- Hopf, Neimark-Sacker, flip


def bent(mu: Array, x: Array) -> tuple[Array, Callable]:
    """Coordinates in which the point stays at 0 and all is symmetric, and the way back.

    A shear and a motion of the point change no crossing number; they make the formulas work.
    """
    point = jnp.stack([mu**2, mu])
    d = x - point
    y = jnp.stack([d[0], d[1] + 0.7 * d[0] ** 2])
    return y, lambda y: point + jnp.stack([y[0], y[1] - 0.7 * y[0] ** 2])


@pytest.mark.parametrize("cubic", [-1.0, 1.0])
def test_a_hopf_point_in_bent_coordinates(cubic):
    def rule(mu, x):
        y, back = bent(mu, x)
        a, b, size = mu - 0.3, 2.5, cubic * (y @ y)
        rate = jnp.stack([a * y[0] - b * y[1] + size * y[0], b * y[0] + a * y[1] + size * y[1]])
        return jax.jvp(back, (y,), (rate,))[1]

    values = np.linspace(-1.0, 1.0, 5)
    found = track(lambda v: FormFlow(v, rule, state_size=2), np.array([1.0, -1.0]), values)
    assert found.ended == REACHED
    np.testing.assert_allclose(found.states, np.stack([values**2, values], 1), atol=1e-11)
    np.testing.assert_array_equal(found.n_unstable, 2 * (values > 0.3))
    (event,) = found.events
    assert event.kind == HOPF
    assert event.regular
    np.testing.assert_allclose(event.value, 0.3, atol=1e-12)
    np.testing.assert_allclose(event.state, [0.09, 0.3], atol=1e-12)
    np.testing.assert_allclose(event.frequency, 2.5, atol=1e-11)
    np.testing.assert_allclose(event.push, 1, atol=1e-10)
    # the unit vector q = (1, -i)/sqrt(2) makes |y|^2 = 2 |z|^2
    np.testing.assert_allclose(event.bend, 2 * cubic, atol=1e-9)
    assert event.residual < 1e-12
    assert ("soft" if cubic < 0 else "hard") in event.sentence()


def test_a_neimark_sacker_point_in_bent_coordinates():
    angle = 1.0
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])

    def rule(mu, x):
        y, back = bent(mu, x)
        return back((0.7 + mu - y @ y) * (turn @ y))

    values = np.linspace(-0.5, 0.7, 4)
    family = lambda v: FormMap(v, rule, state_size=2)
    found = track(family, np.array([0.25, -0.5]), values)
    assert found.ended == REACHED
    (event,) = found.events
    assert event.kind == NEIMARK_SACKER
    assert event.regular
    np.testing.assert_allclose(event.value, 0.3, atol=1e-12)
    np.testing.assert_allclose(event.frequency, angle / 0.5, atol=1e-11)
    np.testing.assert_allclose([event.push, event.bend], [1 / 0.5, -2 / 0.5], atol=1e-9)


def test_the_flip_of_the_logistic_map():
    family = lambda v: FormMap(v, lambda r, x: r * x * (1 - x), dt=1.0)
    values = np.linspace(2.5, 3.6, 5)
    found = track(family, np.array([0.6]), values)
    assert found.ended == REACHED
    np.testing.assert_allclose(found.states[:, 0], 1 - 1 / values, atol=1e-13)
    np.testing.assert_array_equal(found.n_unstable, values > 3)
    (event,) = found.events
    assert event.kind == FLIP
    assert event.regular
    np.testing.assert_allclose(event.value, 3, atol=1e-12)
    np.testing.assert_allclose(event.state, 2 / 3, atol=1e-12)
    np.testing.assert_allclose(event.frequency, math.pi, atol=1e-12)
    # (f''/2)^2 + f'''/6 = 9, and |2 - r| grows as fast as r
    np.testing.assert_allclose([event.push, event.bend], [1, -9], atol=1e-9)
    # from r = 2, where the multiplier is 0 and its rate -inf
    coarse = track(family, np.array([0.5]), np.array([2.0, 3.4]))
    np.testing.assert_allclose(coarse.event_values, [3], atol=1e-12)


def test_two_pairs_that_cross_within_one_step_are_told_apart():
    def rule(mu, x):
        first = jnp.stack([(mu - 0.1) * x[0] - 2 * x[1], 2 * x[0] + (mu - 0.1) * x[1]])
        second = jnp.stack([(mu - 0.3) * x[2] - 5 * x[3], 5 * x[2] + (mu - 0.3) * x[3]])
        return jnp.concatenate([first, second])

    family = lambda v: FormFlow(v, rule, state_size=4)
    found = track(family, np.zeros(4), np.array([1.0, -1.0]))
    np.testing.assert_array_equal(found.event_kinds, [HOPF, HOPF])
    np.testing.assert_allclose(found.event_values, [0.3, 0.1], atol=1e-12)
    np.testing.assert_allclose(found.event_frequencies, [5, 2], atol=1e-11)
    np.testing.assert_allclose(found.event_pushes, 1, atol=1e-11)
    assert not found.event_regular.any()  # a linear system has centres, not cycles


# ---------------------------------------------------------------- slow points


def test_a_slow_point_is_what_a_fold_leaves_behind():
    found = track(falling, np.ones(1), DOWN, seek="slow")
    assert found.ended == REACHED
    beyond = DOWN < 0
    np.testing.assert_array_equal(found.kinds, np.where(beyond, SLOW, FIXED))
    np.testing.assert_allclose(found.states[:, 0], np.sqrt(np.maximum(DOWN, 0)), atol=1e-7)
    np.testing.assert_allclose(found.speeds[beyond], -DOWN[beyond], atol=1e-12)
    assert not found.jumped.any()
    (event,) = found.events
    assert event.regular
    np.testing.assert_allclose(event.value, 0, atol=1e-10)


def test_moves_that_may_not_be_halved_are_jumps():
    steps = Steps(halvings=0)
    found = track(falling, np.ones(1), DOWN, seek="slow", steps=steps)
    np.testing.assert_array_equal(found.jumped, found.jumps > 0.1)
    assert found.jumped.sum() == 4
    np.testing.assert_array_equal(found.substeps[1:], 1)


def test_a_jump_to_another_valley_is_reported():
    # two valleys of a speed that is never 0; that at x > 0 is lost at 8 / (3 sqrt(3)) = 1.54
    rule = lambda v, x: 5 + (x**2 - 1) ** 2 + v * x
    values = np.linspace(0.0, 3.0, 7)
    found = track(lambda v: FormFlow(v, rule), np.ones(1), values, seek="slow")
    np.testing.assert_array_equal(found.jumped, values == 2.0)
    np.testing.assert_array_equal(found.kinds, SLOW)
    assert (found.states[values < 1.5] > 1 / math.sqrt(3)).all()
    assert (found.states[values > 1.6] < -1).all()
    assert found.jumps[4] > 1.5
    assert not len(found.events)
    slope = 4 * found.states[:, 0] * (found.states[:, 0] ** 2 - 1) + values
    np.testing.assert_allclose(slope, 0, atol=1e-9)


# ---------------------------------------------------------------- snapshots of training


def snapshots(*weights: float) -> Sampled:
    nets = [tanh_unit(w) for w in weights]
    return jax.tree.map(lambda *a: jnp.stack(a), *nets)


def test_between_snapshots_weights_are_interpolated():
    family = between(snapshots(1.2, 1.5, 3.0))
    weights = [float(family(v).flow.recurrent[0, 0]) for v in (0.0, 0.5, 1.0, 1.2, 2.0)]
    np.testing.assert_allclose(weights, [1.2, 1.35, 1.5, 1.8, 3.0], rtol=1e-6)
    alone = between(snapshots(1.2))
    np.testing.assert_allclose(alone(0.0).flow.recurrent, [[1.2]], rtol=1e-6)


@pytest.mark.parametrize("back", [False, True])
def test_a_memory_is_followed_through_training_and_back(back):
    weights = [1.2, 1.5, 3.0, 3.0]
    values = np.arange(4)[::-1] if back else np.arange(4)
    points = [fixed_points(tanh_unit(w), np.ones((1, 1)), hold=np.zeros(1)) for w in weights]
    there = np.array([p.states[0] for p in points])[values]
    found = track(between(snapshots(*weights)), there[0], values, hold=np.zeros(1))
    assert found.ended == REACHED
    np.testing.assert_allclose(found.states, there, atol=1e-6)  # of float32 weights
    np.testing.assert_array_equal(found.substeps[1:], 1)
    same = found.jumps[1] if back else found.jumps[3]
    assert same < 1e-12


# ---------------------------------------------------------------- a trained network


@pytest.fixture(scope="module")
def memory():
    """`(network, a stable corner, its way under an input on the second bit)`."""
    net = flipflop_gru()
    pulses = jnp.zeros((200, 3)).at[0].set(jnp.array([1.0, -1.0, 1.0]))
    corner = np.asarray(rollout(net, jnp.zeros(0), pulses).states[-1], float)
    family = under_input(net, np.array([0.0, 1.0, 0.0]))
    return net, corner, track(family, corner, np.linspace(0.0, 0.5, 26))


def test_a_memory_of_a_trained_network_ends_in_a_certified_fold(memory):
    _, _, way = memory
    assert way.ended == FOLDED
    assert (way.n_unstable == 0).all()
    assert (way.radius < 1e-10).all()  # each of its states is certified
    event = way.events[-1]
    assert event.regular
    assert event.residual <= 1e-12
    assert way.values[-1] < event.value < way.values[-1] + 0.02
    assert not way.jumped.any()


def test_the_ghost_of_the_fold_delays_the_flip_as_its_numbers_say(memory):
    net, corner, way = memory
    event, beyond = way.events[-1], 1e-3
    predicted = math.pi / math.sqrt(event.push * event.bend * beyond)
    inputs = np.tile([0.0, event.value + beyond, 0.0], (400, 1))
    outputs = rollout(net, jnp.asarray(corner, jnp.float32), jnp.asarray(inputs, jnp.float32))
    flipped = int(np.argmax(np.asarray(outputs.outputs)[:, 1] > 0))
    assert 0.9 < flipped / predicted < 1.1


# ---------------------------------------------------------------- ends, files, bad input


def test_a_branch_that_runs_to_infinity_is_lost_without_a_fold():
    found = track(lambda v: FormFlow(v, lambda v, x: v * x - 1), np.ones(1), DOWN)
    assert found.ended == LOST
    assert not found.events
    np.testing.assert_array_equal(found.values, DOWN[DOWN > 0])
    assert "no fold is near" in found.says


def test_newton_is_given_up_when_its_steps_hardly_shrink():
    with float64():
        branch = Branch(lambda v: FormFlow(v, lambda v, x: jnp.arctan(x)), jnp.zeros(0))
        starts = jnp.array([[0.5], [1.3]])  # plain Newton would arrive from below 1.39
        arrived = [bool(newton(branch, x, jnp.zeros(()))[1]) for x in starts]
    assert arrived == [True, False]


def test_a_guess_far_from_any_point_never_begins():
    found = track(falling, np.zeros(1), -DOWN)
    assert (found.ended, len(found), found.states.shape) == (NEVER, 0, (0, 1))
    assert "fixed point" in found.says


def test_a_track_is_saved_and_loaded(tmp_path, folded):
    folded.save(tmp_path / "track.npz")
    again = Track.load(tmp_path / "track.npz")
    np.testing.assert_array_equal(again.states, folded.states)
    assert again.says == folded.says
    assert again.events[0].sentence() == folded.events[0].sentence()
    assert again.ENDS[again.ended] == "fold"


def test_a_family_is_traced_once():
    calls = []

    def family(v):
        calls.append(v)
        return FormFlow(v, lambda v, x: v - x)

    track(family, np.ones(1), np.array([1.0, 2.0]))
    del calls[:]
    track(family, np.ones(1), np.linspace(1.0, 9.0, 30))
    assert len(calls) <= 4


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (np.array([0.0, 1.0, 0.5]), "turn back after 1 "),
        (np.array([0.0, 0.0]), "stand still"),
        (np.array([0.0, math.nan]), "finite"),
        (np.zeros(0), "one or more"),
    ],
)
def test_values_must_go_one_way(values, says):
    with pytest.raises(ValueError, match=says):
        track(falling, np.ones(1), values)


def test_misuse_is_said():
    values = np.array([0.0, 1.0])
    with pytest.raises(TypeError, match="Keep the value as it comes"):
        track(lambda v: Duffing(damping=float(v)), np.zeros(2), values)
    with pytest.raises(ValueError, match="which input is held"):
        track(lambda v: tanh_unit(v), np.zeros(1), values)
    with pytest.raises(ValueError, match="the state of FormFlow has 1"):
        track(falling, np.zeros(2), values)
    with pytest.raises(ValueError, match="direction has shape"):
        under_input(tanh_unit(), np.ones(2))
    uneven = eqx.tree_at(lambda s: s.flow.bias, snapshots(1.0, 2.0), jnp.zeros((3, 1)))
    with pytest.raises(ValueError, match="one number of snapshots"):
        between(uneven)


def test_a_ridge_of_speed_is_neither():
    found = track(falling, np.zeros(1), np.array([0.5]), seek="slow")
    np.testing.assert_array_equal(found.kinds, [NEITHER])
