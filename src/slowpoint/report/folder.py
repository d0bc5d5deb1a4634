"""Folders that are either whole or not there: write elsewhere, then rename."""

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def replacing_folder(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """An empty folder with the name of `path`; it takes that place when the block succeeds.

    When the block fails (a full disk, an interrupt) `path` is as it was. Files in `path` that
    the new folder lacks stay. Raises OSError, before the block, where nothing can be written.
    """
    path = pathlib.Path(path).resolve()  # a link stays, what it points to is replaced
    if path.exists() and not path.is_dir():
        raise FileExistsError(f"{path} is a file; a folder would have to take its place.")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as beside:
        folder = pathlib.Path(beside) / path.name
        folder.mkdir()
        yield folder
        _swap(folder, path, pathlib.Path(beside) / "earlier")


def _swap(new: pathlib.Path, path: pathlib.Path, earlier: pathlib.Path) -> None:
    if not path.exists():
        os.rename(new, path)
        return
    for entry in path.iterdir():  # copied before the swap, so that no interrupt can lose them
        if not (new / entry.name).exists():
            _copy(entry, new / entry.name)
    try:
        os.rename(path, earlier)
        os.rename(new, path)
    except BaseException:
        if earlier.exists() and not path.exists():
            os.rename(earlier, path)
        raise


def _copy(entry: pathlib.Path, place: pathlib.Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.copytree(entry, place, symlinks=True)
    else:
        shutil.copy2(entry, place, follow_symlinks=False)
