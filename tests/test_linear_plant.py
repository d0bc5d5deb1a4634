"""Do linear plants move by their matrices, late controls and all?"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings, strategies as st

from slowpoint.cells.linear import Linear
from slowpoint.core.closed_loop import ClosedLoop
from slowpoint.core.precision import float64
from slowpoint.core.rollout import rollout
from slowpoint.core.wrap import Delayed
from slowpoint.worlds.double_integrator import DoubleIntegrator
from slowpoint.worlds.duffing import Duffing
from slowpoint.worlds.integrator_chain import IntegratorChain
from slowpoint.worlds.linear_plant import LinearPlant, matrices
from slowpoint.worlds.plane import Plane

SEEDS = st.integers(0, 2**31)


def draw(seed, size=3, controls=2, outputs=2, noise=1):
    """`(A, B, C, K)` at random."""
    normal = np.random.default_rng(seed).normal
    return (
        0.5 * normal(size=(size, size)),
        normal(size=(size, controls)),
        normal(size=(outputs, size)),
        normal(size=(size, noise)),
    )


@given(SEEDS, st.integers(0, 3), st.integers(1, 3), st.integers(1, 2))
@settings(max_examples=15, deadline=None)
def test_a_plant_moves_by_its_matrices_and_controls_come_late(seed, delay, size, controls):
    a, b, c, k = draw(seed, size, controls)
    normal = np.random.default_rng(seed + 1).normal
    sent, noise, x = normal(size=(6, controls)), normal(size=(6, 1)), normal(size=size)
    with float64():
        world = LinearPlant(*map(jnp.asarray, (a, b, c, k)), delay=delay)
        run = rollout(world, x, jnp.asarray(np.hstack([sent, noise])))
        states, outputs = np.asarray(run.states), np.asarray(run.outputs)
    for t in range(6):
        arriving = sent[t - delay] if t >= delay else np.zeros(controls)
        x = a @ x + b @ arriving + k @ noise[t]
        np.testing.assert_allclose(states[t, :size], x, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(outputs[t], c @ x, rtol=1e-12, atol=1e-12)


def test_a_delay_is_that_of_the_wrapper():
    a, b, c, _ = draw(0)
    own = matrices(LinearPlant(a, b, c, delay=2))
    for one, other in zip(own, matrices(Delayed(LinearPlant(a, b, c), 2)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_matrices_of_a_plant_are_those_given():
    a, b, c, k = draw(1)
    found = matrices(LinearPlant(a, b, c, k))
    for one, other in zip(found, (a, np.hstack([b, k]), c), strict=True):
        assert one.dtype == float
        np.testing.assert_allclose(one, other, rtol=1e-15)


def test_the_matrices_of_known_worlds():
    for dt in (1.0, 0.1):
        a, b, c = matrices(DoubleIntegrator(dt))
        np.testing.assert_array_equal(a, [[1, dt], [0, 1]])
        np.testing.assert_array_equal(b, [[0], [dt]])
        np.testing.assert_array_equal(c, [[1, 0]])
    plane = matrices(Plane(dt=0.1, limit=10.0))
    for found, one in zip(plane, (a, b, c), strict=True):
        np.testing.assert_array_equal(found, np.kron(np.eye(2), one))


@pytest.mark.parametrize("size", [1, 2, 4])
def test_a_chain_is_moved_exactly_by_a_held_force(size):
    """exp of the continuous matrix with the force as one more state."""
    dt = 0.7
    known = scipy.linalg.expm(dt * np.eye(size + 1, k=1))
    a, b, c = matrices(IntegratorChain(size, dt))
    np.testing.assert_allclose(np.hstack([a, b]), known[:size], rtol=1e-15)
    assert (c @ b).item() == pytest.approx(dt**size / np.prod(np.arange(1, size + 1)))


def test_the_mass_in_the_plane_stays_within_its_limit():
    push = jnp.full((30, 2), 50.0) * jnp.array([[1.0, -1.0]])
    states = rollout(Plane(limit=10.0), jnp.zeros(0), push).states
    assert np.abs(states).max() == 10
    assert np.array_equal(states[-1], [10, 10, -10, -10])
    free = rollout(Plane(), jnp.zeros(0), push).states
    np.testing.assert_allclose(free[-1, 1], 150.0, rtol=1e-6)


def test_noise_of_a_plant_comes_by_the_trial():
    a, b, c, k = draw(2)
    agent = Linear.random(3, 2, 2, key=jax.random.key(0))
    loop = ClosedLoop(LinearPlant(a, b, c, k), agent, observation_noise=0.1)
    assert (loop.world_noise_size, loop.input_size) == (1, 3)


# ---------------------------------------------------------------- misuse


def test_what_does_not_fit_is_refused():
    a, b, c, k = draw(3)
    for wrong, says in [
        ((a[:, :2], b, c), r"transition has 3 rows and 2 columns\. Give a square"),
        ((a, b[:2], c), r"control has 2 rows, transition has 3\. Give .* shape \(3, 2\)"),
        ((a, b, c[:, :1]), r"sensor has 1 columns, transition has 3\. Give .* \(2, 3\)"),
        ((a, b, c, k[:2]), r"kick has 2 rows, transition has 3\. Give kick of shape \(3, 1\)"),
    ]:
        with pytest.raises(ValueError, match=says):
            LinearPlant(*wrong)


def test_a_delay_is_not_in_the_future():
    with pytest.raises(ValueError, match=r"delay=-1: give a whole number of steps, 0 or more"):
        LinearPlant(*draw(4)[:3], delay=-1)


@pytest.mark.parametrize("delay", [1.5, True, "2"])
def test_a_delay_is_a_number_of_steps(delay):
    with pytest.raises((ValueError, TypeError), match="delay"):  # tests check types as well
        LinearPlant(*draw(4)[:3], delay=delay)


def test_a_controller_must_see_what_the_plant_shows():
    a, b, c, _ = draw(5)
    blind = Linear.random(3, 1, 2, key=jax.random.key(0))
    with pytest.raises(ValueError, match=r"world shows 2 numbers, the agent reads only 1"):
        ClosedLoop(LinearPlant(a, b, c), blind)


def test_a_world_that_bends_has_no_matrices():
    with pytest.raises(ValueError, match="Duffing is not linear"):
        matrices(Duffing(0.2))


def test_no_chain_of_nothing_and_no_limit_of_nothing():
    with pytest.raises(ValueError, match="A chain of 0 integrators"):
        IntegratorChain(0)
    with pytest.raises(ValueError, match=r"limit=0\.0"):
        Plane(limit=0.0)
