"""How well do latents predict other neurons, when only k trials may teach the readout?

Dabholkar and Barak (2024), arXiv 2405.14425: models of equal co-smoothing differ in this score,
and those with dynamics of their own score lower. Latents are plain arrays, of any model.
"""

import abc
from collections.abc import Sequence

import equinox as eqx
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Integer, Num, PRNGKeyArray

from slowpoint.analysis.bits_per_spike import (
    Bernoulli,
    bits_per_spike,
    BitsPerSpike,
    Family,
    Poisson,
)
from slowpoint.core.chance import generator
from slowpoint.core.result import Result
from slowpoint.latents.readout import checked, Fitted, Readout

Numbers = Array | np.ndarray


class Scheme(eqx.Module):
    """Which trials teach the readout."""

    @abc.abstractmethod
    def draw(self, trials: int, k: int, key: PRNGKeyArray) -> Int[np.ndarray, "draw k"]:
        """Indices below `trials`, k in a row. The same key gives every model the same."""


class Random(Scheme):
    """Without replacement, anew for every draw. A draw of more trials contains one of fewer."""

    draws: int = 8

    def __check_init__(self):
        if self.draws < 1:
            raise ValueError(f"draws={self.draws}: give at least 1.")

    def draw(self, trials, k, key):
        """Shape (draws, k)."""
        chance = generator(key)
        return np.stack([chance.permutation(trials)[:k] for _ in range(self.draws)])


class Disjoint(Scheme):
    """Consecutive trials, as many draws as fit (the paper's choice for recordings).

    A recording that drifts biases it: the trials of a draw are neighbours.
    """

    def draw(self, trials, k, key):
        """Shape (trials // k, k); the key is not used."""
        del key
        draws = trials // k
        return np.arange(draws * k).reshape(draws, k)


class FewShot(Result):
    """Bits per spike of the test trials for each k and draw; NaN past the draws of a k.

    A score that is not finite is kept, and makes its mean so: `finite` says where.
    """

    k: Int[np.ndarray, " k"]  # trials that taught the readout
    draws: Int[np.ndarray, " k"]
    scores: Float[np.ndarray, "k draw"]
    mean: Float[np.ndarray, " k"]  # Q_k
    sem: Float[np.ndarray, " k"]  # of the mean over draws; NaN of a single one
    clipped: Float[np.ndarray, "k draw"]  # share of the scored rates that a bound decided
    unconverged: Float[np.ndarray, "k draw"]  # channels whose fit was stopped
    untaught: Float[np.ndarray, "k draw"]  # channels without a spike in the k trials
    dropped: Bool[np.ndarray, " channel"]  # without a spike in the scored data: in no score
    finite: Bool[np.ndarray, "k draw"]

    @property
    def says(self) -> str:
        """What to know before the scores are read, in words; empty when nothing is."""
        words = []
        if self.dropped.any():
            names = ", ".join(map(str, np.flatnonzero(self.dropped)))
            words.append(f"Channels {names} have no spike in the scored data and are left out.")
        if np.nansum(self.untaught):
            words.append("Some channels have no spike in the k trials: a bound is their rate.")
        if stopped := int(np.nansum(self.unconverged)):
            words.append(f"{stopped} fits were stopped before they converged.")
        if wrong := int((~self.finite & ~np.isnan(self.clipped)).sum()):
            words.append(f"{wrong} scores are not finite.")
        return " ".join(words)

    def __str__(self) -> str:
        rows = zip(self.k, self.mean, self.sem, self.draws, np.nanmean(self.clipped, axis=1))
        lines = ["    k  bits/spike     s.e.m.  draws  bounded"]
        lines += [
            f"{k:5d}  {q:10.4f}  {e:9.4f}  {n:5d}  {100 * c:6.2f}%" for k, q, e, n, c in rows
        ]
        return "\n".join([*lines, *filter(None, [self.says])])


