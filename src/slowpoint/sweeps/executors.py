"""Who does the runs? The promise of an executor, and the one that does them here."""

import dataclasses
from collections.abc import Generator, Iterator, Sequence
from typing import Literal, Protocol, runtime_checkable

from slowpoint.sweeps.groups import Group
from slowpoint.sweeps.run import Run
from slowpoint.sweeps.run_folder import Work


@dataclasses.dataclass(frozen=True)
class Event:
    """A run began, or ended with its status."""

    kind: Literal["began", "ended"]
    run: Run
    together: int = 1  # runs that are done in its call


def each(kind: Literal["began", "ended"], runs: Sequence[Run]) -> Iterator[Event]:
    """That of each run of a group."""
    return (Event(kind, run, len(runs)) for run in runs)


@runtime_checkable
class Executor(Protocol):
    """Does groups of runs, in any order, anywhere that can write the sweep's folder."""

    @property
    def at_once(self) -> int:
        """How many groups it does at the same time."""
        ...

    def events(self, work: Work, groups: Sequence[Group]) -> Generator[Event | None]:
        """Call `work` on each group; tell when a run begins and ends, None when time passed.

        Runs whose process is killed end as "lost". What `work` raises ends all. When the
        iterator is closed, whoever still works is stopped.
        """
        ...


@dataclasses.dataclass(frozen=True)
class Inline:
    """One after the other, in this process: any function will do, a debugger works."""

    at_once: int = 1

    def events(self, work: Work, groups: Sequence[Group]) -> Generator[Event | None]:
        """As `Executor` promises."""
        for group in groups:
            yield from each("began", group)
            yield from each("ended", work(group))
