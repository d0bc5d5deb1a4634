"""What must be moving in a trial, if hidden bins and unseen neurons are to be filled in?

A small transformer in the spirit of STNDT (Le and Shlizerman 2022, NeurIPS 35): attention over
time and over features, taught to fill in bins that were hidden from it. After training it is
frozen: held-in counts in, the last layer out.
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


class Layer(eqx.Module):
    """Attention among bins, attention among features, and a step within each bin."""

    norms: list[eqx.nn.LayerNorm]
    time: eqx.nn.MultiheadAttention
    space: eqx.nn.MultiheadAttention
    up: eqx.nn.Linear
    down: eqx.nn.Linear
    dropout: eqx.nn.Dropout

    @classmethod
    def random(cls, bins: int, dims: int, dropout: float, *, key: PRNGKeyArray) -> "Layer":
        """Untrained; two heads over time where `dims` is even."""
        time, space, up, down = jr.split(key, 4)
        return cls(
            norms=[eqx.nn.LayerNorm(dims) for _ in range(3)],
            time=eqx.nn.MultiheadAttention(2 - dims % 2, dims, key=time),
            space=eqx.nn.MultiheadAttention(1, bins, key=space),
            up=eqx.nn.Linear(dims, 2 * dims, key=up),
            down=eqx.nn.Linear(2 * dims, dims, key=down),
            dropout=eqx.nn.Dropout(dropout),
        )

    def __call__(self, x: Float[Array, "bin dim"], key: PRNGKeyArray | None):
        """One trial; without a key nothing is dropped."""
        keys = [None] * 3 if key is None else list(jr.split(key, 3))
        drop = lambda value, one: self.dropout(value, key=one, inference=one is None)
        first, second, third = (jax.vmap(norm) for norm in self.norms)
        z = first(x)
        x = x + drop(self.time(z, z, z), keys[0])
        z = second(x).T
        x = x + drop(self.space(z, z, z).T, keys[1])
        step = lambda row: self.down(jax.nn.gelu(self.up(row)))
        return x + drop(jax.vmap(step)(third(x)), keys[2])


class MaskedTransformer(eqx.Module):
    """Held-in counts in, latents and rates of all channels out."""

    embed: eqx.nn.Linear
    places: Float[Array, "bin dim"]
    layers: Layer  # every array has the layers as its first axis
    depth: int = eqx.field(static=True)
    norm: eqx.nn.LayerNorm
    read: eqx.nn.Linear

    @classmethod
    def random(
        cls,
        trials: RecordedTrials,
        dims: int,
        layers: int = 4,
        dropout: float = 0.2,
        *,
        key: PRNGKeyArray,
    ) -> "MaskedTransformer":
        """Untrained; begins with the mean rate of every channel."""
        _, bins, channels = trials.counts.shape
        embed, places, read, rest = jr.split(key, 4)
        stacked = eqx.filter_vmap(lambda own: Layer.random(bins, dims, dropout, key=own))
        out = eqx.nn.Linear(dims, channels, key=read)
        means = jnp.log(jnp.maximum(trials.counts.mean(axis=(0, 1)), 1e-3))
        return cls(
            embed=eqx.nn.Linear(trials.held_in, dims, key=embed),
            places=0.1 * jr.normal(places, (bins, dims)),
            layers=stacked(jr.split(rest, layers)),
            depth=layers,
            norm=eqx.nn.LayerNorm(dims),
            read=eqx.tree_at(lambda line: line.bias, out, means),
        )

    def latents(
        self, shown: Float[Array, "bin held_in"], key: PRNGKeyArray | None = None
    ) -> Float[Array, "bin dim"]:
        """Of one trial; without a key nothing is dropped."""
        x = jax.vmap(self.embed)(jnp.sqrt(shown)) + self.places
        arrays, rest = eqx.partition(self.layers, eqx.is_array)

        def through(x, one):
            weights, number = one
            own = None if key is None else jr.fold_in(key, number)
            return eqx.combine(weights, rest)(x, own), None

        numbered = (arrays, jnp.arange(self.depth))
        return jax.vmap(self.norm)(jax.lax.scan(through, x, numbered)[0])

    def log_rates(self, latents: Float[Array, "bin dim"]) -> Float[Array, "bin channel"]:
        """Of all channels, held in first."""
        return jnp.clip(jax.vmap(self.read)(latents), -12.0, 6.0)

    def encode(
        self, counts: Num[Numbers, "trial bin held_in"]
    ) -> Float[np.ndarray, "trial bin dim"]:
        """The latents of all trials. Raises ValueError on other bins or channels."""
        return np.asarray(_encode(self, self._shown(counts)), float)

    def rates(
        self, counts: Num[Numbers, "trial bin held_in"]
    ) -> Float[np.ndarray, "trial bin channel"]:
        """What it expects of every channel, held in first, from the held-in counts."""
        return np.exp(np.asarray(_log_rates(self, self._shown(counts)), float))

    def _shown(self, counts) -> Float[Array, "trial bin held_in"]:
        counts = np.asarray(counts, np.float32)
        known = (len(self.places), self.embed.in_features)
        if counts.shape[1:] != known or not np.isfinite(counts).all():
            raise ValueError(
                f"counts have shape {counts.shape}: give trials of {known[0]} bins and "
                f"{known[1]} held-in channels, none missing."
            )
        return jnp.asarray(counts)


class MaskedLoss(eqx.Module):
    """How well hidden bins and held-out channels are filled in."""

    trials: RecordedTrials
    share: float = 0.25  # of the bins, hidden

    def __call__(self, model: MaskedTransformer, key: PRNGKeyArray) -> Float[Array, ""]:
        """Of one batch."""
        draw, drop = jr.split(key)
        batch = self.trials.masked_bins(self.share, draw)
        keys = jr.split(drop, len(batch.counts))
        latents = jax.vmap(model.latents)(batch.shown, keys)
        return poisson_loss(jax.vmap(model.log_rates)(latents), batch)


def fit_masked(
    model: MaskedTransformer,
    trials: RecordedTrials,
    *,
    updates: int,
    learning_rate: float = 1e-3,
    share: float = 0.25,
    key: PRNGKeyArray,
) -> MaskedTransformer:
    """`model` taught to fill in `share` of the bins, at a rate that rises and falls."""
    pace = optax.warmup_cosine_decay_schedule(
        0.0, learning_rate, max(updates // 10, 1), max(updates, 2)
    )
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(pace))
    loss = MaskedLoss(trials, share)
    return descend(model, loss, updates=updates, key=key, optimiser=optimiser).system


@eqx.filter_jit
def _encode(model: MaskedTransformer, shown):
    return jax.vmap(lambda x: model.latents(x))(shown)


@eqx.filter_jit
def _log_rates(model: MaskedTransformer, shown):
    return jax.vmap(lambda x: model.log_rates(model.latents(x)))(shown)
