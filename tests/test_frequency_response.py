"""Does the formula say what a long simulation shows, and are acquisitions right?"""

import jax.numpy as jnp
import numpy as np
import pytest

from slowpoint.analysis.frequency_response import (
    acquisition,
    frequency_response,
    interference,
)
from slowpoint.cells.linear import Linear
from slowpoint.core.closed_loop import ClosedLoop
from slowpoint.core.precision import float64, to_numpy
from slowpoint.core.rollout import rollout
from slowpoint.worlds.double_integrator import DoubleIntegrator

DT = 0.1


@pytest.fixture(scope="module")
def loop():
    """A controller of position and reference that is stable."""
    with float64():
        agent = Linear(
            jnp.diag(jnp.array([-3.3, -6.9])),
            jnp.array([[9.2, -9.2], [5.1, 0.0]]),
            jnp.zeros(2),
            jnp.array([[6.8, -24.5]]),
            dt=DT,
        )
        yield ClosedLoop(DoubleIntegrator(DT), agent, first="agent")


def matrices(loop):
    """P, G and C of the joint step."""
    with float64():
        zero, none = jnp.zeros(loop.state_size), jnp.zeros(loop.input_size)
        p = np.asarray(loop.jacobian(zero, none))
        g = np.stack([loop.step(zero, one) for one in jnp.eye(loop.input_size)], axis=1)
        c = np.stack([loop.output(one) for one in jnp.eye(loop.state_size)], axis=1)
    return p, g, c


def test_the_response_is_the_ratio_of_amplitudes_of_a_long_run(loop):
    omegas = 2 * np.pi * np.array([0.1, 0.2, 0.4])
    found = frequency_response(*matrices(loop), omegas, DT)
    assert found.stable, found.radius
    time = DT * np.arange(4000)
    for omega, (((known,),)) in zip(omegas, found.response, strict=True):
        with float64():
            asked = jnp.asarray(np.cos(omega * time)[:, None])
            path = to_numpy(rollout(loop, jnp.zeros(0), asked).outputs)[2000:, 0]
        waves = np.stack([np.cos(omega * time), -np.sin(omega * time)], axis=1)[2000:]
        real, imaginary = np.linalg.lstsq(waves, path)[0]
        assert abs(real + 1j * imaginary - known) < 1e-8 * abs(known)


def scalars(*numbers):
    return [np.full((1, 1), number) for number in numbers]


def test_a_leak_answers_as_on_paper():
    """y <- (1 - a) y + a r: H = a e^{iw} / (e^{iw} - 1 + a), 1 at w = 0."""
    omegas, a = np.array([0.0, 0.5, np.pi]), 0.2
    found = frequency_response(*scalars(1 - a, a, 1.0), omegas, 1.0)
    turn = np.exp(1j * omegas)
    assert np.allclose(found.response[:, 0, 0], a * turn / (turn - 1 + a), rtol=1e-13)
    assert found.response[0, 0, 0] == pytest.approx(1)
    assert found.radius == pytest.approx(0.8)


def test_a_loop_that_never_settles_says_so():
    omegas = np.array([0.0, 1.0])
    found = frequency_response(*scalars(1.0, 1.0, 1.0), omegas, 1.0)
    assert not found.stable
    assert np.isnan(found.response[0]).all()
    assert np.isfinite(found.response[1]).all()
    broken = frequency_response(*scalars(np.inf, 1.0, 1.0), omegas, 1.0)
    assert np.isnan(broken.response).all()
    assert not broken.stable


@pytest.mark.parametrize(
    ("parts", "dt", "says"),
    [
        ((np.eye(2), np.ones((3, 1)), np.ones((1, 2))), 1.0, r"drive \(3, 1\)"),
        ((np.ones((2, 3)), np.ones((2, 1)), np.ones((1, 2))), 1.0, r"step \(2, 3\)"),
        ((np.eye(2), np.ones((2, 1)), np.ones((1, 3))), 1.0, r"readout \(1, 3\)"),
        ((np.eye(2), np.ones((2, 1)), np.ones((1, 2))), 0.0, "dt=0.0"),
    ],
)
def test_matrices_that_do_not_fit_are_told(parts, dt, says):
    with pytest.raises(ValueError, match=says):
        frequency_response(*parts, np.ones(1), dt)


def test_a_frequency_is_acquired_when_its_error_stays_low():
    errors = np.full((200, 4), 2.668)
    errors[20:, 0] = 0.1  # low from before the earliest epoch
    errors[60:70, 1] = 0.1  # a visit
    errors[90:, 1] = 0.1
    errors[160:, 2] = 0.1  # 40 epochs are too few
    found = acquisition(errors)
    assert found.epochs.tolist() == [50, 90, -1, -1]
    assert found.order.tolist() == [0, 1]
    assert acquisition(errors, hold=40).epochs.tolist() == [50, 90, 160, -1]
    assert acquisition(errors, hold=41).epochs.tolist() == [50, 90, -1, -1]
    assert acquisition(errors, earliest=0).epochs[0] == 20


def test_the_threshold_itself_is_not_below_and_nan_is_not_low():
    errors = np.full((60, 2), 1.334)
    errors[:, 1] = np.nan
    assert acquisition(errors, earliest=0).epochs.tolist() == [-1, -1]
    assert acquisition(errors - 1e-9, earliest=0).epochs.tolist() == [0, -1]


def test_the_order_is_that_of_learning():
    errors = np.full((300, 3), 2.0)
    for frequency, epoch in enumerate((200, 60, 120)):
        errors[epoch:, frequency] = 0.0
    assert acquisition(errors).order.tolist() == [1, 2, 0]


def test_learning_one_frequency_disturbs_another():
    errors = np.full((400, 2), 2.6)
    errors[60:, 0] = np.linspace(1.0, 0.5, 340)
    errors[190:230, 0] += 0.4  # while the second is learned
    errors[200:, 1] = 0.2
    found = interference(errors, np.array([60, 200]), window=100)
    lowest, peak = errors[60:190, 0].min(), errors[190:230, 0].max()
    assert found.before[0, 1] == pytest.approx(lowest)
    assert found.peak[0, 1] == pytest.approx(peak)
    assert found.rise[0, 1] == pytest.approx(peak - lowest)
    assert np.isnan(found.rise[[0, 1, 1], [0, 0, 1]]).all()


def test_no_disturbance_is_no_rise():
    errors = np.stack([np.linspace(1, 0.5, 300), np.linspace(2, 0, 300)], axis=1)
    found = interference(errors, np.array([50, 150]), window=50)
    assert found.rise[0, 1] == 0
    assert np.isnan(interference(errors, np.array([50, -1])).rise).all()


def test_histories_that_cannot_be_read_are_told():
    errors = np.ones((9, 2))
    with pytest.raises(ValueError, match="hold=0"):
        acquisition(errors, hold=0)
    with pytest.raises(ValueError, match="2 errors, 1 epochs"):
        interference(errors, np.array([3]))
    with pytest.raises(ValueError, match="window=-1"):
        interference(errors, np.array([3, 4]), window=-1)
