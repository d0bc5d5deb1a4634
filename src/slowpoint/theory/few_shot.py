r"""What does a readout cost that only few trials may teach?

Three small models of Dabholkar and Barak (2024), arXiv 2405.14425, in closed form, and one law
for any latents that contains the first: a readout of M free numbers, taught by n samples, loses
M/2n nats a sample against the best. Only states that can be told apart count.
"""

import numpy as np
from jaxtyping import Array, Float, Num
from scipy.special import erfc, xlogy

Numbers = Array | np.ndarray


def coin_log_likelihood(
    rate: float, states: int, samples: Num[Numbers, "*k"]
) -> Float[np.ndarray, "*k"]:
    r"""$L^* - M/2k$, $L^* = B^* \ln B^* + (1 - B^*) \ln(1 - B^*)$, nats a sample.

    A coin of probability `rate`, read out of M `states` that say nothing about it and are
    equally often visited, from k `samples`. To first order in M/k.
    """
    best = xlogy(rate, rate) + xlogy(1 - rate, 1 - rate)
    return np.asarray(best - states / (2 * np.asarray(samples, float)))


def least_squares_error(
    samples: Num[Numbers, "*k"], extra: int, noise: float, spread: float
) -> Float[np.ndarray, "*k"]:
    r"""Squared error, less $\sigma^2$, of the shortest least-squares readout of x from [x, n].

    n are M `extra` latents of SD `spread` ($\sigma_e$) that know nothing, x has SD 1, targets
    are x with `noise` $\sigma$. With $\gamma = (M+1)/k$: $\sigma^2 \gamma/(1-\gamma)$ below 1;
    $[1 + 1/(\gamma-1)] / [1 + 1/((\gamma-1)\sigma_e^2)]^2 + \sigma^2/(\gamma-1)$ above;
    infinite at 1. For large M and k; poor for $\sigma_e \ll 1$.
    """
    gamma = (extra + 1) / np.asarray(samples, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        many = noise**2 * gamma / (1 - gamma)
        over = gamma - 1
        missed = (1 + 1 / over) / (1 + 1 / (over * spread**2)) ** 2
        few = missed + noise**2 / over
    return np.where(gamma < 1, many, np.where(gamma > 1, few, np.inf))


def prototype_error(
    samples: Num[Numbers, "*k"], dims: int, spread: float
) -> Float[np.ndarray, "*k"]:
    r"""$\frac12 \mathrm{erfc}(s/\sqrt2)$ with
    $s = \sigma_e^{-2} / \sqrt{1/(Mm) + 1/(Mm^2)}$, $m = k/2$: share of wrong answers.

    Two classes at $\pm e_0/\sqrt2$, each with noise of its own in M `dims` of SD
    $\sigma_e/\sqrt M$, told apart by the nearer mean of m examples of each.
    """
    m = np.asarray(samples, float) / 2
    signal = spread**-2 / np.sqrt(1 / (dims * m) + 1 / (dims * m**2))
    return np.asarray(erfc(signal / np.sqrt(2)) / 2)


def effective_readout_size(posteriors: Float[Numbers, "*bins state"]) -> float:
    r"""$\mathrm{tr}[(D^{-1} G)^2]$ with $G = \Xi^\top \Xi$, $D = \mathrm{diag}(\Xi^\top 1)$.

    $M_{eff}$: how many numbers the one-step readout of these posteriors $\Xi$ has to learn: M
    for states that are always certain, 1 when nothing is known, and two states that are never
    told apart count as one. (First-order variance of $\Sigma \xi x / \Sigma \xi$.) Raises
    ValueError when there is no bin.
    """
    xi = np.asarray(posteriors, float).reshape(-1, np.shape(posteriors)[-1])
    xi = xi[~np.isnan(xi).any(axis=1)]
    if not xi.sum() > 0:
        raise ValueError(f"Posteriors of shape {np.shape(posteriors)} hold no bin.")
    weight = xi.sum(axis=0)
    xi, weight = xi[:, weight > 0], weight[weight > 0]
    together = xi.T @ xi
    return float((together**2 / np.outer(weight, weight)).sum())


def exact_readout_size(posteriors: Float[Numbers, "*bins state"]) -> int:
    """The rank of the posteriors: free numbers of the most likely readout; all of them cost."""
    xi = np.asarray(posteriors, float).reshape(-1, np.shape(posteriors)[-1])
    return int(np.linalg.matrix_rank(xi[~np.isnan(xi).any(axis=1)]))


def glm_readout_size(dims: int) -> int:
    """Weights and an intercept, D + 1, where the penalty is small."""
    return dims + 1


def few_shot_curve(
    full: float,
    size: int | float,
    *,
    k: Num[Numbers, "*k"],
    trials: int,
    bins: int | float,
    mean_count: float,
) -> Float[np.ndarray, "*k"]:
    r"""$Q_k \approx Q_S - \frac{M_{eff}}{2 T \bar r \ln 2} (1/k - 1/S)$, bits per spike.

    From the score `full` with S training `trials` of T `bins`, for a readout of `size` free
    numbers per channel, $\bar r$ the `mean_count` per bin and channel. To first order: it
    promises too much where k T is not many times the size.
    """
    cost = size / (2 * bins * mean_count * np.log(2))
    return np.asarray(full - cost * (1 / np.asarray(k, float) - 1 / trials))


def clock_path(states: int, dose: float, bins: int) -> Float[np.ndarray, "bin state"]:
    r"""$p_t = u + \lambda^{t+1} (e_{t \bmod R} - u)$: where a clock of R `states` probably is.

    It begins at 0 and moves on with `dose` $\lambda$, else it jumps anywhere (u: evenly).
    """
    t = np.arange(bins)[:, None]
    even = 1 / states
    return even + dose ** (t + 1) * (np.eye(states)[t[:, 0] % states] - even)


def clock_size(states: int, dose: float, bins: int) -> float:
    r"""By what factor a clock raises $M_{eff}$: $\sum_{ab} G_{ab}^2 / (d_a d_b)$ of its path.

    Posteriors of a model and a clock of its own are products, and so are their sizes.
    """
    return effective_readout_size(clock_path(states, dose, bins))


def clock_divergence(states: int, dose: float, bins: int) -> float:
    r"""$\frac1T \sum_t KL(p_t \| \bar p)$, nats: what a clock adds that no teacher knows.

    The time within a trial decides the clock, and posteriors of a stationary teacher don't
    tell the time.
    """
    path = clock_path(states, dose, bins)
    return float((xlogy(path, path) - xlogy(path, path.mean(axis=0))).sum(axis=1).mean())
