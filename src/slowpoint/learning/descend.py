"""How is a model taught? Step by step against the gradient: the only loop that does so."""

import os
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jaxtyping import Array, Key, PRNGKeyArray, UInt32
from tqdm import tqdm

from slowpoint.learning.checkpoint import Checkpoint, identify, Keeper
from slowpoint.learning.curriculum import Stages, stages
from slowpoint.learning.grid import Grid, Linear
from slowpoint.learning.reopen import leave_model
from slowpoint.learning.run import Run
from slowpoint.learning.same_optimiser import same_optimiser
from slowpoint.learning.trainable import split
from slowpoint.learning.training import Interrupted, Training
from slowpoint.learning.update import Loss, Rule, stretch

M = TypeVar("M")
Keys = PRNGKeyArray | Key[Array, " replicate"] | UInt32[Array, "replicate 2"]

LONGEST = 1024  # updates that run without a look at the clock
PAUSE = 0.2  # seconds from look to look: how long Ctrl-C waits, how often the bar moves


def descend(
    model: M,
    loss: Loss | Stages[Loss],
    *,
    updates: int,
    key: Keys,
    optimiser: optax.GradientTransformation = optax.adam(1e-3),
    trainable: Callable[[M], Any] | None = None,
    snapshots: Grid = Linear(2),
    checkpoint: Checkpoint | str | os.PathLike | None = None,
) -> Training[M]:
    """Change the arrays of `model` so that `loss(model, key)` falls; each update has a new key.

    `loss` may be a curriculum: pairs (until which update, loss). A loss that is a pytree
    (an eqx.Module) may differ in its arrays from stage to stage, and from call to call, without
    being compiled again; a function is compiled anew where it is another object.
    `key`: a row of keys trains an ensemble: every array of `model` then has the replicates as
    its first axis, and replicate i learns what it would learn alone with key i, to rounding.
    On a CPU eight small networks together save time (0.7 of eight alone with 32 units and
    batches of 8) and large ones do not (1.4 with batches of 64): train those one by one.
    `trainable` picks the part that learns, e.g. `lambda model: model.recurrent`; by default all
    arrays of floats, but never the world of a ClosedLoop.
    `checkpoint`: a folder, or Checkpoint(folder, seconds). The same call made again goes on
    from there, also after a kill, and ends with the same numbers (on a CPU to the bit). What it
    has learned can be read meanwhile: slowpoint.learning.reopen.

    Ctrl-C raises Interrupted (a KeyboardInterrupt) whose `training` holds what was done; with a
    checkpoint that is written first. Raises ValueError on a checkpoint of another run.
    """
    if updates < 1:
        raise ValueError(f"updates={updates}: give 1 or more.")
    keys = key if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else jr.wrap_key_data(key)
    weights, rest = split(model, trainable)
    refuse_another_width(model, keys)
    optimiser = same_optimiser(optimiser)
    rules = [(until, Rule(rest, one, optimiser)) for until, one in stages(loss, updates)]
    looks = snapshots.updates(updates)
    losses = np.full((*keys.shape, updates), np.nan, jnp.result_type(float))
    run = Run.fresh(weights, optimiser, looks, losses)
    keeper = None
    if checkpoint is not None:
        how = checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint(checkpoint)
        keeper = Keeper(how, identify(run, rules, keys, looks))
        run = keeper.open(run)
        leave_model(keeper, model, rules[-1][1].loss, jr.fold_in(keys.ravel()[0], updates))
    try:
        for run in stretches(run, rules, keys, looks):  # noqa: B020
            if keeper:
                keeper.tick(run)
    except KeyboardInterrupt:
        raise Interrupted(_how_to_go_on(run, keeper), run.training(rest, looks)) from None
    if keeper:
        keeper.write(run)
    return run.training(rest, looks)


def refuse_another_width(model: Any, keys: Key[Array, "*replicate"]) -> None:
    """Raise ValueError unless every array of an ensemble has one row per key."""
    if not keys.ndim:
        return
    for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_array)):
        if leaf.shape[:1] != keys.shape:
            raise ValueError(
                f"{len(keys)} keys ask for an ensemble of {len(keys)}, but the model has an "
                f"array of shape {leaf.shape}. Make it with eqx.filter_vmap(make)(keys), or "
                "give one key."
            )


def stretches(run: Run, rules, keys, looks) -> Iterator[Run]:
    """The run after each compiled stretch of updates, until its end."""
    updates = run.losses.shape[-1]
    pauses = np.unique([*looks, *(until for until, _ in rules)])
    size = 1
    with tqdm(total=updates, initial=run.done, unit=" updates", disable=None) as bar:
        while run.done < updates:
            begun, done = time.perf_counter(), run.done
            rule = next(rule for until, rule in rules if done < until)
            stop = int(min(done + size, pauses[pauses > done][0]))
            span = np.array([done, stop], np.int32)
            state, losses = stretch(run.state, rule, keys, span, LONGEST)
            run = run.after(state, losses, stop, looks)
            pace = (time.perf_counter() - begun) / (stop - done)
            size = int(np.clip(PAUSE / pace, 1, LONGEST))
            bar.set_postfix(loss=f"{_middle(run.losses[..., stop - 1]):.3g}", refresh=False)
            bar.update(run.done - done)
            yield run


def _middle(losses: np.ndarray) -> float:
    """The median over the replicates that still learn."""
    finite = losses[np.isfinite(losses)]
    return float(np.median(finite)) if finite.size else float("nan")


def _how_to_go_on(run: Run, keeper: Keeper | None) -> str:
    """Keep what is done, and say how to go on from it."""
    far = f"Stopped after {run.done} of {run.losses.shape[-1]} updates. "
    if keeper is None:
        return far + (
            "They are in the `training` of this exception. Type checkpoint=FOLDER for a "
            "training that can go on from where it was stopped."
        )
    keeper.write(run)
    return far + f"They are in {keeper.checkpoint.path}: the same call goes on from there."
