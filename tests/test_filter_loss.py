"""Is the error over all time that of the network, in value and slope, and does it know when?"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from slowpoint.core.precision import float64
from slowpoint.core.rollout import rollout
from slowpoint.theory.filter_loss import (
    exponential,
    exponential_loss,
    filter_loss,
    FilterLoss,
    oscillation,
    Target,
)
from slowpoint.theory.latent import Latent
from slowpoint.theory.overlap_learning import learn
from slowpoint.theory.overlaps import Dims, matrix, rank_one

number = st.floats(-2, 2)


@jax.jit
def both(sigma, rate, size):
    """`(value, slope)` of the closed form, then of Lyapunov's equation."""
    target = Target(-rate[None, None], jnp.ones((1, 1)), size[None, None])
    closed = jax.value_and_grad(exponential_loss)(sigma, rate, size)
    return closed, jax.value_and_grad(lambda s: FilterLoss(target)(s, None))(sigma)


@given(number, number, number, st.floats(-1.5, 0.9), st.floats(0.1, 2), number)
@settings(max_examples=60, deadline=None)
def test_the_closed_form_is_lyapunovs(zm, zu, vm, vu, rate, size):
    with float64():
        sigma = jnp.asarray(rank_one(zm=zm, zu=zu, vm=vm, vu=vu), float)
        numbers = jnp.asarray(rate), jnp.asarray(size)
        (one, its_slope), (other, slope) = jax.tree.map(np.asarray, both(sigma, *numbers))
    left = 1 - vu
    scale = zm**2 + (zu * vm / left) ** 2 + size**2 / rate  # of the terms that may cancel
    assert abs(one - other) < 1e-12 * scale + 1e-300
    # near cancelling terms of a slope are as large as those of the loss, over what moves it
    assert np.abs(its_slope - slope).max() < 1e-11 * (1 + scale) / left**2


@pytest.mark.parametrize("vu", [0.6, -0.4])
def test_the_closed_form_is_that_of_two_modes(vu):
    """alpha and b of the response alpha exp(-t) + b exp(-lambda t), by hand."""
    zm, zu, vm, a, c = 0.7, 0.5, -0.8, 1.3, 0.4
    b = zu * vm / vu
    alpha, decay = zm - b, 1 - vu
    known = alpha**2 / 2 + b**2 / (2 * decay) + a**2 / (2 * c) + 2 * alpha * b / (1 + decay)
    known -= 2 * alpha * a / (1 + c) + 2 * b * a / (decay + c)
    sigma = rank_one(zm=zm, zu=zu, vm=vm, vu=vu)
    assert exponential_loss(sigma, c, a) == pytest.approx(known, rel=1e-14)
    assert filter_loss(sigma, exponential(c, a)) == pytest.approx(known, rel=1e-14)


def test_no_recurrence_is_no_exception():
    sigma = rank_one(zm=0.7, zu=0.5, vm=0.3)  # vu = 0: response zm exp(-t) + zu vm t exp(-t)
    w = 0.15
    known = 0.7**2 / 2 + w**2 / 4 + 2 * 0.7 * w / 4 + 1 / 0.4
    known -= 2 * (0.7 / 1.2 + w / 1.2**2)
    assert exponential_loss(sigma, 0.2) == pytest.approx(known, rel=1e-14)
    assert filter_loss(sigma, exponential(0.2)) == pytest.approx(known, rel=1e-14)


def mixed():
    """Two inputs, two outputs, rank 2; a target of three modes, two of which turn."""
    dims = Dims(2, 2, 2)
    columns = 0.8 * np.random.default_rng(4).normal(size=(30, dims.size))
    flow = np.array([[-0.5, -1.5, 0.0], [1.5, -0.5, 0.3], [0.0, 0.0, -0.8]])
    generator = np.random.default_rng(1)
    target = Target(flow, generator.normal(size=(3, 2)), generator.normal(size=(2, 3)))
    return dims, columns.T @ columns / 30, target


@eqx.filter_jit
def euler(sigma, target, dims, dt, end=30.0):
    """The error by Euler steps of network and target, an impulse into each input in turn."""
    steps = round(end / dt)
    beside = jnp.eye(len(target.flow)) + dt * target.flow

    def answers(channel):
        impulse = jnp.zeros((steps, dims.inputs)).at[0, channel].set(1 / dt)
        outputs = rollout(Latent(sigma, dims, dt=dt), np.zeros(0), impulse).outputs
        start = jnp.asarray(target.push)[:, channel]
        modes = jax.lax.scan(lambda q, _: (beside @ q, q), start, length=steps)[1]
        return outputs - modes @ target.read.T

    return sum(dt * (answers(i) ** 2).sum() for i in range(dims.inputs))


