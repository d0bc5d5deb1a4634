"""What do more guesses find, and what do they cost? One line per method."""

import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib.axes import Axes

from slowpoint.plots.style import PATH, STABLE, UNSTABLE

Pair = tuple[Int[np.ndarray, " row"], Float[np.ndarray, " row"]]  # guesses, values
LOOK = {
    "Newton": ("o", STABLE),
    "Newton, ungated": ("D", "black"),
    "Levenberg-Marquardt": ("s", UNSTABLE),
    "Adam": ("^", PATH),
}


def share_found(
    ax: Axes, curves: dict[str, Pair], told: dict[str, Bool[np.ndarray, " row"]], search: Pair
) -> Axes:
    """Share of the known points found. Stars: the default search, one per key.

    Hollow where the points were `told` to be incomplete, by an index sum other than +1.
    """
    _lines(ax, curves, search)
    for name, (x, y) in curves.items():
        marker, colour = LOOK[name]
        hollow = {"marker": marker, "ms": 4, "mfc": "white", "mec": colour, "ls": ""}
        label = "index sum not +1" if told[name].any() else None
        ax.plot(x[told[name]], y[told[name]], **hollow, label=label)
    ax.axhline(1, lw=0.8, color="black", zorder=0)
    ax.set(xscale="log", ylim=(-0.05, 1.08))
    return ax


def cost(ax: Axes, curves: dict[str, Pair], search: Pair) -> Axes:
    """CPU seconds, both axes logarithmic."""
    _lines(ax, curves, search)
    ax.set(xscale="log", yscale="log", xlabel="guesses")
    return ax


def _lines(ax: Axes, curves: dict[str, Pair], search: Pair) -> None:
    for name, (x, y) in curves.items():
        marker, colour = LOOK[name]
        ax.plot(x, y, marker=marker, color=colour, ms=4, lw=1, label=name)
    ax.plot(*search, "*", color="black", ms=9, mfc="gold", mew=0.6, label="default search")
