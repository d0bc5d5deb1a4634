"""How do several quantities change with one, over decades?"""

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes


def against(
    ax: Axes,
    where: Float[np.ndarray, " value"],
    rows: dict[str, Float[np.ndarray, " value"]],
) -> Axes:
    """Each row over `where`, both in logarithms, a dot per value."""
    colours = colormaps["viridis"](np.linspace(0, 0.7, len(rows)))
    for (name, row), colour in zip(rows.items(), colours, strict=True):
        ax.loglog(where, row, "o-", ms=3, lw=1.2, color=colour, label=name)
    ax.legend(fontsize=7)
    return ax
