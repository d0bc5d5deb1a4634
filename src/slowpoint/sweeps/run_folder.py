"""How does a run become a folder of its own, whole or not there?

The folders are what a sweep knows; the manifest is a table of contents, made again when lost.
"""

import contextlib
import dataclasses
import errno
import functools
import json
import os
import pathlib
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from slowpoint.core.files import replacing
from slowpoint.core.versions import versions
from slowpoint.sweeps.groups import Group
from slowpoint.sweeps.run import from_json, Run, to_json

FORMAT = 2  # of the record; raised when an old reader could misread a new one
_versions = functools.cache(versions)  # they do not change under a process
FULL = (errno.ENOSPC, errno.EDQUOT)
RECORD = "record.json"


@dataclasses.dataclass(frozen=True)
class Found:
    """What one run found: numbers by name, and the verdict on those that have a bar."""

    metrics: dict[str, float]
    verdicts: dict[str, str] = dataclasses.field(default_factory=dict)


# the settings of each run of a group, and the folders of those that are kept
Does = Callable[[Sequence[Mapping[str, Any]], Sequence[pathlib.Path]], Sequence[Found]]


@dataclasses.dataclass(frozen=True)
class Work:
    """Does runs and leaves their folders in `out`/runs. Travels by pickle where `does` can."""

    what: str
    does: Does
    out: pathlib.Path
    kept_output: bool = False  # what a run prints goes to a file in its folder

    def __call__(self, group: Group) -> list[Run]:
        """The runs of a group, ended. What fails is a status of them all; a full disk is
        raised, and ends the sweep.

        A group of fewer runs than its width is filled with its last one.
        """
        begun = time.perf_counter()
        runs = self.out / "runs"
        with tempfile.TemporaryDirectory(prefix=f".{group[0].hash}-", dir=runs) as beside:
            folders = [pathlib.Path(beside) / run.hash for run in group]
            for folder in folders:
                folder.mkdir()
            with _output(folders, self.kept_output):
                ended = self._ended(group, folders)
            share = round((time.perf_counter() - begun) / len(group), 3)
            for i, (run, folder) in enumerate(zip(ended, folders)):
                ended[i] = dataclasses.replace(run, seconds=share, versions=_versions())
                write_record(folder / RECORD, ended[i], self.what)
                _put(folder, self.out / run.path)
        return ended

    def _ended(self, group: Group, folders: list[pathlib.Path]) -> list[Run]:
        rows = [run.settings for run in group]
        rows += rows[-1:] * (group[0].width - len(group))
        try:
            found = self.does(rows, folders)
        except (Exception, SystemExit) as error:
            if isinstance(error, OSError) and error.errno in FULL:
                raise
            for folder in folders:
                (folder / "traceback.txt").write_text(traceback.format_exc())
            says = f"{type(error).__name__}: {error}".partition("\n")[0]
            return [dataclasses.replace(run, status="failed", says=says) for run in group]
        return [_done(run, one) for run, one in zip(group, found, strict=True)]


def _done(run: Run, found: Found) -> Run:
    nan = any(value != value for value in found.metrics.values())
    status = "nan" if nan else "done"
    return dataclasses.replace(run, status=status, **dataclasses.asdict(found))


@contextlib.contextmanager
def _output(folders: Sequence[pathlib.Path], kept: bool) -> Iterator[None]:
    """What Python prints in the block goes to output.txt in each folder, where `kept`."""
    if not kept:
        yield
        return
    first = folders[0] / "output.txt"
    with (
        first.open("w") as file,
        contextlib.redirect_stdout(file),
        contextlib.redirect_stderr(file),
    ):
        yield
    for folder in folders[1:] if first.stat().st_size else ():
        shutil.copy(first, folder)
    if not first.stat().st_size:
        first.unlink()


def _put(folder: pathlib.Path, place: pathlib.Path) -> None:
    """Rename `folder` to `place`; what an earlier try left there goes."""
    if place.exists():
        shutil.rmtree(place)
    os.rename(folder, place)


def write_record(path: pathlib.Path, run: Run, what: str) -> None:
    """Write what is known of `run`, one of the sweep `what`, whole or not at all."""
    values = {"format": FORMAT, "what": what, **dataclasses.asdict(run)}
    values["metrics"] = json.loads(to_json(run.metrics))
    with replacing(path) as beside:
        beside.write_text(json.dumps(values, indent=1) + "\n")


def read_record(folder: pathlib.Path) -> tuple[str, Run] | None:
    """`(what, run)` that stands in the folder of a run; None where it cannot be read."""
    try:
        values = json.loads((folder / RECORD).read_text())
        if values.pop("format") > FORMAT:
            return None
        what = values.pop("what")
        values["metrics"] = from_json(json.dumps(values["metrics"]))
        return what, Run(**values)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def clear(out: pathlib.Path) -> set[str]:
    """Remove what killed runs left in `out`/runs; the names of the folders that are whole."""
    runs = out / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    names = set(os.listdir(runs))
    for name in names:
        if name.startswith("."):
            shutil.rmtree(runs / name, ignore_errors=True)
    return {name for name in names if not name.startswith(".")}
