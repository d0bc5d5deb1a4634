"""Are designs what they promise, and bounds and recall what is on paper?"""

import jax.random as jr
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from slowpoint.analysis.capacity import capacity, recall
from slowpoint.analysis.decorrelation import decorrelation
from slowpoint.cells.associative import Associative
from slowpoint.tasks.recall import InputOutputMaps
from slowpoint.theory import capacity as theory

M, BETA = 0.95, 4.0
THETA = theory.margin(M, BETA)


def patterns(maps, units, seed=0):
    return np.random.default_rng(seed).choice([-1.0, 1.0], (2, maps, units))


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_the_pseudo_inverse_rests_at_all_its_targets(strength):
    xi, eta = patterns(12, 40)
    weights = theory.pseudo_inverse(xi, eta, strength)
    field = M * xi @ weights.T + strength * eta
    np.testing.assert_allclose(field, THETA * xi, atol=1e-10)
    assert not np.diagonal(weights).any()
    network = Associative(weights, BETA, strength)
    velocity = np.tanh(BETA * field) - M * xi
    np.testing.assert_allclose(velocity, 0, atol=1e-10)
    found = network.velocity(M * xi[3], eta[3])
    np.testing.assert_allclose(found, velocity[3], atol=1e-6)  # in float32


def test_the_pseudo_inverse_has_the_shortest_rows():
    xi, eta = patterns(6, 15)
    weights = theory.pseudo_inverse(xi, eta)
    added = (THETA * xi - eta) / M
    for i in range(15):
        others = np.arange(15) != i
        row = np.linalg.lstsq(xi[:, others], added[:, i])[0]
        np.testing.assert_allclose(weights[i, others], row, atol=1e-10)


def test_two_blocks_meet_both_of_their_equations_but_for_the_diagonal():
    xi, eta = patterns(9, 40)
    weights = theory.two_block(xi, eta)
    whole = np.linalg.lstsq(np.vstack([M * xi, eta]), np.vstack([THETA * xi - eta, xi - eta]))[
        0
    ]
    np.testing.assert_allclose(M * xi @ whole, THETA * xi - eta, atol=1e-10)
    np.testing.assert_allclose(eta @ whole, xi - eta, atol=1e-10)
    np.testing.assert_allclose(weights + np.diag(np.diagonal(whole)), whole.T, atol=1e-12)


def test_sum_and_difference_without_crosstalk():
    xi, eta = patterns(9, 40)
    both, apart = xi + eta, xi - eta
    whole = 2 * apart.T @ np.linalg.pinv(both.T)
    np.testing.assert_allclose(both @ whole.T, 2 * apart, atol=1e-12)
    found = theory.sum_difference(xi, eta, decorrelated=True)
    plain = theory.sum_difference(xi, eta)
    assert not np.diagonal(found).any()
    assert not np.diagonal(plain).any()
    off = ~np.eye(40, dtype=bool)
    np.testing.assert_allclose(plain[off], (apart.T @ both / 40)[off], atol=1e-12)
    np.testing.assert_allclose(found[off], whole[off], atol=1e-12)


def test_hebb_sums_outer_products():
    xi, eta = patterns(5, 12)
    known = sum(np.outer(THETA * x - 0.7 * y, x) for x, y in zip(xi, eta)) / (M * 12)
    np.fill_diagonal(known, 0)
    np.testing.assert_allclose(theory.hebbian(xi, eta, 0.7), known, atol=1e-12)


def test_rows_are_as_long_as_the_formula_says():
    xi, eta = patterns(80, 400)
    found = np.linalg.norm(theory.pseudo_inverse(xi, eta), axis=1).mean()
    assert found == pytest.approx(theory.row_norm(0.2), rel=0.05)
    assert theory.row_norm(theory.equality_bound()) == pytest.approx(1, rel=1e-12)
    assert theory.row_norm(1.0) == np.inf


def test_bounds_at_known_strengths():
    known = {1.0: (0.427, 0.569), 0.5: (0.663, 0.830), 1.5: (0.268, 0.377)}
    for strength, bounds in known.items():
        found = theory.equality_bound(strength), theory.margin_bound(strength)
        assert found == pytest.approx(bounds, abs=6e-4)
        exact = 2 / (1 + strength**2)
        assert theory.margin_bound(strength, 0.0, 1.0) == pytest.approx(exact, rel=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.floats(0.01, 3), st.floats(0.01, 1.5), st.floats(-3, 3))
def test_bounds_fall_and_keep_their_order(strength, theta, k):
    excess = theory.gaussian_excess
    assert excess(k) + excess(-k) == pytest.approx(1 + k**2, rel=1e-12)
    here = theory.margin_bound(strength, theta)
    assert theory.equality_bound(strength, theta) < here
    assert theory.margin_bound(strength + 0.1, theta) < here
    assert theory.margin_bound(strength, theta + 0.1) < here


def test_the_mean_excess_is_that_of_a_sample():
    drawn = np.random.default_rng(0).standard_normal(400_000)
    for k in (-1.0, 0.3):
        sample = np.maximum(k + drawn, 0) ** 2
        error = sample.std() / len(drawn) ** 0.5
        assert abs(theory.gaussian_excess(k) - sample.mean()) < 4 * error


