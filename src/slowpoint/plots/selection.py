"""Which of many models to take: how do they predict, with all trials and with few?"""

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes

from slowpoint.analysis.selection import Selection
from slowpoint.plots.style import PATH, STABLE, UNSTABLE

SHOWN = 6  # curves, and names beside dots


def scores(ax: Axes, found: Selection) -> Axes:
    """k-shot score over Q_co: filled within the margin (shaded), a square for the one taken."""
    y, e = found.q_k[:, found.decisive], found.sem[:, found.decisive]
    ax.axvspan(found.q_co.max() - found.margin, found.q_co.max(), color=PATH, alpha=0.25, lw=0)
    _dots(ax, found, found.q_co, y, e)
    ax.set(xlabel="Q_co (bits per spike)", ylabel=f"{found.k[found.decisive]}-shot")
    return ax


def decoding(ax: Axes, found: Selection) -> Axes:
    """k-shot score over how badly the others decode the model."""
    y, e = found.q_k[:, found.decisive], found.sem[:, found.decisive]
    low, high = np.abs(found.column_range - found.column[:, None]).T
    ax.errorbar(found.column, y, xerr=(low, high), fmt="none", lw=0.8, color=PATH)
    _dots(ax, found, found.column, y, e)
    ax.set(xlabel="mean 1 - R², decoded from the others")
    ax.set(ylabel=f"{found.k[found.decisive]}-shot")
    return ax


def _dots(ax: Axes, found: Selection, x, y, errors) -> None:
    ax.errorbar(x, y, errors, fmt="none", lw=0.8, color=PATH)
    ax.plot(x[~found.near], y[~found.near], "o", ms=3.5, mfc="none", color=STABLE)
    ax.plot(x[found.near], y[found.near], "o", ms=3.5, color=STABLE)
    at = found.taken
    right = x[at] > (x.min() + x.max()) / 2
    ax.plot(x[at], y[at], "s", ms=6, mfc="none", mew=1.5, color=UNSTABLE)
    ax.annotate(
        str(found.model[at]),
        (x[at], y[at]),
        xytext=(-7 if right else 7, -8),
        ha="right" if right else "left",
        textcoords="offset points",
        fontsize=6,
        color=UNSTABLE,
    )
    if np.isfinite(y).all() and y.min() < 0 < y.max() and -y.min() > 3 * y.max():
        ax.set_yscale("symlog", linthresh=max(float(y.max()), 1e-3))


def curves(
    ax: Axes, found: Selection, order: list[int], laws: Float[np.ndarray, "model k"]
) -> Axes:
    """Scores over k of the first few in `order`; dashed: what their sizes alone cost."""
    shown = order[:SHOWN]
    colours = colormaps["viridis"](np.linspace(0, 0.9, len(shown)))
    for i, colour in zip(shown, colours):
        ax.plot(found.k, laws[i], "--", lw=0.9, color=colour)
        ax.errorbar(
            found.k,
            found.q_k[i],
            found.sem[i],
            fmt="o-",
            ms=3,
            lw=0.9,
            color=colour,
            capsize=1.5,
            label=str(found.model[i]),
        )
    ax.set(xscale="log", xlabel="trials k", ylabel="bits per spike")
    ax.set_xticks(found.k, [str(k) for k in found.k])
    ax.minorticks_off()
    ax.legend(fontsize=6)
    return ax


def matrix(ax: Axes, found: Selection, order: list[int]) -> Axes:
    """1 - R² from each (row) to each (column), in `order`; the pairs left out are white."""
    values = np.where(found.used, found.matrix, np.nan)[np.ix_(order, order)]
    image = ax.imshow(values, cmap="viridis", vmin=0, vmax=1)
    size = 6 if len(order) <= 12 else 4
    names = [str(found.model[i]) for i in order]
    ax.set_xticks(np.arange(len(order)), names, rotation=90, fontsize=size)
    ax.set_yticks(np.arange(len(order)), names, fontsize=size)
    ax.tick_params(length=0)
    ax.set_xlabel("is decoded")
    ax.set_ylabel("from")
    figure = ax.get_figure()
    if figure is not None:
        bar = figure.colorbar(image, ax=ax, shrink=0.8)
        bar.set_label("1 - R²", fontsize=7)
        bar.ax.tick_params(labelsize=6)
    return ax
