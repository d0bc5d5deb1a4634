"""How does something change over decades while networks learn?"""

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes

from slowpoint.plots.along import along


def over_epochs(
    ax: Axes,
    epochs: Int[np.ndarray, " record"],
    rows: dict[str, Float[np.ndarray, "run record"]],
    floor: float = 1e-8,
) -> Axes:
    """One line per run, in logarithms; runs of one name share a colour.

    What is below `floor` is drawn there.
    """
    values = np.maximum(np.concatenate(list(rows.values())), floor)
    names = [name for name, runs in rows.items() for _ in runs]
    along(ax, np.broadcast_to(epochs, values.shape), values, names)
    ax.set(yscale="log", xlabel="epoch")
    if len(rows) > 1:
        ax.legend(fontsize=7)
    return ax
