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
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from slowpoint.core.files import replacing
from slowpoint.core.versions import versions
from slowpoint.sweeps.run import from_json, Run, to_json

FORMAT = 1  # of the record; raised when an old reader could misread a new one
_versions = functools.cache(versions)  # they do not change under a process
FULL = (errno.ENOSPC, errno.EDQUOT)
RECORD = "record.json"


@dataclasses.dataclass(frozen=True)
class Found:
    """What one run found: numbers by name, and the verdict on those that have a bar."""

    metrics: dict[str, float]
    verdicts: dict[str, str] = dataclasses.field(default_factory=dict)


Does = Callable[[Mapping[str, Any], pathlib.Path], Found]


@dataclasses.dataclass(frozen=True)
class Work:
    """Does one run and leaves its folder in `out`/runs. Travels by pickle where `does` can."""

    what: str
    does: Does
    out: pathlib.Path
    kept_output: bool = False  # what a run prints goes to a file in its folder

    def __call__(self, run: Run) -> Run:
        """The run, ended. What fails is a status; a full disk is raised, and ends the sweep."""
        place = self.out / run.path
        begun = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix=f".{run.hash}-", dir=place.parent) as beside:
            folder = pathlib.Path(beside) / "run"
            folder.mkdir()
            try:
                with _output(folder, self.kept_output):
                    found = self.does(run.settings, folder)
                nan = any(value != value for value in found.metrics.values())
                ended = dataclasses.replace(
                    run, status="nan" if nan else "done", **dataclasses.asdict(found)
                )
            except (Exception, SystemExit) as error:
                if isinstance(error, OSError) and error.errno in FULL:
                    raise
                (folder / "traceback.txt").write_text(traceback.format_exc())
                says = f"{type(error).__name__}: {error}".partition("\n")[0]
                ended = dataclasses.replace(run, status="failed", says=says)
            seconds = round(time.perf_counter() - begun, 3)
            ended = dataclasses.replace(ended, seconds=seconds, versions=_versions())
            write_record(folder / RECORD, ended, self.what)
            _put(folder, place)
        return ended


@contextlib.contextmanager
def _output(folder: pathlib.Path, kept: bool) -> Iterator[None]:
    """What Python prints in the block goes to `folder`/output.txt, where `kept`."""
    if not kept:
        yield
        return
    path = folder / "output.txt"
    with (
        path.open("w") as file,
        contextlib.redirect_stdout(file),
        contextlib.redirect_stderr(file),
    ):
        yield
    if not path.stat().st_size:
        path.unlink()


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
