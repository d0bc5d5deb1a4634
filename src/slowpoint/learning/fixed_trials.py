"""How wrong is a System on trials that stay the same?"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.precision import float64, widen
from slowpoint.core.rollout import rollout
from slowpoint.core.system import System
from slowpoint.core.trial import Task, Trial


class FixedTrials(eqx.Module):
    """An exact loss for `descend`: the squared error per output, averaged where it counts.

    The average is over the steps of all trials together, so a trial with more steps that count
    has more weight. The key is ignored.
    """

    trials: Trial  # each array with the trials as its first axis

    def __call__(self, system: System, key: PRNGKeyArray | None) -> Float[Array, ""]:
        weights = self.trials.weights
        error = ((self.outputs(system) - self.trials.targets) ** 2).mean(axis=-1)
        return (weights * error).sum() / jnp.maximum(weights.sum(), 1.0)

    def outputs(self, system: System) -> Float[Array, "trial time output"]:
        """What `system` answers on each."""

        def one(trial):
            return jnp.asarray(rollout(system, trial.start, trial.inputs).outputs)

        return jax.vmap(one)(self.trials)


def fixed_trials(task: Task, count: int, key: PRNGKeyArray) -> FixedTrials:
    """`count` trials of `task`, in float64."""
    drawn = jax.vmap(task.trial)(jr.split(key, count))
    with float64():
        return FixedTrials(widen(drawn))
