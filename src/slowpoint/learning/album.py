"""Which pictures does a memory learn and is asked, as they are or behind a front end?"""

import functools
import pathlib
from typing import NamedTuple

import jax.random as jr
import numpy as np
from jaxtyping import PRNGKeyArray

from slowpoint.core.kept import kept
from slowpoint.learning.front_end import Features, FrontEnd, frozen, taught_front_end
from slowpoint.recordings.images import cifar10, digits, Images, mnist
from slowpoint.tasks.delayed_classification import DelayedClassification

ASKED = 2000  # pictures held out that are asked, at most


class Album(NamedTuple):
    """What is learned, and what is asked afterwards."""

    source: str  # in words
    task: DelayedClassification
    test: Images
    calm: float  # noise on the way to a class's centre, of the task's: the authors' choice
    shown: int  # pictures of a class that its centre is the mean of, at most: likewise
    repeats: int  # how often each is asked, with other noise
    schedule: str  # of a curriculum


@functools.lru_cache(1)
def album(data: str) -> Album:
    """The pictures that `data` names. Raises FileNotFoundError when they cannot be had."""
    pictures = digits() if data == "digits" else mnist(full=data == "mnist whole")
    task = DelayedClassification.of(pictures.train.images, pictures.train.labels)
    test = pictures.test
    test = test.rows(np.arange(len(test.labels)) < ASKED)
    calm, repeats = (1.0, 2) if data == "digits" else (1 / 3, 1)
    return Album(data, task, test, calm, 100, repeats, "mnist")


def features_album(updates: int, folder: str, *, key: PRNGKeyArray) -> Album:
    """Features of CIFAR-10 by a front end that learned for `updates`, kept in a `folder`.

    Raises FileNotFoundError when the pictures cannot be had, ValueError when damaged.
    """
    pictures = cifar10()
    path = pathlib.Path(folder) / "front-end.npz" if folder else None
    words = ", ".join(map(str, np.asarray(jr.key_data(key))))
    identity = f"{pictures.source}, {updates} updates, key {words}\n"
    seen = kept(path, Features, identity, lambda: _front_end(pictures, updates, key))
    return of_features(seen, pictures)


def _front_end(pictures: Images, updates: int, key: PRNGKeyArray) -> Features:
    start, learn, draw = jr.split(key, 3)
    front = FrontEnd.random(pictures.images.shape[1:], key=start)
    front = taught_front_end(front, pictures, updates=updates, key=learn)
    return frozen(front, pictures, updates=updates, key=draw)


def of_features(seen: Features, pictures: Images) -> Album:
    """What a frozen front end made of pictures, to be learned and asked."""
    held_out = pictures.held_out
    features = Images(seen.features, pictures.labels, held_out, pictures.source)
    learned, test = features.train, features.test
    task = DelayedClassification.of_features(learned.images, learned.labels, seen.frames)
    source = f"cifar, frozen front end, {len(learned.labels):,} images"
    test = test.rows(np.arange(len(test.labels)) < ASKED)
    return Album(source, task, test, 1.0, 1000, 1, "cifar")
