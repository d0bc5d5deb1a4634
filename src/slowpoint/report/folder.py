"""Folders that are either whole or not there: write elsewhere, then rename."""

import contextlib
import os
import pathlib
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
    os.rename(path, earlier)
    try:
        os.rename(new, path)
    except BaseException:
        os.rename(earlier, path)
        raise
    for entry in list(earlier.iterdir()):
        if not (path / entry.name).exists():
            os.rename(entry, path / entry.name)
