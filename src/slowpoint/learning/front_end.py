"""What does a convolutional net, taught to name pictures, make of each? (Haviv et al. 2019.)

PMLR 97, 2663: their net for CIFAR-10. They train it together with the memory behind it, here it
learns alone, as a classifier, and is then frozen: a memory is shown what it made of pictures.
"""

import itertools
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from slowpoint.core.result import Result
from slowpoint.learning.descend import descend
from slowpoint.recordings.images import Images

FRAMES = 2000  # of noise, of which features are kept
CHUNK = 100  # pictures at once
LEAK = 0.2  # slope of a unit below zero
Numbers = Array | np.ndarray


class FrontEnd(eqx.Module):
    """Layers of 3 x 3 filters, each followed by a maximum over 2 x 2, then full layers.

    A filter is $V/\\sqrt{s}$, s = channels before x channels after; V is what learns.
    """

    filters: tuple[Float[Array, "3 3 _ _"], ...]  # V
    filter_biases: tuple[Float[Array, " _"], ...]
    layers: tuple[Float[Array, "_ _"], ...]
    layer_biases: tuple[Float[Array, " _"], ...]
    readout: Float[Array, "feature class"]
    readout_bias: Float[Array, " class"]

    @classmethod
    def random(
        cls,
        pixels: tuple[int, int, int] = (32, 32, 3),
        *,
        filters: tuple[int, ...] = (128, 128, 128),
        layers: tuple[int, ...] = (2048, 2048, 1024),
        key: PRNGKeyArray,
    ) -> "FrontEnd":
        """The authors' sizes and first weights, for ten classes. `pixels`: high, wide, colours.

        Raises ValueError when the pixels cannot be halved once per layer of filters.
        """
        high, wide, colours = pixels
        halved = 2 ** len(filters)
        if high % halved or wide % halved:
            raise ValueError(
                f"Pictures of {high} x {wide} can't be halved {len(filters)} times. Give "
                f"multiples of {halved}, or fewer filters."
            )
        channels = (colours, *filters)
        sizes = (channels[-1] * high * wide // halved**2, *layers, 10)
        keys = iter(jr.split(key, len(filters) + len(sizes) - 1))
        drawn = [
            jr.truncated_normal(next(keys), -2, 2, (3, 3, *pair))
            for pair in itertools.pairwise(channels)
        ]
        full = [
            jr.normal(next(keys), pair) / pair[0] ** 0.5 for pair in itertools.pairwise(sizes)
        ]
        return cls(
            tuple(drawn),
            tuple(jnp.full(n, 0.1 / n**0.5) for n in filters),
            tuple(full[:-1]),
            tuple(jnp.zeros(n) for n in layers),
            full[-1],
            jnp.zeros(10),
        )

    def features(self, image: Float[Numbers, "high wide colour"]) -> Float[Array, " feature"]:
        """What it makes of a picture whose pixels are within 0 and 1."""
        maps = jnp.asarray(image)
        for filters, bias in zip(self.filters, self.filter_biases):
            kernel = filters / (filters.shape[2] * filters.shape[3]) ** 0.5
            seen = _around(maps) @ kernel.reshape(-1, kernel.shape[-1]) + bias[None, :]
            maps = _halved(jax.nn.leaky_relu(seen, LEAK).reshape(*maps.shape[:2], -1))
        row = maps.ravel()
        for weights, bias in zip(self.layers, self.layer_biases):
            row = jax.nn.leaky_relu(row @ weights + bias, LEAK)
        return row

    def logits(self, image: Float[Numbers, "high wide colour"]) -> Float[Array, " class"]:
        """Of the ten classes."""
        return self.features(image) @ self.readout + self.readout_bias


def _around(maps: Float[Array, "high wide channel"]) -> Float[Array, "place neighbour"]:
    """Each pixel with its eight neighbours, 0 beyond the edge.

    A product with them is the convolution; that of JAX is 20 times slower in a loop on a CPU.
    """
    high, wide, channel = maps.shape
    padded = jnp.pad(maps, [(1, 1), (1, 1), (0, 0)])
    moved = [padded[i : i + high, j : j + wide] for i in range(3) for j in range(3)]
    return jnp.concatenate(moved, axis=-1).reshape(high * wide, 9 * channel)


def _halved(maps: Float[Array, "high wide channel"]):
    """The maximum of every 2 x 2: as a reshape, whose gradient is cheap."""
    high, wide, channel = maps.shape
    return maps.reshape(high // 2, 2, wide // 2, 2, channel).max(axis=(1, 3))


class Naming(eqx.Module):
    """The cross entropy of pictures drawn anew, each as it is or mirrored."""

    images: Float[Array, "image high wide colour"]
    labels: Int[Array, " image"]
    batch: int = eqx.field(static=True)

    def __call__(self, front: FrontEnd, key: Key[Array, ""]) -> Float[Array, ""]:
        images, labels = self.shown(key)
        named = jax.vmap(front.logits)(images)
        return optax.softmax_cross_entropy_with_integer_labels(named, labels).mean()

    def shown(self, key: Key[Array, ""]):
        """`(pictures, their labels)` of one update."""
        draw, turn = jr.split(key)
        chosen = jr.randint(draw, (self.batch,), 0, len(self.labels))
        images = self.images[chosen]
        mirrored = jr.bernoulli(turn, shape=(self.batch, 1, 1, 1))
        return jnp.where(mirrored, images[:, :, ::-1], images), self.labels[chosen]


class Features(Result):
    """What a frozen front end made of pictures, and of frames of noise like them."""

    features: Float[np.ndarray, "image feature"]
    frames: Float[np.ndarray, "frame feature"]
    learned: float  # share of the pictures learned from that it names itself
    held_out: float  # and of those held out
    updates: int


def taught_front_end(
    front: FrontEnd,
    pictures: Images,
    *,
    updates: int,
    batch: int = 32,
    rate: float = 1e-3,
    key: PRNGKeyArray,
) -> FrontEnd:
    """`front`, taught as a classifier on the pictures that are not held out.

    The `rate` of Adam falls to 0 like half a cosine.
    """
    images, labels = jnp.asarray(pictures.train.images), jnp.asarray(pictures.train.labels)
    return descend(
        front,
        Naming(images, labels, batch),
        updates=updates,
        key=key,
        optimiser=optax.adam(optax.cosine_decay_schedule(rate, updates)),
    ).system


def frozen(
    front: FrontEnd, pictures: Images, *, updates: int, key: PRNGKeyArray, frames: int = FRAMES
) -> Features:
    """What `front`, taught for `updates`, makes of all pictures, and of `frames` of noise.

    The noise is that of the pixels on the whole, not clipped.
    """
    learned = pictures.train.images
    mean, sd = learned.mean(dtype=float), learned.std(dtype=float)

    def noise(number: int, count: int) -> Float[np.ndarray, "frame high wide colour"]:
        draw = jr.normal(jr.fold_in(key, number), (count, *learned.shape[1:]))
        return np.asarray(mean + sd * draw, np.float32)

    shown = _in_chunks(front, lambda i, rows: pictures.images[rows], len(pictures.labels))
    named = (shown @ np.asarray(front.readout) + np.asarray(front.readout_bias)).argmax(axis=1)
    right = named == pictures.labels
    return Features(
        features=shown,
        frames=_in_chunks(front, lambda i, rows: noise(i, len(rows)), frames),
        learned=float(right[~pictures.held_out].mean()),
        held_out=float(right[pictures.held_out].mean()),
        updates=updates,
    )


@eqx.filter_jit
def _made(front: FrontEnd, images):
    return jax.vmap(front.features)(images)


def _in_chunks(
    front: FrontEnd, show: Callable[[int, np.ndarray], np.ndarray], count: int
) -> Float[np.ndarray, "image feature"]:
    """Features of `count` pictures, a chunk at a time."""
    chunks = np.array_split(np.arange(count), -(-count // CHUNK))
    made = [np.asarray(_made(front, show(i, rows))) for i, rows in enumerate(chunks)]
    return np.concatenate(made)
