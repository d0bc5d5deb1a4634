"""Stable manifolds against curves on paper, and against basins by simulation."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from slowpoint.analysis.contours import contour_error
from slowpoint.analysis.stable_manifold import (
    LEFT,
    LONG,
    SOURCE,
    stable_manifold,
    StableManifold,
)
from slowpoint.core.system import Flow
from slowpoint.core.wrap import Sampled
from slowpoint.worlds.bistable import Bistable

ORIGIN = np.zeros(2)


def square(half):
    return np.full(2, -float(half)), np.full(2, float(half))


class Plane(Flow):
    """Any velocity in the plane, times `speed`."""

    rule: object = eqx.field(static=True)
    speed: float = 1.0
    state_size: int = eqx.field(static=True, default=2)
    input_size: int = eqx.field(static=True, default=0)
    output_size: int = eqx.field(static=True, default=2)
    dt: float = eqx.field(static=True, default=0.05)

    def velocity(self, x, u):
        return self.speed * jnp.stack(self.rule(x[0], x[1]))

    def output(self, x):
        return x


def duffing(x, y):
    return y, -y + x - x**3


def bent(x, y):
    return x + y**2, -y


def affine(x, y):
    return x + 2 * y - (x + y) ** 3, -y


def four_wells(x, y):
    return x - x**3, y - y**3


def ends_of(rule, states, time=60.0, tick=0.02):
    """The sign of x after `time`, by the classical Runge-Kutta method."""
    f = lambda z: np.stack(rule(*z))
    z = states.T
    for _ in range(int(time / tick)):
        a = f(z)
        b = f(z + tick / 2 * a)
        c = f(z + tick / 2 * b)
        z = z + tick / 6 * (a + 2 * (b + c) + f(z + tick * c))
    assert np.abs(np.abs(z[0]) - 1).max() < 1e-3
    return np.sign(z[0])


def test_a_parabola():
    """x' = x + y², y' = -y: x = -y² / 3."""
    found = stable_manifold(Plane(bent), ORIGIN, box=square(2))
    x, y = found.states.T
    assert np.abs(x + y**2 / 3).max() < 1e-9
    assert np.allclose(found.rates, [1, -1])
    assert (np.abs(y[[0, -1]]) > 2).all()
    truth = contour_error(lambda z: z[:, 0] + z[:, 1] ** 2 / 3, found.states, square(2))
    assert truth.p95 < 1e-4
    assert truth.back_p95 < 1e-4


def test_a_slanted_line():
    found = stable_manifold(Plane(affine), ORIGIN, box=square(2))
    assert np.abs(found.states.sum(axis=1)).max() < 1e-9
    assert np.allclose(found.direction, [np.sqrt(0.5), -np.sqrt(0.5)])


def test_the_line_of_a_world():
    found = stable_manifold(Bistable(), ORIGIN)  # in the box of its own
    assert np.abs(found.states[:, 0]).max() < 1e-12
    assert (np.abs(found.states[[0, -1], 1]) > 2).all()


@pytest.fixture(scope="module")
def spiral():
    return stable_manifold(Plane(duffing), ORIGIN, box=square(2))


def test_beside_the_duffing_boundary_lie_two_basins(spiral):
    left, right = spiral.beside(1e-5)
    assert np.allclose(np.linalg.norm(left - right, axis=1), 2e-5)
    ends = ends_of(duffing, np.concatenate([left[::3], right[::3]])).reshape(2, -1)
    assert (ends[0] == -ends[1]).all()
    assert (ends[0] == ends[0][0]).all()


def test_the_duffing_edge(spiral):
    growth = (np.sqrt(5) - 1) / 2
    assert np.allclose(spiral.saddle, 0, atol=1e-15)
    assert np.allclose(spiral.rates, [growth, -1 - growth])
    at = int(np.flatnonzero(spiral.arcs == 0)[0])
    assert (spiral.states[at] == spiral.saddle).all()
    assert np.allclose(spiral.states, -spiral.states[::-1], atol=1e-9)  # (x, y) -> (-x, -y)
    assert "left the box" in spiral.message


def test_an_arm_that_leaves_and_comes_back(spiral):
    outside = ~spiral.inside
    assert outside.sum() > 100  # x up to 2.05
    assert outside[[0, -1]].all()
    assert spiral.inside[[1, -2]].all()
    wide = stable_manifold(Plane(duffing), ORIGIN, box=square(2.4))
    assert wide.inside[1:-1].all()
    middle = slice(len(wide.states) // 2 - 1000, len(wide.states) // 2 + 1000)
    own = slice(len(spiral.states) // 2 - 1000, len(spiral.states) // 2 + 1000)
    assert np.allclose(wide.states[middle], spiral.states[own], atol=1e-9)


def test_samples_at_equal_lengths(spiral):
    gaps = np.linalg.norm(np.diff(spiral.states, axis=0), axis=1)
    assert np.abs(gaps - 0.005).max() < 1e-6
    assert np.allclose(np.diff(spiral.arcs), 0.005)


def test_a_faster_clock_changes_nothing(spiral):
    fast = stable_manifold(Plane(duffing, speed=17.0), ORIGIN, box=square(2))
    assert np.allclose(fast.states, spiral.states, atol=1e-8)
    assert np.allclose(fast.rates, 17 * spiral.rates)


def test_a_saddle_known_to_a_few_digits(spiral):
    rough = stable_manifold(Plane(duffing), np.array([1e-5, -2e-5]), box=square(2))
    assert np.allclose(rough.states, spiral.states, atol=1e-9)


def test_it_starts_at_a_source():
    found = stable_manifold(Plane(four_wells), np.array([0.0, 1.0]), box=square(2))
    assert sorted(found.ends) == [LEFT, SOURCE]
    assert np.abs(found.states[:, 0]).max() < 1e-12
    assert 0 <= found.states[:, 1].min() < 0.0051
    assert "at rest" in found.message


def test_it_stops_at_the_length_asked_for(tmp_path):
    found = stable_manifold(Plane(duffing), ORIGIN, box=square(2), length=1.0)
    assert (found.ends == LONG).all()
    assert np.abs(found.arcs).max() == pytest.approx(1, abs=0.006)
    found.save(tmp_path / "a.npz")
    assert "may go on" in StableManifold.load(tmp_path / "a.npz").message


class Pushed(Flow):
    """x' = x - u, y' = -y."""

    state_size: int = eqx.field(static=True, default=2)
    input_size: int = eqx.field(static=True, default=1)
    output_size: int = eqx.field(static=True, default=2)
    dt: float = eqx.field(static=True, default=0.05)

    def velocity(self, x, u):
        return jnp.stack([x[0] - u[0], -x[1]])

    def output(self, x):
        return x


def test_under_an_input():
    found = stable_manifold(Pushed(), np.array([0.5, 0.0]), hold=np.array([0.5]), box=square(1))
    assert np.allclose(found.states[:, 0], 0.5)


@pytest.mark.parametrize(
    ("system", "saddle", "options", "says"),
    [
        (Sampled(Bistable()), ORIGIN, {}, r"on_clock\(system, 'flow'\)"),
        (Bistable(size=3), np.zeros(3), {}, r"3 dimensions.*crossings"),
        (Plane(duffing), np.array([1.0, 0.0]), {"box": square(2)}, "0 unstable and 2 stable"),
        (Plane(four_wells), ORIGIN, {"box": square(2)}, "2 unstable and 0 stable"),
        (Plane(duffing), np.array([0.4, 0.0]), {"box": square(2)}, "no fixed point"),
        (Plane(duffing), np.array([np.nan, 0.0]), {"box": square(2)}, "finite"),
        (Plane(duffing), ORIGIN, {}, "no box of its own"),
        (Plane(duffing), ORIGIN, {"box": (np.ones(2), 2 * np.ones(2))}, "round it"),
        (Pushed(), ORIGIN, {"box": square(2)}, "hold"),
    ],
    ids=["map", "3-D", "stable", "source", "moving", "nan", "no box", "outside", "hold"],
)
def test_misuse(system, saddle, options, says):
    with pytest.raises(ValueError, match=says):
        stable_manifold(system, saddle, **options)
