"""Are exponents, shares and cosines of free motion what they are on paper?"""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from slowpoint.analysis.spontaneous import Spontaneous, spontaneous, variance_share
from slowpoint.cells.associative import Associative
from slowpoint.cells.linear import Linear
from slowpoint.core.system import Map
from slowpoint.experiments import sequential_spontaneous as experiment

CORNERS = np.array([[1.0, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]])
ANGLES = np.linspace(0, 2 * np.pi, 64, endpoint=False)


class Ulam(Map):
    """x' = 1 - 2 x^2 (Ulam and von Neumann 1947): exponent ln 2 a step, variance 1/2."""

    state_size: int = eqx.field(static=True, default=1)
    input_size: int = eqx.field(static=True, default=0)
    output_size: int = eqx.field(static=True, default=1)
    dt: float = eqx.field(static=True, default=0.5)

    def step(self, x, u):
        return 1 - 2 * x**2

    def output(self, x):
        return x


class Away(Map):
    """x' = 100 (x + x^3): leaves the finite numbers within a few steps."""

    state_size: int = eqx.field(static=True, default=2)
    input_size: int = eqx.field(static=True, default=1)
    output_size: int = eqx.field(static=True, default=2)
    dt: float = eqx.field(static=True, default=1.0)

    def step(self, x, u):
        return 100 * (x + x**3) + u.sum()

    def output(self, x):
        return x


def turning(decay=0.0, turn=0.5, dt=0.02):
    """Turns the first two of four units; all else decays at rate 1."""
    recurrent = np.zeros((4, 4))
    recurrent[:2, :2] = [[1 - decay, -turn], [turn, 1 - decay]]
    rest = (jnp.zeros((4, 1)), jnp.zeros(4), jnp.zeros((1, 4)))
    return Linear(jnp.asarray(recurrent), *rest, dt=dt)


@pytest.mark.parametrize(
    ("rows", "known"), [([0], 1 / 4), ([0, 1], 1 / 2), ([0, 1, 2], 3 / 4), ([0, 1, 2, 3], 1)]
)
def test_the_share_of_a_circle_is_that_of_its_plane(rows, known):
    circle = np.zeros((64, 4))
    circle[:, 0], circle[:, 1] = np.cos(ANGLES), np.sin(ANGLES)
    patterns = CORNERS[rows]
    assert variance_share(circle, patterns) == pytest.approx(known, abs=1e-12)
    moved = variance_share(circle + CORNERS[0] * 7, patterns)
    assert moved == pytest.approx(known, abs=1e-12)  # variance is about the mean
    twice = np.concatenate([patterns, -patterns])
    assert variance_share(circle, twice) == pytest.approx(known, abs=1e-12)


def test_the_share_of_motion_along_a_pattern_is_all_and_across_it_none():
    line = np.outer(np.sin(ANGLES), CORNERS[0])
    assert variance_share(line, CORNERS[:1]) == pytest.approx(1, abs=1e-12)
    assert variance_share(line, CORNERS[1:]) == pytest.approx(0, abs=1e-12)
    assert np.isnan(variance_share(0 * line, CORNERS))


def test_noise_in_all_directions_shares_by_rank():
    chance = np.random.default_rng(0)
    noise, patterns = chance.standard_normal((20_000, 40)), chance.choice([-1.0, 1], (10, 40))
    assert variance_share(noise, patterns) == pytest.approx(0.25, abs=0.01)


def test_the_exponent_of_a_chaotic_map_is_per_unit_time():
    found = spontaneous(Ulam(), np.ones((1, 1)), key=jr.key(0), starts=2, duration=5e3)
    np.testing.assert_allclose(found.exponents, 2 * np.log(2), atol=0.02)
    np.testing.assert_allclose(found.motion, 0.5**0.5, atol=0.02)
    np.testing.assert_allclose(found.late, 0.5**0.5, atol=0.05)
    np.testing.assert_allclose(found.share, 1, atol=1e-12)
    assert len(found.times) == 10_000
    assert found.times[0] == pytest.approx(100.5)
    assert found.says == "moving: all of 2 starts do until the end"


