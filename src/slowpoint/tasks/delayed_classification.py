"""What was the picture, asked a random time after it was seen? (Haviv, Rivkind and Barak 2019.)

International Conference on Machine Learning, PMLR 97, 2663; arXiv:1902.07275.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, Integer, Num, PRNGKeyArray

from slowpoint.core.normals import normals
from slowpoint.core.trial import Task, Trial

SHORTEST = 4  # frames from the picture to the question, at least
ANSWER = 20.0  # weight of the frame that asks; the others have 1
FLOOR = 1e-4  # added to a probability before its logarithm is taken
WIDE = 256  # inputs from which on the noise costs more than what it drives
FORBIDDEN = 1e3  # how far below the others the logit of a class not yet taught is set
Numbers = Array | np.ndarray


class DelayedClassification(Task):
    r"""A picture among frames of noise; `picture class + 1` when the trigger comes, else 0.

    With $T$ = `length` the picture comes at $t_s \sim U\{0..T-5\}$ and the trigger, the last
    input, at $t_a \sim U\{t_s+4..T-1\}$; from $T$ on nothing counts. Noise is
    $N(\mathrm{mean}, \mathrm{sd}^2)$ per pixel. Loss: the mean over frames and outputs of
    $-w\,Y \log(p + 10^{-4})$, w = 20 at the trigger, else 1; p is the softmax of the outputs,
    with `squash` that of their sigmoids, and then never above $e/(e + \mathrm{classes})$.
    With `frames` noise is one of them, drawn anew. Make it with `of` or `of_features`.
    """

    examples: Float[Array, "class member pixel"]  # as many of each class
    mean: Float[Array, "*pixel"] = eqx.field(converter=jnp.asarray)  # mu, of the noise
    sd: Float[Array, ""] = eqx.field(converter=jnp.asarray)  # sigma
    length: Int[Array, ""] = eqx.field(converter=jnp.asarray)  # T, at most `steps`
    classes: Int[Array, ""] = eqx.field(converter=jnp.asarray)  # the first ones are taught
    steps: int = eqx.field(static=True, default=20)
    squash: bool = eqx.field(static=True, default=False)
    frames: Float[Array, "frame pixel"] | None = None

    @classmethod
    def of(
        cls,
        images: Num[Numbers, "image *pixels"],
        labels: Integer[Numbers, " label"],
        *,
        steps: int = 20,
        squash: bool = False,
    ) -> "DelayedClassification":
        """All classes at full length; noise like the pixels of `images` on the whole.

        Raises ValueError on images that are neither uint8 nor within 0 and 1, labels outside
        0..9, a class without examples, or fewer steps than a question takes.
        """
        pixels = _unit(np.asarray(images))
        examples = balanced(pixels, np.asarray(labels))
        whole = cls(
            jnp.asarray(examples),
            jnp.asarray(pixels.mean(dtype=float), jnp.float32),
            jnp.asarray(pixels.std(dtype=float), jnp.float32),
            steps,  # pyright: ignore[reportArgumentType]
            len(examples),  # pyright: ignore[reportArgumentType]
            steps=steps,
            squash=squash,
        )
        return whole.taught(steps, len(examples))

    @classmethod
    def of_features(
        cls,
        features: Float[Numbers, "image feature"],
        labels: Integer[Numbers, " label"],
        frames: Float[Numbers, "frame same"],
        *,
        steps: int = 20,
    ) -> "DelayedClassification":
        """All classes at full length, of what a front end made of pictures and of noise.

        A noise frame is one of `frames`. Raises ValueError as `of` does, but for the range,
        and on features that are not finite.
        """
        given = np.asarray(features, np.float32), np.asarray(frames, np.float32)
        for what, rows in zip(("features", "frames"), given):
            if not (rows.size and np.isfinite(rows).all()):
                raise ValueError(f"{what} of shape {rows.shape}: finite numbers are expected.")
        if given[0].shape[1:] != given[1].shape[1:]:
            n, m = given[1].shape[1], given[0].shape[1]
            raise ValueError(f"A frame has {n} numbers, a picture {m}. Give as many.")
        examples, frames = balanced(given[0], np.asarray(labels)), jnp.asarray(given[1])
        whole = cls(
            jnp.asarray(examples),
            frames.mean(axis=0),
            frames.std(axis=0).mean(),
            steps,  # pyright: ignore[reportArgumentType]
            len(examples),  # pyright: ignore[reportArgumentType]
            steps=steps,
            frames=frames,
        )
        return whole.taught(steps, len(examples))

    def taught(self, length: int, classes: int) -> "DelayedClassification":
        """The same with trials of `length` frames and the first `classes` only.

        Raises ValueError when such a trial has no room, or there are not so many classes.
        """
        if not SHORTEST < length <= self.steps:
            raise ValueError(
                f"Trials of {length} frames among {self.steps}: the trigger comes {SHORTEST} "
                f"frames or more after the picture. Give a length from {SHORTEST + 1} to "
                f"{self.steps}."
            )
        if not 1 <= classes <= len(self.examples):
            raise ValueError(
                f"{classes} classes are asked for, the images have {len(self.examples)}. "
                f"Give 1 to {len(self.examples)}."
            )
        now = jnp.asarray(length), jnp.asarray(classes)
        return eqx.tree_at(lambda task: (task.length, task.classes), self, now)

    def lessons(self, stages: "list[Stage]") -> "list[tuple[int, DelayedClassification]]":
        """`(until which update, the task until then)`: a curriculum for `train`."""
        return [
            (s.until, self.taught(s.length, min(s.classes, len(self.examples)))) for s in stages
        ]

    @property
    def input_size(self):
        return self.examples.shape[2] + 1

    @property
    def output_size(self):
        return len(self.examples) + 1

    @property
    def quiet(self) -> Float[Array, " input"]:
        """The mean frame of the noise, without trigger."""
        return jnp.append(jnp.broadcast_to(self.mean, self.input_size - 1), 0.0)

    @property
    def ask(self) -> Float[Array, " input"]:
        """The mean frame of the noise, with the trigger."""
        return self.quiet.at[-1].set(1.0)

    def noise(self, key: PRNGKeyArray, steps: int) -> Float[Array, "time input"]:
        """Frames of noise, without trigger."""
        if self.frames is None:
            draw = jr.normal if self.input_size < WIDE else normals
            pixels = self.mean + self.sd * draw(key, (steps, self.input_size - 1))
        else:
            pixels = self.frames[jr.randint(key, (steps,), 0, len(self.frames))]
        return jnp.pad(pixels, [(0, 0), (0, 1)])

    def trial(self, key):
        draws = jr.split(key, 5)
        label = jr.randint(draws[0], (), 0, self.classes)
        member = jr.randint(draws[1], (), 0, self.examples.shape[1])
        seen = jr.randint(draws[2], (), 0, self.length - SHORTEST)
        asked = jr.randint(draws[3], (), seen + SHORTEST, self.length)
        return self.posed(self.examples[label, member], label, seen, asked, draws[4])

    def posed(self, pixels, label, seen, asked, key) -> Trial:
        """The trial of one picture at frame `seen`, the trigger at frame `asked`.

        Raises ValueError on plain numbers out of order or beyond the trial.
        """
        plain = isinstance(seen, int) and isinstance(asked, int)
        if plain and not 0 <= seen < asked < self.steps:
            raise ValueError(
                f"The picture comes at frame {seen}, the trigger at {asked} of {self.steps}. "
                f"Give 0 <= seen < asked < {self.steps}."
            )
        frames = self.noise(key, self.steps).at[seen].set(jnp.append(pixels, 0.0))
        time = jnp.arange(self.steps)
        at_trigger = time == asked
        answer = jnp.where(at_trigger, label + 1, 0)
        return Trial(
            jnp.zeros(0),
            frames.at[:, -1].set(at_trigger.astype(frames.dtype)),
            jax.nn.one_hot(answer, self.output_size),
            jnp.where(at_trigger, ANSWER, 1.0) * (time < self.length),
        )

    def loss(self, trial, trajectory):
        log = jnp.log(jax.nn.softmax(self.logits(trajectory.outputs)) + FLOOR)
        return -(trial.weights[:, None] * trial.targets * log).mean()

    def logits(self, outputs: Float[Numbers, "*any output"]) -> Float[Array, "*any output"]:
        """What the probabilities are made of; classes not yet taught cannot win.

        With `squash` as the authors did it: sigmoids, those of forbidden classes times -1000.
        """
        allowed = jnp.arange(self.output_size) <= self.classes
        if self.squash:
            opened = jax.nn.sigmoid(outputs)
            return jnp.where(allowed, opened, -FORBIDDEN * opened)
        return jnp.where(allowed, outputs, -FORBIDDEN)

    def accuracy(self, trial, trajectory):
        """Whether the answer at the trigger is right."""
        named = self.logits(trajectory.outputs).argmax(axis=1)
        asked = trial.targets.argmax(axis=1)
        return ((named == asked) * (asked > 0)).sum().astype(float)


class Stage(NamedTuple):
    """What is taught until which update."""

    until: int
    length: int  # frames of a trial, T
    classes: int


LENGTHS, CLASSES = tuple(range(6, 21, 2)), tuple(range(2, 11))
ENDS = {  # (thousands of updates at which a stage ends) by paper's data and curriculum
    ("mnist", "delay"): (20, 30, 40, 50, 60, 70, 80, 140),
    ("mnist", "vocabulary"): (8, 16, 26, 36, 48, 62, 78, 98, 140),
    ("mnist", "none"): (140,),
    ("cifar", "delay"): (100, 120, 140, 160, 180, 200, 220, 300),
    ("cifar", "vocabulary"): (30, 60, 90, 120, 150, 180, 210, 240, 300),
    ("cifar", "none"): (300,),
}


def curriculum(name: str, updates: int, *, schedule: str = "mnist") -> list[Stage]:
    """The paper's schedule for `schedule`, "mnist" or "cifar", shrunk to so many `updates`.

    "delay": all ten classes, trials of 6 to 20 frames. "vocabulary": 20 frames, 2 to 10
    classes. "none": everything from the start. Raises ValueError on another name, or when
    there are fewer updates than stages.
    """
    if (ends := ENDS.get((schedule, name))) is None:
        names, schedules = (sorted({key[i] for key in ENDS}) for i in (1, 0))
        raise ValueError(
            f"There is no curriculum {name!r} of schedule {schedule!r}. Type one of "
            f"{', '.join(names)}; schedule= one of {', '.join(schedules)}."
        )
    until = [round(end * updates / ends[-1]) for end in ends]
    if any(a >= b for a, b in zip([0, *until], until)):
        raise ValueError(
            f"{updates} updates are too few for the {len(ends)} stages of {name!r}: some would "
            f"have none. Give {_fewest(ends)} or more."
        )
    lengths = LENGTHS if name == "delay" else LENGTHS[-1:] * len(ends)
    classes = CLASSES if name == "vocabulary" else CLASSES[-1:] * len(ends)
    return [Stage(*row) for row in zip(until, lengths, classes, strict=True)]


def _fewest(ends: tuple[int, ...]) -> int:
    """So many updates that every stage has one, whatever is rounded."""
    shortest = min(b - a for a, b in zip((0, *ends), ends))
    return -(-ends[-1] // shortest)


def balanced(
    pixels: Float[np.ndarray, "image pixel"], labels: Integer[np.ndarray, " label"]
) -> Float[np.ndarray, "class member pixel"]:
    """The first images of each class, as many as the rarest class has.

    Raises ValueError on labels outside 0..9, or a class below the highest without images.
    """
    if len(labels) != len(pixels) or not len(labels):
        raise ValueError(f"There are {len(pixels)} images and {len(labels)} labels.")
    if labels.min() < 0 or labels.max() > 9:
        raise ValueError(
            f"labels run from {labels.min()} to {labels.max()}. Give whole numbers 0 to 9."
        )
    counts = np.bincount(labels)
    if not counts.all():
        raise ValueError(
            f"Class {int(np.argmin(counts))} has no image, class {len(counts) - 1} has. Number "
            "the classes from 0 without a gap."
        )
    return np.stack([pixels[labels == k][: counts.min()] for k in range(len(counts))])


def _unit(images: np.ndarray) -> Float[np.ndarray, "image pixel"]:
    """Rows of pixels within 0 and 1."""
    rows = images.reshape(len(images), -1)
    if images.dtype == np.uint8:
        return rows / np.float32(255)
    low, high = rows.min(initial=0), rows.max(initial=0)
    if not (np.issubdtype(images.dtype, np.floating) and low >= 0 and high <= 1):
        raise ValueError(
            f"images are {images.dtype} from {low} to {high}, where uint8 or floats within 0 "
            "and 1 were expected. Divide them by their largest possible value."
        )
    return rows.astype(np.float32)


def example(key: PRNGKeyArray) -> DelayedClassification:
    """Three classes of six pixels, trials of at most 12 frames."""
    images = jr.uniform(key, (12, 6))
    return DelayedClassification.of(images, np.arange(12) % 3, steps=12)
