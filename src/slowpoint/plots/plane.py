"""Where in the plane does a field say that the boundary runs, and how far off is it?"""

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from slowpoint.plots.style import PATH, STABLE, UNSTABLE

Segments = Float[np.ndarray, "_ 2 2"]
FLOOR = 1e-7  # what is nearer than this is drawn at it


def truth(ax: Axes, line: Float[np.ndarray, "point 2"]) -> Axes:
    """The true boundary, a broad band below everything."""
    ax.plot(*line.T, lw=6, color=PATH, alpha=0.5, solid_capstyle="round", zorder=1)
    return ax


def zeros(ax: Axes, contours: dict[str, Segments], order: list[str]) -> Axes:
    """The zero set of each field; `order` decides the colours, the last are drawn below."""
    for name, segments in contours.items():
        at = order.index(name)
        lines = LineCollection(
            list(segments), colors=[_colour(at)], linewidths=1.2, zorder=3 - at / len(order)
        )
        ax.add_collection(lines)
    return ax


def heights(ax: Axes, field: Float[np.ndarray, "y x"], reach: float) -> Axes:
    """A field within -1 and 1 over the square of half-width `reach`, with its zero set."""
    extent = (-reach, reach, -reach, reach)
    ax.imshow(field, extent=extent, origin="lower", cmap="RdBu", vmin=-1, vmax=1)
    ax.contour(field, levels=[0.0], extent=extent, colors="black", linewidths=0.8)
    return ax


def rests(
    ax: Axes, attractors: Float[np.ndarray, "side 2"], saddle: Float[np.ndarray, "2"]
) -> Axes:
    """Filled: the attractors; hollow: the saddle between them."""
    ax.plot(*attractors.T, "o", ms=6, color=STABLE, zorder=4)
    ax.plot(*saddle, "o", ms=6, mfc="white", mec=UNSTABLE, zorder=4)
    return ax


def misses(
    ax: Axes,
    systems: list[str],
    fields: list[str],
    median: Float[np.ndarray, "system field"],
    high: Float[np.ndarray, "system field"],
) -> Axes:
    """Median (dot) to a high quantile (end of the bar) of distances; names the colours."""
    for i, field in enumerate(fields):
        x = np.arange(len(systems)) + 0.7 * (i / max(len(fields) - 1, 1) - 0.5)
        low, top = (np.maximum(part[:, i], FLOOR) for part in (median, high))
        ax.vlines(x, low, top, color=_colour(i), lw=1.6)
        ax.plot(x, low, "o", ms=4, color=_colour(i), label=field)
    ax.set_yscale("log")
    ax.set_xticks(np.arange(len(systems)), systems, rotation=0 if len(systems) < 4 else 90)
    handles, labels = ax.get_legend_handles_labels()
    ax.figure.legend(handles, labels, fontsize=7, ncols=len(labels), loc="outside lower center")
    return ax


def _colour(index: int):
    """That of field number `index`, the same in every panel."""
    return colormaps["tab10"](index)
