"""Does a memory last as long as was forecast, where the answer is on paper?"""

import dataclasses

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from slowpoint.analysis.departures import departures
from slowpoint.analysis.escapes import (
    Escapes,
    escapes,
    NO_TIME,
    PROVED,
    STRONG,
    TURNS,
    UNPROVED,
)
from slowpoint.analysis.fixed_points import fixed_points
from slowpoint.analysis.residence import Residence, residence
from slowpoint.analysis.topology import topology
from slowpoint.cells.vanilla import Vanilla
from slowpoint.core.system import Map
from slowpoint.report.explain import explain
from slowpoint.report.explanation import summary, write
from slowpoint.report.forecast import (
    _of_slow,
    _of_stable,
    AT_MOST,
    foresee,
    LATE,
    NO_NOISE,
    NO_WAY,
    TOO_NOISY,
)
from slowpoint.report.numbers import read_noise
from slowpoint.theory.escape import (
    escape_time,
    free_exit_time,
    noisy_exit_time,
    noisy_ghost_time,
    together,
)
from slowpoint.theory.ghost import ghost_time

DT = 0.05


class Trough(Map):
    """Steps down (x^2 - 1)^2 / 4 + c(x) y^2 / 2; c is `edge` at x = 0, 1 at the bottoms."""

    edge: float
    state_size: int = eqx.field(static=True, default=2)
    input_size: int = eqx.field(static=True, default=2)
    output_size: int = eqx.field(static=True, default=2)
    dt: float = eqx.field(static=True, default=1.0)

    def step(self, x, u):
        a, b = x
        wide = self.edge + (1 - self.edge) * a**2
        down = jnp.stack([a - a**3 - (1 - self.edge) * a * b**2, -wide * b])
        return x + DT * down + u

    def output(self, x):
        return x


class Bent(Map):
    """h' = h + push + h^2, and a second number that decays."""

    push: float
    state_size: int = eqx.field(static=True, default=2)
    input_size: int = eqx.field(static=True, default=1)
    output_size: int = eqx.field(static=True, default=2)
    dt: float = eqx.field(static=True, default=1.0)
    decay: float = eqx.field(static=True, default=0.5)

    def step(self, x, u):
        return jnp.stack([x[0] + self.push + x[0] ** 2 + u[0], self.decay * x[1]])

    def output(self, x):
        return x


def found_in(system):
    """Its three points, and who is whose neighbour."""
    guesses = np.array([[-1.0, 0.1], [0.05, 0.0], [1.0, 0.1]])
    points = fixed_points(system, guesses, hold=np.zeros(2))
    return points, topology(system, points, np.zeros(2), key=jr.key(0))


# ---------------------------------------------------------------- on paper


def test_without_noise_a_ghost_holds_as_long_as_ever():
    assert noisy_ghost_time(0.3, 1e-3, 1e-10) == pytest.approx(ghost_time(0.3, 1e-3), rel=2e-4)
    half = noisy_exit_time(0.3, 1e-3, 1e-10, 0.0)
    assert half == pytest.approx(ghost_time(0.3, 1e-3) / 2, rel=1e-3)
    late = noisy_exit_time(2.0, 0.5, 1e-9, 0.7)
    assert late == pytest.approx(free_exit_time(2.0, 0.5, 0.7), rel=1e-3)
    assert free_exit_time(1.0, -1.0, 2.0) == np.inf


def test_over_a_high_barrier_the_time_is_that_of_kramers():
    for barrier, slack in ((8.0, 0.05), (30.0, 0.015)):
        kramers = 2 * np.pi / (0.3 * 1.4) * np.exp(barrier)
        assert escape_time(0.3, 1.4, barrier) == pytest.approx(kramers, rel=slack)
    assert np.isnan(escape_time(np.array([0.3, np.nan]), 1.0, np.array([0.4, 3.0]))).all()


