"""Which numbers does a function of one's own give?"""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from slowpoint.sweeps.run_folder import Found


@dataclasses.dataclass(frozen=True)
class Calls:
    """Calls a function with settings by name, and finds the numbers in its answer."""

    fn: Callable[..., Any]

    def __call__(self, settings: Mapping[str, Any], folder: pathlib.Path) -> Found:
        """What `fn` found; a Result is saved in `folder`."""
        answer = self.fn(**settings)
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
