"""Do the experiments on repeated learning measure what they say?"""

import dataclasses

import jax.random as jr
import numpy as np
import pytest
from scipy.optimize import brentq

from slowpoint.analysis.decorrelation import decorrelation
from slowpoint.analysis.events import FOLD, HOPF
from slowpoint.cells.associative import Associative
from slowpoint.experiments import (
    sequential_bifurcation as bifurcation,
    sequential_capacity as capacity,
    sequential_ceiling as ceiling,
    sequential_forgetting as forgetting,
    sequential_images as images,
    sequential_size as size,
    sequential_structure as structure,
)
from slowpoint.learning.plasticity import learn_sequence
from slowpoint.tasks.recall import InputOutputMaps

BETA = 4.0


def verdicts(claims):
    return {claim.says: claim.verdict("full") for claim in claims}


# ---------------------------------------------------------------- how memories end


def test_a_ring_that_inhibits_ends_in_a_hopf_point():
    """Slope g = 4 (1 - y^2): rates -1 - g exp(2 pi i k / 3), so g = 2, turning at sqrt 3."""
    ring = Associative(-np.roll(np.eye(3), 1, axis=1), BETA)
    ones, y = np.ones(3), np.sqrt(0.5)
    kind, strength, turning, rate, overlap, residual, last = bifurcation._fate(
        ring, ones, ones, 0.25
    )
    assert kind == HOPF
    assert strength == pytest.approx(y + np.arctanh(y) / BETA, abs=1e-9)
    assert turning == pytest.approx(np.sqrt(3), abs=1e-8)
    start = brentq(lambda y: np.tanh(BETA * (1 - y)) - y, 0, 1, xtol=1e-14)
    assert overlap == pytest.approx(start, abs=1e-9)
    assert rate == pytest.approx(-1 + BETA * (1 - start**2) / 2, abs=1e-8)
    assert residual < 1e-10
    assert np.isnan(last)


def pair(coupling, inhibition):
    """Two units that excite each other, under a third that only sees the input."""
    weights = np.zeros((3, 3))
    weights[0, 1] = weights[1, 0] = coupling
    weights[:2, 2] = -inhibition
    return Associative(weights, BETA)


def test_a_pair_under_inhibition_ends_in_a_fold():
    """y = tanh(4 (a y + d)) folds at slope 4 a (1 - y^2) = 1; d = s - c tanh(4 s)."""
    a, c, ones = 0.6, 0.8, np.ones(3)
    y = np.sqrt(1 - 1 / (BETA * a))
    edge = np.arctanh(y) / BETA - a * y
    known = brentq(lambda s: s - c * np.tanh(BETA * s) - edge, 0.5, 1, xtol=1e-14)
    kind, strength, _, rate, overlap, _, last = bifurcation._fate(pair(a, c), ones, ones, 0.25)
    assert kind == FOLD
    assert strength == pytest.approx(known, abs=1e-8)
    assert rate < 0 < overlap
    assert np.isnan(last)


def test_a_pair_that_holds_itself_survives_to_zero_input():
    a, ones = 0.6, np.ones(3)
    kind, strength, *_, last = bifurcation._fate(pair(a, 0.0), ones, ones, 0.25)
    y = brentq(lambda y: np.tanh(BETA * a * y) - y, 0.5, 1, xtol=1e-14)
    assert (kind, strength) == (bifurcation.NONE, 0.0)
    assert last == pytest.approx(2 * y / 3, abs=1e-9)  # the third unit is at 0


# ---------------------------------------------------------------- what weights look like


def test_silence_without_weights_is_one_stable_point():
    maps = InputOutputMaps.random(4, 12, key=jr.key(0))
    nothing = Associative(np.zeros((12, 12)))
    speeds, near, points, stable, closest, residual = structure._silence(
        nothing, maps, 5, jr.key(1)
    )
    np.testing.assert_allclose(speeds, 1)  # the leak alone, from every target
    assert (int(near), int(points), int(stable)) == (0, 1, 1)
    assert closest < 1e-10 > residual


