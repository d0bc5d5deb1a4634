"""How far does a memory move from snapshot to snapshot, and which one did it come from?"""

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes

COLOURS = {"vocabulary": "#1b4965", "delay": "#c1666b"}


def jumps_in_time(
    ax: Axes,
    updates: Float[np.ndarray, "network snapshot"],
    jumps: Float[np.ndarray, "network snapshot"],
    names: list[str],
) -> Axes:
    """A line per network; those of one curriculum share a colour."""
    for when, far, name in zip(updates, jumps, names):
        known = np.flatnonzero(np.isfinite(when))[:-1]  # the last has no snapshot after it
        first = names.index(name) == len(ax.lines)
        colour = COLOURS.get(name, "0.4")
        label = name if first else None
        ax.plot(when[known], far[known], lw=0.9, color=colour, alpha=0.8, label=label)
    ax.set(xlabel="update", ylabel="distance to the next snapshot")
    ax.legend(fontsize=7)
    return ax


def parents_by_seed(
    ax: Axes,
    parents: Int[np.ndarray, "network class"],
    control: Int[np.ndarray, "network class"],
) -> Axes:
    """The parent of every class: dots for the tracked point, crosses for the control."""
    classes = np.arange(parents.shape[1])
    for number, (row, other) in enumerate(zip(parents, control)):
        shift = 0.15 * (number - (len(parents) - 1) / 2)
        known = row >= 0
        ax.plot(classes[known] + shift, row[known], "o", ms=4, color="#1b4965")
        known = other >= 0
        ax.plot(classes[known] + shift, other[known], "x", ms=4, color="#c1666b")
    ax.plot([], [], "o", ms=4, color="#1b4965", label="slow point")
    ax.plot([], [], "x", ms=4, color="#c1666b", label="centre of its images")
    ax.set(xlabel="class", ylabel="read out as, before it was taught")
    ax.legend(fontsize=7)
    return ax
