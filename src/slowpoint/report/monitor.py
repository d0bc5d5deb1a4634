"""Which stage is a training in a closed loop in, and what is it that it lacks?"""

import os
import pathlib
from typing import Any

import numpy as np

from slowpoint.analysis.loop_history import loop_history, LoopHistory
from slowpoint.core.files import replacing
from slowpoint.core.precision import float64
from slowpoint.learning.reopen import reopen, Reopened
from slowpoint.plots.learning_loop import learning_loop
from slowpoint.plots.style import grid, png
from slowpoint.report.about import versions
from slowpoint.report.folder import replacing_folder
from slowpoint.report.page import write_page
from slowpoint.report.parts import Items, Picture, Section, Table, Words

FAR = 1e-3  # from rest and target: a goal that is missed by more is doubted
SPARSE = 20  # snapshots; with fewer the borders are vague
WEAK = 0.5  # share of effort at the goal, or of its squares not explained, that is told
ROWS = 12  # of the table


def monitor(
    folder: str | os.PathLike,
    out: str | os.PathLike,
    *,
    model: Any = None,
    replicate: int = 0,
    border: float | None = None,
) -> tuple[pathlib.Path, list[str]]:
    """Look at the training of a ClosedLoop whose checkpoint is in `folder`; it may still run.

    `out` gets `history.npz` (a LoopHistory), `figure.png` and the page `report.html`. Returns
    the page and what to say on a terminal. `model`: as for `reopen`; `replicate`: of an
    ensemble; `border`: as for `loop_history`. Raises ValueError and FileNotFoundError as these
    two do.
    """
    refuse_the_training(folder, out)
    with float64():
        opened = reopen(folder, model)
        training, many = opened.training, opened.training.stopped.ndim > 0
        if many:
            training = training.replicate(_within(replicate, len(training.stopped)))
        history = loop_history(training, opened.trials, border=border)
    lines = [verdict(history), *said(history, opened), *doubts(history, opened)]
    if many:
        lines.append(f"Of {len(opened.training.stopped)} replicates this is {replicate}.")
    with replacing_folder(out) as place:
        page = write_monitor(history, place, pathlib.Path(folder).resolve().name, lines)
    return pathlib.Path(out) / page.name, lines


def refuse_the_training(folder: str | os.PathLike, out: str | os.PathLike) -> None:
    """Raise ValueError where the page would take the place of the training."""
    here, there = pathlib.Path(folder).resolve(), pathlib.Path(out).resolve()
    if there == here or there in here.parents:
        raise ValueError(
            f"{out} holds the training, which may be writing there. Type --out {folder}/monitor"
        )


def _within(replicate: int, count: int) -> int:
    if not 0 <= replicate < count:
        raise ValueError(f"replicate={replicate}: there are {count}, 0 to {count - 1}.")
    return replicate


def write_monitor(
    history: LoopHistory, out: str | os.PathLike, title: str, lines: list[str]
) -> pathlib.Path:
    """Save the Result and its figure, write the page `report.html` in `out`; return it."""
    out = pathlib.Path(out)
    history.save(out / "history.npz")
    figure, axes = grid(2, 2, width=7.4, height=6.0)
    learning_loop(axes, history)
    picture = png(figure)
    with replacing(out / "figure.png") as beside:
        beside.write_bytes(picture)
    caption = (
        "Shaded: the stages; dotted and dashed lines: their borders. Upper left: the loss "
        "before each update. Upper right: the largest |eigenvalue| of the joint step at the "
        "goal, stable below the line. Lower left: the paths of the eigenvalues near the unit "
        "circle, hollow at the first snapshot, filled at the last. Lower right: the effective "
        "gain, each entry over its largest size."
    )
    sections = [
        Section("", [Words(lines[0], "note"), Items(lines[1:])]),
        Section("How it learned", [Picture(picture, caption, " ".join(lines[:2]))]),
        Section("Snapshots", [_table(history)]),
        Section("How this was found", [Items(_how(history))]),
    ]
    foot = ", ".join(f"{name} {number}" for name, number in versions().items())
    lead = "Loss, spectra, gains and stages of a training in a closed loop."
    return write_page(out / "report.html", title, lead, sections, foot)


def verdict(history: LoopHistory) -> str:
    """One sentence: which stage is it in, and what is missing?"""
    if history.diverged >= 0:
        return (
            f"Diverged: the snapshot at update {history.diverged} is not finite. Clip the "
            "gradient or lower the learning rate."
        )
    stage, radius, push = history.stage[-1], history.radius[-1], history.push[-1]
    if stage == 1:
        return (
            f"Stage 1: the agent does not push back against displacements yet (push "
            f"{push:.2g}, stage 1 ends below {history.border:.2g}). What is missing is a "
            "negative gain on the position."
        )
    if stage == 2:
        return (
            f"Stage 2: the agent pushes back (push {push:.2g}), but the loop is not stable: "
            f"spectral radius {radius:.4g}, {_mode(history)}. What is missing is damping, that "
            "is an estimate of the velocity."
        )
    return (
        f"Stage 3: the loop is stable at its goal from update {history.second_end} on; "
        f"spectral radius {radius:.4g}, {_mode(history)}. What is left is refinement."
    )


