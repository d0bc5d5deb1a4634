"""What do many models of one recording cost a readout, and which is which?"""

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

MARKS = ("o", "s", "^", "D", "v", "P")


def kinds(
    ax: Axes,
    x: Float[np.ndarray, " model"],
    y: Float[np.ndarray, " model"],
    kind: Shaped[np.ndarray, " model"],
) -> Axes:
    """A mark per model, of a shape and colour of its kind."""
    names = list(dict.fromkeys(kind.tolist()))
    colours = colormaps["viridis"](np.linspace(0, 0.8, len(names)))
    for name, mark, colour in zip(names, MARKS, colours):
        own = kind == name
        ax.plot(x[own], y[own], mark, ms=4, alpha=0.8, color=colour, mec="none", label=name)
    ax.legend(fontsize=7)
    return ax


def costs(
    ax: Axes,
    k: Float[np.ndarray, " k"],
    measured: Float[np.ndarray, "model k"],
    predicted: Float[np.ndarray, "model k"],
    sizes: Float[np.ndarray, " model"],
) -> Axes:
    """What k trials lose against all: dots as measured, lines as predicted, by readout size."""
    norm = LogNorm(sizes.min(), max(sizes.max(), 1.01 * sizes.min()))
    for model in np.argsort(sizes):
        colour = colormaps["viridis"](0.9 * norm(sizes[model]))
        ax.loglog(k, predicted[model], "-", lw=0.7, color=colour)
        shown = measured[model] > 0
        ax.loglog(k[shown], measured[model][shown], "o", ms=2.5, color=colour)
    return ax


def by_name(
    ax: Axes,
    k: Float[np.ndarray, " k"],
    rows: dict[str, Float[np.ndarray, " k"]],
    least: float,
) -> Axes:
    """A line per model over k; what is below `least` is out of the picture."""
    colours = colormaps["viridis"](np.linspace(0, 0.9, len(rows)))
    for (name, row), colour in zip(rows.items(), colours):
        ax.semilogx(k, row, "o-", ms=3, lw=1, color=colour, label=name)
    ax.set_ylim(bottom=least)
    ax.legend(fontsize=6)
    return ax
