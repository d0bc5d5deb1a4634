"""How like a map are the codes of networks that predict, over depth and over horizon?"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib import colormaps
from matplotlib.axes import Axes

from slowpoint.plots.style import PATH


def heat(
    ax: Axes,
    values: Float[np.ndarray, "depth horizon"],
    depths: Sequence[int],
    horizons: Sequence[int],
    says: str,
) -> Axes:
    """Each depth a row and each horizon a column, with its number; yellow is high."""
    ax.imshow(values, cmap="viridis", aspect="auto", origin="lower", vmin=0)
    top = np.nanmax(values) if np.isfinite(values).any() else 1.0
    for (r, c), value in np.ndenumerate(values):
        dark = "black" if value > 0.6 * top else "white"
        ax.text(c, r, f"{value:.2g}", ha="center", va="center", fontsize=5, color=dark)
    ax.set_xticks(range(len(horizons)), [str(a) for a in horizons])
    ax.set_yticks(range(len(depths)), [str(n) for n in depths])
    ax.set(xlabel="horizon A", ylabel="hidden layers", title=says)
    return ax


def over_horizon(
    ax: Axes,
    horizons: Shaped[np.ndarray, " horizon"],
    rows: dict[str, list[np.ndarray]],
    says: str,
) -> Axes:
    """Means as lines, replicates as dots: for each row an array of them at each horizon."""
    colours = colormaps["viridis"](np.linspace(0, 0.8, len(rows)))
    for number, ((name, values), colour) in enumerate(zip(rows.items(), colours, strict=True)):
        marker = "osD^vPX"[number % 7]
        mean = np.array(
            [row[np.isfinite(row)].mean() if len(row) else np.nan for row in values]
        )
        ax.plot(horizons, mean, "-", lw=1.2, color=colour, marker=marker, ms=3, label=name)
        for horizon, row in zip(horizons, values, strict=True):
            ax.plot(np.full(len(row), horizon), row, marker, ms=2, color=colour, alpha=0.5)
    ax.set(xlabel="horizon A", ylabel=says)
    ax.legend(fontsize=6)
    return ax


def mapped(
    ax: Axes, points: Float[np.ndarray, "place 2"], latent: Float[np.ndarray, " place"]
) -> Axes:
    """Class means on the first two components, joined in the order of the latent."""
    order = np.argsort(latent)
    ax.plot(*points[order].T, "-", lw=0.8, color=PATH)
    ax.scatter(*points[order].T, c=latent[order], s=14, zorder=2)
    ax.set(xlabel="first component", ylabel="second component")
    return ax


def netted(ax: Axes, points: Float[np.ndarray, "place 2"]) -> Axes:
    """Class means of a square of places on two components, neighbours joined."""
    side = round(len(points) ** 0.5)
    square = points.reshape(side, side, 2)
    for lines in (square, square.swapaxes(0, 1)):
        for line in lines:
            ax.plot(*line.T, "-", lw=0.8, color=PATH)
    ax.scatter(*points.T, c=np.arange(len(points)), s=10, zorder=2)
    ax.set(xlabel="first component", ylabel="second component")
    return ax


def ranked(
    ax: Axes,
    horizons: Shaped[np.ndarray, " horizon"],
    values: Float[np.ndarray, "horizon mode"],
) -> Axes:
    """What falls from mode to mode, a line for each horizon."""
    colours = colormaps["viridis"](np.linspace(0, 0.85, len(horizons)))
    for horizon, sizes, colour in zip(horizons, values, colours, strict=True):
        ax.plot(np.arange(1, len(sizes) + 1), sizes, "o-", ms=3, lw=1, color=colour)
        ax.lines[-1].set_label(f"A = {horizon}")
    ax.set(xlabel="mode")
    ax.legend(fontsize=6)
    return ax


def over_updates(
    ax: Axes,
    updates: Shaped[np.ndarray, " look"],
    rows: dict[str, Float[np.ndarray, "replicate look"]],
    says: str,
) -> Axes:
    """A line for each replicate, a colour for each row."""
    colours = colormaps["viridis"](np.linspace(0, 0.8, len(rows)))
    for (name, values), colour in zip(rows.items(), colours, strict=True):
        lines = ax.plot(updates, values.T, "o-", ms=2, lw=1, color=colour)
        lines[0].set_label(name)
    ax.set(xlabel="updates", ylabel=says, xscale="symlog")
    ax.legend(fontsize=6)
    return ax
