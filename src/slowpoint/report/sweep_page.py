"""What did a sweep find? One page of all its runs."""

import itertools
import pathlib
import textwrap
from collections import Counter

import numpy as np

from slowpoint.core.files import replacing
from slowpoint.plots.runs import against_varied
from slowpoint.plots.style import grid, png
from slowpoint.report.catalogue import files, read
from slowpoint.report.page import cited, write_page
from slowpoint.report.parts import Items, Picture, Section, Table, Words
from slowpoint.report.sortable import Sortable
from slowpoint.sweeps.collect import collect
from slowpoint.sweeps.conduct import varied
from slowpoint.sweeps.manifest import Contents
from slowpoint.sweeps.progress import in_words, shown
from slowpoint.sweeps.run import Run

CELLS, PANELS, NAMED = 150_000, 8, 50  # of the table, of the figure; runs listed as unfinished


def sweep_page(folder: pathlib.Path) -> pathlib.Path:
    """Write `folder`/report.html, its figure and its tables; the sweep may still run."""
    contents, _ = collect(folder)
    runs, names = contents.runs, varied(contents.runs)
    title = contents.what.partition(", ")[0]
    sections = [
        Section("", _verdict(contents)),
        *_numbers(runs),
        *_figure(folder, runs, names),
        Section("Runs", _table(runs, names)),
        *_unfinished(runs, names),
        *_shared(runs, names),
        Section("How it was made", [Items(_made(contents))]),
        *cited(title),
    ]
    says = {path.stem: path for path in files()}
    lead = read(says[title]).question if title in says else "One function on many settings."
    return write_page(folder / "report.html", title, f"Sweep: {lead}", sections, _foot(runs))


def _verdict(contents: Contents) -> list[Words]:
    runs = contents.runs
    counts = Counter(run.status for run in runs)
    numbers = ", ".join(f"{count} {status}" for status, count in counts.items())
    judged = [run for run in runs if run.finished and run.verdicts]
    broken = sum(bool(run.broken) for run in judged)
    claims = f" A claim fails in {broken} of {len(judged)} runs." if broken else ""
    claims = claims or (" No claim fails in any run." if judged else "")
    bad = broken or not all(run.finished for run in runs)
    words = [Words(f"{len(runs)} runs: {numbers}.{claims}", "warn" if bad else "note")]
    return words + [Words(note, "warn") for note in contents.notes]


def _metrics(runs: list[Run]) -> list[str]:
    return list(dict.fromkeys(name for run in runs for name in run.metrics))


def _numbers(runs: list[Run]) -> list[Section]:
    """Each number over all runs."""
    judged = any(run.verdicts for run in runs)
    rows = []
    for name in _metrics(runs):
        values = np.array([run.metrics[name] for run in runs if name in run.metrics])
        known = values[~np.isnan(values)]
        spread = np.quantile(known, [0.5, 0, 1]) if len(known) else np.full(3, np.nan)
        row = [name, str(len(values)), *(f"{value:.6g}" for value in spread)]
        verdicts = [run.verdicts.get(name) for run in runs if name in run.metrics]
        bars = sum(verdict in ("holds", "fails") for verdict in verdicts)
        holds = f"{verdicts.count('holds')} of {bars}" if bars else "reported"
        rows.append([*row, holds] if judged else row)
    head = ["number", "runs", "median", "least", "most"] + ["holds"] * judged
    title = "Claims" if judged else "Numbers"
    return [Section(title, [Table(title, head, rows)])] if rows else []


