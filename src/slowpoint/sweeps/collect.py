"""How do the runs of a sweep become one table, and one line each?"""

import pathlib
from collections.abc import Iterator
from typing import Any

from slowpoint.sweeps.conduct import varied
from slowpoint.sweeps.manifest import Contents, NAME, read_sweep
from slowpoint.sweeps.progress import in_words, shown
from slowpoint.sweeps.run import Run
from slowpoint.sweeps.tables import writers

AT_MOST = 6  # numbers in a line


def collect(folder: pathlib.Path, what: str = "") -> tuple[Contents, list[pathlib.Path]]:
    """What the sweep in `folder` found so far, and the tables that were written there.

    table.csv always; table.parquet and table.nc where the extras of that name are there. The
    sweep may still run. Raises ValueError where there is none, or another than `what`.
    """
    if not (folder / NAME).exists() and not (folder / "runs").is_dir():
        raise ValueError(f"There is no sweep in {folder}. Name its folder: --out DIR")
    contents = read_sweep(folder)
    if what and contents.what.partition(",")[0] != what:
        raise ValueError(f"{folder} holds a sweep of {contents.what}, not of {what}.")
    columns = columns_of(contents.runs)
    return contents, [write(folder, columns) for write in writers()]


def told(folder: pathlib.Path, what: str) -> list[str]:
    """The same, as lines for a terminal: remarks, a line a run, the tables."""
    contents, paths = collect(folder, what)
    return [*contents.notes, *lines(contents.runs), *map(str, paths)]


def columns_of(runs: list[Run]) -> dict[str, list[Any]]:
    """Every column of the table, None where a run has no such number.

    A metric that is called like a setting becomes "NAME (found)".
    """
    settings = list(dict.fromkeys(name for run in runs for name in run.settings))
    metrics = list(dict.fromkeys(name for run in runs for name in run.metrics))
    taken = {*settings, "hash", "status", "seconds", "width", "fails", "says"}
    columns: dict[str, list[Any]] = {
        "hash": [run.hash for run in runs],
        "status": [run.status for run in runs],
        "seconds": [run.seconds for run in runs],
    }
    if any(run.width > 1 for run in runs):
        columns["width"] = [run.width for run in runs]
    columns |= {name: [run.settings.get(name) for run in runs] for name in settings}
    for name in metrics:
        title = f"{name} (found)" if name in taken else name
        columns[title] = [run.metrics.get(name) for run in runs]
    columns["fails"] = ["; ".join(run.broken) for run in runs]
    columns["says"] = [run.says for run in runs]
    return columns


def lines(runs: list[Run]) -> Iterator[str]:
    """One line a run: its status, what sets it apart, what it found."""
    names = varied(runs)
    for run in runs:
        yield f"{run.status:8} {shown(run.settings, names)}: {_found(run)}"


def _found(run: Run) -> str:
    if not run.finished:
        return run.says or "not run yet"
    if run.verdicts:
        holds = sum(verdict == "holds" for verdict in run.verdicts.values())
        words = [f"{holds} of {len(run.verdicts)} claims hold"]
        words += [f"fails: {name} ({run.metrics[name]:.6g})" for name in run.broken]
    else:
        words = [f"{name} {value:.6g}" for name, value in [*run.metrics.items()][:AT_MOST]]
        more = len(run.metrics) - AT_MOST
        words += [f"{more} more"] * (more > 0)
    return ", ".join([*words, in_words(run.seconds)])
