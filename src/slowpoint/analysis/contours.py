"""How far is the zero set of a field from the true boundary, in the plane?

Distances are from points to segments: to the vertices alone they would have a floor of half a
cell. Vertices are bisected along their grid edge, so a field that saturates is not blamed for
the straight line between two grid points.
"""

from collections.abc import Callable
from typing import ClassVar

import contourpy
import numpy as np
from jaxtyping import Array, Float, Int

from slowpoint.core.result import Result

Numbers = Array | np.ndarray
Value = Callable[[np.ndarray], Float[Numbers, " start"]]  # (start, state) -> (start,)
Corners = tuple[Float[Numbers, " 2"], Float[Numbers, " 2"]]  # lowest and highest
HALVINGS = 16  # of a grid edge
CHUNK = 256  # points whose distances are taken at once


class ContourError(Result):
    """Distances between a zero set and a true boundary, in units of the state.

    Infinite where there is nothing to measure to. `missed` and `false` are shares of length.
    """

    SAYS: ClassVar[tuple[str, ...]] = (
        "Both the field and the truth have a boundary in the box.",
        "The field is positive all over the box: it has no zero set.",
        "The field is nowhere positive in the box: it has no zero set.",
        "The field is finite nowhere in the box: it has no zero set.",
        "The field has both signs, but where they meet it is not finite: it has no zero set.",
    )

    to_contour: Float[np.ndarray, " point"]  # of every true point in the box
    to_truth: Float[np.ndarray, " sample"]  # of points evenly along the contour
    components: int  # of the contour
    segments: Float[np.ndarray, "segment 2 2"]  # of the contour, from end to end
    near: float  # distance that counts as found
    code: int

    @property
    def message(self) -> str:
        """What `code` means, and what was found."""
        if self.code:
            return self.SAYS[self.code]
        return (
            f"{self.components} pieces; {self.missed:.1%} of the truth is missed by more than "
            f"{self.near:.2g}, {self.false:.1%} of the contour is that far from the truth."
        )

    @property
    def median(self) -> float:
        """Median distance from the truth to the contour."""
        return quantile(self.to_contour, 0.5)

    @property
    def p95(self) -> float:
        """95th percentile of the distance from the truth to the contour."""
        return quantile(self.to_contour, 0.95)

    @property
    def back_median(self) -> float:
        """Median distance from the contour to the truth."""
        return quantile(self.to_truth, 0.5)

    @property
    def back_p95(self) -> float:
        """95th percentile of the distance from the contour to the truth."""
        return quantile(self.to_truth, 0.95)

    @property
    def missed(self) -> float:
        """Share of the true points farther than `near` from the contour."""
        return float((self.to_contour > self.near).mean())

    @property
    def false(self) -> float:
        """Share of the contour's length farther than `near` from the truth; NaN without one."""
        finite = np.isfinite(self.to_truth)
        return float((self.to_truth > self.near).mean()) if finite.any() else float("nan")


def contour_error(
    value: Value,
    truth_points: Float[Numbers, "point 2"],
    box: Corners,
    *,
    resolution: int = 201,
    near: float | None = None,
) -> ContourError:
    """Compare the zero set of `value` on a grid of `resolution`² with a polyline.

    `truth_points` are in order along the boundary, about evenly; a row of NaN begins another
    piece, points outside the box bound the contour's side only. `near` is by default 1/200 of
    the box's longest side. Raises ValueError without a true point in the box.
    """
    low, high = corners(box)
    truth = np.asarray(truth_points, float)
    inside = truth[((truth >= low) & (truth <= high)).all(axis=1)]  # no row of NaN
    if not len(inside):
        raise ValueError(
            f"None of {len(truth)} true points lies between {low} and {high}. Give a larger "
            "box, or the boundary inside this one."
        )
    near = float((high - low).max()) / 200 if near is None else near
    lines, code = _zero_lines(value, low, high, resolution)
    if code:
        far = np.full(len(inside), np.inf)
        return ContourError(far, np.array([np.inf]), 0, np.zeros((0, 2, 2)), near, code)
    segments = np.concatenate([_segments(line) for line in lines])
    step = float((high - low).max()) / (resolution - 1) / 2
    along = np.concatenate([evenly(line, step) for line in lines])
    there, back = to_segments(inside, segments), to_segments(along, _segments(truth))
    return ContourError(there, back, len(lines), segments, near, code)


def zero_contour(
    value: Value, box: Corners, *, resolution: int = 201
) -> list[Float[np.ndarray, "point 2"]]:
    """The zero set of `value` in the box as polylines, closed ones with both ends equal."""
    return _zero_lines(value, *corners(box), resolution)[0]


def agreement(
    value: Value,
    states: Float[Numbers, "start state"],
    labels: Int[Numbers, " start"],
    *,
    positive: int | None = None,
    negative: int | None = None,
) -> float:
    """Share of labelled states on the right side: `value` > 0 where the label is `positive`.

    `negative`: the label of the other side, all others by default. States with neither label
    and undecided ones (< 0) do not count; NaN when none is left. A value of exactly 0 or NaN
    is wrong. Without `positive`, the larger of two labels; raises ValueError on more.
    """
    labels = np.asarray(labels)
    if positive is None:
        seen = np.unique(labels[labels >= 0])
        if len(seen) > 2:
            raise ValueError(
                f"The labels are {seen}. Say which side is up: positive={seen[-1]}"
            )
        positive = int(seen[-1]) if len(seen) else 0
    return right_side(asked(value, states), labels, positive, negative)