def test_the_mean_exit_time_solves_its_equation():
    """1 + (b + a z^2) T' + D T'' = 0."""
    a, b, noise, z = 0.7, -0.2, 0.15, np.linspace(-1, 1, 41)
    time = noisy_exit_time(a, b, noise, z)
    first, second = np.gradient(time, z), np.gradient(np.gradient(time, z), z)
    left = 1 + (b + a * z**2) * first + noise * second
    assert np.abs(left[4:-4]).max() < 0.06
    far = noisy_exit_time(a, b, noise, -30.0)
    assert far == pytest.approx(noisy_ghost_time(a, b, noise), rel=0.01)


def test_rates_of_several_ways_add():
    times = np.array([10.0, 40.0, 8.0, np.nan])
    steps, shares = together(
        times, np.array([0, 0, 1, 2]), np.array([1, 2, 0, 0]), np.arange(4)
    )
    assert steps[:2] == pytest.approx([8.0, 8.0])
    assert np.isnan(steps[2:]).all()
    assert shares[0] == pytest.approx([0, 0.8, 0.2, 0])


# ---------------------------------------------------------------- ways out


@pytest.mark.parametrize("edge", [0.5, pytest.param(3.0, marks=pytest.mark.slow)])
def test_the_cheapest_course_climbs_the_barrier_and_is_as_wide_as_its_edge(edge):
    """E = 2 V / (sd^2 / dt), k = sqrt(2) sqrt(curvature at the bottom / at the edge)."""
    system, sd = Trough(edge), 0.08
    points, graph = found_in(system)
    ways = escapes(system, points, graph, np.zeros(2), np.full(2, sd))
    assert (ways.code == PROVED).all()
    assert ways.rate == pytest.approx([np.log(1 + DT)] * 2)
    assert ways.barrier == pytest.approx([DT / (2 * sd**2)] * 2, rel=0.05)
    assert ways.amplitude == pytest.approx([np.sqrt(2 / edge)] * 2, rel=0.1)
    assert (ways.cosine > 0.999).all()
    half = escapes(system, points, graph, np.zeros(2), np.full(2, sd / 2))
    assert half.barrier == pytest.approx(4 * ways.barrier, rel=1e-3)


def test_noise_that_reaches_only_one_number_takes_its_own_way():
    system = Trough(0.5)
    points, graph = found_in(system)
    ways = escapes(system, points, graph, np.zeros(2), np.array([0.08, 0.0]))
    assert (ways.code == PROVED).all()
    assert (ways.courses[:, :, 1] == 0).all()
    nothing = escapes(system, points, graph, np.zeros(2), np.full(2, 0.1), seconds=0.0)
    assert (nothing.code == NO_TIME).all()
    assert np.isnan(nothing.barrier).all()


def test_a_memory_lasts_as_forecast():
    """Counted in simulation, in a trough whose edge is wide."""
    system, sd = Trough(0.5), 0.09
    points, graph = found_in(system)
    seen = foresee(system, points, graph, np.zeros(2), sd, key=jr.key(3))
    assert seen is not None
    ratio = seen.forecast.steps / seen.residence.mean
    assert ratio == pytest.approx([1, 1], rel=0.45)
    assert seen.forecast.shares == pytest.approx(np.array([[0, 1], [1, 0]]))
    assert (seen.forecast.says == "").all()


def test_a_saddle_that_flips_sides_is_left_alone():
    system = Vanilla(
        -3 * jnp.eye(1), jnp.eye(1), jnp.zeros(1), jnp.eye(1), jnp.zeros(1), dt=1.0, form="rate"
    )
    points = fixed_points(system, np.array([[0.0]]), hold=np.zeros(1))
    graph = topology(system, points, np.zeros(1), key=jr.key(0))
    ways = escapes(
        system,
        points,
        eqx.tree_at(lambda g: g.neighbours, graph, np.array([[0, 0, 0]])),
        np.zeros(1),
        np.ones(1),
    )
    assert (ways.code == TURNS).all()


# ---------------------------------------------------------------- slow points


