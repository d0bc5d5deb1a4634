"""Do scalar products learn as the columns do, rule by rule?

The reference is optax on the columns themselves, their gradient by autodiff; no network here.
"""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from hypothesis import given, settings, strategies as st

from slowpoint.core.precision import float64
from slowpoint.theory.congruence import (
    carry,
    descend_columns,
    Flow,
    gradient_norm,
    GradientDescent,
    HeavyBall,
    Nesterov,
    NormalisedDescent,
)

SEEDS = st.integers(0, 2**31)
STEPS, RATE, CLIP = 30, 0.05, 0.5


def wish(size, seed=0):
    """What the scalar products should be, some more than others; no network may have them."""
    generator = np.random.default_rng(seed)
    want, stress = generator.normal(size=(2, size, size))
    return want + want.T, np.abs(stress + stress.T)


def loss_of(gram, size, key=None):
    """A loss of scalar products; with a key, its target is drawn."""
    want, stress = wish(size)
    noise = 0.0 if key is None else jr.normal(key, (size, size), float)
    return jnp.sum(stress * (jnp.tanh(gram) - want - noise) ** 2) / 10


def direction(gram, key):
    """`(loss, W)`, the gradient of the columns P being P W in a scale of 1/N."""
    value, slope = jax.value_and_grad(loss_of)(gram, len(gram), key)
    return value, slope + slope.T


def follow(rule, columns, steps=STEPS, every=1, key=None, rate=RATE):
    """`(losses, grams, factors)` of the theory."""
    with float64():
        first = jnp.asarray(columns.T @ columns / len(columns))
        run = jax.jit(
            lambda first: descend_columns(direction, first, rule, rate, steps, every, key)
        )
        return [np.asarray(found) for found in run(first)]


def descend(optimiser, columns, rates=1.0, key=None):
    """`(losses, columns)`, trained themselves: N times the gradient, a rate for each."""

    def loss(columns, key):
        return loss_of(columns.T @ columns / len(columns), columns.shape[1], key)

    def tick(carried, step):
        columns, state = carried
        drawn = None if key is None else jr.fold_in(key, step)
        value, slope = jax.value_and_grad(loss)(columns, drawn)
        free = jnp.broadcast_to(jnp.asarray(rates), columns.shape[1:])[None]
        update, state = optimiser.update(len(columns) * slope * (free != 0), state, columns)
        columns = optax.apply_updates(columns, update * free)
        return (columns, state), (value, columns)

    with float64():
        columns = jnp.asarray(columns)
        start = (columns, optimiser.init(columns))
        _, (losses, path) = jax.jit(lambda s: jax.lax.scan(tick, s, jnp.arange(STEPS)))(start)
        return np.asarray(losses), np.concatenate([columns[None], np.asarray(path)])


def unit_columns(updates, state, columns):
    """optax's part of `NormalisedDescent`: each column of length sqrt(N)."""
    length = jnp.linalg.norm(updates, axis=0, keepdims=True) / len(updates) ** 0.5
    return updates / length, state


UNIT = optax.GradientTransformation(lambda columns: optax.EmptyState(), unit_columns)
SGD = optax.sgd(RATE)
FREE = np.array([1.0, 0.0, 0.3, 2.0, 0.0])


def clip(norm, units):
    return optax.clip_by_global_norm(norm * units**0.5)


def clip_with_slack(norm, slack, units):
    """As PyTorch clips, whose slack is 1e-6; here it is large enough to be seen."""

    def update(updates, state, params=None):
        length = jnp.linalg.norm(updates) / units**0.5
        return updates * jnp.minimum(1.0, norm / (length + slack)), state

    return optax.GradientTransformation(lambda columns: optax.EmptyState(), update)


CASES = {  # rule, optimiser for that many units, relative rates, units
    "gradient descent": (GradientDescent(), lambda n: SGD, 1.0, 5),
    "heavy ball": (HeavyBall(), lambda n: optax.sgd(RATE, 0.9), 1.0, 40),
    "Nesterov": (Nesterov(momentum=0.8), lambda n: optax.sgd(RATE, 0.8, True), 1.0, 9),
    "decay": (
        GradientDescent(decay=0.3),
        lambda n: optax.chain(optax.add_decayed_weights(0.3), SGD),
        1.0,
        7,
    ),
    "clip": (GradientDescent(clip=CLIP), lambda n: optax.chain(clip(CLIP, n), SGD), 1.0, 300),
    "slack": (
        GradientDescent(clip=CLIP, slack=0.3),
        lambda n: optax.chain(clip_with_slack(CLIP, 0.3, n), SGD),
        1.0,
        300,
    ),
    "rates": (GradientDescent(rates=FREE), lambda n: SGD, FREE, 3),
    "normalised": (NormalisedDescent(), lambda n: optax.chain(UNIT, SGD), 1.0, 11),
    "all": (
        Nesterov(rates=FREE, decay=0.1, clip=0.7),
        lambda n: optax.chain(
            clip(0.7, n), optax.add_decayed_weights(0.1), optax.sgd(RATE, 0.9, True)
        ),
        FREE,
        20,
    ),
    "normalised, all": (
        NormalisedDescent(rates=FREE, decay=0.1, clip=0.7),
        lambda n: optax.chain(clip(0.7, n), optax.add_decayed_weights(0.1), UNIT, SGD),
        FREE,
        20,
    ),
}


