"""Which memory is near which? The smallest push from every one to every neighbour."""

import numpy as np
from matplotlib.axes import Axes

from slowpoint.analysis.flips import Flips


def push_matrix(ax: Axes, flips: Flips, attractors: np.ndarray) -> Axes:
    """Norms from every row to every column (points `attractors`); empty: no push is known."""
    count = len(attractors)
    norms = np.full((count, count), np.nan)
    place = {int(point): i for i, point in enumerate(attractors)}
    for row in flips.easiest[::-1]:  # where two saddles join a pair, the smaller push is shown
        if np.isfinite(flips.norm[row]):
            at = place[int(flips.origin[row])], place[int(flips.target[row])]
            norms[at] = flips.norm[row]
    shades = ax.imshow(norms, cmap="viridis_r", vmin=0)
    if count <= 12:
        half = 0.55 * np.nanmax(norms, initial=0.0)
        for (i, j), norm in np.ndenumerate(norms):
            if np.isfinite(norm):
                ink = "white" if norm > half else "black"
                ax.text(j, i, f"{norm:.3g}", ha="center", va="center", fontsize=7, color=ink)
    ticks = np.arange(count)
    ax.set_xticks(ticks, [str(point) for point in attractors])
    ax.set_yticks(ticks, [str(point) for point in attractors])
    ax.set(xlabel="to memory", ylabel="from memory")
    ax.figure.colorbar(shades, ax=ax, label="norm of the smallest push")
    return ax
