"""Is the edge between two basins found where it is known, and is what is none refused?"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st

from slowpoint.analysis import edge_state as module
from slowpoint.analysis.edge_state import edge_state
from slowpoint.analysis.mountain_pass import directions, mountain_pass
from slowpoint.core.precision import float64
from slowpoint.core.system import Flow, Map
from slowpoint.core.wrap import Held, Sampled
from slowpoint.recordings.gut import gut
from slowpoint.worlds.affine_bistable import AffineBistable
from slowpoint.worlds.bistable import Bistable
from slowpoint.worlds.duffing import Duffing
from slowpoint.worlds.hypercube import Hypercube
from slowpoint.worlds.limit_cycles import LimitCycles
from slowpoint.worlds.lotka_volterra import LotkaVolterra
from slowpoint.worlds.nonnormal_bistable import NonnormalBistable

GOLD = (5**0.5 - 1) / 2  # Duffing's growing rate
SIGNS = st.floats(0.2, 1.8)
ANY = st.floats(-1, 1)


def outside(states):
    """Which cycle of LimitCycles a state runs to."""
    return (np.linalg.norm(states, axis=1) > 2).astype(int)


class Runaway(Flow):
    r"""$\dot x = x + y^2$, $\dot y = -y$: a saddle, and nothing to come to rest at."""

    dt: float = eqx.field(static=True, default=0.05)
    state_size: int = eqx.field(static=True, default=2, init=False)
    input_size: int = eqx.field(static=True, default=0, init=False)
    output_size: int = eqx.field(static=True, default=2, init=False)

    def velocity(self, x, u):
        return jnp.stack([x[0] + x[1] ** 2, -x[1]])

    def output(self, x):
        return x


class Flip(Map):
    """x <- -1.5 x + x^3: grows away from 0 on alternating sides."""

    dt: float = eqx.field(static=True, default=1.0)
    state_size: int = eqx.field(static=True, default=1, init=False)
    input_size: int = eqx.field(static=True, default=0, init=False)
    output_size: int = eqx.field(static=True, default=1, init=False)

    def step(self, x, u):
        return -1.5 * x + x**3

    def output(self, x):
        return x


# ---------------------------------------------------------------- edges that are known


@given(a=SIGNS, b=SIGNS, up=ANY, down=ANY)
@example(a=1.5, b=1.0, up=0.0, down=0.0)  # bisection lands where the saddle counts as rest
@example(a=1.8, b=0.2, up=0.0, down=0.0)
@settings(max_examples=3, deadline=None)
def test_the_edge_of_a_double_well_is_its_saddle(a, b, up, down):
    edge = edge_state(AffineBistable(), np.array([-a - up, up]), np.array([b - down, down]))
    assert edge.code == 0
    assert np.abs(edge.state).max() < 1e-10
    assert np.allclose(edge.left, 0.5**0.5, atol=1e-10)
    assert np.allclose(edge.ends, [[-1, 0], [1, 0]], atol=1e-6)


@pytest.mark.parametrize("turned", [False, True])
def test_the_edge_of_duffing_is_zero_and_b_is_its_positive_side(turned):
    pair = np.array([[-1.3, 0.4], [0.9, -0.2]])
    edge = edge_state(Duffing(), *(pair[::-1] if turned else pair))
    assert np.abs(edge.state).max() < 1e-10
    assert np.allclose(edge.rates, [GOLD, -1 - GOLD], atol=1e-10)
    sign = -1 if turned else 1
    assert np.allclose(edge.left, sign * np.array([1, GOLD]) / np.hypot(1, GOLD), atol=1e-10)
    assert edge.speed < 1e-12
    assert edge.width < 1e-12
    assert "one unstable direction was found" in edge.message


@pytest.mark.parametrize("height", [0.0, 0.5])
def test_a_segment_whose_middle_is_on_the_edge_is_no_trap(height):
    """The first state asked about rests at the saddle: in neither basin."""
    edge = edge_state(Bistable(2), np.array([-1.0, height]), np.array([1.0, height]))
    assert edge.code == 0
    assert np.abs(edge.state).max() < 1e-10


@pytest.mark.parametrize("start", [0.6, 3**-0.5])
def test_ends_where_the_slope_vanishes_do_not_set_the_tick(start):
    """There x - x^3 has the rate 1 - 3 x^2 = 0, at the well itself -2."""
    edge = edge_state(Hypercube(1), np.array([-start]), np.array([start]))
    assert edge.code == 0
    assert np.allclose(edge.ends, [[-1], [1]], atol=1e-6)
    assert np.abs(edge.state).max() < 1e-10


@pytest.mark.slow
def test_an_amplifying_detour_does_not_lead_astray():
    a, b = np.array([-1.0, 1.0, 0.0, -2.0]), np.array([0.7, 0.0, 5.0, 2.0])
    edge = edge_state(NonnormalBistable(), a, b)
    assert np.abs(edge.state).max() < 1e-9
    assert np.allclose(edge.left, [1, 0, 0, 0], atol=1e-9)


@pytest.mark.slow
def test_the_edge_on_the_face_of_the_gut(gut_face):
    world, e, c, saddle = gut_face
    edge = edge_state(world, e, c)
    assert edge.code == 0
    assert np.allclose(edge.state, saddle, atol=1e-9)
    assert edge.speed < 1e-12
    assert (np.real(edge.rates) > 0).sum() == 1
    assert np.allclose(edge.rates[:2].real, [0.0768924, -0.15197], atol=5e-6)


@pytest.mark.slow
def test_both_clocks_have_one_edge_at_different_rates(coarse_net):
    low, high = -np.ones(3), np.ones(3)
    flow, steps = (edge_state(coarse_net, low, high, clock=c) for c in ("flow", "map"))
    assert np.allclose(flow.state, steps.state, atol=1e-9)
    # the growing multiplier of an Euler step is 1 + rate dt
    assert np.isclose(steps.rates[0], np.log(1 + 0.9 * flow.rates[0]) / 0.9, atol=1e-9)
    assert np.allclose(edge_state(Sampled(coarse_net), low, high).rates, steps.rates)


# ---------------------------------------------------------------- edges that are none


def test_equal_basins_are_refused():
    message = "Both ends flow to attractor 0; give one state from each basin."
    with pytest.raises(ValueError, match=message):
        edge_state(Duffing(), np.array([-1.3, 0.4]), np.array([-1.0, -0.2]))
    with pytest.raises(ValueError, match="Both ends flow to attractor 1"):
        edge_state(LimitCycles(), np.array([2.5, 0]), np.array([3.0, 0]), label=outside)


def test_undecided_ends_are_refused():
    nowhere = lambda states: np.where(states[:, 0] > 0, 1, -1)
    with pytest.raises(ValueError, match=r"labels \[-1, 1\]: one is undecided"):
        edge_state(Duffing(), np.array([-1.0, 0]), np.array([1.0, 0]), label=nowhere)


def test_an_unstable_end_is_refused_with_its_rate():
    """E of the gut is stable on its face only; Akkermansia, number 6, invades it."""
    data = gut()
    with float64():
        world = LotkaVolterra(jnp.asarray(data.growth), jnp.asarray(data.interactions))
    message = r"a is not attracting: .*\+0\.4822 per unit time, along coordinate 6.*face"
    with pytest.raises(ValueError, match=message):
        edge_state(world, data.steady("E"), data.steady("C"))
    assert "Akkermansia" in data.genera[6]
    with pytest.raises(ValueError, match="b is not attracting"):
        edge_state(Duffing(), np.array([1.0, 0]), np.zeros(2))


def test_an_end_that_does_not_rest_asks_for_a_label():
    with pytest.raises(ValueError, match="a does not come to rest"):
        edge_state(LimitCycles(), np.array([1.0, 0]), np.array([3.0, 0]))


def test_an_edge_that_goes_round_is_a_code():
    edge = edge_state(LimitCycles(), np.array([1.0, 0]), np.array([3.0, 0]), label=outside)
    assert edge.code == module.MOVING
    assert "needs Floquet exponents" in edge.message
    assert np.isnan([*edge.state, *edge.left, edge.speed]).all()
    assert np.isnan(edge.rates).all()
    assert np.isnan(edge.ends).all()
    assert edge.rounds == module.ROUNDS


def test_corners_that_are_no_neighbours_meet_at_a_wrong_point():
    """All four basins meet at 0, on the very segment between two opposite corners."""
    edge = edge_state(Hypercube(2), np.array([-1.0, -1.0]), np.array([1.0, 1.0]))
    assert edge.code == module.WRONG_INDEX
    assert np.abs(edge.state).max() < 1e-10
    assert np.allclose(edge.rates, [1, 1])
    assert "not exactly one unstable direction" in edge.message


def test_a_basin_in_between_is_named():
    """A segment from (-1, -1) to (1, 0.9) crosses the basin of (1, -1)."""
    edge = edge_state(Hypercube(2), np.array([-1.0, -1.0]), np.array([1.0, 0.9]))
    assert edge.code == module.ELSEWHERE
    assert np.allclose(edge.state, [0, -1], atol=1e-9)
    assert "another basin lies between them" in edge.message


# ---------------------------------------------------------------- a saddle, given


@pytest.mark.parametrize("off", [0.0, 1e-3])
def test_a_pass_knows_its_sides(off):
    found = mountain_pass(Duffing(), np.array([off, -off]))
    assert np.abs(found.saddle).max() < 1e-12
    assert found.rate == pytest.approx(GOLD)
    assert np.allclose(found.left * np.hypot(1, GOLD), [1, GOLD])
    assert np.allclose(found.right * np.hypot(1, GOLD), [1, GOLD])
    assert np.allclose(found.ends, [[-1, 0], [1, 0]], atol=1e-6)
    assert found.distance == pytest.approx(2, abs=1e-6)
    assert found.judge is not None
    assert found.judge(np.array([[-0.1, 0], [0.1, 0]])).tolist() == [0, 1]


def test_directions_of_a_slanted_saddle_are_not_one():
    """AffineBistable: w = (1, 1), but the state leaves along (1, 0)."""
    found = mountain_pass(AffineBistable(), np.zeros(2))
    assert np.allclose(found.left, 0.5**0.5)
    assert np.allclose(found.right, [1, 0])


@pytest.mark.parametrize("discrete", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_directions_solve_their_equations_and_agree(discrete, seed):
    basis = np.random.default_rng(seed).normal(size=(5, 5))
    # a map's growing multiplier is its largest, a flow's growing rate may be its smallest
    own = np.array([-0.9, 1.2, 0.3, -0.5, 0.1] if discrete else [-3, 0.2, -1, -2, -0.5])
    slope = basis @ np.diag(own) @ np.linalg.inv(basis)
    left, right = directions(slope, discrete)
    assert np.allclose(left @ slope, own[1] * left)
    assert np.allclose(slope @ right, own[1] * right)
    assert np.allclose([np.linalg.norm(left), np.linalg.norm(right)], 1)
    assert left @ right > 0
    assert left[np.argmax(np.abs(left))] > 0


def test_where_nothing_rests_there_is_no_judge():
    found = mountain_pass(Runaway(), np.zeros(2))
    assert found.judge is None
    assert np.isnan(found.ends).all()
    assert found.distance == 2
    assert np.allclose([found.left, found.right], [1, 0])


@pytest.mark.parametrize(
    ("system", "state", "message"),
    [
        (Duffing(), [1.0, 0.0], "This point has 0 unstable rates; a separatrix"),
        (Hypercube(3), [0.0, 0.0, 1.0], r"This point has 2 unstable rates: 1\S*, 1\S*; a sep"),
        (Duffing(), [0.4, 0.1], "No fixed point stands where the saddle was given"),
        (Flip(), [0.0], "flips sides every step"),
    ],
)
def test_what_is_no_saddle_of_index_one_is_refused(system, state, message):
    with pytest.raises(ValueError, match=message):
        mountain_pass(system, np.array(state))


def test_a_held_input_is_asked_for_and_counted(coarse_net):
    driven = eqx.tree_at(lambda n: n.encoder, coarse_net, jnp.ones((3, 2)))
    for ask in (mountain_pass, lambda *a, **k: edge_state(*a, np.ones(3), **k)):
        with pytest.raises(ValueError, match=r"takes 2 inputs .* hold=jnp.zeros\(2\)"):
            ask(driven, -np.ones(3))
        for wrong in (np.zeros(1), np.array([0.0, np.nan])):
            with pytest.raises(ValueError, match="give 2 finite numbers"):
                ask(driven, -np.ones(3), hold=wrong)


@pytest.mark.slow
def test_the_hold_moves_the_edge(coarse_net):
    driven = eqx.tree_at(lambda n: n.encoder, coarse_net, jnp.ones((3, 1)))
    pair, hold = (-np.ones(3), np.ones(3)), np.array([0.05])
    still, pushed = (edge_state(driven, *pair, hold=h) for h in (np.zeros(1), hold))
    assert np.linalg.norm(pushed.state - still.state) > 0.01
    held = edge_state(Held(driven, jnp.asarray(hold)), *pair)
    assert np.allclose(held.state, pushed.state, atol=1e-6)  # its input is in single precision
