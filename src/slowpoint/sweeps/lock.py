"""Who works in this folder? One sweep at a time, known by process and host."""

import contextlib
import errno
import fcntl
import json
import os
import pathlib
import socket
from collections.abc import Iterator
from typing import IO

BUSY = (errno.EAGAIN, errno.EACCES)


@contextlib.contextmanager
def holding(folder: pathlib.Path) -> Iterator[None]:
    """Nobody else holds `folder` meanwhile; the system itself lets go of a dead process's lock.

    Raises ValueError, with its process and host, when a live sweep holds it.
    """
    path = folder / "lock"
    with path.open("a+") as file:
        if not _locked(file):
            raise ValueError(
                f"{folder} is in use by a sweep: {_holder(path)}. Wait for it, or stop it, or "
                "sweep into another folder: --out DIR"
            )
        file.truncate(0)
        json.dump({"process": os.getpid(), "host": socket.gethostname()}, file)
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _locked(file: IO[str]) -> bool:
    """Whether the lock is now ours."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in BUSY:
            return False
        return not _alive(pathlib.Path(file.name))  # a file system that has no locks
    return True


def _alive(path: pathlib.Path) -> bool:
    """Whether the process that `path` names still runs, as far as this host can tell."""
    try:
        holder = json.loads(path.read_text())
    except ValueError:
        return False
    if holder["host"] != socket.gethostname():
        return True
    with contextlib.suppress(ProcessLookupError):
        os.kill(holder["process"], 0)
        return True
    return False


def _holder(path: pathlib.Path) -> str:
    try:
        holder = json.loads(path.read_text())
    except ValueError:
        return "it has just begun"
    return f"process {holder['process']} on {holder['host']}"
