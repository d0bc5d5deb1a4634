"""Is the push the smallest one, does it cross, and is the reason given where there is none?"""

import jax.random as jr
import jaxtyping
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from slowpoint.analysis import push as pushes
from slowpoint.analysis.even import even_box, even_normal
from slowpoint.analysis.pullback import Hyperplane, Pullback
from slowpoint.analysis.push import smallest_push
from slowpoint.analysis.separatrix import separatrix
from slowpoint.worlds.affine_bistable import AffineBistable
from slowpoint.worlds.bistable import Bistable
from slowpoint.worlds.duffing import Duffing
from slowpoint.worlds.hypercube import Hypercube

KEY = jr.key(3)
SADDLE = np.array([-0.2957, -0.2291, 0.1943])  # of coarse_net


@pytest.fixture(scope="module")
def well():
    return separatrix(Bistable(3), np.zeros(3))


@pytest.fixture(scope="module")
def slanted():
    return separatrix(AffineBistable(), np.zeros(2))


@pytest.fixture(scope="module")
def duffing():
    return separatrix(Duffing(), np.zeros(2))


@pytest.fixture(scope="module")
def flat():
    return separatrix(Duffing(), np.zeros(2), how=Hyperplane())


@pytest.fixture(scope="module", params=["flow", "map"])
def net(request, coarse_net):
    return coarse_net, separatrix(coarse_net, SADDLE, clock=request.param)


def found(push):
    assert push.code == pushes.FOUND, push.message
    assert push.crosses
    assert push.holds
    assert push.norm == pytest.approx(np.linalg.norm(push.vector))
    assert push.cosine > 1 - 1e-4
    return push


# ---------------------------------------------------------------- pushes that are known


@given(
    x=st.floats(0.3, 1.8), y=st.floats(-1, 1), z=st.floats(-1, 1), side=st.sampled_from([-1, 1])
)
@settings(max_examples=4, deadline=None)
def test_a_double_well_is_crossed_straight(well, x, y, z, side):
    """From (x, y, z) by (-x, 0, 0), whatever y and z: one turn to the normal is enough."""
    push = found(smallest_push(Bistable(3), np.array([side * x, y, z]), well, key=KEY))
    assert np.allclose(push.vector, [-side * x, 0, 0], atol=1e-4 * x)
    assert push.norm == pytest.approx(x, rel=1e-4)
    assert push.turns <= 2
    assert push.basin == (side > 0)
    assert push.other_clock  # Euler steps part at the same plane


def test_one_ray_along_the_normal_is_one_turn(well):
    push = found(smallest_push(Bistable(3), np.array([1.0, 0, 0]), well, tries=1, key=KEY))
    assert push.turns == 1
    assert push.norms.shape == (1,)
    assert np.allclose(push.vector, [-1, 0, 0], atol=1e-5)


def test_only_units_of_the_mask_move(slanted):
    """To x_1 + x_2 = 0 from (1, 0): (-.5, -.5); with one unit only, all of it there."""
    start, world = np.array([1.0, 0.0]), AffineBistable()
    both = found(smallest_push(world, start, slanted, key=KEY))
    assert np.allclose(both.vector, -0.5, atol=1e-4)
    for unit in range(2):
        mask = np.arange(2) == unit
        one = found(smallest_push(world, start, slanted, mask=mask, key=KEY))
        assert np.allclose(one.vector, np.where(mask, -1, 0), atol=1e-4)
        assert one.vector[1 - unit] == 0


def test_lower_bounds_are_kept_and_the_rest_goes_further(slanted):
    start, world = np.array([1.0, 0.0]), AffineBistable()
    lower = np.array([-10.0, -0.2])
    push = found(smallest_push(world, start, slanted, lower=lower, key=KEY))
    assert np.allclose(push.vector, [-0.8, -0.2], atol=1e-4)
    assert (start + push.vector >= lower).all()
    free = found(smallest_push(world, start, slanted, lower=-10.0, key=KEY))
    assert np.allclose(free.vector, -0.5, atol=1e-4)


