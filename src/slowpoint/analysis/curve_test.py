"""Where do random curves between two attractors cross a boundary, and does a field know?

The curve test of Dabholkar and Barak (2025), arXiv:2505.15231, with every crossing bracketed
on the curve itself. Their R² saturates and breaks: one curve in fifty that crosses twice, or
that passes near the boundary once more, is enough. So distances, single-crossing curves and
agreement stand beside it.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float, Int

from slowpoint.analysis.contours import asked, quantile, right_side, Value
from slowpoint.analysis.curves import (
    Curves,
    even_curves as even_curves,
    hermite_curves as hermite_curves,
)
from slowpoint.core.result import Result

Numbers = Array | np.ndarray
Label = Callable[[np.ndarray], Int[Numbers, " start"]]  # (start, state) -> (start,)
INNER = 24  # states asked inside a bracket at once: 1e-6 of it after five rounds
MANY = 100_000  # brackets; a fractal boundary has more than anyone can refine


class Crossings(Result):
    """Every change of label along curves, in order; `before` and `after` are the two labels."""

    curve: Int[np.ndarray, " crossing"]  # its row number
    alphas: Float[np.ndarray, " crossing"]  # middle of the bracket
    states: Float[np.ndarray, "crossing state"]
    before: Int[np.ndarray, " crossing"]
    after: Int[np.ndarray, " crossing"]
    widths: Float[np.ndarray, " crossing"]  # arc length of the bracket that was left
    labels: Int[np.ndarray, "curve point"]  # of the curves' own points
    width: float  # arc length that was asked for
    asked: int  # states labelled in all
    undecided: int  # of them with a label < 0

    @property
    def sharp(self) -> Bool[np.ndarray, " crossing"]:
        """Which brackets are as narrow as asked; the others have undecided states inside."""
        return self.widths <= self.width

    @property
    def counts(self) -> Int[np.ndarray, " curve"]:
        """How often each curve crosses."""
        return np.bincount(self.curve, minlength=len(self.labels))

    @property
    def message(self) -> str:
        """What was found, in one sentence."""
        return (
            f"{len(self.curve)} crossings on {len(self.labels)} curves, "
            f"{int((~self.sharp).sum())} of them not to {self.width:.1g}; "
            f"{self.undecided} of {self.asked} states stayed undecided."
        )

    def where(self, positive: int, negative: int | None = None) -> "Crossings":
        """Only the changes between `positive` and `negative` (None: any other label)."""
        up = np.stack([self.before, self.after]) == positive
        other = ~up if negative is None else np.stack([self.before, self.after]) == negative
        keep = (up[0] & other[1]) | (up[1] & other[0])
        names = ("curve", "alphas", "states", "before", "after", "widths")
        rows = {name: getattr(self, name)[keep] for name in names}
        return dataclasses.replace(self, **rows)


def crossings(curves: Curves, label: Label, *, width: float) -> Crossings:
    """Every change of `label` along the curves, refined to `width` in arc length.

    `label` takes states (start, state) and gives whole numbers, < 0 where it cannot tell: such
    a state is passed over, and counted. All brackets are refined in the same few calls. Two
    changes between neighbours on a curve that undo each other are not seen.
    """
    if not width > 0:
        raise ValueError(f"width={width}: give an arc length > 0, 1e-6 say.")
    states = curves.states
    labels = _labelled(label, states.reshape(-1, states.shape[-1]))
    return _refined(curves, labels.reshape(states.shape[:2]), label, width)


def _labelled(label: Label, states: np.ndarray) -> np.ndarray:
    labels = np.asarray(label(states))
    if labels.shape != (len(states),) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"label returned {labels.dtype}{list(labels.shape)} for {len(states)} states. It "
            "takes a batch (start, state) and returns one whole number each, -1 if undecided."
        )
    return labels.astype(int)


class _Brackets(NamedTuple):
    curve: np.ndarray
    low: np.ndarray
    high: np.ndarray
    before: np.ndarray
    after: np.ndarray
    parent: np.ndarray  # row of what it was found in

    def only(self, keep: np.ndarray) -> "_Brackets":
        return _Brackets(*(part[keep] for part in self))


def _changes(curve: np.ndarray, alphas: np.ndarray, labels: np.ndarray) -> _Brackets:
    """Neighbours with different labels in every row, undecided places left out."""
    row, place = np.nonzero(labels >= 0)
    seen, where = labels[row, place], alphas[row, place]
    i = np.flatnonzero((row[1:] == row[:-1]) & (seen[1:] != seen[:-1]))
    return _Brackets(curve[row[i]], where[i], where[i + 1], seen[i], seen[i + 1], row[i])


def _refined(curves: Curves, labels: np.ndarray, label: Label, width: float) -> Crossings:
    places = np.broadcast_to(curves.alphas, labels.shape)
    wide = _changes(np.arange(len(labels)), places, labels)
    done, lengths = [], curves.lengths(*wide[:3])
    total, unknown = labels.size, int((labels < 0).sum())
    done.append(wide.only(lengths <= width))
    wide, lengths = wide.only(lengths > width), lengths[lengths > width]
    while 0 < len(wide.curve) < MANY:
        finer, inner = _split(curves, wide, label)
        total, unknown = total + inner.size, unknown + int((inner < 0).sum())
        new = curves.lengths(*finer[:3])
        # less than halved: undecided states fill it, or two neighbouring floats bound it
        ready = (new <= width) | (new > lengths[finer.parent] / 2)
        done.append(finer.only(ready))
        wide, lengths = finer.only(~ready), new[~ready]
    parts = _Brackets(*map(np.concatenate, zip(*done, wide)))
    found = parts.only(np.lexsort((parts.low, parts.curve)))
    middle = (found.low + found.high) / 2
    return Crossings(
        found.curve,
        middle,
        curves.at(found.curve, middle),
        found.before,
        found.after,
        curves.lengths(*found[:3]),
        labels,
        width,
        total,
        unknown,
    )


def _split(curves: Curves, wide: _Brackets, label: Label) -> tuple[_Brackets, np.ndarray]:
    """The changes inside every bracket, and the labels inside."""
    alphas = np.linspace(wide.low, wide.high, INNER + 2, axis=1)
    states = curves.at(np.repeat(wide.curve, INNER), alphas[:, 1:-1].ravel())
    inner = _labelled(label, states).reshape(-1, INNER)
    labels = np.column_stack([wide.before, inner, wide.after])
    return _changes(wide.curve, alphas, labels), inner


def zeros(curves: Curves, value: Value, *, width: float) -> Crossings:
    """Every change of sign of `value` along the curves; labels 1: positive, 0: not, -1: NaN."""
    return crossings(curves, lambda states: _signs(asked(value, states)), width=width)


def _signs(values: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(values), -1, values > 0).astype(int)


class CurveTest(Result):
    r"""How well a field knows where curves cross. Distances are over that between the ends.

    `r_squared` is the paper's, $\alpha_\psi = \arg\min|\psi|$ on the curve's points against the
    first true crossing; `distances` are from each true crossing to the nearest change of sign.
    """

    alpha_true: Float[np.ndarray, " curve"]  # of the first crossing; NaN: none
    alpha_psi: Float[np.ndarray, " curve"]  # argmin |psi|
    crossings: Int[np.ndarray, " curve"]  # how many are true
    zeros: Int[np.ndarray, " curve"]  # how many the field has
    r_squared: float  # over all curves that cross
    r_squared_single: float  # over those that cross once
    distances: Float[np.ndarray, " crossing"]  # inf: the curve has no zero at all
    agreement: float  # of the sign with the labels, over all decided points
    decided: int  # those points

    @property
    def median(self) -> float:
        """Median of `distances`."""
        return quantile(self.distances, 0.5)

    @property
    def p90(self) -> float:
        """90th percentile of `distances`."""
        return quantile(self.distances, 0.9)

    @property
    def missed(self) -> int:
        """Crossings that the field has no zero for, curve by curve."""
        return int(np.maximum(self.crossings - self.zeros, 0).sum())

    @property
    def extra(self) -> int:
        """Zeros without a crossing, curve by curve."""
        return int(np.maximum(self.zeros - self.crossings, 0).sum())


def curve_test(
    value: Value,
    curves: Curves,
    truth: Crossings,
    *,
    positive: int | None = None,
    negative: int | None = None,
) -> CurveTest:
    """Compare the zeros of `value` on the curves with `truth = crossings(curves, label, ...)`.

    `value` should be > 0 where the label is `positive` (by default that of the curves' common
    end) and < 0 where it is `negative` (by default: any other). Raises ValueError when the
    curves end in several basins.
    """
    up = _end_label(truth) if positive is None else positive
    known = truth.where(up, negative)
    states = curves.states
    values = asked(value, states.reshape(-1, states.shape[-1])).reshape(states.shape[:2])
    signs = lambda states: _signs(asked(value, states))
    found = _refined(curves, _signs(values), signs, truth.width)
    alpha_true = np.full(len(values), np.nan)
    alpha_true[known.curve[::-1]] = known.alphas[::-1]  # the first is written last
    size = np.where(np.isnan(values), np.inf, np.abs(values))
    alpha_psi = np.where(np.isnan(values).all(axis=1), np.nan, curves.alphas[size.argmin(1)])
    judged = truth.labels >= 0 if negative is None else np.isin(truth.labels, [up, negative])
    return CurveTest(
        alpha_true,
        alpha_psi,
        known.counts,
        found.counts,
        _r_squared(alpha_true, alpha_psi),
        _r_squared(*(a[known.counts == 1] for a in (alpha_true, alpha_psi))),
        gaps(known, found, curves),
        right_side(values, truth.labels, up, negative),
        int(judged.sum()),
    )


def _end_label(truth: Crossings) -> int:
    last = truth.labels[:, -1]
    seen = np.unique(last[last >= 0])
    if len(seen) != 1:
        raise ValueError(
            f"The curves end in basins {seen}. Say which side is up, positive=1 say, or give "
            "curves whose ends were labelled."
        )
    return int(seen[0])


def _r_squared(true: np.ndarray, guess: np.ndarray) -> float:
    """Of `guess` for `true`, where both are known; NaN when nothing varies."""
    both = ~np.isnan(true) & ~np.isnan(guess)
    true, guess = true[both], guess[both]
    around = ((true - true.mean()) ** 2).sum() if len(true) else 0.0
    return float(1 - ((guess - true) ** 2).sum() / around) if around > 0 else float("nan")


def gaps(a: Crossings, b: Crossings, curves: Curves) -> Float[np.ndarray, " crossing"]:
    """From every crossing of `a` to the nearest of `b` on the same curve, over its ends.

    `a` and `b` are the crossings of the same curves under two labels. inf: there is none.
    """
    apart = np.linalg.norm(a.states[:, None] - b.states[None], axis=2)
    apart = np.where(a.curve[:, None] == b.curve[None], apart, np.inf)
    first, last = curves.coefficients[a.curve, 0], curves.coefficients[a.curve].sum(axis=1)
    return apart.min(axis=1, initial=np.inf) / np.linalg.norm(last - first, axis=1)
