"""How much do weights hold, over the size of a network and its load as a share of a bound?"""

import numpy as np
from jaxtyping import Float, Int
from matplotlib import colormaps
from matplotlib.axes import Axes

from slowpoint.plots.style import PATH


def over_size(
    ax: Axes, units: Int[np.ndarray, " size"], counts: Int[np.ndarray, "size seed"]
) -> Axes:
    """Maps held by each network over its units, on a line through their means."""
    ax.plot(np.repeat(units, counts.shape[1]), counts.ravel(), "o", ms=3, color="black")
    ax.plot(units, counts.mean(axis=1), "-", lw=1.2, color="black")
    ax.set(xlabel="units N", ylabel="maps held", xlim=(0, None), ylim=(0, None))
    return ax


def over_bound(
    ax: Axes,
    ratios: Float[np.ndarray, "row load"],
    shares: Float[np.ndarray, "row load seed"],
    names: list[str],
    ends: Float[np.ndarray, " row"] | None = None,
) -> Axes:
    """Shares over what is asked in parts of a bound: a line a row; dotted: other bounds."""
    colours = colormaps["viridis"](np.linspace(0, 0.85, len(names)))
    for at, share, name, colour in zip(ratios, shares, names, colours, strict=True):
        ax.plot(at, share.mean(axis=1), "-", lw=1.2, color=colour, label=name)
        ax.plot(np.repeat(at, share.shape[1]), share.ravel(), "o", ms=2.5, color=colour)
    for end, colour in zip([] if ends is None else ends, colours):
        ax.axvline(end, ls=":", lw=1, color=colour)
    ax.axvline(1.0, ls="--", lw=1, color=PATH)
    ax.legend(fontsize=7)
    return ax
