"""How is an experiment run on every choice of a grid?"""

import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from slowpoint.core.claim import Claim, Scale
from slowpoint.core.files import replacing
from slowpoint.core.settings import nearest, Settings
from slowpoint.report.catalogue import find
from slowpoint.report.house import state_of_files
from slowpoint.sweeps.conduct import complete, conduct, Sweep
from slowpoint.sweeps.executors import Executor, Inline
from slowpoint.sweeps.grid import combinations, EXAMPLE, read_axes
from slowpoint.sweeps.groups import Grouping
from slowpoint.sweeps.local import cores, Local
from slowpoint.sweeps.run_folder import Found
from slowpoint.sweeps.slurm import slurm_named


@dataclasses.dataclass(frozen=True)
class Asked:
    """What to run: an experiment, its settings, and the words of the grid, as typed."""

    name: str
    grid: Sequence[str]
    changes: Sequence[str] = ()
    quick: bool = False

    @property
    def scale(self) -> Scale:
        """Where the claims are judged."""
        return "quick" if self.quick else "full"

    @property
    def what(self) -> str:
        """What a folder is called that holds it."""
        return f"{self.name}, {self.scale}"

    def settings(self) -> Iterator[Settings]:
        """Those of each run. Raises ValueError on whatever the experiment does not take."""
        experiment = find(self.name)
        base = experiment.QUICK if self.quick else experiment.Settings()
        base = base.changed(self.changes)
        axes = read_axes(self.grid)
        if not axes:
            raise ValueError(f"A sweep needs a grid. {EXAMPLE}")
        twice = axes.keys() & {text.partition("=")[0] for text in self.changes}
        if twice:
            key = min(twice)
            raise ValueError(f"{key} is in --set and in --grid. Keep one of them.")
        for key, values in axes.items():
            for value in values:
                base.changed([f"{key}={value}"])
        return (base.changed(map("=".join, row.items())) for row in combinations(axes))


@dataclasses.dataclass(frozen=True)
class Runs:
    """Runs an experiment in folders, claims included; its figure is drawn when asked for."""

    name: str
    scale: Scale

    def __call__(
        self, rows: Sequence[Mapping[str, Any]], folders: Sequence[pathlib.Path]
    ) -> list[Found]:
        """The values of its claims, and their verdicts."""
        from slowpoint.report.record import compute, judge  # slow to import

        experiment = find(self.name)
        asked = [experiment.Settings.model_validate(row) for row in rows]
        compute(experiment, asked, self.scale, folders)
        return [self._judged(judge(experiment, self.scale, folder)) for folder in folders]

    def _judged(self, claims: Sequence[Claim]) -> Found:
        names = _apart([claim.says for claim in claims])
        verdicts = [claim.verdict(self.scale) for claim in claims]
        return Found(
            dict(zip(names, [claim.value for claim in claims])), dict(zip(names, verdicts))
        )


def _apart(words: list[str]) -> list[str]:
    """`words`, numbered where one comes again."""
    before = [words[:i].count(word) for i, word in enumerate(words)]
    return [f"{word} ({many + 1})" if many else word for word, many in zip(words, before)]


def sweep_experiment(
    asked: Asked, folder: str | os.PathLike, executor: Executor, *, quiet: bool = False
) -> Sweep:
    """Do the runs that `folder` lacks. Raises ValueError and OSError as `conduct` does."""
    request = hashlib.sha256(f"{asked} {state_of_files()}".encode()).hexdigest()
    note = pathlib.Path(folder) / "asked.txt"
    if note.exists() and note.read_text() == request and (done := complete(asked.what, folder)):
        return done  # the experiment itself takes longer to import than this
    rows = [settings.model_dump(mode="json") for settings in asked.settings()]
    does, grouping = Runs(asked.name, asked.scale), _grouping(asked.name)
    done = conduct(asked.what, does, rows, folder, executor, grouping=grouping, quiet=quiet)
    if not done.unfinished:
        with replacing(note) as beside:
            beside.write_text(request)
    return done


def _grouping(name: str) -> Grouping:
    """Runs that the experiment can do together: those that differ only in its TOGETHER."""
    experiment = find(name)
    if not hasattr(experiment, "run_together"):
        return Grouping()
    kind = experiment.Settings
    return Grouping(
        experiment.TOGETHER, lambda settings: experiment.width(kind.model_validate(settings))
    )


def executor_named(word: str, processes: int | None = None) -> Executor:
    """The executor of that name. Raises ValueError on any other; says which there are."""
    if word == "inline":
        return Inline()
    if word == "local":
        return Local(processes or cores())
    if word.partition(":")[0] == "slurm":
        return slurm_named(word.partition(":")[2], processes)
    raise ValueError(f"No executor {word!r}. {nearest(word, ['inline', 'local', 'slurm'])}")
