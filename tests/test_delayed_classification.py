"""Does the task show a picture, noise and a trigger, as its paper says?"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from slowpoint.cells.gru import GRU
from slowpoint.core.precision import to_numpy
from slowpoint.core.rollout import Trajectory
from slowpoint.learning.train import train
from slowpoint.tasks.delayed_classification import (
    balanced,
    curriculum,
    DelayedClassification,
    example,
    Stage,
)

LABELS = np.arange(40) % 10
IMAGES = np.random.default_rng(3).integers(256, size=(40, 3, 4), dtype=np.uint8)
TASK = DelayedClassification.of(IMAGES, LABELS)


def answered(outputs):
    return Trajectory(jnp.zeros((len(outputs), 1)), jnp.asarray(outputs, jnp.float32))


@eqx.filter_jit
def draws(task, keys):
    return jax.vmap(task.trial)(keys)


def trials(task, number, seed=0):
    return to_numpy(draws(task, jr.split(jr.key(seed), number)))


def whereabouts(drawn):
    """`(frame of the picture, frame of the trigger, class)` of every trial, the slow way."""
    known = {tuple(image.ravel() / np.float32(255)): k for image, k in zip(IMAGES, LABELS)}
    found = []
    for inputs in drawn.inputs:
        asked = np.flatnonzero(inputs[:, -1])
        seen = [t for t, frame in enumerate(inputs[:, :-1]) if tuple(frame) in known]
        assert len(asked) == len(seen) == 1
        assert inputs[asked[0], -1] == 1
        found.append((seen[0], asked[0], known[tuple(inputs[seen[0], :-1])]))
    return np.array(found)


@pytest.mark.parametrize(("length", "classes"), [(20, 10), (20, 3), (6, 10), (5, 1)])
def test_one_picture_one_trigger_and_nothing_beyond_the_length(length, classes):
    drawn = trials(TASK.taught(length, classes), 400)
    seen, asked, label = whereabouts(drawn).T
    delay = asked - seen
    assert delay.min() == 4
    assert delay.max() == length - 1
    assert asked.max() == length - 1
    assert set(seen) == set(range(length - 4))
    assert set(label) == set(range(classes))
    every = np.arange(400)
    weights = np.broadcast_to(np.arange(20) < length, (400, 20)).astype(float)
    weights[every, asked] = 20
    np.testing.assert_array_equal(drawn.weights, weights)
    targets = np.zeros((400, 20, 11))
    targets[:, :, 0] = 1
    targets[every, asked] = np.eye(11)[label + 1]
    np.testing.assert_array_equal(drawn.targets, targets)


def test_times_are_uniform_and_so_are_pictures():
    seen, asked, label = whereabouts(trials(TASK, 4000)).T
    for values, count in ((seen, 16), (label, 10), (asked[seen == 0] - 4, 16)):
        expected = len(values) / count
        chi2 = ((np.bincount(values, minlength=count) - expected) ** 2 / expected).sum()
        assert chi2 < (count - 1) + 4 * math.sqrt(2 * (count - 1))
    assert abs(np.corrcoef(seen, label)[0, 1]) < 4 / math.sqrt(4000)


def test_noise_has_the_mean_and_the_spread_of_the_pixels():
    drawn = trials(TASK, 400)
    seen = whereabouts(drawn)[:, 0]
    noise = np.concatenate(
        [np.delete(x[:, :-1], t, axis=0) for x, t in zip(drawn.inputs, seen)]
    )
    pixels = IMAGES / 255
    error = pixels.std() / math.sqrt(noise.size)
    assert noise.mean() == pytest.approx(pixels.mean(), abs=4 * error)
    assert noise.std() == pytest.approx(pixels.std(), abs=4 * error)
    assert noise.min() < 0 < 1 < noise.max()  # not clipped
    np.testing.assert_allclose(TASK.quiet, [*[pixels.mean()] * 12, 0], rtol=1e-6)
    np.testing.assert_array_equal(TASK.ask[-1:], [1])


def test_the_same_key_gives_the_same_trial():
    one, two, other = trials(TASK, 3), trials(TASK, 3), trials(TASK, 3, seed=1)
    np.testing.assert_array_equal(one.inputs, two.inputs)
    assert (one.inputs != other.inputs).any()


def test_the_loss_is_the_one_on_paper():
    task, chance = TASK.taught(12, 4), np.random.default_rng(0)
    trial = jax.tree.map(lambda a: a[0], trials(task, 1))
    outputs = chance.standard_normal((20, 11))
    forbidden = np.where(np.arange(11) <= 4, outputs, -np.inf)
    p = np.exp(forbidden) / np.exp(forbidden).sum(axis=1, keepdims=True)
    known = -(trial.weights[:, None] * trial.targets * np.log(p + 1e-4)).sum() / (11 * 20)
    assert float(task.loss(trial, answered(outputs))) == pytest.approx(known, rel=1e-5)
    opened = 1 / (1 + np.exp(-outputs))
    p = np.exp(np.where(np.arange(11) <= 4, opened, -1000 * opened))
    p /= p.sum(axis=1, keepdims=True)
    known = -(trial.weights[:, None] * trial.targets * np.log(p + 1e-4)).sum() / (11 * 20)
    squashed = DelayedClassification.of(IMAGES, LABELS, squash=True).taught(12, 4)
    assert float(squashed.loss(trial, answered(outputs))) == pytest.approx(known, rel=1e-5)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**30), size=st.floats(0, 40), right=st.booleans())
def test_squashed_outputs_have_a_floor_that_is_never_passed(seed, size, right):
    task = DelayedClassification.of(IMAGES, LABELS, squash=True)
    trial = jax.tree.map(lambda a: a[0], trials(task, 1, seed=5))
    outputs = size * np.random.default_rng(seed).standard_normal((20, 11))
    outputs = 80 * trial.targets - 40 if right else outputs
    floor = -math.log(math.e / (math.e + 10) + 1e-4) * trial.weights.sum() / (11 * 20)
    loss = float(task.loss(trial, answered(outputs)))
    assert loss >= floor * (1 - 1e-6)
    if right:
        assert loss == pytest.approx(floor, rel=1e-6)
    plain = float(TASK.loss(trial, answered(outputs)))
    assert not right or plain < 0.01 * floor


def test_a_class_not_taught_is_never_named():
    trial = jax.tree.map(lambda a: a[0], trials(TASK.taught(20, 2), 1))
    outputs = np.zeros((20, 11)) + 100 * (np.arange(11) > 2) + trial.targets
    assert TASK.taught(20, 2).accuracy(trial, answered(outputs)) == 1
    assert TASK.accuracy(trial, answered(outputs)) == 0
    assert TASK.accuracy(trial, answered(np.eye(11)[np.zeros(20, int)])) == 0


def test_a_new_stage_compiles_nothing():
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, *_, **__: compiled.append(name) if "backend_compile" in name else None
    )
    net = GRU.random(4, TASK.input_size, TASK.output_size, key=jr.key(0))
    options = {"updates": 9, "key": jr.key(1), "batch": 2}
    stages = [Stage(3, 6, 10), Stage(6, 20, 2), Stage(9, 20, 10)]
    try:
        train(net, TASK, **options)
        before = len(compiled)
        losses = train(net, TASK.lessons(stages), **options).losses
        assert 0 < before == len(compiled)
    finally:
        jax.monitoring.clear_event_listeners()
    assert np.isfinite(losses).all()


@pytest.mark.parametrize("name", ["delay", "vocabulary", "none"])
@pytest.mark.parametrize(("schedule", "updates"), [("mnist", 140_000), ("cifar", 300_000)])
def test_the_schedules_of_the_paper(name, schedule, updates):
    stages = curriculum(name, updates, schedule=schedule)
    assert stages[-1].until == updates
    assert stages[-1][1:] == (20, 10)
    until = [s.until // 1000 for s in stages]
    known = {
        ("mnist", "delay"): [20, 30, 40, 50, 60, 70, 80, 140],
        ("mnist", "vocabulary"): [8, 16, 26, 36, 48, 62, 78, 98, 140],
        ("cifar", "delay"): [100, 120, 140, 160, 180, 200, 220, 300],
        ("cifar", "vocabulary"): [30, 60, 90, 120, 150, 180, 210, 240, 300],
    }
    assert until == known.get((schedule, name), [updates // 1000])
    if name == "delay":
        assert [s.length for s in stages] == [6, 8, 10, 12, 14, 16, 18, 20]
    if name == "vocabulary":
        assert [s.classes for s in stages] == list(range(2, 11))
    assert {s.length for s in stages if name != "delay"} <= {20}
    assert {s.classes for s in stages if name != "vocabulary"} <= {10}


@given(updates=st.integers(18, 10**6), name=st.sampled_from(["delay", "vocabulary", "none"]))
def test_other_lengths_keep_the_fractions(updates, name):
    for short, long in zip(curriculum(name, updates), curriculum(name, 140_000), strict=True):
        assert abs(short.until / updates - long.until / 140_000) <= 0.5 / updates + 1e-12
        assert short[1:] == long[1:]


def test_classes_are_balanced():
    labels = np.array([0, 1, 0, 2, 0, 1, 2, 2])
    pixels = np.arange(8, dtype=float)[:, None]
    assert balanced(pixels, labels)[:, :, 0].tolist() == [[0, 2], [1, 5], [3, 6]]


@pytest.mark.parametrize(
    ("do", "says"),
    [
        (lambda: TASK.taught(4, 10), "4 frames among 20.*from 5 to 20"),
        (lambda: TASK.taught(21, 10), "21 frames among 20"),
        (lambda: TASK.taught(20, 11), "11 classes are asked for, the images have 10"),
        (lambda: TASK.taught(20, 0), "0 classes"),
        (lambda: DelayedClassification.of(IMAGES, LABELS, steps=4), "from 5 to 4"),
        (lambda: DelayedClassification.of(IMAGES, LABELS + 1), "from 1 to 10.*0 to 9"),
        (lambda: DelayedClassification.of(IMAGES, LABELS - 1), "from -1 to 8"),
        (lambda: DelayedClassification.of(IMAGES, LABELS // 5 * 5), "Class 1 has no image"),
        (lambda: DelayedClassification.of(IMAGES, LABELS[:3]), "40 images and 3 labels"),
        (lambda: DelayedClassification.of(IMAGES / 2.0, LABELS), "float64 from 0.* to 127"),
        (lambda: DelayedClassification.of(IMAGES.astype(int), LABELS), "int64"),
        (lambda: DelayedClassification.of(IMAGES * np.nan, LABELS), "nan"),
        (lambda: TASK.posed(jnp.zeros(12), 0, 5, 5, jr.key(0)), "at frame 5.*trigger at 5"),
        (lambda: TASK.posed(jnp.zeros(12), 0, 5, 20, jr.key(0)), "0 <= seen < asked < 20"),
        (lambda: curriculum("devo", 1000), "'devo'.*delay, none, vocabulary"),
        (lambda: curriculum("delay", 1000, schedule="svhn"), "'svhn'.*cifar, mnist"),
        (lambda: curriculum("vocabulary", 12), "12 updates are too few.*Give 18 or more"),
    ],
)
def test_bad_input_is_named(do, says):
    with pytest.raises(ValueError, match=says):
        do()


def test_the_example_is_small():
    assert example(jr.key(0)).examples.shape == (3, 4, 6)
