"""How do counts scatter about the mean that a hidden state gives each channel?"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

Numbers = Array | np.ndarray
LEAST = 1e-6  # a mean is kept that far from 0, a probability also from 1


class Emissions(eqx.Module):
    """Counts of channels that are independent once the state is known, one mean per state."""

    means: eqx.AbstractVar[Float[Numbers, "state channel"]]  # expected count per bin

    @abc.abstractmethod
    def weights(self) -> tuple[Float[Array, "state channel"], Float[Array, "state channel"]]:
        """`(a, b)`: log P(x | state) is x a + b per channel, less what no state changes."""

    @abc.abstractmethod
    def constant(self, counts: Float[Numbers, "*bins channel"]) -> Float[Numbers, "*bins"]:
        """What log P(counts) holds besides, the same in every state."""

    @abc.abstractmethod
    def penalty(self, pseudo_count: float) -> Float[Array, ""]:
        """The log of the prior that `learned` goes with, in nats."""

    @abc.abstractmethod
    def learned(
        self,
        spikes: Float[Array, "state channel"],
        bins: Float[Array, "state channel"],
        pseudo_count: float,
    ) -> "Emissions":
        """The most probable ones after so many spikes in so many bins of each state."""

    @abc.abstractmethod
    def drawn(
        self, states: Int[np.ndarray, "*bins"], generator: np.random.Generator
    ) -> Float[np.ndarray, "*bins channel"]:
        """Counts at random."""

    @abc.abstractmethod
    def possible(self, counts: Float[np.ndarray, "*bins"]) -> Bool[np.ndarray, "*bins"]:
        """Which counts can occur at all."""

    @abc.abstractmethod
    def clipped(self) -> "Emissions":
        """The same with means where their logarithms are finite."""


class BernoulliEmissions(Emissions):
    """A spike or none: B[state, channel] is the probability of one."""

    means: Float[Numbers, "state channel"]

    def weights(self):
        """log B - log(1 - B) and log(1 - B)."""
        none = jnp.log1p(-self.means)
        return jnp.log(self.means) - none, none

    def constant(self, counts):
        """Zero."""
        return counts[..., 0] * 0

    def penalty(self, pseudo_count):
        """As if every state had seen so many spikes, and so many bins without."""
        return pseudo_count * (jnp.log(self.means) + jnp.log1p(-self.means)).sum()

    def learned(self, spikes, bins, pseudo_count):
        """(spikes + c) / (bins + 2 c)."""
        means = (spikes + pseudo_count) / (bins + 2 * pseudo_count)
        return BernoulliEmissions(means).clipped()

    def drawn(self, states, generator):
        """0 or 1."""
        means = np.asarray(self.means)
        return (generator.random((*states.shape, means.shape[1])) < means[states]).astype(float)

    def possible(self, counts):
        """0 and 1."""
        return (counts == 0) | (counts == 1)

    def clipped(self):
        """From 1e-6 to 1 - 1e-6."""
        return BernoulliEmissions(jnp.clip(self.means, LEAST, 1 - LEAST))


class PoissonEmissions(Emissions):
    """0, 1, 2 ... spikes: means[state, channel] is the rate per bin."""

    means: Float[Numbers, "state channel"]

    def weights(self):
        """log r and -r."""
        means = jnp.asarray(self.means)
        return jnp.log(means), -means

    def constant(self, counts):
        """Less log x!."""
        return -jax.scipy.special.gammaln(counts + 1).sum(axis=-1)

    def penalty(self, pseudo_count):
        """As if every state had seen so many bins of one spike."""
        return pseudo_count * (jnp.log(self.means) - self.means).sum()

    def learned(self, spikes, bins, pseudo_count):
        """(spikes + c) / (bins + c)."""
        return PoissonEmissions((spikes + pseudo_count) / (bins + pseudo_count)).clipped()

    def drawn(self, states, generator):
        """Whole numbers from 0."""
        return generator.poisson(np.asarray(self.means)[states]).astype(float)

    def possible(self, counts):
        """Whole numbers from 0."""
        return np.isfinite(counts) & (counts >= 0) & (counts == np.floor(counts))

    def clipped(self):
        """At least 1e-6."""
        return PoissonEmissions(jnp.maximum(self.means, LEAST))