def few_shot(
    z_train: Float[Numbers, "trial bin dim"],
    x_train: Num[Numbers, "..."],
    z_test: Float[Numbers, "..."],
    x_test: Num[Numbers, "..."],
    *,
    readout: Readout,
    k: int | Sequence[int],
    key: PRNGKeyArray,
    scheme: Scheme = Random(),
) -> FewShot:
    r"""$Q_k = \frac1s \sum_r Q(g_r(Z))$, the readout $g_r$ fitted to k training trials.

    Latents are (trials, bins, dims), counts (trials, bins, channels). `k` is one number of
    trials or several. Every draw is scored on all test trials, as
    `bits_per_spike` does. Counts of NaN are missing, as in trials of different length. The
    same key and the same number of training trials give every model the same draws: compare
    models pair by pair. Raises ValueError on shapes that disagree, a k below 1 or above the
    training trials, latents that are not finite at a count, and counts that cannot occur.
    """
    z_train, x_train = checked(z_train, x_train)
    z_test, x_test = checked(z_test, x_test)
    _same_rest(z_train, z_test, "latents", "dims")
    _same_rest(x_train, x_test, "counts", "channels")
    sizes = _sizes(k, len(x_train))
    sets = [scheme.draw(len(x_train), size, key) for size in sizes]
    counts = np.array([len(draws) for draws in sets])
    found = np.full((4, len(sizes), counts.max()), np.nan)
    for i, draws in enumerate(sets):
        for j, fitted in enumerate(readout.fits(z_train, x_train, draws)):
            found[:, i, j] = _scored(fitted, readout, z_test, x_test)
    scores, clipped, unconverged, untaught = found
    mean, sem = zip(*[_mean(row[:n]) for row, n in zip(scores, counts)])
    return FewShot(
        k=np.array(sizes),
        draws=counts,
        scores=scores,
        mean=np.array(mean),
        sem=np.array(sem),
        clipped=clipped,
        unconverged=unconverged,
        untaught=untaught,
        dropped=np.nansum(x_test, axis=(0, 1)) == 0,
        finite=np.isfinite(scores),
    )


def co_smoothing(
    z_train: Float[Numbers, "trial bin dim"],
    x_train: Num[Numbers, "..."],
    z_test: Float[Numbers, "..."],
    x_test: Num[Numbers, "..."],
    *,
    readout: Readout,
) -> BitsPerSpike:
    """Q_co with the readout fitted to all training trials, scored on the test trials.

    Where a model has rates of its own, their score is `bits_per_spike(rates, x_test)`: say
    which of the two is meant. Raises ValueError as `few_shot` does.
    """
    z_test, x_test = checked(z_test, x_test)
    fitted = readout.fit(z_train, x_train)
    _same_rest(np.asarray(z_train), z_test, "latents", "dims")
    _same_rest(np.asarray(x_train), x_test, "counts", "channels")
    return bits_per_spike(fitted.rates(z_test), x_test, family=family_of(readout))


def target_channels(
    counts: Num[Numbers, "trial bin channel"],
    held_in: Integer[Numbers, " held_in"],
    targets: Integer[Numbers, " target"],
) -> Num[np.ndarray, "trial bin target"]:
    """The counts of the channels to be predicted.

    Raises ValueError when a target is also held in (the latents have seen it), appears twice
    or does not exist.
    """
    counts, held_in, targets = map(np.asarray, (counts, held_in, targets))
    channels = counts.shape[-1]
    for name, asked in (("held_in", held_in), ("targets", targets)):
        wrong = asked[(asked < 0) | (asked >= channels)]
        if wrong.size or len(set(asked.tolist())) < len(asked):
            which = f"{wrong[0]}" if wrong.size else "one twice"
            raise ValueError(
                f"{name} names channel {which}: give each of 0 to {channels - 1} at most once."
            )
    if both := sorted(set(held_in.tolist()) & set(targets.tolist())):
        raise ValueError(
            f"Channels {', '.join(map(str, both))} are held in and targets: the latents have "
            "seen what they are to predict. Give each to one side."
        )
    return counts[..., targets]


def family_of(readout: Readout) -> Family:
    """How counts scatter about what this readout says."""
    return Bernoulli() if readout.binary else Poisson()


def _scored(fitted: Fitted, readout: Readout, z, x) -> tuple[float, float, int, int]:
    """`(score, share bounded, fits stopped, channels untaught)` of one draw."""
    rates, bounded = fitted.predict(z)
    score = bits_per_spike(rates, x, family=family_of(readout))
    seen = ~np.isnan(x) & ~score.silent
    moved = rates != family_of(readout).clip(rates)
    share = ((bounded | moved) & seen).sum() / seen.sum()
    return score.pooled, share, int((~fitted.converged).sum()), int(fitted.silent.sum())


def _mean(scores) -> tuple[float, float]:
    """`(mean, its standard error)`; both not finite where a score is not."""
    with np.errstate(invalid="ignore", over="ignore"):
        spread = scores.std(ddof=1) if len(scores) > 1 else np.nan
        return scores.mean(), spread / np.sqrt(len(scores))


def _sizes(k, trials: int) -> list[int]:
    sizes = [k] if np.ndim(k) == 0 else list(k)
    for size in sizes:
        if size != int(size) or not 1 <= size <= trials:
            raise ValueError(
                f"k={size}: there are {trials} training trials. Give whole numbers from 1 to "
                f"{trials}."
            )
    if not sizes:
        raise ValueError("k names no number of trials: give at least one.")
    return [int(size) for size in sizes]


def _same_rest(train, test, what: str, axis: str) -> None:
    if train.shape[-1] != test.shape[-1]:
        raise ValueError(
            f"{what} of training have shape {train.shape}, of test {test.shape}: the number of "
            f"{axis}, the last, must agree."
        )
