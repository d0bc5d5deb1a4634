"""How long does a network remember what it saw? (Haviv, Rivkind and Barak 2019, PMLR 97.)

Intervals: Wilson (1927), J. Am. Stat. Assoc. 22, 209; of a difference: Newcombe (1998),
Statistics in Medicine 17, 873, method 10.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Integer, PRNGKeyArray

from slowpoint.analysis.memory import NULL, refuse_another_size
from slowpoint.core.result import Result
from slowpoint.core.rollout import beginning
from slowpoint.core.system import System
from slowpoint.tasks.delayed_classification import DelayedClassification

Numbers = Array | np.ndarray
NORMAL = 1.959964  # 95 % of a normal variable lie within so many deviations


class Retention(Result):
    """Answers `delays` frames after the picture; intervals are of 95 %, low and high.

    A class that is never named, at any delay, has no retention: its numbers are NaN.
    """

    delays: Int[np.ndarray, " delay"]
    tpr: Float[np.ndarray, "class delay"]  # share of the class's pictures named so
    fpr: Float[np.ndarray, "class delay"]  # share of the other pictures named so
    informedness: Float[np.ndarray, "class delay"]  # tpr - fpr
    tpr_range: Float[np.ndarray, "class delay 2"]
    fpr_range: Float[np.ndarray, "class delay 2"]
    informedness_range: Float[np.ndarray, "class delay 2"]
    accuracy: Float[np.ndarray, " delay"]  # share of all pictures named right
    accuracy_range: Float[np.ndarray, "delay 2"]
    trials: Int[np.ndarray, " class"]
    named: Bool[np.ndarray, " class"]  # at some delay

    def at(self, delay: int) -> int:
        """The index of `delay`. Raises ValueError when it was not asked for."""
        if delay not in self.delays:
            raise ValueError(
                f"Delay {delay} was not asked for. Type one of {self.delays.tolist()}."
            )
        return list(self.delays).index(delay)

    @property
    def says(self) -> str:
        """What is undefined, in words; empty when nothing is."""
        if self.named.all():
            return ""
        never = ", ".join(map(str, np.flatnonzero(~self.named)))
        return f"The network never names class {never}: its retention is undefined."


def retention(
    system: System,
    task: DelayedClassification,
    images: Float[Numbers, "image *pixels"],
    labels: Integer[Numbers, " image"],
    delays: Integer[Numbers, " delay"],
    *,
    key: PRNGKeyArray,
    repeats: int = 1,
) -> Retention:
    """What is answered when the trigger comes `delays` frames after a picture shown at once.

    Each of `images` is shown `repeats` times, with other noise. A trial runs on as if it had
    not been asked; each answer is one step that branches off it, in the system's precision.
    Raises ValueError on delays below 1 or a class without a picture.
    """
    refuse_another_size(system, task)
    delays = np.asarray(delays, int)
    if not delays.size or delays.min() < 1:
        raise ValueError(
            f"delays are {delays.tolist()}, where frames after the picture were expected: the "
            "trigger cannot come before or with it. Give whole numbers from 1."
        )
    classes = len(task.examples)
    labels = np.tile(np.asarray(labels, int), repeats)
    trials = np.bincount(labels, minlength=classes)
    if not trials[: int(task.classes)].all():
        raise ValueError(
            f"Class {np.argmin(trials)} has no picture among the images. Add some."
        )
    pixels = jnp.asarray(np.asarray(images, np.float32).reshape(len(images), -1))
    wanted = np.isin(np.arange(1, delays.max() + 1), delays)
    found = _answers(system, task, jnp.tile(pixels, (repeats, 1)), jnp.asarray(wanted), key)
    return _counted(np.asarray(found, int)[delays - 1], labels, delays, classes)


@eqx.filter_jit
def _answers(system: System, task: DelayedClassification, pixels, wanted, key):
    """The class named after every step, where `wanted`; -1 for none."""
    trigger = jnp.zeros(task.input_size).at[-1].set(1.0)
    together = jax.vmap(lambda x, u: system.advance(x, system.encode(u)))

    def ask(x, frames):
        outputs = jax.vmap(system.output)(together(x, frames + trigger[None, :]))
        return (task.logits(outputs).argmax(axis=1) + NULL).astype(jnp.int32)

    def tick(x, now):
        number, asks = now
        draw = jax.vmap(lambda key: task.noise(jr.fold_in(key, number), 1)[0])
        frames = draw(keys)
        none = jnp.full(len(x), NULL, jnp.int32)
        named = jax.lax.cond(asks, ask, lambda *_: none, x, frames)
        return together(x, frames), named

    keys = jr.split(key, len(pixels))
    start = beginning(system, jnp.zeros(0))
    shown = jnp.pad(pixels, [(0, 0), (0, 1)])
    x = jax.vmap(lambda u: system.advance(start, system.encode(u)))(shown)
    return jax.lax.scan(tick, x, (jnp.arange(len(wanted)), wanted))[1]


def _counted(
    answers: Int[np.ndarray, "delay trial"], labels, delays, classes: int
) -> Retention:
    """Rates and their intervals."""
    own = labels == np.arange(classes)[:, None]
    hit = answers[None] == np.arange(classes)[:, None, None]
    named = hit.any(axis=(1, 2))
    counts = own.sum(axis=1)
    rates, ranges = [], []
    for members in (own, ~own):
        n = members.sum(axis=1)[:, None]
        k = (hit & members[:, None, :]).sum(axis=2)
        with np.errstate(invalid="ignore"):
            p = np.where(named[:, None], k / n, np.nan)
        rates.append(p)
        ranges.append(wilson(p, n))
    tpr, fpr = rates
    gap = tpr - fpr
    (low, high), (low_other, high_other) = (np.moveaxis(r, -1, 0) for r in ranges)
    below = np.sqrt((tpr - low) ** 2 + (high_other - fpr) ** 2)
    above = np.sqrt((high - tpr) ** 2 + (fpr - low_other) ** 2)
    accuracy = (answers == labels).mean(axis=1)
    return Retention(
        delays=delays,
        tpr=tpr,
        fpr=fpr,
        informedness=gap,
        tpr_range=ranges[0],
        fpr_range=ranges[1],
        informedness_range=np.stack([gap - below, gap + above], axis=-1),
        accuracy=accuracy,
        accuracy_range=wilson(accuracy, len(labels)),
        trials=counts,
        named=named,
    )


def wilson(
    share: Float[np.ndarray, "*shape"], count: Int[np.ndarray, "..."] | int
) -> Float[np.ndarray, "*shape 2"]:
    """The 95 % interval of a probability of which `share` of `count` trials was seen."""
    z2 = NORMAL**2
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = (share + z2 / (2 * count)) / (1 + z2 / count)
        half = np.sqrt(share * (1 - share) / count + z2 / (4 * np.square(count)))
        half = NORMAL * half / (1 + z2 / count)
    return np.stack([np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)], axis=-1)
