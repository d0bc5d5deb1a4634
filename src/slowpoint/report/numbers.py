"""Which numbers did the user's file or words give?"""

import os
import pathlib
import zipfile

import numpy as np
from jaxtyping import Float


def read_states(path: str | os.PathLike) -> Float[np.ndarray, "sample state"]:
    """States from a `.npy` or `.npz` file; its last axis is the state, the others are joined.

    Raises ValueError where the file holds no such numbers, and when they are not finite, or
    all the same and so no guide to where the network goes.
    """
    states = read_array(path, "states")
    if states.ndim == 0 or states.size == 0:
        raise ValueError(
            f"{path} holds an array of shape {states.shape}: no states. Save one row per "
            "state: numpy.save('states.npy', states)"
        )
    states = states.reshape(-1, states.shape[-1])
    if wrong := int((~np.isfinite(states)).any(axis=1).sum()):
        raise ValueError(
            f"{path}: {wrong} of {len(states)} states hold NaN or infinity. Leave them out: "
            "states[numpy.isfinite(states).all(axis=-1)]"
        )
    if len(states) > 1 and (states == states[0]).all():
        raise ValueError(
            f"{path}: all {len(states)} states are the same. Save states that the network "
            "visits at work, or leave --states out."
        )
    return states


def read_hold(words: str) -> Float[np.ndarray, " input"]:
    """The held input from words like "0,0,1", or from a `.npy` or `.npz` file.

    Raises ValueError where these are no finite numbers.
    """
    if words.endswith((".npy", ".npz")):
        hold = read_array(words, "hold").ravel()
    else:
        try:
            hold = np.array([float(word) for word in words.split(",")])
        except ValueError:
            raise ValueError(
                f"--hold {words!r}: expected one number for each input, or a .npy file. "
                "Type for example: --hold 0,0,1"
            ) from None
    if not np.isfinite(hold).all():
        raise ValueError(f"--hold {words!r}: the held input must be finite.")
    return hold


def read_array(path: str | os.PathLike, name: str) -> np.ndarray:
    """The real numbers in a `.npy` file, or in the array `name` (or the only one) of a `.npz`.

    Raises ValueError where the file holds something else.
    """
    with pathlib.Path(path).open("rb") as stream:
        try:
            loaded = np.load(stream, allow_pickle=False)
            array = loaded if isinstance(loaded, np.ndarray) else _pick(loaded, path, name)
        except (EOFError, OSError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path} is not a whole .npy or .npz file: {error}.") from None
        except ValueError as error:
            if str(path) in str(error):
                raise
            raise ValueError(
                f"{path} is no .npy or .npz file of numbers. "
                "Write one: numpy.save('states.npy', states)"
            ) from None
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{path} holds {array.dtype} values; expected real numbers.")
    return array.astype(np.float64)


def _pick(file: np.lib.npyio.NpzFile, path: str | os.PathLike, name: str) -> np.ndarray:
    """The array called `name`, else the only one."""
    if name in file.files:
        return file[name]
    if len(file.files) != 1:
        there = ", ".join(file.files) or "none"
        raise ValueError(
            f"{path} holds several arrays or none ({there}). Call the one to be read {name!r}: "
            f"numpy.savez('{name}.npz', {name}={name})"
        )
    return file[file.files[0]]
