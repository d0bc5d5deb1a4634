"""How far is a training?"""

from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, Int, PyTree

from slowpoint.learning.training import Training
from slowpoint.learning.update import begin, State

M = TypeVar("M")


class Run(eqx.Module):
    """The state after `done` updates, and room for all losses and snapshots.

    The room is filled in place: a Run is read until the next one is made from it.
    """

    done: int
    state: State
    losses: Float[np.ndarray, "*replicate update"]
    snapshots: PyTree  # arrays of shape (*replicate, snapshot, ...), where something learns

    @classmethod
    def fresh(cls, weights: PyTree, optimiser: optax.GradientTransformation, looks, losses):
        """Before the first update; `losses` is an array of NaN to be filled."""
        start = eqx.filter_vmap(begin) if losses.ndim == 2 else begin
        width = losses.shape[:-1]

        def room(a):
            return np.zeros((*width, len(looks), *a.shape[len(width) :]), a.dtype)

        run = cls(0, start(weights, optimiser), losses, jax.tree.map(room, weights))
        run.look(looks == 0)
        return run

    def after(self, state: State, losses, stop: int, looks) -> "Run":
        """The run at `stop`, having learned `losses`; at its end when all stopped."""
        losses = np.asarray(losses)
        self.losses[..., self.done : stop] = losses[..., : stop - self.done]
        end = self.losses.shape[-1] if np.all(np.asarray(state.stopped) >= 0) else stop
        run = Run(end, state, self.losses, self.snapshots)
        run.look((looks > self.done) & (looks <= end))
        return run

    def look(self, chosen: np.ndarray) -> None:
        """Put the weights into the snapshots that `chosen` marks."""
        axes = (slice(None),) * (self.losses.ndim - 1)

        def one(room, a):
            a = np.asarray(a)
            for index in np.flatnonzero(chosen):
                room[(*axes, index)] = a

        if chosen.any():
            jax.tree.map(one, self.snapshots, self.state.weights)

    def training(self, rest: M, looks: Int[np.ndarray, " snapshot"]) -> Training[M]:
        """What has been learned so far; `rest` is the part of the model that does not learn."""
        axis = self.losses.ndim - 1
        looks = looks[looks <= self.done]
        seen = [slice(None)] * axis + [slice(len(looks))]

        def repeat(a):
            return jnp.repeat(jnp.expand_dims(a, axis), len(looks), axis)

        kept = jax.tree.map(lambda a: jnp.asarray(a[tuple(seen)]), self.snapshots)
        still = jax.tree.map(lambda a: repeat(a) if eqx.is_array(a) else a, rest)
        return Training(
            eqx.combine(self.state.weights, rest),
            self.losses[..., : self.done].copy(),
            eqx.combine(kept, still),
            looks,
            np.asarray(self.state.stopped),
        )
