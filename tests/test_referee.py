"""Does the referee call every state by where it goes, and admit what it does not know?"""

import dataclasses

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from slowpoint.analysis.even import even_box, even_normal
from slowpoint.analysis.field import values
from slowpoint.analysis.methods import Forward
from slowpoint.analysis.mountain_pass import mountain_pass
from slowpoint.analysis.pullback import pulled_back
from slowpoint.analysis.referee import DIVERGED, jacobian_at, referee, resolved, TICK
from slowpoint.analysis.settle import settle
from slowpoint.core.clock import RungeKutta
from slowpoint.core.precision import float64
from slowpoint.core.system import Flow
from slowpoint.core.wrap import Sampled
from slowpoint.worlds.bistable import Bistable
from slowpoint.worlds.duffing import Duffing
from slowpoint.worlds.hypercube import Hypercube

NONE = np.zeros(0)
ENDS = np.array([[-1.0], [1.0]])


class Line(Flow):
    """A flow on the line: wells at -1 and 1, `lip` between them, states beyond `cliff` lost."""

    lip: float = 0.0
    cliff: float = np.inf
    dt: float = eqx.field(static=True, default=0.05)
    state_size: int = eqx.field(static=True, default=1, init=False)
    input_size: int = eqx.field(static=True, default=0, init=False)
    output_size: int = eqx.field(static=True, default=1, init=False)

    def velocity(self, x, u):
        return -(x + 1) * (x - self.lip) * (x - 1) * (1 - (x / self.cliff) ** 2)

    def output(self, x):
        return x


def judge_of(flow, ends=ENDS, **options):
    return referee(resolved(flow, ends, NONE), ends, NONE, **options)


def test_a_state_is_called_by_where_it_goes():
    judge = judge_of(Line(cliff=2.0))
    states = np.array([[-1.9], [-0.3], [-1e-9], [1e-9], [0.5], [1.0], [1.9], [2.5], [-7.0]])
    assert judge(states).tolist() == [0, 0, 0, 1, 1, 1, 1, DIVERGED, DIVERGED]


def test_what_rests_elsewhere_is_not_called_undecided():
    judge = judge_of(Line(cliff=2.0))
    assert judge(np.array([[0.0], [2.0], [-2.0]])).tolist() == [-2, -2, -2]


def test_a_third_basin_is_elsewhere():
    ends = np.array([[-1.0, -1.0], [1.0, -1.0]])
    corners = np.array([[-0.2, -0.5], [0.3, -1.5], [-0.1, 0.1], [0.4, 0.9]])
    assert judge_of(Hypercube(2), ends)(corners).tolist() == [0, 1, -2, -2]


def test_a_run_that_is_cut_short_is_undecided():
    full, states = judge_of(Line()), np.array([[-1.05], [0.1], [-0.1], [1e-3]])
    within = lambda ticks: dataclasses.replace(full, ticks=ticks)(states).tolist()
    assert within(1) == [0, -1, -1, -1]
    # s grows like e^t: from 1e-3 about 7 units of time; the tick is an eighth
    assert within(40) == [0, 1, 0, -1]
    assert within(120) == [0, 1, 0, 1]


@given(x=st.floats(-2, 2), y=st.floats(-2, 2))
@settings(max_examples=15, deadline=None)
def test_a_label_is_that_of_the_next_state(x, y):
    ends = np.array([[-1.0, 0], [1.0, 0]])
    judge = judge_of(Duffing(), ends)
    state = np.array([x, y])
    moved = np.asarray(judge.system.step(jnp.asarray(state, jnp.float32), NONE), float)
    labels = judge(np.stack([state, moved]))
    assert labels[0] == labels[1]
    assert judge(-state[None])[0] == 1 - labels[0] or labels[0] < 0


def test_thousands_of_states_are_labelled_in_their_order():
    ends = np.array([[-1.0, 0], [1.0, 0]])
    states = 4 * even_box(5000, 2) - 2
    assert np.array_equal(judge_of(Bistable(2), ends)(states), (states[:, 0] > 0).astype(int))
    assert judge_of(Bistable(2), ends)(np.zeros((0, 2))).shape == (0,)


def test_a_neighbourhood_that_leaks_is_halved():
    """The lip at 0.93 is nearer to 1 than a tenth of the distance between the wells."""
    assert judge_of(Line(lip=0.5)).near.tolist() == [0.2, 0.2]
    judge = judge_of(Line(lip=0.93))
    assert judge.near.tolist() == [0.2, 0.05]
    assert judge(np.array([[0.92], [0.94]])).tolist() == [0, 1]


@pytest.mark.slow
def test_a_well_much_faster_than_the_saddle_is_an_end_too():
    """Rates 0.135 at the lip, -3.9 at the well: the saddle's tick is unstable there."""
    around = mountain_pass(Line(lip=0.93), np.array([0.93]))
    assert np.allclose(around.ends, ENDS, atol=1e-9)
    assert around.judge is not None
    assert around.judge(np.array([[0.92], [0.94]])).tolist() == [0, 1]
    assert around.fine.dt <= TICK / 3.86


