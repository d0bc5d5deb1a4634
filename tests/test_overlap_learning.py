"""Do the overlaps of linear networks learn as the networks do?"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import jaxtyping
import numpy as np
import optax
import pytest
from hypothesis import given, settings, strategies as st

from slowpoint.core.precision import float64
from slowpoint.core.rollout import rollout
from slowpoint.theory.congruence import Flow, GradientDescent, HeavyBall, NormalisedDescent
from slowpoint.theory.filter_start import THETA_1
from slowpoint.theory.latent import Latent
from slowpoint.theory.overlap_learning import Direct, learn, OverlapFlow, sensitivity
from slowpoint.theory.overlaps import (
    as_network,
    columns_of,
    Dims,
    is_realisable,
    matrix,
    overlaps,
    rank_one,
    realise,
    smallest_eigenvalue,
    vector,
)

NONE = np.zeros(0)


class Task(eqx.Module):
    """Inputs and what should come out, noise on that included when there is a key."""

    inputs: np.ndarray
    targets: np.ndarray
    noise: float = eqx.field(static=True, default=0.0)

    def loss(self, system, key):
        targets = self.targets
        if key is not None:
            targets = targets + self.noise * jr.normal(key, targets.shape, float)
        return ((rollout(system, NONE, self.inputs).outputs - targets) ** 2).mean()


def random_task(dims, noise=0.0, time=20):
    generator = np.random.default_rng(dims.size)
    shapes = (time, dims.inputs), (time, dims.outputs)
    return Task(*(generator.normal(size=shape) for shape in shapes), noise)


def loss_of(task, dims, dt=0.1):
    """The loss of overlaps."""
    return lambda sigma, key: task.loss(Latent(sigma, dims, dt=dt), key)


def random_columns(seed, dims, units):
    return np.random.default_rng(seed).normal(size=(units, dims.size))


def train(network, task, optimiser, steps, key=None):
    """The network after `steps` updates of all its weights, and its losses; scale: N."""

    def tick(carried, step):
        network, state = carried
        drawn = None if key is None else jr.fold_in(key, step)
        value, slope = jax.value_and_grad(task.loss)(network, drawn)
        slope = jax.tree.map(lambda g: g * network.state_size, slope)
        update, state = optimiser.update(slope, state, network)
        return (optax.apply_updates(network, update), state), value

    run = jax.jit(lambda carried: jax.lax.scan(tick, carried, jnp.arange(steps)))
    (network, _), losses = run((network, optimiser.init(network)))
    return network, np.asarray(losses)


CASES = [((1, 1, 1), 4), ((2, 1, 1), 60), ((3, 2, 2), 25), ((1, 2, 3), 8)]


@pytest.mark.parametrize(("counts", "units"), CASES)
def test_the_gradient_of_the_columns(counts, units):
    """grad_P L = (2 / N) P S, the reference by autodiff through the whole network."""
    dims = Dims(*counts)
    task, columns = random_task(dims), random_columns(0, dims, units)
    with float64():
        whole = jax.jit(jax.grad(lambda p: task.loss(as_network(p, dims, 0.1), None)))
        known = np.asarray(whole(jnp.asarray(columns)))
        _, s = jax.jit(lambda p: sensitivity(loss_of(task, dims), overlaps(p), None))(columns)
    assert np.array_equal(s, s.T)
    assert (
        np.abs(2 / units * columns @ np.asarray(s) - known).max() < 1e-10 * np.abs(known).max()
    )


@pytest.mark.parametrize(("counts", "units"), CASES)
def test_overlaps_and_every_weight_learn_as_in_the_network(counts, units):
    """Descent with a momentum, a clip, a decay, and noise on the targets, all at once."""
    dims, eta, steps = Dims(*counts), 0.02, 60
    task, columns = random_task(dims, noise=0.3), random_columns(1, dims, units)
    optimiser = optax.chain(
        optax.clip_by_global_norm(2.0 * units**0.5),
        optax.add_decayed_weights(0.05),
        optax.sgd(eta, 0.8),
    )
    rule = HeavyBall(momentum=0.8, decay=0.05, clip=2.0)
    with float64():
        network = as_network(jnp.asarray(columns), dims, 0.1)
        trained, known = train(network, task, optimiser, steps, jr.key(0))
        final = np.asarray(columns_of(trained))
        sigma = np.asarray(overlaps(columns))
    history = learn(loss_of(task, dims), sigma, rule, eta=eta, steps=steps, key=jr.key(0))
    reached = columns @ history.factors[-1]
    assert np.abs(reached - final).max() < 1e-11 * np.abs(final).max()
    products = final.T @ final / units
    assert np.abs(history.final - products).max() < 1e-11 * np.abs(products).max()
    assert np.abs(history.losses[:-1] - known).max() < 1e-11 * known.max()
    assert np.abs(final - columns).max() > 0.1
    assert history.losses[-1] < history.losses[0]


# ---------------------------------------------------------------- the impulse filter


def filter_loss(sigma, key, decay=0.2, dt=0.05, time=400):
    """Squared error of the answer to an impulse, which should fall like exp(-0.2 t)."""
    del key
    inputs = np.zeros((time, 1))
    inputs[0] = 1 / dt
    targets = np.exp(-decay * dt * np.linspace(0, time, time))
    answer = rollout(Latent(sigma, Dims(), dt=dt), NONE, inputs).outputs[:, 0]
    return ((answer - targets) ** 2).sum() * dt


@pytest.fixture(scope="module")
def filtered():
    return learn(filter_loss, THETA_1, eta=5e-3, steps=1000, every=100)


def test_losses_of_the_impulse_filter(filtered):
    """Measured on a full network of 500 units by the spec's author, to the digits given."""
    known = [2.4301507, 1.1874242, 0.0090630, 2.0143e-7]
    half = 5e-12  # of the last digit printed
    assert filtered.losses[[0, 100, 300, 1000]] == pytest.approx(known, rel=1e-5, abs=half)
    assert filtered.epochs.tolist() == list(range(0, 1001, 100))
    below = [int(np.argmax(filtered.losses < share * known[0])) for share in (0.5, 0.1, 0.01)]
    assert below == pytest.approx([94, 207, 246], abs=1)


