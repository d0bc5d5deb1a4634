"""Crossings of cubics against their roots; scores of fields whose error is on paper."""

import jax.random as jr
import numpy as np
import pytest

from slowpoint.analysis import curve_test as subject
from slowpoint.analysis.curve_test import crossings, curve_test, zeros
from slowpoint.analysis.curves import Curves, even_curves, hermite_curves

A, B = np.array([-1.0, 0.3]), np.array([1.0, -0.2])
EDGES = [-0.5, 0.31]


def side(z):
    return (z[:, 0] > 0).astype(int)


def bands(z):
    """0, 1, 2 from left to right."""
    return np.digitize(z[:, 0], EDGES)


def straight(points=100, count=3):
    """Curves along the line from (-1, 0) to (1, 0)."""
    a, b = np.array([-1.0, 0.0]), np.array([1.0, 0.0])
    return hermite_curves(a, b, count=count, points=points, spread=0.0, key=jr.key(0))


@pytest.fixture(scope="module")
def curves():
    return hermite_curves(A, B, count=200, spread=2.0, key=jr.key(4))


@pytest.fixture(scope="module")
def wild():
    """Some cross three times."""
    return hermite_curves(A, B, count=200, spread=10.0, key=jr.key(4))


def roots_of(curves, level=0.0):
    """(curve, alpha) of every place where the first coordinate is `level`, by np.roots."""
    found = []
    for i, c in enumerate(curves.coefficients[:, :, 0]):
        roots = np.roots((c - [level, 0, 0, 0])[::-1])
        real = np.sort(roots[np.abs(roots.imag) < 1e-12].real)
        found += [(i, r) for r in real if 0 <= r <= 1]
    return np.array(found)


def test_curves_are_hermite_cubics(curves):
    """The formula of the paper, its tangents read back from the curve."""
    t = np.array([0.0, 0.123, 0.5, 0.9, 1.0])
    for i in range(5):
        m0 = curves.coefficients[i, 1]
        m1 = curves.coefficients[i, 1:].T @ [1, 2, 3]
        known = np.outer(2 * t**3 - 3 * t**2 + 1, A) + np.outer(-2 * t**3 + 3 * t**2, B)
        known += np.outer(t**3 - 2 * t**2 + t, m0) + np.outer(t**3 - t**2, m1)
        assert np.allclose(curves.at(np.full(5, i), t), known)
    assert np.allclose(curves.states[:, 0], A)
    assert np.allclose(curves.states[:, -1], B)
    assert curves.states.shape == (200, 100, 2)


@pytest.mark.parametrize("kind", ["drawn", "even"])
def test_tangents_have_the_stated_spread(kind, curves):
    if kind == "even":
        curves = even_curves(A, B, count=255, spread=2.0)
    first = curves.coefficients[:, 1]
    last = np.einsum("k,cks->cs", [1, 2, 3], curves.coefficients[:, 1:])
    scatter = (np.stack([first, last], axis=1) - 1.4 * (B - A)).reshape(len(first), -1) / 2
    off, scale = (0.05, 0.1) if kind == "even" else (0.3, 0.3)
    assert np.abs(scatter.mean(axis=0)).max() < off
    assert np.abs(np.cov(scatter.T) - np.eye(4)).max() < scale


def test_the_same_key_the_same_curves(curves):
    again = hermite_curves(A, B, count=200, spread=2.0, key=jr.key(4))
    other = hermite_curves(A, B, count=200, spread=2.0, key=jr.key(5))
    assert (again.coefficients == curves.coefficients).all()
    assert (other.coefficients[:, 1] != curves.coefficients[:, 1]).all()
    even = [even_curves(A, B, spread=2.0).coefficients for _ in range(2)]
    assert (even[0] == even[1]).all()


def test_no_even_curve_leaves_for_a_far_corner():
    many = even_curves(np.zeros(64), np.ones(64), count=63, spread=1.0)
    length = np.linalg.norm(many.coefficients[:, 1] - 1.4, axis=1)
    assert length.max() < 1.6 * np.sqrt(64)  # the corner would be 2.4


def test_lengths_by_brute_force(curves):
    row, low, high = np.arange(50), np.full(50, 0.2), np.full(50, 0.21)
    dense = np.linspace(0.2, 0.21, 400)
    states = np.stack([curves.at(row, np.full(50, t)) for t in dense], axis=1)
    brute = np.linalg.norm(np.diff(states, axis=1), axis=2).sum(axis=1)
    assert np.allclose(curves.lengths(row, low, high), brute, rtol=1e-4)


def test_every_root_is_found_to_the_width(wild):
    found, known = crossings(wild, side, width=1e-8), roots_of(wild)
    assert len(known) > 210
    assert (found.curve == known[:, 0]).all()
    assert np.abs(found.alphas - known[:, 1]).max() < 1e-8
    assert np.abs(found.states[:, 0]).max() < 1e-8
    assert found.widths.max() <= 1e-8
    assert found.sharp.all()
    assert (found.counts == np.bincount(known[:, 0].astype(int), minlength=200)).all()
    assert (np.abs(found.before - found.after) == 1).all()
    assert found.undecided == 0


