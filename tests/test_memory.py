"""Are centres, slow points, retention and flip times those of networks known on paper?"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from slowpoint.analysis.class_points import class_slow_points, ClippedAdam
from slowpoint.analysis.free_path import flip_time
from slowpoint.analysis.memory import class_centres, names
from slowpoint.analysis.points import FIXED, NEITHER, SLOW
from slowpoint.analysis.problem import Problem
from slowpoint.analysis.retention import retention, wilson
from slowpoint.analysis.valley import Valley
from slowpoint.cells.gru import GRU
from slowpoint.cells.lstm import LSTM
from slowpoint.core.precision import float64, widen
from slowpoint.core.system import Map
from slowpoint.tasks.delayed_classification import DelayedClassification

CLASSES = 4
IMAGES = np.tile(np.eye(CLASSES, dtype=np.float32), (5, 1))  # five of each class, all alike
LABELS = np.tile(np.arange(CLASSES), 5)
TASK = DelayedClassification.of(IMAGES, LABELS)
DELAYS = np.array([1, 4, 19, 60])


class Store(Map):
    """Keeps the largest pixel of its first frame, and names it when asked."""

    always: int | None = eqx.field(static=True, default=None)  # named instead; -1: no class
    fades: float = 1.0  # per step
    state_size: int = eqx.field(static=True, default=CLASSES + 1)
    input_size: int = eqx.field(static=True, default=CLASSES + 1)
    output_size: int = eqx.field(static=True, default=CLASSES + 1)
    dt: float = eqx.field(static=True, default=1.0)

    def step(self, x, u):
        kept, empty = x[:-1], (x[:-1] == 0).all()
        seen = jax.nn.one_hot(u[:-1].argmax(), CLASSES, dtype=x.dtype)
        return jnp.append(jnp.where(empty, seen, self.fades * kept), u[-1])

    def output(self, x):
        if self.always is not None:
            return jax.nn.one_hot(self.always + 1, CLASSES + 1)
        return jnp.append(0.5, x[-1] * x[:-1])  # a memory below 1/2 is none


def ask(system, **options):
    return retention(system, TASK, IMAGES, LABELS, DELAYS, key=jr.key(0), **options)


# ---------------------------------------------------------------- retention


def test_a_perfect_memory_is_perfect_at_all_delays():
    found = ask(Store(), repeats=2)
    assert (found.tpr == 1).all()
    assert (found.fpr == 0).all()
    assert (found.informedness == 1).all()
    assert (found.accuracy == 1).all()
    assert found.trials.tolist() == [10] * CLASSES
    assert found.named.all()
    assert found.says == ""
    assert (found.informedness_range[..., 1] >= 1).all()


def test_a_constant_answer_has_informedness_0_and_the_rest_is_undefined():
    found = ask(Store(always=2))
    assert (found.tpr[2] == 1).all()
    assert (found.informedness[2] == 0).all()
    assert found.named.tolist() == [False, False, True, False]
    others = np.delete(np.arange(CLASSES), 2)
    for part in (found.tpr, found.fpr, found.informedness, found.informedness_range):
        assert np.isnan(part[others]).all()
    assert "never names class 0, 1, 3" in found.says
    assert "undefined" in found.says
    assert found.accuracy.tolist() == [0.25] * len(DELAYS)
    assert not ask(Store(always=-1)).named.any()


def test_a_memory_is_lost_at_the_delay_at_which_it_is_on_paper():
    """0.9 per step: after the picture 1, d frames later 0.9^d, and 0.9^6 > 1/2 > 0.9^7."""
    delays = np.arange(1, 12)
    found = retention(Store(fades=0.9), TASK, IMAGES, LABELS, delays, key=jr.key(0))
    assert found.accuracy.tolist() == [1.0] * 6 + [0.0] * 5
    assert (found.tpr[:, 6:] == 0).all()  # named before: forgotten, not undefined
    assert found.accuracy[found.at(7)] == 0


def test_answers_are_those_of_whole_trials():
    """Against separate rollouts, one for each delay, from the same noise."""
    net = GRU.random(6, 5, 5, key=jr.key(3))
    found = ask(net)
    one = lambda key, t: TASK.noise(jr.fold_in(key, t), 1)[0]
    all_times = jax.vmap(jax.vmap(one, (None, 0)), (0, None))
    frames = np.array(jax.jit(all_times)(jr.split(jr.key(0), 20), jnp.arange(19)))
    shown = jnp.pad(jnp.asarray(IMAGES), [(0, 0), (0, 1)])
    run = jax.jit(jax.vmap(lambda x, u: net.step(x, u)))
    for i, delay in enumerate(DELAYS[:3]):
        x = run(jnp.zeros((20, 6)), shown)
        for t in range(delay):
            frames[:, t, -1] = t == delay - 1
            x = run(x, frames[:, t])
        named = np.asarray(jax.vmap(net.output)(x)).argmax(axis=1) - 1
        assert found.accuracy[i] == (named == LABELS).mean()
        for k in range(CLASSES):
            if found.named[k]:
                assert found.tpr[k, i] == (named[k == LABELS] == k).mean()
                assert found.fpr[k, i] == (named[k != LABELS] == k).mean()


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 400), p=st.floats(0, 1))
def test_wilson_solves_its_quadratic_and_holds_the_share(n, p):
    low, high = wilson(np.array(p), n)
    assert 0 <= low <= p + 1e-12
    assert p - 1e-12 <= high <= 1
    for edge in (low, high):
        if 0 < edge < 1:
            assert (p - edge) ** 2 == pytest.approx(1.959964**2 * edge * (1 - edge) / n)


def test_an_interval_covers_the_truth_19_times_in_20():
    hits = np.random.default_rng(0).binomial(60, 0.8, 2000) / 60
    low, high = np.moveaxis(wilson(hits, 60), -1, 0)
    assert 0.93 < ((low <= 0.8) & (high >= 0.8)).mean() < 0.97


# ---------------------------------------------------------------- centres and free paths


class Mixes(Map):
    """x' = a x + u: a picture and the noise after it add up."""

    state_size: int = eqx.field(static=True, default=CLASSES + 1)
    input_size: int = eqx.field(static=True, default=CLASSES + 1)
    output_size: int = eqx.field(static=True, default=CLASSES + 1)
    dt: float = eqx.field(static=True, default=1.0)

    def step(self, x, u):
        return 0.9 * x + u

    def output(self, x):
        return jnp.append(-100.0, x[:-1])


