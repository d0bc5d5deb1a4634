"""What does a training need to go on after it was killed?"""

import dataclasses
import hashlib
import json
import os
import pathlib
import time
import zipfile
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from slowpoint.core.files import replacing
from slowpoint.learning.run import Run
from slowpoint.learning.update import Rule, stretch

FORMAT = 1  # of the file; raised when an old reader could misread a new file
NAME = "training.npz"


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """Write `folder`/training.npz every `seconds` while learning, and when it ends.

    A plain `.npz`: every array of the run under its path, and JSON under "about".
    """

    folder: str | os.PathLike
    seconds: float = 30.0

    @property
    def path(self) -> pathlib.Path:
        """The file."""
        return pathlib.Path(self.folder) / NAME


class Keeper:
    """Keeps one run in the file of its checkpoint. `identity` tells this run from others."""

    def __init__(self, checkpoint: Checkpoint, identity: dict[str, Any]):
        self.checkpoint = checkpoint
        self.identity = identity
        self.written = (-1, time.monotonic())  # (updates done, when)

    def open(self, run: Run) -> Run:
        """`run`, or where the file says that it had come.

        Raises ValueError when the file holds another run.
        """
        path = self.checkpoint.path
        path.parent.mkdir(parents=True, exist_ok=True)
        for torn in path.parent.glob(f".{path.stem}-*{path.suffix}"):
            torn.unlink(missing_ok=True)  # left by a kill in the middle of writing
        if path.exists():
            run = read(path, run, self.identity)
            self.written = (run.done, time.monotonic())
        else:
            self.write(run)  # a folder that cannot be written to is known before the work
        return run

    def tick(self, run: Run) -> None:
        """Write when it is time."""
        if time.monotonic() - self.written[1] >= self.checkpoint.seconds:
            self.write(run)

    def write(self, run: Run) -> None:
        """Write, unless the file is that far already."""
        if run.done != self.written[0]:
            about = np.array(json.dumps({"format": FORMAT, "identity": self.identity}))
            arrays = {name: np.asarray(_plain(leaf)) for name, leaf in named(run)}
            with replacing(self.checkpoint.path) as beside, beside.open("wb") as file:
                np.savez(file, allow_pickle=False, about=about, **arrays)
        self.written = (run.done, time.monotonic())


def read(path: pathlib.Path, like: Run, identity: dict[str, Any]) -> Run:
    """The run in `path`, which has the arrays of `like`.

    Raises ValueError when it is not the run of `identity`, or not a checkpoint at all.
    """
    file, about = opened(path)
    with file:
        refuse_another(path, about["format"], about["identity"], identity)
        leaves = [_as(file[name], leaf) for name, leaf in named(like)]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def opened(path: pathlib.Path) -> tuple[Any, dict[str, Any]]:
    """`(file, about)`: the arrays of a file of a training, and what it says about itself.

    They stay as they are, although the training may put another file in its place. Raises
    ValueError when it is no such file.
    """
    try:
        file = np.load(path, allow_pickle=False)
        about = json.loads(str(file["about"]))
        if {"format", "identity"} <= set(about):
            return file, about
    except (zipfile.BadZipFile, KeyError, EOFError, IndexError, TypeError, ValueError):
        pass
    raise ValueError(
        f"{path} is no checkpoint of a training. Move it away, or give another folder."
    )


def refuse_newer(path: pathlib.Path, version: int) -> None:
    """Raise ValueError when a later version than this one wrote the file."""
    if version > FORMAT:
        raise ValueError(
            f"{path} has format {version}, this version reads up to {FORMAT}. "
            "Type: pip install --upgrade slowpoint"
        )


def refuse_another(path: pathlib.Path, version: int, there: dict, here: dict) -> None:
    """Raise ValueError, with the first thing that differs, unless both identities agree."""
    refuse_newer(path, version)
    for name, ours in here.items():
        if (theirs := there.get(name)) != ours:
            seen = f": {theirs} there, {ours} here" if len(f"{theirs}{ours}") < 100 else ""
            raise ValueError(
                f"{path} is of another training. What differs is its {name}{seen}. "
                "Make the call that wrote it, or give another folder."
            )


def identify(
    run: Run, rules: list[tuple[int, Rule]], keys: jax.Array, looks: np.ndarray
) -> dict[str, Any]:
    """What two runs must share for one to go on from the other's checkpoint, in words.

    The program is the compiled loop's text, so it knows the loss, its batch and the learning
    rate. It also changes with the version of jax, which is therefore named before it.
    """
    updates, span = run.losses.shape[-1], np.zeros(2, np.int32)
    lower = stretch.lower  # pyright: ignore[reportFunctionMemberAccess]
    programs = [lower(run.state, rule, keys, span, 1) for _, rule in rules]
    return {
        "updates": updates,
        "snapshots": looks.tolist(),
        "sizes": {name: list(np.shape(leaf)) for name, leaf in named(run.state.weights)},
        "key": _digest(jr.key_data(keys)),
        "first weights": _digest(run.state.weights),
        "stages or their numbers": [[until, _digest(rule.loss)] for until, rule in rules],
        "weights that do not learn": _digest(rules[0][1].rest),
        "version of jax": jax.__version__,
        "program (loss, task, batch, optimiser)": _digest([p.as_text() for p in programs]),
    }


def _digest(tree: Any) -> str:
    """Equal for equal arrays and words, anywhere and at any time."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        if isinstance(leaf, str):
            digest.update(leaf.encode())
        elif eqx.is_array_like(leaf):
            array = np.asarray(_plain(leaf))
            digest.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return digest.hexdigest()[:16]


def named(tree: Any) -> list[tuple[str, Any]]:
    """`(path, leaf)` of all leaves."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return [(jax.tree_util.keystr(path, simple=True, separator="."), a) for path, a in leaves]


def _plain(leaf: Any) -> Any:
    """A typed key (some optimisers have one) as the numbers that it is made of."""
    return jr.key_data(leaf) if _is_key(leaf) else leaf


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _as(array: np.ndarray, like: Any) -> Any:
    """`array` from the file, as the kind of thing that `like` is."""
    if _is_key(like):
        return jr.wrap_key_data(jnp.asarray(array), impl=jr.key_impl(like))
    if not isinstance(like, jax.Array | np.ndarray):
        return array.item()
    if array.dtype.kind == "V":  # bfloat16 and its kin lose their name in a .npz
        array = array.view(like.dtype)
    return array if isinstance(like, np.ndarray) else jnp.asarray(array)
