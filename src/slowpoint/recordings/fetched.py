"""Where is a data set that does not come with the package? In a folder named, or on the web."""

import os
import pathlib
import zipfile
import zlib
from typing import NamedTuple, NoReturn

import numpy as np

FOLDER = "SLOWPOINT_DATA"  # the environment variable that names the user's own folder


class Remote(NamedTuple):
    """A published file, and what does nearly as well without it."""

    name: str  # of the data set
    address: str
    sha256: str
    instead: str  # what to type when it cannot be had


def in_folder(name: str) -> pathlib.Path | None:
    """The file `name` in the folder that SLOWPOINT_DATA names, or None when there is none.

    Raises FileNotFoundError when the folder itself does not exist.
    """
    if not (named := os.environ.get(FOLDER)):
        return None
    folder = pathlib.Path(named)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{FOLDER} names {named}, which is no folder. Type: export {FOLDER}=FOLDER"
        )
    return folder / name if (folder / name).is_file() else None


def fetch(remote: Remote) -> pathlib.Path:
    """The published file, fetched once into the cache of this user and checked.

    Raises FileNotFoundError when it cannot be fetched or is not what was published.
    """
    import pooch

    cache = pooch.os_cache("slowpoint")
    known = f"sha256:{remote.sha256}"
    try:
        return pathlib.Path(pooch.retrieve(remote.address, known_hash=known, path=cache))
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FileNotFoundError(
            f"{remote.name} could not be fetched ({reason}). {where_to_get(remote)}"
        ) from None


def where_to_get(remote: Remote) -> str:
    """What to type to have the data set after all, and what to use instead."""
    name = remote.address.rpartition("/")[2]
    return (
        f"By hand: get {remote.address} (SHA-256 {remote.sha256}), put it into a folder as "
        f"{name} and type: export {FOLDER}=FOLDER. Or use what comes with the package: "
        f"{remote.instead}"
    )


def arrays(
    path: pathlib.Path, shapes: dict[str, tuple[int, ...]], remote: Remote
) -> dict[str, np.ndarray]:
    """The uint8 arrays of an .npz, each of its shape but for the number of rows.

    Raises ValueError when the file is damaged or holds something else.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            found = {name: file[name] for name in shapes}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        refuse(path, str(error), remote)
    for name, array in found.items():
        if array.dtype != np.uint8 or array.shape[1:] != shapes[name] or not len(array):
            refuse(path, f"{name} is {array.dtype} of shape {array.shape}", remote)
    return found


def refuse(path: pathlib.Path, reason: str, remote: Remote) -> NoReturn:
    """Raise ValueError: the file at `path` is not the data set."""
    raise ValueError(
        f"{path} is damaged or not {remote.name}: {reason}. {where_to_get(remote)}"
    )
