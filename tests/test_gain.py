"""Is the gain that produced the efforts found, and what does one cost?"""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from slowpoint.analysis.gain import cost_of_gains, regress_gain


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99), states=st.integers(1, 4), efforts=st.integers(1, 3))
def test_a_controller_that_is_a_gain_is_found(seed, states, efforts):
    draw = np.random.default_rng(seed)
    k, x = draw.normal(size=(efforts, states)), draw.normal(size=(3, 7, states))
    found = regress_gain(x, x @ k.T)
    assert np.allclose(found.gain, k, atol=1e-12)
    assert np.allclose(found.residual, 0, atol=1e-20)
    assert found.rank == states


def test_what_no_gain_explains_is_left():
    """u = k x + e with e orthogonal to x: the share of e is left, k is not disturbed."""
    x = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
    rest = np.array([0.3, 0.3, -0.3, -0.3])
    found = regress_gain(x, (x @ [2.0, -1.0] + rest)[:, None])
    assert np.allclose(found.gain, [[2.0, -1.0]])
    assert found.residual == pytest.approx(
        [0.09 / (2.5 + 0.09)]
    )  # no intercept: it would take e


def test_there_is_no_intercept():
    found = regress_gain(np.array([[1.0], [2.0]]), np.array([[3.0], [3.0]]))
    assert found.gain[0, 0] == pytest.approx(9 / 5)  # sum xu / sum xx


def test_states_on_a_line_do_not_tell_a_gain():
    x = np.outer(np.arange(1.0, 5), [1.0, 2.0])
    found = regress_gain(x, x[:, :1])
    assert found.rank == 1
    assert np.isnan(found.gain).all()
    assert found.residual == pytest.approx([0], abs=1e-20)


def test_a_run_that_overflowed_is_a_value():
    x = np.ones((4, 2))
    x[2, 0] = np.inf
    found = regress_gain(x, np.ones((4, 1)))
    assert np.isnan(found.gain).all()
    assert np.isnan(found.residual).all()


@pytest.mark.parametrize("shape", [(4, 1), (3, 5, 1)])
def test_states_and_efforts_that_do_not_belong_together_are_told(shape):
    with pytest.raises(ValueError, match="all but the last axis must agree"):
        regress_gain(np.ones((3, 4, 2)), np.ones(shape))


def test_the_cost_of_a_gain_is_that_of_its_orbit():
    gains = np.array([[-0.3, -0.8], [0.0, 0.0], [-0.1, 0.0]])
    for k, cost in zip(gains, cost_of_gains(gains, (1.0, 1.0), 50), strict=True):
        x, total = np.ones(2), 0.0
        for _ in range(50):
            total += x @ x
            x = np.array([[1.0, 1], [k[0], 1 + k[1]]]) @ x
        assert cost == pytest.approx(total / 50, rel=1e-12)
    coast = cost_of_gains(np.zeros(2), (1.0, 1.0), 3)  # (1 + 1 + 4 + 1 + 9 + 1) / 3
    assert float(coast) == pytest.approx(17 / 3)
    with pytest.raises(ValueError, match="steps=0"):
        cost_of_gains(np.zeros(2), steps=0)
