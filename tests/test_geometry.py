"""Clouds whose spread is known, and codes whose likeness to their latent is."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from slowpoint.analysis.geometry import (
    best_frequency,
    cka,
    class_means,
    distance_correlation,
    nc1,
    on_ring,
    order,
    participation_ratio,
    pca,
    procrustes_r2,
)
from slowpoint.analysis.map_like import Geometry, geometry


def test_axes_of_a_stretched_cloud():
    cloud = np.random.default_rng(0).standard_normal((4000, 5)) * [5.0, 2.0, 1.0, 0.1, 0.1]
    found = pca(cloud, 2)
    assert np.allclose(np.abs(found.components), np.eye(5)[:2], atol=0.05)
    assert np.allclose(found.variances, [25, 4], rtol=0.1)
    assert found.shares.sum() == pytest.approx(29 / 30.02, abs=0.01)
    assert np.allclose(found.components @ found.components.T, np.eye(2))
    assert np.allclose(found.project(found.mean + 3 * found.components[1]), [0, 3])


def test_all_components_carry_all_the_variance():
    cloud = np.random.default_rng(1).standard_normal((3, 7, 4))
    assert pca(cloud, 4).shares.sum() == pytest.approx(1)


def test_participation_ratio():
    corners = np.vstack([np.eye(6), -np.eye(6)])
    assert participation_ratio(corners) == pytest.approx(6)
    assert participation_ratio(corners[:, :1] * np.ones(6)) == pytest.approx(1)
    assert participation_ratio(np.ones((5, 3))) == 0
    assert participation_ratio(np.tile([0.1, 0.7, 0.3], (6, 1))) == 0  # means are rounded


def test_one_state_is_no_cloud():
    with pytest.raises(ValueError, match="at least two"):
        pca(np.ones((1, 3)))


def a_code(seed, d=2, units=5, classes=8, each=4):
    """States that hold the latent among much else; `(h, y, c)`."""
    rng = np.random.default_rng(seed)
    latent = rng.standard_normal((classes, d))
    c = np.repeat(np.arange(classes), each)
    h = latent[c] @ rng.standard_normal((d, units))
    return h + rng.standard_normal(h.shape), latent[c], c


SEEDS = st.integers(0, 2**32 - 1)


@settings(deadline=None, max_examples=40)
@given(
    seed=SEEDS,
    d=st.integers(1, 3),
    units=st.integers(3, 8),
    scale=st.floats(1e-3, 1e3),
    flip=st.booleans(),
)
def test_every_measure_is_blind_to_rotation_scale_and_shift(seed, d, units, scale, flip):
    h, y, c = a_code(seed, d, units)
    rng = np.random.default_rng(seed + 1)
    turn, _ = np.linalg.qr(rng.standard_normal((units, units)))
    moved = (-scale if flip else scale) * h @ turn + scale * rng.standard_normal(units)
    one, other = geometry(h, y, c), geometry(moved, y, c)
    for name in (
        "order",
        "nc1",
        "participation_ratio",
        "cka",
        "distance_correlation",
        "procrustes_r2",
    ):
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-7), name
        assert 0 < getattr(one, name) != 1


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS, units=st.integers(1, 6), shift=st.floats(-10, 10))
def test_a_line_in_any_direction_is_ordered(seed, units, shift):
    rng = np.random.default_rng(seed)
    y = rng.standard_normal(12)
    h = np.outer(y, rng.standard_normal(units)) + shift
    assert order(h, y) == pytest.approx(1, abs=1e-9)
    assert order(h, y**2) < 1 - 1e-6
    assert participation_ratio(h) == pytest.approx(1)


def test_order_looks_at_as_many_components_as_the_latent_has():
    rng = np.random.default_rng(0)
    wide, y = rng.standard_normal((2, 500))
    wide -= wide @ (y - y.mean()) / ((y - y.mean()) @ y) * y
    h = np.stack([5 * wide, y], axis=1)
    assert order(h, y) == pytest.approx(0, abs=1e-9)
    assert order(h, np.stack([y, y], axis=1)) == pytest.approx(1)


def test_order_is_of_all_columns_together():
    """Columns weigh by their variance: 1 - (0 + residual of the second) / total."""
    rng = np.random.default_rng(0)
    y = rng.standard_normal((50, 2)) * [1, 3]
    h = np.outer(y[:, 0], [1, 2, 3])  # one direction, though d = 2
    fit = np.polynomial.Polynomial.fit(y[:, 0], y[:, 1], 1)
    left = ((y[:, 1] - fit(y[:, 0])) ** 2).sum()
    total = ((y - y.mean(axis=0)) ** 2).sum()
    assert order(h, y) == pytest.approx(1 - left / total)


@settings(deadline=None, max_examples=30)
@given(c=st.lists(st.integers(-3, 6), min_size=2, max_size=30))
def test_a_code_of_the_class_alone_has_no_scatter(c):
    h = np.equal.outer(c, np.unique(c)).astype(float)
    means, labels = class_means(h, np.array(c))
    assert labels.tolist() == sorted(set(c))
    assert np.allclose(means, np.eye(len(labels)))
    if len(labels) > 1:
        assert nc1(h, np.array(c)) == pytest.approx(0, abs=1e-25)
    else:
        assert np.isnan(nc1(h, np.array(c)))


def test_scatter_by_hand_with_classes_of_two_sizes():
    h = np.array([[0.0], [2.0], [4.0], [9.0]])
    within, between = 8.0, 3 * (2 - 3.75) ** 2 + (9 - 3.75) ** 2
    assert nc1(h, np.array([0, 0, 0, 1])) == pytest.approx(within / between)


def test_classes_with_one_mean_have_no_ratio():
    h = np.array([[1.0], [-1.0], [0.1], [-0.1]]) + 0.7
    assert np.isnan(nc1(h, np.array([0, 0, 1, 1])))


@pytest.mark.parametrize("far", [1, 5])
def test_the_input_itself_is_a_tangled_code(far):
    """One-hot state and action on steps of at most 1 of a line of 20, whatever the horizon."""
    pairs = [(s, a) for s in range(20) for a in (-1, 0, 1) if 0 <= s + a < 20]
    h = np.array([[*np.eye(20)[s], *np.eye(2 * far + 1)[far + a]] for s, a in pairs])
    target = np.array(pairs).sum(axis=1)
    assert nc1(h, target) == pytest.approx(4.288, abs=5e-4)
    assert participation_ratio(h) == pytest.approx(9.640, abs=5e-4)


@pytest.mark.parametrize("d", [1, 3, 10])
def test_noise_spreads_along_all_directions(d):
    noise = np.random.default_rng(2).standard_normal((50_000, d))
    assert participation_ratio(noise) == pytest.approx(d, rel=5e-3)


def test_likeness_of_codes_that_are_equally_far_apart():
    """One-hot codes of n places on a line: CKA 1 / sqrt(n - 1), and 1 with themselves."""
    for n in (3, 8, 20):
        assert cka(np.eye(n), np.arange(n)) == pytest.approx(1 / np.sqrt(n - 1))
        assert cka(np.eye(n), np.eye(n)) == pytest.approx(1)
        assert cka(np.eye(n), on_ring(np.arange(n), n)) == pytest.approx(np.sqrt(2 / (n - 1)))


def test_distance_correlation_is_that_of_the_sums_written_out():
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((6, 3)), rng.standard_normal((6, 2))
    n = len(x)

    def apart(z):
        return np.array([[np.linalg.norm(a - b) for b in z] for a in z])

    def covariance(a, b):
        s3 = sum((a[i].sum() * b[i].sum()) for i in range(n)) / n**3
        return (a * b).sum() / n**2 + a.sum() * b.sum() / n**4 - 2 * s3

    a, b = apart(x), apart(y)
    squared = covariance(a, b) / np.sqrt(covariance(a, a) * covariance(b, b))
    assert distance_correlation(x, y) == pytest.approx(np.sqrt(squared))
    assert distance_correlation(x, -3 * x + 1) == pytest.approx(1)


def test_procrustes_is_what_a_rotation_leaves():
    """1 - the disparity of scipy's procrustes, for as many columns."""
    from scipy.spatial import procrustes

    rng = np.random.default_rng(4)
    p, y = rng.standard_normal((2, 9, 2))
    assert procrustes_r2(p, y) == pytest.approx(1 - procrustes(y, p)[2])
    wide = np.concatenate([y, 1e-3 * rng.standard_normal((9, 4))], axis=1)
    assert procrustes_r2(wide, y) == pytest.approx(1, abs=1e-4)
    other = rng.standard_normal((9, 1))
    basis, _ = np.linalg.qr(np.concatenate([np.ones((9, 1)), y], axis=1))
    other -= basis @ (basis.T @ other)  # a third direction, narrower and of nothing in y
    assert procrustes_r2(np.concatenate([y, 0.3 * other], axis=1), y) == pytest.approx(1)
    assert order(p @ np.diag([1, 3]), p) == pytest.approx(1)
    assert procrustes_r2(p @ np.diag([1, 3]), p) < 0.95  # stretching is no rotation