def test_silence_finds_the_memory_of_an_outer_product():
    """J = 2 (xi xi' - 1) / N: the target itself is near a stable point, another is not."""
    maps = InputOutputMaps.random(2, 12, key=jr.key(2))
    xi = np.asarray(maps.targets, float)
    weights = 2 / 12 * (np.outer(xi[0], xi[0]) - np.eye(12))
    speeds, near, _, stable, closest, _ = structure._silence(
        Associative(weights), maps, 5, jr.key(3)
    )
    y = brentq(lambda y: np.tanh(BETA * 2 * 11 / 12 * y) - y, 0.5, 1, xtol=1e-14)
    assert int(near) == 1
    assert stable in (1, 2)  # and its mirror image, if a guess led there
    assert closest == pytest.approx(y, abs=1e-9)
    assert speeds[0] == pytest.approx(1 - np.tanh(BETA * 2 * 11 / 12), abs=1e-12)


def test_measures_stand_in_the_order_of_their_names():
    chance = np.random.default_rng(0)
    xi, eta = chance.choice([-1.0, 1.0], (2, 3, 10))
    found = decorrelation(0.3 * chance.normal(size=(10, 10)), xi, eta)
    measured = dict(zip(structure.MEASURES, structure._measures(found), strict=True))
    for name in ("correlation", "slope", "crosstalk", "repulsion"):
        assert measured[name] == getattr(found, name)
    assert measured["right signs"] == (found.alignment > 0).mean()
    assert measured["least alignment"] == found.alignment.min()


# ---------------------------------------------------------------- how many


def test_designs_without_room_are_no_numbers_and_long_rows_are_cut(monkeypatch):
    asked = []

    def remember(like, weights, maps, key):
        asked.append(weights)
        return np.nan if np.isnan(weights).any() else 0.5

    monkeypatch.setattr(capacity, "_recalled", remember)
    network = Associative.random(12, key=jr.key(0))
    for count, room in ((5, True), (6, False)):
        asked.clear()
        maps = InputOutputMaps.random(count, 12, key=jr.key(1))
        fraction, unit, length = capacity._designs(network, maps, jr.key(2))
        assert fraction.shape == (len(capacity.DESIGNS),)
        assert np.isfinite([fraction[4], unit[4], length[4]]).all() == room
        assert np.isfinite(fraction[:4]).all()
        for whole, cut in zip(asked[::2], asked[1::2]):
            long = np.linalg.norm(whole, axis=1)
            if np.isfinite(long).all():
                np.testing.assert_allclose(np.linalg.norm(cut, axis=1), np.minimum(long, 1))
        assert long.max() > 1 or not room


def test_no_network_recalls_by_weights_that_are_no_numbers():
    maps = InputOutputMaps.random(2, 6, key=jr.key(0))
    network = Associative.random(6, key=jr.key(1))
    assert np.isnan(capacity._recalled(network, np.full((6, 6), np.nan), maps, jr.key(2)))


def grown(after, fixed):
    """Two loads, three looks, one network; shares in random order, and in fixed order."""
    both = np.array([after, fixed])[:, :, None]
    flat = np.zeros((2, 2, 1))
    times = np.full((2, 2, 1, 30), 10.0)
    return capacity.Learned(
        np.array([20, 30]),
        100,
        np.array([1, 5, 30]),
        both,
        times,
        np.ones_like(times),
        flat,
        flat.astype(bool),
    )


def test_growth_and_loss_are_judged_at_their_loads():
    after, fixed = [[0.1, 0.98, 1.0], [0.05, 0.6, 1.0]], [[0.1, 0.99, 0.7], [0.05, 0.6, 0.7]]
    looks, loads = [1, 5, 30], np.array([0.2, 0.3])
    judged = lambda *shares: verdicts(
        capacity._of_thirty(grown(*shares), loads, np.array(shares[0]))
    )
    good = judged(after, fixed)
    assert set(good.values()) == {"holds"}
    kept = judged(after, after)
    assert kept["load .2, fixed order: loss from the best pass to 30"] == "fails"
    weak = judged([[0.1, 0.98, 0.9], [0.2, 0.6, 1.0]], fixed)
    assert weak["load 0.2: after 30"] == weak["load 0.3: 30 passes over 1"] == "fails"
    known = dict((says, point) for says, point, _ in capacity._known(0.3, looks))
    assert known == {"after 5, off 0.59": (5, 0.59)}
    assert capacity._off("so", [0.1, 0.5, 1.0], (5, 0.59), looks)[1] == pytest.approx(0.09)
    assert not list(capacity._known(0.25, looks))


