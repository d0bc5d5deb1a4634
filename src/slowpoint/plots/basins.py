"""How large are the basins?"""

import numpy as np
from matplotlib.axes import Axes

from slowpoint.analysis.basins import Basins
from slowpoint.plots.style import STABLE, UNSTABLE


def basin_shares(ax: Axes, basins: Basins, names: list[str]) -> Axes:
    """Share of starts that end in each attractor, with standard errors; the rest apart."""
    labels = [*names, "undecided", "elsewhere"]
    colours = [STABLE] * len(names) + [UNSTABLE] * 2
    shown = [i for i in range(len(labels)) if i < len(names) or basins.fractions[i] > 0]
    heights, errors = basins.fractions[shown], basins.errors[shown]
    place = np.arange(len(shown))
    ax.bar(place, heights, yerr=errors, color=[colours[i] for i in shown], capsize=2)
    ax.set_xticks(place, [labels[i] for i in shown], rotation=0 if len(shown) < 10 else 90)
    ax.set(ylabel="share of starts", ylim=(0, None))
    return ax
