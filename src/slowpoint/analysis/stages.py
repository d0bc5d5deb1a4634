"""Which of the three stages of learning a control is a network in, judged by its spectrum?

Ger and Barak (2025), arXiv:2505.13567: first the loop learns to push back against the position,
then to damp until it is stable, then to be good. Change points of the loss do not find them.
"""

import numpy as np
from jaxtyping import Array, Bool, Float, Int

from slowpoint.core.result import Result

Numbers = Array | np.ndarray


class Stages(Result):
    """Borders, and the stage at each epoch recorded. -1: that border was not reached."""

    first_end: int  # e1: the first epoch whose position gain is below the threshold
    second_end: int  # e2: the first epoch from which the loop is stable to the end
    diverged: int  # the first epoch that is not finite; -1: none
    stage: Int[np.ndarray, " epoch"]  # 1, 2 or 3
    epochs: Int[np.ndarray, " epoch"]
    reason: str  # a sentence


def find_stages(
    position_gain: Float[Numbers, " epoch"],
    radius: Float[Numbers, " snapshot"],
    *,
    threshold: float = -0.015,
    epochs: Int[Numbers, " when"] | None = None,
) -> Stages:
    """The stages, from the histories of the position gain and of the loop's spectral radius.

    The gain: z.m of a linear network of rank one, or k1 of `regress_gain`. Stage 1 ends where
    it first falls below `threshold`, stage 2 after the last radius of 1 or more. Of a plant
    that is not linear give `radii` of the Jacobians of the joint step at the goal. `epochs`:
    when the snapshots were taken (0, 1, 2, ... by default). A history that stops being finite
    has diverged: its second stage has no end. Raises ValueError on histories that do not match,
    a radius below 0 or epochs that do not rise.
    """
    gain, size = np.asarray(position_gain, float), np.asarray(radius, float)
    when = np.arange(len(gain)) if epochs is None else np.asarray(epochs)
    _check(gain, size, when)
    finite = np.isfinite(gain) & np.isfinite(size)
    diverged = _first(~finite, when)
    with np.errstate(invalid="ignore"):
        first_end = _first(gain < threshold, when)
        unstable = np.flatnonzero(~(finite & (size < 1)))
    stable_from = int(unstable[-1]) + 1 if len(unstable) else 0
    second_end = int(when[stable_from]) if stable_from < len(when) else -1
    stage = np.where((first_end >= 0) & (when >= first_end), 2, 1)
    stage[stable_from:] = 3
    says = _say(first_end, second_end, diverged)
    return Stages(first_end, second_end, diverged, stage, when, says)


def radii(jacobians: Numbers) -> Float[np.ndarray, "*snapshot"]:
    """Spectral radius of each matrix of a stack; NaN where one is not finite.

    Below 1 small deviations of a step die out. One batched call for all snapshots.
    """
    stack = np.asarray(jacobians)
    if stack.ndim < 2 or stack.shape[-1] != stack.shape[-2]:
        raise ValueError(
            f"jacobians have shape {stack.shape}. Give (snapshot, state, state): of a Map "
            "`system.jacobian(goal, hold)`, of a Flow that of Sampled(flow)."
        )
    finite = np.asarray(np.isfinite(stack).all(axis=(-2, -1)))
    whole = np.where(finite[..., None, None], stack, 0)
    return np.where(finite, np.abs(np.linalg.eigvals(whole)).max(axis=-1, initial=0), np.nan)


def _first(true: Bool[np.ndarray, " epoch"], when: Int[np.ndarray, " epoch"]) -> int:
    """The first epoch at which it is true, or -1."""
    return int(when[true.argmax()]) if true.any() else -1


def _say(first_end: int, second_end: int, diverged: int) -> str:
    if diverged >= 0:
        return f"The loop diverged at epoch {diverged}. Clip the gradient or lower the rate."
    if second_end >= 0:
        return f"The loop is stable from epoch {second_end} on."
    if first_end >= 0:
        return "The loop pushes back against the position, but is not stable yet."
    return "The loop does not push back against the position yet."


def _check(gain, size, when):
    """Raise ValueError on histories that cannot be read."""
    if not (len(gain) == len(size) == len(when) > 0):
        raise ValueError(
            f"{len(gain)} gains, {len(size)} radii, {len(when)} epochs: give as many of each, "
            "1 or more."
        )
    if (size < 0).any():
        raise ValueError(
            f"radius={size.min()}: it is the largest |eigenvalue|. Type radii(...)"
        )
    if (np.diff(when) <= 0).any():
        raise ValueError("epochs must rise from snapshot to snapshot.")