@pytest.mark.parametrize("side", [0, 1])
def test_no_state_within_the_norm_is_across(duffing, side):
    """In 400 directions, at 0.999 of the norm and at half of it, by simulation."""
    start, judge = duffing.attractors[side], duffing.around.judge
    push = found(smallest_push(Duffing(), start, duffing, key=KEY))
    angles = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    ring = push.norm * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for share in (0.5, 0.999):
        assert (judge(start + share * ring) == side).all()
    assert (judge(start + 1.01 * ring) != side).any()
    assert push.norm < np.linalg.norm(start)  # to the saddle
    assert push.norm == pytest.approx(0.84851, abs=2e-5)


def test_a_push_is_proved_on_its_own_clock(net):
    """Steps of 0.9 and the flow part at other places: one of the clocks may say no."""
    system, surface = net
    judge, others = surface.around.judge, []
    for side, start in enumerate(surface.attractors):
        push = found(smallest_push(system, start, surface, key=KEY))
        tests = start + push.vector * np.array([[0.999], [1.001]])
        assert judge(tests).tolist() == [side, 1 - side]
        assert push.norm <= np.linalg.norm(surface.around.saddle - start)
        assert push.norm <= np.linalg.norm(surface.attractors[1 - side] - start)
        ways = even_normal(200, 3)
        ring = 0.999 * push.norm * ways / np.linalg.norm(ways, axis=1, keepdims=True)
        assert (judge(start + ring) == side).all()
        others.append(push.other_clock)
    # the smaller of the two flow pushes is too small for the steps, and the other way round
    assert others == ([False, True] if surface.clock == "flow" else [True, False])


def test_clocks_ask_for_different_pushes(coarse_net):
    pair = [separatrix(coarse_net, SADDLE, clock=c) for c in ("flow", "map")]
    one, two = (smallest_push(coarse_net, s.attractors[1], s, key=KEY) for s in pair)
    assert np.linalg.norm(one.vector - two.vector) > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("case", ["from C", "from E, two genera added", "from E, two kept"])
def test_abundances_stay_and_cross(gut_face, case):
    world, e, c, saddle = gut_face
    surface = separatrix(world, saddle)
    start = c if case == "from C" else e
    # with all free E loses genera 2 and 5: at extinction the attractors of another face judge
    masks = {"from C": None, "from E, two genera added": np.arange(7) < 2}
    mask = masks.get(case, ~np.isin(np.arange(7), [2, 5]))
    push = smallest_push(world, start, surface, mask=mask, lower=0.0, key=KEY)
    assert (start + push.vector >= 0).all()
    tests = start + push.vector * np.array([[0.999], [1.001]])
    judge = surface.around.judge
    assert judge(np.maximum(tests, 0)).tolist() == [push.basin, 1 - push.basin]
    found(push)
    assert mask is None or not push.vector[~mask].any()


def test_chance_is_the_key_and_more_tries_are_no_worse(duffing):
    start = np.array([0.9, 2.0])
    ask = lambda **options: smallest_push(Duffing(), start, duffing, **options)
    assert np.array_equal(ask(key=KEY).vector, ask(key=KEY).vector)
    few, many = ask(tries=2, key=KEY), ask(tries=12, key=KEY)
    assert few.norms.shape == (2,)
    assert many.norms.shape == (12,)
    assert many.norm <= few.norm * (1 + 1e-3)
    # simulation settles the length: within what the pull-back is off
    assert many.norm == pytest.approx(np.nanmin(many.norms), rel=0.01)


# ---------------------------------------------------------------- pushes that are none


def nothing(push, code, *words):
    assert push.code == code, push.message
    assert all(word in push.message for word in words)
    assert np.isnan(push.vector).all()
    assert np.isnan(push.norm)
    assert not any([push.crosses, push.holds, push.other_clock])
    return push


def test_a_mask_of_nothing_is_a_code(well):
    start, mask = np.array([1.0, 0, 0]), np.zeros(3, bool)
    nothing(smallest_push(Bistable(3), start, well, mask=mask, key=KEY), 1, "mask[unit] = True")


