"""From which start, by which rule, do the counts of a trial unfold?

A sequential autoencoder without chance, in the spirit of LFADS (Sussillo, Jozefowicz, Abbott
and Pandarinath 2016, arXiv 1608.06315): one network reads the trial both ways and names a
start, another runs from there without input; few factors of its state drive all channels.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jaxtyping import Array, Float, Num, PRNGKeyArray

from slowpoint.latents.recorded_trials import Numbers, poisson_loss, RecordedTrials
from slowpoint.learning.descend import descend


class Autoencoder(eqx.Module):
    """Held-in counts in, factors and rates of all channels out."""

    forth: eqx.nn.GRUCell
    back: eqx.nn.GRUCell
    start: eqx.nn.Linear
    generator: eqx.nn.GRUCell
    factors: eqx.nn.Linear
    read: eqx.nn.Linear

    @classmethod
    def random(
        cls, trials: RecordedTrials, dims: int, units: int = 64, *, key: PRNGKeyArray
    ) -> "Autoencoder":
        """Untrained, `units` in each of its three networks; begins with the mean rates."""
        forth, back, start, run, narrow, read = jr.split(key, 6)
        channels = trials.counts.shape[2]
        out = eqx.nn.Linear(dims, channels, key=read)
        means = jnp.log(jnp.maximum(trials.counts.mean(axis=(0, 1)), 1e-3))
        return cls(
            forth=eqx.nn.GRUCell(trials.held_in, units, key=forth),
            back=eqx.nn.GRUCell(trials.held_in, units, key=back),
            start=eqx.nn.Linear(2 * units, units, key=start),
            generator=eqx.nn.GRUCell(1, units, key=run),
            factors=eqx.nn.Linear(units, dims, key=narrow),
            read=eqx.tree_at(lambda line: line.bias, out, means),
        )

    def latents(self, shown: Float[Array, "bin held_in"]) -> Float[Array, "bin dim"]:
        """The factors of one trial."""
        seen = jnp.sqrt(shown)
        nothing = jnp.zeros(self.forth.hidden_size)
        read = lambda cell: lambda x, u: (cell(u, x), None)
        ahead, _ = jax.lax.scan(read(self.forth), nothing, seen)
        behind, _ = jax.lax.scan(read(self.back), nothing, seen, reverse=True)
        first = jnp.tanh(self.start(jnp.concatenate([ahead, behind])))

        def unfold(x, _):
            return self.generator(jnp.zeros(1), x), self.factors(x)

        return jax.lax.scan(unfold, first, length=len(shown))[1]

    def log_rates(self, latents: Float[Array, "bin dim"]) -> Float[Array, "bin channel"]:
        """Of all channels, held in first."""
        return jnp.clip(jax.vmap(self.read)(latents), -12.0, 6.0)

    def encode(
        self, counts: Num[Numbers, "trial bin held_in"]
    ) -> Float[np.ndarray, "trial bin dim"]:
        """The factors of all trials. Raises ValueError on other channels."""
        return np.asarray(_encode(self, self._shown(counts)), float)

    def rates(
        self, counts: Num[Numbers, "trial bin held_in"]
    ) -> Float[np.ndarray, "trial bin channel"]:
        """What it expects of every channel, held in first, from the held-in counts."""
        return np.exp(np.asarray(_log_rates(self, self._shown(counts)), float))

    def _shown(self, counts) -> Float[Array, "trial bin held_in"]:
        counts = np.asarray(counts, np.float32)
        if counts.shape[2] != self.forth.input_size or not np.isfinite(counts).all():
            raise ValueError(
                f"counts have shape {counts.shape}: give {self.forth.input_size} held-in "
                "channels, none missing."
            )
        return jnp.asarray(counts)


class AutoencoderLoss(eqx.Module):
    """How well counts that were not shown are predicted."""

    trials: RecordedTrials
    share: float = 0.3  # of the counts, hidden

    def __call__(self, model: Autoencoder, key: PRNGKeyArray) -> Float[Array, ""]:
        """Of one batch."""
        batch = self.trials.dropped_counts(self.share, key)
        latents = jax.vmap(model.latents)(batch.shown)
        return poisson_loss(jax.vmap(model.log_rates)(latents), batch)


def fit_autoencoder(
    model: Autoencoder,
    trials: RecordedTrials,
    *,
    updates: int,
    learning_rate: float = 3e-3,
    share: float = 0.3,
    key: PRNGKeyArray,
) -> Autoencoder:
    """`model` taught to predict `share` of the counts from the others, at a falling rate."""
    pace = optax.cosine_decay_schedule(learning_rate, updates)
    optimiser = optax.chain(
        optax.clip_by_global_norm(1.0), optax.adamw(pace, weight_decay=1e-3)
    )
    loss = AutoencoderLoss(trials, share)
    return descend(model, loss, updates=updates, key=key, optimiser=optimiser).system


@eqx.filter_jit
def _encode(model: Autoencoder, shown):
    return jax.vmap(model.latents)(shown)


@eqx.filter_jit
def _log_rates(model: Autoencoder, shown):
    return jax.vmap(lambda x: model.log_rates(model.latents(x)))(shown)
