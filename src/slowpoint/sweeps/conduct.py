"""Which runs of a sweep are missing? They are done; whatever was finished stays."""

import contextlib
import dataclasses
import os
import pathlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from slowpoint.sweeps.executors import Event, Executor
from slowpoint.sweeps.groups import Grouping
from slowpoint.sweeps.lock import holding
from slowpoint.sweeps.manifest import Manifest, opened, read_sweep
from slowpoint.sweeps.progress import Progress, shown
from slowpoint.sweeps.run import Run, waiting
from slowpoint.sweeps.run_folder import clear, Does, read_record, Work


@dataclasses.dataclass(frozen=True)
class Sweep:
    """What came of a sweep: its runs in the order of the grid, and remarks."""

    folder: pathlib.Path
    what: str
    runs: list[Run]
    notes: tuple[str, ...] = ()
    did: int = 0  # how many were run now, the others were there

    @property
    def unfinished(self) -> list[Run]:
        """The runs that failed or were lost: the same command again does only these."""
        return [run for run in self.runs if not run.finished]

    @property
    def varied(self) -> list[str]:
        """The settings in which runs differ."""
        return varied(self.runs)

    def column(self, name: str) -> Float[np.ndarray, " run"]:
        """A metric, or a setting that is a number, of every run; NaN where there is none."""
        known = {key for run in self.runs for key in (*run.settings, *run.metrics)}
        if name not in known:
            raise ValueError(f"No column {name!r}. There is: {', '.join(sorted(known))}.")
        values = [run.metrics.get(name, run.settings.get(name)) for run in self.runs]
        return np.array([np.nan if value is None else float(value) for value in values])

    def said(self) -> list[str]:
        """Remarks, how many runs there are, each that is not finished, and the folder."""
        counts = Counter(run.status for run in self.runs)
        numbers = ", ".join(f"{count} {status}" for status, count in counts.items())
        done = f"{self.did} run now" if self.did else "nothing to do"
        lines = [*self.notes, f"{len(self.runs)} runs: {numbers}; {done}."]
        for run in self.unfinished:
            lines.append(f"{run.status}: {shown(run.settings, self.varied)}: {run.says}")
        return [*lines, str(self.folder)]

    def __str__(self) -> str:
        return "\n".join([self.what, *self.said()])


def varied(runs: Sequence[Run]) -> list[str]:
    """The settings in which these differ; all of them where there is only one run."""
    names = list(dict.fromkeys(name for run in runs for name in run.settings))
    several = lambda name: any(run.settings.get(name) != first.get(name) for run in runs)
    first = runs[0].settings if runs else {}
    return [name for name in names if several(name)] if len(runs) > 1 else names


def conduct(
    what: str,
    does: Does,
    asked: Iterable[Mapping[str, Any]],
    folder: str | os.PathLike,
    executor: Executor,
    *,
    grouping: Grouping = Grouping(),
    quiet: bool = False,
) -> Sweep:
    """Do those runs of the sweep `what` that `folder` lacks, or that failed there.

    One row of settings in `asked` is one run; what stands twice is done once. Runs that
    `grouping` puts together are done in one call, now and whenever again. Raises ValueError
    where another sweep is or works in the folder, OSError when the disk is full; these, and
    Ctrl-C, cost the runs that were under way.
    """
    out = pathlib.Path(folder).resolve()
    rows = {run.hash: run for run in map(waiting, asked)}
    out.mkdir(parents=True, exist_ok=True)
    with holding(out), opened(out, what) as (manifest, contents):
        known = _known(out, contents.runs, clear(out))
        new = [run for run in rows.values() if run.hash not in known]
        new = {run.hash: run for run in grouping.planned(new, executor.at_once)}
        manifest.write(new.values())
        manifest.write(run for run, old in zip(known.values(), contents.runs) if run != old)
        rows |= new | {hash: known[hash] for hash in rows if hash in known}
        # by hash, in no order of the grid: so that the first tell how long the others take
        unfinished = sorted(run.hash for run in rows.values() if not run.finished)
        missing = [_again(rows[hash]) for hash in unfinished]
        progress = Progress(missing, varied(list(rows.values())), executor.at_once, quiet)
        work, groups = Work(what, does, out), grouping.groups(missing)
        try:
            with contextlib.closing(executor.events(work, groups)) as events:
                for event in events:
                    _note(event, rows, progress, manifest, out)
        except KeyboardInterrupt:
            there = sum(run.finished for run in rows.values())
            raise KeyboardInterrupt(
                f"{there} of {len(rows)} runs are there and stay. "
            ) from None
        finally:
            progress.close()
            manifest.settle(now=True)
    return Sweep(pathlib.Path(folder), what, list(rows.values()), contents.notes, len(missing))


def complete(what: str, folder: str | os.PathLike) -> Sweep | None:
    """The sweep `what` in `folder` where all its runs are finished; else None."""
    place = pathlib.Path(folder)
    contents = read_sweep(place, what)
    there = set(os.listdir(place / "runs")) if (place / "runs").is_dir() else set()
    whole = all(run.finished and run.hash in there for run in contents.runs)
    if contents.notes or contents.what != what or not contents.runs or not whole:
        return None
    return Sweep(place, what, contents.runs)


def _known(out: pathlib.Path, runs: list[Run], folders: set[str]) -> dict[str, Run]:
    """The runs of the manifest, as their folders show them where these know more."""
    known = {}
    for run in runs:
        if run.hash not in folders:
            run = _again(run)
        elif not run.finished and (record := read_record(out / run.path)):
            run = record[1]
        known[run.hash] = run
    return known


def _again(run: Run) -> Run:
    """A run before it is done: of what was, only its width stays."""
    return Run(run.hash, run.settings, width=run.width)


def _note(
    event: Event | None,
    rows: dict[str, Run],
    progress: Progress,
    manifest: Manifest,
    out: pathlib.Path,
) -> None:
    if event and event.kind == "ended":
        run = event.run
        record = read_record(out / run.path) if run.status == "lost" else None
        if record and record[1].finished:  # killed when all was written
            event = Event("ended", record[1])
        rows[run.hash] = event.run
        manifest.put(event.run)
    progress.hear(event)
    manifest.settle()