def test_neighbourhoods_keep_to_the_nearest_neighbour():
    ends = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0]])
    assert np.allclose(judge_of(Hypercube(2), ends, near=0.3).near, 0.6)


@pytest.mark.parametrize("other", [0.0, 0.4])  # a saddle; a state that just passes
def test_what_does_not_attract_is_refused(other):
    with pytest.raises(ValueError, match="attractor 1 leave it again: it does not attract"):
        judge_of(Line(), np.array([[-1.0], [other]]))


def test_one_attractor_is_refused():
    with pytest.raises(ValueError, match="1 attractors: nothing to tell apart"):
        judge_of(Line(), np.array([[1.0]]))


def test_a_flow_is_resolved_at_its_fastest_rate_and_a_map_left_alone():
    where = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0]])  # rates 1 and -1, then -2
    fine = resolved(Bistable(2), where[:1], NONE)
    assert isinstance(fine, RungeKutta)
    assert fine.tick == TICK
    assert resolved(Bistable(2), where, NONE).tick == TICK / 2
    steps = Sampled(Bistable(2))
    assert resolved(steps, where, NONE) is steps


def test_a_map_is_judged_by_its_own_steps():
    """Euler steps of 0.9 from x = 1.6 jump over 0 to the other well."""
    steps, states = Sampled(Line(dt=0.9)), np.array([[1.6], [-1.6], [1.2]])
    assert referee(steps, ENDS, NONE)(states).tolist() == [0, 1, 1]
    assert judge_of(Line())(states).tolist() == [1, 0, 1]
    # from 1e-9 short steps need some 4,000, in several blocks
    short, near = referee(Sampled(Line(dt=0.005)), ENDS, NONE), np.array([[1e-9], [-1e-9]])
    assert short(near).tolist() == [1, 0]
    assert dataclasses.replace(short, ticks=3000)(near).tolist() == [-1, -1]


@given(count=st.integers(1, 70), size=st.integers(1, 9))
@settings(max_examples=20, deadline=None)
def test_even_points_are_inside_and_none_twice(count, size):
    points = even_box(count, size)
    assert points.shape == (count, size)
    assert ((points > 0) & (points < 1) & (points != 0.5)).all()
    assert all(len(set(column)) == count for column in points.T)


def test_even_points_fill_their_cells_and_their_normal():
    """In every coordinate one of the first 2^m points lies in each of 2^m equal cells."""
    points = even_box(64, 5)
    assert (np.sort((points * 64).astype(int), axis=0) == np.arange(64)[:, None]).all()
    normal = even_normal(1024, 3)
    assert np.allclose(normal.mean(axis=0), 0, atol=1e-9)
    assert np.allclose(np.cov(normal.T), np.eye(3), atol=0.01)


def test_too_few_ticks_are_not_called_a_repeller():
    with pytest.raises(ValueError, match="still on its way home after 1 ticks"):
        judge_of(Line(), ticks=1)


TRACED = []


class Noted(Flow):
    """A line with wells at -1 and 1; notes when its rule is traced, once per compilation."""

    dt: float = eqx.field(static=True, default=0.05)
    state_size: int = eqx.field(static=True, default=1, init=False)
    input_size: int = eqx.field(static=True, default=0, init=False)
    output_size: int = eqx.field(static=True, default=1, init=False)

    def velocity(self, x, u):
        TRACED.append(x)
        return x - x**3

    def output(self, x):
        return x


def test_other_states_and_spans_compile_nothing_new():
    judge, hold = judge_of(Noted()), NONE
    near, far = np.full((3, 1), 0.9), np.full((3, 1), -1e-12)
    work = [
        (
            lambda: jacobian_at(Noted(), near[0], hold),
            lambda: jacobian_at(Noted(), far[0], hold),
        ),
        (lambda: judge(near), lambda: judge(far)),  # spans from 32 on, until it arrives
    ]
    for first, again in work:
        first()
        count = len(TRACED)
        assert count  # it is noted
        again()
        assert len(TRACED) == count


def test_settling_to_another_speed_compiles_nothing_new():
    starts = np.full((3, 1), 0.9)

    def traced(speed):
        before = len(TRACED)
        settle(Noted(), starts, NONE, until=Forward(speed=speed))
        return len(TRACED) - before

    first, again, other = traced(1e-9), traced(1e-9), traced(1e-4)
    assert first > again == other  # once per call the rule is asked for its shapes


def test_another_tick_and_time_compile_nothing_new():
    around = mountain_pass(Noted(), np.zeros(1))

    def traced(tick, ticks):
        before = len(TRACED)
        clock = dataclasses.replace(around, fine=RungeKutta(Noted(), tick))
        with float64():
            field = pulled_back(clock, ticks)
        values(field, np.full((3, 1), 0.9))
        return len(TRACED) - before

    assert traced(0.1, 8)  # it is noted
    assert not traced(0.1, 300)
    assert not traced(0.05, 8)
