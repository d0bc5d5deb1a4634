"""What do latents cost that few trials must teach, measured and predicted?"""

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes

from slowpoint.plots.style import PATH


def over_samples(
    ax: Axes,
    samples: Float[np.ndarray, " k"],
    measured: dict[str, tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]],
    laws: dict[str, tuple[Float[np.ndarray, " fine"], Float[np.ndarray, " fine"]]],
) -> Axes:
    """Dots with their standard errors, and under each name its law as a line."""
    colours = colormaps["viridis"](np.linspace(0, 0.85, len(measured)))
    for (name, (values, errors)), colour in zip(measured.items(), colours, strict=True):
        ax.plot(*laws[name], "-", lw=1, color=colour)
        ax.errorbar(
            samples,
            values,
            errors,
            fmt="o",
            ms=3,
            lw=0.8,
            capsize=1.5,
            color=colour,
            label=name,
        )
    ax.set(xscale="log", xlabel="samples k")
    ax.legend(fontsize=6)
    return ax


def against(
    ax: Axes,
    x: Float[np.ndarray, " model"],
    y: Float[np.ndarray, " model"],
    errors: Float[np.ndarray, " model"],
    names: list[str],
) -> Axes:
    """A dot with its standard error for every model, and its name beside."""
    ax.errorbar(x, y, errors, fmt="o", ms=3, lw=0.8, capsize=1.5, color="black")
    for name, a, b in zip(names, x, y):
        ax.annotate(
            name, (a, b), xytext=(3, 3), textcoords="offset points", fontsize=5.5, color=PATH
        )
    return ax


def over_trials(
    ax: Axes,
    k: Float[np.ndarray, " k"],
    names: list[str],
    scores: tuple[Float[np.ndarray, "model k"], ...],
) -> Axes:
    """Scores (mean, s.e.m., law) over the trials that taught: dots measured, dashes the law."""
    colours = colormaps["viridis"](np.linspace(0, 0.9, len(names)))
    for name, colour, mean, sem, law in zip(names, colours, *scores, strict=True):
        ax.plot(k, law, "--", lw=0.8, color=colour)
        ax.errorbar(k, mean, sem, fmt="o-", ms=3, lw=0.8, capsize=1.5, color=colour, label=name)
    ax.set(xscale="log", xlabel="trials k", ylabel="bits per spike")
    ax.set_xticks(k, [f"{trials:.0f}" for trials in k])
    ax.minorticks_off()
    ax.legend(fontsize=6)
    return ax