def test_the_impulse_filter_is_solved(filtered):
    zm, zu, vm, vu = (filtered.final[i, j] for i, j in ((3, 0), (3, 1), (2, 0), (2, 1)))
    assert zm == pytest.approx(1, abs=1e-3)
    assert zu * vm == pytest.approx(0.8005, abs=1e-3)
    assert vu == pytest.approx(0.8005, abs=1e-3)


# ---------------------------------------------------------------- the equations of the paper


def ten_equations(sigma, slopes):
    """The velocity of rank 1, as the paper writes it, each scalar by itself."""
    at = dict(zip(Dims().names, np.asarray(vector(sigma), float)))
    zm, zu, vm, vu, mu, zv = (at[name] for name in ("zm", "zu", "vm", "vu", "mu", "zv"))
    mm, uu, vv, zz = (at[name] for name in ("mm", "uu", "vv", "zz"))
    d = dict(zip(Dims().names, slopes))
    dzm, dzu, dvm, dvu = d["zm"], d["zu"], d["vm"], d["vu"]  # of the four that all networks see
    right = {
        "zm": (mm + zz) * dzm + mu * dzu + zv * dvm + zu * d["mu"] + 2 * zm * d["mm"],
        "zu": mu * dzm + (uu + zz) * dzu + zv * dvu + zm * d["mu"] + 2 * zu * d["uu"],
        "vm": (mm + vv) * dvm + mu * dvu + zv * dzm + vu * d["mu"] + 2 * vm * d["mm"],
        "vu": mu * dvm + (uu + vv) * dvu + zv * dzu + vm * d["mu"] + 2 * vu * d["uu"],
        "mu": zu * dzm + zm * dzu + vu * dvm + vm * dvu + (mm + uu) * d["mu"]
        + 2 * mu * (d["mm"] + d["uu"]),
        "zv": vm * dzm + vu * dzu + zm * dvm + zu * dvu,
        "mm": 2 * (zm * dzm + vm * dvm + mu * d["mu"] + 2 * mm * d["mm"]),
        "uu": 2 * (zu * dzu + vu * dvu + mu * d["mu"] + 2 * uu * d["uu"]),
        "vv": 2 * (vm * dvm + vu * dvu),
        "zz": 2 * (zm * dzm + zu * dzu),
    }  # fmt: skip
    return np.array([-right[name] for name in Dims().names])


