"""Does the decoder tell what can be told, and nothing else?"""

import inspect

import jax.random as jr
import numpy as np
import pytest
from scipy.stats import norm

from slowpoint.analysis.decode import decode

LABELS, GROUPS = np.tile([0, 1], 40), np.repeat(np.arange(40), 2)


def test_accuracy_is_that_of_two_gaussians():
    """Centroids a noise sd d apart: right with probability Phi(d / 2)."""
    for apart in (0.5, 1.0, 3.0):
        features = 0.3 * apart * LABELS[:, None] + np.array([[5.0]])
        found = decode(features, LABELS, GROUPS, noise=0.3, repeats=200, key=jr.key(0))
        assert found.accuracy == pytest.approx(norm.cdf(apart / 2), abs=0.015)


def test_noise_is_in_the_units_of_the_features():
    """A difference of 1e-3 is certain without noise, and lost in a noise of .3."""
    features = 1e-3 * LABELS[:, None] + np.ones((80, 3))
    sure = decode(features, LABELS, GROUPS, key=jr.key(0))
    assert sure.accuracy == 1.0
    lost = decode(features, LABELS, GROUPS, noise=0.3, repeats=100, key=jr.key(0))
    assert abs(lost.accuracy - 0.5) < 0.03
    some = decode(features, LABELS, GROUPS, noise=np.array([0.3, 0, 0.3]), key=jr.key(0))
    assert some.accuracy > 0.8  # one feature is seen sharply


def test_units_do_not_matter():
    """Each feature and its noise in other units: the same answers."""
    draw = np.random.default_rng(0)
    features = draw.normal(size=(80, 4)) + 0.7 * LABELS[:, None]
    units = np.array([1.0, 1e3, 1e-3, 7.0])
    plain = decode(features, LABELS, GROUPS, noise=0.2, key=jr.key(1))
    scaled = decode(features * units, LABELS, GROUPS, noise=0.2 * units, key=jr.key(1))
    assert np.array_equal(plain.examples, scaled.examples)
    assert 0.6 < plain.accuracy < 1


def test_a_whole_group_is_left_out():
    """Twins that share all and have nothing in common with others, but opposite labels."""
    features = 10.0 * (GROUPS[:, None] == np.arange(40))
    found = decode(features, LABELS, GROUPS, key=jr.key(0))
    assert found.accuracy == 0.5  # a tie in every case: the first label
    alone = decode(features, LABELS, np.arange(80), key=jr.key(0))
    assert alone.accuracy == 0.0  # the twin that stayed has the other label, and misleads


def test_one_left_out_by_hand():
    features = np.array([[0.0], [1.0], [0.2], [1.4], [2.0], [0.9]])
    labels = np.array([7, 9] * 3)
    found = decode(features, labels, np.repeat([0, 1, 2], 2), repeats=3, key=jr.key(0))
    # without pair 0: 7 at 1.1, 9 at 1.15; without 1: 1.0, .95; without 2: .1, 1.2
    assert found.examples.tolist() == [1, 0, 0, 0 + (1.4 < 0.975), 0, 1]
    assert found.accuracy == pytest.approx(2 / 6)
    assert found.repeats == pytest.approx([2 / 6] * 3)
    assert found.chance == 0.5


def test_chance_is_one_front_door():
    draw = np.random.default_rng(0).normal(size=(80, 2))
    one, same, other = (
        decode(draw, LABELS, GROUPS, noise=1.0, repeats=9, key=jr.key(k)) for k in (3, 3, 4)
    )
    assert np.array_equal(one.examples, same.examples)
    assert not np.array_equal(one.examples, other.examples)
    assert np.ptp(one.repeats) > 0  # a new noise each time


def test_constant_features_tell_nothing():
    """Nor does the rounding of their means, which differs where labels differ in number."""
    labels, groups = np.tile([0, 1, 1], 27), np.repeat(np.arange(27), 3)
    features = np.concatenate(
        [labels[:, None] + 0.0, np.broadcast_to(0.1 * np.arange(1, 40), (81, 39))], axis=1
    )
    found = decode(features, labels, groups, key=jr.key(0))
    assert found.accuracy == 1.0
    assert found.chance == 2 / 3


def test_what_is_not_finite_is_no_answer():
    features = np.ones((80, 2))
    features[3, 1] = np.inf
    found = decode(features, LABELS, GROUPS, noise=0.1, key=jr.key(0))
    assert np.isnan(found.accuracy)
    assert np.isnan(found.repeats).all()


@pytest.mark.parametrize(
    ("labels", "groups", "more", "says"),
    [
        (0 * LABELS, GROUPS, {}, "1 labels"),
        (LABELS, 0 * GROUPS, {}, "in 1 groups"),
        (LABELS, LABELS, {}, "without group 0 nothing has the label 0"),
        (LABELS, GROUPS, {"noise": -0.1}, "0 or more"),
        (LABELS, GROUPS, {"repeats": 0}, "1 or more"),
    ],
    ids=["labels", "groups", "label gone", "noise", "repeats"],
)
def test_misuse_is_told(labels, groups, more, says):
    with pytest.raises(ValueError, match=says):
        decode(np.ones((80, 2)), labels, groups, key=jr.key(0), **more)


def test_lengths_that_differ_are_told():
    plain = inspect.unwrap(decode)  # the type checker of the tests would say it first
    with pytest.raises(ValueError, match="80 examples, 79 labels"):
        plain(np.ones((80, 2)), LABELS[:-1], GROUPS, key=jr.key(0))
