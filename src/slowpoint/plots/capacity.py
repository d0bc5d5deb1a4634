"""How much is recalled, over the load and over the passes of learning?"""

import numpy as np
from jaxtyping import Float, Int
from matplotlib import colormaps
from matplotlib.axes import Axes

from slowpoint.plots.style import PATH

LINES = ("--", ":", "-.")  # of bounds


def against_load(
    ax: Axes,
    loads: Float[np.ndarray, " load"],
    rows: dict[str, Float[np.ndarray, "load seed"]],
    bounds: dict[str, float],
) -> Axes:
    """Share recalled over the load: means as lines, seeds as dots, `bounds` as verticals."""
    colours = colormaps["viridis"](np.linspace(0, 0.85, len(rows)))
    for (name, shares), colour in zip(rows.items(), colours, strict=True):
        ax.plot(loads, shares.mean(axis=1), "-", lw=1.2, color=colour, label=name)
        ax.plot(np.repeat(loads, shares.shape[1]), shares.ravel(), "o", ms=2.5, color=colour)
    for style, (name, load) in zip(LINES, bounds.items()):
        ax.axvline(load, ls=style, lw=1, color=PATH, label=name)
    ax.set(xlabel="load M / N", ylabel="share recalled", ylim=(-0.03, 1.05))
    ax.legend(fontsize=6)
    return ax


def over_passes(
    ax: Axes,
    passes: Int[np.ndarray, " look"],
    rows: dict[str, Float[np.ndarray, "seed look"]],
) -> Axes:
    """Share recalled over the passes, a line per seed."""
    colours = colormaps["viridis"](np.linspace(0, 0.7, len(rows)))
    for (name, shares), colour in zip(rows.items(), colours, strict=True):
        lines = ax.plot(passes, shares.T, "o-", ms=3, lw=1, color=colour)
        lines[0].set_label(name)
    ax.set(xscale="log", xlabel="passes", ylabel="share recalled", ylim=(-0.03, 1.05))
    ax.legend(fontsize=7)
    return ax


def by_age(ax: Axes, rows: dict[str, Float[np.ndarray, "network age"]]) -> Axes:
    """Overlap by age, 0 the youngest: means as lines, networks as dots."""
    colours = colormaps["viridis"](np.linspace(0, 0.7, len(rows)))
    for (name, overlaps), colour in zip(rows.items(), colours, strict=True):
        ages = np.arange(overlaps.shape[1])
        ax.plot(ages, overlaps.mean(axis=0), "-", lw=1.2, color=colour, label=name)
        ax.plot(np.tile(ages, len(overlaps)), overlaps.ravel(), "o", ms=1.5, color=colour)
    ax.set(xlabel="age in the list (0: shown last)", ylabel="overlap", ylim=(-0.1, 1.05))
    ax.legend(fontsize=7)
    return ax


def ends_of_memories(ax: Axes, kinds: dict[str, Float[np.ndarray, " memory"]]) -> Axes:
    """Counts of the strengths at which memories are lost, by the kind of their end."""
    bins = np.linspace(0, 1, 21).tolist()
    colours = colormaps["viridis"](np.linspace(0, 0.7, len(kinds))).tolist()
    names = list(kinds)
    ax.hist(list(kinds.values()), bins, stacked=True, color=colours, label=names)
    ax.set(xlabel="input s at which it is lost", ylabel="memories")
    ax.legend(fontsize=7)
    return ax


def over_strength(
    ax: Axes,
    strengths: Float[np.ndarray, " strength"],
    shares: Float[np.ndarray, "network strength"],
) -> Axes:
    """Share of maps recalled over the strength of the input; dotted: that of training."""
    ax.plot(strengths, shares.T, "o-", ms=3, lw=1, color="black")
    ax.axvline(1.0, ls=":", lw=1, color=PATH)
    ax.set(
        xlabel="strength of the input", ylabel="recalled from all starts", ylim=(-0.03, 1.05)
    )
    return ax
