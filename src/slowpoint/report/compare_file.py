"""Will the networks in two files learn alike? From files to a folder with its page."""

import os
import pathlib

from jaxtyping import PRNGKeyArray

from slowpoint.core.system import System
from slowpoint.core.trial import Task
from slowpoint.report.asked import settings_of
from slowpoint.report.comparison import compare, Plan
from slowpoint.report.comparison_page import doubts_of, said, verdict, write_comparison
from slowpoint.report.folder import replacing_folder
from slowpoint.weights.load import read


def compare_files(
    a: str | os.PathLike,
    b: str | os.PathLike,
    task: Task,
    out: str | os.PathLike,
    *,
    key: PRNGKeyArray,
    rank: int | None = None,
    plan: Plan = Plan(),
) -> tuple[pathlib.Path, list[str]]:
    """Compare the networks in the files `a` and `b` on `task`; `out` gets Result and page.

    Returns the page and what to say on a terminal. The folder appears when all is done. Raises
    ValueError and OSError as `load` and `compare` do.
    """
    (one, from_a), (other, from_b) = read(a), read(b)
    with replacing_folder(out) as folder:
        compared = compare(one, other, task, key=key, rank=rank, plan=plan)
        doubts = [*doubts_of(compared), *_another_tick(task, one)]
        notes = [
            f"A is {from_a.summary()}",
            f"B is {from_b.summary()}",
            *dict.fromkeys((*from_a.assumed, *from_b.assumed)),
            f"Task {type(task).__name__}: {', '.join(settings_of(task))}.",
        ]
        title = f"{pathlib.Path(a).name} and {pathlib.Path(b).name}"
        page = write_comparison(compared, folder, title, doubts, notes)
    found = compared.comparison
    lines = [verdict(found), *said(found), *(f"Warning: {words}." for words in doubts)]
    return pathlib.Path(out) / page.name, lines


def _another_tick(task: Task, system: System) -> list[str]:
    """A sentence where the task counts time otherwise than the networks."""
    tick = getattr(task, "dt", getattr(getattr(task, "timing", None), "dt", None))
    if tick is None or abs(float(tick) - system.dt) < 1e-9 * system.dt:
        return []
    key = "dt" if hasattr(task, "dt") else "timing.dt"
    return [
        f"one step is {float(tick):g} of time to the task, {system.dt:g} to the networks (to "
        f"change it: --set {key}={system.dt:g})"
    ]