def test_a_slow_point_is_left_as_on_paper():
    system = Bent(1e-3)
    slow = fixed_points(system, np.full((1, 2), 0.01), hold=np.zeros(1), seek="slow").slow
    assert len(slow) == 1
    form = departures(system, slow, np.zeros(1), np.array([0.02]))
    assert form.defined.all()
    assert form.push == pytest.approx([1e-3], rel=1e-6)
    assert form.bend == pytest.approx([1.0], rel=1e-6)
    assert form.diffusion == pytest.approx([2e-4], rel=1e-6)
    assert form.start == pytest.approx([0.0], abs=1e-6)
    assert form.second == pytest.approx([np.log(0.5)])
    growing = departures(Bent(1e-3, decay=1.5), slow, np.zeros(1), np.array([0.02]))
    assert not growing.defined.any()


def test_away_from_the_slowest_place_the_start_says_how_far():
    system = Bent(1e-3)
    slow = fixed_points(system, np.full((1, 2), 0.01), hold=np.zeros(1), seek="slow").slow
    moved = eqx.tree_at(lambda p: p.states, slow, slow.states + np.array([0.05, 0.0]))
    form = departures(system, moved, np.zeros(1), np.array([0.02]))
    assert form.start == pytest.approx([0.05], rel=1e-6)
    assert form.push == pytest.approx([1e-3], rel=1e-6)


@pytest.mark.parametrize(("decay", "says"), [(0.5, ""), (1.01, NO_NOISE)])
def test_a_slow_point_is_forecast_from_its_run_without_noise(decay, says):
    """Where another mode grows, noise is not counted in, and that is said."""
    system = Bent(1e-3, decay=decay)
    points = fixed_points(Bent(1e-3), np.full((1, 2), 0.01), hold=np.zeros(1), seek="slow")
    steps = residence(
        system, points.states, np.array([[2.0, 0.0]]), np.zeros(1), np.zeros(1), key=jr.key(0)
    )
    form = departures(system, points.slow, np.zeros(1), np.array([0.005]))
    forecast, shares, words = _of_slow(form, steps)
    assert words == [says]
    assert shares.tolist() == [[1.0]]
    free = steps.steps[0, 0]
    assert free == pytest.approx(np.pi / 2 / np.sqrt(1e-3), rel=0.1)
    if says:
        assert forecast == pytest.approx([free])
    else:
        assert forecast[0] / free == pytest.approx(
            float(noisy_exit_time(1.0, 1e-3, 1.25e-5, 0.0)) / (np.pi / 2 / np.sqrt(1e-3)),
            rel=1e-3,
        )


# ---------------------------------------------------------------- counted


class Slide(Map):
    """One step is one to the right."""

    speed: float = 1.0
    state_size: int = eqx.field(static=True, default=1)
    input_size: int = eqx.field(static=True, default=1)
    output_size: int = eqx.field(static=True, default=1)
    dt: float = eqx.field(static=True, default=1.0)

    def step(self, x, u):
        return x + self.speed + u

    def output(self, x):
        return x


def test_steps_are_counted_to_where_another_place_is_much_nearer():
    homes, places = np.array([[0.0], [9.0]]), np.array([[0.0], [9.0], [-30.0]])
    run = residence(
        Slide(), homes, places, np.zeros(1), np.zeros(1), key=jr.key(0), runs=3, most=40
    )
    assert run.steps.tolist() == [[6] * 3, [40] * 3]  # at 6, 3 away from 9
    assert run.gone.tolist() == [[1] * 3, [-1] * 3]
    assert run.left.tolist() == [3, 0]
    assert run.shares[0].tolist() == [0, 1, 0]
    assert run.mean.tolist() == [6, np.inf]
    assert run.range[1].tolist() == pytest.approx([40 * 3 / -np.log(0.025), np.inf])


