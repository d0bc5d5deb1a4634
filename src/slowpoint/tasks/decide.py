"""Integrate a noisy input to a choice (Shadlen and Newsome 2001)."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.trial import sign_accuracy, Task, Trial, weighted_mse


class Decide(Task):
    """Fixation, evidence of a random coherence, a delay, then the answer: its sign.

    Coherences are +-`strongest` times 1, 1/2, ... halved `levels` - 1 times. The input is
    coherence plus white noise while the evidence lasts, noise alone elsewhere. All in steps.
    """

    fixation: int = eqx.field(static=True, default=5)
    evidence: int = eqx.field(static=True, default=30)
    delay: int = eqx.field(static=True, default=10)
    response: int = eqx.field(static=True, default=15)
    levels: int = eqx.field(static=True, default=4)
    strongest: float | Float[Array, ""] = 0.4
    noise: float | Float[Array, ""] = 0.5  # standard deviation per step
    input_size: int = eqx.field(static=True, default=1)
    output_size: int = eqx.field(static=True, default=1)

    @property
    def steps(self) -> int:
        """Length of a trial."""
        return self.fixation + self.evidence + self.delay + self.response

    def trial(self, key):
        level, side, hiss = jr.split(key, 3)
        size = self.strongest * 0.5 ** jr.randint(level, (), 0, self.levels)
        coherence = size * jr.rademacher(side, (), float)
        time = jnp.arange(self.steps)
        shown = (time >= self.fixation) & (time < self.fixation + self.evidence)
        inputs = coherence * shown + self.noise * jr.normal(hiss, (self.steps,))
        answer = time >= self.steps - self.response
        targets = jnp.sign(coherence) * answer
        weights = jnp.where((time < self.fixation) | answer, 1.0, 0.0)
        return Trial(jnp.zeros(0), inputs[:, None], targets[:, None], weights)

    def loss(self, trial, trajectory):
        return weighted_mse(trial, trajectory)

    def accuracy(self, trial, trajectory) -> Float[Array, ""]:
        """Share of answers of the right sign in the response window."""
        answer = (jnp.arange(self.steps) >= self.steps - self.response).astype(float)
        return sign_accuracy(eqx.tree_at(lambda t: t.weights, trial, answer), trajectory)


def example(key: PRNGKeyArray) -> Decide:
    """A short one."""
    del key
    return Decide(fixation=3, evidence=8, delay=3, response=4)
