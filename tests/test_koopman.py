"""Is the Koopman equation the one on paper, for flows and for maps?"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from hypothesis import given, settings, strategies as st

from slowpoint.analysis.field import values
from slowpoint.analysis.koopman import (
    Absolute,
    AllPairs,
    balance,
    Deviations,
    Equation,
    Permuted,
    ratio_loss,
    residual,
)
from slowpoint.analysis.koopman_fit import (
    Anchors,
    fit_koopman,
    KoopmanLoss,
    levenberg_marquardt,
    Recipe,
)
from slowpoint.analysis.koopman_net import KoopmanNet
from slowpoint.analysis.samplers import (
    anisotropic,
    Beta,
    Correlated,
    Gamma,
    Gaussian,
    Uniform,
)
from slowpoint.core.precision import float64, widen
from slowpoint.core.system import Flow, Map
from slowpoint.core.wrap import Sampled
from slowpoint.worlds.bistable import Bistable
from slowpoint.worlds.duffing import Duffing

NONE = np.zeros(0)
RATE = (5**0.5 - 1) / 2  # of Duffing's saddle
NORMALISERS = [Permuted(), AllPairs(), Deviations()]


class Diagonal(Flow):
    """x_i' = rate_i x_i."""

    growth: jax.Array
    dt: float = eqx.field(static=True, default=0.05)
    state_size: int = eqx.field(static=True, default=2)
    input_size: int = eqx.field(static=True, default=0)
    output_size: int = eqx.field(static=True, default=2)

    def velocity(self, x, u):
        return self.growth * x

    def output(self, x):
        return x


class Doubling(Map):
    """x -> 2 x every half unit of time: rate 2 log 2."""

    dt: float = eqx.field(static=True, default=0.5)
    state_size: int = eqx.field(static=True, default=1)
    input_size: int = eqx.field(static=True, default=0)
    output_size: int = eqx.field(static=True, default=1)

    def step(self, x, u):
        return 2 * x

    def output(self, x):
        return x


def cloud(count, size=2, seed=0, reach=2.0):
    return np.random.default_rng(seed).uniform(-reach, reach, (count, size))


def residuals(psi, equation, states):
    with float64():
        return np.asarray(jax.vmap(lambda x: residual(psi, equation, x))(jnp.asarray(states)))


def smooth(x):
    """Nobody's eigenfunction."""
    return jnp.tanh(x[0] + 0.3 * x[1]) + 0.1 * jnp.cos(x[1] - x[0])


# ---------------------------------------------------------------- the equation


@pytest.mark.parametrize("axis", [0, 2])
def test_a_coordinate_solves_the_squashed_equation_of_a_double_well(axis):
    equation = Equation(Bistable(size=3, axis=axis), NONE, 1.0, squashed=True)
    states = cloud(50, 3)
    assert np.abs(residuals(lambda x: x[axis], equation, states)).max() < 1e-12
    assert np.abs(residuals(lambda x: x[1], equation, states)).max() > 0.1


def test_its_unsquashed_form_solves_the_linear_one():
    equation = Equation(Bistable(), NONE, 1.0)
    unsquashed = lambda x: x[0] / jnp.sqrt(jnp.abs(1 - x[0] ** 2))
    assert np.abs(residuals(unsquashed, equation, cloud(50))).max() < 1e-10


def test_sides_are_the_derivative_along_the_flow_over_the_rate_and_the_growth_due():
    equation = Equation(Duffing(), NONE, RATE)
    with float64():
        for x in jnp.asarray(cloud(5)):
            slope, f = jax.grad(smooth)(x), Duffing().velocity(x, NONE)
            a, b = equation.sides(smooth, x)
            assert a == pytest.approx(float(slope @ f) / RATE, abs=1e-12)
            assert b == pytest.approx(float(smooth(x)), abs=1e-12)


@pytest.mark.parametrize("squashed", [False, True])
def test_a_map_has_an_eigenfunction_of_its_own(squashed):
    equation = Equation(Doubling(), NONE, 2 * np.log(2), squashed=squashed)
    psi = lambda x: x[0] / jnp.sqrt(1 + x[0] ** 2) if squashed else x[0]
    assert np.abs(residuals(psi, equation, cloud(20, 1))).max() < 1e-14


