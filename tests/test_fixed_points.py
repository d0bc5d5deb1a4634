"""The finder, on systems whose points are on paper (specification: slow points, section 9)."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from slowpoint.analysis.fixed_points import fixed_points
from slowpoint.analysis.methods import (
    deflated,
    deflation,
    LevenbergMarquardt,
    Newton,
)
from slowpoint.analysis.points import FIXED, FixedPoints, in_order, NEITHER, SLOW, union
from slowpoint.analysis.problem import Problem
from slowpoint.analysis.rows import buckets
from slowpoint.analysis.search import Plan, search
from slowpoint.analysis.solve import input_jacobian, Tolerance
from slowpoint.analysis.valley import Valley
from slowpoint.cells.gru import GRU
from slowpoint.cells.linear import Linear
from slowpoint.cells.lstm import LSTM
from slowpoint.cells.vanilla import Vanilla
from slowpoint.core.precision import float64
from slowpoint.core.system import Map
from slowpoint.core.wrap import Sampled
from slowpoint.worlds.bistable import Bistable
from slowpoint.worlds.duffing import Duffing

NONE = np.zeros(0)


def tanh_unit(w: float) -> Sampled:
    """h' = tanh(w h)."""
    one = jnp.ones((1, 1))
    zero = jnp.zeros(1)
    return Sampled(Vanilla(w * one, one, zero, one, zero, dt=1.0, form="rate"))


class Ghost(Map):
    """h' = h + epsilon + h^2: just past a fold."""

    epsilon: float
    state_size: int = eqx.field(static=True, default=1)
    input_size: int = eqx.field(static=True, default=0)
    output_size: int = eqx.field(static=True, default=1)
    dt: float = eqx.field(static=True, default=1.0)

    def step(self, x, u):
        return x + self.epsilon + x**2

    def output(self, x):
        return x


class Narrow(Ghost):
    """A Ghost that casts to float32 behind one's back. (A subclass only in this test.)"""

    def step(self, x, u):
        return (x + self.epsilon + x**2).astype(jnp.float32)


@pytest.fixture(scope="module")
def gru():
    """A random GRU with several fixed points."""
    net = GRU.random(16, 2, 1, key=jr.key(2))
    return eqx.tree_at(lambda n: n.recurrent, net, 4 * net.recurrent)


@pytest.fixture(scope="module")
def found(gru):
    return fixed_points(gru, guesses(96, 16), hold=np.array([0.5, -1.0]))


def guesses(count: int, n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (count, n))


def test_linear_map_has_its_one_point_and_its_rates():
    net = Linear.random(7, 2, 1, gain=0.8, dt=1.0, key=jr.key(0))
    hold = np.array([0.3, -0.7])
    points = fixed_points(Sampled(net), guesses(5, 7), hold=hold)
    w, b = np.asarray(net.recurrent, float), np.asarray(net.encoder, float)
    assert len(points) == 1
    assert np.allclose(points.states[0], np.linalg.solve(np.eye(7) - w, b @ hold), atol=1e-12)
    rates = np.log(np.linalg.eigvals(w).astype(complex))
    assert np.allclose(np.sort(points.rates[0].real), np.sort(rates.real), atol=1e-10)
    assert points.alpha[0] == 0  # a linear map's Jacobian does not change at all
    assert points.certified[0]
    assert np.allclose(input_jacobian(Sampled(net), points)[0], b, atol=1e-12)


@pytest.mark.parametrize(("w", "count"), [(2.0, 3), (0.5, 1)])
def test_tanh_unit(w, count):
    points = fixed_points(tanh_unit(w), guesses(32, 1), hold=np.zeros(1))
    assert len(points) == count
    assert points.signs.sum() == 1
    if count == 3:
        edge = 0.957504024079384  # h = tanh 2h
        assert np.allclose(np.sort(points.states[:, 0]), [-edge, 0, edge], atol=1e-12)
        assert points.n_unstable.tolist() == [0, 0, 1]


