"""What has a training learned so far, as read from its folder, while it runs or afterwards?

Beside the checkpoint lies `model.npz`: the model before it learned, told in words and numbers
(core.describe), and a few trials of the last lesson. It is written once, the training never
reads it, and whoever reads it changes nothing.
"""

import json
import os
import pathlib
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Key

from slowpoint.core.describe import describe, rebuild
from slowpoint.core.files import replacing
from slowpoint.core.trial import Task, Trial
from slowpoint.learning.checkpoint import Checkpoint, Keeper, named, opened, refuse_newer
from slowpoint.learning.training import Training

NAME = "model.npz"
FORMAT = 1  # raised when an old reader could misread a new file
TRIALS = 10  # kept beside the model


class Reopened(eqx.Module):
    """A training as far as it has come; its last snapshot is the model as it is now."""

    training: Training
    trials: Trial | None  # of the last lesson, stacked; None: the loss has no task
    updates: int  # when it will have ended

    @property
    def done(self) -> int:
        """Updates so far."""
        return self.training.losses.shape[-1]


def leave_model(keeper: Keeper, model: Any, loss: Any, key: Key[Array, ""]) -> None:
    """Write what `reopen` needs beside the checkpoint; a model that has no name is left out."""
    path = keeper.checkpoint.path.with_name(NAME)
    for torn in path.parent.glob(f".{path.stem}-*{path.suffix}"):
        torn.unlink(missing_ok=True)  # left by a kill in the middle of writing
    about: dict[str, Any] = {"format": FORMAT, "identity": keeper.identity}
    arrays: dict[str, np.ndarray] = {}
    try:
        about["model"] = describe(model, arrays)
    except ValueError as error:
        about["why"] = str(error)
    arrays = {f"model.{name}": array for name, array in arrays.items()}
    if (trials := _trials_of(loss, key)) is not None:
        arrays |= {f"trials.{name}": np.asarray(a) for name, a in named(trials)}
    with replacing(path) as beside, beside.open("wb") as file:
        np.savez(file, allow_pickle=False, about=np.array(json.dumps(about)), **arrays)


def _trials_of(loss: Any, key: Key[Array, ""]) -> Trial | None:
    """Some trials of the task in `loss`: those given to it, or else drawn."""
    kinds = (Trial, Task)
    parts = jax.tree.leaves(loss, is_leaf=lambda part: isinstance(part, kinds))
    for part in parts:
        if isinstance(part, Trial) and part.inputs.ndim == 3:
            return jax.tree.map(lambda a: a[:TRIALS], part)
    for part in parts:
        if isinstance(part, Task):
            return jax.vmap(part.trial)(jr.split(key, TRIALS))
    return None


def reopen(folder: str | os.PathLike, model: Any = None) -> Reopened:
    """The training whose checkpoint is in `folder`, at the precision in force.

    `model`: as it was given to `train`, where the folder does not hold it. Raises
    FileNotFoundError when there is no training, ValueError when its model cannot be known.
    """
    path = Checkpoint(folder).path
    if not path.exists():
        raise FileNotFoundError(_no_training(path))
    file, about = opened(path)
    with file:
        refuse_newer(path, about["format"])
        many = file["losses"].ndim > 1
        there, trials = _left(path.with_name(NAME), about["identity"], model, many)
        training = _training(path, file, there, about["identity"])
    return Reopened(training, trials, about["identity"]["updates"])


def _no_training(path: pathlib.Path) -> str:
    inside = sorted(p.parent for p in path.parent.glob(f"*/{path.name}"))
    if inside:
        return f"There is no training in {path.parent}, but one in {inside[0]}. Type that."
    return (
        f"There is no training in {path.parent}: it holds no {path.name}. A training leaves "
        f'one with train(..., checkpoint="{path.parent}").'
    )


def _left(
    path: pathlib.Path, identity: dict, model: Any, many: bool
) -> tuple[Any, Trial | None]:
    """The model, or an ensemble of `many`, and the trials that `leave_model` wrote."""
    if not path.exists():
        if model is not None:
            return model, None
        raise ValueError(
            f"{path} is not there, so the model is not known. Make the call that trains it "
            "once more: it goes on from its checkpoint, and leaves that file at once."
        )
    file, about = opened(path)
    with file:
        refuse_newer(path, about["format"])
        if about["identity"] != identity:
            raise ValueError(f"{path} is of another training, or one begins. Type it again.")
        if model is None:
            if "model" not in about:
                raise ValueError(
                    f"{path} does not hold the model: {about['why']} In Python give it: "
                    "slowpoint.learning.reopen.reopen(folder, model)"
                )
            model = _rebuilt(about["model"], file, many)
        if "trials.start" not in file:
            return model, None
        names = ("start", "inputs", "targets", "weights")
        arrays = [jnp.asarray(file[f"trials.{name}"]) for name in names]
        return model, jax.vmap(Trial)(*arrays)


def _rebuilt(tree: object, file, many: bool) -> Any:
    """The model; an ensemble is its first member with all the others' arrays."""
    read = lambda name: _numbers(file[f"model.{name}"])
    if not many:
        return rebuild(tree, read)
    one = rebuild(tree, lambda name: read(name)[0])
    every = [jnp.asarray(read(name)) if eqx.is_array(a) else a for name, a in named(one)]
    return jax.tree.unflatten(jax.tree.structure(one), every)


def _training(path: pathlib.Path, file, model: Any, identity: dict) -> Training:
    """The Training in `file`, of a model like `model`."""
    leaves = named(model)
    if lacking := sorted(set(identity["sizes"]) - {name for name, _ in leaves}):
        raise ValueError(
            f"{path} is of another model: {lacking[0]} learns there, and is not in this "
            f"{type(model).__name__}. Give the model as it was given to train."
        )
    done, losses = int(file["done"]), file["losses"]
    looks = np.array(identity["snapshots"], np.int64)
    looks = looks[looks <= done]
    now, kept = [], []
    for name, leaf in leaves:
        last, rows = leaf, None
        if name in identity["sizes"]:
            last = jnp.asarray(_numbers(file[f"state.weights.{name}"]))
            rows = _numbers(file[f"snapshots.{name}"])
        now.append(last)
        kept.append(_rows(last, rows, losses.ndim - 1, looks, done))
        if jnp.shape(last) != jnp.shape(leaf):
            raise ValueError(
                f"{path} is of another model: its {name} has shape {jnp.shape(last)}, here "
                f"{jnp.shape(leaf)}. Give the model as it was given to train."
            )
    structure = jax.tree.structure(model)
    return Training(
        jax.tree.unflatten(structure, now),
        losses[..., :done].copy(),
        jax.tree.unflatten(structure, kept),
        np.unique(np.append(looks, done)),
        file["state.stopped"],
    )


def _rows(last: Any, rows: np.ndarray | None, axis: int, looks: np.ndarray, done: int) -> Any:
    """The snapshots of a leaf, along `axis`; as it is now comes last. `rows` None: it stays."""
    if not eqx.is_array(last):
        return last
    now = jnp.expand_dims(last, axis)
    if rows is None:
        return jnp.repeat(now, len(np.unique(np.append(looks, done))), axis)
    seen = jnp.asarray(rows[(*[slice(None)] * axis, slice(len(looks)))])
    return seen if done in looks else jnp.concatenate([seen, now], axis)


def _numbers(array: np.ndarray) -> np.ndarray:
    """`array`; bfloat16, which loses its name in a .npz, as float32."""
    return array.view(jnp.bfloat16).astype(np.float32) if array.dtype.kind == "V" else array
