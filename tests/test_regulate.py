"""Is what a regulator costs what the sums on paper say, and does it learn to cost less?"""

import dataclasses

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from test_contracts import check_system

from slowpoint.cells.linear import Linear
from slowpoint.core.closed_loop import ClosedLoop
from slowpoint.core.precision import float64, to_numpy
from slowpoint.core.rollout import rollout
from slowpoint.core.with_effort import WithEffort
from slowpoint.learning.given_trials import GivenTrials
from slowpoint.learning.train import train
from slowpoint.tasks.regulate import Axes, Box, Regulate
from slowpoint.worlds.double_integrator import DoubleIntegrator

A, B, C = np.array([[1.0, 1], [0, 1]]), np.array([0.0, 1]), np.array([1.0, 0])


def weights(seed=0, units=5):
    draw = np.random.default_rng(seed).normal
    return draw(size=(units, units)) / 4, draw(size=units) / 4, -draw(size=units) / 4


def loop_of(w, m, z, first="world"):
    """A linear controller (a = 1) on the double integrator. Call it inside `float64`."""
    agent = Linear(
        *map(jnp.asarray, (w, m[:, None])), jnp.zeros(len(w)), jnp.asarray(z[None]), dt=1.0
    )
    return ClosedLoop(DoubleIntegrator(1.0), agent, first)


def by_hand(w, m, z, start, steps, first="world"):
    """x_0 ... x_{T-1} and u_0 ... u_{T-1}, written out."""
    x, h, states, efforts = np.array(start, float), np.zeros(len(w)), [], []
    for _ in range(steps):
        if first == "agent":
            h = w @ h + m * x[0]
        states.append(x)
        efforts.append(z @ h)
        x = A @ x + B * efforts[-1]
        if first == "world":
            h = w @ h + m * x[0]
    return np.array(states), np.array(efforts)


@pytest.mark.parametrize("first", ["world", "agent"])
def test_each_tick_shows_the_state_it_begins_with_and_the_effort_that_moves_it(first):
    w, m, z = weights()
    states, efforts = by_hand(w, m, z, [1.0, -0.5], 9, first)
    with float64():
        loop = loop_of(w, m, z, first)
        run = to_numpy(
            rollout(WithEffort(loop), jnp.array([1.0, -0.5]), jnp.zeros((9, 0))).outputs
        )
        seen = WithEffort(loop, shows="output")
        narrow = to_numpy(rollout(seen, jnp.array([1.0, -0.5]), jnp.zeros((9, 0))).outputs)
    assert np.allclose(run, np.hstack([states, efforts[:, None]]), rtol=1e-12)
    assert np.allclose(narrow, np.stack([states[:, 0], efforts], axis=1), rtol=1e-12)
    assert (efforts[0] == 0) == (first == "world")


@pytest.mark.parametrize(("first", "shows"), [("world", "state"), ("agent", "output")])
def test_a_loop_that_shows_its_effort_is_a_system(first, shows):
    check_system(WithEffort(loop_of(*map(np.float32, weights()), first), shows))


@pytest.mark.parametrize(
    ("make", "state_cost", "effort_cost"),
    [
        (lambda: Regulate.mean_square(Box(half_width=1.0), steps=7), 1 / 2, 0.5),
        (lambda: Regulate.averaged(Box(), 3.0, steps=7), 1 / 14, 3.0),
        (lambda: Regulate(Box(), 0.2, 0.3, steps=7), 0.2, 0.3),
    ],
    ids=["mean_square", "averaged", "plain"],
)
def test_the_loss_is_the_sum_on_paper(make, state_cost, effort_cost):
    w, m, z = weights(1)
    with float64():
        task = make()
        trial = task.trial(jr.key(3))
        run = rollout(WithEffort(loop_of(w, m, z)), trial.start, trial.inputs)
        loss = float(task.loss(trial, run))
    states, efforts = by_hand(w, m, z, np.asarray(trial.start), 7)
    expected = state_cost * (states**2).sum() + effort_cost * (efforts**2).sum()
    assert loss == pytest.approx(expected, rel=1e-12)
    assert states[0] @ states[0] > 0  # the start counts


def test_starts_have_the_covariance_they_promise():
    keys = jr.split(jr.key(0), (3, 20_000))
    for own, start in zip(keys, (Box(size=3, half_width=2.0), Axes(size=3, variance=4 / 3))):
        drawn = np.asarray(jax.vmap(start)(own))
        assert np.abs(drawn.mean(axis=0)).max() < 0.05
        assert np.cov(drawn.T) == pytest.approx(4 / 3 * np.eye(3), abs=0.05)
        assert start.variance == pytest.approx(4 / 3)
    assert np.abs(np.asarray(jax.vmap(Box(half_width=0.5))(keys[2]))).max() <= 0.5
    exact = np.asarray(Axes(size=2, variance=1 / 3).every())
    assert (
        sorted(map(tuple, np.abs(exact).round(5)))
        == [(0, 0.81650), (0, 0.81650)] + [(0.81650, 0)] * 2
    )
    assert np.allclose(exact.T @ exact / 4, np.eye(2) / 3, atol=1e-6)


def test_four_exact_starts_replace_a_batch_of_random_ones():
    """A linear loop: the mean over +-sqrt(2v) e_i is the expected loss."""
    w, m, z = weights(2)
    with float64():
        loop = WithEffort(loop_of(w, m, z))
        task = Regulate.averaged(Axes(variance=4 / 3), 0.5, steps=10)
        exact = float(GivenTrials(task, task.every())(loop, None))
        drawn = dataclasses.replace(task, starts=Box(half_width=2.0))
        trials = jax.vmap(drawn.trial)(jr.split(jr.key(1), 20_000))
        each = np.asarray(GivenTrials(drawn, trials).each(loop))
    error = each.std() / np.sqrt(len(each))
    assert abs(each.mean() - exact) < 3 * error
    assert error < 0.01 * exact


def test_a_controller_learns_and_the_plant_stays():
    w, m, z = (np.float32(a) for a in weights(3))
    loop = WithEffort(loop_of(w, m, z))
    task = Regulate.averaged(Axes(), 0.5, steps=10)
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(1e-2))
    done = train(loop, task, updates=60, batch=8, key=jr.key(0), optimiser=optimiser)
    before, after = (GivenTrials(task, task.every())(s, None) for s in (loop, done.system))
    assert float(after) < 0.9 * float(before)
    assert done.system.loop.world == loop.loop.world


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Regulate(steps=1), "steps=1: no effort acts on step 1"),
        (lambda: Regulate.averaged(steps=0), "steps=0"),
        (lambda: Regulate.averaged(penalty=-1.0), "effort_cost=-1.0 rewards going astray"),
        (lambda: Regulate(state_cost=float("nan")), "state_cost=nan"),
        (lambda: Regulate(effort_size=0), "effort_size=0"),
        (lambda: Regulate(Box()).every(), "Box has no list of its starts"),
        (lambda: Box(half_width=-1.0), "half_width=-1.0"),
        (lambda: Axes(size=0), "size=0"),
        (lambda: Axes(variance=-1.0), "variance=-1.0"),
    ],
)
def test_what_cannot_be_asked_is_told(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_a_view_that_is_not_there_is_told():
    with pytest.raises(Exception, match="both"):  # the type checker is first to say so
        WithEffort(loop_of(*map(np.float32, weights())), shows="both")