def test_all_brackets_are_asked_in_few_calls(curves):
    sizes = []

    def counted(z):
        sizes.append(len(z))
        return side(z)

    found = crossings(curves, counted, width=1e-6)
    assert 4 <= len(sizes) <= 5
    assert sum(sizes) == found.asked
    assert max(sizes[1:]) <= 24 * len(found.curve)


def test_a_basin_thinner_than_the_grid_is_found_in_a_bracket():
    found = crossings(straight(points=3, count=1), bands, width=1e-7)
    assert found.labels.tolist() == [[0, 1, 2]]
    coarse = crossings(straight(points=2, count=1), bands, width=1e-7)
    assert coarse.labels.tolist() == [[0, 2]]
    for seen in (found, coarse):
        assert np.allclose(seen.states[:, 0], EDGES, atol=1e-7)
        assert seen.before.tolist() == [0, 1]
        assert seen.after.tolist() == [1, 2]


def test_undecided_is_no_basin():
    doubt = lambda z: np.where(np.abs(z[:, 0] - 0.1) < 0.05, -1, z[:, 0] > 0.1).astype(int)
    found = crossings(straight(), doubt, width=1e-6)
    assert found.counts.tolist() == [1, 1, 1]
    assert ((found.before == 0) & (found.after == 1)).all()
    assert not found.sharp.any()
    assert ((found.widths >= 0.1) & (found.widths < 0.2)).all()
    assert np.allclose(found.states[:, 0], 0.1, atol=0.05)
    assert found.undecided > 0
    assert "undecided" in found.message
    assert "3 of them not to 1e-06" in found.message


def test_nothing_decided_nothing_found(curves):
    found = crossings(curves, lambda z: np.full(len(z), -2), width=1e-6)
    assert len(found.curve) == 0
    assert found.undecided == found.asked == 200 * 100


def test_no_width_is_too_small_to_end():
    found = crossings(straight(), side, width=1e-300)
    assert found.widths.max() < 1e-15


def test_a_fractal_boundary_ends(monkeypatch):
    monkeypatch.setattr(subject, "MANY", 1000)
    noise = lambda z: (np.floor(z[:, 0] * 1e9) % 7 % 2).astype(int)
    found = crossings(straight(), noise, width=1e-9)
    assert not found.sharp.all()
    assert (np.diff(found.curve) >= 0).all()


def test_a_saved_curve_is_the_same_curve(tmp_path, curves):
    curves.save(tmp_path / "a.npz")
    assert (Curves.load(tmp_path / "a.npz").states == curves.states).all()


def test_the_right_field(curves, wild):
    """The paper's R² is right where all cross once, and blames the truth where some do not.

    Two of the curves that cross once come so near elsewhere that |psi| is least there.
    """
    for many in (curves, wild):
        score = curve_test(lambda z: z[:, 0] ** 3 + z[:, 0], many, _truth(side, many))
        assert score.distances.max() < 1e-6
        assert (score.missed, score.extra) == (0, 0)
        assert score.agreement == 1
        assert score.decided == 200 * 100
        assert np.median(np.abs(score.alpha_psi - score.alpha_true)) < 0.005
        if many is curves:
            assert score.r_squared == score.r_squared_single > 0.999
        else:
            assert (score.crossings == 3).sum() > 5
            known = roots_of(many)
            first = known[np.unique(known[:, 0], return_index=True)[1], 1]
            assert np.abs(score.alpha_true - first).max() < 1e-6
            assert score.r_squared < score.r_squared_single < 0.99


def test_the_wrong_sign(curves):
    truth = crossings(curves, side, width=1e-6)
    assert curve_test(lambda z: -z[:, 0], curves, truth).agreement == 0
    assert curve_test(lambda z: -z[:, 0], curves, truth, positive=0).agreement == 1


@pytest.mark.parametrize("shift", [0.1, -0.37])
def test_a_shifted_plane_is_off_by_its_shift(shift):
    line = straight(points=1001)
    score = curve_test(
        lambda z: np.tanh(z[:, 0] - shift), line, crossings(line, side, width=1e-9)
    )
    assert np.allclose(score.distances, abs(shift) / 2, atol=1e-8)
    assert score.median == pytest.approx(abs(shift) / 2, abs=1e-8)
    assert score.agreement == pytest.approx(1 - abs(_alpha(shift) - 0.5), abs=1e-3)
    assert np.allclose(score.alpha_psi, _alpha(shift), atol=1e-3)
    assert np.allclose(score.alpha_true, 0.5)


def _alpha(x):
    """Where the straight curve is at `x`, by the roots of its cubic."""
    line = straight(count=1)
    return roots_of(line, x)[0, 1]


