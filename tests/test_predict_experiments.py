"""Pictures and broken curves to predict from: what is drawn, dropped, permuted and measured."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from slowpoint.analysis.image_codes import image_measures
from slowpoint.cells.feedforward import Mlp
from slowpoint.core.rollout import Trajectory
from slowpoint.experiments import predict_digits, predict_recurrent
from slowpoint.tasks.predict_image import in_bytes, places, PredictImage
from slowpoint.tasks.predict_piecewise import PredictPiecewise

few = settings(max_examples=5, deadline=None)
LABELS = np.tile(np.arange(10), 4)
PICTURES = in_bytes(np.random.default_rng(0).uniform(size=(40, 2, 3)))


def pictures_task(mark="squared", horizon=3, **changes):
    return PredictImage.of(PICTURES, LABELS, horizon, mark, key=jr.key(0), **changes)


@few
@given(st.sampled_from([1, 5, 9]), st.permutations(range(10)))
def test_pairs_that_stay_and_the_places_of_digits(horizon, digits):
    task = pictures_task(horizon=horizon, digits=tuple(digits), pairs=300)
    assert np.array_equal(np.array(digits)[task.place], LABELS)
    there = np.asarray(task.place)[task.image] + np.asarray(task.action) - horizon
    inside = (there >= 0) & (there < 10)
    assert inside[: int(task.kept)].all()
    assert not inside[int(task.kept) :].any()


def test_one_mean_and_one_deviation_and_a_mean_picture_for_each_place():
    digits = tuple(range(9, -1, -1))
    task = pictures_task(digits=digits)
    standard = (PICTURES - PICTURES.mean()) / PICTURES.std()
    seen = task.seen(jnp.asarray(PICTURES), jnp.full(40, 2))
    np.testing.assert_allclose(seen[:, :6], standard, atol=1e-5)
    assert np.array_equal(seen[:, 6:], np.tile(np.arange(7) == 2, (40, 1)))
    for place, digit in enumerate(digits):
        mean = standard[digit == LABELS].mean(axis=0)
        np.testing.assert_allclose(task.means[place], mean, atol=1e-5)


@pytest.mark.parametrize("mark", ["squared", "cross_entropy"])
def test_a_frame_asks_for_the_class_so_many_places_on(mark):
    task = pictures_task(mark)
    trials = jax.jit(jax.vmap(task.trial))(jr.split(jr.key(1), 200))
    shown = np.asarray(trials.inputs[:, 0])
    every = task.seen(jnp.asarray(PICTURES), jnp.zeros(40, int))[:, :6]
    which = np.abs(shown[:, None, :6] - every[None]).sum(-1).argmin(1)
    there = LABELS[which] + shown[:, 6:].argmax(1) - 3
    wanted = np.asarray(task.means) if mark == "squared" else np.eye(10)
    np.testing.assert_allclose(trials.targets[:, 0], wanted[there], atol=1e-5)
    mark = jax.vmap(lambda t, out: task.accuracy(t, Trajectory(jnp.zeros((1, 1)), out)))
    assert mark(trials, trials.targets).min() == 1
    assert mark(trials, jnp.asarray(wanted[(there + 1) % 10])[:, None]).max() == 0


def test_bytes_keep_the_pixels():
    assert np.array_equal(
        in_bytes(np.array([[[0.0, 1.0]], [[0.5, 0.2]]])), [[0, 255], [128, 51]]
    )


def test_a_network_that_knows_is_measured_so():
    """Its one unit is s + a; the place that is nearest has the largest output."""
    pixels = np.arange(10, dtype=np.uint8)[:, None]
    task = PredictImage.of(pixels, np.arange(10), 1, key=jr.key(0))
    first = jnp.concatenate([task.spread[None, None], jnp.array([[-1.0, 0.0, 1.0]])], axis=1)
    place = jnp.arange(10.0)
    net = Mlp((first, place[:, None]), (task.centre[None], -(place**2) / 2))
    found = image_measures(net, task, pixels, np.arange(10))
    assert found.accuracy == 1
    np.testing.assert_allclose(found[1:], [1, 0, 1], atol=1e-6)
    mixed = image_measures(net, task, pixels, np.array([3, 1, 0, 2, 9, 4, 8, 5, 7, 6]))
    assert mixed.accuracy < 0.6
    assert mixed.order < 0.95


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: places(np.array([0, 10]), tuple(range(10))), "label is 10.*classes 0 to 9"),
        (lambda: places(LABELS, (0,) * 10), "each of 0 to 9 once"),
        (lambda: PredictImage.of(PICTURES, LABELS % 9, 1, key=jr.key(0)), "picture of class 9"),
        (
            lambda: PredictImage.of(PICTURES, LABELS[1:], 1, key=jr.key(0)),
            "40 pictures.*39 lab",
        ),
        (lambda: pictures_task("hinge"), "'cross_entropy' or 'squared'"),
        (lambda: pictures_task(horizon=10), "1 <= A <= 9"),
        (lambda: PredictPiecewise.random(0.0, key=jr.key(0)), "a reach above 0"),
        (lambda: PredictPiecewise.random(1e9, pairs=3, key=jr.key(0)), "leave"),
    ],
)
def test_misuse_is_said(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_the_control_alone_has_its_digits_mixed():
    few_cells = predict_digits.Settings(data=("digits",), seeds=2, horizons=(1, 5, 9))
    cells = predict_digits._cells(few_cells)
    assert {c.horizon for c in cells if c.permuted} == {1, 5}
    assert sum(c.permuted for c in cells) == 4
    twice = {c[:6] for c in cells if c.replicate == 1 and not c.permuted}
    marks = ("cross_entropy", "squared")
    assert twice == {("digits", m, 0.4, 3, a, False) for m in marks for a in (1, 5)}
    assert len(set(cells)) == len(cells)


def test_without_the_file_the_smaller_set_is_learned(monkeypatch):
    def mnist(*, full=False):
        if full:
            raise FileNotFoundError
        return predict_digits.digits()

    monkeypatch.setattr(predict_digits, "mnist", mnist)
    found = predict_digits.album.__wrapped__("mnist", 100)
    assert found.seen[0].shape == (100, 64)
    assert found.new[0].dtype == np.uint8
    assert len(found.new[1]) == 360


@few
@given(st.integers(0, 9), st.floats(0.01, 1.0))
def test_a_broken_curve_is_linear_on_each_of_equal_pieces(seed, reach):
    pieces = 4
    task = PredictPiecewise.random(reach, pairs=50, pieces=pieces, width=3, key=jr.key(seed))
    assert (np.abs(task.place + task.move) <= 1).all()
    edges = np.linspace(-1.01, 1.01, pieces + 1)
    for k in range(pieces):
        inside = edges[k] + (edges[k + 1] - edges[k]) * np.linspace(0.01, 0.99, 4)
        line = np.asarray(task.slopes)[k] * inside[:, None] + np.asarray(task.biases)[k]
        np.testing.assert_allclose(task.view(jnp.asarray(inside)), line, atol=1e-5)


def test_every_pair_is_seen_before_and_after():
    task = PredictPiecewise.random(0.3, pairs=50, width=3, key=jr.key(0))
    trials = jax.jit(lambda: task.every())()
    np.testing.assert_allclose(trials.inputs[:, 0, :-1], task.view(task.place), atol=1e-6)
    np.testing.assert_allclose(trials.inputs[:, 0, -1], task.move)
    np.testing.assert_allclose(
        trials.targets[:, 0], task.view(task.place + task.move), atol=1e-6
    )


def test_layers_start_as_wide_as_their_inputs_ask():
    net = predict_recurrent.stack((50, 400), 7, 0.5, jr.key(0))
    for part, fan_in in zip(net.parts, (50,)):
        for weights, of in ((part.recurrent, 400), (part.encoder, fan_in)):
            assert np.std(weights) * of**0.5 == pytest.approx(0.5, rel=0.03)
    assert net.output_size == 7
    assert net.parts[0].dt == 1
