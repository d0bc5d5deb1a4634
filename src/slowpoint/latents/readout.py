"""How are spikes read out of latents that were not made for them?

Dabholkar and Barak (2024), arXiv 2405.14425: a readout is fitted to few trials, the latents
stay as they are. It sees one bin at a time.
"""

import abc
from collections.abc import Iterable, Iterator

import equinox as eqx
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num

from slowpoint.latents.poisson_glm import poisson_glm

Numbers = Array | np.ndarray
LEAST = 1e-3  # exact fits of coins keep this far from 0 and 1
UPDATES = 100  # of the exact fit


class Fitted(eqx.Module):
    """A readout whose weights are found."""

    converged: eqx.AbstractVar[Bool[np.ndarray, " channel"]]
    silent: eqx.AbstractVar[Bool[np.ndarray, " channel"]]  # no spike in what it was fitted to

    @abc.abstractmethod
    def predict(
        self, z: Float[Numbers, "*bins dim"]
    ) -> tuple[Float[np.ndarray, "*bins channel"], Bool[np.ndarray, "*bins channel"]]:
        """`(rates, bounded)`: expected counts per bin, and where a bound decided them."""

    def rates(self, z: Float[Numbers, "*bins dim"]) -> Float[np.ndarray, "*bins channel"]:
        """Expected counts per bin; NaN where a latent is."""
        return self.predict(z)[0]


class Readout(eqx.Module):
    """How rates follow from latents, and how that is learned."""

    binary: eqx.AbstractVar[bool]  # counts are 0 and 1

    @abc.abstractmethod
    def fits(
        self,
        z: Float[Numbers, "trial bin dim"],
        counts: Num[Numbers, "..."],
        draws: Iterable[Int[np.ndarray, " k"]],
    ) -> Iterator[Fitted]:
        """One fit per draw, each to the trials that the draw names.

        Latents are (trials, bins, dims), counts (trials, bins, channels), NaN where missing.
        What needs no counts (mean and spread of the latents) is taken from all trials. Raises
        ValueError on latents and counts of different trials or bins, latents that are not
        finite at a count, and counts that cannot occur.
        """

    def fit(self, z: Float[Numbers, "trial bin dim"], counts: Num[Numbers, "..."]) -> Fitted:
        """The fit to all trials. Raises ValueError as `fits` does."""
        return next(iter(self.fits(z, counts, [np.arange(len(counts))])))


class PoissonReadout(Readout):
    r"""$r = e^{w \cdot z + b}$, weights w penalised with $\alpha |w|^2 / 2$ per bin.

    Latents are scaled to mean 0 and spread 1 first, else $\alpha$ would mean something else for
    every model; `standardize=False` leaves them. A rate is bounded by what the channel did in
    the trials of the fit: from half a spike in all its bins to `margin` times its largest
    count. Few trials and many latents leave weights without limit (4 trials and 48 latents of
    a monkey gave -6e4 bits per spike).
    """

    alpha: float = 1e-3
    standardize: bool = True
    margin: float = 2.0
    binary: bool = eqx.field(static=True, default=False, init=False)

    def __check_init__(self):
        if not self.alpha >= 0 or not self.margin >= 1:
            raise ValueError(
                f"alpha={self.alpha}, margin={self.margin}: give a penalty of 0 or more and a "
                "margin of 1 or more (infinity: rates know no upper bound)."
            )

    def fits(self, z, counts, draws):
        """Newton's method to a step of 1e-8, all channels at once."""
        z, counts = checked(z, counts)
        wrong = counts[~np.isnan(counts) & ((counts < 0) | (counts != np.floor(counts)))]
        if wrong.size:
            raise ValueError(f"counts hold {wrong[0]:g}: give spikes per bin, 0, 1, 2 ...")
        shift, scale = np.zeros(z.shape[-1]), np.ones(z.shape[-1])
        if self.standardize:
            rows = z[~np.isnan(counts).all(axis=-1)]
            shift, scale = rows.mean(axis=0), rows.std(axis=0)
            flat = scale <= 1e-12 * np.abs(rows).max(axis=0, initial=0)
            scale = np.where(flat, 1.0, scale)
        for trials in draws:
            rows, y = seen_rows(z, counts, trials)
            yield self._fitted((rows - shift) / scale, y, shift, scale)

    def _fitted(self, z, y, shift, scale) -> "PoissonFit":
        glm = poisson_glm(z, y, self.alpha)
        weights = glm.weights / scale[:, None]
        spikes = np.nansum(y, axis=0)
        low = np.log(0.5 / np.maximum((~np.isnan(y)).sum(axis=0), 1))
        most = np.fmax.reduce(y, axis=0, initial=0.0)
        top = np.where(spikes > 0, np.log(np.maximum(most, 1.0)) + np.log(self.margin), low)
        return PoissonFit(
            weights, glm.intercepts - shift @ weights, low, top, glm.converged, spikes == 0
        )


