"""How does a number depend on what was varied over many runs?"""

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib import colormaps
from matplotlib.axes import Axes

FEW, FAR = 8, 10  # groups that a legend can name; ratio from which an axis is logarithmic


def against_varied(
    ax: Axes,
    values: Float[np.ndarray, " run"],
    places: Shaped[np.ndarray, " run"],
    groups: Shaped[np.ndarray, " run"],
) -> Axes:
    """A dot a run, and a line through the medians of each group; NaN is left out.

    `places` that are no numbers stand side by side in their order.
    """
    names = list(dict.fromkeys(groups.tolist()))
    x = places
    if places.dtype.kind not in "iuf":
        kinds = list(dict.fromkeys(places.tolist()))
        x = np.array([kinds.index(place) for place in places.tolist()])
        ax.set_xticks(range(len(kinds)), kinds, fontsize=7)
    colours = colormaps["viridis"](np.linspace(0, 0.75, len(names)))
    for name, colour in zip(names, colours):
        own = (groups == name) & np.isfinite(values)
        label = str(name) if 1 < len(names) <= FEW else None
        ax.plot(x[own], values[own], ".", ms=3, alpha=0.5, color=colour)
        columns = np.unique(x[own])
        middles = [np.median(values[own & (x == column)]) for column in columns]
        ax.plot(columns, middles, lw=1.2, color=colour, label=label)
    if places.dtype.kind in "iuf" and 0 < FAR * places.min() <= places.max():
        ax.set_xscale("log")
    return ax
