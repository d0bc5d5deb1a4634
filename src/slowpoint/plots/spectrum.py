"""How do small deviations grow or decay at every point?"""

import numpy as np
from matplotlib.axes import Axes

from slowpoint.analysis.points import FixedPoints
from slowpoint.plots.style import STABLE, UNSTABLE


def spectrum(ax: Axes, points: FixedPoints, leading: int = 24) -> Axes:
    """The `leading` rates of every point in the complex plane; right of the line grows.

    Filled: a point without growing modes. Hollow: a saddle.
    """
    ax.axvline(0, lw=0.8, color="black")
    for rates, unstable in zip(points.rates[:, :leading], points.n_unstable):
        face, edge = (STABLE, STABLE) if unstable == 0 else ("none", UNSTABLE)
        ax.plot(np.real(rates), np.imag(rates), "o", ms=4, mfc=face, mec=edge, alpha=0.8)
    ax.set(xlabel="growth rate (per unit time)", ylabel="frequency (rad per unit time)")
    return ax
