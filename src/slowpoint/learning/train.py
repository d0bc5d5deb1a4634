"""How is a System taught a Task?"""

import os
from collections.abc import Callable
from typing import Any, TypedDict, TypeVar, Unpack

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Float, Key

from slowpoint.core.rollout import rollout
from slowpoint.core.system import System
from slowpoint.core.trial import Task
from slowpoint.learning.checkpoint import Checkpoint
from slowpoint.learning.curriculum import Stages, stages
from slowpoint.learning.descend import descend, Keys
from slowpoint.learning.grid import Grid
from slowpoint.learning.training import Training

S = TypeVar("S", bound=System)


class Options(TypedDict, total=False):
    """What `train` hands on to `descend`, where the defaults are."""

    optimiser: optax.GradientTransformation
    trainable: Callable[[Any], Any] | None
    snapshots: Grid
    checkpoint: Checkpoint | str | os.PathLike | None


class TaskLoss(eqx.Module):
    """The mean loss of `batch` fresh trials of `task`: a loss for `descend`.

    With `remat` its gradient takes more time and less memory, see `rollout`.
    """

    task: Task
    batch: int = eqx.field(static=True, default=32)
    remat: bool = eqx.field(static=True, default=False)

    def __call__(self, system: System, key: Key[Array, ""]) -> Float[Array, ""]:
        """Raises ValueError when the sizes of system and task differ."""
        refuse_another_size(system, self.task)

        trials = jax.vmap(self.task.trial)(jr.split(key, self.batch))

        def one(trial, inputs):
            path = rollout(system, trial.start, inputs, remat=self.remat)
            return self.task.loss(trial, path)

        # time leads, as the scan over it wants: turning inputs costs less than turning drives
        inputs = jnp.swapaxes(trials.inputs, 0, 1)
        return jax.vmap(one, in_axes=(0, 1))(trials, inputs).mean()


def train(
    system: S,
    task: Task | Stages[Task],
    *,
    updates: int,
    key: Keys,
    batch: int = 32,
    remat: bool = False,
    **options: Unpack[Options],
) -> Training[S]:
    """Teach `system` by gradient descent through time, on `batch` fresh trials per update.

    `task` may be a curriculum: pairs (until which update, task) of equal shapes. Stages that
    differ only in array fields of the task are compiled once. A row of keys trains an ensemble.
    `remat` lets the memory grow like the square root of the number of steps. `optimiser`,
    `trainable`, `snapshots`, `checkpoint` and what is raised: see `descend`.
    """
    lessons = [(until, TaskLoss(one, batch, remat)) for until, one in stages(task, updates)]
    return descend(system, lessons, updates=updates, key=key, **options)


def refuse_another_size(system: System, task: Task) -> None:
    """Raise ValueError unless the task's inputs and outputs fit the system."""
    for what in ("input_size", "output_size"):
        has, needs = getattr(system, what), getattr(task, what)
        if has != needs:
            name = type(system).__name__
            raise ValueError(
                f"{type(task).__name__} has {what}={needs}, {name} has {what}={has}. "
                f"Build the {name} with {what}={needs}."
            )
