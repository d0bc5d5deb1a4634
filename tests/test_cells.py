"""Do the cells compute what is written on paper?"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from test_contracts import check_system

from slowpoint.cells.gru import GRU
from slowpoint.cells.linear import Linear
from slowpoint.cells.low_rank import LowRank
from slowpoint.cells.lstm import LSTM
from slowpoint.cells.vanilla import Vanilla
from slowpoint.core import nonlinearity
from slowpoint.core.precision import float64, to_numpy, widen
from slowpoint.core.rollout import rollout


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def wide(system):
    """`system` in float64, its arrays NumPy."""
    with float64():
        return to_numpy(widen(system))


def walk(system, start, inputs):
    """A rollout in float64, as NumPy."""
    with float64():
        run = eqx.filter_jit(rollout)(widen(system), jnp.asarray(start), jnp.asarray(inputs))
        return to_numpy(run)


def inputs_of(system, time, seed=0):
    return np.random.default_rng(seed).normal(size=(time, system.input_size))


def by_key(make):
    return make(jr.key(0))


VARIANTS = {
    "gru, reset before": lambda k: GRU.random(5, 2, 2, reset_after=False, key=k),
    "ungated": lambda k: GRU.random(5, 2, 2, key=k).ungated(),
    "ungated, reset before": lambda k: GRU.random(5, 2, 2, reset_after=False, key=k).ungated(),
    "rate, dt 1": lambda k: Vanilla.random(6, 2, 2, form="rate", gain=2.0, dt=1.0, key=k),
    "rate, sigmoid": lambda k: formed(k, "rate", nonlinearity.sigmoid),
    "rate, erf": lambda k: formed(k, "rate", nonlinearity.erf),
    "current, sigmoid": lambda k: formed(k, "current", nonlinearity.sigmoid),
    "current, relu": lambda k: formed(k, "current", nonlinearity.relu),
}


def formed(key, form, function):
    """A vanilla cell of that nonlinearity (a static field: built, not replaced)."""
    net = Vanilla.random(6, 2, 2, form=form, gain=2.0, key=key)
    weights = (net.recurrent, net.encoder, net.bias, net.readout, net.readout_bias)
    return Vanilla(*weights, form=form, nonlinearity=function)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_keeps_the_promise_of_a_system(name):
    check_system(by_key(VARIANTS[name]))


# ---------------------------------------------------------------- gated cells


def gru_by_hand(net, h, u):
    """PyTorch's nn.GRU: rows r, z, n, the reset after the product."""
    w, m, b, c = net.recurrent, net.encoder, net.bias, net.candidate_bias
    n = len(h)
    r = sigmoid(m[:n] @ u + w[:n] @ h + b[:n])
    z = sigmoid(m[n : 2 * n] @ u + w[n : 2 * n] @ h + b[n : 2 * n])
    if net.reset_after:
        new = np.tanh(m[2 * n :] @ u + b[2 * n :] + r * (w[2 * n :] @ h + c))
    else:
        new = np.tanh(m[2 * n :] @ u + b[2 * n :] + w[2 * n :] @ (r * h) + c)
    return (1 - z) * new + z * h


@pytest.mark.parametrize("after", [True, False])
def test_a_gru_moves_as_written_by_hand(after):
    net = wide(GRU.random(5, 2, 2, reset_after=after, key=jr.key(0)))
    inputs, h = inputs_of(net, 6), np.full(5, 0.3)
    run = walk(net, h, inputs)
    for t, u in enumerate(inputs):
        h = gru_by_hand(net, h, u)
        np.testing.assert_allclose(run.states[t], h, rtol=1e-12)
    np.testing.assert_allclose(run.outputs[-1], net.readout @ h + net.readout_bias, rtol=1e-12)


def test_where_the_reset_stands_is_all_the_same_when_it_is_open():
    before = GRU.random(5, 2, 2, reset_after=False, key=jr.key(0))
    names = ("recurrent", "encoder", "bias", "candidate_bias", "readout", "readout_bias")
    inputs = inputs_of(before, 6)

    def apart(opened):
        """How far the two cells get from each other with `opened` added to the reset's bias."""
        weights = [getattr(before, name) for name in names]
        weights[2] = weights[2] + opened * (jnp.arange(15) < 5)
        pair = (GRU(*weights, reset_after=after) for after in (False, True))
        one, two = (walk(net, np.zeros(5), inputs).states for net in pair)
        return np.abs(one - two).max()

    assert apart(60.0) < 1e-14  # r = 1 to 1e-26
    assert apart(0.0) > 1e-4


def test_a_gru_stays_within_the_cube_however_strong_its_weights():
    net = GRU.random(5, 2, 2, key=jr.key(0))
    net = eqx.tree_at(lambda n: n.recurrent, net, 9 * net.recurrent)
    draw = np.random.default_rng(0)
    x, u = draw.uniform(-1, 1, (500, 5)), draw.normal(size=(500, 2))
    with float64():
        moved = jax.jit(jax.vmap(widen(net).step))(jnp.asarray(x), jnp.asarray(u))
    assert 0.99 < np.abs(moved).max() < 1


