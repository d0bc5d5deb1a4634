"""Which of many models of a recording to take: one that predicts well with little of its own.

Dabholkar and Barak (2024), arXiv 2405.14425: among models of nearly the best co-smoothing, take
the one that predicts best when few trials teach its readout, and that the others can decode.
"""

import dataclasses
from collections.abc import Callable, Hashable, Mapping

import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num, PRNGKeyArray, Shaped

from slowpoint.analysis.bits_per_spike import bits_per_spike
from slowpoint.analysis.cross_decoding import cross_decode, near_optimal
from slowpoint.analysis.few_shot import co_smoothing, family_of, few_shot, Random
from slowpoint.core.result import Result
from slowpoint.latents.readout import PoissonReadout, Readout

Numbers = Array | np.ndarray
TIED = 2.0  # standard errors of a paired difference


@dataclasses.dataclass(frozen=True)
class Latents:
    """What one model says of the recording."""

    train: Float[np.ndarray, "train bin dim"]
    test: Float[np.ndarray, "test bin dim"]
    rates_test: Float[np.ndarray, "test bin channel"] | None = None  # its own, of the targets


@dataclasses.dataclass(frozen=True)
class How:
    """What decides a choice; fix it before you look."""

    k: tuple[int, ...] = (16, 64, 256)  # trials that teach; those above the training are left
    draws: int = 8
    margin: float = 5e-3  # of the best Q_co, bits per spike
    readout: Readout = dataclasses.field(default_factory=lambda: PoissonReadout(1e-3))


class Selection(Result):
    """Scores of every model, and which to take."""

    model: Shaped[np.ndarray, " model"]
    dims: Int[np.ndarray, " model"]
    q_co: Float[np.ndarray, " model"]  # bits per spike: of its own rates, else q_full
    own: Bool[np.ndarray, " model"]  # q_co is of its own rates
    q_full: Float[np.ndarray, " model"]  # of the readout taught by all training trials
    near: Bool[np.ndarray, " model"]  # q_co within the margin of the best
    k: Int[np.ndarray, " k"]
    scores: Float[np.ndarray, "model k draw"]  # paired: a draw is the same trials for all
    bounded: Float[np.ndarray, "model k"]  # share of the scored rates
    matrix: Float[np.ndarray, "source target"]  # 1 - R²
    used: Bool[np.ndarray, "source target"]  # pairs in the means: not of one model or run
    column: Float[np.ndarray, " model"]  # mean over sources
    column_range: Float[np.ndarray, "model 2"]
    row: Float[np.ndarray, " model"]  # mean over targets
    decisive: int  # the place of the k at which costs differ most clearly
    tied: Bool[np.ndarray, " model"]  # near, and no worse than the best at that k for sure
    taken: int  # the tied model that others decode best
    dropped: Bool[np.ndarray, " channel"]  # targets without a spike in the test trials
    margin: float
    trials: int  # of training

    @property
    def q_k(self) -> Float[np.ndarray, "model k"]:
        """Means over draws."""
        return self.scores.mean(axis=2)

    @property
    def sem(self) -> Float[np.ndarray, "model k"]:
        """Of these means."""
        return self.scores.std(axis=2, ddof=1) / np.sqrt(self.scores.shape[2])


