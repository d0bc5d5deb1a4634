"""Which runs are done together, in one call?

Those of equal shapes: they differ only in settings that change no shape, such as the seed. How
many stand together is settled once, and noted with each run: numbers differ by rounding from
one width to another.
"""

import dataclasses
import json
import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from slowpoint.sweeps.run import Run

WIDTH = 16  # small networks that still train faster as one ensemble, on a CPU

Group = tuple[Run, ...]


@dataclasses.dataclass(frozen=True)
class Grouping:
    """Runs that differ only in `over` go together, at most `most(settings)` in a group."""

    over: tuple[str, ...] = ()
    most: Callable[[Mapping[str, Any]], int] = lambda _: WIDTH

    def planned(self, runs: Sequence[Run], at_once: int) -> list[Run]:
        """New runs with their widths: groups of nearly one size, enough for `at_once`."""
        if not self.over:
            return list(runs)
        kinds = _apart_by(self._shape, runs)
        found = {}
        for kind in kinds:
            least = math.ceil(len(kind) / max(self.most(kind[0].settings), 1))
            parts = min(max(least, math.ceil(at_once / len(kinds))), len(kind))
            for part in np.array_split(np.arange(len(kind)), parts):
                for i in part:
                    found[kind[i].hash] = dataclasses.replace(kind[i], width=len(part))
        return [found[run.hash] for run in runs]

    def groups(self, runs: Sequence[Run]) -> list[Group]:
        """`runs` in groups of their widths, the last of a kind maybe of fewer."""
        if not self.over:
            return [(dataclasses.replace(run, width=1),) for run in runs]
        found = []
        for kind in _apart_by(lambda run: (run.width, self._shape(run)), runs):
            width = kind[0].width
            found += [tuple(kind[i : i + width]) for i in range(0, len(kind), width)]
        return found

    def _shape(self, run: Run) -> str:
        rest = {name: value for name, value in run.settings.items() if name not in self.over}
        return json.dumps(rest, sort_keys=True)


def _apart_by(key: Callable[[Run], Hashable], runs: Iterable[Run]) -> list[list[Run]]:
    """`runs` apart by `key`, in the order in which each key comes first."""
    kinds = defaultdict(list)
    for run in runs:
        kinds[key(run)].append(run)
    return list(kinds.values())