def test_duffing_rates_and_index_sum():
    points = fixed_points(Duffing(damping=0.5), 2 * guesses(40, 2), hold=NONE)
    assert np.allclose(np.sort(points.states[:, 0]), [-1, 0, 1], atol=1e-12)
    saddle = points.saddles
    exact = (-0.5 + np.array([1, -1]) * np.sqrt(0.25 + 4)) / 2
    assert np.allclose(saddle.rates[0], exact, atol=1e-10)
    assert len(points.stable) == 2
    assert points.signs.sum() == 1


def test_gru_points_lie_in_the_cube_and_are_certified(found):
    assert len(found) > 1
    assert (np.abs(found.states) < 1).all()
    assert found.certified.all()
    assert found.residuals.max() < 1e-12


def test_the_ungated_gru_has_the_same_points_and_other_rates(gru, found):
    hold = np.array([0.5, -1.0])
    other = fixed_points(gru, guesses(96, 16), hold=hold, method=Newton(via=gru.easier()))
    both = union(found, other, 1e-6)
    for state in found.states:
        with float64():
            wide = jax.tree.map(lambda a: jnp.asarray(a, float), gru)
            open_gate = wide.ungated().velocity(jnp.asarray(state), jnp.asarray(hold))
        assert np.linalg.norm(open_gate) < 1e-10
    assert len(both) <= len(found) + len(other)
    assert (other.guess_index >= 0).mean() >= (found.guess_index >= 0).mean()


def test_a_certified_ball_holds_one_root(gru, found):
    hold, row = np.array([0.5, -1.0]), found.rows(np.arange(len(found)) == 0)
    shift = np.random.default_rng(1).standard_normal((8, 16))
    shift *= 0.9 * row.unique[0] / np.linalg.norm(shift, axis=1, keepdims=True)
    again = fixed_points(gru, row.states + shift, hold=hold)
    assert len(again) == 1
    assert np.linalg.norm(again.states[0] - row.states[0]) < 2 * row.radius[0] + 1e-12
    gaps = np.linalg.norm(found.states[:, None] - found.states[None], axis=2)
    far = gaps[~np.eye(len(found), dtype=bool)]
    assert far.min() > 2 * found.radius.max()


def test_permuted_units_permute_the_points(gru, found):
    order = np.random.default_rng(2).permutation(16)
    rows = np.concatenate([order, order + 16, order + 32])
    shuffled = eqx.tree_at(
        lambda n: (n.recurrent, n.encoder, n.bias, n.candidate_bias),
        gru,
        (
            gru.recurrent[rows][:, order],
            gru.encoder[rows],
            gru.bias[rows],
            gru.candidate_bias[order],
        ),
    )
    start = guesses(96, 16)
    other = fixed_points(shuffled, start[:, order], hold=np.array([0.5, -1.0]))
    assert len(other) == len(found)
    for state, rates in zip(found.states, found.rates):
        near = np.linalg.norm(other.states - state[order], axis=1)
        assert near.min() < 1e-9
        assert np.allclose(
            np.sort(other.rates[near.argmin()].real), np.sort(rates.real), atol=1e-6
        )


def test_rounding_does_not_decide_the_order():
    chance = np.random.default_rng(0)
    states = np.array(
        [[0.1, 2.0], [0.1, -1.0], [-3.0, 0.0], [0.5, 0.5], [0.2, 9.0], [0.3, 0.0]]
    )
    kinds = np.array([FIXED, FIXED, FIXED, FIXED, SLOW, SLOW])
    rows = {"kinds": kinds, "states": states, "n_unstable": np.array([0, 0, 0, 1, 0, 0])}
    speeds = np.array([0, 0, 0, 0, 2e-3, 1e-3])
    for _ in range(20):
        mixed = chance.permutation(6)
        noisy = {name: row[mixed] for name, row in rows.items()}
        noisy["states"] = noisy["states"] + 1e-12 * chance.standard_normal((6, 2))
        noisy["speeds"] = (speeds + 1e-16 * chance.random(6))[mixed]
        assert mixed[in_order(noisy)].tolist() == [2, 1, 0, 5, 4, 3]


