"""How much better than their mean rates does a model predict the spikes of neurons?

The score of co-smoothing: Pei et al. (2021), Neural Latents Benchmark '21, arXiv 2109.04463;
with few trials: Dabholkar and Barak (2024), arXiv 2405.14425.
"""

import abc

import equinox as eqx
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num

from slowpoint.core.result import Result

Numbers = Array | np.ndarray
LEAST = 1e-9  # a rate is clipped to no less; a probability to no more than 1 - LEAST


class Family(eqx.Module):
    """How counts scatter about a rate per bin."""

    @abc.abstractmethod
    def clip(self, rates: Float[np.ndarray, "*bins"]) -> Float[np.ndarray, "*bins"]:
        """The rates, moved to where their logarithms are finite."""

    @abc.abstractmethod
    def log_likelihood(
        self, counts: Float[np.ndarray, "*bins"], rates: Float[np.ndarray, "*bins"]
    ) -> Float[np.ndarray, "*bins"]:
        """log P(count | rate) in nats, less what does not depend on the rate."""

    @abc.abstractmethod
    def possible(self, counts: Float[np.ndarray, "*bins"]) -> Bool[np.ndarray, "*bins"]:
        """Which counts can occur at all."""


class Poisson(Family):
    r"""$\log P = x \log r - r$, less $\log x!$; counts 0, 1, 2 ..."""

    def clip(self, rates):
        """At least 1e-9."""
        return np.maximum(rates, LEAST)

    def log_likelihood(self, counts, rates):
        """-inf at an infinite rate."""
        finite = np.where(np.isinf(rates), 1.0, rates)
        return np.where(np.isinf(rates), -np.inf, counts * np.log(finite) - finite)

    def possible(self, counts):
        """Whole numbers from 0."""
        return np.isfinite(counts) & (counts >= 0) & (counts == np.floor(counts))


class Bernoulli(Family):
    r"""$\log P = x \log r + (1 - x) \log(1 - r)$; counts 0 and 1."""

    def clip(self, rates):
        """From 1e-9 to 1 - 1e-9."""
        return np.clip(rates, LEAST, 1 - LEAST)

    def log_likelihood(self, counts, rates):
        """The logarithm of r where there is a spike, of 1 - r where there is none."""
        return counts * np.log(rates) + (1 - counts) * np.log1p(-rates)

    def possible(self, counts):
        """0 and 1."""
        return (counts == 0) | (counts == 1)


class BitsPerSpike(Result):
    """The score of all units together, and of each."""

    pooled: float  # one ratio of sums, not the mean of `each`
    each: Float[np.ndarray, " unit"]  # NaN where `silent`
    spikes: Int[np.ndarray, " unit"]  # scored
    silent: Bool[np.ndarray, " unit"]  # without a spike in the scored data: in no sum
    clipped: int  # rates at scored counts that had to be moved
    finite: bool  # whether the pooled score is a number


def bits_per_spike(
    rates: Float[Numbers, "trial bin unit"],
    counts: Num[Numbers, "..."],
    *,
    family: Family,
    null: Float[Numbers, "..."] | None = None,
) -> BitsPerSpike:
    r"""$Q = \sum [\log P(x|r) - \log P(x|\bar x_n)] / (\ln 2 \sum x)$ over trials, bins, units.

    `rates` are expected counts per bin. Counts of NaN are missing, as in trials of different
    length, and enter no sum. `null` holds one rate per unit; without it, the mean of the scored
    counts of the unit. Raises ValueError on shapes that disagree, counts that the family cannot
    give, rates that are NaN at a count, a null that is not finite or below 0, or no spikes.
    """
    rates, counts = np.asarray(rates, float), np.asarray(counts, float)
    seen = _scored(rates, counts, family)
    x = np.where(seen, counts, 0.0)
    spikes = x.sum(axis=(0, 1))
    silent = spikes == 0
    if silent.all():
        raise ValueError(
            f"none of {len(spikes)} units has a spike: give counts that have some."
        )
    means = spikes / np.maximum(seen.sum(axis=(0, 1)), 1)
    given = means if null is None else _null(null, len(spikes))
    r = np.where(seen, rates, 1.0)
    moved = family.clip(r)
    gains = family.log_likelihood(x, moved) - family.log_likelihood(x, family.clip(given))
    bits = np.where(seen, gains, 0.0).sum(axis=(0, 1)) / np.log(2)
    each = np.where(silent, np.nan, bits / np.where(silent, 1.0, spikes))
    pooled = float(bits[~silent].sum() / spikes.sum())
    clipped = int(((moved != r) & seen & ~silent).sum())
    return BitsPerSpike(
        pooled, each, spikes.astype(int), silent, clipped, bool(np.isfinite(pooled))
    )


def _scored(rates, counts, family) -> Bool[np.ndarray, "trial bin unit"]:
    """Where there is a count. Raise ValueError on what cannot be scored."""
    if rates.shape != counts.shape:
        raise ValueError(
            f"rates have shape {rates.shape}, counts {counts.shape}: give both as (trials, "
            "bins, units) of the same recording."
        )
    seen = ~np.isnan(counts)
    if (wrong := counts[seen & ~family.possible(counts)]).size:
        raise ValueError(
            f"counts hold {wrong[0]:g}, which {type(family).__name__} cannot give. Give spikes "
            "per bin, NaN where there is no recording."
        )
    if lost := int(np.isnan(rates[seen]).sum()):
        raise ValueError(
            f"rates are NaN at {lost} counts: give a rate for each, or NaN counts."
        )
    return seen


def _null(null, units: int) -> Float[np.ndarray, " unit"]:
    """The given rates. Raise ValueError when they are none."""
    null = np.asarray(null, float)
    if null.shape != (units,) or not np.isfinite(null).all() or (null < 0).any():
        raise ValueError(
            f"null has shape {null.shape} and smallest value {np.min(null, initial=np.inf):g}: "
            f"give {units} finite rates, one per unit, 0 or more."
        )
    return null
