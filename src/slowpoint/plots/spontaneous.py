"""Where does a network wander without input, and how near to what it was taught?"""

import numpy as np
from jaxtyping import Float, Int
from matplotlib import colormaps
from matplotlib.axes import Axes

from slowpoint.plots.style import PATH, STABLE, UNSTABLE


def overlaps_in_time(
    ax: Axes, times: Float[np.ndarray, " time"], overlaps: Float[np.ndarray, "time target"]
) -> Axes:
    """A row per target, blue below 0 and red above; white: nothing in common."""
    targets = overlaps.shape[1]
    ax.imshow(
        overlaps.T,
        aspect="auto",
        cmap="RdBu_r",
        vmin=-0.5,
        vmax=0.5,
        interpolation="nearest",
        extent=(times[0], times[-1], targets - 0.5, -0.5),
    )
    ax.set(xlabel="time", ylabel="target")
    return ax


def distributions(
    ax: Axes,
    edges: Float[np.ndarray, " edge"],
    rows: dict[str, Float[np.ndarray, "network bin"]],
) -> Axes:
    """Densities, a line per network; rows of one name share a colour."""
    for (name, densities), colour in zip(rows.items(), (UNSTABLE, PATH, STABLE)):
        for density in densities:
            ax.stairs(density, edges, color=colour, lw=1, label=name)
            name = None
    ax.set(ylabel="density", xlim=(edges[0], edges[-1]))
    ax.legend(fontsize=7)
    return ax


def from_no_pass(
    ax: Axes,
    passes: Int[np.ndarray, " look"],
    rows: dict[str, Float[np.ndarray, "network look"]],
) -> Axes:
    """Lines over the passes, the first from before learning, a line per network."""
    colours = colormaps["viridis"](np.linspace(0, 0.8, len(rows)))
    for (name, numbers), colour in zip(rows.items(), colours, strict=True):
        lines = ax.plot(passes, numbers.T, "o-", ms=3, lw=1, color=colour)
        lines[0].set_label(name)
    ax.set_xscale("symlog", linthresh=1)
    ax.set_xticks(passes, [str(p) for p in passes])
    ax.set(xlabel="passes")
    ax.legend(fontsize=7)
    return ax
