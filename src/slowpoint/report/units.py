"""Which units may be stimulated? From the user's words or file to their numbers, and back."""

import re

import numpy as np
from jaxtyping import Bool, Int

from slowpoint.report.numbers import read_array


def read_units(words: str) -> Int[np.ndarray, " unit"]:
    """Numbers of units from words like "0,3,5-9", or from a `.npy` file.

    The file holds whole numbers, or one true or false per number of the state. Raises
    ValueError on anything else.
    """
    if words.endswith(".npy"):
        return _from_file(words)
    spans = [re.fullmatch(r"\s*(\d{1,9})(?:-(\d{1,9}))?\s*", word) for word in words.split(",")]
    ends = [(int(span[1]), int(span[2] or span[1])) for span in spans if span]
    if len(ends) < len(spans) or any(high < low for low, high in ends):
        raise ValueError(
            f"--units {words!r}: expected numbers and ranges from low to high, or a .npy file. "
            "Type for example: --units 0,3,5-9"
        )
    return np.unique(np.concatenate([np.arange(low, high + 1) for low, high in ends]))


def _from_file(path: str) -> np.ndarray:
    numbers = read_array(path, "units").ravel()
    if np.load(path, allow_pickle=False).dtype == bool:
        return np.flatnonzero(numbers)
    if not np.array_equal(numbers, np.abs(np.round(numbers))):
        raise ValueError(
            f"{path} holds {numbers[:3].tolist()}...: no numbers of units. Save whole numbers "
            "from 0 on, or true and false: numpy.save('units.npy', numpy.arange(10))"
        )
    return np.unique(numbers.astype(int))


def as_mask(units: Int[np.ndarray, " unit"], size: int) -> Bool[np.ndarray, " state"]:
    """True at those of `size` numbers of state. Raises ValueError on none, or one outside."""
    units = np.asarray(units)
    if not len(units) or units.min() < 0 or units.max() >= size:
        came = words_for(units) if len(units) else "none"
        raise ValueError(
            f"Units that may be stimulated: {came}. The network has {size} numbers of state: "
            f"name some of 0 to {size - 1}, for example --units 0-{min(9, size - 1)}"
        )
    return np.isin(np.arange(size), units)


def words_for(units: Int[np.ndarray, " unit"]) -> str:
    """Sorted numbers as words: 0, 3, 5-9."""
    runs = np.split(units, np.flatnonzero(np.diff(units) != 1) + 1)
    return ", ".join(
        f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs if len(run)
    )
