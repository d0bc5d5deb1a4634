"""Where do the states of a code lie, and does their latent run along them?"""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from slowpoint.analysis.map_like import Geometry
from slowpoint.plots.style import row


def embedding(found: Geometry) -> Figure:
    """The states on their components, coloured by up to two coordinates of the latent."""
    there = found.coordinates.shape[1]
    panels = [(min(1, there - 1), 0)]
    if found.ring is None and found.latent.shape[1] > 1:
        panels.append((panels[0][0], 1))
    if there > 2:
        panels.append((2, 0))
    figure, axes = row(len(panels), width=3.5 * len(panels), height=3.0)
    for ax, (component, coordinate) in zip(axes, panels):
        states(ax, found, component, coordinate)
    return figure


def states(ax: Axes, found: Geometry, component: int, coordinate: int = 0) -> Axes:
    """The first component across and another up, coloured by a coordinate of the latent.

    Of a ring the colour is the position, and comes back to where it began. With component 0
    the coordinate itself is up: what a code of one direction has to show.
    """
    values, name = _colour(found, coordinate)
    drawn = ax.scatter(
        found.coordinates[:, 0],
        found.coordinates[:, component] if component else values,
        c=values,
        cmap="viridis" if found.ring is None else "twilight",
        s=float(np.clip(2000 / len(values), 2, 18)),
        lw=0,
    )
    names = [f"PC{i + 1} ({share:.1%})" for i, share in enumerate(found.shares)]
    ax.set(xlabel=names[0], ylabel=names[component] if component else name)
    figure = ax.get_figure()
    if figure is not None:
        bar = figure.colorbar(drawn, ax=ax)
        bar.set_label(name, fontsize=8)
        bar.ax.tick_params(labelsize=7)
    return ax


def _colour(found: Geometry, coordinate: int) -> tuple[Float[np.ndarray, " sample"], str]:
    if found.ring is None:
        several = found.latent.shape[1] > 1
        return found.latent[:, coordinate], f"latent {coordinate + 1}" if several else "latent"
    cos, sin = found.latent.T
    turns = np.mod(np.arctan2(sin, cos) / (2 * np.pi) + 1e-12, 1)
    return turns * found.ring, "position on the ring"
