"""Does a pulled-back hyperplane obey its equations, and does its fit tell the truth?"""

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from slowpoint.analysis import fit as fits
from slowpoint.analysis.even import even_box
from slowpoint.analysis.field import Field, gradients, values
from slowpoint.analysis.fit import judged
from slowpoint.analysis.how import Made
from slowpoint.analysis.learned import LeastSquares, Network
from slowpoint.analysis.modes import Modes
from slowpoint.analysis.mountain_pass import mountain_pass
from slowpoint.analysis.pullback import Hyperplane, Pullback, pulled_back
from slowpoint.analysis.separatrix import between, Separatrix, separatrix
from slowpoint.cells.vanilla import Vanilla
from slowpoint.core.clock import on_clock, RungeKutta
from slowpoint.core.fingerprint import fingerprint
from slowpoint.core.precision import float64
from slowpoint.core.system import Flow
from slowpoint.core.wrap import Sampled
from slowpoint.worlds.affine_bistable import AffineBistable
from slowpoint.worlds.bistable import Bistable
from slowpoint.worlds.duffing import Duffing
from slowpoint.worlds.hypercube import Hypercube

NONE, ZERO = np.zeros(0), np.zeros(2)
BOX = 4 * even_box(200, 2) - 2
NEAR = st.floats(-1.5, 1.5)


class Plane(Flow):
    """Autonomous flows of two numbers without a box."""

    dt: float = eqx.field(static=True, default=0.05)
    state_size: int = eqx.field(static=True, default=2, init=False)
    input_size: int = eqx.field(static=True, default=0, init=False)
    output_size: int = eqx.field(static=True, default=2, init=False)

    def output(self, x):
        return x


class Bent(Plane):
    r"""$\dot x = x + y^2$, $\dot y = -y$; $x + y^2/3$ grows at rate 1."""

    def velocity(self, x, u):
        return jnp.stack([x[0] + x[1] ** 2, -x[1]])


class Slanted(Plane):
    """`inside` in the coordinates y = A x + b."""

    inside: Flow = eqx.field(kw_only=True)
    matrix: np.ndarray = eqx.field(kw_only=True)  # A
    inverse: np.ndarray = eqx.field(kw_only=True)
    shift: np.ndarray = eqx.field(kw_only=True)  # b

    def velocity(self, x, u):
        own = self.inverse @ (x - self.shift)
        return self.matrix @ self.inside.velocity(own, u)


class Shifted(Field):
    """x_1 - off, times `factor`."""

    off: float
    factor: float = 1.0

    def __call__(self, x):
        return self.factor * (x[0] - self.off)

    def gradient(self, x):
        return jnp.zeros_like(x).at[0].set(self.factor)

    def pack(self):
        return {}


@pytest.fixture(scope="module")
def duffing():
    return mountain_pass(Duffing(), ZERO)


@pytest.fixture(scope="module")
def well():
    return mountain_pass(Bistable(2), ZERO)


def psi(around, ticks, states):
    with float64():
        field = pulled_back(around, ticks)
    return values(field, states)


def moved(around, ticks, states):
    with float64():
        step = jax.vmap(lambda x: around.fine.step(x, jnp.asarray(around.hold)))
        return np.asarray(
            jax.lax.fori_loop(0, ticks, lambda _, x: step(x), jnp.asarray(states))
        )


# ---------------------------------------------------------------- the pull-back


@given(x=NEAR, y=NEAR, ticks=st.integers(0, 30), later=st.integers(0, 30))
@settings(max_examples=15, deadline=None)
def test_a_pulled_back_field_grows_along_the_flow(duffing, x, y, ticks, later):
    """psi_T(Phi_s(x)) = e^{rate s} psi_{T+s}(x), for whole ticks."""
    states = np.array([[x, y]])
    after = psi(duffing, ticks, moved(duffing, later, states))
    growth = math.exp(duffing.rate * later * duffing.fine.dt)
    size = 2 * math.exp(-duffing.rate * ticks * duffing.fine.dt)  # of the terms of psi
    assert np.allclose(after, growth * psi(duffing, ticks + later, states), atol=1e-13 * size)


