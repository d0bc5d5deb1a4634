"""Newton and Kantorovich on x^2 = a, where the theorem is sharp."""

import numpy as np
import pytest

from slowpoint.analysis.certificates import certify


def square(x: float, a: float):
    """The certificate of r = x^2 - a at x: J = 2x, and J changes by 2 per unit."""
    return certify(np.array([[x**2 - a]]), np.array([[[2 * x]]]), np.array([2.0]))


def test_alpha_is_beta_l_eta():
    proof = square(3.0, 8.9)
    beta, eta = 1 / 6, 0.1 / 6
    assert proof.beta[0] == pytest.approx(beta)
    assert proof.newton[0] == pytest.approx(eta)
    assert proof.alpha[0] == pytest.approx(beta * 2 * eta)


def test_the_radius_is_the_distance_of_the_root():
    x, a = 3.0, 9.0 - 1e-3
    proof = square(x, a)
    assert proof.certified[0]
    assert proof.radius[0] == pytest.approx(x - np.sqrt(a), rel=1e-9)


def test_without_a_root_nothing_is_certified():
    for x in (1e-4, 1e-2, 0.3):
        proof = square(x, -(x**2) * 1e-3)  # alpha just above 1/2
        assert proof.alpha[0] > 0.5
        assert not proof.certified[0]
        assert np.isnan(proof.radius[0])
        assert proof.unique[0] == 0


def test_two_roots_in_reach_are_kept_apart():
    half = 2e-4  # roots at +-half: no ball of uniqueness around one may hold the other
    proof = square(half * 1.001, half**2)
    assert proof.certified[0]
    assert proof.unique[0] < 2.1 * half


def test_a_singular_jacobian_certifies_nothing():
    proof = certify(np.zeros((1, 2)), np.array([[[1.0, 0.0], [0.0, 0.0]]]), np.array([1.0]))
    assert not proof.certified[0]
    assert np.isinf(proof.newton[0])


def test_an_unknown_lipschitz_constant_certifies_nothing():
    proof = certify(np.zeros((1, 1)), np.ones((1, 1, 1)), np.array([np.nan]))
    assert not proof.certified[0]