CASES = {
    "rank 1": (Dims(), rank_one(zm=0.3, zu=0.4, vm=0.4, vu=0.6), exponential(0.4)),
    "no recurrence": (Dims(), rank_one(zm=0.3, zu=0.4, vm=0.4), exponential(0.4, 2.0)),
    "mixed": mixed(),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_it_is_the_limit_of_euler_steps(name):
    """Loss and slope, the error falling like dt: halved steps halve it."""
    dims, sigma, target = CASES[name]
    with float64():
        start = jnp.asarray(sigma)
        known = jax.value_and_grad(FilterLoss(target, dims))(start, None)
        coarse, fine = (
            jax.value_and_grad(euler)(start, target, dims, dt) for dt in (0.02, 0.01)
        )
        known, coarse, fine = jax.tree.map(np.asarray, (known, coarse, fine))
    for exact, one, other in zip(known, coarse, fine, strict=True):
        size = np.abs(exact).max()
        first, second = (np.abs(found - exact).max() / size for found in (one, other))
        assert first > 1e-4
        assert 1.9 < first / second < 2.1


def test_learning_by_it_finds_the_filter():
    """zm = 1, vu = 1 - c, zu vm = vu: from exp(-t) to exp(-ct)."""

    def closed(sigma, key):
        return jnp.asarray(exponential_loss(sigma, 0.2))

    start = rank_one(zm=0.05, zu=0.02, vm=0.08, vu=0.06, mu=0.08, zv=0.01)
    for loss in (FilterLoss(exponential(0.2)), closed):
        history = learn(loss, start, eta=5e-3, steps=3000)
        sigma = history.final
        assert history.losses[0] == pytest.approx(float(filter_loss(start)), rel=1e-13)
        assert abs(history.losses[-1]) < 1e-10
        found = sigma[3, 0], sigma[3, 1] * sigma[2, 0], sigma[2, 1]
        assert found == pytest.approx((1, 0.8, 0.8), abs=1e-4)


def test_learning_of_an_oscillation_finds_its_poles():
    dims = Dims(rank=2)
    columns = np.random.default_rng(0).normal(size=(60, dims.size))
    loss = FilterLoss(oscillation(0.3, 2.0), dims)
    final = learn(loss, columns.T @ columns / 60, eta=2e-2, steps=10_000).final
    poles = np.linalg.eigvals(final[dims.v, dims.u]) - 1
    assert np.abs(np.sort_complex(poles) - [-0.3 - 2j, -0.3 + 2j]).max() < 1e-4


def growing(rank):
    """A network whose modes grow at 0.5, and the vectors of rank 2 turn."""
    dims = Dims(rank)
    sigma = 3.0 * np.eye(dims.size)
    sigma[dims.v, dims.u] = sigma[dims.u, dims.v] = 1.5 * np.eye(rank)
    return dims, sigma


@pytest.mark.parametrize("rank", [1, 2])
def test_a_network_that_grows_is_refused(rank):
    dims, sigma = growing(rank)
    with pytest.raises(ValueError, match=r"network's largest growth rate is 0\.5: .*infinite"):
        filter_loss(sigma, exponential(0.2), dims)
    with float64():
        traced = jax.jit(lambda s: filter_loss(s, exponential(0.2), dims))
        assert np.asarray(traced(jnp.asarray(sigma))) == np.inf


@pytest.mark.parametrize("rank", [1, 2])
def test_the_edge_is_at_one(rank):
    dims, sigma = growing(rank)
    for vu, grows in ((1 - 1e-9, False), (1.0, True)):
        sigma[dims.v, dims.u] = sigma[dims.u, dims.v] = vu * np.eye(rank)
        with float64():
            assert (
                np.isinf(FilterLoss(exponential(0.2), dims)(jnp.asarray(sigma), None)) == grows
            )
        if grows:
            with pytest.raises(ValueError, match="growth rate is 0"):
                filter_loss(sigma, exponential(0.2), dims)
        else:
            assert np.isfinite(filter_loss(sigma, exponential(0.2), dims))


def test_an_answer_is_float64_wherever_it_is_asked():
    answer = filter_loss(rank_one(zm=0.3, vu=0.2))
    assert isinstance(answer, np.ndarray)
    assert answer.dtype == float
    assert answer == pytest.approx(0.3**2 / 2 + 2.5 - 2 * 0.3 / 1.2, rel=1e-14)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: filter_loss(np.eye(5)), r"shape \(5, 5\); .* has 4 columns.*\(4, 4\)"),
        (lambda: filter_loss(np.ones((4, 3))), r"shape \(4, 3\)"),
        (lambda: filter_loss(np.triu(np.ones((4, 4)))), "differs from its transpose by 1"),
        (lambda: filter_loss(np.full((4, 4), np.nan)), "differs from its transpose by nan"),
        (lambda: exponential(0.0), r"growth rate is -?0, .*Give one that decays"),
        (lambda: oscillation(-0.1, 2.0), r"growth rate is 0\.1"),
        (lambda: filter_loss(np.eye(5), dims=Dims(1, 2, 1)), r"\(1, 1\), the network \(1, 2\)"),
    ],
)
def test_what_makes_no_sense_is_told(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_the_first_named_overlap_is_the_readers():
    """V reads U, not U V: an entry of Sigma's other half moves nothing."""
    with float64():
        slope = jax.grad(FilterLoss(exponential(0.2)))(
            matrix(jnp.asarray([1.0, 0.2, 0.3, 0.4, 1.0, 0.5, 0.6, 1.0, 0.0, 1.0])), None
        )
    assert np.all(np.asarray(slope)[:2] == 0)
    assert np.all(np.asarray(slope)[2:, :2] != 0)