def _figure(folder: pathlib.Path, runs: list[Run], names: list[str]) -> list[Section]:
    """Numbers that differ between runs against the settings that were varied."""
    done = [run for run in runs if run.finished]
    columns = {name: _column(done, name) for name in _metrics(done)}
    moving = [n for n, c in columns.items() if len(np.unique(c[np.isfinite(c)])) > 1]
    axis, *others = sorted(names, key=lambda name: name == "seed") or ["seed"]
    if not moving or len(done) < 3 or not all(axis in run.settings for run in done):
        return []
    groups = others[0] if others and others[0] != "seed" else None
    places = np.array([run.settings[axis] for run in done])
    if places.dtype.kind not in "iufU" or places.ndim > 1:
        places = np.array([str(run.settings[axis]) for run in done])
    kinds = np.array([f"{groups}={run.settings[groups]}" if groups else "" for run in done])
    panels = moving[:PANELS]
    figure, axes = grid(-(-len(panels) // 2), 2, 7.4, 2.3 * -(-len(panels) // 2))
    for ax, name in itertools.zip_longest(axes.flat, panels):
        if name is None:
            ax.set_axis_off()
            continue
        against_varied(ax, columns[name], places, kinds).set_xlabel(axis, fontsize=8)
        ax.set_title(textwrap.fill(name, 44), fontsize=8)
    if axes.flat[0].get_legend_handles_labels()[1]:
        axes.flat[0].legend(fontsize=6)
    picture = png(figure, dpi=130)
    with replacing(folder / "figure.png") as beside:
        beside.write_bytes(picture)
    caption = f"A dot is a run; lines join the medians over all other settings, against {axis}."
    more = len(moving) - len(panels)
    caption += f" {more} more numbers are in the table." if more else ""
    alt = f"{len(panels)} panels: {'; '.join(panels)}, each against {axis}. See the table."
    return [Section("Figure", [Picture(picture, caption, alt)])]


def _column(runs: list[Run], name: str) -> np.ndarray:
    return np.array([run.metrics.get(name, np.nan) for run in runs])


def _table(runs: list[Run], names: list[str]) -> list[Words | Sortable]:
    metrics = _metrics(runs)
    judged = any(run.verdicts for run in runs)
    head = ["run", *names, "status", *metrics, *["fails"] * judged, "seconds"]
    most = CELLS // len(head)
    rows = []
    for number, run in enumerate(runs[:most]):
        values = [f"{run.metrics[name]:.6g}" if name in run.metrics else "" for name in metrics]
        settings = [str(run.settings.get(name, "")) for name in names]
        seconds = f"{run.seconds:.3g}" if run.seconds else ""
        fails = ["; ".join(run.broken)] * judged
        rows.append([str(number), *settings, run.status, *values, *fails, seconds])
    rest = f" These are the first {most:,}." if len(runs) > most else ""
    words = Words(f"The head of a column sorts by it. All runs are in table.csv.{rest}")
    return [words, Sortable("Runs", head, rows)]


def _unfinished(runs: list[Run], names: list[str]) -> list[Section]:
    left = [run for run in runs if run.status in ("failed", "lost")]
    if not left:
        return []
    lines = [f"{shown(run.settings, names)}: {run.says} ({run.path})" for run in left[:NAMED]]
    lines += [f"and {len(left) - NAMED} more"] * (len(left) > NAMED)
    words = Words("The same command again does only these, and what was not run yet.")
    return [Section("Failed or lost", [words, Items(lines)])]


def _shared(runs: list[Run], names: list[str]) -> list[Section]:
    first = runs[0].settings if runs else {}
    rows = [(name, str(value)) for name, value in first.items() if name not in names]
    table = Table("Settings of all runs", ("setting", "value"), rows)
    return [Section("Settings of all runs", [table])] if rows else []


def _made(contents: Contents) -> list[str]:
    runs = [run for run in contents.runs if run.finished]
    seconds = [run.seconds for run in runs]
    sentences = [f"A sweep of {contents.what}; each run has a folder in runs/."]
    if seeds := sorted({run.seed for run in contents.runs if isinstance(run.seed, int)}):
        span = f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"{seeds[0]}"
        sentences.append(f"Seeds: {len(seeds)}, {span}.")
    if runs:
        slowest = max(runs, key=lambda run: run.seconds)
        sentences.append(
            f"The runs took {in_words(sum(seconds))} together, {in_words(slowest.seconds)} the "
            f"longest ({shown(slowest.settings, varied(contents.runs))})."
        )
    several = {tuple(run.versions.items()) for run in runs if run.versions}
    if len(several) > 1:
        sentences.append(f"The runs were made by {len(several)} sets of versions.")
    return sentences


def _foot(runs: list[Run]) -> str:
    """Every version that made a run."""
    known: dict[str, dict[str, None]] = {}
    for run in runs:
        for name, number in run.versions.items():
            known.setdefault(name, {})[number] = None
    return ", ".join(f"{name} {' and '.join(numbers)}" for name, numbers in known.items())