def test_the_order_of_guesses_changes_only_indices(gru, found):
    order = np.random.default_rng(3).permutation(96)
    other = fixed_points(gru, guesses(96, 16)[order], hold=np.array([0.5, -1.0]))
    assert np.allclose(np.sort(other.states, axis=0), np.sort(found.states, axis=0), atol=1e-9)
    same = found.states[found.guess_index[order]] - other.states[other.guess_index]
    assert np.abs(same[other.guess_index >= 0]).max() < 1e-9
    assert other.hits.sum() == found.hits.sum()


def test_tanh_net_without_bias_is_symmetric():
    net = Sampled(Vanilla.random(12, 1, 1, gain=3.5, dt=1.0, form="rate", key=jr.key(0)))
    start = guesses(64, 12)
    points = fixed_points(
        net, np.vstack([start, -start]), hold=np.zeros(1), method=LevenbergMarquardt()
    )
    assert len(points) >= 3
    for state in points.states:
        assert np.linalg.norm(points.states + state, axis=1).min() < 1e-9


def test_beyond_the_fold_there_is_a_slow_point_and_no_fixed_point():
    ghost = Ghost(1e-4)
    assert len(fixed_points(ghost, guesses(8, 1), hold=NONE)) == 0
    points = fixed_points(ghost, 0.2 * guesses(8, 1), hold=NONE, seek="slow")
    assert points.kinds.tolist() == [SLOW]
    assert np.allclose(points.states, 0, atol=1e-8)
    assert np.allclose(points.speeds, 1e-4)
    assert points.defects[0] < 1e-8  # the eigenvalue 1 that every slow point has
    assert points.bends[0] > 0


def test_interior_slow_points_have_a_singular_jacobian():
    net = Sampled(Vanilla.random(10, 1, 1, gain=1.2, dt=1.0, form="rate", key=jr.key(6)))
    points = fixed_points(net, guesses(48, 10), hold=np.ones(1), seek="slow").slow
    inside = points.rows(~points.at_bound.any(axis=1))
    assert (inside.defects < 1e-6).all()
    assert (points.gradients <= 1e-10).all()


@pytest.mark.parametrize("steps", [1, 3, 6])
def test_no_lane_takes_more_steps_than_it_may(steps):
    points = fixed_points(
        Ghost(1e-4), np.array([[0.5]]), hold=NONE, method=Newton(max_steps=steps)
    )
    assert points.guess_steps.max() <= steps


def test_what_is_neither_is_counted_and_kept_only_when_asked():
    start = np.array([[0.5], [3.0]])
    points = fixed_points(Ghost(1e-4), start, hold=NONE)
    assert len(points) == 0
    assert points.guess_kinds.tolist() == [NEITHER, NEITHER]
    assert points.guess_index.tolist() == [-1, -1]
    everything = fixed_points(
        Ghost(1e-4), start, hold=NONE, method=Newton(max_steps=1), seek="all"
    )
    assert len(everything) >= 1


def test_a_line_of_fixed_points_is_called_degenerate():
    net = Linear(
        jnp.diag(jnp.array([1.0, 0.5])), jnp.zeros((2, 0)), *map(jnp.zeros, [2, (1, 2)])
    )
    points = fixed_points(Sampled(net), guesses(6, 2), hold=NONE)
    assert len(points) == 6
    assert points.degenerate.all()
    assert not points.certified.any()
    assert len(points.stable) == 0


def test_points_conditioned_on_the_input_are_kept_apart():
    start = guesses(6, 1)
    equal = fixed_points(tanh_unit(0.5), start, hold=np.full((6, 1), 0.2))
    assert np.allclose(
        equal.states, fixed_points(tanh_unit(0.5), start, hold=np.array([0.2])).states
    )
    two = fixed_points(tanh_unit(0.5), start, hold=np.repeat([[0.2], [-0.2]], 3, axis=0))
    assert len(two) == 2
    assert np.allclose(two.states.sum(), 0, atol=1e-12)


def test_one_state_under_two_inputs_is_two_points():
    deaf = Linear(0.5 * jnp.eye(1), jnp.zeros((1, 1)), jnp.ones(1), jnp.ones((1, 1)))
    two = fixed_points(Sampled(deaf), np.zeros((2, 1)), hold=np.array([[0.2], [-0.2]]))
    assert np.allclose(two.states, 2.0)
    assert sorted(two.hold[:, 0]) == [-0.2, 0.2]
    assert len(union(two, two, 1e-6)) == 2


