"""Which of a few hidden states is a recording in? Hidden Markov models, fitted by EM.

Rabiner (1989), Proc. IEEE 77, 257; as students and teachers of co-smoothing: Dabholkar and
Barak (2024), arXiv 2405.14425.
"""

from collections.abc import Sequence
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Integer, Num, PRNGKeyArray

from slowpoint.core.chance import generator
from slowpoint.core.precision import float64
from slowpoint.core.result import Result
from slowpoint.latents.emissions import BernoulliEmissions, Emissions, PoissonEmissions
from slowpoint.latents.forward_backward import Counts, Expected, expected

Numbers = Array | np.ndarray
E = TypeVar("E", bound=Emissions)


class Smoothed(Result):
    """The states of every bin, given the held-in counts of the whole trial."""

    posteriors: Float[np.ndarray, "trial bin state"]  # rows add up to 1
    log_likelihood: Float[np.ndarray, " trial"]  # of the held-in counts, nats


class HMM(eqx.Module):
    """A state that moves from bin to bin at random, and counts that depend on it alone."""

    start: Float[Numbers, " state"]  # probabilities in the first bin
    transitions: Float[Numbers, "state state"]  # from row to column
    emissions: Emissions

    def __check_init__(self):
        for name, table in (("start", self.start), ("transitions", self.transitions)):
            table = np.asarray(table)
            if (table < 0).any() or np.abs(table.sum(axis=-1) - 1).max() > 1e-6:
                raise ValueError(
                    f"{name} must hold probabilities that add up to 1 in each row."
                )
        means, states = np.asarray(self.emissions.means), len(self.start)
        if len(means) != states or not np.isfinite(means).all() or (means < 0).any():
            raise ValueError(
                f"emissions have shape {means.shape}, smallest mean {means.min():g}: give one "
                f"row of finite means for each of {states} states."
            )

    @property
    def channels(self) -> int:
        """How many channels the model speaks of."""
        return self.emissions.means.shape[1]

    def sample(
        self, trials: int, bins: int, *, key: PRNGKeyArray
    ) -> tuple[Int[np.ndarray, "trial bin"], Float[np.ndarray, "trial bin channel"]]:
        """`(states, counts)` of so many trials."""
        chance = generator(key)
        steps = np.cumsum(np.asarray(self.transitions), axis=1)
        states = np.empty((trials, bins), int)
        ladder = np.broadcast_to(np.cumsum(np.asarray(self.start)), (trials, len(self.start)))
        for t in range(bins):
            above = ladder < chance.random((trials, 1)) * ladder[:, -1:]
            states[:, t] = above.sum(axis=1)
            ladder = steps[states[:, t]]
        return states, self.emissions.drawn(states, chance)

    def smooth(
        self,
        counts: Num[Numbers, "trial bin channel"],
        channels: Sequence[int] | Integer[Numbers, " held_in"] | None = None,
    ) -> Smoothed:
        """The posteriors of the states from `channels` alone (all of them if None), or NaN.

        `counts` hold all channels of the model; NaN is missing. Raises ValueError on counts
        that cannot occur, or other channels.
        """
        kept = self._kept(channels)
        x = np.asarray(counts, float)
        if x.shape[2] != self.channels:
            raise ValueError(f"Counts have {x.shape[2]} channels, the model {self.channels}.")
        x = x[:, :, kept]
        with float64():
            means = jnp.asarray(np.asarray(self.emissions.means, float)[:, kept])
            part = type(self.emissions)(means)
            refuse_counts(x, part)
            found = _expected(*_tables(self), part, given(x))
            posteriors = np.moveaxis(np.asarray(found.posteriors), 0, 1)
            return Smoothed(posteriors, np.asarray(found.log_likelihood))

    def rates(
        self, posteriors: Float[Numbers, "trial bin state"]
    ) -> Float[np.ndarray, "trial bin channel"]:
        """Expected counts per bin of all channels."""
        return np.asarray(posteriors) @ np.asarray(self.emissions.means)

    def _kept(self, channels) -> Int[np.ndarray, " held_in"]:
        kept = np.arange(self.channels) if channels is None else np.asarray(channels)
        if kept.size and (kept.min() < 0 or kept.max() >= self.channels):
            raise ValueError(
                f"channels run from {kept.min()} to {kept.max()}: the model has "
                f"{self.channels}, counted from 0."
            )
        return kept.astype(int)


class Fit(eqx.Module):
    """A model after EM, and how well it did on the way."""

    model: HMM
    objective: Float[np.ndarray, " update"]  # log-likelihood and log prior, before each update
    log_likelihood: float  # of all counts under the model, nats


def random_start(
    counts: Num[Numbers, "trial bin channel"],
    states: int,
    emissions: type[E] = BernoulliEmissions,
    *,
    key: PRNGKeyArray,
) -> HMM:
    """Where EM may begin: rows ~ Dirichlet(1), means = those of the channels and some noise.

    Coins: mean + .2 N(0, 1), within .05 and .95; Poisson: the mean times exp(.2 N(0, 1)).
    """
    chance = generator(key)
    mean = np.nanmean(np.asarray(counts, float), axis=(0, 1))
    noise = 0.2 * chance.standard_normal((states, len(mean)))
    if issubclass(emissions, PoissonEmissions):
        means = mean * np.exp(noise)
    else:
        means = np.clip(mean + noise, 0.05, 0.95)
    start = chance.dirichlet(np.ones(states))
    return HMM(start, chance.dirichlet(np.ones(states), size=states), emissions(means))


