"""Contours against circles and lines whose distance is on paper."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from slowpoint.analysis.contours import (
    agreement,
    contour_error,
    ContourError,
    evenly,
    to_segments,
    zero_contour,
)

BOX = (np.array([-2.0, -2.0]), np.array([2.0, 2.0]))
UP = np.linspace(-3, 3, 601)


def line(x):
    """The truth at this x, longer than the box."""
    return np.stack([np.full(601, float(x)), UP], axis=1)


def circle(radius):
    angles = np.linspace(0, 2 * np.pi, 2001)
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_a_circle_against_itself():
    found = contour_error(lambda z: (z**2).sum(axis=1) - 1, circle(1.0), BOX)
    assert found.components == 1
    sag = 2 * 0.02**2 / 8  # of a chord as long as a cell's diagonal
    assert 0.1 * sag < found.p95 < sag
    assert found.back_p95 < sag
    assert (found.missed, found.false, found.code) == (0, 0, 0)


def test_a_circle_too_large():
    found = contour_error(lambda z: (z**2).sum(axis=1) - 1.21, circle(1.0), BOX)
    for distance in (found.median, found.p95, found.back_median, found.back_p95):
        assert distance == pytest.approx(0.1, abs=1e-4)
    assert (found.missed, found.false) == (1, 1)


@pytest.mark.parametrize("resolution", [5, 50, 201])
@pytest.mark.parametrize("shift", [0.0, 0.3, 0.0123])
def test_a_line_costs_nothing_on_any_grid(resolution, shift):
    """Measured to segments: to vertices the coarse grid would be .5 off."""
    found = contour_error(lambda z: z[:, 0] - shift, line(0), BOX, resolution=resolution)
    near = 4 / (resolution - 1) / 2**16  # what the bisection leaves
    assert found.median == pytest.approx(shift, abs=near)
    assert found.back_p95 == pytest.approx(shift, abs=near)
    assert found.components == 1
    assert len(found.to_contour) == 401  # the truth outside the box does not count


def test_a_field_that_saturates_has_the_same_zeros():
    slanted = lambda z: z[:, 0] + 0.3 * z[:, 1] - 0.013
    plain, steep = (contour_error(f, _slanted(), BOX) for f in (slanted, _steep(slanted)))
    assert plain.p95 < 1e-6
    assert steep.p95 < 1e-4  # interpolated between saturated values: half a cell, .01


def _slanted():
    return np.stack([0.013 - 0.3 * UP, UP], axis=1)


def _steep(field):
    return lambda z: np.where(field(z) > 0, 1.0, -0.3)


def test_a_false_piece_and_a_missing_one():
    two, one = (lambda z: z[:, 0] * (z[:, 0] - 1)), (lambda z: z[:, 0])
    found = contour_error(two, line(0), BOX)
    assert (found.components, found.missed) == (2, 0)
    assert found.false == pytest.approx(0.5, abs=0.002)
    assert found.p95 < 1e-6
    assert found.back_p95 == pytest.approx(1, abs=1e-6)
    gap = np.full((1, 2), np.nan)
    found = contour_error(one, np.vstack([line(0), gap, line(1)]), BOX)
    assert (found.components, found.missed, found.false) == (1, 0.5, 0)
    assert found.p95 == pytest.approx(1, abs=1e-6)
    assert "50.0% of the truth is missed" in found.message


def test_pieces_of_the_truth_are_not_joined():
    truth = np.vstack([line(-1), np.full((1, 2), np.nan), line(1)])
    found = contour_error(lambda z: z[:, 0], truth, BOX)
    assert np.allclose(found.to_truth, 1)


def test_shares_are_of_length_not_of_segments():
    """A wiggle has many short segments: 2 pi .1 of false circle beside 4 of true line."""
    ring = lambda z: ((z - [1.0, 0.0]) ** 2).sum(axis=1) - 0.01
    found = contour_error(lambda z: z[:, 0] * ring(z), line(0), BOX)
    share = 0.2 * np.pi / (4 + 0.2 * np.pi)
    assert found.false == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize(
    ("field", "says"),
    [
        (lambda z: 1 + z[:, 0] ** 2, "positive all over"),
        (lambda z: -1 - z[:, 0] ** 2, "nowhere positive"),
        (lambda z: np.full(len(z), np.nan), "finite nowhere"),
        (lambda z: np.where(np.abs(z[:, 0]) < 0.1, np.nan, z[:, 0]), "where they meet"),
    ],
    ids=["positive", "negative", "nan", "gap"],
)
def test_no_zero_set_is_infinitely_far(field, says, tmp_path):
    found = contour_error(field, line(0), BOX)
    assert found.median == found.p95 == found.back_median == np.inf
    assert (found.components, found.missed) == (0, 1)
    assert np.isnan(found.false)
    assert says in found.message
    found.save(tmp_path / "a.npz")
    assert says in ContourError.load(tmp_path / "a.npz").message


def test_a_field_that_is_nan_in_places():
    hole = lambda z: np.where(z[:, 1] > 1, np.nan, z[:, 0])
    found = contour_error(hole, line(0), BOX)
    assert found.components == 1
    assert found.back_p95 < 1e-6
    assert found.missed == pytest.approx(0.25, abs=0.01)


def test_polylines_of_two_circles():
    rings = lambda z: np.minimum(*(((z - [c, 0]) ** 2).sum(axis=1) - 0.25 for c in (-1, 1)))
    lines = zero_contour(rings, BOX)
    assert len(lines) == 2
    for ring in lines:
        assert np.allclose(ring[0], ring[-1])
        assert np.linalg.norm(np.diff(ring, axis=0), axis=1).sum() == pytest.approx(np.pi, 1e-3)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_distance_to_segments_by_brute_force(seed):
    draw = np.random.default_rng(seed)
    points, segments = draw.normal(size=(5, 2)), draw.normal(size=(4, 2, 2))
    segments[0, 1] = segments[0, 0]  # a lone point
    share = np.linspace(0, 1, 2001)[:, None]
    dense = np.concatenate([a + share * (b - a) for a, b in segments])
    brute = np.linalg.norm(points[:, None] - dense, axis=2).min(axis=1)
    found = to_segments(points, segments)
    assert np.all(found <= brute + 1e-12)
    assert np.allclose(found, brute, atol=0.005)


def test_points_evenly_along_a_corner():
    corner = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 3.0]])
    assert np.allclose(evenly(corner, 1.0), [[0.5, 0], [1, 0.5], [1, 1.5], [1, 2.5]])


def test_agreement():
    states = np.array([[-1.0], [-2.0], [1.0], [2.0], [3.0], [0.0]])
    value = lambda z: z[:, 0]
    two = np.array([0, 0, 1, 1, 0, -1])
    assert agreement(value, states, two) == pytest.approx(4 / 5)
    assert agreement(value, states, two, positive=0) == pytest.approx(1 / 5)
    three = np.array([0, 1, 2, 2, 1, -1])
    assert agreement(value, states, three, positive=2) == pytest.approx(4 / 5)
    assert agreement(value, states, three, positive=2, negative=0) == 1
    assert agreement(value, states, np.array([0, 0, 1, 1, 1, 1])) == pytest.approx(5 / 6)
    assert np.isnan(agreement(value, states, np.full(6, -1)))
    nan = lambda z: np.full(len(z), np.nan)
    assert agreement(nan, states, two) == 0
    with pytest.raises(ValueError, match="positive=2"):
        agreement(value, states, three)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"truth_points": line(9)}, "None of 601 true points"),
        ({"box": (BOX[1], BOX[0])}, "lowest, highest"),
        ({"resolution": 1}, "resolution=1"),
        ({"value": lambda z: z}, "one number|returns"),
    ],
    ids=["truth", "box", "grid", "value"],
)
def test_misuse(change, says):
    given = {"value": lambda z: z[:, 0], "truth_points": line(0), "box": BOX} | change
    with pytest.raises(ValueError, match=says):
        contour_error(**given)