def test_a_turning_state_has_the_exponent_of_its_steps_and_the_share_of_its_plane():
    """A step turns and stretches by the root of 1 + (dt w)^2, whatever the state."""
    twice_around = 4 * np.pi / 0.5
    targets = CORNERS[[0, 2]]  # along and across the diagonal of the plane
    options = {"key": jr.key(1), "duration": twice_around, "warmup": 20.0}
    found = spontaneous(turning(), targets, **options)
    np.testing.assert_allclose(found.exponents, np.log(1 + 1e-4) / 0.04, rtol=1e-6)
    np.testing.assert_allclose(found.share, 0.5, atol=0.02)
    squares = (found.overlaps**2).sum(axis=2)
    np.testing.assert_allclose(squares, found.size**2 / 2, rtol=1e-6)
    assert found.best.max() == pytest.approx(0.5**0.5, abs=1e-4)
    assert found.best.min() == pytest.approx(0.5, abs=1e-2)
    assert found.visited.all()
    assert found.moving.all()
    growth = (1 + 1e-4) ** (len(found.times) / 2)  # nothing else stretches the motion
    np.testing.assert_allclose(found.size[:, -1], found.size[:, 0] * growth, rtol=1e-3)


def test_a_cycle_is_neither_chaotic_nor_at_rest():
    turn = np.array([[0.0, -1.5], [1.5, 0.0]])
    targets = np.array([[1.0, 1.0], [1.0, -1.0]])
    found = spontaneous(Associative(turn), targets, key=jr.key(2), duration=400.0)
    assert (np.abs(found.exponents) < 0.01).all()
    np.testing.assert_allclose(found.share, 1, atol=1e-12)
    assert found.visited.all()
    assert "moving: all of 3" in found.says


def test_motion_that_dies_out_at_zero_is_told():
    """Without weights every deviation shrinks by 1 - dt a step."""
    nothing = Associative(np.zeros((4, 4)), dt=0.1)
    found = spontaneous(nothing, CORNERS, key=jr.key(3), duration=60.0, warmup=0.0)
    np.testing.assert_allclose(found.exponents, np.log(0.9) / 0.1, rtol=1e-9)
    np.testing.assert_allclose(found.size[:, 9] / found.size[:, 0], 0.9**9, rtol=1e-9)
    assert found.says == "at rest: 3 of 3 starts stand still at the end, without a share"
    assert (found.motion > 1e-3).all()  # it moved, on its way
    assert not found.moving.any()
    assert not found.visited.any()
    assert np.isnan(found.share).all()
    assert np.isnan(found.control_share).all()
    assert np.isfinite(found.best[:, 0]).all()
    assert np.isnan(found.best[:, -1]).all()  # zero has no direction


def test_a_stable_memory_has_its_own_rate_and_the_cosine_of_its_pattern():
    weights = (CORNERS[1:2].T @ CORNERS[1:2] - np.eye(4)) / 3
    net = Associative(weights, gain=1.5)
    found = spontaneous(net, CORNERS[1:3], key=jr.key(4), duration=400.0)
    assert "at rest: 3 of 3" in found.says
    rest = found.size[:, -1]  # a = tanh(1.5 a)
    np.testing.assert_allclose(rest, np.tanh(1.5 * rest), atol=1e-9)
    np.testing.assert_allclose(
        np.abs(found.overlaps[:, -1]), np.stack([rest, 0 * rest], 1), atol=1e-9
    )
    np.testing.assert_allclose(found.best[:, -1], 1, atol=1e-9)
    rate = 1.5 * (1 - rest[0] ** 2) - 1  # of the mode along the pattern, the slowest
    np.testing.assert_allclose(found.exponents, np.log(1 + 0.1 * rate) / 0.1, atol=5e-3)


def test_numbers_that_are_not_finite_are_told():
    found = spontaneous(Away(), np.ones((1, 2)), key=jr.key(5), starts=2, duration=40.0)
    assert found.says == "diverged: 2 of 2 starts left the finite numbers"
    assert not found.moving.any()
    assert np.isnan(found.share).all()
    assert np.isnan(found.exponents).all()


