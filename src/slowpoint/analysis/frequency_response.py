"""Which frequencies does a loop follow, when did it learn them, and what did that disturb?

Ger and Barak (2025), arXiv:2505.13567, figure 6: frequencies are learned one after the other.
"""

import numpy as np
from jaxtyping import Array, Complex, Float, Int

from slowpoint.core.result import Result

Numbers = Array | np.ndarray


class FrequencyResponse(Result):
    """What leaves the loop over what is asked of it, at each angular frequency."""

    omegas: Float[np.ndarray, " frequency"]  # rad per unit of dt
    response: Complex[np.ndarray, "frequency output input"]  # H
    radius: float  # of P; at 1 or more H is the formula's value, but no loop settles on it

    @property
    def stable(self) -> bool:
        """Whether the loop forgets its start, so that H is what one would measure."""
        return self.radius < 1


class Acquisition(Result):
    """When each frequency was learned."""

    epochs: Int[np.ndarray, " frequency"]  # -1: not learned
    order: Int[np.ndarray, " learned"]  # the frequencies learned, the first one first


class Interference(Result):
    """What learning a later frequency did to an earlier one. NaN where nothing was learned."""

    before: Float[
        np.ndarray, "earlier later"
    ]  # its lowest error until the later one was learned
    peak: Float[np.ndarray, "earlier later"]  # its highest error after that, in the window

    @property
    def rise(self) -> Float[np.ndarray, "earlier later"]:
        """`peak` - `before`: above 0 where the later frequency disturbed the earlier one."""
        return self.peak - self.before


def frequency_response(
    step: Float[Numbers, "state before"],
    drive: Float[Numbers, "driven input"],
    readout: Float[Numbers, "output read"],
    omegas: Float[Numbers, " frequency"],
    dt: float,
) -> FrequencyResponse:
    r"""$H = e^{i \omega dt} C (e^{i \omega dt} 1 - P)^{-1} G$ for s <- P s + G r, y = C s.

    That is y_{t+1} over r_t, once the start is forgotten. `step` P, `drive` G, `readout` C.
    Frequencies at which P resonates exactly are NaN. Raises ValueError when shapes do
    not fit or dt <= 0.
    """
    p, g, c = (np.asarray(a, float) for a in (step, drive, readout))
    n = len(p)
    if p.shape != (n, n) or g.shape[0] != n or c.shape[1] != n:
        raise ValueError(
            f"step {p.shape}, drive {g.shape}, readout {c.shape}: give (state, state), "
            "(state, input), (output, state)."
        )
    if not dt > 0:
        raise ValueError(f"dt={dt}: give the time of one step, above 0.")
    turns = np.exp(1j * np.asarray(omegas, float) * dt)
    finite = all(np.isfinite(a).all() for a in (p, g, c))
    one = lambda turn: (
        _respond(p, g, c, turn) if finite else np.full((len(c), g.shape[1]), np.nan)
    )
    response = np.array([one(turn) for turn in turns], complex)
    radius = float(np.abs(np.linalg.eigvals(p)).max(initial=0)) if finite else np.nan
    shape = (len(turns), len(c), g.shape[1])
    return FrequencyResponse(np.asarray(omegas, float), response.reshape(shape), radius)


def _respond(p, g, c, turn):
    try:
        return turn * (c @ np.linalg.solve(turn * np.eye(len(p)) - p, g.astype(complex)))
    except np.linalg.LinAlgError:
        return np.full((len(c), g.shape[1]), np.nan)


def acquisition(
    errors: Float[Numbers, "epoch frequency"],
    *,
    threshold: float = 1.334,
    earliest: int = 50,
    hold: int = 50,
) -> Acquisition:
    """The first epoch, `earliest` or later, from which the error stays below for `hold` epochs.

    The default threshold is half the error of a loop that does nothing, at the amplitude
    2.31: 2.31^2 / 4. A run that ends before `hold` epochs have passed has not learned. Errors
    that are not finite are not below. Raises ValueError on `hold` < 1 or `earliest` < 0.
    """
    errors = np.asarray(errors, float)
    if hold < 1 or earliest < 0:
        raise ValueError(f"hold={hold}, earliest={earliest}: give 1 or more, and 0 or more.")
    epochs = np.full(errors.shape[1], -1)
    for frequency, below in enumerate((errors < threshold).T):
        stays = np.convolve(below, np.ones(hold), "valid") == hold if len(below) >= hold else []
        when = earliest + np.flatnonzero(stays[earliest:])
        epochs[frequency] = when[0] if len(when) else -1
    learned = np.flatnonzero(epochs >= 0)
    return Acquisition(epochs, learned[np.argsort(epochs[learned], kind="stable")])


def interference(
    errors: Float[Numbers, "epoch frequency"],
    epochs: Int[Numbers, " acquired"],
    *,
    window: int = 500,
) -> Interference:
    """How far the error of each frequency rose while a later one was learned.

    `epochs` as in `Acquisition`. For every pair that was acquired in that order: the lowest
    error of the earlier one between the two acquisitions, then its highest until `window`
    epochs after the second. Raises ValueError when sizes differ or `window` < 0.
    """
    errors, epochs = np.asarray(errors, float), np.asarray(epochs)
    count = errors.shape[1]
    if len(epochs) != count or window < 0:
        raise ValueError(
            f"{count} errors, {len(epochs)} epochs, window={window}: give one epoch for each "
            "frequency, and a window of 0 or more."
        )
    before, peak = np.full((2, count, count), np.nan)
    for one, other in np.ndindex(count, count):
        if 0 <= epochs[one] < epochs[other]:
            begin, end = epochs[one], epochs[other]
            lowest = begin + int(np.argmin(errors[begin : end + 1, one]))
            before[one, other] = errors[lowest, one]
            peak[one, other] = errors[lowest : end + window + 1, one].max()
    return Interference(before, peak)
