"""Do the worlds move as their equations say on paper?"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from slowpoint.core.precision import float64
from slowpoint.core.rollout import rollout
from slowpoint.recordings.gut import Gut, gut
from slowpoint.worlds.bistable import Bistable
from slowpoint.worlds.double_integrator import DoubleIntegrator
from slowpoint.worlds.duffing import Duffing
from slowpoint.worlds.lotka_volterra import LotkaVolterra

NONE = jnp.zeros(0)


def sorted_rates(world, x):
    with float64():
        return np.sort_complex(np.asarray(world.rates(jnp.asarray(x, float), NONE)))


@pytest.mark.parametrize("damping", [0.2, 1.0, 4.0])
def test_duffing_rests_at_two_wells_and_a_saddle(damping):
    world, signs = Duffing(damping), np.array([-1, 1])
    for position, square in ((0.0, damping**2 + 4), (1.0, damping**2 - 8)):
        x = np.array([position, 0.0])
        assert np.all(world.velocity(jnp.asarray(x), NONE) == 0)
        expected = (-damping + signs * np.sqrt(complex(square))) / 2
        assert np.allclose(sorted_rates(world, x), np.sort_complex(expected), atol=1e-7)
        assert np.allclose(sorted_rates(world, -x), np.sort_complex(expected), atol=1e-7)


def test_duffing_loses_energy_to_damping_alone():
    """E = v^2/2 - x^2/2 + x^4/4 falls at the rate damping v^2, exactly."""
    energy = lambda x: 0.5 * x[1] ** 2 - 0.5 * x[0] ** 2 + 0.25 * x[0] ** 4
    with float64():
        x = jnp.array([1.3, -0.7])
        rate = jax.grad(energy)(x) @ Duffing(0.3).velocity(x, NONE)
        assert np.isclose(rate, -0.3 * 0.7**2, rtol=1e-12)


def test_an_ensemble_may_vary_the_damping():
    speed = lambda damping: Duffing(damping).velocity(jnp.array([0.0, 1.0]), NONE)
    assert jax.vmap(speed)(jnp.array([0.5, 2.0]))[:, 1].tolist() == [-0.5, -2.0]


@pytest.mark.parametrize(("size", "axis"), [(1, 0), (3, 2)])
def test_bistable_rests_at_two_attractors_and_a_saddle(size, axis):
    world, x = Bistable(size, axis), np.zeros(size)
    for place, rate in ((0.0, 1.0), (1.0, -2.0), (-1.0, -2.0)):
        x[axis] = place
        assert np.all(world.velocity(jnp.asarray(x, float), NONE) == 0)
        assert np.allclose(sorted_rates(world, x), np.sort([rate] + [-1.0] * (size - 1)))


def test_the_coordinate_of_bistable_is_a_squashed_koopman_eigenfunction():
    """grad psi . f = psi - psi^3 for psi = x_p (rate 1), so x_p = 0 is the separatrix."""
    world = Bistable(3, 1)
    with float64():
        x = jnp.array([0.3, -1.7, 2.0])
        _, change = jax.jvp(lambda x: x[1], (x,), (world.velocity(x, NONE),))
        assert np.isclose(change, x[1] - x[1] ** 3, rtol=1e-14)
    for side in (-1.0, 1.0):
        start = jnp.array([5.0, side * 1e-3, -5.0])
        end = rollout(world, start, jnp.zeros((400, 0))).states[-1]
        assert np.allclose(end, [0, side, 0], atol=1e-3)


@pytest.mark.parametrize(("size", "axis"), [(2, 2), (2, -1), (0, 0)])
def test_an_axis_that_is_not_there_is_refused(size, axis):
    with pytest.raises(ValueError, match=f"axis={axis} is not among the {size} coordinates"):
        Bistable(size, axis)


@settings(max_examples=10, deadline=None)
@given(x=st.tuples(*[st.floats(-9, 9)] * 2), u=st.floats(-9, 9), dt=st.floats(0.01, 2))
def test_a_step_of_the_double_integrator_is_its_matrix(x, u, dt):
    a, b = np.array([[1, dt], [0, 1]]), np.array([0, dt])
    with float64():
        moved = DoubleIntegrator(dt).step(jnp.array(x), jnp.array([u]))
    assert np.allclose(moved, a @ np.array(x) + b * u, rtol=1e-12, atol=1e-12)


def test_pushing_for_a_second_moves_a_unit_mass_half_a_metre():
    n = 1000
    run = rollout(DoubleIntegrator(1 / n), jnp.zeros(2), jnp.ones((n, 1)))
    assert np.isclose(run.outputs[-1, 0], 0.5 * (1 - 1 / n), rtol=1e-4)  # Euler: n(n-1)/2n^2
    assert np.isclose(run.states[-1, 1], 1.0, rtol=1e-4)


def test_one_species_grows_logistically():
    """x' = r x (1 - x/k): rests at k with rate -r and at 0 with rate r."""
    r, k = 0.7, 3.0
    world = LotkaVolterra(jnp.array([r]), jnp.array([[-r / k]]))
    assert np.allclose(sorted_rates(world, [k]), [-r])
    assert np.allclose(sorted_rates(world, [0.0]), [r])
    start, time = 0.1, 4.0
    fine = LotkaVolterra(world.growth, world.interactions, dt=1e-3)
    end = rollout(fine, jnp.array([start]), jnp.zeros((round(time / 1e-3), 0))).states[-1, 0]
    assert np.isclose(end, k / (1 + (k / start - 1) * np.exp(-r * time)), rtol=2e-3)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 99))