NOISY = "heavy ball", "clip", "normalised"


@pytest.mark.parametrize("name", CASES)
def test_scalar_products_learn_as_columns_do(name):
    """Some with a loss that draws at every step."""
    rule, optimiser, rates, units = CASES[name]
    columns = np.random.default_rng(1).normal(size=(units, 5))
    key = jr.key(0) if name in NOISY else None
    losses, grams, factors = follow(rule, columns, key=key)
    known, path = descend(optimiser(units), columns, rates, key=key)
    scale = np.abs(path).max()
    assert np.abs(columns @ factors - path).max() < 1e-12 * scale  # weight by weight
    products = np.swapaxes(path, 1, 2) @ path / units
    assert np.abs(grams - products).max() < 1e-12 * np.abs(products).max()
    assert np.abs(losses[:-1] - known).max() < 1e-12 * known.max()
    assert np.abs(path[-1] - path[0]).max() > 0.1 * scale  # it did learn
    if rates is FREE:
        check_frozen(grams, factors)


def test_the_clip_of_the_test_bites_and_lets_go():
    """Otherwise the comparison with optax would say nothing of it."""
    _, path = descend(SGD, np.random.default_rng(1).normal(size=(300, 5)), key=jr.key(0))
    with float64():
        grams = jnp.asarray(np.swapaxes(path, 1, 2) @ path / 300)
        norm = lambda gram: gradient_norm(gram, direction(gram, None)[1])
        norms = np.asarray(jax.jit(jax.vmap(norm))(grams))
    assert norms.min() < CLIP < norms.max()


def test_records_come_when_asked():
    columns = np.random.default_rng(2).normal(size=(6, 4))
    losses, grams, factors = follow(HeavyBall(), columns)
    few, some, parts = follow(HeavyBall(), columns, every=10)
    assert np.allclose(few, losses, rtol=1e-13)
    assert losses.shape == (STEPS + 1,)
    assert np.allclose(some, grams[::10], rtol=1e-13)
    assert np.allclose(parts, factors[::10], rtol=1e-13)
    assert np.array_equal(factors[0], np.eye(4))


# ---------------------------------------------------------------- what holds for any gradient


@given(SEEDS, st.sampled_from([1, 2, 5]), st.floats(0, 1e3))
@settings(max_examples=50, deadline=None)
def test_a_step_leaves_a_gram_matrix(seed, size, rate):
    """Symmetric to the bit, semidefinite to rounding, for any gradient and rate."""
    generator = np.random.default_rng(seed)
    root = generator.normal(size=(size, generator.integers(1, size + 1)))
    slope = generator.normal(size=(size, size))
    with float64():
        gram, mixing = jnp.asarray(root @ root.T), np.eye(size) - rate * (slope + slope.T)
        carried = np.asarray(carry(gram, jnp.asarray(mixing)))
    assert np.array_equal(carried, carried.T)
    values = np.linalg.eigvalsh(carried)
    assert values[0] >= -1e-12 * max(values[-1], 1e-300)


@given(SEEDS, st.sampled_from([1, 4]), st.integers(1, 40))
@settings(max_examples=10, deadline=None)
def test_the_norm_is_that_of_the_gradient(seed, size, units):
    generator = np.random.default_rng(seed)
    columns, slope = generator.normal(size=(units, size)), generator.normal(size=(size, size))
    with float64():
        norm = float(gradient_norm(jnp.asarray(columns.T @ columns), jnp.asarray(slope)))
    assert norm == pytest.approx(np.linalg.norm(columns @ slope), rel=1e-12)


def check_frozen(grams, factors):
    """To the bit: their own products, and those with other frozen ones. The others do move."""
    frozen = np.flatnonzero(FREE == 0)
    block = grams[:, frozen[:, None], frozen]
    assert np.array_equal(block, np.broadcast_to(grams[0][np.ix_(frozen, frozen)], block.shape))
    assert np.array_equal(factors[-1][:, frozen], np.eye(5)[:, frozen])
    moved = np.abs(grams[-1] - grams[0])
    moved[np.ix_(frozen, frozen)] = 1.0
    assert moved.min() > 1e-6


def test_clipping_does_not_count_what_is_frozen():
    """A huge gradient of a frozen column must not slow the rest."""
    columns = np.random.default_rng(4).normal(size=(8, 5))
    rates = np.array([0.0, 1.0, 1.0, 1.0, 1.0])
    alone = lambda gram, key: (jnp.zeros(()), jnp.diag(jnp.array([1e6, 0.1, 0.1, 0.1, 0.1])))
    with float64():
        first = jnp.asarray(columns.T @ columns / 8)
        rule = GradientDescent(rates=rates, clip=1.0)
        _, _, factors = descend_columns(alone, first, rule, 1.0, 1, 1, None)
    assert np.allclose(np.diag(factors[-1]), [1, 0.9, 0.9, 0.9, 0.9])