@pytest.mark.parametrize("squashed", [False, True])
def test_fine_steps_have_the_equation_of_the_flow(squashed):
    states = cloud(20)
    flow = residuals(smooth, Equation(Duffing(), NONE, RATE, squashed=squashed), states)
    apart = []
    for dt in (1e-3, 1e-4):
        equation = Equation(Sampled(Duffing(dt=dt)), NONE, RATE, squashed=squashed)
        apart.append(np.abs(residuals(smooth, equation, states) - flow).max())
    assert apart[1] < 1e-2
    assert apart[0] / apart[1] == pytest.approx(10, rel=0.1)  # of first order


def test_values_keep_every_digit():
    states = cloud(7)
    assert np.array_equal(values(lambda x: x[0] * x[1], states), states[:, 0] * states[:, 1])


# ---------------------------------------------------------------- the loss


@settings(max_examples=10, deadline=None)
@given(st.floats(-6, 6), st.sampled_from(range(3)), st.booleans())
def test_the_linear_loss_does_not_see_the_scale_of_psi(power, index, negative):
    scale = (-1 if negative else 1) * 10.0**power
    equation = Equation(Duffing(), NONE, RATE)
    with float64():
        loss = lambda c: ratio_loss(
            lambda x: c * smooth(x), equation, cloud(40), NORMALISERS[index], jr.key(0)
        )
        assert float(loss(scale)) == pytest.approx(float(loss(1.0)), rel=1e-9)


@pytest.mark.parametrize("normaliser", NORMALISERS, ids=lambda n: type(n).__name__)
def test_the_gradient_goes_through_both_parts_of_the_ratio(normaliser):
    """Else the loss could be lowered by the scale of psi alone."""
    equation = Equation(Duffing(), NONE, RATE)
    with float64():
        slope = jax.grad(
            lambda c: ratio_loss(
                lambda x: c * smooth(x), equation, cloud(40), normaliser, jr.key(0)
            )
        )(1.0)
        assert abs(float(slope)) < 1e-12


def test_a_function_that_knows_nothing_has_loss_one():
    """A wave much shorter than the flow's scale, along directions that are drawn."""
    equation, losses = Equation(Duffing(), NONE, RATE), []
    for wave in 30 * np.random.default_rng(1).normal(size=(10, 2)):
        psi = lambda x, wave=wave: jnp.sin(wave @ x)
        losses.append(float(ratio_loss(psi, equation, cloud(2000))))
    assert np.mean(losses) == pytest.approx(1, abs=0.01)


@given(st.integers(2, 6), st.integers(0, 100))
@settings(max_examples=10, deadline=None)
def test_all_pairs_is_the_mean_over_cyclic_orders(count, seed):
    with float64():
        a, b = jnp.asarray(np.random.default_rng(seed).normal(size=(2, count)))
        shifted = [((a - jnp.roll(b, shift)) ** 2).mean() for shift in range(count)]
        found = float(AllPairs()(a, b, None))
    assert found == pytest.approx(float(np.mean(shifted)), rel=1e-12)


def test_permuted_is_one_of_the_orders():
    a, b = jnp.array([1.0, 2.0]), jnp.array([0.0, 5.0])
    found = {round(float(Permuted()(a, b, jr.key(i))), 4) for i in range(8)}
    assert found == {5.0, 10.0}


def test_the_other_normalisers_are_what_they_say():
    a, b = jnp.array([1.0, 3.0]), jnp.array([0.0, 5.0])
    assert float(Deviations()(a, b, None)) == pytest.approx(2.5)
    assert float(Absolute()(a, b, None)) == 1


def test_balance_is_large_for_one_sign():
    assert float(balance(jnp.array([1.0, -1.0]))) == 0
    assert float(balance(jnp.array([2.0, 4.0]))) == pytest.approx(3)
    assert float(balance(jnp.array([[2.0, -1.0], [4.0, 1.0]]))) == pytest.approx(1.5)


# ---------------------------------------------------------------- misuse


@pytest.mark.parametrize("rate", [0.0, -1.0, np.nan, np.inf])
def test_a_rate_that_does_not_grow_is_refused(rate):
    with pytest.raises(ValueError, match="rate > 0"):
        Equation(Duffing(), NONE, rate)


def test_misuse_is_answered_in_sentences():
    equation = Equation(Duffing(), NONE, RATE)
    with pytest.raises(ValueError, match=r"takes 0 inputs.*zeros\(0\)"):
        Equation(Duffing(), np.zeros(1), RATE)
    with pytest.raises(ValueError, match="has 2 numbers"):
        ratio_loss(smooth, equation, cloud(5, 3))
    with pytest.raises(ValueError, match="1 of 5 states are not finite"):
        ratio_loss(smooth, equation, np.where(np.arange(10).reshape(5, 2) == 3, np.nan, 1.0))
    with pytest.raises(ValueError, match="needs a key"):
        ratio_loss(smooth, equation, cloud(5), Permuted())
    with pytest.raises(ValueError, match="variance > 0"):
        Gaussian([0.0], 0.0)
    with pytest.raises(ValueError, match="low < high"):
        Uniform([0.0], [0.0])