@given(st.integers(0, 2**31), st.booleans())
@settings(max_examples=20, deadline=None)
def test_the_flow_is_the_ten_equations(seed, linear):
    generator = np.random.default_rng(seed)
    root = generator.normal(size=(4, 4))
    sigma, slopes = root @ root.T, generator.normal(size=10)
    names = Dims().names
    unseen = {"vv", "zv", "zz"} | ({"mu", "mm", "uu"} if linear else set())
    slopes[[name in unseen for name in names]] = 0
    with float64():
        flow = OverlapFlow(lambda sigma, key: vector(sigma) @ slopes, 4)
        found = np.asarray(flow.velocity(vector(sigma), jnp.zeros(0)))
        known = ten_equations(sigma, slopes)
    assert np.abs(found - known).max() < 1e-12 * np.abs(known).max()


def test_learning_as_a_system_is_the_flow():
    """Also with relative rates: its Euler steps approach what `learn` finds."""
    rates = np.array([1.0, 0.0, 2.0, 0.5])
    task = random_task(Dims())
    sigma = rank_one(zm=0.3, zu=-0.2, vm=0.4, vu=0.3, mu=0.1)
    known = learn(loss_of(task, Dims()), sigma, Flow(rates=rates), eta=0.5, steps=1).final
    gaps = []
    for steps in (100, 200):
        with float64():
            flow = OverlapFlow(loss_of(task, Dims()), 4, jnp.asarray(rates), dt=0.5 / steps)
            path = rollout(flow, vector(sigma), np.zeros((steps, 0)))
            gaps.append(np.abs(np.asarray(matrix(path.states[-1])) - known).max())
    assert gaps[1] < 0.02 * np.abs(known - sigma).max()
    assert gaps[0] / gaps[1] == pytest.approx(2, abs=0.1)


# ---------------------------------------------------------------- the baseline, batches, keys


def test_direct_descent_is_something_else():
    """It leaves invisible overlaps alone, and ends where no network is."""
    wish = lambda sigma, key: (sigma[0, 1] - 2.0) ** 2
    history = learn(wish, np.eye(3), Direct(), eta=0.1, steps=40, every=1)
    expected = 2 - 2 * 0.8 ** np.arange(41)  # the gradient of one scalar: 2 (sigma - 2)
    assert history.overlaps[:, 0, 1] == pytest.approx(expected)
    others = history.overlaps.copy()
    others[:, [0, 1], [1, 0]] = 0
    assert np.array_equal(others, np.broadcast_to(np.eye(3), others.shape))
    assert not is_realisable(history.final)
    assert np.isnan(history.factors).all()
    exact = learn(wish, np.eye(3), eta=0.1, steps=40, every=1)
    assert min(map(smallest_eigenvalue, exact.overlaps)) >= -1e-12
    assert exact.losses[-1] < 1e-6


def noisy_wish(sigma, key):
    return (sigma[0, 1] - 1.0 - jr.normal(key, (), float)) ** 2


def test_several_at_once_are_each_alone():
    many = np.stack([np.eye(2), np.diag([2.0, 0.5]), np.ones((2, 2))])
    wish = lambda sigma, key: (sigma[0, 1] - 1.5) ** 2
    rule = NormalisedDescent()
    together = learn(wish, many, rule, eta=0.01, steps=20, every=5)
    assert together.losses.shape == (3, 21)
    assert together.overlaps.shape == (3, 5, 2, 2)
    for i, one in enumerate(many):
        alone = learn(wish, one, rule, eta=0.01, steps=20, every=5)
        assert np.allclose(together.losses[i], alone.losses, rtol=1e-12)
        assert np.allclose(together.overlaps[i], alone.overlaps, rtol=1e-12)
        assert np.allclose(together.factors[i], alone.factors, rtol=1e-12)