def test_home_is_no_place_to_go_to():
    """Nothing moves: the place that is home is as near as home itself."""
    home = np.zeros((1, 1))
    run = residence(
        Slide(0.0), home, home, np.zeros(1), np.zeros(1), key=jr.key(0), runs=2, most=5
    )
    assert run.gone.tolist() == [[-1, -1]]


def test_the_interval_holds_the_mean_in_95_of_100():
    chance = np.random.default_rng(0)
    times = chance.exponential(50.0, (2000, 12)).round().astype(int)
    gone = np.where(times < 60, 0, -1)
    some = Residence(np.zeros((2000, 1)), np.zeros((1, 1)), np.minimum(times, 60), gone, 60)
    low, high = some.range.T
    assert 0.93 < ((low <= 50) & (high >= 50)).mean() < 0.985


@pytest.mark.parametrize("options", [{"runs": 0}, {"most": 0}, {"places": np.zeros((0, 1))}])
def test_nothing_to_count_is_told(options):
    given = {"places": np.ones((1, 1))} | options
    places = given.pop("places")
    with pytest.raises(ValueError, match="give 1 or more of each"):
        residence(
            Slide(), np.zeros((1, 1)), places, np.zeros(1), np.zeros(1), key=jr.key(0), **given
        )


# ---------------------------------------------------------------- on the page


def square():
    """Four memories at the corners of a square."""
    weights, zeros = 2 * jnp.eye(2), jnp.zeros(2)
    return Vanilla(weights, jnp.eye(2), zeros, jnp.eye(2), zeros, dt=0.5, form="rate")


@pytest.fixture(scope="module")
def found():
    return explain(square(), key=jr.key(0), noise=0.5, quiet=True)


def test_the_page_has_the_forecast_beside_the_count(found, tmp_path):
    text = write(found, tmp_path, "square").read_text()
    assert "How long a memory lasts in noise" in text
    assert "standard deviation 0.5 on every input" in text
    assert any("In noise memory" in sentence for sentence in summary(found))
    assert Escapes.load(tmp_path / "escapes.npz").barrier == pytest.approx(
        found.foreseen.escapes.barrier, nan_ok=True
    )
    seen = found.foreseen
    low, high = seen.residence.range.T
    assert (seen.forecast.steps > low / 1.5).all()
    assert (seen.forecast.steps < high * 1.5).all()
    nobody_asked = dataclasses.replace(found, noise=False, foreseen=None)
    plain = write(nobody_asked, tmp_path / "b", "square").read_text()
    assert "How long a memory lasts in noise" not in plain


def test_what_is_undefined_is_said(found):
    points, graph = found.findings.points, found.findings.topology
    asked = found.system, points, graph, np.zeros(2)
    loud = foresee(*asked, 3.0, key=jr.key(0))
    assert loud is not None
    assert set(loud.forecast.says) == {TOO_NOISY}
    assert (loud.escapes.code == STRONG).all()
    assert np.isnan(loud.forecast.steps).all()
    late = foresee(*asked, 0.5, key=jr.key(0), seconds=0.0)
    assert late is not None
    assert set(late.forecast.says) == {LATE}
    lost = eqx.tree_at(lambda w: w.code, late.escapes, np.full(8, UNPROVED))
    assert set(_of_stable(lost, graph.attractors)[2]) == {NO_WAY}
    ways = found.foreseen.escapes
    assert (ways.code == PROVED).all()
    assert AT_MOST not in found.foreseen.forecast.says


@pytest.mark.parametrize("noise", [-0.1, 0.0, np.nan, np.zeros(2), np.ones(3)])
def test_noise_that_cannot_be_is_refused(noise):
    with pytest.raises(ValueError, match="one standard deviation above 0"):
        explain(square(), key=jr.key(0), noise=noise, quiet=True)


def test_noise_in_words():
    assert read_noise("0.1") == 0.1
    assert read_noise("0.1,0").tolist() == [0.1, 0]
    with pytest.raises(ValueError, match=r"--noise 0\.1"):
        read_noise("loud")
