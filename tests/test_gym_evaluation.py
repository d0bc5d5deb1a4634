"""Does an agent do in an environment what it does in the loop, and is Gymnasium served?"""

import types

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from slowpoint.analysis.gym_evaluation import Environment, evaluate, Evaluation
from slowpoint.cells.linear import Linear
from slowpoint.core.closed_loop import ClosedLoop
from slowpoint.core.rollout import rollout
from slowpoint.worlds.double_integrator import DoubleIntegrator


class Mass:
    """A double integrator that answers like an environment; its reward is -|x|^2."""

    def __init__(self, limit=20, bound=np.inf, wall=np.inf):
        box = {"low": np.float32([-bound]), "high": np.float32([bound])}
        self.action_space = types.SimpleNamespace(shape=(1,), dtype=np.float32, **box)
        self.limit, self.wall = limit, wall

    def reset(self, *, seed=None):
        self.x = np.random.default_rng(seed).uniform(-1, 1, 2)
        self.time, self.start, self.pushes = 0, self.x, []
        return self.x[:1], {}

    def step(self, action, /):
        reward = -float(self.x @ self.x)
        self.pushes.append(float(action[0]))
        self.x = np.array([self.x[0] + self.x[1], self.x[1] + action[0]])
        self.time += 1
        return self.x[:1], reward, bool(abs(self.x[0]) > self.wall), self.time >= self.limit, {}


def agent(readout=-0.2, inputs=1, outputs=1):
    made = Linear.random(3, inputs, outputs, gain=0.3, dt=1.0, key=jr.key(0))
    return Linear(*(made.recurrent, made.encoder, made.bias, readout * made.readout), dt=1.0)


def test_an_agent_does_what_it_does_in_the_loop():
    world, net = Mass(limit=15), agent(-0.02)
    found = evaluate(net, world, episodes=1, key=jr.key(1))
    loop = ClosedLoop(DoubleIntegrator(1.0), net, first="agent")
    start = jnp.asarray(world.start, jnp.float32)
    path = np.asarray(rollout(loop, start, jnp.zeros((15, 0))).states)[:, :2]
    states = np.concatenate([world.start[None], path[:-1]])
    assert found.returns[0] == pytest.approx(-(states**2).sum(), rel=1e-5)
    assert (found.lengths[0], found.end(0)) == (15, "time limit")
    assert found.seeds.shape == (1,)


def test_episodes_differ_and_the_same_key_repeats_them():
    runs = [evaluate(agent(), Mass(), episodes=4, key=jr.key(k)) for k in (1, 1, 2)]
    assert np.array_equal(runs[0].returns, runs[1].returns)
    assert len(np.unique([*runs[0].returns, *runs[2].returns])) == 8


def test_an_episode_ends_where_the_environment_or_the_limit_says():
    pushed = evaluate(
        agent(readout=300.0), Mass(limit=500, wall=5.0), episodes=3, key=jr.key(0)
    )
    assert [pushed.end(i) for i in range(3)] == ["terminal state"] * 3
    assert pushed.lengths.max() < 500
    cut = evaluate(agent(), Mass(limit=500), episodes=2, steps=7, key=jr.key(0))
    assert cut.lengths.tolist() == [7, 7]
    assert cut.end(1) == "time limit"


def test_actions_stay_within_their_bounds():
    world = Mass(bound=0.25)
    evaluate(agent(readout=30.0), world, episodes=1, key=jr.key(0))
    assert np.abs(world.pushes).max() == 0.25
    free = Mass()
    evaluate(agent(readout=30.0), free, episodes=1, key=jr.key(0))
    assert np.abs(free.pushes).max() > 0.25


def test_an_agent_that_overflows_ends_its_episode():
    broken = agent(readout=np.nan)
    found = evaluate(broken, Mass(), episodes=2, key=jr.key(0))
    assert found.lengths.tolist() == [0, 0]
    assert "not finite" in found.end(0)
    assert found.returns.tolist() == [0.0, 0.0]


def test_the_largest_channel_is_the_discrete_action():
    world = Mass(limit=3)
    world.action_space = types.SimpleNamespace(n=3, start=5)
    taken = []
    step = world.step
    world.step = lambda action: (taken.append(action), step([0.0]))[1]
    made = agent(outputs=3)
    biased = Linear(
        made.recurrent, made.encoder, jnp.ones(3), jnp.diag(jnp.arange(3.0)), dt=1.0
    )
    evaluate(biased, world, episodes=1, key=jr.key(0))
    assert set(taken) <= {5, 6, 7}
    assert len(taken) == 3


@pytest.mark.parametrize(
    ("net", "options", "says"),
    [
        (agent(inputs=2), {}, r"shape \(1,\), the agent reads 2 numbers.*input_size=1"),
        (agent(outputs=2), {}, r"sends 2 numbers, SimpleNamespace takes 1.*output_size=1"),
        (agent(), {"episodes": 0}, "episodes=0"),
        (agent(), {"steps": 0}, "steps=0"),
    ],
)
def test_parts_that_do_not_fit_are_told(net, options, says):
    with pytest.raises(ValueError, match=says):
        evaluate(net, Mass(), key=jr.key(0), **options)


def test_unknown_actions_ask_for_a_rule():
    world = Mass(limit=2)
    world.action_space = object()
    with pytest.raises(ValueError, match=r"object are not known here\. Give act="):
        evaluate(agent(), world, key=jr.key(0))
    evaluate(agent(), world, episodes=1, act=lambda output: output, key=jr.key(0))


def test_a_goal_is_read_with_the_observation():
    seen = []
    read = lambda place: (seen.append(place), np.append(place, 0.5))[1]
    evaluate(agent(inputs=2), Mass(limit=2), episodes=1, read=read, key=jr.key(0))
    assert len(seen) == 2


# ---------------------------------------------------------------- with Gymnasium itself

WHY = "needs Gymnasium: pip install slowpoint[gym]"


def test_the_pendulum_of_gymnasium_is_an_environment():
    """An agent without force leaves the pendulum to swing; pushing is paid for."""
    gym = pytest.importorskip("gymnasium", reason=WHY)
    world = gym.make("Pendulum-v1")
    assert isinstance(world, Environment)
    still, pushing = agent(0.0, inputs=3), agent(50.0, inputs=3)
    found = [evaluate(a, world, episodes=3, steps=50, key=jr.key(0)) for a in (still, pushing)]
    world.close()
    assert isinstance(found[0], Evaluation)
    assert found[0].lengths.tolist() == [50, 50, 50]
    assert np.all(found[0].returns < 0)
    assert not np.array_equal(found[0].returns, found[1].returns)
    assert np.array_equal(found[0].seeds, found[1].seeds)


def test_the_cart_of_gymnasium_takes_discrete_actions():
    gym = pytest.importorskip("gymnasium", reason=WHY)
    world = gym.make("CartPole-v1")
    lean = jnp.array([[0.0, 0, -1, -1], [0, 0, 1, 1]])  # push to where the pole falls
    net = Linear(jnp.zeros((4, 4)), jnp.eye(4), jnp.zeros(4), lean, dt=1.0)
    upset = Linear(jnp.zeros((4, 4)), jnp.eye(4), jnp.zeros(4), -lean, dt=1.0)
    good, bad = (evaluate(a, world, episodes=3, key=jr.key(0)) for a in (net, upset))
    world.close()
    assert good.lengths.min() > 100 > 20 > bad.lengths.max()
    assert np.array_equal(good.returns, good.lengths)