def test_random_patterns_are_others_and_the_same_key_the_same_motion():
    net = Associative.random(40, key=jr.key(6))
    targets = np.random.default_rng(1).choice([-1.0, 1.0], (200, 40))
    options = {"starts": 2, "duration": 50.0, "warmup": 10.0}
    found = spontaneous(net, targets, key=jr.key(7), **options)
    assert found.control.shape == found.overlaps.shape == (2, 500, 200)
    square = (found.control**2).mean(axis=2)
    np.testing.assert_allclose(square, found.size**2 / 40, rtol=0.5)
    assert np.abs(found.control - found.overlaps).max() > 0.1
    assert not np.array_equal(found.control_best, found.best)
    again = spontaneous(net, targets, key=jr.key(7), **options)
    np.testing.assert_array_equal(again.overlaps, found.overlaps)
    few = spontaneous(net, targets[:3], key=jr.key(7), **options)
    np.testing.assert_array_equal(few.size, found.size)
    # the product of another shape is rounded otherwise on some machines
    np.testing.assert_allclose(few.overlaps, found.overlaps[..., :3], rtol=0, atol=1e-14)
    other = spontaneous(net, targets[:3], key=jr.key(8), **options)
    assert not np.allclose(other.size, found.size)


def test_the_share_of_one_pattern_is_the_variance_of_its_overlap():
    net, target = Associative.random(40, key=jr.key(6)), np.ones((1, 40))
    found = spontaneous(net, target, key=jr.key(9), duration=50.0, warmup=10.0)
    for overlaps, share in (
        (found.overlaps, found.share),
        (found.control, found.control_share),
    ):
        np.testing.assert_allclose(share, overlaps[..., 0].var(axis=1) / found.motion**2)


def test_the_best_match_may_be_a_target_turned_round():
    overlaps = np.array([[[0.1, -0.6, 0.3]], [[-0.5, 0.2, 0.4]], [[0.0, 0.0, 0.9]]])
    one, size = np.ones(3), np.full((3, 1), 0.5)
    late = np.array([1.0, 1.0, 0.0])  # the last start has come to rest
    found = Spontaneous(one[:1], overlaps, overlaps, size, one, late, *[one] * 4, "")
    assert found.visited.tolist() == [True, True, False]
    np.testing.assert_allclose(found.best, [[1.2], [1.0], [1.8]])


def test_bad_input_is_named():
    net = Associative(np.zeros((4, 4)))
    for targets, options, says in (
        (CORNERS[:, :3], {}, r"shape \(4, 3\), the state has 4"),
        (CORNERS[:0], {}, "one or more"),
        (CORNERS[0], {}, r"\(target, 4\)"),
        (CORNERS, {"starts": 0}, "starts=0"),
        (CORNERS, {"warmup": -1.0}, "warmup=-1"),
        (CORNERS, {"duration": 1.0}, "at least 2 to watch"),
    ):
        with pytest.raises(ValueError, match=says):
            spontaneous(net, targets, key=jr.key(0), **options)


# ---------------------------------------------------------------- the experiment


def test_shuffled_weights_stay_with_their_unit_and_off_the_diagonal():
    net = Associative.random(30, key=jr.key(0))
    mixed = experiment._shuffled(net, jr.key(1))
    weights, others = np.asarray(net.recurrent), np.asarray(mixed.recurrent)
    assert not np.diagonal(others).any()
    np.testing.assert_array_equal(np.sort(weights, axis=1), np.sort(others, axis=1))
    assert (weights == others).mean() < 0.1
    off = ~np.eye(30, dtype=bool)
    alike = np.zeros((30, 30))
    alike[off] = np.tile(np.arange(1.0, 30.0), 30)
    rows = np.asarray(experiment._shuffled(Associative(alike), jr.key(1)).recurrent)[off]
    assert len({tuple(row) for row in rows.reshape(30, 29)}) == 30  # each in its own order


