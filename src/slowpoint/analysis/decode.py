"""Do these features tell the labels, of examples that the decoder has not seen?"""

import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from slowpoint.core.chance import generator
from slowpoint.core.result import Result

Numbers = Array | np.ndarray


class Decoding(Result):
    """Shares of right answers, each on a group that was left out."""

    accuracy: float  # mean over examples and repeats; NaN when a feature is not finite
    chance: float  # share of the most frequent label
    repeats: Float[np.ndarray, " repeat"]  # over examples; a new noise each
    examples: Float[np.ndarray, " example"]  # over repeats


def decode(
    features: Float[Numbers, "example feature"],
    labels: Int[Numbers, " example"],
    groups: Int[Numbers, " example"],
    *,
    noise: float | Float[Numbers, " feature"] = 0.0,
    repeats: int = 40,
    key: PRNGKeyArray,
) -> Decoding:
    """Nearest centroid of z-scored features, leaving out one group at a time.

    First every feature of every example is observed with independent normal noise of sd
    `noise`, in the features' own units, anew in each repeat: a difference that nobody could
    measure then counts for nothing. Means, spreads and centroids come from the groups that
    stay. Examples that share their origin belong in one group, as twins do. Raises ValueError
    on fewer than 2 groups or labels, a label missing once a group is left out, noise below 0
    or no repeats.
    """
    seen, labels, groups = np.asarray(features, float), np.asarray(labels), np.asarray(groups)
    _check(seen, labels, groups, noise, repeats)
    chance = float(np.unique(labels, return_counts=True)[1].max() / len(labels))
    if not np.isfinite(seen).all():
        return Decoding(np.nan, chance, np.full(repeats, np.nan), np.full(len(seen), np.nan))
    jitter = np.asarray(noise) * generator(key).standard_normal((repeats, *seen.shape))
    right = np.array([_answers(seen + one, labels, groups) == labels for one in jitter], float)
    return Decoding(float(right.mean()), chance, right.mean(axis=1), right.mean(axis=0))


def _check(seen, labels, groups, noise, repeats):
    """Raise ValueError on what cannot be decoded."""
    if not len(seen) == len(labels) == len(groups):
        raise ValueError(
            f"{len(seen)} examples, {len(labels)} labels, {len(groups)} groups: give as many "
            "of each."
        )
    kinds = np.unique(labels)
    if len(kinds) < 2 or len(np.unique(groups)) < 2:
        raise ValueError(
            f"{len(kinds)} labels in {len(np.unique(groups))} groups: give 2 or more of both."
        )
    for group in np.unique(groups):
        if gone := np.setdiff1d(kinds, labels[groups != group]).tolist():
            raise ValueError(
                f"without group {group} nothing has the label {gone[0]}. Give each label in 2 "
                "or more groups."
            )
    if repeats < 1 or np.any(np.asarray(noise) < 0):
        raise ValueError(f"noise={noise}, repeats={repeats}: give 0 or more, and 1 or more.")


def _answers(seen, labels, groups):
    """The label of the nearest centroid, each example judged by the other groups."""
    kinds, answers = np.unique(labels), np.empty_like(labels)
    for group in np.unique(groups):
        out = groups == group
        known = seen[~out]
        spread = known.std(axis=0)
        scale = np.where(spread > 1e-12 * np.abs(known).max(axis=0), spread, 1.0)
        centroids = np.stack([known[labels[~out] == kind].mean(axis=0) for kind in kinds])
        apart = (seen[out][:, None] - centroids) / scale
        answers[out] = kinds[(apart**2).sum(axis=2).argmin(axis=1)]
    return answers
