"""At which updates is learning looked at?"""

import dataclasses
from typing import Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Grid(Protocol):
    """Picks updates between 0 (before the first) and `total` (after the last)."""

    def updates(self, total: int) -> np.ndarray:
        """Increasing numbers of updates, as int64."""
        ...


@dataclasses.dataclass(frozen=True)
class Linear:
    """`count` equal stretches apart, from 0 to the last."""

    count: int

    def __post_init__(self):
        _at_least_two(self.count)

    def updates(self, total: int) -> np.ndarray:
        return np.unique(np.linspace(0, total, self.count).round().astype(np.int64))


@dataclasses.dataclass(frozen=True)
class Logarithmic:
    """0, then equal ratios from 1 to the last: `count` in all, fewer where two round alike."""

    count: int

    def __post_init__(self):
        _at_least_two(self.count)

    def updates(self, total: int) -> np.ndarray:
        ratios = np.geomspace(max(total, 1), 1, self.count - 1)  # downwards: the last is kept
        return np.unique(np.append(0, np.minimum(ratios.round(), total).astype(np.int64)))


@dataclasses.dataclass(frozen=True)
class At:
    """Exactly these updates, for example where the stages of a curriculum end."""

    chosen: tuple[int, ...]

    def updates(self, total: int) -> np.ndarray:
        outside = [u for u in self.chosen if not 0 <= u <= total]
        if outside or not self.chosen:
            raise ValueError(
                f"Snapshots at {list(self.chosen)}: the training goes from 0 to {total}. "
                f"Give updates between them, e.g. At((0, {total}))."
            )
        return np.unique(np.array(self.chosen, np.int64))


def _at_least_two(count: int) -> None:
    if count < 2:
        raise ValueError(f"{count} snapshots: give 2 (the start and the end) or more.")
