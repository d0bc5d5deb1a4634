"""Which number foretells an outcome, within networks and between them? (Ranks, bootstrap.)

Spearman (1904), Am. J. Psychol. 15, 72; Efron and Tibshirani (1993), An Introduction to the
Bootstrap, percentile intervals. Classes of one network are not independent, networks are: only
networks are drawn anew.
"""

import jax.random as jr
import numpy as np
import scipy.stats
from jaxtyping import Float, Int, PRNGKeyArray, Shaped

from slowpoint.core.result import Result

LEVELS = ("classes", "siblings", "networks")


class Agreement(Result):
    """Rank correlations with the outcome; NaN where a side does not vary. Ranges: 95 %.

    Ranges are NaN when no arm has two networks: nothing could be drawn anew.
    Levels: "classes", each less the mean of its network; "siblings", means of networks, each
    less the mean of its arm; "networks", means of all networks.
    """

    level: Shaped[np.ndarray, " level"]
    ranks: Float[np.ndarray, "level predictor"]
    ranges: Float[np.ndarray, "level predictor 2"]
    lead: Float[np.ndarray, "level predictor other"]  # |ranks| of it, less that of the other
    lead_ranges: Float[np.ndarray, "level predictor other 2"]
    used: Int[np.ndarray, " predictor"]  # classes where both numbers are known


def agreement(
    predictors: Float[np.ndarray, "predictor network class"],
    outcome: Float[np.ndarray, "..."],
    arms: Shaped[np.ndarray, "..."],
    *,
    key: PRNGKeyArray,
    draws: int = 2000,
) -> Agreement:
    """How well the order of each predictor agrees with that of `outcome` (network, class).

    `arms`: equal for networks made alike; networks are drawn within theirs, so that every
    sample has the design of the whole. NaN: unknown, left out. Raises ValueError on sizes that
    disagree.
    """
    if predictors.shape[1:] != outcome.shape or len(arms) != len(outcome):
        raise ValueError(
            f"Predictors are {predictors.shape}, the outcome {outcome.shape}, arms "
            f"{arms.shape}. Give (predictor, network, class), (network, class), (network,)."
        )
    groups = [np.flatnonzero(arms == arm) for arm in np.unique(arms)]
    sample = np.arange(len(outcome))
    ranks = _levels(predictors, outcome, groups, sample)
    chance = np.random.default_rng(np.asarray(jr.key_data(key)).ravel())
    redrawn = np.array(
        [
            _levels(predictors, outcome, groups, _again(groups, sample, chance))
            for _ in range(draws)
        ]
    )
    if len(groups) == len(outcome):
        redrawn = np.full_like(redrawn, np.nan)
    gap = lambda ranks: np.abs(ranks)[..., :, None] - np.abs(ranks)[..., None, :]
    return Agreement(
        level=np.array(LEVELS),
        ranks=ranks,
        ranges=_range(redrawn),
        lead=gap(ranks),
        lead_ranges=_range(gap(redrawn)),
        used=np.isfinite(predictors + outcome).sum(axis=(1, 2)),
    )


def spearman(one: Float[np.ndarray, " row"], other: Float[np.ndarray, " row"]) -> float:
    """Rank correlation over the rows where both are known; NaN when one does not vary."""
    known = np.isfinite(one + other)
    one, other = one[known], other[known]
    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(np.corrcoef(scipy.stats.rankdata(one), scipy.stats.rankdata(other))[0, 1])


def _again(groups, sample, chance) -> Int[np.ndarray, " network"]:
    """As many networks of each group as there are, drawn with replacement."""
    drawn = sample.copy()
    for members in groups:
        drawn[members] = chance.choice(members, len(members))
    return drawn


def _levels(predictors, outcome, groups, sample) -> Float[np.ndarray, "level predictor"]:
    """`ranks` of the networks in `sample`; row i stands in the group that i is in."""
    columns = []
    for whole in predictors:
        known = np.isfinite(whole + outcome)
        sides = [np.where(known, side, np.nan)[sample] for side in (whole, outcome)]
        kept = np.isfinite(sides[0]).any(axis=1)
        means = [np.full(len(sample), np.nan) for _ in sides]
        for mean, side in zip(means, sides):
            mean[kept] = np.nanmean(side[kept], axis=1)
        inside = [(side - mean[:, None]).ravel() for side, mean in zip(sides, means)]
        columns.append(
            [
                spearman(*inside),
                spearman(*(_less_their_group(mean, groups) for mean in means)),
                spearman(*means),
            ]
        )
    return np.array(columns).T


def _less_their_group(mean, groups) -> Float[np.ndarray, " network"]:
    apart = mean.copy()
    for members in groups:
        if np.isfinite(mean[members]).any():
            apart[members] -= np.nanmean(mean[members])
    return apart


def _range(redrawn: Float[np.ndarray, "draw *shape"]) -> Float[np.ndarray, "*shape 2"]:
    """2.5 and 97.5 % of the draws where the number is defined."""
    low_high = np.full((2, *redrawn.shape[1:]), np.nan)
    defined = np.isfinite(redrawn).any(axis=0)
    low_high[:, defined] = np.nanpercentile(redrawn[:, defined], [2.5, 97.5], axis=0)
    return np.moveaxis(low_high, 0, -1)