@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_a_centre_is_the_mean_over_pictures_under_one_noise(scale):
    found = class_centres(Mixes(), TASK, key=jr.key(4), scale=scale, steps=6)
    with float64():
        task = widen(TASK)
        quiet = np.asarray(task.quiet)
        frames = quiet + scale * (np.asarray(task.noise(jr.key(4), 6)) - quiet)
        ask_frame = np.asarray(task.ask)
    for k in range(CLASSES):
        x = np.append(np.eye(CLASSES)[k], 0.0)
        for frame in frames:
            x = 0.9 * x + frame
        np.testing.assert_allclose(found.states[k], x, rtol=1e-6)
        named = (0.9 * x + ask_frame)[:-1].argmax()
        assert found.named[k] == named
        assert found.right[k] == (named == k)
        assert found.fallback[k] == (named != k)
    assert found.trials == 5


def test_only_trials_read_out_right_count():
    wrong = np.where(np.arange(20)[:, None] < 8, np.roll(IMAGES, 1, axis=1), IMAGES)
    task = DelayedClassification.of(wrong, LABELS)
    found = class_centres(Store(), task, key=jr.key(0))
    np.testing.assert_allclose(found.right, 0.6)
    np.testing.assert_array_equal(found.states[:, :-1], np.eye(CLASSES))
    lost = class_centres(Store(always=-1), task, key=jr.key(0))
    assert lost.fallback.all()
    np.testing.assert_allclose(lost.states[:, :-1].sum(axis=1), 1)
    assert np.sort(lost.states[0])[-1] == pytest.approx(0.6)


