"""How is a memory made to last? By teaching the network to stand still where it rests.

Haviv, Rivkind and Barak (2019), PMLR 97, 2663: their regulariser, at slow points or elsewhere.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from slowpoint.core.system import System
from slowpoint.learning.update import Loss

Numbers = Array | np.ndarray
Frames = Callable[[Key[Array, ""], int], Float[Array, "frame input"]]


class SpeedPenalty(eqx.Module):
    r"""$\lambda \sum_k \sum_\xi |F(h_k, \xi) - h_k|^2$ over `points` $h_k$, held constant.

    Every point is met by `repeats` frames $\xi$ of its own, drawn anew at each update.
    """

    points: Float[Array, "point state"]
    frames: Frames  # (key, how many) -> inputs, such as the `noise` of a task
    weight: Float[Array, ""]  # lambda
    repeats: int = eqx.field(static=True)

    def __call__(self, system: System, key: Key[Array, ""]) -> Float[Array, ""]:
        """The penalty of `system`. Raises ValueError when the points are not its states."""
        if self.points.shape[1] != system.state_size:
            raise ValueError(
                f"points have shape {self.points.shape}, the state of "
                f"{type(system).__name__} has {system.state_size} numbers. "
                f"Give points of shape (points, {system.state_size})."
            )
        frames = self.frames(key, len(self.points) * self.repeats)
        met = frames.reshape(len(self.points), self.repeats, -1)
        change = lambda x, u: jnp.sum((system.step(x, u) - x) ** 2)
        each = jax.vmap(jax.vmap(change, (None, 0)))(self.points, met)
        return self.weight * each.sum()


def speed_penalty(
    points: Float[Numbers, "point state"],
    frames: Frames,
    *,
    repeats: int = 10,
    weight: float = 1e-3,
) -> SpeedPenalty:
    """The penalty as a term for `Penalised`.

    The paper: 10 points, `task.noise`, 10 repeats, weight 1e-3 (MNIST) or 1e-2 (CIFAR-10).
    Raises ValueError on points that are not finite, a negative weight or no repeats.
    """
    if not np.isfinite(np.asarray(points)).all():
        raise ValueError("points are not all finite. Leave out those that were not found.")
    if repeats < 1 or not weight >= 0:
        raise ValueError(
            f"repeats={repeats}, weight={weight}: give 1 or more repeats and a weight from 0."
        )
    return SpeedPenalty(jnp.asarray(points), frames, jnp.asarray(weight), repeats)


class Penalised(eqx.Module):
    """`loss` plus `term`: a loss for `descend`, of any task. `loss` is drawn as without it.

    With a weight that makes the sum infinite the replicate keeps its weights, and `stopped`
    of the training names the update.
    """

    loss: Loss
    term: Loss

    def __call__(self, system: System, key: Key[Array, ""]) -> Float[Array, ""]:
        """Both, with chance of their own."""
        apart = jr.fold_in(key, 1)
        return self.loss(system, key) + self.term(system, apart)