def test_the_deflated_step_is_newton_on_the_product():
    known = jnp.array([[0.9], [0.1]])
    residual = lambda x: x - jnp.tanh(2 * x)
    product = lambda x: deflation(x, known) * residual(x)
    with float64():
        x, known = jnp.array([0.35]), known.astype(float)
        plain = -jnp.linalg.solve(jax.jacfwd(residual)(x), residual(x))
        exact = -jnp.linalg.solve(jax.jacfwd(product)(x), product(x))
        assert jnp.allclose(deflated(x, plain, known), exact, atol=1e-12)


def test_deflation_finds_what_is_left():
    first = fixed_points(Bistable(), np.full((4, 2), 0.9), hold=NONE)
    assert len(first) == 1
    rest = fixed_points(
        Bistable(),
        1.9 * guesses(48, 2),
        hold=NONE,
        method=Newton(avoid=jnp.asarray(first.states)),
    )
    assert len(rest) == 2
    assert np.linalg.norm(rest.states - first.states, axis=1).min() > 0.5
    assert len(union(first, rest, 1e-6)) == 3


def test_the_search_needs_no_guesses_and_closes_the_index_sum():
    seen = search(Bistable(), hold=NONE, key=jr.key(0), states=2 * guesses(40, 2))
    assert len(seen.points) == 3
    assert seen.coverage.index_sum == 1
    assert seen.coverage.missed_attractors == 0
    assert len(seen.coverage.attractors) == 2
    assert seen.coverage.open_questions == []


@pytest.mark.parametrize("seed", range(3))
def test_the_search_goes_on_until_every_point_was_hit_twice(seed):
    plan = Plan(guesses=2, forward=8, rounds=40)
    states = 2 * guesses(40, 2, seed)
    seen = search(Bistable(), hold=NONE, key=jr.key(seed), states=states, plan=plan)
    assert len(seen.rounds) > 1  # two guesses can't have hit all three points again
    assert seen.points.hits.min() >= 2
    assert len(seen.points) == 3


def test_a_missed_saddle_shows_in_the_index_sum():
    from slowpoint.analysis.coverage import coverage
    from slowpoint.analysis.settle import settle

    points = fixed_points(Bistable(), np.array([[0.9, 0.0], [-0.9, 0.0]] * 3), hold=NONE)
    seen = coverage(Bistable(), points, settle(Bistable(), 2 * guesses(20, 2), NONE))
    assert seen.index_sum == 2
    assert any("index sum" in sign for sign in seen.open_questions)
    part = points.rows(np.arange(len(points)) == 0)
    seen = coverage(Bistable(), part, settle(Bistable(), 2 * guesses(20, 2), NONE))
    assert seen.missed_attractors == 1


def test_points_save_and_load_also_when_there_are_none(tmp_path, found):
    empty = found.rows(np.zeros(len(found), bool))
    for points in (found, empty):
        points.save(tmp_path / "points.npz")
        back = FixedPoints.load(tmp_path / "points.npz")
        for name, value in vars(points).items():
            assert np.array_equal(getattr(back, name), value, equal_nan="kinds" not in name)
    assert len(empty.stable) == 0


@pytest.mark.parametrize("dt", [1.0, 0.25])
def test_rates_are_per_unit_time(dt):
    net = Linear(0.5 * jnp.eye(2), jnp.zeros((2, 0)), jnp.zeros(2), jnp.zeros((1, 2)), dt=dt)
    flow = fixed_points(net, guesses(2, 2), hold=NONE)
    assert np.allclose(flow.rates, -0.5)
    steps = fixed_points(Sampled(net), guesses(2, 2), hold=NONE)
    assert np.allclose(steps.rates, np.log(1 - 0.5 * dt) / dt)
    assert np.allclose(steps.timescales, -dt / np.log(1 - 0.5 * dt))


def test_a_mode_that_dies_in_one_step_has_the_rate_minus_infinity():
    net = Linear(jnp.zeros((1, 1)), jnp.zeros((1, 0)), jnp.ones(1), jnp.ones((1, 1)))
    points = fixed_points(Sampled(net), np.zeros((1, 1)), hold=NONE)
    assert points.rates[0, 0] == -np.inf
    assert len(points.stable) == 1
    assert points.timescales[0, 0] == 0


