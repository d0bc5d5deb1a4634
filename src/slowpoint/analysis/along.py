"""How far along a given direction does a state change its basin? By simulation alone."""

import numpy as np
from jaxtyping import Array, Float

from slowpoint.analysis.mountain_pass import Pass

Numbers = Array | np.ndarray
INNER = 7  # distances asked inside a bracket at once


def crossing_distances(
    around: Pass,
    start: Float[Numbers, " state"] | Float[Numbers, "direction state"],
    directions: Float[Numbers, "direction state"],
    *,
    reach: float,
    sections: int = 16,
    width: float = 1e-9,
) -> Float[np.ndarray, " direction"]:
    """Euclidean distance from `start` along each direction to the other attractor's basin.

    Infinite where the basin does not change within `reach`, or first into that of no attractor
    of `around`. `start` is one state, or one for each direction. The first of `sections` equal
    steps that ends in another basin is narrowed to `width`, in units of the state, and its far
    end returned: what leaves and comes back within one step is not seen. Raises ValueError
    when the saddle has not two attractors, or a start runs to neither of them.
    """
    ways, starts, basins = _checked(around, start, directions, reach)
    low, high = np.zeros(len(ways)), np.full(len(ways), reach)
    label = lambda rows, lengths: _labels(around, starts[rows], ways[rows], lengths)
    rows, count = np.arange(len(ways)), sections
    while len(rows):
        share = np.linspace(0, 1, count + 1)[1:]
        lengths = low[rows, None] + (high - low)[rows, None] * share
        left = label(rows, lengths) != basins[rows, None]
        first = np.argmax(left, axis=1)
        new = lengths[np.arange(len(rows)), first]
        gone = left.any(axis=1)  # only in the first round may there be none
        low[rows] = np.where(first > 0, lengths[np.arange(len(rows)), first - 1], low[rows])
        high[rows] = np.where(gone, new, np.inf)
        rows, count = rows[gone & (high[rows] - low[rows] > width)], INNER + 1
    found = np.flatnonzero(np.isfinite(high))
    beyond = label(found, high[found, None] + width)[:, 0]  # it may lie on the boundary itself
    high[found[beyond != 1 - basins[found]]] = np.inf
    return high


def _checked(around: Pass, start, directions, reach: float):
    """`(unit directions, a start for each, its basin)`."""
    ways = np.asarray(directions, float)
    starts = np.broadcast_to(np.asarray(start, float), ways.shape)
    lengths = np.linalg.norm(ways, axis=1, keepdims=True)
    if not (lengths > 0).all() or not reach > 0:
        raise ValueError(f"reach={reach}, shortest direction {lengths.min()}: give both > 0.")
    if around.judge is None:
        raise ValueError("This saddle does not lie between two attractors: nothing to cross.")
    basins = around.judge(starts)
    if (basins < 0).any():
        raise ValueError(
            f"{int((basins < 0).sum())} of {len(starts)} starts run to neither attractor of "
            "this saddle. Give states of their basins."
        )
    return ways / lengths, starts, basins


def _labels(around: Pass, starts, ways, lengths) -> np.ndarray:
    assert around.judge is not None
    states = starts[:, None] + lengths[..., None] * ways[:, None]
    return around.judge(states.reshape(-1, states.shape[-1])).reshape(lengths.shape)