@pytest.mark.parametrize(("fades", "steps"), [(0.9, 6), (0.99, 68), (1.0, 100)])
def test_flip_time_is_the_one_on_paper(fades, steps):
    """The state after n steps, asked: fades^(n+1) > 1/2 no longer."""
    centres = np.pad(np.eye(CLASSES), [(0, 0), (0, 1)])
    found = flip_time(Store(fades=fades), TASK, centres, most=100)
    assert found.steps.tolist() == [steps] * CLASSES
    assert found.turned.tolist() == ([-1] * CLASSES if steps < 100 else list(range(CLASSES)))
    np.testing.assert_allclose(found.speeds[:, 0], 1 - fades, atol=1e-12)
    np.testing.assert_allclose(found.ends[0, 0], fades**100, rtol=1e-9)


def test_classes_not_taught_are_not_read_out():
    few = names(Store(), TASK.taught(20, 2), np.pad(np.eye(CLASSES), [(0, 0), (0, 1)]))
    assert few.tolist() == [0, 1, -1, -1]


# ---------------------------------------------------------------- slow points


class Ghost(Map):
    """h' = h + e + h^2 and others that decay: the slow point is 0, its speed e."""

    gap: float = 1e-3
    state_size: int = eqx.field(static=True, default=3)
    input_size: int = eqx.field(static=True, default=CLASSES + 1)
    output_size: int = eqx.field(static=True, default=CLASSES + 1)
    dt: float = eqx.field(static=True, default=1.0)

    def step(self, x, u):
        return jnp.array([x[0] + self.gap + x[0] ** 2, 0.5 * x[1], 0.9 * x[2]])

    def output(self, x):
        return jnp.append(jnp.zeros(CLASSES), x[0])

    def box(self, u):
        return -jnp.ones(3), jnp.ones(3)


class Bent(Map):
    """A residual of Rosenbrock's kind; the box cuts its valley before the bottom at (1, 1)."""

    far: float = 2.0  # of the box along the first coordinate
    state_size: int = eqx.field(static=True, default=2)
    input_size: int = eqx.field(static=True, default=CLASSES + 1)
    output_size: int = eqx.field(static=True, default=CLASSES + 1)
    dt: float = eqx.field(static=True, default=1.0)

    def step(self, x, u):
        return x + jnp.array([100 * (x[1] - x[0] ** 2), 1 - x[0]])

    def output(self, x):
        return jnp.append(jnp.zeros(CLASSES), x[0])

    def box(self, u):
        corner = jnp.array([self.far, 2.0])
        return -jnp.array([2.0, 2.0]), corner


def test_the_bottom_of_a_ghost():
    starts = np.array([[0.5, 0.3, -0.4], [-0.6, 0.9, 0.9], [1.0, 0.0, 0.0]])
    found = class_slow_points(Ghost(), TASK, starts)
    np.testing.assert_allclose(found.states, 0, atol=1e-8)
    np.testing.assert_allclose(found.speeds, 1e-3, rtol=1e-12)
    np.testing.assert_allclose(found.minimised, found.speeds, rtol=1e-12)
    assert (found.kinds == SLOW).all()
    assert (found.gradients <= 1e-10).all()
    np.testing.assert_allclose(found.rates[0], np.log([1, 0.9, 0.5]), atol=1e-7)
    assert found.named.tolist() == [3, 3, 3]
    np.testing.assert_allclose(found.moved, np.linalg.norm(starts, axis=1), atol=1e-7)


def test_descent_as_in_the_paper_gets_there_slowly():
    starts = np.array([[0.5, 0.3, -0.4], [2.0, 3.0, 0.0]])
    found = class_slow_points(Ghost(), TASK, starts, ClippedAdam(20_000))
    np.testing.assert_allclose(found.states, 0, atol=0.05)
    assert (found.speeds >= 1e-3).all()
    assert found.steps.tolist() == [20_000, 20_000]
    few = class_slow_points(Ghost(), TASK, starts, ClippedAdam(3))
    np.testing.assert_allclose(few.states[1, :2], 1, atol=3e-3)  # clipped at once
    assert (few.kinds == NEITHER).all()
    assert (few.speeds > found.speeds).all()
    np.testing.assert_allclose(few.states[0], starts[0] - [2.1e-3, 2.1e-3, -2.1e-3], atol=2e-6)


