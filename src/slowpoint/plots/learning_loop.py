"""How did a control come to be? Loss, radius, eigenvalue paths and gains of one training."""

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes

from slowpoint.analysis.loop_history import LoopHistory
from slowpoint.plots.style import PATH, STABLE, UNSTABLE

SHADES = {1: "#f3d9d2", 2: "#f7efe0", 3: "#e3edf3"}  # of the stages
NAMES = {1: "1 no push", 2: "2 unstable", 3: "3 stable"}
NEAR = 0.05  # modes that never come so far from 0 are not drawn
ENTRIES = 8  # of gains that are named


def learning_loop(axes: np.ndarray, history: LoopHistory) -> np.ndarray:
    """The four pictures, in an array of 2 by 2 axes; stages are shaded, borders lines."""
    loss_along(axes[0, 0], history)
    radius_along(axes[0, 1], history)
    eigenvalue_plane(axes[1, 0], history)
    gains_along(axes[1, 1], history)
    return axes


def loss_along(ax: Axes, history: LoopHistory) -> Axes:
    """The loss before each update; grey each, dark the median of a hundredth of them."""
    losses = history.losses
    stages_behind(ax, history, named=True)
    ax.plot(losses, color=PATH, lw=0.6, zorder=2)
    width = max(1, len(losses) // 100)
    whole = losses[: len(losses) // width * width].reshape(-1, width)
    if width > 2 and np.isfinite(whole).all():
        ax.plot(width * (np.arange(len(whole)) + 0.5), np.median(whole, axis=1), color=STABLE)
    if np.nanmin(losses, initial=np.inf) > 0:
        ax.set_yscale("log")
    ax.set(xlabel="updates", ylabel="loss")
    return ax


def radius_along(ax: Axes, history: LoopHistory) -> Axes:
    """The spectral radius of the joint step; below the line the loop is stable."""
    stages_behind(ax, history)
    ax.axhline(1, color="black", lw=0.8)
    stable = history.radius < 1
    ax.plot(history.updates, history.radius, color=PATH, lw=1)
    ax.plot(history.updates[stable], history.radius[stable], "o", ms=3, color=STABLE)
    rest = history.updates[~stable], history.radius[~stable]
    ax.plot(*rest, "o", ms=3, mfc="white", color=UNSTABLE)
    ax.set(xlabel="updates", ylabel="spectral radius at the goal")
    return ax


def eigenvalue_plane(ax: Axes, history: LoopHistory) -> Axes:
    """Paths of eigenvalues, dark to bright; hollow where they begin, filled where they are.

    The window shows where the largest one has been; smaller ones may lie outside.
    """
    turn = np.linspace(0, 2 * np.pi, 200)
    ax.plot(np.cos(turn), np.sin(turn), color="black", lw=0.8)
    far = np.nan_to_num(np.abs(history.eigenvalues)).max(axis=0) > NEAR
    paths = history.eigenvalues[:, far]
    colours = colormaps["viridis"](np.linspace(0, 0.9, max(len(paths) - 1, 1)))
    for path in paths.T:
        for colour, one, other in zip(colours, path, path[1:]):
            ax.plot([one.real, other.real], [one.imag, other.imag], color=colour, lw=0.8)
    ax.plot(paths[0].real, paths[0].imag, "o", ms=3, mfc="white", mec=PATH, mew=0.8)
    ax.plot(paths[-1].real, paths[-1].imag, "o", ms=3.5, color=STABLE)
    reach = 1.3 * np.clip(np.nanmax(np.abs(history.decisive - 1), initial=0.0), 0.02, 2.0)
    ax.set(xlim=(1 - 1.6 * reach, 1 + 0.4 * reach), ylim=(-reach, reach), aspect="equal")
    ax.set(xlabel="Re eigenvalue", ylabel="Im eigenvalue")
    return ax


def gains_along(ax: Axes, history: LoopHistory) -> Axes:
    """The entries of the effective gain K, each over its largest size."""
    stages_behind(ax, history)
    ax.axhline(0, color="black", lw=0.8)
    rows = history.gain.reshape(len(history.updates), -1)
    colours = colormaps["viridis"](np.linspace(0, 0.9, rows.shape[1]))
    states = history.gain.shape[2]
    sizes = np.nan_to_num(np.abs(rows)).max(axis=0, initial=0)
    for i, (row, colour) in enumerate(zip(rows.T, colours)):
        label = f"k{i // states + 1}{i % states + 1} / {sizes[i]:.2g}"
        scaled = row / sizes[i] if sizes[i] > 0 else row
        ax.plot(history.updates, scaled, color=colour, lw=1.2, label=label)
    ax.set(ylim=(-1.3, 1.3), xlabel="updates", ylabel="gain over its largest size")
    if rows.shape[1] <= ENTRIES:
        ax.legend(fontsize=6, ncols=2)
    return ax


def stages_behind(ax: Axes, history: LoopHistory, named: bool = False) -> Axes:
    """The stage of each snapshot as a shade, up to the next one; a line where stage 2 ends."""
    ends = np.append(history.updates[1:], history.updates[-1])
    labelled = set()
    for stage, begin, end in zip(history.stage, history.updates, ends):
        label = NAMES[stage] if named and stage not in labelled else None
        labelled.add(stage)
        ax.axvspan(begin, end, color=SHADES[int(stage)], lw=0, zorder=0, label=label)
    for border, style in ((history.first_end, ":"), (history.second_end, "--")):
        if border > 0:
            ax.axvline(border, color="black", lw=0.8, ls=style)
    if named:
        ax.legend(fontsize=6)
    return ax
