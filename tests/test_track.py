"""Is the point that moves the one on paper, and do eight references stand for all?"""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from slowpoint.cells.linear import Linear
from slowpoint.core.closed_loop import ClosedLoop
from slowpoint.core.precision import float64
from slowpoint.core.rollout import rollout, Trajectory
from slowpoint.learning.descend import descend
from slowpoint.learning.given_trials import GivenTrials
from slowpoint.tasks.track import Track
from slowpoint.worlds.plane import Plane


def follower(readout=0.3):
    """A linear network that moves a mass in the plane, answering first; nothing is clamped."""
    agent = Linear.random(12, 4, 2, gain=0.4, dt=0.1, key=jr.key(0))
    agent = eqx.tree_at(lambda a: a.readout, agent, readout * agent.readout)
    return ClosedLoop(Plane(dt=0.1), agent, first="agent")


def test_the_point_moves_as_on_paper():
    phases = np.array([0.3, -1.0, 2.0, 0.7])  # of .1, .2, .3, .4 Hz
    with float64():
        trial = Track().at(jnp.asarray(phases))
        inputs, targets = np.asarray(trial.inputs), np.asarray(trial.targets)
    t = 0.1 * np.arange(300)
    wave = lambda f, phase: np.cos(2 * np.pi * f * t + phase)
    x = wave(0.1, 0.3) + wave(0.3, 2.0)
    y = wave(0.2, -1.0) + wave(0.4, 0.7)
    expected = 2.31 * np.minimum(t, 1.0)[:, None] * np.stack([x, y], axis=1)
    assert np.allclose(inputs, expected, atol=1e-12)
    assert np.array_equal(inputs, targets)
    assert Track().omegas == pytest.approx([0.628, 1.257, 1.885, 2.513], abs=1e-3)


def test_the_loss_compares_where_the_plant_is_next_with_where_the_point_is_now():
    task = Track(steps=20)
    with float64():
        trial, loop = task.trial(jr.key(1)), follower()
        run = rollout(loop, trial.start, trial.inputs)
        loss = float(task.loss(trial, run))
        x, total = np.zeros(loop.state_size), 0.0
        for r in np.asarray(trial.inputs):
            x = np.asarray(loop.step(jnp.asarray(x), jnp.asarray(r)))
            total += ((x[[0, 2]] - r) ** 2).sum()
    assert loss == pytest.approx(0.1 / 20 * total, rel=1e-12)


def test_phases_are_uniform_and_independent():
    """So the point has mean 0 and, after the ramp, variance A^2 on each axis."""
    draw = jax.jit(jax.vmap(Track(steps=30).trial))
    path = np.asarray(draw(jr.split(jr.key(0), 5000)).inputs)[:, 12:]
    assert np.abs(path.mean(axis=0)).max() < 0.15
    assert path.var(axis=0) == pytest.approx(2.31**2, rel=0.07)
    assert np.abs((path[..., 0] * path[..., 1]).mean(axis=0)).max() < 0.3


def test_what_is_not_tracked_costs_half_the_square_of_its_amplitude():
    task = Track(ramp=0.0, steps=100)  # whole periods of all
    trials = task.every()
    still = jax.vmap(
        lambda one: task.loss(one, Trajectory(jnp.zeros((100, 4)), 0 * one.targets))
    )
    errors = np.asarray(task.frequency_errors(still(trials)))
    assert errors == pytest.approx([2.31**2 / 2] * 4, rel=1e-4)
    assert float(still(trials).mean()) == pytest.approx(0.1 * 4 * 2.31**2 / 2, rel=1e-4)


@pytest.mark.slow
def test_eight_references_are_the_mean_over_all_phases():
    """Three uniform phases a frequency: their product grid averages a square exactly."""
    task = Track(steps=60)
    grid = 2 * np.pi / 3 * np.array(list(itertools.product(range(3), repeat=4)))
    with float64():
        loop = follower()
        few = GivenTrials(task, task.every())
        many = GivenTrials(task, jax.vmap(task.at)(jnp.asarray(grid + 0.4)))
        assert few.trials.inputs.shape == (8, 60, 2)
        exact, mean = float(few(loop, None)), float(many(loop, None))
        slope, expected = (
            eqx.filter_grad(lambda x, c=c: c(x, None))(loop).agent for c in (few, many)
        )
    assert exact == pytest.approx(mean, rel=1e-12)
    for part in ("recurrent", "encoder", "readout"):
        one, other = getattr(slope, part), getattr(expected, part)
        assert np.allclose(one, other, rtol=1e-9, atol=1e-12)


def test_errors_of_the_frequencies_add_up():
    task = Track(frequencies=((0.5, 1.5), (1.0,)), steps=40)
    with float64():
        few = GivenTrials(task, task.every())
        loop = follower()
        errors = np.asarray(task.frequency_errors(few.each(loop)))
        whole = float(few(loop, None))
    assert errors.shape == (3,)
    assert 0.1 * errors.sum() == pytest.approx(whole, rel=1e-12)


@pytest.mark.slow
def test_a_follower_learns():
    task = Track(frequencies=((0.5,), (0.7,)), steps=40)
    loop = follower()
    few = GivenTrials(task, task.every())
    weights = lambda loop: (loop.agent.recurrent, loop.agent.encoder, loop.agent.readout)
    options = {"optimiser": optax.adam(1e-2), "trainable": weights}
    done = descend(loop, few, updates=60, key=jr.key(0), **options)
    nothing = follower(readout=0.0)
    assert float(few(done.system, None)) < 0.8 * float(few(nothing, None))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"steps": 1}, "steps=1, dt=0.1: give 2 steps or more"),
        ({"dt": 0.0}, "dt=0.0"),
        ({"ramp": -1.0}, "ramp=-1.0 s: give 0"),
        ({"frequencies": ((), ())}, "has none. Give a tuple for each axis"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_what_cannot_be_followed_is_told(options, says):
    with pytest.raises(ValueError, match=says):
        Track(**options)