def test_units_that_do_not_matter_cannot_cross(well):
    start, mask = np.array([1.0, 0.5, 0]), np.array([False, True, True])
    push = smallest_push(Bistable(3), start, well, mask=mask, key=KEY)
    nothing(push, pushes.OUT_OF_REACH, "No crossing within reach")
    assert push.searched == pytest.approx(8 * 1.25**0.5)
    assert push.basin == 1


def test_bounds_that_forbid_the_crossing_are_a_code(slanted):
    start = np.array([1.0, 0.2])
    push = smallest_push(AffineBistable(), start, slanted, lower=0.1, key=KEY)
    nothing(push, pushes.OUT_OF_REACH, "or bounds")


def test_a_start_below_its_bounds_is_a_code(slanted):
    start = np.array([1.0, -0.2])
    push = smallest_push(AffineBistable(), start, slanted, lower=0.0, key=KEY)
    nothing(push, pushes.OUTSIDE, "below its lower bounds")


def test_a_start_in_a_third_basin_is_a_code():
    surface = separatrix(Hypercube(2), np.array([0.0, -1.0]))
    push = smallest_push(Hypercube(2), np.array([0.5, 0.5]), surface, key=KEY)
    assert nothing(push, pushes.NO_BASIN, "neither of the two attractors").basin == -2


def test_a_start_that_the_field_puts_elsewhere_is_a_code(flat):
    states = 4.8 * even_box(200, 2) - 2.4
    labels = flat.around.judge(states)
    wrong = np.flatnonzero(flat.side(states) != 2 * labels - 1)
    for row in wrong[:3]:
        push = smallest_push(Duffing(), states[row], flat, key=KEY)
        nothing(push, pushes.WRONG_SIDE, "than simulation does")
        assert push.basin == labels[row]


def test_a_surface_that_is_far_off_proves_nothing(flat):
    """The hyperplane of Duffing near one of its outer arms."""
    push = smallest_push(Duffing(), np.array([-1.2, 2.5]), flat, key=KEY)
    assert push.code == pushes.UNPROVED
    assert not (push.crosses and push.holds)
    assert "not exact enough" in push.message


def test_an_iteration_that_is_cut_short_says_so(duffing, monkeypatch):
    monkeypatch.setattr(pushes, "STEPS", 1)
    push = smallest_push(Duffing(), np.array([1.0, 0]), duffing, tries=1, key=KEY)
    assert push.code == pushes.UNCONVERGED
    assert push.crosses
    assert push.holds
    assert "still turning" in push.message
    assert push.norm == pytest.approx(1, abs=1e-6)  # along the ray to the saddle


def test_wrong_shapes_are_refused(well):
    ask = lambda start, **options: smallest_push(Bistable(3), start, well, key=KEY, **options)
    with pytest.raises(ValueError, match="the system has 3 numbers of state"):
        ask(np.ones(2))
    jaxtyping.config.update("jaxtyping_disable", True)  # as it is for a user
    try:
        with pytest.raises(ValueError, match=r"start has shape \(3,\), mask \(2,\)"):
            ask(np.ones(3), mask=np.ones(2, bool))
        with pytest.raises(ValueError, match=r"lower \(4,\): give each one number per unit"):
            ask(np.ones(3), lower=np.zeros(4))
        with pytest.raises(ValueError, match=r"start has shape \(2, 3\)"):
            ask(np.ones((2, 3)))
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


def test_a_longer_pull_back_gives_the_same_push(duffing):
    """Its length is settled by simulation, not by the field."""
    longer = separatrix(Duffing(), np.zeros(2), how=Pullback(4.0))
    one, two = (
        smallest_push(Duffing(), np.array([1.0, 0]), s, key=KEY) for s in (duffing, longer)
    )
    assert np.allclose(one.vector, two.vector, atol=2e-3)
    assert one.norm == pytest.approx(two.norm, rel=1e-4)
