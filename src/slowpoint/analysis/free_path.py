"""When does a memory that is left alone turn into another? (After Haviv et al. 2019.)"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from slowpoint.analysis.memory import name, refuse_another_size
from slowpoint.analysis.solve import check
from slowpoint.core.precision import float64, widen
from slowpoint.core.result import Result
from slowpoint.core.system import System
from slowpoint.tasks.delayed_classification import DelayedClassification

Numbers = Array | np.ndarray


class FreePath(Result):
    """One row per class: the way from its centre, without noise, the mean frame held.

    `steps` is the first step whose state is read out as something else; `most` when none is.
    """

    steps: Int[np.ndarray, " class"]
    turned: Int[np.ndarray, " class"]  # what it was then read out as; its own class if never
    named: Int[np.ndarray, "class step"]  # read out at step 0, 1, ... ; -1: no class
    speeds: Float[np.ndarray, "class step"]  # per unit time, at step 0, 1, ...
    ends: Float[np.ndarray, "class state"]
    most: int


def flip_time(
    system: System,
    task: DelayedClassification,
    centres: Float[Numbers, "class state"],
    *,
    most: int = 1000,
) -> FreePath:
    """Steps until the noise-free path from each centre leaves its class, in float64.

    A centre that is not read out as its own class at once has flip time 0. Raises ValueError
    when sizes disagree or a number is not finite.
    """
    refuse_another_size(system, task)
    check(system, np.asarray(centres), np.asarray(task.quiet))
    with float64():
        wide, task = widen((system, task))
        walked = _walk(wide, task, jnp.asarray(centres, float), most)
        named, speeds, ends = map(np.asarray, walked)
    own = np.arange(len(named))
    left = named != own[:, None]
    steps = np.where(left.any(axis=1), left.argmax(axis=1), most)
    turned = np.where(steps < most, named[own, np.minimum(steps, most - 1)], own)
    return FreePath(steps, turned, named.astype(int), speeds, ends, most)


@eqx.filter_jit
def _walk(system: System, task: DelayedClassification, centres, most: int):
    def one(x):
        def tick(x, _):
            seen = name(system, task, x), jnp.linalg.norm(system.velocity(x, task.quiet))
            return system.step(x, task.quiet), seen

        x, (named, speeds) = jax.lax.scan(tick, x, length=most)
        return named, speeds, x

    return jax.vmap(one)(centres)
