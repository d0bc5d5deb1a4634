"""Which memories are neighbours, and over which saddle?"""

import numpy as np
from matplotlib.axes import Axes

from slowpoint.analysis.geometry import PCA
from slowpoint.analysis.points import FixedPoints
from slowpoint.analysis.topology import Topology
from slowpoint.plots.style import STABLE, UNSTABLE


def graph(ax: Axes, frame: PCA, points: FixedPoints, topology: Topology) -> Axes:
    """Attractors (filled, with their row) joined over saddles of index 1 (hollow)."""
    at = frame.project(points.states)[:, :2]
    at = np.pad(at, np.array([(0, 0), (0, 2 - at.shape[1])]))
    for a, b, saddle in topology.neighbours:
        bent = at[[a, saddle, b]]
        ax.plot(bent[:, 0], bent[:, 1], "-", color=UNSTABLE, lw=1, zorder=1)
        ax.plot(*at[saddle], "o", ms=5, mfc="white", mec=UNSTABLE, zorder=2)
    for row in topology.attractors:
        ax.plot(*at[row], "o", ms=13, color=STABLE, zorder=3)
        ax.annotate(
            str(row),
            (at[row, 0], at[row, 1]),
            color="white",
            ha="center",
            va="center",
            fontsize=8,
        )
    shares = [f"PC{i + 1} ({share:.0%})" for i, share in enumerate(frame.shares[:2])]
    ax.set(xlabel=shares[0], ylabel=shares[1] if len(shares) > 1 else "")
    return ax
