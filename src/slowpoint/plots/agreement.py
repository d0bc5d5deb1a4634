"""Which of several numbers foretells an outcome, and how surely?"""

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib import colormaps
from matplotlib.axes import Axes

from slowpoint.plots.style import STABLE


def cloud(
    ax: Axes,
    values: Float[np.ndarray, "network class"],
    outcome: Float[np.ndarray, "network class"],
    groups: Shaped[np.ndarray, " network"],
) -> Axes:
    """A dot per class, coloured by the group of its network; values in logarithms."""
    names = np.unique(groups)
    for name, colour in zip(names, colormaps["viridis"](np.linspace(0, 0.7, len(names)))):
        own = groups == name
        x, y = values[own].ravel(), outcome[own].ravel()
        ax.semilogx(x, y, ".", ms=3, alpha=0.6, color=colour, label=str(name))
    ax.legend(fontsize=7)
    return ax


def intervals(
    ax: Axes,
    names: list[str],
    middles: Float[np.ndarray, " row"],
    ranges: Float[np.ndarray, "row 2"],
) -> Axes:
    """A dot and its interval per row, the first on top."""
    places = np.arange(len(names))[::-1]
    ax.plot(middles, places, "o", ms=4, color=STABLE)
    ax.hlines(places, ranges[:, 0], ranges[:, 1], lw=1.4, color=STABLE)
    ax.axvline(0, lw=0.6, color="0.6")
    ax.set_yticks(places, names, fontsize=7)
    ax.set_xlim(-1, 1)
    return ax