def test_a_bent_valley_is_followed_to_its_end_or_to_the_box():
    starts = np.array([[-1.2, 1.0], [0.0, 2.0], [-2.0, -2.0]])
    found = class_slow_points(Bent(), TASK, starts)
    np.testing.assert_allclose(found.states, 1, atol=1e-9)
    assert (found.kinds == FIXED).all()
    cut = class_slow_points(Bent(far=0.5), TASK, starts)
    np.testing.assert_allclose(cut.states, [[0.5, 0.25]] * 3, atol=1e-10)
    assert (cut.states[:, 0] == 0.5).all()
    np.testing.assert_allclose(cut.speeds, 0.5)
    assert cut.at_bound.tolist() == [1, 1, 1]
    assert (cut.kinds == SLOW).all()


def test_no_step_of_the_descent_goes_up():
    with float64():
        problem, method, u = Problem(Bent()), Valley(), jnp.zeros(CLASSES + 1)
        starts = jnp.asarray(np.random.default_rng(1).uniform(-2, 2, (40, 2)))
        move = jax.jit(jax.vmap(lambda x: method.step(problem, method.start(x, u)).x))
        height = jax.vmap(lambda x: problem.q(x, u))
        before, after = np.asarray(height(starts)), np.asarray(height(move(starts)))
    assert (after < before).all()


def test_the_bottom_is_a_stationary_point_in_the_box_of_a_random_network():
    with float64():
        net = GRU.random(8, 5, 5, reset_after=False, key=jr.key(2))
        net = eqx.tree_at(lambda n: n.recurrent, net, 3 * net.recurrent)
    starts = np.random.default_rng(0).uniform(-1, 1, (6, 8))
    found = class_slow_points(net, TASK, starts)
    assert (found.gradients <= 1e-10).all()
    assert (np.abs(found.states) <= 1).all()
    inside = (found.kinds == SLOW) & (found.at_bound == 0)
    for rates in found.rates[inside]:
        assert np.abs(np.exp(rates) - 1).min() < 1e-7  # an eigenvalue of 1, exactly


def test_only_the_hidden_part_of_an_lstm_is_clipped():
    with float64():
        net = LSTM.random(3, 5, 5, key=jr.key(1))
    start = np.array([[1.5, -1.5, 0.0, 5.0, -5.0, 0.0]])
    found = class_slow_points(net, TASK, start, ClippedAdam(1, rate=0.1))
    assert np.abs(found.states[0, :3]).max() == 1
    assert np.abs(found.states[0, 3:5]).min() > 4
    with float64():
        wide, x = widen((net, jnp.asarray(found.states[0])))
        after = wide.step(x, widen(TASK).quiet)
        change = jnp.append(after[:3] - x[:3], jnp.tanh(after[3:]) - jnp.tanh(x[3:]))
        change = np.asarray(change)
    assert found.minimised[0] == pytest.approx(np.linalg.norm(change), rel=1e-12)


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("do", "says"),
    [
        (
            lambda: class_centres(GRU.random(3, 2, 2, key=jr.key(0)), TASK, key=jr.key(0)),
            "takes 2",
        ),
        (lambda: flip_time(Store(), TASK, np.zeros((4, 3))), r"shape \(4, 3\)"),
        (lambda: class_slow_points(Store(), TASK, np.full((4, 5), np.nan)), "nan at index"),
        (
            lambda: retention(Store(), TASK, IMAGES, LABELS, np.array([0, 3]), key=jr.key(0)),
            "cannot come before",
        ),
        (
            lambda: retention(
                Store(), TASK, IMAGES[:3], LABELS[:3], np.array([3]), key=jr.key(0)
            ),
            "Class 3 has no picture",
        ),
        (lambda: ask(Store()).at(5), "Type one of"),
    ],
)
def test_bad_input_is_named(do, says):
    with pytest.raises(ValueError, match=says):
        do()