def test_decorrelation_tells_hebb_from_the_pseudo_inverse():
    xi, eta = patterns(10, 60)
    added, gram = xi - eta, xi @ xi.T / 60
    hebb = decorrelation(added.T @ xi / 60, xi, eta)
    free = decorrelation(added.T @ np.linalg.pinv(xi.T), xi, eta)
    assert abs(hebb.slope) < 1e-8
    assert free.slope == pytest.approx(1, abs=1e-8)
    assert free.correlation == pytest.approx(1, abs=1e-8)
    assert free.crosstalk < 1e-8 < hebb.crosstalk
    np.testing.assert_allclose(free.alignment, 1, atol=1e-8)  # J xi + eta = xi
    talk = (hebb.alignment - xi * eta) * xi
    np.testing.assert_allclose(talk, gram @ added, atol=1e-10)
    assert decorrelation(theory.pseudo_inverse(xi, eta), xi, eta).correlation > 0.9


def test_blocks_of_weights_that_are_made_of_them():
    xi, eta = patterns(4, 50)
    both, parts = np.concatenate([xi, eta]), np.array([[0.9, 1.4], [-0.9, -0.8]])
    weights = both.T @ np.kron(parts, np.eye(4)) @ both / 50
    np.testing.assert_allclose(decorrelation(weights, xi, eta).blocks, parts, atol=1e-10)
    known = (eta @ weights.T + eta) * xi
    assert decorrelation(weights, xi, eta).repulsion == pytest.approx(known.mean(), abs=1e-12)


@pytest.fixture(scope="module")
def good():
    """Weights that recall three maps from anywhere."""
    maps = InputOutputMaps.random(3, 60, key=jr.key(4))
    weights = theory.two_block(maps.targets, maps.inputs)
    return Associative(weights), maps


def test_recall_of_a_good_design_and_of_none(good):
    network, maps = good
    found = recall(network, maps, key=jr.key(0))
    assert found.fraction() == 1
    assert found.settled.all()
    assert found.overlap.shape == (3, 3)
    np.testing.assert_allclose(
        found.overlap, (found.ends * np.asarray(maps.targets)).mean(axis=2), atol=1e-6
    )
    nothing = Associative(np.zeros((60, 60)))
    assert recall(nothing, maps, key=jr.key(0)).fraction() == 0


def test_recall_does_not_depend_on_the_order_of_maps(good):
    network, maps = good
    mixed = InputOutputMaps(maps.targets[::-1], maps.inputs[::-1])
    ours, theirs = (recall(network, m, key=jr.key(1)) for m in (maps, mixed))
    np.testing.assert_allclose(ours.overlap, theirs.overlap[:, ::-1], atol=1e-12)


def test_a_state_that_circles_has_not_settled():
    turn = np.array([[0.0, -1.5], [1.5, 0.0]])
    maps = InputOutputMaps(np.array([[1.0, 1.0]]), np.array([[1.0, -1.0]]))
    found = recall(Associative(turn, 4.0, 0.0), maps, key=jr.key(0))
    assert not found.settled.any()
    assert found.fraction() == 0


def test_capacity_is_the_largest_load_that_is_recalled():
    assert capacity(np.array([5, 10, 20, 30]), np.array([1.0, 0.95, 0.9, 0.3])) == 20
    assert capacity(np.array([5, 10]), np.array([0.2, 0.1])) == 0


def test_bad_input_is_named():
    xi, eta = patterns(20, 40)
    maps = InputOutputMaps(xi, eta)
    for call, says in (
        (lambda: theory.two_block(xi, eta), "fewer than 20 maps"),
        (lambda: theory.pseudo_inverse(*patterns(39, 40)), "fewer than 39 maps"),
        (lambda: theory.hebbian(xi, eta[:3]), r"\(20, 40\), inputs \(3, 40\)"),
        (lambda: theory.margin(1.0), "0 < m < 1"),
        (lambda: decorrelation(np.zeros((3, 3)), xi, eta), r"\(unit, unit\)"),
        (lambda: decorrelation(np.zeros((40, 40)), xi[:1], eta[:1]), "2 or more"),
        (lambda: recall(Associative(np.zeros((3, 3))), maps, key=jr.key(0)), "40 units"),
        (
            lambda: recall(Associative(np.zeros((40, 40))), maps, key=jr.key(0), counted=200.0),
            "0 < counted",
        ),
        (lambda: InputOutputMaps(xi, eta[:, :7]), r"inputs \(20, 7\)"),
        (lambda: InputOutputMaps(0.5 * xi, eta), "numpy.sign"),
        (lambda: Associative(np.eye(3)), "fill_diagonal"),
        (lambda: Associative(np.zeros((3, 3)), gain=-1.0), "beta above 0"),
        (lambda: Associative(np.zeros((3, 3)), strength=-1.0), "0 or more"),
        (lambda: Associative(np.zeros((3, 3)), dt=1.0), "below 1"),
    ):
        with pytest.raises(ValueError, match=says):
            call()
    with pytest.warns(UserWarning, match="1 targets stand there already and 0"):
        InputOutputMaps(np.concatenate([xi, xi[:1]]), np.concatenate([eta, -eta[:1]]))
    with pytest.warns(UserWarning, match="0 targets stand there already and 2"):
        InputOutputMaps(xi, np.concatenate([xi[:2], eta[2:]]))
