"""What stands in a matrix, and what do the parts of several wholes add up to?"""

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib import colormaps
from matplotlib.axes import Axes


def entries(
    ax: Axes,
    values: Float[np.ndarray, "row column"],
    names: list[str],
    texts: Shaped[np.ndarray, "row column"],
) -> Axes:
    """Each entry a square, the darker the larger, with its text; zeros stay white and empty."""
    ax.imshow(
        np.where(values == 0, np.nan, values), cmap="Blues", vmin=0, vmax=2 * values.max()
    )
    for (row, column), text in np.ndenumerate(texts):
        if text != "0":
            ax.text(column, row, str(text), ha="center", va="center", fontsize=5.5)
    places = np.arange(len(names))
    ax.set_xticks(places, names)
    ax.set_yticks(places, names)
    ax.tick_params(
        length=0, labelsize=7, top=True, labeltop=True, bottom=False, labelbottom=False
    )
    return ax


def stacked(ax: Axes, names: list[str], parts: dict[str, np.ndarray]) -> Axes:
    """One bar a name, downwards, its parts one after another with their numbers inside."""
    colours = colormaps["viridis"](np.linspace(0.45, 0.95, len(parts)))
    left = np.zeros(len(names))
    for (part, sizes), colour in zip(parts.items(), colours, strict=True):
        bars = ax.barh(np.arange(len(names)), sizes, left=left, color=colour, label=part)
        ax.bar_label(bars, [f"{n:g}" for n in sizes], label_type="center", fontsize=7)
        left = left + sizes
    ax.set_yticks(np.arange(len(names)), names, fontsize=7)
    ax.invert_yaxis()
    ax.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=len(parts))
    return ax
