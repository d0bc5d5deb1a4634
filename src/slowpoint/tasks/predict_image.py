"""Seen a picture of a class and told how many classes further: what is there?

Ratzon and Barak (2025), arXiv:2511.09290, digits by hand. Where they draw a random picture of
the class, here stands their mean: by the squared error both have the same best answer.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int, Integer, PRNGKeyArray, UInt8

from slowpoint.core.trial import Task, Trial, weighted_cross_entropy, weighted_mse

Pictures = UInt8[Array, "image pixel"] | UInt8[np.ndarray, "image pixel"]


class PredictImage(Task):
    """A frame shows a picture of the class at place s beside an action a (one-hot). Target:
    the class at s + a, as mark="squared": its mean picture; "cross_entropy": one-hot.

    Pictures stay bytes until a frame is shown; pixels are standardised by one mean and one
    deviation of all. A trial is one frame: one of the pairs (picture, action) drawn before.
    """

    pictures: Pictures
    place: Int[Array, " image"]  # s of each picture
    image: Int[Array, " pair"]
    action: Int[Array, " pair"]  # a number from 0, not a length
    kept: Int[Array, ""]  # pairs that stay: the first ones
    means: Float[Array, "place pixel"]  # of the standardised pictures at each place
    centre: Float[Array, ""]
    spread: Float[Array, ""]
    horizon: int = eqx.field(static=True)  # A
    mark: str = eqx.field(static=True, default="cross_entropy")

    def __check_init__(self):
        if self.mark not in ("cross_entropy", "squared"):
            raise ValueError(f"mark={self.mark!r}: give 'cross_entropy' or 'squared'.")
        places = len(self.means)
        if not isinstance(self.means, Tracer) and not 1 <= self.horizon < places:
            raise ValueError(
                f"A={self.horizon} steps among {places} classes: give 1 <= A <= {places - 1}."
            )

    @classmethod
    def of(
        cls,
        pictures: Pictures,
        labels: Integer[np.ndarray, " label"],
        horizon: int,
        mark: str = "cross_entropy",
        *,
        digits: tuple[int, ...] = tuple(range(10)),
        pairs: int = 20_000,
        key: PRNGKeyArray,
    ):
        """`pictures` (see `in_bytes`) of classes 0 to 9; `digits`: the class at each place.

        So many `pairs` are drawn, and those that lead past an end are dropped. Raises
        ValueError where labels or digits are something else, or a class has no picture.
        """
        place = places(labels, digits)
        if len(pictures) != len(labels):
            raise ValueError(
                f"{len(pictures)} pictures came with {len(labels)} labels: give each one."
            )
        if missing := sorted(set(range(10)) - set(labels.tolist())):
            raise ValueError(
                f"No picture of class {missing[0]}: give some of each class 0 to 9."
            )
        raw = np.asarray(pictures)
        centre, spread = _centre_and_spread(raw)
        means = np.stack([raw[place == s].mean(axis=0) for s in range(10)])
        one, act = (
            np.asarray(jr.randint(k, (pairs,), 0, most))
            for k, most in zip(jr.split(key), (len(raw), 2 * horizon + 1), strict=True)
        )
        there = place[one] + act - horizon
        stay = (there >= 0) & (there < 10)
        first = np.argsort(~stay, kind="stable")  # the same shape for all: compiled once
        return cls(
            jnp.asarray(pictures),
            jnp.asarray(place),
            jnp.asarray(one[first]),
            jnp.asarray(act[first]),
            jnp.asarray(stay.sum()),
            jnp.asarray((means - centre) / spread, float),
            jnp.asarray(centre, float),
            jnp.asarray(spread, float),
            horizon,
            mark,
        )

    @property
    def input_size(self):
        return self.pictures.shape[1] + 2 * self.horizon + 1

    @property
    def output_size(self):
        return self.means.shape[1] if self.mark == "squared" else len(self.means)

    def trial(self, key):
        pair = jr.randint(key, (1,), 0, self.kept)
        image, action = self.image[pair], self.action[pair]
        there = self.place[image] + action - self.horizon
        classes = jnp.eye(len(self.means), dtype=self.means.dtype)
        targets = (self.means if self.mark == "squared" else classes)[there]
        inputs = self.seen(jnp.asarray(self.pictures)[image], action)
        return Trial(jnp.zeros(0), inputs, targets, jnp.ones(1))

    def seen(
        self, pictures: UInt8[Array, "image pixel"], action: Int[Array, " image"]
    ) -> Float[Array, "image input"]:
        """The frames that show `pictures` beside actions, as in training."""
        standard = (pictures - self.centre) / self.spread
        acts = jax.nn.one_hot(action, 2 * self.horizon + 1, dtype=standard.dtype)
        return jnp.concatenate([standard, acts], axis=1)

    def loss(self, trial, trajectory):
        if self.mark == "squared":
            return weighted_mse(trial, trajectory)
        return weighted_cross_entropy(trial, trajectory)

    def named(self, outputs: Float[Array, "frame output"]) -> Int[Array, " frame"]:
        """The place that each answer names: of the nearest mean, or of the largest output."""
        if self.mark == "squared":
            outputs = outputs @ self.means.T - (self.means**2).sum(axis=1)[None] / 2
        return outputs.argmax(axis=1)

    def accuracy(self, trial, trajectory):
        """Share of frames whose answer names the right place."""
        right = self.named(trajectory.outputs) == self.named(trial.targets)
        return (trial.weights * right).sum() / jnp.maximum(trial.weights.sum(), 1.0)


def places(
    labels: Integer[np.ndarray, " label"], digits: tuple[int, ...]
) -> Int[np.ndarray, " image"]:
    """Where each class stands when `digits` are the classes from the first place to the last.

    Raises ValueError unless labels are 0 to 9, and digits these in some order.
    """
    if sorted(digits) != list(range(10)):
        raise ValueError(f"digits={tuple(digits)}: give each of 0 to 9 once, in any order.")
    wrong = labels[(labels < 0) | (labels > 9)]
    if wrong.size:
        raise ValueError(f"A label is {wrong[0]}: expected classes 0 to 9. Number them so.")
    return np.argsort(digits)[labels]


def _centre_and_spread(pictures: UInt8[np.ndarray, "image pixel"]) -> tuple[float, float]:
    """Mean and deviation over all pixels, by how often each byte occurs."""
    rows = (pictures[i : i + 1000].ravel() for i in range(0, len(pictures), 1000))
    counts = np.sum([np.bincount(some, minlength=256) for some in rows], axis=0)
    value = np.arange(256)
    centre = np.average(value, weights=counts)
    return float(centre), float(np.average((value - centre) ** 2, weights=counts) ** 0.5)


def in_bytes(images: Float[np.ndarray, "image *pixel"]) -> UInt8[np.ndarray, "image pixel"]:
    """Pixels between 0 and 1 as 0 to 255, a row for each image."""
    flat = images.reshape(len(images), -1)
    out = np.empty(flat.shape, np.uint8)
    for begin in range(0, len(flat), 1000):  # no second copy of them all in floats
        out[begin : begin + 1000] = np.rint(flat[begin : begin + 1000] * 255)
    return out


def example(key: PRNGKeyArray) -> PredictImage:
    """Ten pictures of three pixels, to be told apart."""
    images = np.linspace(0, 1, 30).reshape(10, 3) ** np.array([1, 2, 0.5])
    return PredictImage.of(in_bytes(images), np.arange(10), 3, "squared", pairs=50, key=key)
