"""Which few directions do the counts move along? PCA, factor analysis, and what adds nothing.

Factor analysis by maximum likelihood: Barber (2012), Bayesian Reasoning and Machine Learning,
algorithm 21.1.
"""

import equinox as eqx
import numpy as np
import scipy.linalg
import scipy.signal
from jaxtyping import Array, Float, Num, PRNGKeyArray

from slowpoint.core.chance import generator
from slowpoint.recordings.binned import smooth

Numbers = Array | np.ndarray
LEAST = 1e-12  # a channel of smaller SD does not move; a variance of its own is at least that


class Linear(eqx.Module):
    r"""Held-in counts in, latents out: $z = W^\top (\tilde x - \bar x) / s$, frozen.

    $\tilde x$ are the square roots of the counts, each trial smoothed over time.
    """

    mean: Float[np.ndarray, " channel"]
    spread: Float[np.ndarray, " channel"]  # SD; 1 for a channel that never moves
    weights: Float[np.ndarray, "channel dim"]  # W; the latents it was fitted on have SD 1
    width: float = eqx.field(static=True)  # SD of the Gaussian over time, in bins

    def encode(
        self, counts: Num[Numbers, "trial bin channel"]
    ) -> Float[np.ndarray, "trial bin dim"]:
        """The latents of counts of the same channels; NaN in bins where a count is missing."""
        channels = np.shape(counts)[-1]
        if channels != len(self.mean):
            raise ValueError(
                f"The counts have {channels} channels, the model was fitted on "
                f"{len(self.mean)}."
            )
        return (_rooted(counts, self.width) - self.mean) / self.spread @ self.weights


def fit_pca(counts: Num[Numbers, "trial bin channel"], dims: int, width: float = 1.5) -> Linear:
    """The `dims` directions in which channels of equal variance move most, as latents of SD 1.

    Root counts are smoothed by a Gaussian of SD `width` bins. Raises ValueError on more
    dimensions than there are channels that move, or on counts below 0.
    """
    rows, mean, spread = _standardised(counts, width)
    _refuse_dims(dims, rows)
    variances, directions = scipy.linalg.eigh(rows.T @ rows / len(rows))
    weights = directions[:, ::-1][:, :dims] / np.sqrt(variances[::-1][:dims])
    return Linear(mean, spread, weights, width)


def fit_factors(
    counts: Num[Numbers, "trial bin channel"], dims: int, width: float = 1.5, steps: int = 1000
) -> Linear:
    r"""Posterior means of $z \sim N(0, 1)$ in $\tilde x = L z + \epsilon$, as latents of SD 1.

    $\epsilon_n \sim N(0, \psi_n)$: each channel has a noise of its own, by which PCA and this
    differ. At most `steps` steps, until the mean log-likelihood rises by less than 1e-8 nats.
    Raises ValueError as `fit_pca` does.
    """
    rows, mean, spread = _standardised(counts, width)
    _refuse_dims(dims, rows)
    moves = rows.any(axis=0)
    covariance = rows[:, moves].T @ rows[:, moves] / len(rows)
    loadings, noise = _factors(covariance, dims, steps)
    weighted = loadings / noise[:, None]
    inside = weighted @ np.linalg.inv(np.eye(dims) + loadings.T @ weighted)
    size = np.sqrt(np.einsum("nd,nm,md->d", inside, covariance, inside))
    weights = np.zeros((rows.shape[1], dims))
    weights[moves] = inside / size
    return Linear(mean, spread, weights, width)


def _factors(covariance, dims: int, steps: int):
    """Loadings L and own variances psi, found in turns."""
    noise, before = np.ones(len(covariance)), -np.inf
    loadings = np.zeros((len(covariance), dims))
    for _ in range(steps):
        root = np.sqrt(noise)
        values, vectors = scipy.linalg.eigh(covariance / np.outer(root, root))
        top, rest = values[::-1][:dims], values[::-1][dims:]
        loadings = root[:, None] * vectors[:, ::-1][:, :dims] * np.sqrt(np.maximum(top - 1, 0))
        gain = -0.5 * (np.log(np.maximum(top, 1)).sum() + rest.sum() + np.log(noise).sum())
        noise = np.maximum(np.diag(covariance) - (loadings**2).sum(axis=1), LEAST)
        if gain - before < 1e-8:
            break
        before = gain
    return loadings, noise


def independent_latents(
    trials: int, bins: int, dims: int, *, coefficient: float = 0.9, key: PRNGKeyArray
) -> Float[np.ndarray, "trial bin dim"]:
    """Stationary AR(1) processes of variance 1 that know nothing of any recording.

    Appended to latents they are pure extraneous dynamics. Raises ValueError when `coefficient`
    is not within -1 and 1.
    """
    if not abs(coefficient) < 1:
        raise ValueError(f"coefficient is {coefficient:g}: an AR(1) needs one within -1 and 1.")
    noise = generator(key).standard_normal((trials, bins, dims))
    noise[:, 1:] *= np.sqrt(1 - coefficient**2)
    return np.asarray(scipy.signal.lfilter([1.0], [1.0, -coefficient], noise, axis=1))


def _rooted(counts, width: float) -> Float[np.ndarray, "trial bin channel"]:
    counts = np.asarray(counts, float)
    if (counts < 0).any():
        raise ValueError(f"counts hold {np.nanmin(counts):g}: give spikes per bin, 0 or more.")
    return smooth(np.sqrt(counts), width)


def _standardised(counts, width: float):
    """Rows without missing bins, each channel of mean 0 and SD 1 (0 if it never moves)."""
    rows = _rooted(counts, width).reshape(-1, np.shape(counts)[-1])
    rows = rows[~np.isnan(rows).any(axis=1)]
    mean, spread = rows.mean(axis=0), rows.std(axis=0)
    spread = np.where(spread > LEAST, spread, 1.0)
    rows = np.where(rows.std(axis=0) > LEAST, (rows - mean) / spread, 0.0)
    return rows, mean, spread


def _refuse_dims(dims: int, rows) -> None:
    moving = int(rows.any(axis=0).sum())
    if not 1 <= dims <= min(moving, len(rows) - 1):
        raise ValueError(
            f"{dims} dimensions were asked of {moving} channels that move, in {len(rows)} bins."
        )
