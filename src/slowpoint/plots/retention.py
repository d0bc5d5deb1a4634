"""How long is it remembered, and does it help to teach it?"""

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes


def by_delay(
    ax: Axes,
    delays: Float[np.ndarray, " delay"],
    groups: dict[str, Float[np.ndarray, "network delay"]],
) -> Axes:
    """The mean of each group over its networks, and the networks as thin lines."""
    colours = colormaps["viridis"](np.linspace(0, 0.85, len(groups)))
    for (name, rows), colour in zip(groups.items(), colours, strict=True):
        ax.semilogx(delays, rows.T, lw=0.5, alpha=0.5, color=colour)
        ax.semilogx(delays, rows.mean(axis=0), "o-", ms=3, lw=1.4, color=colour, label=name)
    ax.set(xlabel="frames after the picture")
    ax.legend(fontsize=7)
    return ax


def paired(ax: Axes, names: list[str], rows: Float[np.ndarray, "network group"]) -> Axes:
    """A line per network over the groups, so that each is its own control."""
    ax.plot(rows.T, "o-", ms=3, lw=0.8, color="#1b4965", alpha=0.7)
    ax.set_xticks(range(len(names)), names, fontsize=8)
    return ax


def by_class(ax: Axes, groups: dict[str, Float[np.ndarray, " class"]]) -> Axes:
    """A line per group over the classes, in the order of their numbers."""
    colours = colormaps["viridis"](np.linspace(0, 0.85, len(groups)))
    for (name, values), colour in zip(groups.items(), colours, strict=True):
        ax.plot(values, "o-", ms=3, lw=1.2, color=colour, label=name)
    ax.set_xticks(range(len(next(iter(groups.values())))))
    ax.set(xlabel="class")
    ax.legend(fontsize=7)
    return ax
