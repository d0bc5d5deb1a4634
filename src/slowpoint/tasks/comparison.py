"""Which of two stimuli, a random delay apart, was larger? (Romo et al. 1999.)"""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.trial import sign_accuracy, Task, Trial, weighted_mse


class DelayedComparison(Task):
    """Parametric working memory: the answer is the sign of first minus second.

    Both last `stimulus` steps and are drawn from [-1, 1]; the delay is uniform in
    [`shortest`, `longest`] steps. Trials are ragged: after the answer nothing counts.
    """

    stimulus: int = eqx.field(static=True, default=5)
    shortest: int | Float[Array, ""] = 10
    longest: int = eqx.field(static=True, default=40)
    response: int = eqx.field(static=True, default=8)
    noise: float | Float[Array, ""] = 0.05  # standard deviation per step
    input_size: int = eqx.field(static=True, default=1)
    output_size: int = eqx.field(static=True, default=1)

    @property
    def steps(self) -> int:
        """Length of the longest trial."""
        return 2 * self.stimulus + self.longest + self.response

    def trial(self, key):
        sizes, wait, hiss = jr.split(key, 3)
        first, second = jr.uniform(sizes, (2,), minval=-1.0, maxval=1.0)
        delay = jr.randint(wait, (), jnp.asarray(self.shortest, int), self.longest + 1)
        time = jnp.arange(self.steps)
        again = self.stimulus + delay  # when the second stimulus begins
        answer = again + self.stimulus  # when the answer is due
        shown = first * (time < self.stimulus)
        shown += second * ((time >= again) & (time < answer))
        inputs = shown + self.noise * jr.normal(hiss, (self.steps,))
        due = (time >= answer) & (time < answer + self.response)
        targets = jnp.sign(first - second) * due
        weights = (due | (time < answer)).astype(float)
        return Trial(jnp.zeros(0), inputs[:, None], targets[:, None], weights)

    def loss(self, trial, trajectory):
        return weighted_mse(trial, trajectory)

    def accuracy(self, trial, trajectory) -> Float[Array, ""]:
        """Share of answers of the right sign while one is due."""
        due = trial.weights * (jnp.abs(trial.targets[:, 0]) > 0)
        return sign_accuracy(eqx.tree_at(lambda t: t.weights, trial, due), trajectory)


def example(key: PRNGKeyArray) -> DelayedComparison:
    """A short one."""
    del key
    return DelayedComparison(stimulus=2, shortest=3, longest=8, response=3)
