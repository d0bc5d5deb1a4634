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
    ) -> tuple[Float[Array, "time bit"], Float[Array, " time"]]:
        """`(pulses, weights)`: -1, 0 or 1 per step and bit, and how much each step counts."""


class PerStep(Timing):
    """A pulse with `probability` per step and bit, and on every bit first; all steps count.

    Each step may be held for `repeats` ticks, pulse and silence alike.
    """

    probability: float | Float[Array, ""] = 0.1
    repeats: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        if self.repeats < 1:
            raise ValueError(f"repeats={self.repeats}: a step lasts 1 tick or more.")

    def draw(self, key, steps, bits):
        when, sign = jr.split(key)
        shape = (-(-steps // self.repeats), bits)
        lit = jr.bernoulli(when, self.probability, shape).at[0].set(True)
        pulses = jr.rademacher(sign, shape, float) * lit
        return jnp.repeat(pulses, self.repeats, axis=0)[:steps], jnp.ones(steps)


class Intervals(Timing):
    """Pulses of `pulse`, the next U(`shortest`, `longest`) after the end of a `grace` period.

    Grace starts as the pulse ends. The answer counts from the end of grace until one step
    before the next pulse; of several bits, when it counts for all. Times in the unit of `dt`;
    the defaults are those of Ger and Barak (2026), arXiv:2605.04115.
    """

    pulse: float | Float[Array, ""] = 0.5
    first: float | Float[Array, ""] = 0.5  # when the first pulse starts
    grace: float | Float[Array, ""] = 2.0
    shortest: float | Float[Array, ""] = 4.0
    longest: float | Float[Array, ""] = 10.0
    dt: float | Float[Array, ""] = 0.025

    def draw(self, key, steps, bits):
        pulses, settled = jax.vmap(lambda k: self.one(k, steps))(jr.split(key, bits))
        return pulses.T, settled.all(axis=0).astype(float)

    def one(self, key, steps):
        """`(pulses, settled)` of one bit."""
        wait, sign = jr.split(key)
        gaps = jr.uniform(wait, (steps,), minval=self.shortest, maxval=self.longest)
        busy = self.ticks(self.pulse) + self.ticks(self.grace)
        after = jnp.cumsum(jnp.maximum(busy + self.ticks(gaps), 1))
        starts = self.ticks(self.first) + jnp.concatenate([jnp.zeros(1, int), after[:-1]])
        time = jnp.arange(steps)
        latest = jnp.searchsorted(starts, time, side="right") - 1  # -1: none yet
        since = jnp.where(latest < 0, -1, time - starts[latest])
        lit = (since >= 0) & (since < self.ticks(self.pulse))
        settled = (since >= busy) & (starts[latest + 1] != time + 1)
        return lit * jr.rademacher(sign, (steps,), float)[latest], settled

    def ticks(self, duration):
        """Steps in `duration`, rounded."""
        return jnp.round(jnp.asarray(duration) / self.dt).astype(int)


class FlipFlop(Task):
    """`bits` channels of pulses in, the sign of the last pulse of each out."""

    bits: int = eqx.field(static=True, default=3)
    steps: int = eqx.field(static=True, default=64)
    timing: Timing = PerStep()
    amplitude: float | Float[Array, ""] = 1.0  # of a pulse
    target: float | Float[Array, ""] = 1.0  # size of the answer

    def __check_init__(self):
        if self.bits < 1 or self.steps < 1:
            raise ValueError(f"bits={self.bits}, steps={self.steps}: give 1 or more of each.")

    @property
    def input_size(self):
        return self.bits

    @property
    def output_size(self):
        return self.bits

    def trial(self, key):
        pulses, weights = self.timing.draw(key, self.steps, self.bits)

        def hold(memory, pulse):
            memory = jnp.where(pulse == 0, memory, pulse)
            return memory, memory

        _, memory = jax.lax.scan(hold, jnp.zeros(self.bits), pulses)
        return Trial(jnp.zeros(0), self.amplitude * pulses, self.target * memory, weights)

    def loss(self, trial, trajectory):
        return weighted_mse(trial, trajectory)

    def accuracy(self, trial, trajectory):
        """Share of answers, over the steps that count, with the right sign."""
        return sign_accuracy(trial, trajectory)


def example(key: PRNGKeyArray) -> FlipFlop:
    """Two bits, held steps; nothing is drawn."""
    del key
    return FlipFlop(bits=2, steps=20, timing=PerStep(0.2, repeats=3))