def test_species_rest_together_where_the_matrix_says(seed):
    """All present: K x = -rho. And who is absent stays absent."""
    draw = np.random.default_rng(seed)
    k = draw.normal(size=(4, 4)) - 3 * np.eye(4)
    together = draw.uniform(0.5, 1.5, 4)
    with float64():
        world = LotkaVolterra(jnp.asarray(-k @ together), jnp.asarray(k))
        assert np.allclose(world.velocity(jnp.asarray(together), NONE), 0, atol=1e-12)
        absent = jnp.asarray(together * [1, 0, 1, 0])
        assert np.all(world.velocity(absent, NONE)[1::2] == 0)


# ---------------------------------------------------------------- the gut community


def community(data, members=None):
    members = np.arange(len(data.genera)) if members is None else members
    with float64():
        growth = jnp.asarray(data.growth[members])
        return LotkaVolterra(growth, jnp.asarray(data.interactions[np.ix_(members, members)]))


def test_the_gut_rests_where_its_file_says():
    data = gut()
    assert data.interactions.shape == (11, 11)
    assert data.starts.shape == (9, 11)
    assert data.genera[8] == "Clostridium difficile"
    assert "Stein et al. 2013" in data.source
    with float64():
        world = community(data)
        for x in [*data.steady_states, data.saddle]:
            assert np.abs(world.velocity(jnp.asarray(x), NONE)).max() < 1e-12
    stable = [
        name for name in data.letters if sorted_rates(world, data.steady(name)).real[-1] < 0
    ]
    assert stable == ["A", "C"]


def test_two_states_of_the_gut_attract_on_a_face():
    """Rates per day, as computed for the separatrix of Dabholkar and Barak (2025)."""
    data = gut()
    face = community(data, data.face)
    slowest = {x: sorted_rates(face, data.steady(x)[data.face]).real[-1] for x in "EC"}
    assert slowest["E"] == pytest.approx(-0.00307, abs=1e-5)
    assert slowest["C"] == pytest.approx(-0.28190, abs=1e-5)
    saddle = sorted_rates(face, data.saddle[data.face]).real
    assert saddle[-2:] == pytest.approx([-0.15197, 0.0768924], abs=1e-5)
    growing = sorted_rates(community(data), data.steady("E")).real[-2:]
    assert growing == pytest.approx([0.2819, 0.4822], abs=1e-4)  # who could invade E


def test_the_gut_survives_a_file_and_names_its_states(tmp_path):
    data = gut()
    data.save(tmp_path / "gut.npz")
    again = Gut.load(tmp_path / "gut.npz")
    for name, value in vars(data).items():
        np.testing.assert_array_equal(getattr(again, name), value)
    with pytest.raises(ValueError, match=r"No steady state 'Z'. Type one of A, B, C, D, E"):
        data.steady("Z")
