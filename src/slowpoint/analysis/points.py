"""What is known of every state that stands still, or almost."""

import dataclasses
import typing
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Complex, Float, Int

from slowpoint.core.result import Result

NEITHER, FIXED, SLOW = range(3)


class FixedPoints(Result):
    """One row per distinct point, in the order of `in_order`: stable ones first.

    Speeds and rates are per unit time. Fields named `guess_...` have one row per guess.
    """

    KINDS: ClassVar[tuple[str, ...]] = ("neither", "fixed", "slow")

    states: Float[np.ndarray, "point state"]
    outputs: Float[np.ndarray, "point output"]
    hold: Float[np.ndarray, "point input"]
    speeds: Float[np.ndarray, " point"]  # |velocity|
    residuals: Float[np.ndarray, " point"]  # |step - x| (Map) or |velocity| (Flow)
    kinds: Int[np.ndarray, " point"]  # index into KINDS
    rates: Complex[np.ndarray, "point state"]  # the fastest growing first
    modes: Complex[np.ndarray, "point state mode"]  # right eigenvectors of the first rates
    n_unstable: Int[np.ndarray, " point"]  # rates with a positive real part
    signs: Int[np.ndarray, " point"]  # sign det(-J) of the residual's Jacobian J: its index
    hits: Int[np.ndarray, " point"]  # guesses that ended here
    certified: Bool[np.ndarray, " point"]  # exactly one root within `radius`
    degenerate: Bool[np.ndarray, " point"]  # stands still, but J is singular: not isolated
    radius: Float[np.ndarray, " point"]  # NaN where not certified
    unique: Float[np.ndarray, " point"]  # no second root within; 0 where not certified
    alpha: Float[np.ndarray, " point"]  # Kantorovich's number; NaN without a Lipschitz bound
    gradients: Float[np.ndarray, " point"]  # |projected gradient of q|
    bends: Float[
        np.ndarray, " point"
    ]  # least eigenvalue of q's Hessian (slow points; else NaN)
    defects: Float[np.ndarray, " point"]  # distance of J's nearest eigenvalue from singular
    at_bound: Bool[np.ndarray, "point state"]  # on the box, the gradient pointing outwards
    guess_kinds: Int[np.ndarray, " guess"]
    guess_index: Int[np.ndarray, " guess"]  # row of its point, -1: none
    guess_steps: Int[np.ndarray, " guess"]
    projected: int  # guesses that lay outside the box
    widened: bool  # whether weights or guesses came in less than float64

    def __len__(self) -> int:
        return len(self.states)

    @property
    def timescales(self) -> Float[np.ndarray, "point state"]:
        """-1 / Re(rate), in units of time; negative for a mode that grows."""
        with np.errstate(divide="ignore"):
            return -1 / np.real(self.rates)

    @property
    def stable(self) -> "FixedPoints":
        """The attractors among the points: fixed, isolated, no growing mode."""
        return self.rows((self.kinds == FIXED) & ~self.degenerate & (self.n_unstable == 0))

    @property
    def saddles(self) -> "FixedPoints":
        """Fixed points with at least one growing mode."""
        return self.rows((self.kinds == FIXED) & ~self.degenerate & (self.n_unstable > 0))

    @property
    def fixed(self) -> "FixedPoints":
        """Only the points that stand still."""
        return self.rows(self.kinds == FIXED)

    @property
    def slow(self) -> "FixedPoints":
        """Only the local minima of speed that are not fixed."""
        return self.rows(self.kinds == SLOW)

    def rows(self, mask: Bool[np.ndarray, " point"]) -> "FixedPoints":
        """The points where `mask` holds; guesses that ended elsewhere get the index -1."""
        new = np.where(mask, np.cumsum(mask) - 1, -1)
        index = np.where(self.guess_index >= 0, new[self.guess_index], -1) if len(new) else -1
        changes = {name: getattr(self, name)[mask] for name in point_fields()}
        changes["guess_index"] = index * np.ones(len(self.guess_kinds), int)
        return dataclasses.replace(self, **changes)

    def table(self) -> str:
        """One line per point, for the terminal."""
        lines = ["    kind      unstable  speed     residual  radius    slowest mode  hits"]
        for i in range(len(self)):
            kind = "degenerate" if self.degenerate[i] else self.KINDS[self.kinds[i]]
            lines.append(
                f"{i:3d} {kind:10}{self.n_unstable[i]:8d}  {self.speeds[i]:8.1e}  "
                f"{self.residuals[i]:8.1e}  {self.radius[i]:8.1e}  "
                f"{self.timescales[i][0]:12.4g}  {self.hits[i]:4d}"
            )
        return "\n".join(lines)


def point_fields() -> list[str]:
    """The fields of FixedPoints with one row per point."""
    hints = typing.get_type_hints(FixedPoints)
    return [n for n, hint in hints.items() if getattr(hint, "dim_str", "").startswith("point")]


def in_order(rows: dict[str, np.ndarray]) -> Int[np.ndarray, " point"]:
    """Rows by number of unstable directions, then by speed, then along their coordinates.

    The speed of a fixed point is rounding, so that it does not count: the order is the same on
    every machine. What is neither fixed nor slow comes last.
    """
    speeds = np.where(rows["kinds"] == FIXED, 0.0, rows["speeds"])
    places = np.round(rows["states"], 6).T  # coarser than the rounding of any solver
    return np.lexsort((*places[::-1], speeds, rows["n_unstable"], rows["kinds"] == NEITHER))


def union(a: FixedPoints, b: FixedPoints, same: float) -> FixedPoints:
    """All points of `a` and `b`, those that both found once, with the hits of both."""
    match = np.full(len(b), -1)
    for i in range(len(b)):
        distance = np.linalg.norm(a.states - b.states[i], axis=1)
        reach = np.maximum(np.maximum(a.unique, b.unique[i]), same)
        near = (distance < reach) & (a.hold == b.hold[i]).all(axis=1)
        match[i] = np.argmax(near) if near.any() else -1
    new = match < 0
    rows = {n: np.concatenate([getattr(a, n), getattr(b, n)[new]]) for n in point_fields()}
    place = np.where(new, len(a) + np.cumsum(new) - 1, match)
    np.add.at(rows["hits"], place[~new], b.hits[~new])
    order = in_order(rows)
    rank = np.append(np.argsort(order), -1)  # the last entry: guesses without a point
    index = np.concatenate([a.guess_index, np.append(place, -1)[b.guess_index]])
    return FixedPoints(
        **{name: column[order] for name, column in rows.items()},
        guess_kinds=np.concatenate([a.guess_kinds, b.guess_kinds]),
        guess_index=rank[index],
        guess_steps=np.concatenate([a.guess_steps, b.guess_steps]),
        projected=a.projected + b.projected,
        widened=a.widened or b.widened,
    )
