r"""Answer an impulse as a filter does: by a decay, or by an oscillation that dies out.

Ger and Barak (2026), arXiv:2605.04115: the impulse filter (figures 1 to 3) and the oscillator
(figure 12).
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.rollout import rollout
from slowpoint.core.system import System
from slowpoint.core.trial import Task, Trial


class Filter(Task):
    r"""One impulse of area 1 at the first step, then nothing; $y^* = a e^{-ct} \cos \omega t$.

    The loss is the squared error integrated over time, $\sum_n (y_n - y^*_n)^2 dt$. Nothing is
    drawn. Time in the unit of `dt`. Raises ValueError unless `steps` is 1 or more, 0 < dt < 2.
    """

    rate: float | Float[Array, ""] = 0.2  # c: 0.2 is the paper's task A, 0.4 its task B
    frequency: float | Float[Array, ""] = 0.0  # omega, rad per unit of time
    size: float | Float[Array, ""] = 1.0  # a
    steps: int = eqx.field(static=True, default=400)  # T
    dt: float = eqx.field(static=True, default=0.05)
    input_size: int = eqx.field(static=True, default=1, init=False)
    output_size: int = eqx.field(static=True, default=1, init=False)

    def __check_init__(self):
        if self.steps < 1 or not 0 < self.dt < 2:
            raise ValueError(
                f"steps={self.steps}, dt={self.dt}: give 1 step or more, and 0 < dt < 2 (Euler "
                "steps of a leak of rate 1). Type Filter(steps=400, dt=0.05)"
            )

    @property
    def times(self) -> Float[Array, " time"]:
        """Of the target: from 0 to steps * dt, both included, so a little coarser than dt.

        The paper's axis; it shifts the best network (zu vm to .8005, not .8).
        """
        return self.dt * jnp.linspace(0, self.steps, self.steps)

    def trial(self, key: PRNGKeyArray | None) -> Trial:
        """The only one there is; `key` is not used."""
        del key
        impulse = jnp.zeros((self.steps, 1)).at[0].set(1 / self.dt)
        time = self.times[:, None]
        targets = self.size * jnp.exp(-self.rate * time) * jnp.cos(self.frequency * time)
        return Trial(jnp.zeros(0), impulse, targets, jnp.ones(self.steps))

    def loss(self, trial, trajectory):
        error = ((trajectory.outputs - trial.targets) ** 2).sum(axis=1)
        return self.dt * (trial.weights * error).sum()

    def mark(self, system: System, key: PRNGKeyArray | None) -> Float[Array, ""]:
        """The loss of `system`: exact, so a loss for `learn_network` and OfOverlaps."""
        trial = self.trial(key)
        return self.loss(trial, rollout(system, trial.start, trial.inputs))


def example(key: PRNGKeyArray) -> Filter:
    """A short oscillator; nothing is drawn."""
    del key
    return Filter(rate=0.3, frequency=2.0, steps=40)
