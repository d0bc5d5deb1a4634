"""Remember the sign of the last pulse on each channel (Sussillo and Barak 2013)."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.trial import sign_accuracy, Task, Trial, weighted_mse


class Timing(eqx.Module):
    """When pulses come, and when the answer counts."""

    @abc.abstractmethod
    def draw(
        self, key: PRNGKeyArray, steps: int, bits: int
    ) -> tuple[Float[Array, "time bit"], Float[Array, "time bit"], Float[Array, " time"]]:
        """`(pulses of +-1, sign of the last pulse, weights)`."""


class PerStep(Timing):
    """Each channel pulses with `probability` per step, all of them at the first.

    Every step is held `repeats` times (Dabholkar and Barak 2025 train at repeats=10).
    """

    probability: float | Float[Array, ""] = 0.1
    repeats: int = eqx.field(static=True, default=1)

    def draw(self, key, steps, bits):
        when, sign = jr.split(key)
        shape = (-(-steps // self.repeats), bits)
        come = jr.bernoulli(when, self.probability, shape).at[0].set(True)
        pulses = come * jr.rademacher(sign, shape, float)
        pulses = jnp.repeat(pulses, self.repeats, axis=0)[:steps]
        return pulses, last_sign(pulses), jnp.ones(steps)


class Intervals(Timing):
    """Pulses of `pulse` steps on one channel at a time (Ger and Barak 2026); all in steps.

    The first comes at `first`; the next a random wait in [`shortest`, `longest`] after the end
    of a `grace` period counted from the pulse's end. The answer does not count before the
    first pulse, nor from one step before a pulse to the end of its grace.
    """

    pulse: int = eqx.field(static=True, default=5)
    first: int = eqx.field(static=True, default=5)
    grace: int = eqx.field(static=True, default=20)
    shortest: int | Float[Array, ""] = 40
    longest: int | Float[Array, ""] = 100

    def draw(self, key, steps, bits):
        wait, sign, channel = jr.split(key, 3)
        most = steps // max(1, self.pulse + self.grace) + 1
        waits = jr.uniform(wait, (most,), minval=self.shortest, maxval=self.longest)
        gaps = jnp.round(waits).astype(int) + self.pulse + self.grace
        starts = self.first + jnp.concatenate([jnp.zeros(1, int), jnp.cumsum(gaps)[:-1]])
        since = jnp.arange(steps)[:, None] - starts[None, :]  # (time, pulse)
        on = (since >= 0) & (since < self.pulse)
        signs = jr.rademacher(sign, (most,), float)
        lines = jax.nn.one_hot(jr.randint(channel, (most,), 0, bits), bits)
        pulses = (on * signs[None, :]) @ lines
        unsure = ((since >= -1) & (since < self.pulse + self.grace)).any(axis=1)
        weights = ~unsure & (since[:, 0] >= 0)
        return pulses, last_sign(pulses), weights.astype(float)


def last_sign(pulses: Float[Array, "time bit"]) -> Float[Array, "time bit"]:
    """Sign of the latest pulse at every time; 0 before the first."""

    def hold(memory, pulse):
        memory = jnp.where(pulse == 0, memory, pulse)
        return memory, memory

    return jax.lax.scan(hold, jnp.zeros(pulses.shape[1]), pulses)[1]


class FlipFlop(Task):
    """`bits` channels, each of which must hold the sign of its own last pulse."""

    bits: int = eqx.field(static=True, default=3)
    steps: int = eqx.field(static=True, default=64)
    timing: Timing = PerStep()
    amplitude: float | Float[Array, ""] = 1.0  # of the pulses
    target: float | Float[Array, ""] = 1.0  # size of the answer

    @property
    def input_size(self):
        return self.bits

    @property
    def output_size(self):
        return self.bits

    def trial(self, key):
        pulses, memory, weights = self.timing.draw(key, self.steps, self.bits)
        return Trial(jnp.zeros(0), self.amplitude * pulses, self.target * memory, weights)

    def loss(self, trial, trajectory):
        return weighted_mse(trial, trajectory)

    def accuracy(self, trial, trajectory) -> Float[Array, ""]:
        """Share of answers of the right sign, over the steps that count."""
        return sign_accuracy(trial, trajectory)


def example(key: PRNGKeyArray) -> FlipFlop:
    """Two bits, a short trial."""
    del key
    return FlipFlop(bits=2, steps=20)
