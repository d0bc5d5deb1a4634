r"""Follow a point that moves as a sum of sinusoids, some along each axis.

Ger and Barak (2025), arXiv:2505.13567, figure 6: two double integrators follow two sinusoids
each. The system is `ClosedLoop(world, agent, first="agent")`, its world shows positions, its
goal is where the point is now.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.trial import Task, Trial


class Track(Task):
    r"""$r_a(t) = s(t) A \sum_f \cos(2 \pi f t + \varphi_f)$ on each axis a, phases uniform.

    The ramp s(t) rises from 0 to 1 in `ramp` seconds. The loss is
    $(dt / n) \sum_{t<n} |y_{t+1} - r_t|^2$. Times in s, frequencies in Hz.

    A linear loop that begins at 0 has an error linear in r; phases are independent, so the
    expected loss is a sum over frequencies of the mean of the losses for a cosine and a sine:
    the trials of `every` stand for all. Raises ValueError on fewer than 2 steps, dt <= 0, a
    ramp below 0 or no frequency.
    """

    frequencies: tuple[tuple[float, ...], ...] = eqx.field(
        static=True, default=((0.1, 0.3), (0.2, 0.4))
    )
    amplitude: float | Float[Array, ""] = 2.31  # A of each, in the unit of the positions
    ramp: float | Float[Array, ""] = 1.0
    steps: int = eqx.field(static=True, default=300)  # n
    dt: float = eqx.field(static=True, default=0.1)

    def __check_init__(self):
        if self.steps < 2 or not self.dt > 0:
            raise ValueError(
                f"steps={self.steps}, dt={self.dt}: give 2 steps or more of dt > 0. "
                "Type Track(steps=300, dt=0.1)"
            )
        if not isinstance(self.ramp, jax.Array) and not self.ramp >= 0:
            raise ValueError(f"ramp={self.ramp} s: give 0 (none) or more.")
        if not self.components:
            raise ValueError(
                f"frequencies={self.frequencies} has none. Give a tuple for each axis: "
                "((0.1, 0.3), (0.2, 0.4))"
            )

    @property
    def input_size(self):
        return len(self.frequencies)

    @property
    def output_size(self):
        return len(self.frequencies)

    @property
    def components(self) -> tuple[tuple[float, int], ...]:
        """`(frequency, axis)` of each sinusoid, the slowest first."""
        pairs = ((f, axis) for axis, row in enumerate(self.frequencies) for f in row)
        return tuple(sorted(pairs))

    @property
    def omegas(self) -> Float[np.ndarray, " frequency"]:
        """Angular frequencies (rad / s), the slowest first."""
        return 2 * np.pi * np.array([f for f, _ in self.components])

    def trial(self, key):
        phases = jr.uniform(key, (len(self.components),), minval=-math.pi, maxval=math.pi)
        return self.at(phases)

    def at(self, phases: Float[Array, " frequency"]) -> Trial:
        """The trial with these phases, in the order of `components`."""
        return self._follow(phases, jnp.ones_like(phases))

    def every(self) -> Trial:
        """One frequency a trial, as a cosine and as a sine, stacked; the slowest first.

        Weights are the number of frequencies, so the mean over these trials is the expected
        loss of the whole sum: for a linear loop from 0, while nothing is clamped. A bias of the
        agent is no part of a linear loop: keep it at 0 and out of `trainable`.
        """
        count = len(self.components)
        alone = jnp.repeat(jnp.eye(count), 2, axis=0)
        phases = jnp.tile(jnp.array([0.0, -math.pi / 2]), count)[:, None] * alone
        trials = jax.vmap(self._follow)(phases, alone)
        return eqx.tree_at(lambda t: t.weights, trials, count * trials.weights)

    def frequency_errors(self, losses: Float[Array, " trial"]) -> Float[Array, " frequency"]:
        """Mean squared error of each frequency, over its phase, from the losses of `every`.

        Without the factor dt: `amplitude`^2 / 2 where nothing is tracked, but for the ramp.
        """
        return losses.reshape(-1, 2).mean(axis=1) / (self.dt * len(self.components))

    def loss(self, trial, trajectory):
        error = ((trajectory.outputs - trial.targets) ** 2).sum(axis=1)
        return self.dt / self.steps * (trial.weights * error).sum()

    def _follow(self, phases, sizes):
        time = self.dt * jnp.arange(self.steps)
        waves = sizes[None] * jnp.cos(
            time[:, None] * jnp.asarray(self.omegas)[None] + phases[None]
        )
        axes = jnp.array([axis for _, axis in self.components])
        onto = (axes[:, None] == jnp.arange(len(self.frequencies))[None]).astype(waves.dtype)
        rise = jnp.where(time < self.ramp, time / jnp.where(self.ramp > 0, self.ramp, 1.0), 1.0)
        reference = self.amplitude * rise[:, None] * (waves @ onto)
        return Trial(jnp.zeros(0), reference, reference, jnp.ones(self.steps))


def example(key: PRNGKeyArray) -> Track:
    """Two axes for a second and a half; nothing is drawn."""
    del key
    return Track(frequencies=((1.0, 3.0), (2.0,)), ramp=0.5, steps=15)
