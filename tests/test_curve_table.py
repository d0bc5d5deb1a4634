"""Fields whose zeros are known, on curves whose crossings are known."""

import dataclasses

import jax.random as jr
import numpy as np
import pytest

from slowpoint.analysis.curve_table import curve_table, stacked
from slowpoint.analysis.curve_test import crossings, gaps
from slowpoint.analysis.curves import hermite_curves
from slowpoint.analysis.mountain_pass import mountain_pass
from slowpoint.analysis.pullback import Hyperplane, Pullback, PulledBack
from slowpoint.core.precision import float64
from slowpoint.worlds.bistable import Bistable

A, B = np.array([-1.0, 0.0]), np.array([1.0, 0.0])
SHIFT = 0.1


def shifted(edge):
    """1 where the first coordinate exceeds `edge`."""
    return lambda states: (states[:, 0] > edge).astype(int)


@pytest.fixture(scope="module")
def bistable():
    around = mountain_pass(Bistable(2, 0), np.zeros(2))
    plane = Hyperplane().make(around, None).field
    assert isinstance(plane, PulledBack)
    with float64():
        off = dataclasses.replace(plane, saddle=plane.saddle.at[0].set(SHIFT))
    fields = [plane, Pullback(0.5).make(around, None).field, off]
    # straight lines, so that the distance along the curve is the shift itself
    curves = hermite_curves(A, B, count=7, spread=1e-12, key=jr.key(0))
    truth = crossings(curves, shifted(0.0), width=1e-9)
    up = int(around.ends[1, 0] > 0)
    return fields, curves, truth, {"positive": up, "negative": 1 - up}


def test_exact_fields_have_no_distance_and_a_shifted_one_has_its_shift(bistable):
    fields, curves, truth, sides = bistable
    table = curve_table(fields, curves, truth, **sides)
    assert table.distances.shape == (3, 7)
    np.testing.assert_allclose(table.median, [0, 0, SHIFT / 2], atol=1e-8)
    np.testing.assert_allclose(table.p90, [0, 0, SHIFT / 2], atol=1e-8)
    states = curves.states[..., 0]
    wrong = ((states > 0) & (states < SHIFT)).mean()
    np.testing.assert_allclose(table.agreement, [1, 1, 1 - wrong])
    assert table.crossings == table.single == 7
    assert not table.missed.any()
    assert not table.extra.any()


def test_a_third_label_does_not_count(bistable):
    fields, curves, _, sides = bistable
    three = lambda states: np.where(states[:, 0] < -0.5, 7, shifted(0.0)(states))
    table = curve_table(fields, curves, crossings(curves, three, width=1e-9), **sides)
    assert table.crossings == 7
    assert table.distances.shape == (3, 7)
    np.testing.assert_allclose(table.agreement[:2], 1)


def test_no_field_is_an_empty_table(bistable):
    _, curves, truth, sides = bistable
    table = curve_table([], curves, truth, **sides)
    assert table.median.shape == (0,)
    assert table.distances.shape == (0, 7)


def test_tables_are_stacked_with_nan_where_there_are_fewer_crossings(bistable):
    fields, curves, truth, sides = bistable
    long = curve_table(fields, curves, truth, **sides)
    few = hermite_curves(A, B, count=4, spread=1e-12, key=jr.key(1))
    short = curve_table(fields, few, crossings(few, shifted(0.0), width=1e-9), **sides)
    both = stacked([long, short])
    assert both.median.shape == (2, 3)
    assert both.distances.shape == (2, 3, 7)
    assert np.isnan(both.distances[1, :, 4:]).all()
    np.testing.assert_array_equal(both.distances[0], long.distances)
    assert both.crossings.tolist() == [7, 4]
    twice = stacked([both, both])
    assert twice.median.shape == (2, 2, 3)


def test_a_table_comes_back_from_its_file(bistable, tmp_path):
    fields, curves, truth, sides = bistable
    table = stacked([curve_table(fields, curves, truth, **sides)])
    table.save(tmp_path / "t.npz")
    again = type(table).load(tmp_path / "t.npz")
    for name in ("median", "distances", "crossings"):
        np.testing.assert_array_equal(getattr(again, name), getattr(table, name))


def test_gaps_between_two_boundaries(bistable):
    _, curves, truth, _ = bistable
    other = crossings(curves, shifted(SHIFT), width=1e-9)
    np.testing.assert_allclose(gaps(truth, other, curves), SHIFT / 2, atol=1e-8)
    nothing = crossings(curves, lambda states: np.zeros(len(states), int), width=1e-9)
    assert np.isinf(gaps(truth, nothing, curves)).all()
    assert gaps(nothing, truth, curves).shape == (0,)


def test_gaps_stay_on_their_curve():
    # two curves that cross at different places; the other curve's crossing is nearer
    curves = hermite_curves(A, B, count=2, spread=2.0, key=jr.key(2))
    first = crossings(curves, shifted(0.0), width=1e-9)
    own = dataclasses.replace(first, curve=first.curve[::-1])
    assert (gaps(first, own, curves) > 0.01).all()
