"""Answer as a teacher does, on inputs from a source of your choice.

The teacher is any System: a network, a latent flow, a controller. (Ger and Barak 2026,
arXiv:2605.04115, a task plus noise; Ger and Barak 2025, arXiv:2505.13567, white noise.)
"""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.rollout import rollout
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


class Imitate(Task):
    """Give the outputs of `teacher`, step by step, both from their initial states.

    `source` says what both are given: White, Noised, Given, a task (its inputs), or any
    function of a key that returns (time, input). All steps count. Raises ValueError when the
    inputs do not fit the teacher.
    """

    teacher: System
    source: Source | Task

    @property
    def input_size(self):
        return self.teacher.input_size

    @property
    def output_size(self):
        return self.teacher.output_size

    def trial(self, key):
        source = self.source
        inputs = source.trial(key).inputs if isinstance(source, Task) else source(key)
        targets = rollout(self.teacher, jnp.zeros(0), inputs).outputs
        return Trial(jnp.zeros(0), inputs, jnp.asarray(targets), jnp.ones(len(inputs)))

    def loss(self, trial, trajectory):
        return weighted_mse(trial, trajectory)


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
