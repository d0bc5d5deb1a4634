"""What do two networks answer, and how do they learn?"""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from slowpoint.plots.style import PATH, STABLE, UNSTABLE

PAIR = (("A", STABLE, "-"), ("B", UNSTABLE, (0, (4, 2))))  # dashed where one hides the other


def two_answers(
    ax: Axes,
    answers: Float[np.ndarray, "network time"],
    target: Float[np.ndarray, " time"],
    dt: float,
) -> Axes:
    """One output on one trial, and what it should be."""
    time = dt * np.arange(1, len(target) + 1)
    ax.plot(time, target, color=PATH, lw=3.0, alpha=0.6, label="target")
    for (name, colour, style), row in zip(PAIR, answers):
        ax.plot(time, row, color=colour, ls=style, lw=1.4, label=name)
    ax.set(xlabel="time", ylabel="output 1, trial 1")
    ax.legend(fontsize=7)
    return ax


def two_learners(
    ax: Axes,
    losses: Float[np.ndarray, "network step"],
    simulated: Float[np.ndarray, "network update"],
) -> Axes:
    """Predicted losses as lines, those of simulated networks as dots."""
    for (name, colour, style), row, dots in zip(PAIR, losses, simulated):
        ax.plot(row, color=colour, ls=style, lw=1.4, label=f"{name}, predicted")
        shown = np.unique(np.linspace(0, len(dots) - 1, 12).astype(int))
        ax.plot(shown, dots[shown], "o", ms=4, mfc="none", color=colour, label=f"{name}, run")
    ax.set(xlabel="updates", ylabel="loss on the batch")
    if np.isfinite(losses).all() and losses.min() > 0 and losses.max() > 30 * losses.min():
        ax.set_yscale("log")
    ax.legend(fontsize=7)
    return ax
