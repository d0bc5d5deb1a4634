"""Keep a number in mind, then say how far the next one lies above it.

Romo, Brody, Hernandez and Lemus (1999), Nature 399, 470: vibrations on a fingertip.
"""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.trial import epochs, sign_accuracy, Task, Trial, weighted_mse


class DelayedComparison(Task):
    """Two different numbers from `levels` even steps within +-1/2, a random delay between.

    The answer is second minus first, or its sign with `graded=False`. Times in the unit of
    `dt`. Trials of a short delay end early: their last steps have weight 0.
    """

    levels: int = eqx.field(static=True, default=7)
    fixation: float = eqx.field(static=True, default=1.0)
    stimulus: float = eqx.field(static=True, default=1.0)  # each of the two
    shortest: float = eqx.field(static=True, default=2.0)  # delay
    longest: float = eqx.field(static=True, default=6.0)
    response: float = eqx.field(static=True, default=2.0)
    dt: float = eqx.field(static=True, default=0.1)
    amplitude: float | Float[Array, ""] = 1.0
    noise: float | Float[Array, ""] = 0.05  # standard deviation of the input, step by step
    graded: bool = eqx.field(static=True, default=True)
    input_size: int = eqx.field(static=True, default=1, init=False)
    output_size: int = eqx.field(static=True, default=1, init=False)

    def __check_init__(self):
        if self.levels < 2:
            raise ValueError(f"levels={self.levels}: it takes 2 numbers to compare.")
        if self.shortest > self.longest:
            raise ValueError(
                f"The shortest delay ({self.shortest}) is above the longest ({self.longest})."
            )

    def trial(self, key):
        pair, wait, jitter = jr.split(key, 3)
        numbers = jnp.linspace(-0.5, 0.5, self.levels)
        first, second = jr.choice(pair, numbers, (2,), replace=False)
        shortest, longest = self.ticks(self.shortest), self.ticks(self.longest)
        before, lit, after = map(self.ticks, (self.fixation, self.stimulus, self.response))
        delay = jr.randint(wait, (), shortest, longest + 1)
        steps = before + lit + longest + lit + after
        lengths = jnp.array([before, lit, 0, lit, after]).at[2].set(delay)
        _, one, _, two, asked = epochs(lengths, steps)
        shown = self.amplitude * (first * one + second * two)
        inputs = shown + self.noise * jr.normal(jitter, (steps,))
        answer = second - first if self.graded else jnp.sign(second - first)
        targets = jnp.full((steps, 1), answer)
        return Trial(jnp.zeros(0), inputs[:, None], targets, asked.astype(float))

    def ticks(self, duration: float) -> int:
        """Steps in `duration`, rounded."""
        return round(duration / self.dt)

    def loss(self, trial, trajectory):
        return weighted_mse(trial, trajectory)

    def accuracy(self, trial, trajectory):
        """Share of the response spent on the right side."""
        return sign_accuracy(trial, trajectory)


def example(key: PRNGKeyArray) -> DelayedComparison:
    """A short one; nothing is drawn."""
    del key
    return DelayedComparison(levels=4, shortest=1.0, longest=3.0, dt=0.5)
