"""How does an experiment become a folder that says all about its run?

Nothing is judged or drawn that was not saved first: claims and figure come from the files.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import time
import types
from collections.abc import Iterator, Sequence

from slowpoint.core.claim import Claim, save_claims, Scale
from slowpoint.core.files import replacing
from slowpoint.core.result import load_all, save_all
from slowpoint.core.settings import Settings
from slowpoint.report.about import about
from slowpoint.report.folder import replacing_folder


@dataclasses.dataclass(frozen=True)
class Record:
    """What a run left behind."""

    folder: pathlib.Path
    claims: list[Claim]
    scale: Scale

    @property
    def holds(self) -> bool:
        """Whether no claim that may be judged at this scale fails."""
        return all(claim.verdict(self.scale) != "fails" for claim in self.claims)


def record(
    experiment: types.ModuleType, settings: Settings, scale: Scale, out: str | os.PathLike
) -> Record:
    """Run `experiment`; write settings, results, claims, figure and page to `out`/NAME.

    The folder appears when all is done. Until then, and when anything fails, an earlier run
    there is as it was. When a claim or the figure cannot be made, the results are kept in
    `out`/NAME.unfinished and the exception says so.
    """
    name = name_of(experiment)
    place = pathlib.Path(out) / name
    with replacing_folder(place) as folder:
        compute(experiment, [settings], scale, [folder])
        with keeping(folder, place.with_name(f"{name}.unfinished")):
            claims = judge(experiment, scale, folder)
            illustrate(experiment, folder)
    return Record(place, claims, scale)


def compute(
    experiment: types.ModuleType,
    rows: Sequence[Settings],
    scale: Scale,
    folders: Sequence[pathlib.Path],
) -> None:
    """Run `experiment`; leave results, settings and what one needs to repeat it in `folders`.

    Several rows go through its `run_together`, and each is told its share of the time; those
    that have no folder are not kept.
    """
    begun, worked = time.perf_counter(), time.process_time()
    found = [experiment.run(*rows)] if len(rows) == 1 else experiment.run_together(rows)
    taken = {
        "seconds": round((time.perf_counter() - begun) / len(folders), 3),
        "cpu_seconds": round((time.process_time() - worked) / len(folders), 3),
    }
    if len(rows) > 1:
        taken["width"] = len(rows)
    says = (experiment.__doc__ or "").strip().partition("\n")[0]
    run = {"experiment": name_of(experiment), "says": says, "scale": scale}
    for settings, folder, results in zip(rows, folders, found):
        save_all(folder, results)
        write_json(folder / "settings.json", settings.model_dump(mode="json"))
        write_json(folder / "about.json", run | {"seed": settings.seed} | taken | about())


def judge(experiment: types.ModuleType, scale: Scale, folder: pathlib.Path) -> list[Claim]:
    """The claims on the results saved in `folder`, which are saved there too."""
    claims = experiment.claims(load_all(folder, experiment.Results))
    save_claims(folder / "claims.json", claims, scale)
    return claims


def illustrate(experiment: types.ModuleType, folder: str | os.PathLike) -> pathlib.Path:
    """Draw the figure of the results saved in `folder` and write its page; returns the page.

    Computes nothing. Raises FileNotFoundError when no run was saved there.
    """
    from slowpoint.report.page import run_page

    folder = pathlib.Path(folder)
    if not (folder / "about.json").exists():
        raise FileNotFoundError(
            f"There is no run in {folder}. Make it first: slowpoint run {name_of(experiment)}"
        )
    figure = experiment.draw(load_all(folder, experiment.Results))
    for name in ("figure.png", "figure.pdf"):
        with replacing(folder / name) as beside:
            figure.savefig(beside, dpi=160)
    return run_page(folder)


def name_of(experiment: types.ModuleType) -> str:
    """The name that `slowpoint run` knows it by."""
    return experiment.__name__.rpartition(".")[2]


def write_json(path: pathlib.Path, values: dict[str, object]) -> None:
    """Write `values`, whole or not at all."""
    with replacing(path) as beside:
        beside.write_text(json.dumps(values, indent=2) + "\n")


@contextlib.contextmanager
def keeping(folder: pathlib.Path, kept: pathlib.Path) -> Iterator[None]:
    """Copy `folder` to `kept` when the block has a bug: hours of computing are not lost."""
    try:
        yield
    except OSError:
        raise  # nothing more can be written
    except Exception as error:
        shutil.copytree(folder, kept, dirs_exist_ok=True)
        error.add_note(f"The results of the run are kept in {kept}.")
        raise