def test_each_step_and_each_member_draws_its_own_noise():
    def found(sigma, key):
        return learn(noisy_wish, sigma, eta=0.02, steps=10, key=key).losses

    alone = found(np.eye(2), jr.key(0))
    assert np.array_equal(alone, found(np.eye(2), jr.key(0)))
    assert not np.array_equal(alone, found(np.eye(2), jr.key(1)))
    assert len(set(alone)) == 11
    pair = found(np.stack([np.eye(2)] * 2), jr.key(0))
    assert not np.isclose(pair[0], pair[1]).any()


def test_no_step_is_no_change():
    for rule in (GradientDescent(), Flow()):
        history = learn(filter_loss, THETA_1, rule, eta=0.1, steps=0)
        assert history.losses == pytest.approx([2.4301507], rel=1e-6)
        assert history.epochs.tolist() == [0]
        assert np.array_equal(history.final, THETA_1)


def test_a_loss_that_explodes_is_a_value():
    history = learn(lambda s, key: jnp.exp(s[0, 0]), np.eye(2), eta=100.0, steps=20)
    assert not np.isfinite(history.losses[-1])


def test_float32_around_it_does_not_matter():
    """Overlaps given as JAX arrays of single precision are followed in double."""
    history = learn(filter_loss, jnp.asarray(THETA_1), eta=5e-3, steps=3)
    assert history.overlaps.dtype == history.losses.dtype == np.float64


# ---------------------------------------------------------------- misuse

ALIEN = np.array([[1.0, 1.1], [1.1, 1.0]])


def wrong(sigma=np.eye(2), rule=GradientDescent(), eta=0.1, steps=4, every=None, **more):
    return lambda: learn(
        lambda s, key: s[0, 1] ** 2, sigma, rule, eta=eta, steps=steps, every=every, **more
    )


CLOSED = "is not closed in overlaps; train the LowRank cell instead"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (wrong(ALIEN), r"no network has these overlaps: smallest eigenvalue -0\.1"),
        (wrong(np.stack([np.eye(2), ALIEN])), "see is_realisable"),
        (wrong(np.ones((2, 3))), r"shape \(2, 3\); give a square"),
        (wrong(np.array([[1.0, 0.3], [0.2, 1.0]])), "differs from its transpose by 0.1"),
        (wrong(np.full((2, 2), np.nan)), "differs from its transpose by nan"),
        (wrong(eta=0.0), r"eta=0\.0: give a rate above 0"),
        (wrong(eta=-0.1), "eta=-0.1"),
        (wrong(eta=float("nan")), "eta=nan"),
        (wrong(steps=-1), "steps=-1"),
        (wrong(steps=10, every=3), "steps=10, every=3: .* a multiple of `every`"),
        (wrong(every=0), "every=0"),
        (wrong(rule=GradientDescent(rates=np.ones(3))), "3 rates for 2 columns"),
        (wrong(rule=Flow(rates=np.ones(3))), "3 rates for 2 columns"),
        (wrong(rule="adam"), f"adam {CLOSED}"),
        (wrong(rule="Adam"), CLOSED),
        (wrong(rule="sign"), f"sign {CLOSED}"),
        (wrong(rule="rmsprop"), f"rmsprop {CLOSED}"),
        (wrong(rule=optax.adam(1e-3)), "is not closed in overlaps; train the LowRank cell"),
        (wrong(rule="gd"), r"rule='gd': give GradientDescent\(\), Flow\(\)"),
    ],
)
def test_misuse_is_said(call, says, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as a user has it
    with pytest.raises(ValueError, match=says):
        call()


def test_overlaps_of_another_network_are_refused():
    """`learn` does not know the columns, the loss does."""
    with pytest.raises(ValueError, match=r"\(5, 5\); .* has 4 columns"):
        learn(filter_loss, np.eye(5), eta=0.1, steps=1)
    with pytest.raises(ValueError, match="no network"):
        learn(filter_loss, rank_one(zm=1.2), eta=0.1, steps=1)
    assert realise(THETA_1, 4).shape == (4, 4)
