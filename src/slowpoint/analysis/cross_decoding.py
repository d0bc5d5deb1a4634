r"""Which model's latents can all other models predict?

Dabholkar and Barak (2024), arXiv 2405.14425: without a known truth, the model that every other
one can decode has little of its own. Here with variance-weighted $R^2$, whole trials held back,
and no model decoded from itself. Posteriors have a decoder of their own: `posterior_decoding`.
"""

from collections.abc import Callable, Hashable, Sequence

import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from slowpoint.core.chance import generator
from slowpoint.core.result import Result

Numbers = Array | np.ndarray
BLOCK = 16  # sources whose design is held at once
SMALL = 1e-10  # singular values below that share of the largest count as 0
RESAMPLES = 400


class CrossDecoding(Result):
    """1 - R² of every model's latents decoded from every other's; ranges are of 95 %.

    A low column: all others know this model. A low row: this model knows all others. Means are
    over the pairs that `used` names.
    """

    matrix: Float[np.ndarray, "source target"]
    used: Bool[np.ndarray, "source target"]  # not from itself, nor from its own run
    column: Float[np.ndarray, " target"]  # mean over sources
    row: Float[np.ndarray, " source"]  # mean over targets
    column_range: Float[np.ndarray, "target 2"]  # bootstrap over the trials held back
    row_range: Float[np.ndarray, "source 2"]

    def __str__(self) -> str:
        lines = ["model  1 - R² as target  (95 %)            as source  (95 %)"]
        for i, (c, r) in enumerate(zip(self.column, self.row)):
            (a, b), (d, e) = self.column_range[i], self.row_range[i]
            lines.append(f"{i:5d}  {c:.4f} ({a:.4f} to {b:.4f})  {r:.4f} ({d:.4f} to {e:.4f})")
        return "\n".join(lines)


def cross_decode(
    latents: Sequence[Float[Numbers, "..."] | Callable[[], Float[np.ndarray, "..."]]],
    *,
    split: Bool[Numbers, " trial"],
    key: PRNGKeyArray,
    groups: Sequence[Hashable] | None = None,
) -> CrossDecoding:
    r"""$D_{u \to v} = 1 - R^2$ of a linear regression with intercept from $Z_u$ to $Z_v$.

    Each of `latents` is an array (trials, bins, dims), or a function that reads it: then at
    most 17 models are held at once. Fitted on the trials that `split` marks, scored on the
    others; bins of NaN are missing, the same in every model. Dimensions that stand still are no
    target. `groups` names the run of each model: checkpoints of one run decode each other and
    are left out of the means. Raises ValueError on fewer than 2 models, other trials or bins,
    or a split with one side empty.
    """
    split = np.asarray(split)
    if len(latents) < 2:
        raise ValueError(f"{len(latents)} models: there is none to decode. Give 2 or more.")
    if not split.any() or split.all():
        raise ValueError(
            f"split marks {split.sum()} of {len(split)} trials to fit on: leave some to fit "
            "and some to score."
        )
    used = _used(len(latents), groups)
    seen = _seen(_read(latents[0]), split)
    errors = np.empty((len(latents), len(latents), int((~split).sum())))
    totals = np.empty((len(latents), int((~split).sum())))
    for first in range(0, len(latents), BLOCK):
        block = range(first, min(first + BLOCK, len(latents)))
        sources = [_Source(*_parts(latents, u, split, seen)) for u in block]
        for v in range(len(latents)):
            fit, score = _parts(latents, v, split, seen)
            moves = fit.std(axis=0) > SMALL * (np.abs(fit).max(axis=0) + np.finfo(float).tiny)
            fit, score = fit[:, moves], score[:, moves]
            per_trial = lambda squares: np.bincount(
                np.nonzero(seen[~split])[0], squares.sum(axis=1), int((~split).sum())
            )
            totals[v] = per_trial((score - score.mean(axis=0)) ** 2)
            for u, source in zip(block, sources):
                errors[u, v] = per_trial((score - source.predict(fit)) ** 2)
    return _summary(errors, totals, used, key)


class _Source:
    """The latents that others are decoded from, factored once for all targets."""

    def __init__(self, fit, score):
        self.mean = fit.mean(axis=0)
        self.left, sizes, right = np.linalg.svd(fit - self.mean, full_matrices=False)
        keep = sizes > SMALL * sizes.max(initial=0.0)
        self.left = self.left[:, keep]
        self.score = (score - self.mean) @ (right[keep].T / sizes[keep])

    def predict(self, targets):
        """The target's latents in the bins held back."""
        mean = targets.mean(axis=0)
        return mean + self.score @ (self.left.T @ (targets - mean))


def _read(latents) -> np.ndarray:
    return np.asarray(latents() if callable(latents) else latents, float)


def _seen(first, split) -> Bool[np.ndarray, "trial bin"]:
    if first.ndim != 3 or len(first) != len(split):
        raise ValueError(
            f"latents of model 0 have shape {first.shape}, split {split.shape}: give (trials, "
            "bins, dims) and one mark per trial."
        )
    return ~np.isnan(first).any(axis=2)


def _parts(latents, which: int, split, seen) -> tuple[np.ndarray, np.ndarray]:
    """`(rows to fit, rows to score)`."""
    z = _read(latents[which])
    if z.shape[:2] != seen.shape or z.ndim != 3:
        raise ValueError(
            f"latents of model {which} have shape {z.shape}, those of model 0 {seen.shape} "
            "trials and bins: all must be of the same trials."
        )
    if (np.isfinite(z).all(axis=2) != seen).any():
        raise ValueError(
            f"latents of model {which} are missing or not finite in other bins than those of "
            "model 0: all must be of the same bins."
        )
    return z[split][seen[split]], z[~split][seen[~split]]


def _used(models: int, groups) -> Bool[np.ndarray, "source target"]:
    names = list(range(models)) if groups is None else list(groups)
    if len(names) != models:
        raise ValueError(f"groups names {len(names)} models of {models}: give one name each.")
    used = np.array([[a != b for b in names] for a in names])
    if not (used.any(axis=0).all() and used.any(axis=1).all()):
        raise ValueError("All models are of one group: nothing is left to compare.")
    return used


def _summary(errors, totals, used, key) -> CrossDecoding:
    """Means over pairs, and their spread when trials are drawn again."""
    trials = totals.shape[1]
    matrix = errors.sum(axis=2) / totals.sum(axis=1)
    columns, rows = [], []
    chance = generator(key)
    for _ in range(RESAMPLES):
        often = np.bincount(chance.integers(trials, size=trials), minlength=trials)
        again = np.where(used, (errors @ often) / (totals @ often), np.nan)
        columns.append(np.nanmean(again, axis=0))
        rows.append(np.nanmean(again, axis=1))
    kept = np.where(used, matrix, np.nan)
    ranges = [np.quantile(drawn, [0.025, 0.975], axis=0).T for drawn in (columns, rows)]
    return CrossDecoding(
        matrix, used, np.nanmean(kept, axis=0), np.nanmean(kept, axis=1), *ranges
    )


def near_optimal(scores: Float[Numbers, " model"], margin: float) -> Bool[np.ndarray, " model"]:
    """Which models score within `margin` of the best (Q_co, bits per spike).

    Raises ValueError on a negative margin or a score that is NaN.
    """
    scores = np.asarray(scores, float)
    if not margin >= 0 or np.isnan(scores).any() or not scores.size:
        raise ValueError(
            f"margin={margin}, scores {scores.tolist()}: give a margin of 0 or more and a "
            "number for every model."
        )
    return scores >= scores.max() - margin
