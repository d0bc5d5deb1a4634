"""What a network is asked to do."""

import abc
from typing import TYPE_CHECKING

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from slowpoint.core.rollout import Trajectory

if TYPE_CHECKING:  # pyright would take an AbstractVar for a dataclass field
    from typing import ClassVar as AbstractVar
else:
    from equinox import AbstractVar


class Trial(eqx.Module):
    """One question and its answer. All randomness of a trial is already in here."""

    start: Float[Array, " given"]  # leading coordinates of the state; the rest is `initial`
    inputs: Float[Array, "time input"]
    targets: Float[Array, "time output"]
    weights: Float[Array, " time"]  # 0 where the answer does not count, so trials may be ragged


class Task(eqx.Module):
    """A source of trials, and how an answer is marked."""

    input_size: AbstractVar[int]
    output_size: AbstractVar[int]

    @abc.abstractmethod
    def trial(self, key: PRNGKeyArray) -> Trial:
        """Draw one trial. Use `jax.vmap(task.trial)(keys)` for a batch."""

    @abc.abstractmethod
    def loss(self, trial: Trial, trajectory: Trajectory) -> Float[Array, ""]:
        """How wrong `trajectory` is on `trial`. 0 is perfect."""


class WithNoise(Task):
    """`inside`, with `channels` columns of unit white noise added to its inputs."""

    inside: Task
    channels: int = eqx.field(static=True)

    @property
    def input_size(self):
        return self.inside.input_size + self.channels

    @property
    def output_size(self):
        return self.inside.output_size

    def trial(self, key):
        ask, kick = jr.split(key)
        trial = self.inside.trial(ask)
        noise = jr.normal(kick, (len(trial.inputs), self.channels))
        return eqx.tree_at(lambda t: t.inputs, trial, jnp.hstack([trial.inputs, noise]))

    def loss(self, trial, trajectory):
        return self.inside.loss(trial, trajectory)


def epochs(lengths: Int[Array, " epoch"], steps: int) -> Bool[Array, "epoch time"]:
    """Which of `steps` belong to which epoch, one after the other; lengths may be drawn."""
    ends = jnp.cumsum(lengths)[:, None]
    time = jnp.arange(steps)[None, :]
    return (ends - lengths[:, None] <= time) & (time < ends)


def weighted_mse(trial: Trial, trajectory: Trajectory) -> Float[Array, ""]:
    """Squared error per output, averaged over the steps that count."""
    error = ((trajectory.outputs - trial.targets) ** 2).mean(axis=1)
    return (trial.weights * error).sum() / jnp.maximum(trial.weights.sum(), 1.0)


def sign_accuracy(trial: Trial, trajectory: Trajectory) -> Float[Array, ""]:
    """Share of outputs, over the steps that count, whose sign is the target's."""
    right = (jnp.sign(trajectory.outputs) == jnp.sign(trial.targets)).mean(axis=1)
    return (trial.weights * right).sum() / jnp.maximum(trial.weights.sum(), 1.0)


def weighted_cross_entropy(trial: Trial, trajectory: Trajectory) -> Float[Array, ""]:
    """Minus the log of softmax's share for one-hot targets, averaged over steps that count."""
    logs = (trial.targets * jax.nn.log_softmax(trajectory.outputs)).sum(axis=1)
    return -(trial.weights * logs).sum() / jnp.maximum(trial.weights.sum(), 1.0)
