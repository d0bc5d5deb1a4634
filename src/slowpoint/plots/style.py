"""Sizes and colours of every figure, in one place."""

import io

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

STABLE, UNSTABLE, PATH = "#1b4965", "#c8553d", "#9aa5ad"  # also told apart by filled and hollow


def blank(width: float = 3.3, height: float = 2.6) -> tuple[Figure, Axes]:
    """An empty figure (inches; 3.3 is one column) and its axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def row(count: int, width: float = 7.0, height: float = 2.6) -> tuple[Figure, list[Axes]]:
    """An empty figure with `count` axes side by side."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(figure.subplots(1, count, squeeze=False)[0])


def grid(
    rows: int, columns: int, width: float = 7.0, height: float = 5.0
) -> tuple[Figure, np.ndarray]:
    """An empty figure and its axes, an array of `rows` by `columns`."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def png(figure: Figure, dpi: int = 160) -> bytes:
    """The figure as a picture."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()
