"""Which way do gains take while networks learn, over the cost of every pair of gains?"""

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes

from slowpoint.plots.controllers import TRIANGLE


def gain_paths(
    ax: Axes,
    gains: Float[np.ndarray, " gain"],
    costs: Float[np.ndarray, "gain gain"],
    ways: dict[str, Float[np.ndarray, "run record 2"]],
) -> Axes:
    """Grey: the logarithm of `costs[i, j]` at k2 = gains[i], k1 = gains[j], dark is dear.

    Within the broken line the mass comes to rest. A dot ends each way.
    """
    ends = (gains[0], gains[-1])
    ax.imshow(np.log10(costs), extent=(*ends, *ends), origin="lower", cmap="Greys", alpha=0.7)
    ax.plot(*np.concatenate([TRIANGLE, TRIANGLE[:1]]).T, "--", lw=0.8, color="black")
    colours = colormaps["viridis"](np.linspace(0, 0.8, len(ways)))
    for (name, runs), colour in zip(ways.items(), colours, strict=True):
        for i, path in enumerate(runs):
            ax.plot(*path.T, lw=1.2, color=colour, label=None if i else name)
            ax.plot(*path[-1], "o", ms=4, color=colour)
    ax.set(xlim=ends, ylim=ends, xlabel="position gain k1", ylabel="velocity gain k2")
    ax.legend(fontsize=7)
    return ax
