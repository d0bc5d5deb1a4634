"""Which runs belong to a sweep, and what came of each? One SQLite file, one row a run.

Only the process that holds the sweep's lock writes it. It may lag behind the run folders, which
are made by the runs themselves: what is lost here is found there.
"""

import contextlib
import dataclasses
import errno
import json
import os
import pathlib
import sqlite3
import time
from collections.abc import Iterable, Iterator

from slowpoint.sweeps.run import from_json, Run, to_json
from slowpoint.sweeps.run_folder import read_record

FORMAT = 2  # 1 had no width
NAME = "manifest.sqlite"
OUTSIDE = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_BUSY: errno.EBUSY,
    sqlite3.SQLITE_LOCKED: errno.EBUSY,
    sqlite3.SQLITE_IOERR: errno.EIO,
    **dict.fromkeys(
        (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY), errno.EACCES
    ),
}  # what SQLite says of the world, not of its file
PAUSE = 0.5  # seconds between two writes
COLUMNS = (
    "hash, seed, status, settings, metrics, verdicts, says, seconds, versions, path, width"
)
TABLES = """
CREATE TABLE about (format INTEGER NOT NULL, what TEXT NOT NULL);
CREATE TABLE runs (number INTEGER PRIMARY KEY, hash TEXT UNIQUE NOT NULL, seed, status TEXT,
  settings TEXT, metrics TEXT, verdicts TEXT, says TEXT, seconds REAL, versions TEXT,
  path TEXT, width INTEGER NOT NULL DEFAULT 1);
"""


@dataclasses.dataclass(frozen=True)
class Contents:
    """The sweep `what`, its runs in the order in which they were asked for, and remarks."""

    what: str
    runs: list[Run]
    notes: tuple[str, ...] = ()


class Manifest:
    """An open manifest. `put` may wait for `settle`, which writes now and then."""

    def __init__(self, database: sqlite3.Connection):
        self.database = database
        self.put_off: list[Run] = []
        self.written = time.monotonic()

    def put(self, run: Run) -> None:
        """Note what came of a run, to be written soon."""
        self.put_off.append(run)

    def settle(self, *, now: bool = False) -> None:
        """Write what was put off, at most twice a second or `now`."""
        if self.put_off and (now or time.monotonic() - self.written > PAUSE):
            self.write(self.put_off)
            self.put_off = []
            self.written = time.monotonic()

    def write(self, runs: Iterable[Run]) -> None:
        """Add these runs, or what is new of them, all or none."""
        marks = ", ".join("?" * len(COLUMNS.split(", ")))
        command = (
            f"INSERT INTO runs ({COLUMNS}) VALUES ({marks}) ON CONFLICT (hash) DO UPDATE SET "
            "status=excluded.status, metrics=excluded.metrics, verdicts=excluded.verdicts, "
            "says=excluded.says, seconds=excluded.seconds, versions=excluded.versions, "
            "width=excluded.width"
        )
        with _in_plain_words(), self.database:
            self.database.executemany(command, map(_values, runs))


def _values(run: Run) -> tuple:
    words = (run.settings, run.verdicts, run.versions)
    settings, verdicts, versions = map(json.dumps, words)
    numbers = to_json(run.metrics)
    known = (run.hash, run.seed, run.status, settings, numbers, verdicts)
    return (*known, run.says, run.seconds, versions, run.path, run.width)


def _run(values: tuple) -> Run:
    hash, _, status, settings, numbers, verdicts, says, seconds, versions, _, width = values
    settings, verdicts, versions = map(json.loads, (settings, verdicts, versions))
    metrics = from_json(numbers)
    return Run(hash, settings, status, metrics, verdicts, says, seconds, versions, width)


@contextlib.contextmanager
def opened(folder: pathlib.Path, what: str) -> Iterator[tuple[Manifest, Contents]]:
    """The manifest of the sweep `what` in `folder`, to write, and what it holds.

    A new one where there is none; a damaged one is put aside and made again from the run
    folders. Raises ValueError where the folder is that of another sweep.
    """
    contents = read_sweep(folder, what)
    if contents.what != what:
        raise ValueError(
            f"{folder} holds a sweep of {contents.what}, not of {what}. Name another folder: "
            "--out DIR"
        )
    path = folder / NAME
    if contents.notes and path.exists():
        os.replace(path, path.with_name(f"{NAME}.damaged"))
        path.with_name(f"{NAME}-journal").unlink(missing_ok=True)
    new = not path.exists()
    with _in_plain_words(), contextlib.closing(sqlite3.connect(path)) as database:
        manifest = Manifest(database)
        if new:
            database.executescript(f"BEGIN; {TABLES}")
            database.execute("INSERT INTO about VALUES (?, ?)", (FORMAT, what))
            manifest.write(contents.runs)  # ends what was begun
        else:
            _brought_up(database)
        yield manifest, contents


def read_sweep(folder: pathlib.Path, what: str = "") -> Contents:
    """What the sweep in `folder` holds, also while it runs; `what` is said of an empty folder.

    Of a manifest that is lost or damaged the notes tell, and the runs are those of the folders.
    """
    path = folder / NAME
    if path.exists():
        try:
            with _in_plain_words():
                return _read(path)
        except (sqlite3.DatabaseError, ValueError, TypeError, AttributeError) as error:
            why = f"The manifest {path} is damaged ({error})"
    else:
        why = f"The manifest {path} is missing"
    records = [read_record(place) for place in sorted((folder / "runs").glob("[!.]*"))]
    found = [record for record in records if record]
    if not found:
        return Contents(what, [], (f"{why}.",) if path.exists() else ())
    names = sorted({name for name, _ in found})
    if len(names) > 1:
        raise ValueError(f"{why}, and the runs are of several sweeps: {', '.join(names)}.")
    lost = len(records) - len(found)
    note = f"{why}: {len(found)} runs were read from their folders"
    note += f", {lost} could not be read." if lost else "."
    return Contents(names[0], [run for _, run in found], (note,))


def _read(path: pathlib.Path) -> Contents:
    with contextlib.closing(sqlite3.connect(f"file:{_quoted(path)}?mode=rw", uri=True)) as data:
        if (state := data.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise ValueError(state.partition("\n")[0])
        format_, what = data.execute("SELECT format, what FROM about").fetchone()
        if format_ <= FORMAT:
            columns = COLUMNS if format_ > 1 else COLUMNS.replace("width", "1")
            rows = data.execute(f"SELECT {columns} FROM runs ORDER BY number").fetchall()
            return Contents(what, [_run(row) for row in rows])
    raise RuntimeError(
        f"{path} has format {format_}, this version reads up to {FORMAT}. Type: "
        "pip install --upgrade slowpoint"
    )


def _brought_up(database: sqlite3.Connection) -> None:
    """An older manifest gets what it lacks."""
    (format_,) = database.execute("SELECT format FROM about").fetchone()
    if format_ < FORMAT:
        database.executescript(
            "BEGIN; ALTER TABLE runs ADD COLUMN width INTEGER NOT NULL DEFAULT 1; "
            f"UPDATE about SET format = {FORMAT}; COMMIT;"
        )


def _quoted(path: pathlib.Path) -> str:
    return path.resolve().as_uri().removeprefix("file://")


@contextlib.contextmanager
def _in_plain_words() -> Iterator[None]:
    """A full disk, a file that others hold or that cannot be opened: the OSError that it is."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if (code := error.sqlite_errorcode & 0xFF) not in OUTSIDE:
            raise
        raise OSError(OUTSIDE[code], f"the manifest is out of reach ({error})") from error
