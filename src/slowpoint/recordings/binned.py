"""How many spikes fell into each bin, and how are bins cut into trials?"""

import numpy as np
import scipy.ndimage
from jaxtyping import Array, Float, Int, Integer, Num

from slowpoint.recordings.spikes import Spikes

Numbers = Array | np.ndarray
REACH = 8.0  # standard deviations; beyond them a Gaussian weighs less than 2e-14


def counts(
    spikes: Spikes, bin_width: float, span: tuple[float, float]
) -> Int[np.ndarray, "bin unit"]:
    """Spikes per bin of `bin_width` seconds, from the start of `span` to its end.

    A bin holds its left edge and not its right; a rest shorter than a bin is dropped. Raises
    ValueError when not one bin fits.
    """
    start, end = span
    if not (np.isfinite([bin_width, start, end]).all() and bin_width > 0):
        raise ValueError(f"bin_width is {bin_width:g} s, span {span}: give finite seconds.")
    bins = int(np.floor((end - start) / bin_width * (1 + 1e-12)))
    if bins < 1:
        raise ValueError(f"No bin of {bin_width:g} s fits between {start:g} s and {end:g} s.")
    edges = start + bin_width * np.arange(bins + 1)
    before = [np.searchsorted(spikes.of(unit), edges) for unit in range(len(spikes))]
    return np.diff(np.array(before, int).reshape(-1, bins + 1), axis=1).T


def windows(counts: Num[Numbers, "all unit"], bins: int) -> Num[np.ndarray, "window bin unit"]:
    """The recording cut into pieces of `bins` bins, one after another; the rest is dropped.

    Raises ValueError when the recording is shorter than one.
    """
    counts = np.asarray(counts)
    if not 1 <= bins <= len(counts):
        raise ValueError(f"Windows of {bins} bins were asked of {len(counts)} bins.")
    number = len(counts) // bins
    return counts[: number * bins].reshape(number, bins, -1)


def by_trial(
    counts: Num[Numbers, "all unit"], onsets: Integer[Numbers, " trial"]
) -> Float[np.ndarray, "trial bin unit"]:
    """Trials that begin at the bins `onsets`, each up to the next, the last to the end.

    As long as the longest; NaN where a trial has ended. Raises ValueError on onsets that are
    not rising, or beyond the recording.
    """
    counts, onsets = np.asarray(counts, float), np.asarray(onsets)
    ends = np.append(onsets, len(counts))
    lengths = np.diff(ends)
    if not len(onsets) or onsets[0] < 0 or (lengths < 1).any():
        raise ValueError(
            f"Onsets must rise within the {len(counts)} bins; these are {onsets.tolist()}."
        )
    trials = np.full((len(onsets), lengths.max(), counts.shape[1]), np.nan)
    for trial, start, length in zip(trials, onsets, lengths):
        trial[:length] = counts[start : start + length]
    return trials


def smooth(
    counts: Num[Numbers, "*trials bin unit"], width: float
) -> Float[np.ndarray, "*trials bin unit"]:
    """Each unit's mean over neighbouring bins, weighted by a Gaussian of SD `width` bins.

    At the edges and beside missing bins (NaN, which stay so) the weights are those of the bins
    there are, and add up to 1 too. Raises ValueError when `width` is not above 0.
    """
    if not width > 0:
        raise ValueError(f"width is {width:g} bins: give a standard deviation above 0.")
    counts = np.asarray(counts, float)
    seen = ~np.isnan(counts)

    def blurred(values):
        return scipy.ndimage.gaussian_filter1d(
            values, width, axis=-2, mode="constant", truncate=REACH
        )

    with np.errstate(invalid="ignore"):
        mean = blurred(np.where(seen, counts, 0.0)) / blurred(seen.astype(float))
    return np.where(seen, mean, np.nan)