@pytest.mark.parametrize("ticks", [64, 128])
def test_the_bent_plane_is_pulled_back_as_on_paper(ticks):
    """psi_T = x + y^2/3 - e^{-3T} y^2/3, up to (rate tick)^4 T / 120 of Runge and Kutta."""
    around = mountain_pass(Bent(), ZERO)
    fine = dataclasses.replace(around, fine=RungeKutta(Bent(), 1 / 64))
    x, y = BOX.T
    exact = x + y**2 / 3 * (1 - math.exp(-3 * ticks / 64))
    assert np.allclose(psi(fine, ticks, BOX), exact, atol=1e-7)
    assert np.abs(psi(fine, ticks, BOX) - (x + y**2 / 3)).max() > 1e-3  # the term is seen
    assert np.allclose(separatrix(Bent(), ZERO).value(BOX), x + y**2 / 3, atol=1e-3)


def test_time_zero_is_the_hyperplane(duffing):
    flat = separatrix(Duffing(), ZERO, how=Hyperplane())
    assert np.allclose(flat.value(BOX), BOX @ duffing.left, atol=1e-14)
    assert np.array_equal(flat.value(BOX), psi(duffing, 0, BOX))
    assert np.array_equal(
        separatrix(Duffing(), ZERO, how=Pullback(0.0)).value(BOX), flat.value(BOX)
    )
    assert np.allclose(flat.normal(BOX), duffing.left)


def test_the_default_time_leaves_a_ten_thousandth(duffing):
    field = separatrix(Duffing(), ZERO).field
    law = 2 * abs(duffing.rates[1].real) + duffing.rate
    assert abs(int(field.ticks) * duffing.fine.dt - math.log(1e4) / law) <= duffing.fine.dt / 2


@pytest.mark.parametrize("time", [-1.0, math.inf, math.nan])
def test_a_time_that_is_none_is_refused(time):
    with pytest.raises(ValueError, match=r"give 0 \(the hyperplane\) or a positive time"):
        separatrix(Duffing(), ZERO, how=Pullback(time))


@pytest.mark.parametrize("clock", ["flow", "map"])
def test_the_gradient_is_that_of_the_value(coarse_net, clock):
    found = separatrix(coarse_net, np.array([-0.2957, -0.2291, 0.1943]), clock=clock)
    states = 2 * even_box(40, 3) - 1
    slopes, step = gradients(found.field, states), 1e-6
    sides = [found.value(states[:, None] + sign * step * np.eye(3)) for sign in (1, -1)]
    assert np.allclose(slopes, (sides[0] - sides[1]) / (2 * step), rtol=1e-5, atol=1e-7)
    normal = found.normal(states)
    assert np.allclose(np.linalg.norm(normal, axis=1), 1)
    assert np.allclose((normal * slopes).sum(axis=1), np.linalg.norm(slopes, axis=1))


# ---------------------------------------------------------------- the surface


def test_sides_are_those_of_the_basins(duffing):
    """Also in the arms, where the hyperplane is wrong."""
    found, flat = (separatrix(Duffing(), ZERO, how=h) for h in (Pullback(3.0), Hyperplane()))
    labels = duffing.judge(BOX)
    agree = lambda s: ((s.side(BOX) > 0) == (labels == 1)).mean()
    assert agree(found) > 0.98
    assert agree(flat) < 0.95


def test_a_slanted_double_well_parts_on_its_line():
    found, line = separatrix(AffineBistable(), ZERO), np.linspace(-2, 2, 9)
    assert np.abs(found.value(np.stack([line, -line], axis=1))).max() < 1e-14
    assert np.array_equal(found.side(BOX), np.sign(BOX.sum(axis=1)))
    assert np.allclose(found.attractors, [[-1, 0], [1, 0]], atol=1e-6)


@pytest.mark.slow
def test_other_coordinates_have_the_same_surface():
    matrix, shift = np.array([[1.5, -0.7], [0.4, 0.8]]), np.array([3.0, -2.0])
    inverse = np.linalg.inv(matrix)
    slanted = Slanted(inside=Duffing(), matrix=matrix, inverse=inverse, shift=shift)
    here, there = separatrix(Duffing(), ZERO), separatrix(slanted, shift)
    states = BOX @ matrix.T + shift
    ratio = there.value(states) / here.value(BOX)
    assert np.allclose(ratio, ratio[0], rtol=1e-6)  # RK4 does not care; w has length 1 in both
    assert np.allclose(there.around.rates, here.around.rates)
    sides = np.linalg.norm(there.attractors - (here.attractors @ matrix.T + shift), axis=1)
    assert sides.max() < 1e-6 if ratio[0] > 0 else sides.max() > 1


