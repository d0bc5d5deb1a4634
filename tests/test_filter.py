"""Is the filter's impulse of area 1, and can a network give exactly the answer asked for?"""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from slowpoint.core.precision import float64, to_numpy
from slowpoint.core.rollout import rollout, Trajectory
from slowpoint.tasks.filter import Filter
from slowpoint.theory.impulse import decaying
from slowpoint.theory.latent import Latent
from slowpoint.theory.overlaps import Dims, matrix, rank_one, vector


def asked(task):
    return to_numpy(task.trial(jr.key(0)))


@pytest.mark.parametrize("dt", [0.05, 0.2])
def test_an_impulse_of_area_one_then_nothing(dt):
    with float64():
        trial = asked(Filter(steps=50, dt=dt))
    assert trial.inputs.shape == trial.targets.shape == (50, 1)
    assert trial.inputs.sum() * dt == pytest.approx(1, abs=1e-15)
    assert np.all(trial.inputs[1:] == 0)
    assert np.all(trial.weights == 1)
    with float64():
        other = to_numpy(Filter(steps=50, dt=dt).trial(jr.key(1)))
    assert np.array_equal(other.targets, trial.targets)  # nothing is drawn


def test_the_time_axis_is_that_of_the_paper():
    """linspace(0, T, T) dt: its spacing is dt T / (T - 1)."""
    with float64():
        task = Filter(rate=0.3, frequency=2.0, size=1.5)
        times, targets = np.asarray(task.times), asked(task).targets[:, 0]
        decay = asked(Filter(rate=0.4)).targets[:, 0]
    assert (times[0], times[-1], len(times)) == (0, 20, 400)
    assert np.ptp(np.diff(times)) < 1e-13
    assert np.abs(targets - 1.5 * np.exp(-0.3 * times) * np.cos(2 * times)).max() < 1e-15
    assert np.abs(decay - decaying(0.4).target).max() < 1e-15  # that of the closed form


def test_the_loss_is_the_squared_error_over_time():
    error = np.random.default_rng(0).normal(size=(30, 1))
    with float64():
        task = Filter(steps=30, dt=0.1)
        trial = task.trial(jr.key(0))
        found = float(task.loss(trial, Trajectory(jnp.zeros((30, 2)), trial.targets + error)))
    assert found == pytest.approx(0.1 * (error**2).sum(), rel=1e-13)


def test_rank_one_answers_without_error():
    r"""$\lambda^n$ from zm = 1, zu vm = vu, its factor a step that of the target's axis."""
    best = (np.exp(-0.2 * 0.05 * 400 / 399) - 0.95) / 0.05
    assert best == pytest.approx(0.8005, abs=5e-5)
    with float64():
        task = Filter()
        trial = task.trial(jr.key(0))
        sigma = jnp.asarray(rank_one(zm=1.0, zu=best, vm=1.0, vu=best))
        latent = Latent(sigma, dt=task.dt)
        done = rollout(latent, trial.start, trial.inputs)
        assert float(task.loss(trial, done)) < 1e-26
        assert float(task.mark(latent, None)) < 1e-26
        assert float(Filter(rate=0.4).mark(latent, None)) > 0.1


def test_rank_two_oscillates_without_error():
    """Eigenvalues of V'U / N that the paper's network should come to: .6026 +- 1.9717 i."""
    best = (np.exp((-0.3 + 2j) * 0.05 * 400 / 399) - 0.95) / 0.05
    assert best == pytest.approx(0.6026 + 1.9717j, abs=1e-4)
    loop = np.array([[best.real, -best.imag], [best.imag, best.real]])
    dims, sigma = Dims(rank=2), np.zeros((6, 6))
    sigma[dims.v, dims.u], sigma[dims.v, dims.m] = loop, [[1.0], [0.0]]
    sigma[dims.z, dims.m], sigma[dims.z, dims.u] = 1.0, [[best.real, -best.imag]]
    with float64():
        task = Filter(rate=0.3, frequency=2.0)
        trial = task.trial(jr.key(0))
        whole = matrix(vector(sigma + sigma.T))
        done = rollout(Latent(whole, dims, dt=task.dt), trial.start, trial.inputs)
        assert float(task.loss(trial, done)) < 1e-24


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"dt": 0.0}, {"dt": 2.0}])
def test_what_no_filter_has_is_refused(wrong):
    with pytest.raises(ValueError, match=r"give 1 step or more, and 0 < dt < 2"):
        Filter(**wrong)