def test_the_bound_of_a_gru_holds_and_is_no_larger_than_it_must_be():
    """One unit, where the steepest bend within the radius can be looked up on a grid."""
    draw, radius = np.random.default_rng(0).normal, 0.3
    strength = np.array([[3, 3, 3], [5, 0.01, 1], [0.01, 5, 0.01], [0.01, 0.01, 5]])  # r, z, n
    recurrent = (strength[:, None] * draw(size=(4, 500, 3))).reshape(-1, 3, 1)
    bias, inner, x = (2 * draw(size=(2000, n)) for n in (3, 1, 1))  # x: within the box or not
    bias[:, :2] -= recurrent[:, :2, 0] * x  # gates that are not saturated bend the most

    def ratio(recurrent, bias, inner, x):
        ones, u = jnp.ones((1, 1)), jnp.zeros(1)
        net = GRU(recurrent, jnp.zeros((3, 1)), bias, inner, ones, u)
        slope = lambda shift: net.jacobian(x + shift, u)[0, 0]
        bend = jax.vmap(jax.grad(slope))(jnp.linspace(-radius, radius, 41))
        return net.lipschitz_bound(x, u, radius) / jnp.abs(bend).max()

    with float64():
        ratios = jax.jit(jax.vmap(ratio))(*map(jnp.asarray, (recurrent, bias, inner, x)))
        ratios = np.asarray(ratios).reshape(4, 500)
    assert ratios.min() >= 1
    assert np.all(ratios.min(axis=1) < 2)


@pytest.mark.parametrize("after", [True, False])
def test_a_gate_slows_a_gru_and_moves_no_fixed_point(after):
    """velocity = (1 - z) times the ungated velocity."""
    net = wide(GRU.random(5, 2, 2, reset_after=after, key=jr.key(0)))
    draw = np.random.default_rng(0).normal
    with float64():
        x, u = jnp.asarray(draw(size=5)), jnp.asarray(draw(size=2))
        z = net.gates(x, net.encode(u))[1]
        np.testing.assert_allclose(
            net.velocity(x, u), (1 - z) * net.ungated().velocity(x, u), rtol=1e-12
        )