# ---------------------------------------------------------------- forgetting


def test_some_maps_are_those_rows():
    maps = InputOutputMaps.random(5, 6, key=jr.key(0), steps=20, counted=4)
    some = forgetting._some(maps, slice(1, 3))
    np.testing.assert_array_equal(some.targets, maps.targets[1:3])
    np.testing.assert_array_equal(some.inputs, maps.inputs[1:3])
    assert (some.steps, some.counted) == (20, 4)


def test_age_is_counted_from_the_map_that_was_shown_last(monkeypatch):
    """Recall that answers 1, 2, 3 ... for the maps in the order of their list."""

    def known(network, maps, *, key):
        rows = np.broadcast_to(np.arange(1.0, 22.0), (3, 21))
        return dataclasses.make_dataclass("Known", ["overlap"])(rows)

    orders = []

    def watched(*args, **options):
        done = learn_sequence(*args, **options)
        orders.append(done.order)
        return done

    monkeypatch.setattr(forgetting, "recall", known)
    monkeypatch.setattr(forgetting, "learn_sequence", watched)
    settings = forgetting.Settings(units=42, listed=21, repeats=2, rate=40.0)
    once, all_passes = forgetting._ages(settings, jr.key(0))
    np.testing.assert_array_equal(orders[0], [np.arange(21)] * 2)
    np.testing.assert_array_equal(once, np.arange(21.0, 0, -1))
    np.testing.assert_array_equal(all_passes, once)


# ---------------------------------------------------------------- size


def test_results_return_to_their_place_though_the_largest_learn_first(monkeypatch):
    seen = []

    def coded(settings, cell):
        seen.append(cell)
        number = float(cell[0] * 100 + cell[1] * 10 + cell[2])
        return number, -number, 0.5, cell[2], 1.0, False

    monkeypatch.setattr(size, "_one", coded)
    settings = size.Settings(units=(10, 30), loads=(0.1, 0.2), seeds=3, processes=1)
    sizes = size.run(settings).sizes
    assert seen[0][:2] == (1, 1)
    i, j, k = np.indices((2, 2, 3))
    np.testing.assert_array_equal(sizes.fraction, 100 * i + 10 * j + k)
    np.testing.assert_array_equal(sizes.once, -sizes.fraction)
    np.testing.assert_array_equal(sizes.unfinished, k)
    assert sizes.maps(1).tolist() == [3, 6]


def of_sizes(shares):
    """Networks of 50 and 100 units, one each, at loads .1 and .2."""
    shape = (2, 2, 1)
    none, shares = np.zeros(shape), np.reshape(shares, shape)
    counts = none.astype(int)
    sizes = size.Sizes(
        np.array([50, 100]),
        np.array([0.1, 0.2]),
        shares,
        none,
        none,
        counts,
        none,
        none.astype(bool),
    )
    return size.Results(sizes)


def test_a_size_that_holds_another_share_fails_its_claims():
    good = of_sizes([1.0, 0.95, 1.0, 1.0])
    assert size._held(good.sizes).tolist() == [10, 20]
    judged = [claim.verdict("full") for claim in size.claims(good)]
    assert "fails" not in judged
    bad = [c.says for c in size.claims(of_sizes([1.0, 0.7, 1.0, 1.0])) if not c.holds()]
    assert {"  off 1", "  off that of N = 100"} <= set(bad)
    shrunk = size.claims(of_sizes([1.0, 1.0, 0.8, 0.8]))[-1]
    assert (shrunk.value, shrunk.verdict("full")) == (-10, "fails")


# ---------------------------------------------------------------- the ceiling


def test_signs_break_between_two_loads():
    loads = np.array([0.3, 0.4, 0.5])
    assert ceiling.breaking(loads, np.array([1.0, 0.98, 0.88])) == pytest.approx(0.43)
    assert ceiling.breaking(loads, np.array([1.0, 0.75, 0.5])) == pytest.approx(0.32)
    assert np.isnan(ceiling.breaking(loads, np.array([1.0, 0.99, 0.96])))
    assert np.isnan(ceiling.breaking(loads, np.array([0.9, 0.8, 0.7])))


