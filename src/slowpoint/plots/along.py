"""What happens along a line of states, for each of several networks?"""

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes

Rows = Float[np.ndarray, "network position"]


def along(ax: Axes, where: Rows, values: Rows, names: list[str], style: str = "-") -> Axes:
    """One line per row; rows of one name share a colour and one entry in the legend."""
    ax.axhline(0, lw=0.8, color="black", zorder=0)
    order = list(dict.fromkeys(names))
    colours = colormaps["viridis"](np.linspace(0, 0.85, len(order)))
    for row, name in enumerate(names):
        first = names.index(name) == row and style == "-"
        colour, label = colours[order.index(name)], name if first else None
        ax.plot(where[row], values[row], style, color=colour, lw=1.2, label=label)
    return ax
