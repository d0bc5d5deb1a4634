"""What does learning leave behind?"""

from typing import Any, Generic, TypeVar

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float, Int

S = TypeVar("S")


class Training(eqx.Module, Generic[S]):
    """A trained model and the way there. An ensemble has its replicates as the first axis.

    `losses[..., u]` was measured before update u. `snapshots` is the model with one more axis
    (the first, or the one after the replicates): its weights after each of `snapshot_updates`.
    `stopped` is -1, or the update whose loss, gradient or weights were not finite: that
    replicate keeps its last good weights, and its later losses are NaN.
    """

    system: S
    losses: Float[np.ndarray, "*replicate update"]
    snapshots: S
    snapshot_updates: Int[np.ndarray, " snapshot"]
    stopped: Int[np.ndarray, "*replicate"]

    def snapshot(self, index: int) -> S:
        """The model (or the ensemble) as it was after `snapshot_updates[index]`."""
        return _at((slice(None),) * self.stopped.ndim + (index,), self.snapshots)

    def replicate(self, index: int) -> "Training[S]":
        """The training of one member of an ensemble."""
        if self.stopped.ndim == 0:
            raise ValueError(
                "This training is of one model, not of an ensemble: it is all here."
            )
        return Training(
            _at(index, self.system),
            self.losses[index],
            _at(index, self.snapshots),
            self.snapshot_updates,
            self.stopped[index, ...],
        )


def _at(index, tree: Any) -> Any:
    return jax.tree.map(lambda a: a[index] if eqx.is_array(a) else a, tree)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while learning. `training` holds what was done until then."""

    def __init__(self, says: str, training: Training):
        KeyboardInterrupt.__init__(self, says)
        self.training = training
