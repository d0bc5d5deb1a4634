"""Is the gradient that chance gives the one of the expected cost, also where none exists?"""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree
from scipy.stats import norm
from test_contracts import check_system

from slowpoint.cells.linear import Linear
from slowpoint.core.closed_loop import ClosedLoop
from slowpoint.core.system import Map
from slowpoint.core.trial import WithNoise
from slowpoint.core.with_effort import WithEffort
from slowpoint.learning.descend import descend
from slowpoint.learning.score_function import Explored, ScoreFunction
from slowpoint.learning.train import TaskLoss
from slowpoint.tasks.regulate import Box, Regulate
from slowpoint.worlds.double_integrator import DoubleIntegrator

REGULATE = Regulate.averaged(Box(), 0.2, steps=8)


def loop_of(first, scale=0.3):
    agent = Linear.random(4, 1, 1, gain=0.5, dt=0.5, key=jr.key(0))
    return WithEffort(ClosedLoop(Explored(DoubleIntegrator(1.0), scale), agent, first))


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


@pytest.mark.parametrize("first", ["world", "agent"])
def test_many_episodes_give_the_exact_gradient(first):
    """The exact one: through the plant, on the same expected cost."""
    task, loop = WithNoise(REGULATE, 1), loop_of(first, scale=2.0)
    chance = ScoreFunction(task, REGULATE.costs, batch=4000)
    exact = TaskLoss(task, batch=4000)
    one, other = (
        np.mean([agent_slope(loss, loop, key) for key in jr.split(jr.key(seed), 5)], axis=0)
        for seed, loss in ((1, chance), (2, exact))
    )
    assert cosine(one, other) > 0.999
    assert np.linalg.norm(one) == pytest.approx(np.linalg.norm(other), rel=0.1)


@eqx.filter_jit
def agent_slope(loss, loop, key):
    gradient = eqx.filter_grad(lambda agent: loss(with_agent(loop, agent), key))(
        loop.loop.agent
    )
    return ravel_pytree(gradient)[0]


def with_agent(loop, agent):
    return eqx.tree_at(lambda loop: loop.loop.agent, loop, agent)


def test_the_value_is_the_mean_cost_of_the_episodes():
    task, loop = WithNoise(REGULATE, 1), loop_of("world")
    loss = ScoreFunction(task, REGULATE.costs, batch=6)
    exact = TaskLoss(task, batch=6)
    found, known = (float(eqx.filter_jit(one)(loop, jr.key(4))) for one in (loss, exact))
    assert found == pytest.approx(known, rel=1e-5)


class Switch(Map):
    """Shows 1 after a push to the right, 0 after one to the left: no derivative anywhere."""

    state_size: int = eqx.field(static=True, default=1)
    input_size: int = eqx.field(static=True, default=1)
    output_size: int = eqx.field(static=True, default=1)
    dt: float = eqx.field(static=True, default=1.0)

    def step(self, x, u):
        host = lambda u: (np.asarray(u) > 0).astype(np.float32)
        return jax.pure_callback(
            host, jax.ShapeDtypeStruct((1,), jnp.float32), u, vmap_method="expand_dims"
        )

    def output(self, x):
        return x


def switched(push):
    """An agent that sends `push` whatever it sees, before a switch explored with sd .5."""
    agent = Linear(
        *map(jnp.asarray, (np.zeros((1, 1)), np.zeros((1, 1)), [push], np.ones((1, 1))))
    )
    agent = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), agent)
    return WithEffort(ClosedLoop(Explored(Switch(), 0.5), agent, first="agent"))


TWO_TICKS = Regulate(Box(size=1, half_width=0.0), state_cost=1.0, steps=2)


def test_a_plant_without_a_derivative_has_the_slope_of_a_normal_distribution():
    """Cost 1 with probability Phi(u / sd): its slope is the density. No gradient would do."""
    push, sd = 0.3, 0.5
    loss = ScoreFunction(WithNoise(TWO_TICKS, 1), TWO_TICKS.costs, batch=20_000)
    bias = lambda loop: loop.loop.agent.bias
    mark = lambda b, key: loss(eqx.tree_at(bias, switched(push), b), key)
    value, slope = jax.jit(jax.value_and_grad(mark))(jnp.array([push], jnp.float32), jr.key(0))
    assert float(value) == pytest.approx(norm.cdf(push / sd), abs=0.015)
    assert float(slope[0]) == pytest.approx(norm.pdf(push / sd) / sd, rel=0.05)


def test_such_a_plant_is_learned():
    loss = ScoreFunction(WithNoise(TWO_TICKS, 1), TWO_TICKS.costs, batch=50)
    bias = lambda loop: loop.loop.agent.bias
    options = {"optimiser": optax.sgd(0.1), "trainable": bias}
    done = descend(switched(0.3), loss, updates=40, key=jr.key(1), **options)
    assert float(done.system.loop.agent.bias[0]) < -0.5
    assert done.losses[-5:].mean() < 0.3 < 0.5 < done.losses[:5].mean()


def test_episodes_are_compared_with_the_others():
    """A constant added to all costs changes no gradient, at any batch."""
    more = lambda trial, trajectory: REGULATE.costs(trial, trajectory) + 1e3
    loop, task = loop_of("world"), WithNoise(REGULATE, 1)
    one, other = (
        np.asarray(agent_slope(ScoreFunction(task, costs, batch=3), loop, key))
        for costs, key in zip((REGULATE.costs, more), (jr.key(3), jr.key(3)), strict=True)
    )
    assert np.allclose(one, other, rtol=1e-2, atol=1e-2)
    assert np.linalg.norm(one) > 0.1


def test_an_explored_world_is_a_system():
    check_system(Explored(DoubleIntegrator(1.0), 0.3))


def test_without_noise_the_explored_world_is_the_world():
    world = Explored(DoubleIntegrator(1.0), 0.3)
    x = jnp.array([1.0, -2.0])
    assert np.array_equal(world.step(x, jnp.array([0.5, 0.0])), [-1.0, -1.5])
    assert np.allclose(world.step(x, jnp.array([0.5, 2.0])), [-1.0, -0.9])
    assert world.output(x).tolist() == [1.0]


def test_what_cannot_be_explored_is_told():
    with pytest.raises(ValueError, match=r"scale=0.0: nothing is explored"):
        Explored(DoubleIntegrator(1.0), 0.0)
    with pytest.raises(ValueError, match="batch=1"):
        ScoreFunction(REGULATE, REGULATE.costs, batch=1)
    bare = dataclasses.replace(loop_of("world").loop, world=DoubleIntegrator(1.0))
    loss = ScoreFunction(WithNoise(REGULATE, 1), REGULATE.costs, batch=2)
    with pytest.raises(ValueError, match=r"DoubleIntegrator: its actions have no noise"):
        loss(WithEffort(bare), jr.key(0))
