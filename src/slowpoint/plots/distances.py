"""How far are zeros from the truth, and how does that shrink with the time pulled back?"""

import numpy as np
from jaxtyping import Float, Int
from matplotlib import colormaps
from matplotlib.axes import Axes

FINEST = 1e-8  # distances below it are drawn there


def histogram(ax: Axes, rows: dict[str, Float[np.ndarray, " crossing"]]) -> Axes:
    """Counts of distances in bins of a third of a decade, one outline per name."""
    bins = np.logspace(np.log10(FINEST), 0, 25)
    for name, distances in rows.items():
        known = distances[~np.isnan(distances)]
        ax.hist(np.clip(known, FINEST, 1), bins=list(bins), histtype="step", label=name)
    ax.set(xscale="log", xlabel="distance / D", ylabel="crossings")
    return ax


def decay(
    ax: Axes,
    times: Float[np.ndarray, "network field"],
    errors: Float[np.ndarray, "network field"],
    slopes: Float[np.ndarray, " network"],
) -> Axes:
    """Error against time, one colour a network; dotted: falling at `slopes` from the last."""
    colours = colormaps["viridis"](np.linspace(0, 0.85, len(times)))
    for t, error, slope, colour in zip(times, errors, slopes, colours, strict=True):
        ax.plot(t, np.maximum(error, FINEST), "o-", ms=3, lw=1, color=colour)
        law = error[-1] * np.exp(-slope * (t - t[-1]))
        ax.plot(t, law, ":", lw=1, color=colour)
    ax.set(yscale="log", xlabel="time pulled back", ylabel="median distance / D")
    return ax


def against(
    ax: Axes,
    sizes: Int[np.ndarray, " size"],
    values: Float[np.ndarray, "size field"],
    names: tuple[str, ...],
    *,
    floor: float = FINEST,
) -> Axes:
    """One line per field over sizes, axes logarithmic; less than `floor` is drawn there."""
    for name, column in zip(names, values.T):
        ax.plot(sizes, np.maximum(column, floor), "o-", ms=3, lw=1, label=name)
    ax.set(xscale="log", yscale="log")
    ax.set_xticks(sizes, [str(size) for size in sizes])
    ax.minorticks_off()
    return ax
