"""Tell what was recorded from the inputs at the time."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.trial import Task, Trial, weighted_mse


class Recorded(Task):
    """Windows of `steps` bins from anywhere in a recording; the first `warm` do not count."""

    inputs: Float[Array, "bin input"]
    targets: Float[Array, "bin output"]
    steps: int = eqx.field(static=True, default=60)
    warm: int = eqx.field(static=True, default=15)

    def __check_init__(self):
        if not 0 <= self.warm < self.steps <= len(self.inputs) == len(self.targets):
            raise ValueError(
                f"inputs have {len(self.inputs)} bins, targets {len(self.targets)}, "
                f"steps={self.steps}, warm={self.warm}. Give as many bins of both, and "
                "0 <= warm < steps <= bins."
            )

    @property
    def input_size(self):
        return self.inputs.shape[1]

    @property
    def output_size(self):
        return self.targets.shape[1]

    def trial(self, key):
        begin = jr.randint(key, (), 0, len(self.inputs) - self.steps + 1)
        cut = lambda rows: jax.lax.dynamic_slice_in_dim(rows, begin, self.steps)
        counted = (jnp.arange(self.steps) >= self.warm).astype(float)
        return Trial(jnp.zeros(0), cut(self.inputs), cut(self.targets), counted)

    def loss(self, trial, trajectory):
        return weighted_mse(trial, trajectory)


def example(key: PRNGKeyArray) -> Recorded:
    """White noise of two inputs and three outputs, 30 bins."""
    inputs, targets = jr.split(key)
    return Recorded(jr.normal(inputs, (30, 2)), jr.normal(targets, (30, 3)), steps=20, warm=5)