def select(
    models: Mapping[str, Callable[[], Latents]],
    x_train: Num[Numbers, "train bin channel"],
    x_test: Num[Numbers, "..."],
    *,
    key: PRNGKeyArray,
    how: How = How(),
    groups: Mapping[str, Hashable] | None = None,
) -> Selection:
    """Score each model, decode each from the others, and choose.

    Models are read one at a time, by name; counts are those of the targets, NaN where missing.
    Within the margin of the best Q_co the highest k-shot score wins, at the k where what few
    trials cost these models differs most for its error (where scores differ most would be the
    largest k, which tells no more than Q_co); of those that are not worse by two standard
    errors of the paired difference, the one of least 1 - R². `groups` names the run of a model:
    two of one run don't decode each other. Raises ValueError on fewer than 2 models, no usable
    k, or what `few_shot` refuses, with the model's name.
    """
    shots, again = jr.split(key)
    names = list(models)
    if len(names) < 2:
        raise ValueError(f"{len(names)} models with latents: there is nothing to choose.")
    k = [k for k in how.k if k <= len(x_train)]
    if not k or how.draws < 2:
        raise ValueError(
            f"k={how.k}, draws={how.draws}: with {len(x_train)} training trials give a k of at "
            "most that, and 2 draws or more."
        )
    rows = [
        _scored(name, models[name], x_train, x_test, k, how, jr.clone(shots)) for name in names
    ]
    found = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    near = near_optimal(found["q_co"], how.margin)
    decisive, tied = _compared(found["scores"], found["q_full"], near)
    seen = [~np.isnan(np.asarray(x, float)).all(axis=2) for x in (x_train, x_test)]
    read = [lambda name=name: _joined(models[name](), seen) for name in names]
    marks = np.arange(len(x_train) + len(x_test)) < len(x_train)
    runs = None if groups is None else [groups[name] for name in names]
    decoded = cross_decode(read, split=marks, key=again, groups=runs)
    return Selection(
        model=np.array(names),
        **found,
        near=near,
        k=np.array(k),
        matrix=decoded.matrix,
        used=decoded.used,
        column=decoded.column,
        column_range=decoded.column_range,
        row=decoded.row,
        decisive=decisive,
        tied=tied,
        taken=int(np.where(tied, decoded.column, np.inf).argmin()),
        dropped=np.nansum(np.asarray(x_test, float), axis=(0, 1)) == 0,
        margin=how.margin,
        trials=len(x_train),
    )


def _scored(name: str, read, x, x_test, k, how: How, key) -> dict:
    """Everything about one model that needs no other."""
    try:
        z = read()
        parts = (z.train, x, z.test, x_test)
        full = co_smoothing(*parts, readout=how.readout).pooled
        scheme = Random(how.draws)
        shots = few_shot(*parts, readout=how.readout, k=k, key=key, scheme=scheme)
        own = full
        if z.rates_test is not None:
            own = bits_per_spike(z.rates_test, x_test, family=family_of(how.readout)).pooled
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    return {
        "dims": z.train.shape[2],
        "q_co": own,
        "own": z.rates_test is not None,
        "q_full": full,
        "scores": shots.scores,
        "bounded": shots.clipped.mean(axis=1),
    }


def _compared(scores, full, near) -> tuple[int, Bool[np.ndarray, " model"]]:
    """`(place of the decisive k, models tied with the best there)`."""
    draws = scores.shape[2]
    some = scores[near] if near.sum() > 1 else scores
    paired = some - some.mean(axis=0)
    error = paired.std(axis=2, ddof=1).mean(axis=0) / np.sqrt(draws)
    lost = (full[:, None] - scores.mean(axis=2))[near if near.sum() > 1 else slice(None)]
    spread = lost.std(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        clear = np.nan_to_num(np.where(spread > 0, spread / error, 0.0), nan=-1.0)
    decisive = int(clear.argmax())
    at = scores[:, decisive]
    best = int(np.where(near, np.nan_to_num(at.mean(axis=1), nan=-np.inf), -np.inf).argmax())
    behind = at[best] - at
    doubt = behind.std(axis=1, ddof=1) / np.sqrt(draws)
    tied = near & (behind.mean(axis=1) <= TIED * doubt)
    tied[best] = True
    return decisive, tied


def _joined(z: Latents, seen) -> Float[np.ndarray, "trial bin dim"]:
    """Training and test trials; NaN in bins without a count, and past the shorter's end."""
    bins = max(len(marks[0]) for marks in seen)
    wide = [np.full((len(part), bins, part.shape[2]), np.nan) for part in (z.train, z.test)]
    for full, part, marks in zip(wide, (z.train, z.test), seen):
        full[:, : part.shape[1]][marks] = part[marks]
    return np.concatenate(wide)