@pytest.mark.parametrize(("size", "f"), [(20, 1), (20, 8), (9, 4), (6, 3), (2, 1)])
def test_a_ring_may_be_ordered_at_another_frequency(size, f):
    t = np.tile(np.arange(size), 3)
    h = on_ring(f * t, size) @ np.random.default_rng(5).standard_normal((2, 7))
    found, r2 = best_frequency(h, t + size, size)
    assert found == f
    assert r2 == pytest.approx(1)
    if f > 1:
        assert order(h, on_ring(t, size)) == pytest.approx(0, abs=1e-9)


def test_what_cannot_be_measured_is_nan_and_said():
    h, y, _ = a_code(0)
    one = geometry(h, y, np.zeros(len(h), int))
    assert np.isnan([one.nc1, one.distance_correlation, one.procrustes_r2]).all()
    assert sum("one class" in line for line in one.lines()) == 3
    assert dict((row[0], row[1]) for row in one.rows())["NC1"] == "undefined"
    alone = geometry(h, np.arange(len(h)))
    assert np.isnan(alone.nc1)
    assert any("No class has two samples" in line for line in alone.lines())
    level = geometry(np.ones((6, 2)), np.arange(6) // 2)
    assert np.isnan([level.nc1, level.cka, level.distance_correlation]).all()
    assert (level.order, level.participation_ratio) == (0, 0)
    says = "\n".join(level.lines())
    for words in ("same mean", "All states are equal", "means of all classes are equal"):
        assert words in says


def test_rows_of_equal_latent_are_one_class():
    h, y, c = a_code(1)
    assert geometry(h, y).nc1 == pytest.approx(geometry(h, y, c).nc1)
    assert geometry(h, y).classes == 8


def test_distances_and_procrustes_are_of_class_means():
    h, y, c = a_code(3)
    found, means, latent = geometry(h, y), class_means(h, c)[0], class_means(y, c)[0]
    assert found.distance_correlation == pytest.approx(distance_correlation(means, latent))
    assert found.procrustes_r2 == pytest.approx(procrustes_r2(means, latent))
    assert found.distance_correlation != pytest.approx(distance_correlation(h, y), rel=1e-3)
    assert found.procrustes_r2 != pytest.approx(procrustes_r2(h, y), rel=1e-3)


def test_a_ring_in_one_result(tmp_path):
    t = np.tile(np.arange(10), 4)
    h = on_ring(3 * t, 10) + 0.01 * np.random.default_rng(6).standard_normal((40, 2))
    rounds = np.arange(40) % 3  # once more round is the same place
    found = geometry(h, t + 10 * rounds, ring=10)
    assert (found.frequency, found.classes, found.ring) == (3, 10, 10)
    assert found.frequency_r2 == pytest.approx(1, abs=1e-3)
    assert found.order < 0.01
    assert found.rows()[-1][:2] == ("best frequency", "3")
    found.save(tmp_path / "g.npz")
    again = Geometry.load(tmp_path / "g.npz")
    assert again.lines() == found.lines()
    assert np.array_equal(again.coordinates, found.coordinates)
    assert geometry(h, t).frequency is None


def test_coordinates_are_those_of_the_widest_directions():
    h, y, _ = a_code(2)
    found = geometry(h, y)
    assert np.allclose(found.coordinates, pca(h, 3).project(h))
    assert found.shares == pytest.approx(pca(h, 3).shares)


H = np.random.default_rng(7).standard_normal((6, 3))
T = np.arange(6)
HOLED = np.where(np.eye(6, 3) > 0, np.nan, H)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: order(H, np.ones(6)), r"latent is \[1\.\] in all 6 samples"),
        (lambda: order(H, np.full((6, 2), 0.1)), "nothing to be ordered by"),
        (lambda: order(H, T[:5]), "h and y have 6 and 5 samples"),
        (lambda: order(H[:1], T[:1]), "1 samples; at least 2"),
        (lambda: order(HOLED, T), r"h\[0, 0\] is nan, the first of 3"),
        (lambda: order(H, np.where(T == 4, np.inf, T)), r"y\[4, 0\] is inf"),
        (lambda: order(H[None], T), r"\(1, 6, 3\); expected \(samples, units\)"),
        (lambda: order(H[:, :0], T), "expected"),
        (lambda: order(H * 1j, T), "complex128; expected real"),
        (lambda: nc1(H, T / 2), r"c\[1\] is 0.5; expected whole"),
        (lambda: nc1(H, T[:5]), r"\(5,\); expected \(6,\)"),
        (lambda: class_means(H, np.full(6, "a")), "expected whole"),
        (lambda: cka(H, H[:5]), "X and Y have 6 and 5"),
        (lambda: distance_correlation(H, H[:5]), "X and Y have 6 and 5"),
        (lambda: procrustes_r2(H, H[:5]), "X and Y have 6 and 5"),
        (lambda: best_frequency(H, T, 1), "size is 1"),
        (lambda: best_frequency(H, 0 * T, 6), "all the same"),
        (lambda: best_frequency(H, 6 * T, 6), "all the same"),
        (lambda: geometry(H, H, ring=6), r"latent has shape \(6, 3\)"),
        (lambda: geometry(H, T, ring=0), "ring is 0"),
        (lambda: geometry(H, T, T[:5]), "labels has shape"),
        (lambda: geometry(H, T[:5]), "states and latent have 6 and 5"),
    ],
)
def test_what_makes_no_sense_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
