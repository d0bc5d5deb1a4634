"""Do scalar products learn in a closed loop as the network itself does?"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings, strategies as st

from slowpoint.core.precision import float64
from slowpoint.theory.congruence import GradientDescent, HeavyBall
from slowpoint.theory.gram import clipped_descent, gram, learn_gram, OfGram, seen_history
from slowpoint.theory.loop_loss import expected_loss, open_loop_loss
from slowpoint.theory.loop_spectrum import DOUBLE_INTEGRATOR, effective_matrix, radius
from slowpoint.theory.overlap_learning import Direct
from slowpoint.theory.overlaps import Dims

SEEDS = st.integers(0, 2**31)
START, STEPS, PENALTY = 4 / 3, 20, 0.01
LOSS = eqx.Partial(expected_loss, steps=STEPS, variance=START, penalty=PENALTY)
FEW = eqx.Partial(expected_loss, steps=50, variance=START)  # the loss of the figures


def draw(seed, units, dims=Dims()):
    """Columns [M | U | V | Z] as networks in a loop begin."""
    generator = np.random.default_rng(seed)
    rows = generator.uniform(-1, 1, (units, dims.size))
    rows[:, dims.inputs : -dims.outputs] = generator.normal(size=(units, 2 * dims.rank))
    return rows / units**0.5


def network_loss(columns, dims):
    """Trials from +- sqrt(2 v0) e_i, the network unit by unit; no overlap is formed."""
    m, u, v, z = (columns[:, part] for part in (dims.m, dims.u, dims.v, dims.z))
    a, b, c = map(jnp.asarray, DOUBLE_INTEGRATOR)

    def trial(start):
        def tick(carried, _):
            x, h = carried
            sent = h @ z
            moved = x @ a.T + sent @ b.T
            h = (h @ v) @ u.T + (moved @ c.T) @ m.T
            return (moved, h), jnp.sum(x**2) / (2 * STEPS) + PENALTY * jnp.sum(sent**2)

        return jnp.sum(jax.lax.scan(tick, (start, jnp.zeros(len(columns))), None, STEPS)[1])

    starts = (2 * START) ** 0.5 * jnp.concatenate([jnp.eye(2), -jnp.eye(2)])
    return jnp.mean(jax.vmap(trial)(starts))


def clip_as_torch_does(largest):
    def update(updates, state, params=None):
        return updates * jnp.minimum(1.0, largest / (jnp.linalg.norm(updates) + 1e-6)), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def descend(columns, optimiser, frozen, updates, dims):
    """`(losses, columns)` of networks that learn by autodiff."""
    free = np.ones(dims.size)
    if frozen:
        free[dims.m] = 0.0

    def tick(carried, _):
        columns, state = carried
        loss, slope = jax.value_and_grad(network_loss)(columns, dims)
        update, state = optimiser.update(slope * free[None], state, columns)
        columns = optax.apply_updates(columns, update)
        return (columns, state), (loss, columns)

    def run(first):
        return jax.lax.scan(tick, (first, optimiser.init(first)), None, updates)[1]

    with float64():
        losses, path = map(np.asarray, jax.jit(jax.vmap(run))(jnp.asarray(columns)))
        return losses, np.concatenate([columns[:, None], path], axis=1)


TORCH = lambda clip, rate, momentum=None: optax.chain(
    clip_as_torch_does(clip), optax.sgd(rate, momentum)
)
CASES = {  # rule, optimiser, units, whether M is frozen, dims
    "plain": (clipped_descent(None), optax.sgd(1e-4), 4, True, Dims()),
    "clip near its slack": (clipped_descent(1e-5), TORCH(1e-5, 100.0), 30, True, Dims()),
    "M learns": (
        clipped_descent(1.0, 0.7, encoder_learns=True),
        TORCH(1.0, 1e-2, 0.7),
        7,
        False,
        Dims(),
    ),
    "rank two": (
        clipped_descent(1.0, dims=Dims(rank=2)),
        TORCH(1.0, 1e-2),
        11,
        True,
        Dims(rank=2),
    ),
}
RATES = {"plain": 1e-4, "clip near its slack": 100.0}


@pytest.mark.parametrize("case", CASES)
def test_grams_learn_as_networks_do(case):
    """Every step exactly, for few units and for many."""
    rule, optimiser, units, frozen, dims = CASES[case]
    columns, updates = draw(3, units, dims), 15
    columns[:, dims.z] -= 0.2 * columns[:, dims.m]  # it brakes: unclipped steps stay small
    (losses,), (path,) = descend(columns[None], optimiser, frozen, updates, dims)
    rate = RATES.get(case, 1e-2)
    found = learn_gram(gram(columns), LOSS, rule, rate=rate, steps=updates, dims=dims)
    known = gram(path)
    np.testing.assert_allclose(found.losses[0], losses[0], rtol=1e-13)
    np.testing.assert_allclose(found.grams[1], known[1], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(found.losses[:-1], losses, rtol=1e-10)
    np.testing.assert_allclose(found.grams, known, rtol=1e-9, atol=1e-11)
    np.testing.assert_array_equal(found.overlaps, seen_history(found.grams, dims))
    assert np.abs(known[-1] - known[0]).max() > 1e-4
    moved = np.abs(found.grams[-1] - found.grams[0])[dims.m, dims.m].max()
    assert (moved == 0) == frozen


def test_columns_stand_as_in_a_low_rank_network():
    m, u, v, z = columns = np.random.default_rng(0).normal(size=(4, 6))
    found = gram(columns.T)
    np.testing.assert_allclose(found, found.T)
    np.testing.assert_allclose(seen_history(found), [z @ m, z @ u, v @ m, v @ u], rtol=1e-14)
    assert gram(np.ones((3, 6, 4), np.float32)).dtype == float


def test_equal_grams_learn_alike_whatever_the_network():
    """Columns turned and put among more units."""
    columns = np.pad(draw(5, 8), ((0, 12), (0, 0)))
    turn = np.linalg.qr(np.random.default_rng(6).normal(size=(20, 20)))[0]
    both = np.stack([columns, turn @ columns])
    np.testing.assert_allclose(*gram(both), atol=1e-14)
    (one, two), _ = descend(both, TORCH(1.0, 1e-2), True, 15, Dims())
    np.testing.assert_allclose(one, two, rtol=1e-9)


# ---------------------------------------------------------------- the whole path


@pytest.fixture(scope="module")
def many():
    """Fifty networks of 100 units through the stages of learning."""
    grams = np.stack([gram(draw(seed, 100)) for seed in range(50)])
    return learn_gram(grams, FEW, rate=1e-2, steps=1000)


def test_fifty_networks_become_stable_and_good(many):
    """Medians over seeds as networks of 100 units had them: 116 epochs, .283."""
    assert many.losses.shape == (50, 1001)
    assert many.overlaps.shape == (50, 1001, 4)
    assert (many.diverged == -1).all()
    largest = radius(effective_matrix(many.overlaps))
    stable_from = [1 + np.flatnonzero(one >= 1).max() for one in largest]
    assert 90 < np.median(stable_from) < 145
    assert max(stable_from) < 1000
    assert np.median(many.losses[:, -1]) == pytest.approx(0.283, abs=0.01)
    assert (many.losses[:, -1] > 0.2310165).all()


def test_the_position_gain_has_a_speed_limit(many):
    """|change of s_zm| <= rate clip |m|, M frozen; on the way it is reached."""
    steps = np.abs(np.diff(many.overlaps[..., 0], axis=1))
    length = np.sqrt(many.grams[:, 0, 0, 0])[:, None]
    assert (many.grams[..., 0, 0] == many.grams[:, :1, 0, 0]).all()
    assert (steps <= 1e-2 * length * (1 + 1e-12)).all()
    assert (steps / (1e-2 * length)).max() > 0.99


def test_a_run_is_the_same_again(many):
    again = learn_gram(many.grams[:, 0], FEW, rate=1e-2, steps=1000)
    np.testing.assert_array_equal(again.grams, many.grams)


def test_imitation_learns_by_the_same_rule():
    teacher = np.array([-0.3, 0.5, 0.9, 0.2])
    loss = eqx.Partial(open_loop_loss, teacher=teacher, steps=50)
    found = learn_gram(gram(draw(8, 100)), loss, rate=1e-2, steps=1500, every=1500)
    assert found.losses[-1] < 0.05 * found.losses[0]


def test_a_run_that_overflows_is_a_value():
    found = learn_gram(gram(draw(10, 30)), LOSS, clipped_descent(None), rate=1.0, steps=15)
    assert found.diverged > 0
    assert np.isfinite(found.losses[: found.diverged]).all()
    assert not np.isfinite(found.losses[found.diverged])


def test_a_loss_of_overlaps_is_one_of_grams():
    first = gram(draw(11, 10))
    s = seen_history(first)
    assert OfGram(LOSS)(jnp.asarray(first), None) == pytest.approx(float(LOSS(s)), rel=1e-5)


# ---------------------------------------------------------------- misuse


def learning(given=None, rule=clipped_descent(), rate=1e-2, steps=4, **more):
    given = gram(draw(1, 9)) if given is None else given
    return lambda: learn_gram(given, LOSS, rule, rate=rate, steps=steps, **more)


UNEVEN = np.eye(4) + np.eye(4, k=1)
HOPELESS = np.eye(4) + 2 * (np.eye(4, k=3) + np.eye(4, k=-3))  # eigenvalues -1, 1, 1, 3


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (learning(HOPELESS), r"no network has these overlaps: smallest eigenvalue -1"),
        (learning(UNEVEN), "differs from its transpose by 1; symmetrise it"),
        (learning(np.eye(5)), r"shape \(5, 5\); Dims.* has 4 columns\. Give \(4, 4\)"),
        (learning(rate=0.0), r"rate=0\.0: give a learning rate above 0"),
        (learning(rate=-1.0), r"rate=-1\.0"),
        (learning(every=3), "steps=4, every=3: give .* a multiple of `every`"),
        (lambda: clipped_descent(0.0), r"clip=0\.0: give the largest norm, above 0, or None"),
        (lambda: clipped_descent(1.0, 1.0), r"momentum=1\.0: give 0 or more, below 1"),
    ],
    ids=["indefinite", "uneven", "size", "still", "uphill", "records", "clip", "momentum"],
)
def test_what_makes_no_sense_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()


@pytest.mark.parametrize(
    "rule", ["adam", optax.adam(1e-3), Direct()], ids=["name", "optax", "direct"]
)
def test_what_does_not_close_is_refused(rule):
    """Where types are checked, as in tests, a rule of another type does not come so far."""
    with pytest.raises((ValueError, TypeError), match=r"does not close; use train|'rule'"):
        learning(rule=rule)()


def test_rules_of_the_house_are_made():
    assert isinstance(clipped_descent(), GradientDescent)
    assert isinstance(clipped_descent(1.0, 0.9), HeavyBall)
    assert clipped_descent().slack == 1e-6


@given(SEEDS, st.integers(1, 9))
@settings(max_examples=20, deadline=None)
def test_grams_are_semidefinite(seed, units):
    values = np.linalg.eigvalsh(gram(draw(seed, units)))
    assert values[0] > -1e-12
