"""Answer as a teacher does, on inputs from a source of your choice.

The teacher is any System: a network, a latent flow, a controller. (Ger and Barak 2026,
arXiv:2605.04115, a task plus noise; Ger and Barak 2025, arXiv:2505.13567, white noise and what
the teacher sees as it controls a plant.)
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.closed_loop import ClosedLoop
from slowpoint.core.rollout import beginning, rollout
from slowpoint.core.system import Flow, System
from slowpoint.core.trial import Task, Trial, weighted_mse

Source = Callable[[PRNGKeyArray], Float[Array, "time input"]]


class White(eqx.Module):
    """A source: `size` times standard normal numbers, independent from step to step."""

    steps: int = eqx.field(static=True)
    channels: int = eqx.field(static=True, default=1)
    size: float | Float[Array, ""] = 1.0

    def __call__(self, key):
        return self.size * jr.normal(key, (self.steps, self.channels))


class Noised(eqx.Module):
    """A source: `gain` times the inputs of a task, plus white noise of sd `noise`."""

    task: Task
    gain: float | Float[Array, ""] = 1.0
    noise: float | Float[Array, ""] = 0.0

    def __call__(self, key):
        ask, jitter = jr.split(key)
        inputs = self.gain * self.task.trial(ask).inputs
        return inputs + self.noise * jr.normal(jitter, inputs.shape, inputs.dtype)


class Given(eqx.Module):
    """A source: one of the examples given, all equally likely."""

    inputs: Float[Array | np.ndarray, "example time input"]

    def __check_init__(self):
        if not len(self.inputs):
            raise ValueError("No example came. Give inputs of shape (example, time, input).")

    def __call__(self, key):
        return jnp.asarray(self.inputs)[jr.randint(key, (), 0, len(self.inputs))]


class InControl(eqx.Module):
    """A source: what the agent of `loop` sees while it does `task`, plant and goal.

    With the teacher as the agent, a student learns on the states that the teacher leads to.
    """

    loop: ClosedLoop
    task: Task

    def __call__(self, key):
        return seen(self.loop, self.task.trial(key))


class Mixture(eqx.Module):
    """A source: from `one` with probability `share`, otherwise from `other`."""

    one: Source
    other: Source
    share: float | Float[Array, ""] = 0.5

    def __check_init__(self):
        if not isinstance(self.share, jax.Array) and not 0 <= self.share <= 1:
            raise ValueError(f"share={self.share}: give a probability, from 0 to 1.")

    def __call__(self, key):
        choose, first, second = jr.split(key, 3)
        picked = jr.bernoulli(choose, self.share)
        return jnp.where(picked, self.one(first), self.other(second))


def seen(loop: ClosedLoop, trial: Trial) -> Float[Array, "time input"]:
    """The inputs of the agent, tick by tick, while `loop` runs the trial."""
    return seen_along(loop, trial, jnp.asarray(rollout(loop, trial.start, trial.inputs).states))


def seen_along(
    loop: ClosedLoop, trial: Trial, path: Float[Array, "time state"]
) -> Float[Array, "time input"]:
    """The inputs of the agent on the way of `loop` through the trial, which is known."""
    if loop.first == "agent":  # it sees the world before it moves
        path = jnp.concatenate([beginning(loop, trial.start)[None], path[:-1]])
    world, _ = loop.split(path)
    shown, goal = jax.vmap(loop.world.output)(world), trial.inputs[:, : loop.goal_size]
    if loop.observation_noise:
        noise = trial.inputs[:, loop.input_size - loop.world.output_size :]
        shown = shown + loop.observation_noise * noise
    return jnp.concatenate([shown, goal], axis=1)


class Imitate(Task):
    """Give the outputs of `teacher`, step by step, both from their initial states.

    `source` says what both are given: White, Noised, Given, InControl, Mixture, a task (its
    inputs), or any function of a key that returns (time, input). All steps count. The loss is
    the squared error, averaged over steps and outputs, or with `step_cost` that times its sum
    over both: where a gradient is clipped the scale matters. Raises ValueError when the inputs
    do not fit the teacher.
    """

    teacher: System
    source: Source | Task
    step_cost: float | Float[Array, ""] | None = None

    @property
    def input_size(self):
        return self.teacher.input_size

    @property
    def output_size(self):
        return self.teacher.output_size

    def trial(self, key):
        source = self.source
        return self.on(source.trial(key).inputs if isinstance(source, Task) else source(key))

    def on(self, inputs: Float[Array, "time input"]) -> Trial:
        """The trial with these inputs."""
        targets = rollout(self.teacher, jnp.zeros(0), inputs).outputs
        return Trial(jnp.zeros(0), inputs, jnp.asarray(targets), jnp.ones(len(inputs)))

    def loss(self, trial, trajectory):
        if self.step_cost is None:
            return weighted_mse(trial, trajectory)
        error = ((trajectory.outputs - trial.targets) ** 2).sum(axis=1)
        return self.step_cost * (trial.weights * error).sum()


class _Leak(Flow):
    """Two units that leak, each driven by its input; the outside sees their sum."""

    state_size: int = eqx.field(static=True, default=2, init=False)
    input_size: int = eqx.field(static=True, default=2, init=False)
    output_size: int = eqx.field(static=True, default=1, init=False)
    dt: float = eqx.field(static=True, default=0.2)

    def velocity(self, x, u):
        return u - x

    def output(self, x):
        return x.sum(keepdims=True)


def example(key: PRNGKeyArray) -> Imitate:
    """A leak under white noise; nothing is drawn."""
    del key
    return Imitate(_Leak(), White(steps=12, channels=2))