def test_an_lstm_moves_as_written_by_hand():
    """PyTorch's nn.LSTM: rows i, f, g, o; the state is [h, c]."""
    net = wide(LSTM.random(4, 2, 2, key=jr.key(0)))
    inputs, h, c = inputs_of(net, 6), np.full(4, 0.3), np.full(4, -2.0)
    run = walk(net, np.concatenate([h, c]), inputs)
    for t, u in enumerate(inputs):
        i, f, g, o = np.split(net.recurrent @ h + net.encoder @ u + net.bias, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        np.testing.assert_allclose(run.states[t][net.hidden], h, rtol=1e-12)
        np.testing.assert_allclose(run.states[t][net.memory], c, rtol=1e-12)
    np.testing.assert_allclose(run.outputs[-1], net.readout @ h + net.readout_bias, rtol=1e-12)


@pytest.mark.parametrize("make", [GRU.random, LSTM.random])
def test_gated_weights_start_as_in_pytorch(make):
    net = make(16, 3, 2, key=jr.key(0))
    for weights in jax.tree.leaves(net):
        bound = 1 / 4
        assert np.abs(weights).max() <= bound
    assert np.std(net.recurrent) == pytest.approx(bound / math.sqrt(3), rel=0.1)


# ---------------------------------------------------------------- rate networks


def test_currents_are_the_input_of_the_rates():
    """x = W r + B u + b turns one form into the other at every step of a constant input."""
    rate = Vanilla.random(6, 2, 2, form="rate", gain=1.8, dt=0.3, key=jr.key(0))
    weights = (rate.recurrent, rate.encoder, rate.bias, rate.readout, rate.readout_bias)
    current = Vanilla(*weights, dt=0.3, form="current")
    hold, r = np.array([0.4, -0.2]), np.random.default_rng(0).normal(size=6)
    w, drive = wide(rate).recurrent, wide(rate).encoder @ hold + wide(rate).bias
    held = np.tile(hold, (20, 1))
    rates = walk(rate, r, held).states
    currents = walk(current, w @ r + drive, held).states
    np.testing.assert_allclose(currents, rates @ w.T + drive, rtol=1e-11)


def test_one_step_of_the_rates_at_dt_1_is_nn_rnn():
    net = Vanilla.random(6, 2, 2, form="rate", dt=1.0, key=jr.key(0))
    biases = (jnp.linspace(-1, 1, 6), jnp.ones(2))
    net = wide(eqx.tree_at(lambda n: (n.bias, n.readout_bias), net, biases))
    inputs, h = inputs_of(net, 4), np.zeros(6)
    run = walk(net, h, inputs)
    for t, u in enumerate(inputs):
        h = np.tanh(net.recurrent @ h + net.encoder @ u + net.bias)
        np.testing.assert_allclose(run.states[t], h, rtol=1e-12)
    np.testing.assert_allclose(run.outputs[-1], net.readout @ h + net.readout_bias, rtol=1e-12)


def test_the_outside_reads_rates_in_both_forms():
    for form, seen in (("current", np.tanh), ("rate", lambda x: x)):
        net = Vanilla.random(6, 2, 2, form=form, key=jr.key(0))
        x = jnp.linspace(-2, 2, 6)
        assert np.allclose(net.output(x), net.readout @ seen(x) + net.readout_bias)


@pytest.mark.parametrize("gain", [0.5, 1.5])
def test_gain_is_the_spectral_radius(gain):
    net = Vanilla.random(200, 1, 1, gain=gain, key=jr.key(0))
    radius = np.abs(np.linalg.eigvals(np.asarray(net.recurrent))).max()
    assert radius == pytest.approx(gain, rel=0.1)


@pytest.mark.parametrize("scale", [None, 0.5])
def test_a_low_rank_network_is_a_vanilla_one(scale):
    """With W = s U V^T, B = M and C = s Z^T."""
    low = LowRank.random(8, 2, 2, rank=2, overlap=1.0, key=jr.key(0))
    low = LowRank(low.encoder, low.left, low.right, low.readout, 0.2, scale)
    s = 1 / 8 if scale is None else scale
    start, inputs = np.linspace(-1, 1, 8), inputs_of(low, 12)
    with float64():
        low = widen(low)
        full = Vanilla(
            s * low.left @ low.right.T,
            low.encoder,
            jnp.zeros(8),
            s * low.readout.T,
            jnp.zeros(2),
            dt=0.2,
        )
        one, two = (walk(net, start, inputs) for net in (low, full))
    np.testing.assert_allclose(one.states, two.states, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(one.outputs, two.outputs, rtol=1e-10, atol=1e-12)


def test_overlap_is_the_mean_product_rank_by_rank():
    net = LowRank.random(20_000, 1, 1, rank=2, overlap=1.5, key=jr.key(0))
    products = np.asarray(net.right.T @ net.left) / 20_000
    assert np.allclose(products, [[1.5, 0], [0, 1.5]], atol=5 * 1.5 / math.sqrt(20_000) * 2)


# ---------------------------------------------------------------- the linear network


def test_a_linear_network_goes_where_algebra_says():
    """x* = (I - W)^-1 (B u + b), rates eig(W) - 1, and x(t) - x* = (I + dt (W - I))^t."""
    net = Linear.random(5, 2, 2, gain=0.8, dt=0.2, key=jr.key(0))
    net = wide(eqx.tree_at(lambda n: n.bias, net, jnp.linspace(-1, 1, 5)))
    hold, eye = np.array([1.0, -2.0]), np.eye(5)
    rest = np.linalg.solve(eye - net.recurrent, net.encoder @ hold + net.bias)
    with float64():
        assert np.abs(net.velocity(jnp.asarray(rest), jnp.asarray(hold))).max() < 1e-14
        rates = np.asarray(net.rates(jnp.zeros(5), jnp.zeros(2)))
    expected = np.linalg.eigvals(net.recurrent) - 1
    assert np.allclose(np.sort_complex(rates), np.sort_complex(expected))
    start = np.arange(5.0)
    states = walk(net, start, np.tile(hold, (9, 1))).states
    power = np.linalg.matrix_power(eye + 0.2 * (net.recurrent - eye), 9)
    np.testing.assert_allclose(states[-1] - rest, power @ (start - rest), rtol=1e-11)


# ---------------------------------------------------------------- nonlinearities and starts


@pytest.mark.parametrize("name", nonlinearity.BY_NAME)
def test_what_a_nonlinearity_says_of_itself_is_true(name):
    phi = nonlinearity.BY_NAME[name]
    x = np.linspace(-6, 6, 2001)
    with float64():
        y = np.asarray(phi(jnp.asarray(x)))
        bend = jax.jit(jax.vmap(jax.grad(jax.grad(phi.function))))(jnp.asarray(x))
    assert phi.name == name
    assert np.all((phi.low <= y) & (y <= phi.high))
    for bound in (phi.low, phi.high):
        assert math.isinf(bound) or np.abs(y - bound).min() < 3e-3  # and no wider than needed
    if not math.isnan(phi.curvature):
        assert np.abs(bend).max() == pytest.approx(phi.curvature, rel=1e-4, abs=1e-12)


def test_erf_and_tanh_have_slope_1_at_0():
    for phi in (nonlinearity.erf, nonlinearity.tanh):
        assert jax.grad(phi.function)(0.0) == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("cell", [GRU, LSTM, Vanilla])
def test_a_trained_start_is_where_a_rollout_begins(cell):
    net = cell.random(4, 2, 2, key=jr.key(0))
    assert np.all(net.initial == 0)
    start = jnp.arange(1.0, 1.0 + net.state_size)
    net = eqx.tree_at(lambda n: n.initial_state, net, start, is_leaf=lambda x: x is None)
    assert np.array_equal(net.initial, start)
