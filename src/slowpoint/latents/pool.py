"""Many different models of one recording, to be compared: who is in the pool?"""

from collections.abc import Iterator

import equinox as eqx
import jax.random as jr
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from slowpoint.core.chance import generator
from slowpoint.latents.autoencoder import Autoencoder, fit_autoencoder
from slowpoint.latents.emissions import PoissonEmissions
from slowpoint.latents.hmm import fit_em, random_start
from slowpoint.latents.masked import fit_masked, MaskedTransformer
from slowpoint.latents.recorded_trials import RecordedTrials
from slowpoint.latents.reduce import fit_factors, fit_pca


class Parts(eqx.Module):
    """A recording in parts; `train` marks the trials to learn from."""

    held_in: Float[np.ndarray, "trial bin held_in"]
    held_out: Float[np.ndarray, "trial bin held_out"]
    train: np.ndarray  # of bool, one per trial

    def taught(self) -> tuple[np.ndarray, np.ndarray]:
        """Held-in and held-out counts of the training trials."""
        return self.held_in[self.train], self.held_out[self.train]


class Member(eqx.Module):
    """One model of the pool."""

    kind: str
    name: str
    latents: Float[np.ndarray, "trial bin dim"]  # of all trials, from held-in counts alone


def components(parts: Parts, dims: tuple[int, ...], width: float = 1.5) -> Iterator[Member]:
    """Principal components of so many dimensions."""
    for d in dims:
        model = fit_pca(parts.taught()[0], d, width)
        yield Member("PCA", f"PCA {d}", model.encode(parts.held_in))


def factors(parts: Parts, dims: tuple[int, ...], width: float = 1.5) -> Iterator[Member]:
    """Factors of so many dimensions."""
    for d in dims:
        model = fit_factors(parts.taught()[0], d, width)
        yield Member("factors", f"factors {d}", model.encode(parts.held_in))


def markov(
    parts: Parts, states: tuple[int, ...], updates: int, *, key: PRNGKeyArray
) -> Iterator[Member]:
    """Poisson hidden Markov models of so many states, taught held-in and held-out channels."""
    counts = np.concatenate(parts.taught(), axis=2)
    nothing = np.zeros_like(parts.held_out)
    seen = np.arange(parts.held_in.shape[2])
    for m, own in zip(states, jr.split(key, max(len(states), 1))):
        start = random_start(counts, m, PoissonEmissions, key=own)
        model = fit_em(start, counts, updates=updates).model
        shown = np.concatenate([parts.held_in, nothing], axis=2)
        yield Member("HMM", f"HMM {m}", model.smooth(shown, seen).posteriors)


def transformers(
    parts: Parts, number: int, updates: int, *, key: PRNGKeyArray
) -> Iterator[Member]:
    """Masked transformers whose width, depth, dropout and learning rate are drawn at random.

    8 to 32 dimensions, 1 to 4 layers, dropout 0 to .6, rate 3e-4 to 1e-2 (logarithmic).
    """
    trials = RecordedTrials.of(*parts.taught())
    draw, *keys = jr.split(key, number + 1)
    chance = generator(draw)
    for i, own in enumerate(keys):
        begin, learn = jr.split(own)
        dims, layers = int(chance.choice([8, 12, 16, 24, 32])), int(chance.integers(1, 5))
        dropout, rate = chance.uniform(0, 0.6), 10 ** chance.uniform(-3.5, -2)
        model = MaskedTransformer.random(trials, dims, layers, dropout, key=begin)
        fit = fit_masked(model, trials, updates=updates, learning_rate=rate, key=learn)
        name = f"masked {i}: {dims} dims, {layers} layers, dropout {dropout:.2f}"
        yield Member("masked", name, fit.encode(parts.held_in))


def autoencoders(
    parts: Parts, dims: tuple[int, ...], updates: int, *, key: PRNGKeyArray
) -> Iterator[Member]:
    """Sequential autoencoders of so many factors."""
    trials = RecordedTrials.of(*parts.taught())
    for d, own in zip(dims, jr.split(key, max(len(dims), 1))):
        begin, learn = jr.split(own)
        model = Autoencoder.random(trials, d, 48, key=begin)
        fit = fit_autoencoder(model, trials, updates=updates, key=learn)
        yield Member("autoencoder", f"autoencoder {d}", fit.encode(parts.held_in))