def _mode(history: LoopHistory) -> str:
    """The largest eigenvalue at the last snapshot, in words."""
    largest = history.decisive[-1]
    size, turn = abs(largest), float(np.angle(largest))
    swings = "" if abs(turn) < 1e-9 else f", a swing of {2 * np.pi / turn * history.dt:.3g}"
    if abs(np.log(size)) < 1e-9:
        return f"its largest mode neither grows nor decays{swings}"
    verb = "doubles" if size > 1 else "halves"
    time = np.log(2) / abs(np.log(size)) * history.dt
    return f"its largest mode {verb} in {time:.3g} of time{swings}"


def said(history: LoopHistory, opened: Reopened) -> list[str]:
    """How far it is, and where the borders lie."""
    losses = history.losses[np.isfinite(history.losses)]
    some = losses[-max(1, len(losses) // 100) :]
    found = [f"{opened.done} of {opened.updates} updates."]
    if len(losses):
        found.append(f"Loss {losses[0]:.4g} at first, {np.median(some):.4g} lately.")
    for name, border in (("1", history.first_end), ("2", history.second_end)):
        if border < 0 and name == "1" and history.second_end >= 0:
            found.append(
                "It became stable although it pushes back little: push "
                f"{history.push[-1]:.2g}, border of stage 1 {history.border:.2g}. To count a "
                f"weaker push type --border {history.push[-1] / 2:.1g}"
            )
        elif border < 0:
            found.append(f"Stage {name} has not ended.")
        elif border == history.updates[0]:
            found.append(f"Stage {name} was over before the first snapshot.")
        else:
            before = history.updates[np.searchsorted(history.updates, border) - 1]
            found.append(f"Stage {name} ended between updates {before} and {border}.")
    gain = "; ".join(", ".join(f"{k:.3g}" for k in row) for row in history.gain[-1])
    return [*found, f"Effective gain now, one row per effort: {gain}."]


def doubts(history: LoopHistory, opened: Reopened) -> list[str]:
    """Where what is said need not hold, in sentences that begin with "Warning"."""
    found = []
    if len(history.updates) < SPARSE:
        found.append(
            f"{len(history.updates)} snapshots, so the borders are vague. Train with "
            "snapshots=Linear(100)"
        )
    if opened.trials is None:
        found.append(
            "the loss has no task, so the goal is taken to be the rest nearest to 0, and runs "
            "begin at unit distance from it"
        )
    if history.miss > FAR:
        found.append(f"no rest with the target shown was found (off by {history.miss:.2g})")
    if history.effort[-1] > WEAK:
        found.append(
            f"the agent does {history.effort[-1]:.0%} of its usual effort at the goal, where "
            "nothing is to be done: the loop rests elsewhere, where its spectrum may differ"
        )
    if (left := np.nan_to_num(history.unexplained[-1]).max()) > WEAK:
        found.append(f"a gain on the state leaves {left:.0%} of the effort unexplained")
    return [f"Warning: {words}." for words in found]


def _table(history: LoopHistory) -> Table:
    chosen = np.unique(np.linspace(0, len(history.updates) - 1, ROWS).astype(int))
    rows = []
    for i in chosen:
        largest = history.decisive[i]
        numbers = (history.radius[i], np.real(largest), np.imag(largest), history.push[i])
        cells = [f"{number:.4g}" for number in (*numbers, *history.gain[i].ravel()[:8])]
        rows.append([str(history.updates[i]), str(history.stage[i]), *cells])
    _, efforts, states = history.gain.shape
    gains = [f"k{i + 1}{j + 1}" for i in range(efforts) for j in range(states)][:8]
    head = ["update", "stage", "radius", "Re", "Im", "push", *gains]
    return Table("Snapshots", head, rows)


def _how(history: LoopHistory) -> list[str]:
    goal = ", ".join(f"{number:.4g}" for number in history.goal)
    return [
        f"The goal is where the world rests with the target shown, the agent settled: {goal} "
        "(the first of at most three; the radius is that of the worst).",
        "Eigenvalues are those of the Jacobian of one joint step of world and agent there. For "
        "a world or an agent that is not linear they say nothing about what is far from it.",
        "The effective gain is a regression of efforts on displacements along runs towards "
        "goals that are held, from where the trials begin.",
        f"Stage 1 ends at the first snapshot whose push is below {history.border:.3g} per tick "
        "and tick, stage 2 after the last one whose radius is 1 or more.",
    ]