def test_the_gut_parts_at_the_known_place_from_e_to_c(gut_face):
    world, e, c, saddle = gut_face
    segment = lambda alpha: e + np.asarray(alpha)[..., None] * (c - e)
    found = separatrix(world, saddle, states=segment(np.linspace(0.01, 0.99, 99)))
    low, high = 0.0, 1.0
    assert found.side(segment(low)) * found.side(segment(high)) == -1
    for _ in range(40):
        middle = (low + high) / 2
        same = found.side(segment(middle)) == found.side(segment(low))
        low, high = (middle, high) if same else (low, middle)
    assert low == pytest.approx(0.16232, abs=1e-4)
    assert found.fit.good
    # a species that is absent stays so, at the crossing too
    absent = moved(found.around, 100, segment(low)[None] * (np.arange(7) != 5))
    assert absent[0, 5] == 0
    assert (np.delete(absent[0], 5) > 0).all()


def test_clocks_have_boundaries_of_their_own(coarse_net):
    saddle = np.array([-0.2957, -0.2291, 0.1943])
    flow, steps = (separatrix(coarse_net, saddle, clock=c) for c in ("flow", "map"))
    assert (flow.clock, steps.clock) == ("flow", "map")
    states = 2 * even_box(2000, 3) - 1
    for found in (flow, steps):
        labels = found.around.judge(states)
        assert ((found.side(states) > 0) == (labels == 1)).mean() > 0.999
    # measured 0.6 %
    assert 0.001 < (flow.side(states) != steps.side(states)).mean() < 0.05
    assert separatrix(Sampled(coarse_net), saddle).clock == "map"


def test_states_of_any_leading_shape():
    found = separatrix(Bistable(2), ZERO)
    states = BOX.reshape(4, 10, 5, 2)
    assert found.value(states).shape == (4, 10, 5)
    assert found.normal(states).shape == (4, 10, 5, 2)
    assert found.value(states[0, 0, 0]).shape == ()
    assert np.array_equal(found.value(states).ravel(), found.value(BOX))
    assert np.array_equal(found.side(states), np.sign(states[..., 0]))
    assert found.value(np.zeros((0, 2))).shape == (0,)
    assert found.side(np.full((1, 2), np.nan))[0] == 0


@pytest.mark.parametrize("states", [np.zeros(3), np.zeros((5, 1))])
def test_states_of_another_system_are_refused(states):
    with pytest.raises(ValueError, match="the system has 2 numbers of state"):
        separatrix(Bistable(2), ZERO).value(states)


# ---------------------------------------------------------------- its fit


def line(count, low, high):
    return np.stack([np.linspace(low, high, count), np.zeros(count)], axis=1)


def test_a_fit_counts_signs_and_agreement(well):
    """x_1 - 0.25 on 80 states from -2 to 2: five of them have the wrong side."""
    sample = np.delete(line(81, -2, 2), 40, axis=0)
    found = judged(well, Made(Shifted(0.26)), sample)
    assert (found.negative, found.positive, found.decided, found.sampled) == (45, 35, 80, 80)
    assert found.agreement == 75 / 80
    assert found.error == pytest.approx((75 * 5 / 80) ** 0.5 / 80)
    assert found.code == fits.DISAGREES
    assert "twentieth" in found.message
    assert not found.good
    good = judged(well, Made(Shifted(0.06)), sample)
    assert (good.code, good.agreement) == (fits.GOOD, 79 / 80)


def test_a_fit_leaves_out_what_is_not_decided():
    around = mountain_pass(Hypercube(2), np.array([0.0, -1.0]))
    sample = np.array([[-0.5, -1.0], [0.5, -1.0], [0.5, 1.0], [-0.5, 1.0], [0.4, 0.2]])
    found = judged(around, Made(Shifted(0.0)), sample)
    assert (found.decided, found.sampled, found.agreement) == (2, 5, 1.0)


@pytest.mark.parametrize("factor", [1.0, -1.0])
def test_a_field_of_one_sign_is_a_code(well, factor):
    found = judged(well, Made(Shifted(-3.0, factor)), line(20, -2, 2))
    assert found.code == fits.ONE_SIGN
    assert {found.negative, found.positive} == {0, 20}
    assert "one sign on the sample" in found.message


@pytest.mark.parametrize(("gap", "code"), [(1.2, fits.DEGENERATE), (1.6, fits.GOOD)])
def test_a_second_answer_as_good_is_a_code(well, gap, code):
    found = judged(well, Made(Shifted(0.0), gap), line(20, -2, 2))
    assert (found.code, found.gap) == (code, gap)
    assert ("many fields solve the equation" in found.message) == (code == fits.DEGENERATE)


def test_what_simulation_cannot_judge_is_a_code():
    found = separatrix(Bent(), ZERO)
    assert found.fit.code == fits.UNTESTED
    assert np.isnan(found.fit.agreement)
    assert found.fit.decided == 0
    assert "could not judge" in found.fit.message


