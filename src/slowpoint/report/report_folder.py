"""What is in this folder? A run or a sweep in, one page out."""

import json
import os
import pathlib

from slowpoint.report.parts import Section, Table, Words
from slowpoint.sweeps.manifest import NAME
from slowpoint.sweeps.run_folder import read_record


def report(folder: str | os.PathLike) -> pathlib.Path:
    """Write `folder`/report.html of the run or sweep in `folder`; returns it.

    A figure that is missing is drawn from the saved results; nothing is computed. Raises
    ValueError where there is no run and no sweep.
    """
    place = pathlib.Path(folder)
    if (place / NAME).exists() or (place / "runs").is_dir():
        from slowpoint.report.sweep_page import sweep_page

        return sweep_page(place)
    if (place / "claims.json").exists() and (place / "about.json").exists():
        return _experiment_page(place)
    if read_record(place):
        return record_page(place)
    raise ValueError(
        f"There is no run and no sweep in {folder}. Name a folder that `slowpoint run` or "
        "`slowpoint sweep` wrote, for example: slowpoint report runs/flipflop_memory"
    )


def _experiment_page(place: pathlib.Path) -> pathlib.Path:
    from slowpoint.report.page import run_page

    if not (place / "figure.png").exists():
        from slowpoint.report.catalogue import find
        from slowpoint.report.record import illustrate

        name = json.loads((place / "about.json").read_text())["experiment"]
        return illustrate(find(name), place)
    return run_page(place)


def record_page(place: pathlib.Path) -> pathlib.Path:
    """The page of one run of a sweep whose function is the user's, or that failed."""
    from slowpoint.report.page import write_page

    record = read_record(place)
    if record is None:
        raise ValueError(f"{place} holds no record of a run.")
    what, run = record
    rows = [(name, f"{value:.6g}") for name, value in run.metrics.items()]
    chosen = [(name, str(value)) for name, value in run.settings.items()]
    verdict = f"{run.status}{': ' * bool(run.says)}{run.says}, {run.seconds:.3g} s"
    sections = [
        Section("", [Words(verdict, "note" if run.finished else "warn")]),
        *([Section("Numbers", [Table("Numbers", ("number", "value"), rows)])] if rows else []),
        Section("Settings", [Table("Settings", ("setting", "value"), chosen)]),
    ]
    if (place / "traceback.txt").exists():
        sections.append(
            Section("What went wrong", [Words((place / "traceback.txt").read_text())])
        )
    foot = ", ".join(f"{name} {number}" for name, number in run.versions.items())
    return write_page(place / "report.html", what, f"Run {run.hash}", sections, foot)
