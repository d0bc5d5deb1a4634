"""How wrong is a System on trials that are given, marked as their task marks them?"""

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.rollout import rollout
from slowpoint.core.system import System
from slowpoint.core.trial import Task, Trial


class GivenTrials(eqx.Module):
    """The mean loss of `task` over `trials`: a loss for `descend`, without chance.

    Where few trials stand for all (`Track.every`, `Regulate.every`) it is the expected loss.
    """

    task: Task
    trials: Trial  # each array with the trials as its first axis

    def __call__(self, system: System, key: PRNGKeyArray | None) -> Float[Array, ""]:
        """The key is ignored."""
        return self.each(system).mean()

    def each(self, system: System) -> Float[Array, " trial"]:
        """The loss of each trial."""

        def one(trial):
            return self.task.loss(trial, rollout(system, trial.start, trial.inputs))

        return jax.vmap(one)(self.trials)
