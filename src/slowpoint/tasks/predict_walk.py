"""Walk along a line, told each step and shown the place only now and then: where are you?

Ratzon and Barak (2025), arXiv:2511.09290, the recurrent network.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import PRNGKeyArray

from slowpoint.core.trial import Task, Trial, weighted_cross_entropy


class PredictWalk(Task):
    """Input: the place before a step (one-hot, at steps 0, `every`, 2 `every` ...; else zeros)
    and the step (-1, 0 or 1, one-hot). Target: the place after it, one-hot, by cross-entropy.

    Steps that stay on the line have equal chance; the first place is drawn.
    """

    size: int = eqx.field(static=True, default=10)  # S
    every: int = eqx.field(static=True, default=5)  # A
    steps: int = eqx.field(static=True, default=60)

    def __check_init__(self):
        if self.size < 2 or not 1 <= self.every <= self.steps:
            raise ValueError(
                f"size={self.size}, every={self.every}, steps={self.steps}: give 2 places or "
                "more, and a place shown every 1 to `steps` steps."
            )

    @property
    def input_size(self):
        return self.size + 3

    @property
    def output_size(self):
        return self.size

    def trial(self, key):
        """One walk, its first place drawn too."""
        begin, walk = jr.split(key)
        first = jr.randint(begin, (), 0, self.size)

        def step(place, chance):
            least = -(place > 0).astype(int)
            most = (place < self.size - 1).astype(int)
            move = least + jnp.floor(chance * (most - least + 1)).astype(int)
            return place + move, (place, move, place + move)

        _, (before, move, after) = jax.lax.scan(step, first, jr.uniform(walk, (self.steps,)))
        shown = (jnp.arange(self.steps) % self.every == 0)[:, None]
        place = shown * jax.nn.one_hot(before, self.size)
        inputs = jnp.concatenate([place, jax.nn.one_hot(move + 1, 3)], axis=1)
        targets = jax.nn.one_hot(after, self.size)
        return Trial(jnp.zeros(0), inputs, targets, jnp.ones(self.steps))

    def loss(self, trial, trajectory):
        return weighted_cross_entropy(trial, trajectory)

    def accuracy(self, trial, trajectory):
        """Share of steps after which the right place is named."""
        right = trajectory.outputs.argmax(axis=1) == trial.targets.argmax(axis=1)
        return (trial.weights * right).sum() / jnp.maximum(trial.weights.sum(), 1.0)


def example(key: PRNGKeyArray) -> PredictWalk:
    """Four places, shown every third step."""
    del key
    return PredictWalk(size=4, every=3, steps=9)