def of_ceiling(right, late=0.2):
    """One strength, three loads around its bounds .427 and .569, one network, two looks."""
    shares = np.array([[1.0, 1.0], [0.1, late], [0.1, 0.1]])[None, :, None]
    signs = np.repeat(np.array(right)[None, :, None, None], 2, axis=3)
    none = np.zeros((1, 3, 1))
    parts = np.ones(1), np.array([[0.4, 0.5, 0.56]]), np.array([30, 150])
    found = ceiling.Ceiling(
        *parts, shares, signs, signs, none.astype(int), none, none.astype(bool)
    )
    return ceiling.Results(found)


def test_the_ceiling_is_held_against_both_bounds():
    good = ceiling.claims(of_ceiling([1.0, 0.9, 0.8]))
    assert "fails" not in verdicts(good).values()
    values = {claim.says: claim.value for claim in good}
    assert values["  over the bound of equalities"] == pytest.approx(0.45 / 0.4272, rel=1e-3)
    assert values["  over the bound of inequalities"] == pytest.approx(0.45 / 0.569, rel=1e-3)
    lifted = verdicts(ceiling.claims(of_ceiling([1.0, 0.9, 0.8], 0.6)))
    assert lifted["  recalled at the end"] == "fails"
    assert "fails" in {v for says, v in lifted.items() if "past the bound" in says}
    nearer = "  how much nearer to the former"
    for right in ([1.0, 0.96, 0.9], [1.0, 1.0, 0.96]):  # late, and never
        assert verdicts(ceiling.claims(of_ceiling(right)))[nearer] == "fails"


def test_every_strength_has_its_loads():
    with pytest.raises(ValueError, match="one row of loads for each strength"):
        ceiling.Settings(strengths=(1.0,))
    with pytest.raises(ValueError, match="all of one length"):
        ceiling.Settings(strengths=(1.0, 2.0), loads=((0.1, 0.2), (0.1,)))


# ---------------------------------------------------------------- images


def test_pixels_are_cut_above_their_median():
    rows = np.array([[0, 5, 0], [0, 6, 0], [0, 7, 3]], float)
    cut = images.cut(rows.reshape(3, 1, 3))
    np.testing.assert_array_equal(cut, [[-1, -1, -1], [-1, -1, -1], [-1, 1, 1]])


def test_shuffled_pixels_are_as_often_dark_and_no_longer_alike():
    pattern = np.where(np.arange(40)[:, None] < np.array([10, 10, 20, 30]), 1.0, -1.0)
    mixed = images.shuffled(pattern, jr.key(0))
    np.testing.assert_array_equal(mixed.sum(axis=0), pattern.sum(axis=0))
    assert (pattern[:, 0] == pattern[:, 1]).all()
    assert not (mixed[:, 0] == mixed[:, 1]).all()


def test_a_state_is_named_after_the_nearest_target():
    targets = np.array([[1.0, 1, 1, 1], [1, 1, -1, -1]])
    ends = np.stack([0.3 * targets, targets[::-1]])  # from the second start: each other's
    assert images.named(ends, targets) == 0.5
    assert images.named(ends[:1], targets) == 1
    assert images._alike(np.array([[1.0, 1, 1, 1], [1, 1, 1, -1], [-1, 1, 1, 1]])) == (
        pytest.approx(np.sqrt((0.5**2 + 0.5**2 + 0) / 3))
    )


def test_the_three_kinds_share_inputs_and_number(monkeypatch):
    tasks = []
    monkeypatch.setattr(images, "_learned", lambda *a: tasks.append(a[2]) or (0.0,))
    distinct = np.unique(np.random.default_rng(0).choice([-1.0, 1.0], (30, 8)), axis=0)
    images._cell(images.Settings(), distinct, 5, jr.key(0))
    assert [len(task.targets) for task in tasks] == [5, 5, 5]
    for task in tasks[1:]:
        np.testing.assert_array_equal(task.inputs, tasks[0].inputs)
    digits, shuffled, _ = (np.asarray(task.targets) for task in tasks)
    rows = {tuple(row) for row in digits}
    assert len(rows) == 5
    assert rows <= {tuple(row) for row in distinct}
    np.testing.assert_array_equal(digits.sum(axis=0), shuffled.sum(axis=0))
