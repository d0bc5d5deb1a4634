"""Integrate a noisy input, wait, then say which way it pointed, and how strongly.

Roitman and Shadlen (2002), J. Neurosci. 22, 9475, as posed to networks by Ger and Barak
(2026), arXiv:2605.04115.
"""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.trial import epochs, sign_accuracy, Task, Trial, weighted_mse


class Decide(Task):
    """Evidence `gain * c`, c = +-one of `levels`; the answer is c over the highest level.

    With `graded=False` it is the sign of c. Times in the unit of `dt`; the answer counts
    during `response`. The noise is there from the first step to the last.
    """

    fixation: float = eqx.field(static=True, default=1.0)
    stimulus: float = eqx.field(static=True, default=9.0)
    delay: float = eqx.field(static=True, default=1.0)
    response: float = eqx.field(static=True, default=9.0)
    dt: float = eqx.field(static=True, default=0.05)
    levels: tuple[float, ...] = eqx.field(static=True, default=(2.0, 8.0, 16.0))  # %
    gain: float | Float[Array, ""] = 3.2 / 100
    noise: float | Float[Array, ""] = 0.05  # standard deviation of the input, step by step
    graded: bool = eqx.field(static=True, default=True)
    input_size: int = eqx.field(static=True, default=1, init=False)
    output_size: int = eqx.field(static=True, default=1, init=False)

    def trial(self, key):
        which, side, jitter = jr.split(key, 3)
        level = jr.choice(which, jnp.array(self.levels)) * jr.rademacher(side, (), float)
        durations = (self.fixation, self.stimulus, self.delay, self.response)
        lengths = [round(duration / self.dt) for duration in durations]
        _, shown, _, asked = epochs(jnp.array(lengths), sum(lengths))
        evidence = self.gain * level * shown
        inputs = evidence + self.noise * jr.normal(jitter, evidence.shape)
        answer = level / max(self.levels) if self.graded else jnp.sign(level)
        targets = jnp.full((sum(lengths), 1), answer)
        return Trial(jnp.zeros(0), inputs[:, None], targets, asked.astype(float))

    def loss(self, trial, trajectory):
        return weighted_mse(trial, trajectory)

    def accuracy(self, trial, trajectory):
        """Share of the response spent on the right side."""
        return sign_accuracy(trial, trajectory)


def example(key: PRNGKeyArray) -> Decide:
    """A short one; nothing is drawn."""
    del key
    return Decide(stimulus=4.0, response=2.0, dt=0.5)
