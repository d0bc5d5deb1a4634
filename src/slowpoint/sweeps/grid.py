"""Which runs does a grid ask for? From words to rows of settings."""

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

LARGEST = 1_000_000  # runs
EXAMPLE = "Type for example: --grid units=32,64 --grid seed=0..49"


def read_axes(words: Iterable[str]) -> dict[str, list[str]]:
    """The values of each "KEY=VALUES": "units=32,64", "seed=0..49" (both ends included).

    A comma in brackets parts nothing: "loads=(1,2),(3,4)" are two values. Raises ValueError on
    what is no such words; says what to type.
    """
    axes: dict[str, list[str]] = {}
    for text in words:
        key, equals, values = text.partition("=")
        if not equals or not key.strip():
            raise ValueError(f"--grid {text!r} is not KEY=VALUES. {EXAMPLE}")
        key = key.strip()
        if key in axes:
            raise ValueError(
                f"--grid {key} came twice. Give its values at once: --grid {key}=A,B"
            )
        axes[key] = [value for part in _parts(values) for value in _span(key, part)]
        if not axes[key]:
            raise ValueError(f"--grid {text!r} holds no value. {EXAMPLE}")
    return axes


def _parts(values: str) -> list[str]:
    """`values` between the commas that stand outside of brackets."""
    found = re.findall(r"(?:\([^()]*\)|\[[^\[\]]*\]|[^,])+", values)
    return [part.strip() for part in found if part.strip()]


def _span(key: str, part: str) -> list[str]:
    """The numbers of "0..49", or the one value that `part` is."""
    if not re.fullmatch(r"[-+\d.e]+\.\.[-+\d.e]*", part):
        return [part]
    ends = re.fullmatch(r"(-?\d{1,15})\.\.(-?\d{1,15})", part)
    if not ends or int(ends[1]) > int(ends[2]):
        raise ValueError(
            f"--grid {key}={part}: a range runs from a lower to a higher whole number, both "
            f"included. {EXAMPLE}"
        )
    low, high = int(ends[1]), int(ends[2])
    _check_size(high - low + 1)
    return [str(value) for value in range(low, high + 1)]


def combinations(axes: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """Every choice of one value each; the last name varies first.

    Raises ValueError for none, or for more than a million.
    """
    _check_size(math.prod(map(len, axes.values())))
    return (dict(zip(axes, values)) for values in itertools.product(*axes.values()))


def _check_size(runs: int) -> None:
    if not 1 <= runs <= LARGEST:
        raise ValueError(f"The grid asks for {runs:,} runs; a sweep takes 1 to {LARGEST:,}.")
