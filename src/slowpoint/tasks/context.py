"""Judge one of several stimuli and ignore the rest; a cue says which.

Mante, Sussillo, Shenoy and Newsome (2013), Nature 503, 78: motion or colour.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.trial import epochs, sign_accuracy, Task, Trial, weighted_mse


class ContextualDecision(Task):
    """Inputs `[evidence, cue]`, each of `modalities` channels; the answer is a sign.

    Each modality shows +-one of `levels` during `stimulus`, with noise at all times. The cue
    is 1 for the one that counts, from the first step to the last. Times in the unit of `dt`.
    """

    modalities: int = eqx.field(static=True, default=2)
    fixation: float = eqx.field(static=True, default=1.0)
    stimulus: float = eqx.field(static=True, default=8.0)
    delay: float = eqx.field(static=True, default=1.0)
    response: float = eqx.field(static=True, default=2.0)
    dt: float = eqx.field(static=True, default=0.1)
    levels: tuple[float, ...] = eqx.field(static=True, default=(0.05, 0.2, 0.5))
    noise: float | Float[Array, ""] = 0.1  # standard deviation of each evidence, step by step
    output_size: int = eqx.field(static=True, default=1, init=False)

    def __check_init__(self):
        if self.modalities < 1:
            raise ValueError(f"modalities={self.modalities}: give 1 or more.")

    @property
    def input_size(self):
        return 2 * self.modalities

    def trial(self, key):
        which, side, cue, jitter = jr.split(key, 4)
        shape = (self.modalities,)
        sign = jr.rademacher(side, shape, float)
        level = jr.choice(which, jnp.array(self.levels), shape) * sign
        relevant = jr.randint(cue, (), 0, self.modalities)
        durations = (self.fixation, self.stimulus, self.delay, self.response)
        lengths = [round(duration / self.dt) for duration in durations]
        _, shown, _, asked = epochs(jnp.array(lengths), sum(lengths))
        evidence = shown[:, None] * level[None, :]
        evidence += self.noise * jr.normal(jitter, evidence.shape)
        cues = jnp.tile(jax.nn.one_hot(relevant, self.modalities), (sum(lengths), 1))
        targets = jnp.full((sum(lengths), 1), jnp.sign(level[relevant]))
        inputs = jnp.hstack([evidence, cues])
        return Trial(jnp.zeros(0), inputs, targets, asked.astype(float))

    def loss(self, trial, trajectory):
        return weighted_mse(trial, trajectory)

    def accuracy(self, trial, trajectory):
        """Share of the response spent on the right side."""
        return sign_accuracy(trial, trajectory)


def example(key: PRNGKeyArray) -> ContextualDecision:
    """A short one; nothing is drawn."""
    del key
    return ContextualDecision(stimulus=3.0, response=1.0, dt=0.5)
