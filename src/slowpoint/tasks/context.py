"""Decide on one of two inputs, the one the context names (Mante et al. 2013)."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.trial import sign_accuracy, Task, Trial, weighted_mse


class ContextualDecision(Task):
    """Inputs: motion, colour, and a one-hot context held all through the trial.

    Both channels carry a random coherence in [-`strongest`, `strongest`] plus white noise;
    the answer, over the last `response` steps, is the sign of the channel in context.
    """

    evidence: int = eqx.field(static=True, default=40)
    response: int = eqx.field(static=True, default=10)
    strongest: float | Float[Array, ""] = 0.5
    noise: float | Float[Array, ""] = 0.3  # standard deviation per step
    input_size: int = eqx.field(static=True, default=4)
    output_size: int = eqx.field(static=True, default=1)

    @property
    def steps(self) -> int:
        """Length of a trial."""
        return self.evidence + self.response

    def trial(self, key):
        strength, which, hiss = jr.split(key, 3)
        coherences = jr.uniform(strength, (2,), minval=-self.strongest, maxval=self.strongest)
        chosen = jr.randint(which, (), 0, 2)
        evidence = coherences[None, :] + self.noise * jr.normal(hiss, (self.steps, 2))
        context = jnp.broadcast_to(jnp.arange(2) == chosen, (self.steps, 2)).astype(float)
        answer = jnp.arange(self.steps) >= self.evidence
        targets = jnp.sign(coherences[chosen]) * answer
        inputs = jnp.hstack([evidence, context])
        return Trial(jnp.zeros(0), inputs, targets[:, None], answer.astype(float))

    def loss(self, trial, trajectory):
        return weighted_mse(trial, trajectory)

    def accuracy(self, trial, trajectory) -> Float[Array, ""]:
        """Share of answers of the right sign in the response window."""
        return sign_accuracy(trial, trajectory)


def example(key: PRNGKeyArray) -> ContextualDecision:
    """A short one."""
    del key
    return ContextualDecision(evidence=10, response=4)