# ---------------------------------------------------------------- samplers


def test_s_multiplies_the_covariance():
    drawn = np.asarray(Gaussian([1.0, -2.0], 0.25).draw(jr.key(0), 20_000))
    assert drawn.std(axis=0) == pytest.approx([0.5, 0.5], rel=0.03)
    assert drawn.mean(axis=0) == pytest.approx([1, -2], abs=0.02)


def test_uniform_fills_its_box():
    drawn = np.asarray(Uniform([0, -1], [1, 3]).draw(jr.key(0), 5000))
    assert drawn.min(axis=0) == pytest.approx([0, -1], abs=0.01)
    assert drawn.max(axis=0) == pytest.approx([1, 3], abs=0.01)


@pytest.mark.slow
def test_gamma_and_beta_have_the_mode_that_is_asked():
    gamma = Gamma([0.5, 0.0, 2.0], [0.3, 0.2, 0.0]).draw(jr.key(0), 40_000)
    beta = Beta([0, 0], [1, 2], [0.3, 1.5], 8.0).draw(jr.key(1), 40_000)
    gamma, beta = np.asarray(gamma), np.asarray(beta)
    assert gamma.std(axis=0) == pytest.approx([0.3, 0.2, 0], rel=0.03, abs=1e-6)
    assert (gamma[:, 2] == 2).all()
    assert (gamma >= 0).all()
    mean, spread = gamma.mean(axis=0)[:2], gamma.var(axis=0)[:2]
    assert mean - spread / mean == pytest.approx([0.5, 0], abs=0.01)
    mean, spread = (beta / [1, 2]).mean(axis=0), (beta / [1, 2]).var(axis=0)
    total = mean * (1 - mean) / spread - 1  # of the two shapes: 2 + concentration
    assert total == pytest.approx([10, 10], rel=0.03)
    assert (mean * total - 1) / (total - 2) == pytest.approx([0.3, 0.75], abs=0.01)
    assert beta.max(axis=0)[1] > 1.8
    assert (beta <= [1, 2]).all()


@pytest.mark.parametrize("discrete", [False, True])
def test_anisotropic_samples_are_stretched_by_the_flow(discrete):
    """Of a linear flow, on paper: every deviation times e^(rate time)."""
    growth, time = jnp.array([1.0, -2.0]), 0.2
    system = Sampled(Diagonal(growth, dt=0.1)) if discrete else Diagonal(growth)
    gains = np.array([1.1, 0.8]) ** 2 if discrete else np.exp(time * np.array([1, -2]))
    options = {"time": time, "count": 50_000, "key": jr.key(0)}
    found = anisotropic(system, NONE, np.ones(2), np.array([0.0, 0.8]), 0.1, **options)
    drawn = np.asarray(found.draw(jr.key(1), 50_000))
    assert drawn.std(axis=0) == pytest.approx(gains * [0.1, 0.8], rel=0.02)
    assert drawn.mean(axis=0) == pytest.approx(gains, abs=0.02)


# ---------------------------------------------------------------- networks and fits