def right_side(
    values: np.ndarray, labels: np.ndarray, positive: int, negative: int | None
) -> float:
    """`agreement`, the values already known; both arrays of one shape."""
    up = labels == positive
    down = (labels >= 0) & ~up if negative is None else labels == negative
    right = np.where(up, values > 0, values < 0)[up | down]
    return float(right.mean()) if len(right) else float("nan")


def asked(value: Value, states: Float[Numbers, "start state"]) -> Float[np.ndarray, " start"]:
    """`value` of every state, as NumPy; ValueError when it is not one number per state."""
    values = np.asarray(value(np.asarray(states)), float)
    if values.shape != (len(states),):
        raise ValueError(
            f"value returned shape {values.shape} for {len(states)} states. It takes a batch "
            "(start, state) and returns (start,); type jax.vmap(value) if yours takes one."
        )
    return values


def quantile(distances: np.ndarray, share: float) -> float:
    """A quantile that is one of the distances, so that infinite ones do no harm."""
    if not len(distances):
        return float("nan")
    return float(np.quantile(distances, share, method="inverted_cdf"))


def corners(box: Corners) -> tuple[np.ndarray, np.ndarray]:
    """The box in double precision; ValueError when it is empty."""
    low, high = (np.asarray(corner, float) for corner in box)
    if not (np.isfinite([low, high]).all() and (low < high).all()):
        raise ValueError(
            f"The box goes from {low} to {high}. Give its (lowest, highest) corner, finite."
        )
    return low, high


def to_segments(
    points: Float[np.ndarray, "point 2"], segments: Float[np.ndarray, "segment 2 2"]
) -> Float[np.ndarray, " point"]:
    """Distance of every point to the nearest of the segments."""
    starts, ways = segments[:, 0], segments[:, 1] - segments[:, 0]
    squares = np.maximum((ways**2).sum(axis=1), np.finfo(float).tiny)
    nearest = []
    for i in range(0, len(points), CHUNK):
        gaps = points[i : i + CHUNK, None] - starts
        share = np.clip((gaps * ways).sum(axis=2) / squares, 0, 1)
        rest = gaps - share[..., None] * ways
        nearest.append(np.sqrt((rest**2).sum(axis=2).min(axis=1)))
    return np.concatenate(nearest)


def evenly(line: Float[np.ndarray, "point 2"], step: float) -> Float[np.ndarray, "sample 2"]:
    """Points along a polyline, the middles of equal lengths of at most `step`."""
    arc = np.append(0, np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1)))
    count = max(1, int(np.ceil(arc[-1] / step)))
    places = arc[-1] * (np.arange(count) + 0.5) / count
    return np.stack([np.interp(places, arc, column) for column in line.T], axis=1)


def _segments(line: np.ndarray) -> np.ndarray:
    """Pairs of neighbours, none across a row of NaN; a lone point is a segment too."""
    pairs = np.stack([line[:-1], line[1:]], axis=1)
    pairs = pairs[np.isfinite(pairs).all(axis=(1, 2))]
    lone = line[np.isfinite(line).all(axis=1)]
    return pairs if len(pairs) else np.stack([lone, lone], axis=1)


def _zero_lines(
    value: Value, low: np.ndarray, high: np.ndarray, resolution: int
) -> tuple[list[np.ndarray], int]:
    """Polylines, and the code of ContourError."""
    if resolution < 2:
        raise ValueError(f"resolution={resolution}: give 2 or more points a side.")
    x, y = (np.linspace(low[i], high[i], resolution) for i in range(2))
    grid = np.stack(np.meshgrid(x, y), axis=-1)
    z = asked(value, grid.reshape(-1, 2)).reshape(resolution, resolution)
    finite = z[np.isfinite(z)]
    if not len(finite):
        return [], 3
    if (finite > 0).all() or (finite <= 0).all():
        return [], 1 if (finite > 0).all() else 2
    found = contourpy.contour_generator(x, y, np.ma.masked_invalid(z)).lines(0.0)
    lines = [np.asarray(line) for line in found]
    if not lines:
        return [], 4
    vertices = _sharpened(value, low, (high - low) / (resolution - 1), z, np.vstack(lines))
    return np.split(vertices, np.cumsum([len(line) for line in lines])[:-1]), 0


def _sharpened(
    value: Value, low: np.ndarray, cell: np.ndarray, z: np.ndarray, vertices: np.ndarray
) -> np.ndarray:
    """The vertices bisected between the two grid points that each lies between."""
    place = (vertices - low) / cell
    across = np.argmax(np.abs(place - np.round(place)), axis=1)  # the axis of its edge
    one = np.round(place).astype(int)
    rows = np.arange(len(place))
    one[rows, across] = np.clip(np.floor(place[rows, across]), 0, len(z) - 2)
    other = one.copy()
    other[rows, across] += 1
    up, up_there = (z[i[:, 1], i[:, 0]] > 0 for i in (one, other))
    a, b = low + one * cell, low + other * cell
    for _ in range(HALVINGS):
        middle = (a + b) / 2
        same = ((asked(value, middle) > 0) == up)[:, None]
        a, b = np.where(same, middle, a), np.where(same, b, middle)
    return np.where((up != up_there)[:, None], (a + b) / 2, vertices)