def test_the_ratio_is_that_of_all_pairs():
    """psi = x of the bent plane: grown x + y^2, expected x."""
    around = mountain_pass(Bent(), ZERO)
    x, y = BOX.T
    a = x + y**2
    ratio = (y**4).mean() / ((a**2).mean() + (x**2).mean() - 2 * a.mean() * x.mean())
    assert judged(around, Made(Shifted(0.0)), BOX).ratio == pytest.approx(ratio)


def test_the_default_sample_runs_from_end_to_end(well):
    sample = between(well)
    assert sample.shape == (1024, 2)
    curves = sample.reshape(32, 32, 2)
    assert np.allclose(curves[:, 0], well.ends[0])
    assert np.allclose(curves[:, -1], well.ends[1])
    assert sample[:, 1].min() < -0.5  # they leave the segment on both sides
    assert sample[:, 1].max() > 0.5
    fit = separatrix(Bistable(2), ZERO).fit
    assert (fit.sampled, fit.agreement, fit.code) == (1024, 1.0, fits.GOOD)
    assert fit.negative + fit.positive == 1024


@pytest.mark.parametrize("how", [Network(), LeastSquares()])
def test_what_draws_needs_a_key(how):
    with pytest.raises(ValueError, match=rf"{type(how).__name__} draws .* Give key="):
        separatrix(Duffing(), ZERO, how=how)


# ---------------------------------------------------------------- its file


@pytest.mark.parametrize("how", [Pullback(1.0), Modes()])
def test_a_saved_separatrix_has_the_same_values(tmp_path, how):
    found = separatrix(Duffing(), ZERO, how=how)
    found.save(tmp_path / "s.npz")
    again = Separatrix.load(tmp_path / "s.npz", Duffing())
    assert np.array_equal(again.value(BOX), found.value(BOX))
    assert np.array_equal(again.normal(BOX), found.normal(BOX))
    assert np.array_equal(again.attractors, found.attractors)
    for field in dataclasses.fields(found.fit):
        old, new = (getattr(s.fit, field.name) for s in (found, again))
        assert type(old) is type(new)
        assert np.array_equal(old, new, equal_nan=True)


def test_a_file_of_another_system_or_kind_is_refused(tmp_path, coarse_net):
    path, saddle = tmp_path / "s.npz", np.array([-0.2957, -0.2291, 0.1943])
    found = separatrix(coarse_net, saddle, clock="map")
    found.save(path)
    with pytest.raises(ValueError, match=r"belongs to another Vanilla.*on_clock"):
        Separatrix.load(path, coarse_net)
    other = eqx.tree_at(lambda n: n.bias, coarse_net, coarse_net.bias + 1e-6)
    with pytest.raises(ValueError, match="belongs to another"):
        Separatrix.load(path, on_clock(other, "map"))
    again = Separatrix.load(path, on_clock(coarse_net, "map"))
    assert (again.clock, again.fit.agreement) == ("map", found.fit.agreement)
    found.fit.save(path)
    with pytest.raises(ValueError, match="holds no Separatrix"):
        Separatrix.load(path, coarse_net)


class Couple(Plane):
    """Two systems beside each other; only its print is asked for."""

    first: Vanilla = eqx.field(kw_only=True)
    second: Flow = eqx.field(kw_only=True)

    def velocity(self, x, u):
        return x


def test_a_print_tells_systems_apart_by_all_that_they_are():
    net = lambda **options: Vanilla.random(3, 1, 1, key=jr.key(0), **options)
    kinds = [
        net(),
        net(dt=0.2),
        net(form="rate"),
        net(gain=1.1),
        Sampled(net()),
        RungeKutta(net(), 0.1),
        RungeKutta(net(), 0.2),
        Bistable(2),
        Bistable(2, axis=1),
        Couple(first=net(), second=Bistable(2)),
        Couple(first=net(), second=Bistable(2, axis=1)),
        Couple(first=net(), second=net(form="rate")),
    ]
    prints = [fingerprint(kind) for kind in kinds]
    assert len(set(prints)) == len(prints)
    assert fingerprint(net()) == prints[0]


def test_the_ratio_is_of_the_states_that_stay(gut_face):
    """Most curves between two communities leave the orthant, and run to infinity."""
    world, _, _, saddle = gut_face
    fit = separatrix(world, saddle).fit
    assert fit.decided < fit.sampled
    assert np.isfinite(fit.ratio)
