"""Was this computed before? Then read it."""

import os
import pathlib
from collections.abc import Callable
from typing import TypeVar

from slowpoint.core.result import Result

R = TypeVar("R", bound=Result)


def kept(
    path: str | os.PathLike | None, kind: type[R], identity: str, make: Callable[[], R]
) -> R:
    """The result in `path` (.npz), or that of `make`, then written there; None: not kept.

    `identity` says in words what was computed, of what: it is written beside, in NAME.txt. A
    file of another identity is replaced. The code is not part of it: after a change of yours
    remove the file.
    """
    if path is None:
        return make()
    path = pathlib.Path(path)
    words = path.with_suffix(".txt")
    if path.exists() and words.exists() and words.read_text() == identity:
        return kind.load(path)
    words.unlink(missing_ok=True)
    made = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save(path)
    words.write_text(identity)
    return made
