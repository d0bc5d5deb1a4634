"""Which trials does a model of a recording see in one update, and what may it not see?"""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Num, PRNGKeyArray

Numbers = Array | np.ndarray


class Batch(eqx.Module):
    """Trials as they were, with their held-in counts as they are shown, and what is scored."""

    counts: Float[Array, "trial bin channel"]  # held in first, then held out
    shown: Float[Array, "trial bin held_in"]
    scored: Bool[Array, "trial bin channel"]


class RecordedTrials(eqx.Module):
    """Training trials, held-in channels first; a model is shown those alone.

    Raises ValueError on counts below 0 or missing, and when trials or bins disagree.
    """

    counts: Float[Array, "trial bin channel"]
    held_in: int = eqx.field(static=True)
    batch: int = eqx.field(static=True, default=64)

    @classmethod
    def of(
        cls,
        held_in: Num[Numbers, "trial bin held_in"],
        held_out: Num[Numbers, "..."],
        batch: int = 64,
    ) -> "RecordedTrials":
        """From counts of the two groups of channels."""
        first, second = np.asarray(held_in, np.float32), np.asarray(held_out, np.float32)
        if first.shape[:2] != second.shape[:2] or second.ndim != 3:
            raise ValueError(
                f"held_in has shape {first.shape}, held_out {second.shape}: give (trials, "
                "bins, channels) of the same trials and bins."
            )
        counts = np.concatenate([first, second], axis=2)
        if not (np.isfinite(counts) & (counts >= 0)).all():
            raise ValueError("counts are missing or below 0: these models need all of them.")
        return cls(jnp.asarray(counts), first.shape[2], min(batch, len(counts)))

    def masked_bins(self, share: float, key: PRNGKeyArray) -> Batch:
        """A batch in which `share` of the bins are shown as zeros; those are scored.

        Held-out channels, of which nothing is shown, are scored in every bin.
        """
        draw, hide = jr.split(key)
        counts = self._drawn(draw)
        hidden = jr.bernoulli(hide, share, counts.shape[:2])[..., None]
        shown = jnp.where(hidden, 0.0, counts[..., : self.held_in])
        return Batch(counts, shown, hidden | self._unseen())

    def dropped_counts(self, share: float, key: PRNGKeyArray) -> Batch:
        """A batch in which `share` of the held-in counts are shown as 0, the others enlarged.

        What is shown is not scored, so that no count can predict itself (Keshtkaran and
        Pandarinath 2019, coordinated dropout).
        """
        draw, hide = jr.split(key)
        counts = self._drawn(draw)
        hidden = jr.bernoulli(hide, share, counts.shape) | self._unseen()
        shown = jnp.where(hidden, 0.0, counts / (1 - share))[..., : self.held_in]
        return Batch(counts, shown, hidden)

    def _drawn(self, key) -> Float[Array, "trial bin channel"]:
        return self.counts[jr.choice(key, len(self.counts), (self.batch,), replace=False)]

    def _unseen(self) -> Bool[Array, "1 1 channel"]:
        return (jnp.arange(self.counts.shape[2]) >= self.held_in)[None, None]


def poisson_loss(
    log_rates: Float[Array, "trial bin channel"], batch: Batch
) -> Float[Array, ""]:
    """Mean of r - x log r over the counts that are scored, nats."""
    cost = jnp.exp(log_rates) - batch.counts * log_rates
    return jnp.where(batch.scored, cost, 0.0).sum() / batch.scored.sum()
