"""Exponents that are on paper."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from slowpoint.analysis.lyapunov import lyapunov
from slowpoint.cells.linear import Linear
from slowpoint.core.system import Map
from slowpoint.core.wrap import Sampled


class Logistic(Map):
    """x' = 4 x (1 - x): chaotic, exponent ln 2."""

    state_size: int = eqx.field(static=True, default=1)
    input_size: int = eqx.field(static=True, default=0)
    output_size: int = eqx.field(static=True, default=1)
    dt: float = eqx.field(static=True, default=1.0)

    def step(self, x, u):
        return 4 * x * (1 - x)

    def output(self, x):
        return x


class Henon(Map):
    """Henon (1976): the sum of the exponents is ln 0.3 exactly, the largest about 0.419."""

    state_size: int = eqx.field(static=True, default=2)
    input_size: int = eqx.field(static=True, default=0)
    output_size: int = eqx.field(static=True, default=2)
    dt: float = eqx.field(static=True, default=1.0)

    def step(self, x, u):
        return jnp.stack([1 - 1.4 * x[0] ** 2 + x[1], 0.3 * x[0]])

    def output(self, x):
        return x


def none(steps: int) -> np.ndarray:
    return np.zeros((steps, 0))


def test_linear_map_has_the_logarithms_of_its_eigenvalues():
    net = Linear.random(5, 0, 1, gain=0.8, dt=1.0, key=jr.key(0))
    found = lyapunov(Sampled(net), np.ones(5), none(4000), warmup=200)
    exact = np.sort(np.log(np.abs(np.linalg.eigvals(np.asarray(net.recurrent, float)))))[::-1]
    assert np.allclose(found.exponents, exact, atol=5e-3)


def test_exponents_are_per_unit_time():
    net = Linear(jnp.zeros((2, 2)), jnp.zeros((2, 0)), jnp.zeros(2), jnp.zeros((1, 2)), dt=0.01)
    found = lyapunov(net, np.ones(2), none(320))
    assert np.allclose(found.exponents, np.log(0.99) / 0.01)


def test_logistic_map_has_ln_2():
    found = lyapunov(Logistic(), np.array([0.3]), none(20_000), warmup=100)
    assert abs(found.exponents[0] - np.log(2)) < max(3 * found.errors[0], 5e-3)
    assert "converged" in found.says


def test_henon_sum_is_exact_and_dimension_known():
    found = lyapunov(Henon(), np.array([0.1, 0.1]), none(20_000), warmup=100)
    assert found.exponents.sum() == pytest.approx(np.log(0.3), abs=1e-9)
    assert found.exponents[0] == pytest.approx(0.419, abs=0.01)
    assert found.dimension == pytest.approx(1.258, abs=0.01)
    largest = lyapunov(Henon(), np.array([0.1, 0.1]), none(20_000), warmup=100, exponents=1)
    assert largest.exponents[0] == pytest.approx(found.exponents[0], abs=1e-6)
    assert np.isnan(largest.dimension)


def test_a_diverging_run_says_so():
    assert "diverged" in lyapunov(Henon(), np.array([5.0, 5.0]), none(64)).says


def test_too_few_steps_is_a_misuse():
    with pytest.raises(ValueError, match="at least 116 steps"):
        lyapunov(Logistic(), np.array([0.3]), none(100), warmup=100)