def test_an_lstm_finds_points_by_levenberg_marquardt():
    net = LSTM.random(6, 1, 1, key=jr.key(7))
    points = fixed_points(net, guesses(16, 12), hold=np.zeros(1), method=LevenbergMarquardt())
    assert len(points) == 1
    assert points.residuals[0] < 1e-12
    assert not points.certified[0]  # no Lipschitz bound, and it says so
    assert np.isnan(points.radius[0])
    low, high = net.box(jnp.zeros(1))
    assert ((points.states[0] > low) & (points.states[0] < high)).all()


def test_guesses_outside_the_box_are_projected_and_counted(gru):
    points = fixed_points(gru, 3 * np.ones((4, 16)), hold=np.zeros(2))
    assert points.projected == 4
    assert points.widened


def test_the_full_hessian_matches_a_quadratic():
    """On a linear residual q is a quadratic, and one step of its full Hessian ends it."""
    net = Sampled(Linear.random(4, 0, 1, gain=0.5, key=jr.key(8)))
    with float64():
        wide = jax.tree.map(lambda a: jnp.asarray(a, float), net)
        method, problem = Valley(longest=1e9), Problem(wide)
        lane = method.start(jnp.full(4, 0.3), jnp.zeros(0))
        moved = eqx.filter_jit(method.step)(problem, lane)
        assert jnp.linalg.norm(moved.x) < 1e-12


@pytest.mark.parametrize(
    ("guess", "hold", "says"),
    [
        (np.zeros((3, 2)), np.zeros(1), r"\(guesses, 1\)"),
        (np.zeros((3, 1)), np.zeros(2), r"hold has shape \(2,\)"),
        (np.zeros((3, 1)), np.zeros((2, 1)), r"there are 3 guesses"),
        (np.array([[0.0], [np.nan]]), np.zeros(1), r"nan at index \(1, 0\)"),
        (np.zeros((3, 1)), None, r"hold=jnp.zeros\(1\)"),
        (None, np.zeros(1), "key"),
    ],
)
def test_misuse_says_what_to_type(guess, hold, says):
    with pytest.raises(ValueError, match=says):
        fixed_points(tanh_unit(2.0), guess, hold=hold)


def test_weights_that_are_not_finite_are_named():
    net = tanh_unit(float("nan"))
    with pytest.raises(ValueError, match="recurrent"):
        fixed_points(net, np.zeros((1, 1)), hold=np.zeros(1))


def test_an_lstm_of_wrong_size_hears_about_h_and_c():
    net = LSTM.random(3, 1, 1, key=jr.key(0))
    with pytest.raises(ValueError, match="2N numbers"):
        fixed_points(net, np.zeros((2, 3)), hold=np.zeros(1))


def test_a_system_that_answers_in_float32_is_refused():
    with pytest.raises(ValueError, match="float64"):
        fixed_points(Narrow(1e-4), np.zeros((1, 1)), hold=NONE)


def test_a_budget_ends_the_search():
    plan = Plan(seconds=0.0, guesses=16, forward=4)
    seen = search(Bistable(), hold=NONE, key=jr.key(0), states=guesses(8, 2), plan=plan)
    assert seen.coverage.open_questions  # and it says that it isn't finished


def test_kinds_have_names(found):
    assert FixedPoints.KINDS[FIXED] == "fixed"
    assert found.table().count("\n") == len(found)
    assert Tolerance().same == 1e-6


@pytest.mark.parametrize("count", [1, 3, 31, 200, 256, 300])
@pytest.mark.parametrize("most", [1, 4, 256])
def test_every_row_is_in_one_piece_and_pieces_have_two_sizes(count, most):
    pieces = buckets(np.arange(count), 100, most)
    rows = np.concatenate([piece[:counted] for piece, counted in pieces])
    assert rows.tolist() == list(range(count))
    sizes = {len(piece) for piece, _ in pieces}
    assert len(sizes) <= 2
    assert max(sizes) <= most
