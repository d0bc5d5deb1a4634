"""How good are controllers, and where do they lie among all gains?"""

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes

from slowpoint.plots.style import PATH

TRIANGLE = np.array([(0.0, 0.0), (0.0, -2.0), (-4.0, -4.0)])  # k2 < k1 < 0, k1 < 4 + 2 k2


def losses_by(
    ax: Axes,
    names: list[str],
    rows: dict[str, Float[np.ndarray, "name *many"]],
) -> Axes:
    """Dots over each of `names`, a colour a row; of many values the median, and a bar."""
    colours = colormaps["viridis"](np.linspace(0, 0.8, len(rows)))
    places = np.arange(len(names))
    for i, (label, values) in enumerate(rows.items()):
        where = places + 0.5 * (i / max(len(rows) - 1, 1) - 0.5)
        spread = values.reshape(len(names), -1)
        low, middle, high = np.quantile(spread, [0, 0.5, 1], axis=1)
        ax.vlines(where, low, high, color=colours[i], lw=2)
        ax.plot(where, middle, "o", ms=4, color=colours[i], label=label)
    ax.set_xticks(places, names)
    ax.set(yscale="log", ylabel="loss")
    ax.legend(fontsize=7)
    return ax


def gain_plane(ax: Axes, groups: dict[str, Float[np.ndarray, "point 2"]]) -> Axes:
    """Gains of u = k1 x + k2 v on the double integrator; grey: those that are stable."""
    ax.fill(*TRIANGLE.T, color=PATH, alpha=0.25, lw=0, zorder=0)
    velocity = np.linspace(-2, 0, 100)
    ax.plot(-(velocity**2) / 4, velocity, ":", color=PATH, lw=1, zorder=1)  # left: it swings
    colours = colormaps["viridis"](np.linspace(0, 0.85, len(groups)))
    for colour, (label, points) in zip(colours, groups.items(), strict=True):
        ax.plot(*points.T, "o", ms=3, color=colour, label=label)
    every = np.concatenate([np.zeros((1, 2)), *groups.values()])
    low = every.min(axis=0) * 1.15
    ax.set(xlim=(low[0], -0.05 * low[0]), ylim=(low[1], -0.05 * low[1]))
    ax.set(xlabel="position gain k1", ylabel="velocity gain k2")
    ax.legend(fontsize=7)
    return ax
