"""Does a ghost hold a state as long as its normal form says?"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.integrate import quad

from slowpoint.analysis.events import Event, FOLD
from slowpoint.analysis.ghosts import ghosts
from slowpoint.analysis.tracking import track
from slowpoint.core.system import Flow, Map
from slowpoint.theory.ghost import ghost_time, passage_time


class Passing(Map):
    """h' = h + e + c h^2, beside one that decays and is mixed in; the fold is at e = 0."""

    e: float
    curve: float = 1.0
    state_size: int = eqx.field(static=True, default=2)
    input_size: int = eqx.field(static=True, default=0)
    output_size: int = eqx.field(static=True, default=1)
    dt: float = eqx.field(static=True, default=1.0)

    def step(self, x, u):
        return jnp.array([x[0] + self.e + self.curve * x[0] ** 2 + 0.3 * x[1], 0.4 * x[1]])

    def output(self, x):
        return 3.0 - x[:1]


class Slow(Flow):
    """The same fold in continuous time, in another unit of it."""

    e: float
    state_size: int = eqx.field(static=True, default=1)
    input_size: int = eqx.field(static=True, default=0)
    output_size: int = eqx.field(static=True, default=1)
    dt: float = eqx.field(static=True, default=0.01)

    def velocity(self, x, u):
        return 2 * (self.e + x**2)

    def output(self, x):
        return 3.0 - x


def left(output):
    return output[0] < 0


GAPS = np.array([1e-5, 1e-4, 1e-3])
FOLD_AT_0 = Event(FOLD, 0.0, np.zeros(2), 0.0, 0.0, 1.0, 1.0, True)


@settings(max_examples=30, deadline=None)
@given(a=st.floats(0.01, 5), b=st.floats(1e-4, 1), reach=st.floats(0.1, 50))
def test_times_are_the_integrals(a, b, reach):
    whole = quad(lambda y: 1 / (b + a * y**2), -np.inf, np.inf)[0]
    assert ghost_time(a, b) == pytest.approx(whole, rel=1e-6)
    part = quad(lambda y: 1 / (b + a * y**2), 0, reach, limit=500)[0]
    assert passage_time(a, b, reach) == pytest.approx(2 * part, rel=1e-5)


def test_nothing_passes_where_the_points_still_are():
    assert ghost_time(1.0, -0.1) == np.inf
    assert ghost_time(np.array([1.0, 1.0]), np.array([0.0, 0.25])).tolist() == [
        np.inf,
        2 * np.pi,
    ]


@pytest.mark.parametrize("curve", [1.0, 0.2])
def test_the_ghost_of_a_map_on_paper(curve):
    family = lambda e: Passing(e, curve)
    found = ghosts(family, FOLD_AT_0, GAPS, np.array([-0.5, 0.0]), left)
    np.testing.assert_allclose(found.push, GAPS, rtol=1e-3)
    np.testing.assert_allclose(found.bend, curve, rtol=1e-3)
    np.testing.assert_allclose(found.speeds, np.sqrt(2 * found.q), rtol=1e-12)
    assert (found.speeds <= GAPS * (1 + 1e-9)).all()
    assert found.gradients.max() < 1e-10
    assert found.defects.max() < 1e-6
    time = np.pi / np.sqrt(curve * GAPS)
    np.testing.assert_allclose(found.steps / time, 1, atol=0.02 + 3 / curve / time.min())
    np.testing.assert_allclose(found.steps[0] / time[0], 1, atol=0.02)


def test_a_flow_counts_in_its_own_time():
    fold = FOLD_AT_0._replace(state=np.zeros(1), push=2.0, bend=2.0)
    found = ghosts(Slow, fold, np.array([1e-3]), np.array([-2.0]), left, most=60_000)
    assert found.push[0] == pytest.approx(2e-3, rel=1e-6)
    assert found.bend[0] == pytest.approx(2.0, rel=1e-6)
    time = ghost_time(found.bend, found.push)[0]
    assert time == pytest.approx(np.pi / np.sqrt(4e-3), rel=1e-6)
    assert found.steps[0] * found.dt == pytest.approx(time, rel=0.02)


def test_a_tracked_fold_and_its_other_side():
    """The points are where the value falls: beyond is up, and track finds the fold."""
    turned = lambda e: Passing(-e)
    tracked = track(turned, np.array([-0.1, 0.0]), np.linspace(0.01, -0.01, 5))
    fold = tracked.events[-1]
    assert fold.kind == FOLD
    assert abs(fold.value) < 1e-10
    found = ghosts(turned, fold, np.array([1e-3]), np.array([-0.5, 0.0]), left)
    assert found.push[0] == pytest.approx(1e-3, rel=1e-3)
    assert found.bend[0] == pytest.approx(abs(fold.bend), rel=1e-3)


def test_a_run_that_stays_says_so():
    found = ghosts(Passing, FOLD_AT_0, np.array([1e-4]), np.array([-1.0, 0.0]), left, most=50)
    assert found.steps.tolist() == [-1]


def test_a_distance_of_0_is_refused():
    with pytest.raises(ValueError, match="above 0"):
        ghosts(Passing, FOLD_AT_0, np.array([0.0]), np.zeros(2), left)
