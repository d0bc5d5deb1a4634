"""Did memories last as long as was forecast?"""

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes


def against_counted(
    ax: Axes,
    forecast: Float[np.ndarray, " memory"],
    counted: Float[np.ndarray, " memory"],
    ranges: Float[np.ndarray, "memory 2"],
    names: list[str],
) -> Axes:
    """A dot per memory with its interval; arrows where no run left; the line of equal times."""
    kinds = sorted(set(names))
    colours = colormaps["viridis"](np.linspace(0, 0.85, len(kinds)))
    for kind, colour in zip(kinds, colours):
        mine = np.array([name == kind for name in names]) & np.isfinite(forecast)
        seen, late = mine & np.isfinite(counted), mine & ~np.isfinite(counted)
        x, y, (low, high) = forecast[seen], counted[seen], ranges[seen].T
        ax.errorbar(x, y, [y - low, high - y], fmt="o", ms=4, lw=0.8, color=colour, label=kind)
        ax.plot(forecast[late], ranges[late, 0], "^", ms=5, mfc="none", color=colour)
    known = forecast[np.isfinite(forecast)]
    if known.size:
        ends = np.array([known.min() / 2, known.max() * 2])
        ax.plot(ends, ends, "-", lw=0.8, color="0.6")
    ax.set(xscale="log", yscale="log", xlabel="forecast (steps)", ylabel="counted (steps)")
    ax.legend(fontsize=7)
    return ax
