"""Where in state space does a network keep each class? (Haviv, Rivkind and Barak 2019.)

PMLR 97, 2663; the centre of a class as in the authors' code.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from slowpoint.core.precision import float64, widen
from slowpoint.core.result import Result
from slowpoint.core.rollout import beginning
from slowpoint.core.system import System
from slowpoint.tasks.delayed_classification import DelayedClassification

Numbers = Array | np.ndarray
NULL = -1  # the network names no class


class Centres(Result):
    """One row per class; `states` are means over trials that were read out right.

    Where none was, over all trials: `fallback` says so.
    """

    states: Float[np.ndarray, "class state"]
    right: Float[np.ndarray, " class"]  # share of the trials read out right
    fallback: Bool[np.ndarray, " class"]
    named: Int[np.ndarray, " class"]  # what the centre itself is read out as; -1: no class
    trials: int  # per class


def class_centres(
    system: System,
    task: DelayedClassification,
    *,
    key: PRNGKeyArray,
    trials: int = 100,
    steps: int = 14,
    scale: float = 1.0,
) -> Centres:
    """The mean state of every class, `steps` frames of noise after a picture of it, in float64.

    The pictures are the first `trials` of the task's class; all trials see the same noise,
    `scale` times the task's (the authors: 1/3 on MNIST, 1 on CIFAR-10). Raises ValueError when
    the task does not fit the system.
    """
    refuse_another_size(system, task)
    with float64():
        wide, task = widen((system, task))
        quiet = np.asarray(task.quiet)
        frames = quiet + scale * (np.asarray(task.noise(key, steps)) - quiet)
        shown = task.examples[:, :trials]
        states, named = map(np.asarray, _after(wide, task, shown, jnp.asarray(frames)))
        right = named == np.arange(len(shown))[:, None]
        fallback = ~right.any(axis=1)
        counted = right | fallback[:, None]
        centres = (states * counted[:, :, None]).sum(axis=1) / counted.sum(axis=1)[:, None]
        return Centres(
            centres,
            right.mean(axis=1),
            fallback,
            names(wide, task, centres),
            shown.shape[1],
        )


@eqx.filter_jit
def _after(system: System, task: DelayedClassification, shown, frames):
    """`(states, names)` of every picture shown after `frames`."""

    def one(pixels):
        start = beginning(system, jnp.zeros(0))
        x = system.step(start, jnp.append(pixels, 0.0))
        tick = lambda x, u: (system.step(x, u), None)
        x, _ = jax.lax.scan(tick, x, frames)
        return x, name(system, task, x)

    return jax.vmap(jax.vmap(one))(shown)


def name(
    system: System, task: DelayedClassification, x: Float[Array, " state"]
) -> Int[Array, ""]:
    """The class that `system` names when asked in the state `x`: one mean frame with trigger.

    -1 for no class. Classes that the task does not teach are not named.
    """
    asked = system.step(x, task.ask)
    return task.logits(system.output(asked)).argmax() + NULL


def names(
    system: System, task: DelayedClassification, states: Float[Numbers, "row state"]
) -> Int[np.ndarray, " row"]:
    """`name` of many states, in float64."""
    with float64():
        wide = widen((system, task))
        return np.asarray(_names(*wide, jnp.asarray(states, float)), int)


@eqx.filter_jit
def _names(system: System, task: DelayedClassification, states):
    return jax.vmap(lambda x: name(system, task, x))(states)


def refuse_another_size(system: System, task: DelayedClassification) -> None:
    """Raise ValueError unless the task's inputs and outputs fit the system."""
    has = system.input_size, system.output_size
    asks = task.input_size, task.output_size
    if has != asks:
        raise ValueError(
            f"{type(system).__name__} takes {has[0]} inputs and gives {has[1]} outputs, the "
            f"task has {asks[0]} and {asks[1]}. Give the task that the network learned."
        )