def test_measures_are_of_the_starts_that_move_and_stand_in_their_order():
    overlaps = np.array([[[0.1, -0.4]] * 4, [[0.3, 0.0]] * 4, [[0.1, -0.4]] * 4])
    found = Spontaneous(
        times=np.arange(4.0),
        overlaps=overlaps,
        control=overlaps / 2,
        size=np.array([[0.5] * 4, [1.1] * 4, [0.5] * 4]),
        motion=np.array([0.6, 0.0, 0.3]),
        late=np.array([0.6, 0.0, 0.3]),
        share=np.array([0.7, np.nan, 0.5]),
        control_share=np.array([0.2, np.nan, 0.2]),
        exponents=np.array([0.3, -0.1, 0.1]),
        errors=np.array([0.02, 0.04, 0.04]),
        says="",
    )
    known = {"exponent": 0.1, "error": 0.02, "share": 0.6, "control share": 0.2}
    known |= {"cosine": 0.8, "cosine, 99 %": 0.8}
    known |= {"control cosine": 0.4, "control cosine, 99 %": 0.4, "visited": 1, "motion": 0.3}
    known |= {"size": 0.7, "largest overlap": 0.4, "still": 1}
    assert tuple(known) == experiment.MEASURES
    np.testing.assert_allclose(experiment._measures(found), list(known.values()))


@pytest.fixture
def found():
    """Two networks, two looks, as the experiment is known to end; and a list of 30 maps."""
    names = experiment.MEASURES
    row = dict.fromkeys(names, 0.0) | {"exponent": 0.2, "error": 0.01, "share": 0.6}
    row |= {"cosine": 0.4, "control cosine": 0.2, "cosine, 99 %": 0.6}
    row |= {"control cosine, 99 %": 0.3, "visited": 16, "motion": 0.5, "largest overlap": 0.5}
    learned = np.tile([row[name] for name in names], (2, 2, 1))
    mixed = learned[:, 0] * (np.array(names) != "share") + 0.2 * (np.array(names) == "share")
    motion = experiment.Motion(
        100, 20, np.array([2, 30]), learned, mixed, np.array([30]), learned[:, :1]
    )
    bins = np.tile(np.histogram([0.4], experiment.EDGES, density=True)[0], (2, 1))
    overlaps = np.zeros((2, 2, 5, 20))
    visits = experiment.Visits(np.arange(5.0), overlaps, experiment.EDGES, bins, bins)
    return experiment.Results(motion, visits)


def test_claims_hold_where_all_is_as_known(found):
    verdicts = [claim.verdict("full") for claim in experiment.claims(found)]
    assert "fails" not in verdicts
    assert verdicts.count("holds") == 13
    assert experiment.draw(found).axes


@pytest.mark.parametrize(
    ("name", "look", "value", "says"),
    [
        ("exponent", 0, -0.1, "before learning"),
        ("exponent", 1, -0.1, "exponent after 30"),
        ("share", 1, 0.4, "share of variance"),
        ("cosine", 1, 0.1, "best cosine over"),
        ("cosine, 99 %", 1, 0.1, "99 %"),
        ("visited", 1, 14, "best matches"),
        ("largest overlap", 0, 0.7, "largest overlap at any time"),
        ("largest overlap", 1, 0.9, "nothing is recalled"),
        ("motion", 1, 0.6, "motion after 30 over"),
    ],
)
def test_a_network_that_does_otherwise_fails_its_claim(found, name, look, value, says):
    found.motion.learned[1, look, experiment.MEASURES.index(name)] = value
    failed = [c.says for c in experiment.claims(found) if c.verdict("full") == "fails"]
    assert any(says in line for line in failed)


def test_a_lean_of_shuffled_weights_fails_its_claim(found):
    found.motion.shuffled[0, experiment.MEASURES.index("share")] = 0.5
    failed = [c.says for c in experiment.claims(found) if c.verdict("full") == "fails"]
    assert failed == ["share with shuffled weights, the most"]
