"""What does a result with one row a network say of the networks that are asked for?"""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Bool, Shaped

from slowpoint.core.result import Result

R = TypeVar("R", bound=Result)


def one_row(kind: type[R], entries: Iterable[Any]) -> R:
    """The result of one network: the entry of each field, in their order."""
    return kind(*(np.array([entry]) for entry in entries))


def joined(parts: Sequence[R]) -> R:
    """The networks of all `parts`, which are of one kind. Raises ValueError for none."""
    if not parts:
        raise ValueError("No networks to join. Give one result or more.")
    kind = type(parts[0])
    columns = {name: [getattr(part, name) for part in parts] for name in _fields(kind)}
    return kind(**{name: np.concatenate(column) for name, column in columns.items()})


def only(found: R, mask: Bool[np.ndarray, " network"]) -> R:
    """The networks where `mask` holds."""
    kind = type(found)
    return kind(**{name: getattr(found, name)[mask] for name in _fields(kind)})


def where(found: Result, **known: Any) -> Bool[np.ndarray, " network"]:
    """The networks whose fields are as told, e.g. `depth=3, horizon=5`."""
    everyone = np.ones(len(getattr(found, _fields(type(found))[0])), bool)
    for name, value in known.items():
        everyone &= getattr(found, name) == value
    return everyone


def entries(found: Result, measure: str, **known: Any) -> Shaped[np.ndarray, "network ..."]:
    """The field `measure` of each network whose other fields are as told."""
    return getattr(found, measure)[where(found, **known)]


def mean_of(found: Result, measure: str, **known: Any) -> float:
    """The mean of `entries`; NaN where there is none."""
    values = entries(found, measure, **known)
    return float(values.mean()) if len(values) else math.nan


def _fields(kind: type[Result]) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]
