"""Do the closed forms solve the Koopman equation, and is the pull-back's error as predicted?"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from slowpoint.core.precision import float64
from slowpoint.theory.koopman_exact import (
    bistable_phi,
    bistable_psi,
    cubic_phi,
    error_of_pullback,
    Parabola,
    power,
    product,
    radial_phi,
    radial_psi,
    sine_phi,
    sine_psi,
    squash,
    unsquash,
)
from slowpoint.worlds.affine_bistable import AffineBistable
from slowpoint.worlds.bistable import Bistable
from slowpoint.worlds.hypercube import Hypercube
from slowpoint.worlds.limit_cycles import LimitCycles
from slowpoint.worlds.nonnormal_bistable import NonnormalBistable
from slowpoint.worlds.radial_bistable import RadialBistable
from slowpoint.worlds.sine import Sine

NONE = jnp.zeros(0)
POLE = 0.02  # how near to one a state may come


def residual(phi, world, states, rate=1.0, squashed=False):
    """max |grad phi . f - rate g(phi)|, in units of 1 + |phi|."""

    def one(x):
        value, change = jax.jvp(phi, (x,), (world.velocity(x, NONE),))
        grown = value - value**3 if squashed else value
        return jnp.abs(change - rate * grown) / (1 + jnp.abs(value))

    with float64():
        return float(jax.jit(jax.vmap(one))(jnp.asarray(states)).max())


def off_poles(world, count=300):
    """Random states, none where a coordinate has |x| = 1, or r = 1 or 3, or theta = pi."""
    draw = np.random.default_rng(1).uniform(-2.5, 2.5, (5 * count, world.state_size))
    if isinstance(world, RadialBistable | LimitCycles):
        draw *= 1.6
        radius = np.linalg.norm(draw, axis=1)
        far = np.minimum(np.abs(np.abs(radius - 2) - 1), radius + draw[:, 0]) > POLE
    else:
        far = np.abs(np.abs(draw) - 1).min(axis=1) > POLE
    return draw[far][:count]


FORMS = {
    "sine": (lambda x: sine_phi(x)[0], lambda x: sine_psi(x)[0], Sine()),
    "cubic": (bistable_phi, bistable_psi, Bistable(1)),
    "axis": (lambda x: bistable_phi(x, 2), lambda x: bistable_psi(x, 2), Bistable(3, 2)),
    "cube": (lambda x: bistable_phi(x, 1), lambda x: bistable_psi(x, 1), Hypercube(3)),
    "nonnormal": (bistable_phi, bistable_psi, NonnormalBistable()),
    "affine": (lambda x: cubic_phi(x[0] + x[1]), lambda x: x[0] + x[1], AffineBistable()),
    "radial": (radial_phi, radial_psi, RadialBistable()),
    "cycles": (radial_phi, radial_psi, LimitCycles()),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_closed_form_solves_its_equation(name):
    phi, psi, world = FORMS[name]
    states = off_poles(world)
    assert len(states) == 300
    if name == "affine":
        states = states[np.abs(np.abs(states.sum(axis=1)) - 1) > POLE]
    assert residual(phi, world, states) < 1e-10
    assert residual(psi, world, states, squashed=True) < 1e-10


@settings(max_examples=15, deadline=None)
@given(mu=st.floats(-3, 4))
def test_the_radial_family_solves_it_for_any_mu(mu):
    with float64():
        exponent = jnp.asarray(mu)  # not a constant: one compilation for all
        assert radial_residual(exponent) < 1e-10


@jax.jit
def radial_residual(mu):
    world = RadialBistable()

    def one(x):
        phi = lambda x: radial_phi(x, mu)
        value, change = jax.jvp(phi, (x,), (world.velocity(x, NONE),))
        psi = lambda x: radial_psi(x, mu)
        small, slow = jax.jvp(psi, (x,), (world.velocity(x, NONE),))
        return jnp.maximum(
            jnp.abs(change - value) / (1 + jnp.abs(value)), jnp.abs(slow - small + small**3)
        )

    return jax.vmap(one)(jnp.asarray(off_poles(world))).max()


def test_the_radial_family_is_degenerate():
    """One rate, different functions: mu > 1 is zero on theta = 0 too, mu = 1 is not."""
    with float64():
        x = jnp.array([2.5, 0.0])
        assert radial_phi(x, 1.5) == 0
        assert radial_phi(x, 1.0) == pytest.approx(0.5 / 0.75**0.5, rel=1e-14)
        on, slope = jnp.array([2.0, 0.0]), jax.grad(radial_phi)
        assert radial_phi(on, 1.0) == 0
        assert slope(on, 1.0).tolist() == [1, 0]  # across the circle, also exactly on it
        assert np.isfinite(slope(on, 2.5)).all()
        signs = [float(radial_phi(jnp.array([0.0, r]), 0.5)) for r in (1.9, 2.0, 2.1)]
        assert np.sign(signs).tolist() == [-1, 0, 1]


@pytest.mark.parametrize("mu", [-0.7, 0.6, 1.0, 2.3])
def test_rates_add_in_a_product_and_scale_in_a_power(mu):
    """The radial family is one product: rates mu and 1 - mu, of factors of rates 1 and -1."""
    radius = lambda x: cubic_phi(jnp.linalg.norm(x) - 2)
    angle = lambda x: jnp.tan(jnp.arctan2(x[1], x[0]) / 2)
    world = RadialBistable()
    states = off_poles(world)
    states = states[states[:, 1] > POLE]  # there the tangent is positive, as its absolute value
    across, along = power(radius, mu), power(angle, mu - 1)
    assert residual(angle, world, states, rate=-1.0) < 1e-10
    assert residual(across, world, states, rate=mu) < 1e-10
    assert residual(along, world, states, rate=1 - mu) < 1e-10
    assert residual(product(across, radius), world, states, rate=mu + 1) < 1e-10
    with float64():
        x = jnp.asarray(states)
        both = jax.vmap(product(across, along))(x)
        family = jax.vmap(lambda x: radial_phi(x, mu))(x)
        assert np.allclose(both, family, rtol=1e-12)


def test_a_power_of_a_negative_value_keeps_its_sign():
    identity = lambda x: x[0]
    assert power(identity, 2.0)(jnp.array([-3.0])) == -9
    assert power(identity, 0.5)(jnp.array([0.0])) == 0
    assert jax.grad(power(identity, 2.0))(jnp.array([-3.0])) == 6
    slopes = [jax.grad(power(identity, e))(jnp.zeros(1))[0] for e in (1.0, 1.5, 2.0)]
    assert slopes == [1, 0, 0]


# ---------------------------------------------------------------- squash


@settings(max_examples=50, deadline=None)
@given(phi=st.floats(-1e3, 1e3), rate=st.floats(-5, 5))
def test_squashing_is_the_chain_rule_and_can_be_undone(phi, rate):
    """phi' = rate phi gives psi' = rate (psi - psi^3), whatever the flow."""
    with float64():
        psi, change = jax.jvp(squash, (jnp.asarray(phi),), (jnp.asarray(rate * phi),))
        assert np.allclose(change, rate * (psi - psi**3), atol=1e-11)
        assert np.allclose(psi, phi / np.sqrt(1 + phi**2), rtol=1e-14)
        assert np.allclose(unsquash(psi), phi, rtol=1e-9)


def test_squashing_reaches_one_where_phi_has_its_pole():
    with float64():
        assert squash(jnp.array([-jnp.inf, -1e200, 0.0, 1e200, jnp.inf])).tolist() == (
            [-1, -1, 0, 1, 1]
        )
        assert unsquash(jnp.array([-1.0, 1.0])).tolist() == [-jnp.inf, jnp.inf]
        assert squash(bistable_phi(jnp.array([1.0]))) == 1


@pytest.mark.parametrize("name", ["sine", "axis", "radial"])
def test_psi_is_phi_squashed_within_the_first_poles(name):
    phi, psi, world = FORMS[name]
    states = off_poles(world)
    if name == "axis":
        states = states[np.abs(states[:, 2]) < 1]
    with float64():
        x = jnp.asarray(states)
        assert np.allclose(squash(jax.vmap(phi)(x)), jax.vmap(psi)(x), atol=1e-13)
        assert np.allclose(unsquash(jax.vmap(psi)(x)), jax.vmap(phi)(x), rtol=1e-9)


def test_beyond_one_two_functions_solve_the_squashed_cubic():
    """x and x / sqrt(2 x^2 - 1)."""
    states = np.linspace(1.1, 3, 20)[:, None]
    other = lambda x: squash(bistable_phi(x))
    assert residual(other, Bistable(1), states, squashed=True) < 1e-10
    assert residual(bistable_psi, Bistable(1), states, squashed=True) < 1e-10
    with float64():
        x = jnp.asarray(states)
        assert np.allclose(
            jax.vmap(other)(x), states[:, 0] / np.sqrt(2 * states[:, 0] ** 2 - 1)
        )


# ---------------------------------------------------------------- the pulled-back hyperplane


@settings(max_examples=25, deadline=None)
@given(x=st.floats(-2, 2), y=st.floats(-2, 2), time=st.floats(0, 3))
def test_the_parabola_is_exact(x, y, time):
    """psi_T = psi - e^-3T y^2 / 3, and psi_T(Phi_s) = e^s psi_{T+s}."""
    world = Parabola()
    with float64():
        state, span = jnp.array([x, y]), jnp.asarray(time)
        later = lambda t: world.later(state, t)
        moved, speed = jax.jvp(later, (span,), (jnp.ones(()),))
        assert np.allclose(later(jnp.zeros(())), state, atol=1e-14)
        assert np.allclose(speed, world.velocity(moved, NONE), atol=1e-11)
        pulled = world.pullback(state, span)
        assert np.allclose(pulled, jnp.exp(-span) * moved[0], atol=1e-13)
        assert np.allclose(pulled - world.phi(state), -np.exp(-3 * time) * y**2 / 3, atol=1e-14)
        again = world.pullback(moved, jnp.asarray(0.7))
        assert np.allclose(again, jnp.exp(span) * world.pullback(state, span + 0.7), atol=1e-11)
        assert np.allclose(world.phi(moved), jnp.exp(span) * world.phi(state), atol=1e-11)


def test_the_parabola_solves_the_koopman_equation_and_has_a_saddle():
    world = Parabola()
    states = np.random.default_rng(0).uniform(-3, 3, (50, 2))
    assert residual(world.phi, world, states) < 1e-12
    rates = np.sort(np.asarray(world.rates(jnp.zeros(2), NONE)).real)
    assert rates.tolist() == [-1, 1]
    path = jax.vmap(lambda t: world.later(jnp.array([-1 / 3, 1.0]), t))(jnp.linspace(0, 3, 7))
    assert np.allclose(path[:, 0], -(path[:, 1] ** 2) / 3, atol=1e-6)  # stays on the separatrix


def test_the_error_of_the_pull_back_is_that_of_the_parabola():
    """At y the zero set is off by e^-3T y^2/3: the law, exactly."""
    times = np.array([0.0, 0.5, 2.0])
    with float64():
        world, y = Parabola(), 1.3
        on = jnp.array([-(y**2) / 3, y])
        off = [float(world.pullback(on, jnp.asarray(t))) for t in times]
    assert np.allclose(
        np.abs(off) / (y**2 / 3), error_of_pullback(np.array([1.0, -1.0]), times)
    )


def test_the_law_gives_the_published_factors():
    """Over T = 1/lambda_u: .0072 (tanh, 64 units) and .0071 (face of the gut)."""
    tanh = error_of_pullback(np.array([0.675, -1.327, -3.0]), 1 / 0.675)
    gut = error_of_pullback(np.array([-0.4677, -0.152, 0.0769, -0.1581]), 1 / 0.0769)
    assert tanh == pytest.approx(0.0072, abs=5e-5)
    assert gut == pytest.approx(0.0071, abs=5e-5)
    turning = np.array([1.0, -0.5 + 3j, -0.5 - 3j])
    assert error_of_pullback(turning, 1.0) == pytest.approx(np.exp(-2))


@pytest.mark.parametrize(
    ("rates", "count"), [([-1.0, -2.0], 0), ([1.0, 2.0, -1.0], 2), ([1.0], 1), ([1.0, 0.0], 1)]
)
def test_the_rates_of_no_saddle_are_refused(rates, count):
    with pytest.raises(ValueError, match=f"{count} of {len(rates)} rates are unstable"):
        error_of_pullback(np.array(rates), 1.0)
