"""How do overlaps move under an optimiser that knows more than overlaps, like Adam?

It divides each weight by a scale of its own, so two networks of the same overlaps part. The
loss of a linear network is still a function of its overlaps, at any N: only the weights are
needed, no rollout.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.precision import float64, widen
from slowpoint.learning.descend import descend
from slowpoint.learning.grid import Linear
from slowpoint.theory.overlap_learning import Loss
from slowpoint.theory.overlaps import overlaps


class OfColumns(eqx.Module):
    """`loss` of the overlaps of columns P."""

    loss: Loss

    def __call__(self, columns: Float[Array, "unit column"], key: PRNGKeyArray):
        return self.loss(overlaps(columns), key)


def learn_columns(
    phases: Sequence[tuple[Loss, int]],
    columns: Float[np.ndarray, "network unit column"],
    optimiser: optax.GradientTransformation,
    *,
    every: int,
    key: PRNGKeyArray,
) -> Float[np.ndarray, "network record unit column"]:
    """All weights, each `every` updates, while networks learn `(loss, updates)` in turn.

    `optimiser` goes on from phase to phase, with its memory. In float64. Raises ValueError
    when `every` does not divide the updates of all phases together.
    """
    ends = np.cumsum([updates for _, updates in phases])
    updates = int(ends[-1])
    if updates % every:
        raise ValueError(f"{updates} updates, every={every}: give a divisor.")
    with float64():
        stages = [(int(end), OfColumns(widen(loss))) for end, (loss, _) in zip(ends, phases)]
        training = descend(
            jnp.asarray(columns, float),
            stages,
            updates=updates,
            key=jax.random.split(key, len(columns)),
            optimiser=optimiser,
            snapshots=Linear(updates // every + 1),
        )
        return np.asarray(training.snapshots)
