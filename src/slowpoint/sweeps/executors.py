"""Who does the runs? The promise of an executor, and the one that does them here."""

import dataclasses
from collections.abc import Generator, Sequence
from typing import Literal, Protocol, runtime_checkable

from slowpoint.sweeps.run import Run
from slowpoint.sweeps.run_folder import Work


@dataclasses.dataclass(frozen=True)
class Event:
    """A run began, or ended with its status."""

    kind: Literal["began", "ended"]
    run: Run


@runtime_checkable
class Executor(Protocol):
    """Does runs, in any order, anywhere that can write the sweep's folder."""

    @property
    def at_once(self) -> int:
        """How many runs it does at the same time."""
        ...

    def events(self, work: Work, runs: Sequence[Run]) -> Generator[Event | None]:
        """Call `work` on each run; tell when one begins and ends, None when time passed.

        A run whose process is killed ends as "lost". What `work` raises ends all. When the
        iterator is closed, whoever still works is stopped.
        """
        ...


@dataclasses.dataclass(frozen=True)
class Inline:
    """One after the other, in this process: any function will do, a debugger works."""

    at_once: int = 1

    def events(self, work: Work, runs: Sequence[Run]) -> Generator[Event | None]:
        """As `Executor` promises."""
        for run in runs:
            yield Event("began", run)
            yield Event("ended", work(run))
