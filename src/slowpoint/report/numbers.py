"""Which numbers did the user's words or file give? What they mean is for `explain` to check."""

import os
import pathlib
import zipfile

import numpy as np
from jaxtyping import Float


def read_states(path: str | os.PathLike) -> Float[np.ndarray, "... state"]:
    """Visited states from a `.npy` or `.npz` file. Raises ValueError where there are none."""
    states = read_array(path, "states")
    if states.ndim == 0 or states.size == 0:
        raise ValueError(
            f"{path} holds an array of shape {states.shape}: no states. Save one row per "
            "state: numpy.save('states.npy', states)"
        )
    return states


def read_hold(words: str) -> Float[np.ndarray, " input"]:
    """The held input from words like "0,0,1", or from a `.npy` or `.npz` file.

    Raises ValueError where these are no numbers.
    """
    if words.endswith((".npy", ".npz")):
        return read_array(words, "hold").ravel()
    try:
        return np.array([float(word) for word in words.split(",")])
    except ValueError:
        raise ValueError(
            f"--hold {words!r}: expected one number for each input, or a .npy file. "
            "Type for example: --hold 0,0,1"
        ) from None


def read_noise(words: str) -> Float[np.ndarray, "..."]:
    """The standard deviation of input noise from "0.1", or one for each input: "0.1,0.1,0".

    Raises ValueError where these are no numbers.
    """
    try:
        given = np.array([float(word) for word in words.split(",")])
    except ValueError:
        raise ValueError(
            f"--noise {words!r}: expected a standard deviation, or one for each input. "
            "Type for example: --noise 0.1"
        ) from None
    return given if len(given) > 1 else given[0, ...]


def read_whole(words: str, name: str) -> tuple[int, ...]:
    """Whole numbers above 0 from words like "16,64". Raises ValueError on anything else."""
    numbers = [word.strip() for word in words.split(",")]
    if not all(word.isascii() and word.isdigit() and 0 < int(word) < 10**9 for word in numbers):
        raise ValueError(
            f"--{name} {words!r}: expected whole numbers above 0. Type for example: "
            f"--{name} 16,64"
        )
    return tuple(sorted({int(word) for word in numbers}))


def read_array(path: str | os.PathLike, name: str) -> Float[np.ndarray, "..."]:
    """The real numbers in a `.npy` file, or in the array `name` (or the only one) of a `.npz`.

    Raises ValueError where the file holds something else.
    """
    with pathlib.Path(path).open("rb") as file:
        try:
            loaded = np.load(file, allow_pickle=False)
            array = loaded if isinstance(loaded, np.ndarray) else _pick(dict(loaded), name)
        except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path} can't be read as arrays of numbers: {error}") from None
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{path} holds values of type {array.dtype}; expected real numbers.")
    return array.astype(np.float64)


def _pick(arrays: dict[str, np.ndarray], name: str) -> np.ndarray:
    """The array called `name`, else the only one."""
    if name in arrays:
        return arrays[name]
    if len(arrays) != 1:
        there = ", ".join(arrays) or "nothing"
        raise ValueError(
            f"it holds {there}. Give a file with one array, or with one called {name!r}."
        )
    return next(iter(arrays.values()))