ANCHORS = Anchors(np.array([[-1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]), np.array([-1.0, 1.0, 0.0]))


def test_the_network_is_the_one_of_the_paper():
    net = KoopmanNet.random(2, 5, 3, centre=(1.0, 2.0), factor=0.5, key=jr.key(0))
    x = jnp.array([0.3, -0.7])
    h = net.enter.weight @ ((x - jnp.array([1.0, 2.0])) * 0.5) + net.enter.bias
    for weight, bias in zip(net.blocks.weight, net.blocks.bias):
        h = h + jnp.tanh(weight @ h + bias)
    out = (net.leave.weight @ h + net.leave.bias)[0] / 5**0.5
    assert float(net(x)) == pytest.approx(float(out), rel=1e-5)
    slope = jax.grad(lambda net: net(x))(net)
    assert all(np.abs(a).max() > 0 for a in jax.tree.leaves(slope))
    many = KoopmanNet.random(2, 5, 3, outputs=3, key=jr.key(0))
    assert many(x).shape == (3,)
    with pytest.raises(ValueError, match="centre has 1"):
        KoopmanNet.random(2, 5, 3, centre=(1.0,), key=jr.key(0))


@pytest.mark.slow
def test_descent_teaches_an_ensemble():
    equation = Equation(Bistable(), NONE, 1.0)
    samplers = [Gaussian([0.0, 0.0], 0.02), Uniform([-0.5, -0.5], [0.5, 0.5])]
    recipe = Recipe(batch=64, optimiser=optax.adam(1e-2))
    make = lambda key: KoopmanNet.random(2, 8, 2, key=key)
    nets = eqx.filter_vmap(make)(jr.split(jr.key(1), 2))
    keys = jr.split(jr.key(2), 2)
    found = fit_koopman(nets, equation, samplers, updates=200, key=keys, recipe=recipe)
    assert found.losses.shape == (2, 200)
    for index in range(2):
        psi = found.replicate(index).system
        states = cloud(500, reach=0.5)  # far from the poles at 1 and -1
        assert float(ratio_loss(psi, equation, states)) < 0.1
        x, y = np.abs(jax.grad(psi)(jnp.zeros(2)))
        assert x > 5 * y  # the left eigenvector at the saddle


def test_the_loss_of_a_fit_is_the_sum_over_its_distributions():
    """Each in its own place: exact for Absolute and one state drawn again and again."""
    points = np.array([[0.3, 0.1], [-0.5, 0.4]])
    samplers = tuple(Correlated(point, np.zeros((2, 2))) for point in points)
    equation = Equation(Duffing(), NONE, RATE)
    with float64():
        loss = KoopmanLoss(equation, widen(samplers), Absolute(), 0.0, ANCHORS, 3)
        found = float(loss(smooth, jr.key(0)))
        lacks = [residual(smooth, equation, jnp.asarray(point)) for point in points]
        missed = [smooth(x) - v for x, v in zip(jnp.asarray(ANCHORS.states), ANCHORS.values)]
        expected = sum(float(one) ** 2 for one in lacks + missed)
    assert found == pytest.approx(expected, rel=1e-6)


def test_least_squares_finds_the_double_well():
    """Its zero set: the scale of the unsquashed psi is free, and so is a factor h(psi y)."""
    net = eqx.nn.MLP(2, "scalar", 10, 2, jnp.tanh, key=jr.key(0))
    equation = Equation(Bistable(), NONE, 1.0, squashed=True)
    found = levenberg_marquardt(net, equation, cloud(300, reach=1.5), ANCHORS, steps=60)
    assert found.residual < 3e-3
    assert np.abs(found.errors).max() < 3e-3
    line = np.linspace(-1.2, 1.2, 13)
    assert np.abs(values(found.net, np.stack([0 * line, line], axis=1))).max() < 0.01
    assert np.abs(values(found.net, np.stack([line, 0 * line], axis=1)))[[2, 10]].min() > 0.5
    assert found.net.layers[0].weight.dtype == np.float64
    lack = residuals(found.net, equation, cloud(300, reach=1.5))
    assert np.sqrt((lack**2).mean()) == pytest.approx(found.residual, rel=1e-6)


def test_least_squares_of_a_line_takes_it_to_rounding():
    """A linear net in a linear system: the eigenvector, scaled by its anchor."""
    net = eqx.nn.Linear(2, "scalar", use_bias=False, key=jr.key(0))
    equation = Equation(Diagonal(jnp.array([0.5, -1.0])), NONE, 0.5)
    anchor = Anchors(np.array([[2.0, 1.0]]), np.array([1.0]), 4.0)
    found = levenberg_marquardt(net, equation, cloud(20), anchor)
    assert found.converged
    assert np.asarray(found.net.weight).ravel() == pytest.approx([0.5, 0], abs=1e-8)
    assert found.steps < 20


def test_misuse_of_a_fit_is_answered_in_sentences():
    equation = Equation(Duffing(), NONE, RATE)
    net = KoopmanNet.random(2, 40, 2, key=jr.key(0))
    with pytest.raises(ValueError, match="3441 parameters"):
        levenberg_marquardt(net, equation, cloud(5), ANCHORS)
    with pytest.raises(ValueError, match="No distribution"):
        fit_koopman(net, equation, [], updates=1, key=jr.key(0))
    with pytest.raises(ValueError, match="has 2 numbers"):
        fit_koopman(net, equation, [Gaussian([0.0], 1.0)], updates=1, key=jr.key(0))
    with pytest.raises(ValueError, match="Give anchors"):
        Recipe(normaliser=Absolute())
    with pytest.raises(ValueError, match="2 states or more"):
        Recipe(batch=1)