def test_a_column_without_gradient_is_not_normalised():
    columns = np.random.default_rng(5).normal(size=(6, 3))
    flat = lambda gram, key: (jnp.zeros(()), jnp.diag(jnp.array([2.0, 0.0, 0.0])))
    with float64():
        first = jnp.asarray(columns.T @ columns / 6)
        _, _, factors = descend_columns(flat, first, NormalisedDescent(), 0.1, 2, 1, None)
    assert np.isfinite(factors).all()
    assert np.array_equal(factors[-1][:, 1:], np.eye(3)[:, 1:])
    length = float(first[0, 0]) ** 0.5
    assert factors[-1][0, 0] == pytest.approx(1 - 2 * 0.1 / length)


# ---------------------------------------------------------------- the flow


def runge_kutta(gram, relative, time, steps):
    r"""$\dot\Sigma = -(D W \Sigma + \Sigma W D)$ on Sigma itself, by the fourth order."""

    def velocity(gram):
        half = gram @ direction(gram, None)[1] * relative[None]
        return -(half + half.T)

    def tick(gram, _):
        h = time / steps
        a = velocity(gram)
        b = velocity(gram + h / 2 * a)
        c = velocity(gram + h / 2 * b)
        d = velocity(gram + h * c)
        return gram + h / 6 * (a + 2 * b + 2 * c + d), None

    return jax.jit(lambda gram: jax.lax.scan(tick, gram, length=steps)[0])(gram)


@pytest.fixture(scope="module")
def flow():
    """`(time per record, losses, grams, factors)` of a flow through 1.5."""
    columns = np.random.default_rng(6).normal(size=(5, 5))
    return 1e-3, *follow(Flow(), columns, rate=1e-3, steps=1500)


def test_the_flow_is_the_equation_of_sigma(flow):
    _, _, grams, factors = flow
    with float64():
        known = np.asarray(runge_kutta(jnp.asarray(grams[0]), jnp.ones(5), 1.5, 3000))
    assert np.abs(grams[-1] - known).max() < 1e-8 * np.abs(known).max()
    assert np.abs(known - grams[0]).max() > 0.1
    products = np.swapaxes(factors, 1, 2) @ grams[0] @ factors
    assert np.allclose(products, grams, rtol=1e-12)


def test_so_it_is_with_rates_of_its_own():
    _, grams, factors = follow(Flow(rates=FREE), np.random.default_rng(6).normal(size=(5, 5)))
    with float64():
        known = np.asarray(runge_kutta(jnp.asarray(grams[0]), jnp.asarray(FREE), 1.5, 3000))
    assert np.abs(grams[-1] - known).max() < 1e-8 * np.abs(known).max()
    check_frozen(grams, factors)


def test_the_loss_of_a_flow_falls_as_its_gradient_says(flow):
    """d loss / ds = -|N grad|^2 / N = -tr W' Sigma W, W = 2 S."""
    time, losses, grams, _ = flow
    assert (np.diff(losses) <= 0).all()
    with float64():
        middle = jnp.asarray(grams[200])
        norm = float(gradient_norm(middle, direction(middle, None)[1]))
    assert (losses[201] - losses[199]) / (2 * time) == pytest.approx(-(norm**2), rel=1e-4)


def test_small_steps_approach_the_flow_to_first_order(flow):
    columns, gaps = np.random.default_rng(6).normal(size=(5, 5)), []
    for steps in (300, 600):
        how = {"steps": steps, "every": steps, "rate": 1.5 / steps}
        gaps.append(
            np.linalg.norm(follow(GradientDescent(), columns, **how)[1][-1] - flow[2][-1])
        )
    assert gaps[0] / gaps[1] == pytest.approx(2, abs=0.1)


def test_a_flow_that_takes_too_many_steps_is_infinite():
    columns = np.random.default_rng(9).normal(size=(9, 4))
    losses, grams, _ = follow(Flow(max_steps=4), columns)
    assert np.isfinite(grams[0]).all()
    assert not np.isfinite(grams[-1]).any()
    assert not np.isfinite(losses[-1])


# ---------------------------------------------------------------- misuse


@pytest.mark.parametrize(
    "rates", [np.array([1.0, -0.5]), jnp.array([-1.0, 1.0])], ids=["numpy", "jax"]
)
@pytest.mark.parametrize("rule", [GradientDescent, Nesterov, Flow, NormalisedDescent])
def test_negative_rates_are_refused(rule, rates):
    with pytest.raises(ValueError, match=r"rates=.*give each column 0 \(frozen\) or more"):
        rule(rates=rates)


@pytest.mark.parametrize("rule", [GradientDescent(rates=FREE), Flow(rates=FREE)])
def test_a_rate_for_each_column(rule):
    with pytest.raises(ValueError, match=r"5 rates for 3 columns\. Give 3"):
        follow(rule, np.ones((4, 3)))


def test_a_negative_clip_is_refused():
    with pytest.raises(ValueError, match=r"clip=-1\.0"):
        GradientDescent(clip=-1.0)