def test_r_squared_by_hand():
    """Three straight curves of different ends: alpha .5 against the points seen."""
    ends = np.array([[1.0, 0.0], [3.0, 0.0], [7.0, 0.0]])
    rows = np.zeros((3, 4, 2))
    rows[:, 0], rows[:, 1] = [-1.0, 0.0], ends + np.eye(2)[0]  # crossing at 1/2, 1/4, 1/8
    line = Curves(rows, np.array([0.0, 0.13, 0.28, 0.5, 1.0]))
    truth = crossings(line, side, width=1e-9)
    score = curve_test(lambda z: z[:, 0], line, truth)
    assert np.allclose(score.alpha_true, [1 / 2, 1 / 4, 1 / 8], atol=1e-8)
    assert score.alpha_psi.tolist() == [0.5, 0.28, 0.13]
    known = np.array([1 / 2, 1 / 4, 1 / 8])
    late = curve_test(lambda z: z[:, 0] - 2, line, truth)  # beyond the end of the first
    assert np.allclose(late.distances, [np.inf, 2 / 4, 2 / 8], atol=1e-8)
    share = (0.03**2 + 0.005**2) / ((known - known.mean()) ** 2).sum()
    assert score.r_squared == score.r_squared_single == pytest.approx(1 - share, abs=1e-6)


def test_three_basins_one_against_the_rest():
    line = straight()
    truth = crossings(line, bands, width=1e-8)
    right = curve_test(lambda z: z[:, 0] - EDGES[1], line, truth)  # 2 is the common end
    assert right.agreement == 1
    assert right.crossings.tolist() == [1, 1, 1]
    assert right.p90 < 1e-8
    left = curve_test(lambda z: EDGES[0] - z[:, 0], line, truth, positive=0)
    assert left.agreement == 1
    assert left.decided == 300
    pair = curve_test(lambda z: z[:, 0] + 0.5, line, truth, positive=1, negative=0)
    assert pair.agreement == 1
    assert pair.decided < 300
    assert pair.p90 < 1e-8
    never = curve_test(lambda z: z[:, 0], line, truth, positive=2, negative=0)
    assert never.crossings.tolist() == [0, 0, 0]
    assert never.extra == 3
    assert np.isnan(never.r_squared)
    assert np.isnan(never.median)


def test_undecided_points_do_not_count():
    doubt = lambda z: np.where(np.abs(z[:, 0]) < 0.2, -1, z[:, 0] > 0).astype(int)
    line = straight()
    score = curve_test(lambda z: z[:, 0] - 0.1, line, crossings(line, doubt, width=1e-6))
    assert score.agreement == 1
    assert 0 < score.decided < 300


def test_a_field_without_zeros_is_infinitely_far(curves):
    truth = crossings(curves, side, width=1e-6)
    score = curve_test(lambda z: 1 + z[:, 0] ** 2, curves, truth)
    assert score.median == score.p90 == np.inf
    assert score.missed == len(truth.curve)
    assert score.zeros.sum() == 0
    assert score.agreement == pytest.approx((truth.labels == 1).mean())


def test_a_field_of_nan(curves):
    score = curve_test(
        lambda z: np.full(len(z), np.nan), curves, crossings(curves, side, width=1e-6)
    )
    assert score.agreement == 0
    assert np.isnan(score.alpha_psi).all()
    assert score.median == np.inf


def test_zeros_are_changes_of_sign(curves):
    touching = zeros(curves, lambda z: z[:, 0] ** 2, width=1e-6)
    assert len(touching.curve) == 0
    assert np.allclose(zeros(curves, lambda z: z[:, 0], width=1e-9).states[:, 0], 0, atol=1e-8)


def test_where_a_field_turns_into_nan_it_has_no_zero():
    half = lambda z: np.where(z[:, 0] > 0.5, np.nan, z[:, 0])
    assert zeros(straight(), half, width=1e-6).counts.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("action", "says"),
    [
        (lambda: hermite_curves(A, A, spread=1.0, key=jr.key(0)), "two different states"),
        (lambda: even_curves(A, B, spread=1.0, points=1), "points=2"),
        (lambda: even_curves(A, B, spread=1.0, count=0), "count=1"),
        (lambda: crossings(straight(), side, width=0.0), "width=0"),
        (lambda: crossings(straight(), lambda z: z[:, 0], width=1e-6), "float64"),
        (lambda: crossings(straight(), lambda z: 1, width=1e-6), "one whole number each"),
        (lambda: curve_test(lambda z: z, straight(), _truth(side)), "vmap"),
        (lambda: curve_test(side, straight(), _truth(lambda z: side(z) - 2)), "positive=1"),
    ],
    ids=["ends", "points", "count", "width", "float", "shape", "value", "end"],
)
def test_misuse(action, says):
    with pytest.raises(ValueError, match=says):
        action()


def _truth(label, curves=None):
    return crossings(curves or straight(), label, width=1e-6)