def fit_em(
    model: HMM,
    counts: Num[Numbers, "trial bin channel"],
    *,
    updates: int = 150,
    pseudo_count: float = 0.1,
) -> Fit:
    """`model` taught by `updates` of expectation and maximisation; NaN counts are missing.

    Each table is learned as if `pseudo_count` more had been seen of everything; the objective,
    with that prior, never falls. Raises ValueError on counts that cannot occur.
    """
    x = np.asarray(counts, float)
    if x.shape[2] != model.channels:
        raise ValueError(f"Counts have {x.shape[2]} channels, the model {model.channels}.")
    refuse_counts(x, model.emissions)
    if updates < 1 or not pseudo_count >= 0:
        raise ValueError(
            f"updates is {updates}, pseudo_count {pseudo_count:g}: give 1 or more, "
            "and 0 or more."
        )
    with float64():
        means = jnp.asarray(np.asarray(model.emissions.means, float))
        first = (*_tables(model), type(model.emissions)(means).clipped())
        found = _em(first, given(x), jnp.asarray(float(pseudo_count)), updates)
        (start, transitions, emissions), objective, total = found
        learned = type(emissions)(np.asarray(emissions.means))
        fitted = HMM(np.asarray(start), np.asarray(transitions), learned)
        return Fit(fitted, np.asarray(objective), float(total))


def clocked(teacher: HMM, states: int, dose: float) -> HMM:
    r"""`teacher` beside a clock of `states` states that no channel sees.

    With the dose $\lambda$ from 0 (every hand at random) to 1 (it begins at 0 and ticks round):
    start $(1-\lambda)/R + \lambda e_0$, transitions $(1-\lambda)/R + \lambda$ ring. Predictions
    do not depend on R or $\lambda$; only the extraneous dynamics grow. State m of the teacher
    and r of the clock are state m R + r. Raises ValueError on a dose outside 0 and 1.
    """
    if states < 1 or not 0 <= dose <= 1:
        raise ValueError(f"A clock of {states} states and dose {dose:g}: give >= 1, 0 to 1.")
    first, ring = np.eye(states)[0], np.roll(np.eye(states), 1, axis=1)
    start = (1 - dose) / states + dose * first
    transitions = (1 - dose) / states + dose * ring
    means = np.repeat(np.asarray(teacher.emissions.means), states, axis=0)
    return HMM(
        np.kron(np.asarray(teacher.start), start),
        np.kron(np.asarray(teacher.transitions), transitions),
        type(teacher.emissions)(means),
    )


def given(x: Float[np.ndarray, "trial bin channel"]) -> Counts:
    """Counts as `expected` takes them. Call it inside `float64`."""
    x = np.moveaxis(x, 1, 0)
    lost = np.isnan(x)
    seen = jnp.asarray((~lost).astype(float)) if lost.any() else None
    return Counts(jnp.asarray(np.where(lost, 0.0, x)), seen)


def refuse_counts(x: Float[np.ndarray, "trial bin channel"], emissions: Emissions) -> None:
    """Raise ValueError on a count that cannot occur."""
    there = x[~np.isnan(x)]
    if (wrong := there[~emissions.possible(there)]).size:
        raise ValueError(
            f"counts hold {wrong[0]:g}, which {type(emissions).__name__} cannot give. Give "
            "spikes per bin, NaN where there is no recording."
        )


def _tables(model: HMM) -> tuple[Array, Array]:
    tables = model.start, model.transitions
    return tuple(jnp.asarray(np.asarray(table, float)) for table in tables)  # pyright: ignore


@eqx.filter_jit
def _expected(start, transitions, emissions, counts) -> Expected:
    return expected(start, transitions, emissions.clipped(), counts)


@eqx.filter_jit
def _em(first, counts: Counts, pseudo_count, updates: int):
    """The tables after so many updates, the objective before each, the last likelihood."""

    def objective(tables, found):
        start, transitions, emissions = tables
        logs = jnp.log(start).sum() + jnp.log(transitions).sum()
        prior = jnp.where(pseudo_count > 0, pseudo_count * logs, 0.0)
        return found.log_likelihood.sum() + prior + emissions.penalty(pseudo_count)

    def update(tables, _):
        start, transitions, emissions = tables
        found = expected(start, transitions, emissions, counts)
        flat = found.posteriors.reshape(-1, found.posteriors.shape[-1])
        channels = counts.x.shape[-1]
        spikes = flat.T @ counts.x.reshape(-1, channels)
        if counts.seen is None:
            bins = jnp.broadcast_to(flat.sum(axis=0)[:, None], spikes.shape)
        else:
            bins = flat.T @ counts.seen.reshape(-1, channels)
        start = found.posteriors[0].sum(axis=0) + pseudo_count
        moves = found.moves + pseudo_count
        after = (
            start / start.sum(),
            moves / moves.sum(axis=1, keepdims=True),
            emissions.learned(spikes, bins, pseudo_count),
        )
        return after, objective(tables, found)

    tables, rising = jax.lax.scan(update, first, length=updates)
    return tables, rising, expected(*tables, counts).log_likelihood.sum()