class PoissonFit(Fitted):
    """Weights on the latents as they came, and the bounds of each channel."""

    weights: Float[np.ndarray, "dim channel"]
    intercepts: Float[np.ndarray, " channel"]
    low: Float[np.ndarray, " channel"]  # of the logarithm of a rate
    high: Float[np.ndarray, " channel"]
    converged: Bool[np.ndarray, " channel"]
    silent: Bool[np.ndarray, " channel"]

    def predict(self, z):
        """Bounded everywhere where the channel was silent."""
        eta = np.asarray(z, float) @ self.weights + self.intercepts
        inside = np.clip(eta, self.low, self.high)
        with np.errstate(over="ignore"):  # only where `margin` is infinite
            rates = np.exp(inside)
        return rates, (inside != eta) & ~np.isnan(eta) | self.silent


class BernoulliReadout(Readout):
    r"""$r = \sum_m \xi_m B_m$ of latents $\xi$ that are probabilities of states.

    One M-step: $B_m = (\sum \xi_m x + c) / (\sum \xi_m + 2c)$, c the `prior`: the mean of
    Beta(c, c). With `exact` the most likely B, by 100 steps of EM from there, kept within
    [1e-3, 1 - 1e-3]; it follows few trials much more closely, and predicts worse.
    """

    prior: float = 0.0
    exact: bool = False
    binary: bool = eqx.field(static=True, default=True, init=False)

    def __check_init__(self):
        if not self.prior >= 0:
            raise ValueError(f"prior={self.prior}: give a pseudo-count of 0 or more.")

    def fits(self, z, counts, draws):
        """Raises ValueError also on latents that are no probabilities."""
        z, counts = checked(z, counts)
        wrong = counts[~np.isnan(counts) & (counts != 0) & (counts != 1)]
        if wrong.size:
            raise ValueError(f"counts hold {wrong[0]:g}: give 0 and 1, spike or none.")
        rows = z[~np.isnan(counts).all(axis=-1)]
        if rows.min(initial=0) < -1e-9 or np.abs(rows.sum(axis=-1) - 1).max(initial=0) > 1e-6:
            raise ValueError(
                "These latents are no probabilities of states: in some bin one is below 0 or "
                "their sum is not 1. Use PoissonReadout, or give posteriors."
            )
        for trials in draws:
            yield self._fitted(*seen_rows(z, counts, trials))

    def _fitted(self, xi, x) -> "BernoulliFit":
        spikes = np.nansum(x, axis=0)
        seen = ~np.isnan(x)
        ones, n = np.where(seen, x, 0.0), np.maximum(seen.sum(axis=0), 1)
        zeros = seen - ones
        weight = xi.T @ seen + 2 * self.prior
        mean = (spikes + self.prior) / (n + 2 * self.prior)  # of a state that never was
        with np.errstate(invalid="ignore", divide="ignore"):
            b = np.where(weight > 0, (xi.T @ ones + self.prior) / weight, mean)
        if self.exact:
            b = np.clip(b, LEAST, 1 - LEAST)
            for _ in range(UPDATES):
                rate = xi @ b
                up = b * (xi.T @ (ones / rate)) + self.prior
                down = (1 - b) * (xi.T @ (zeros / (1 - rate))) + self.prior
                total = up + down
                b = np.where(total > 0, up / np.where(total > 0, total, 1.0), b)
                b = np.clip(b, LEAST, 1 - LEAST)
        return BernoulliFit(b, np.ones(len(n), bool), spikes == 0)


class BernoulliFit(Fitted):
    """The probability of a spike of each channel in each state."""

    emissions: Float[np.ndarray, "state channel"]
    converged: Bool[np.ndarray, " channel"]
    silent: Bool[np.ndarray, " channel"]

    def predict(self, z):
        """Bounded where the channel was silent: its probability may be 0."""
        rates = np.asarray(z, float) @ self.emissions
        return rates, np.broadcast_to(self.silent, rates.shape).copy()


def checked(z, counts) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64. Raise ValueError when they are not of the same bins."""
    z, counts = np.asarray(z, float), np.asarray(counts, float)
    if z.ndim != 3 or counts.ndim != 3 or z.shape[:2] != counts.shape[:2]:
        raise ValueError(
            f"latents have shape {z.shape}, counts {counts.shape}: give (trials, bins, dims) "
            "and (trials, bins, channels) of the same trials and bins."
        )
    seen = ~np.isnan(counts).all(axis=-1)
    if lost := int((~np.isfinite(z[seen])).any(axis=-1).sum()):
        raise ValueError(
            f"latents are not finite in {lost} bins that have counts: give numbers there, or "
            "NaN counts."
        )
    return z, counts


def seen_rows(z, counts, trials) -> tuple[np.ndarray, np.ndarray]:
    """`(latents, counts)` of the bins of these trials in which something was counted."""
    z, counts = z[trials], counts[trials]
    seen = ~np.isnan(counts).all(axis=-1)
    return z[seen], counts[seen]
