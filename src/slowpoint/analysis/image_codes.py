"""What does a network that predicts from pictures hold of new ones in its last hidden layer?

The measures of `analysis.geometry` on pictures held out and actions of one step at most, so
that the cloud is the same at every horizon. Ratzon and Barak (2025), arXiv:2511.09290.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int, Shaped, UInt8

from slowpoint.analysis.geometry import nc1, order, participation_ratio
from slowpoint.cells.feedforward import Mlp
from slowpoint.core.result import Result
from slowpoint.tasks.predict_image import PredictImage

ASKED = 1000  # pictures at once: they leave bytes for floats only here


class Measures(NamedTuple):
    """Of one network on one set of pictures."""

    accuracy: float  # over all actions that stay
    order: float
    nc1: float
    participation: float


def image_measures(
    net: Mlp,
    task: PredictImage,
    pictures: UInt8[np.ndarray, "image pixel"],
    place: Int[np.ndarray, " image"],
) -> Measures:
    """`net` asked on pictures of classes at places s, with every action of `task`."""
    right, states, there = [], [], []
    for action in range(2 * task.horizon + 1):
        target = place + action - task.horizon
        stay = (target >= 0) & (target < len(task.means))
        named, code = _asked(net, task, pictures, action)
        right.append((named == target)[stay])
        if abs(action - task.horizon) <= 1:
            states.append(code[stay])
            there.append(target[stay])
    cloud, y = np.concatenate(states).astype(float), np.concatenate(there)
    return Measures(
        float(np.concatenate(right).mean()),
        order(cloud, y.astype(float)),
        nc1(cloud, y),
        participation_ratio(cloud),
    )


def _asked(net, task, pictures, action: int) -> tuple[np.ndarray, np.ndarray]:
    """The place that is named, and the code, for each picture with one action."""
    parts = []
    for begin in range(0, len(pictures), ASKED):
        some = jnp.asarray(pictures[begin : begin + ASKED])
        parts.append(_answer(net, task, some, jnp.full(len(some), action)))
    named, code = zip(*parts, strict=True)
    return np.concatenate(named), np.concatenate(code)


@eqx.filter_jit
def _answer(net, task, pictures, action):
    code = jax.vmap(net.encode)(task.seen(pictures, action))
    return task.named(jax.vmap(net.output)(code)), code


class ImageCodes(Result):
    """One row a network."""

    data: Shaped[np.ndarray, " network"]  # which pictures, in a word
    mark: Shaped[np.ndarray, " network"]  # "squared" or "cross_entropy"
    gain: Float[np.ndarray, " network"]  # g
    depth: Int[np.ndarray, " network"]  # nh
    horizon: Int[np.ndarray, " network"]  # A
    permuted: Bool[np.ndarray, " network"]  # classes at random places
    replicate: Int[np.ndarray, " network"]
    learned: Int[np.ndarray, " network"]  # pictures
    loss: Float[np.ndarray, " network"]  # of the last minibatches; NaN: diverged
    accuracy: Float[np.ndarray, " network"]  # on pictures held out, as all that follows
    order: Float[np.ndarray, " network"]
    nc1: Float[np.ndarray, " network"]
    participation: Float[np.ndarray, " network"]
