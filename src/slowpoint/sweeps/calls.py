"""Which numbers does a function of one's own give?"""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from slowpoint.sweeps.run_folder import Found


@dataclasses.dataclass(frozen=True)
class Calls:
    """Calls a function with settings by name, and finds the numbers in its answer.

    With `over` it is called once for a group: these settings come as rows, and what it answers
    has one entry for each run.
    """

    fn: Callable[..., Any]
    over: tuple[str, ...] = ()

    def __call__(
        self, rows: Sequence[Mapping[str, Any]], folders: Sequence[pathlib.Path]
    ) -> list[Found]:
        """What `fn` found; a Result is saved in the folder of its run."""
        if self.over:
            shared = {k: v for k, v in rows[0].items() if k not in self.over}
            varied = {name: np.array([row[name] for row in rows]) for name in self.over}
            answers = _one_each(self.fn(**shared, **varied), len(rows))
        else:
            answers = [self.fn(**row) for row in rows]
        return [_found(answer, folder) for answer, folder in zip(answers, folders)]


def _one_each(answer: Any, count: int) -> list[Any]:
    """The answer for each run of a group."""
    advice = (
        f"for {count} runs at once. Return one number for each, numbers by name with one entry "
        "for each, or a list of answers"
    )
    if isinstance(answer, Mapping):
        for name, value in answer.items():
            if np.shape(value) != (count,):
                raise ValueError(f"{name}: shape {np.shape(value)} {advice}.")
        columns = {name: np.asarray(value) for name, value in answer.items()}
        return [{name: column[i] for name, column in columns.items()} for i in range(count)]
    if not isinstance(answer, (list, tuple)):
        answer = np.asarray(answer)
        if answer.shape != (count,):
            raise ValueError(f"The function returned shape {answer.shape} {advice}.")
    if len(answer) != count:
        raise ValueError(f"The function returned {len(answer)} answers {advice}.")
    return list(answer)


def _found(answer: Any, folder: pathlib.Path) -> Found:
    if not isinstance(answer, Mapping) and np.ndim(answer) == 0 and _number(answer):
        return Found({"value": float(answer)})
    if not isinstance(answer, Mapping):
        answer = _saved(answer, folder)
    wrong = [name for name, value in answer.items() if not _number(value)]
    if wrong:
        raise ValueError(
            f"{', '.join(map(str, wrong))}: no number. Return numbers by name, "
            "{'loss': 0.1}, or a Result for whatever is more."
        )
    return Found({str(name): float(value) for name, value in answer.items()})


def _saved(answer: Any, folder: pathlib.Path) -> dict[str, float]:
    """Save a Result; the numbers among its fields."""
    from slowpoint.core.result import Result

    if not isinstance(answer, Result):
        raise ValueError(
            f"The function returned a {type(answer).__name__}. Return a number, numbers by "
            "name, or a Result."
        )
    answer.save(folder / "result.npz")
    fields = {f.name: getattr(answer, f.name) for f in dataclasses.fields(answer)}
    return {name: float(value) for name, value in fields.items() if _number(value)}


def _number(value: Any) -> bool:
    """Whether it is one real number, of Python, NumPy or JAX."""
    return np.ndim(value) == 0 and np.asarray(value).dtype.kind in "biuf"
