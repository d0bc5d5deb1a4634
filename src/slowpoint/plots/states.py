"""Where do trajectories run, and where do they rest? A picture along principal components."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from slowpoint.analysis.geometry import PCA
from slowpoint.analysis.points import FixedPoints
from slowpoint.plots.style import PATH, STABLE, UNSTABLE

Paths = Float[np.ndarray, "trial time state"]


def axis_names(frame: PCA) -> list[str]:
    """`PC1 (61 % of variance)` and so on."""
    return [f"PC{i + 1} ({share:.0%})" for i, share in enumerate(frame.shares)]


def variance_shown(frame: PCA) -> str:
    """How much of the states' variance a projection on `frame` shows."""
    return f"{frame.shares.sum():.1%} of the variance of the states shown"


def states(ax: Axes, frame: PCA, points: FixedPoints, paths: Paths) -> Axes:
    """Trajectories and points on the first two components. Filled: stable; hollow: not."""
    for path in frame.project(paths):
        ax.plot(path[:, 0], path[:, 1], lw=0.5, color=PATH, alpha=0.6, zorder=1)
    at = frame.project(points.states)
    for unstable in (True, False):
        rows = (points.n_unstable > 0) == unstable
        face, edge = ("white", UNSTABLE) if unstable else (STABLE, STABLE)
        ax.plot(at[rows, 0], at[rows, 1], "o", ms=6, mfc=face, mec=edge, zorder=2)
    names = axis_names(frame)
    ax.set(xlabel=names[0], ylabel=names[1] if len(names) > 1 else "")
    return ax


def states_3d(frame: PCA, points: FixedPoints, paths: Paths) -> Figure:
    """The same in three dimensions, as a still picture."""
    figure = Figure(figsize=(7.0, 5.2), layout="constrained")
    ax = figure.add_subplot(projection="3d")
    for path in _three(frame, paths):
        ax.plot(*path.T, lw=0.5, color=PATH, alpha=0.6)
    at = _three(frame, points.states)
    for unstable in (True, False):
        rows = (points.n_unstable > 0) == unstable
        face, edge = ("white", UNSTABLE) if unstable else (STABLE, STABLE)
        ax.plot(*at[rows].T, "o", ms=6, mfc=face, mec=edge)
    ax.set(**dict(zip(("xlabel", "ylabel", "zlabel"), axis_names(frame))))
    ax.set_title(variance_shown(frame), fontsize=9)
    return figure


def states_3d_html(frame: PCA, points: FixedPoints, paths: Paths) -> str | None:
    """The same as a picture that can be turned, with its script inside; None without plotly."""
    try:
        import plotly.graph_objects as go
    except ImportError:
        return None
    lines = _three(frame, paths)
    gap = np.full((len(lines), 1, 3), np.nan)  # lifts the pen between two trajectories
    x, y, z = np.concatenate([lines, gap], axis=1).reshape(-1, 3).round(4).T
    line = {"color": PATH, "width": 2}
    drawn = [go.Scatter3d(x=x, y=y, z=z, mode="lines", line=line, name="trajectories")]
    at = _three(frame, points.states)
    for name, rows in _groups(points).items():
        symbol = "circle" if name == "stable" else "circle-open"
        colour = STABLE if name == "stable" else UNSTABLE
        words = [f"#{i}: speed {points.speeds[i]:.1e}" for i in np.flatnonzero(rows)]
        x, y, z = at[rows].T
        marker = {"symbol": symbol, "color": colour, "size": 9 if name == "stable" else 6}
        drawn.append(
            go.Scatter3d(x=x, y=y, z=z, mode="markers", marker=marker, text=words, name=name)
        )
    names = [*axis_names(frame), "", "", ""]
    scene = {f"{a}axis": {"title": {"text": name}} for a, name in zip("xyz", names)}
    below = {"orientation": "h", "y": 0, "x": 0.5, "xanchor": "center"}
    margin = dict.fromkeys("lrtb", 0)
    layout = {"scene": scene, "height": 560, "margin": margin, "legend": below}
    figure = go.Figure(drawn, layout=layout)
    return figure.to_html(full_html=False, include_plotlyjs=True, config={"responsive": True})


def _groups(points: FixedPoints) -> dict[str, np.ndarray]:
    """Masks of the points, by the word the legend uses."""
    groups = {"stable": points.n_unstable == 0}
    for count in range(1, int(points.n_unstable.max(initial=0)) + 1):
        groups[f"{count} unstable"] = points.n_unstable == count
    return {name: rows for name, rows in groups.items() if rows.any()}


def _three(frame: PCA, states: np.ndarray) -> np.ndarray:
    """Three coordinates, zeros where the states have fewer."""
    flat = frame.project(states)[..., :3]
    missing = [(0, 0)] * (flat.ndim - 1) + [(0, 3 - flat.shape[-1])]
    return np.pad(flat, np.array(missing))
