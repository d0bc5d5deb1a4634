"""How long does a network remember each class of pictures, and what might have told so?

Haviv, Rivkind and Barak (2019), PMLR 97, 2663; which numbers might tell is ours.
"""

import dataclasses
from typing import ClassVar

import jax.random as jr
import numpy as np
import pydantic
from jaxtyping import Bool, Float, Int, Shaped

from slowpoint.analysis.class_points import class_slow_points, ClippedAdam, ToTheBottom
from slowpoint.analysis.free_path import flip_time
from slowpoint.analysis.memory import class_centres
from slowpoint.analysis.places import places
from slowpoint.analysis.retention import retention
from slowpoint.analysis.valley import Valley
from slowpoint.core.result import Result
from slowpoint.learning.album import Album
from slowpoint.learning.picture_study import over_networks, Settings as Base
from slowpoint.learning.training import Training

DELAYS = (4, 19, 50, 100, 200, 500, 1000)
ALONG = 40  # step of the free path at which its speed is taken
CAP = 1000  # steps; a later flip counts as one at it
STILL = 1e-6  # speed per step under which a path has come to rest
FLIP, FREE, BOTTOM, CENTRE = "flip time", "free path", "bottom", "centre"


class Settings(Base):
    """Which networks, and how long each is searched and followed."""

    searches: tuple[int, ...] = pydantic.Field(
        default=(20_000, 100_000), min_length=1, description="steps of the paper's descent"
    )
    deepest: int = pydantic.Field(
        default=2000, ge=1, description="Newton steps to the bottom at most"
    )
    walk: int = pydantic.Field(
        default=20_000, ge=CAP, description="steps without noise from the centres"
    )
    measures: ClassVar[tuple[str, ...]] = ("data", "seed", "searches", "deepest", "walk")


class Remembered(Result):
    """One network. Speeds and steps are those of `Memories.predictor`, in its order."""

    stopped: int  # update that was not finite; -1: none
    accuracy: Float[np.ndarray, " delay"]
    right: Float[np.ndarray, "class delay"]  # share of its pictures named right; NaN: never
    informed: Float[np.ndarray, "class delay"]  # less the share of others named so
    values: Float[np.ndarray, "predictor class"]  # speeds per step; steps
    reads: Int[np.ndarray, "search class"]  # what the point found is read out as
    fallback: Bool[np.ndarray, " class"]  # the centre is of trials read out wrong
    gradients: Float[np.ndarray, " class"]  # |projected gradient of q| at the bottom
    bottoms: Int[np.ndarray, " class"]  # equal where classes share one
    turned: Int[np.ndarray, " class"]  # what the free path turns into; its own class if never
    ends: Int[np.ndarray, " class"]  # equal where free paths end in one place; -1: still moves
    final: Int[np.ndarray, " class"]  # what the end of the free path is read out as


class Memories(Result):
    """Many networks, one row each."""

    data: str
    cell: Shaped[np.ndarray, " network"]
    curriculum: Shaped[np.ndarray, " network"]
    delays: Int[np.ndarray, " delay"]
    predictor: Shaped[np.ndarray, " predictor"]
    search: Shaped[np.ndarray, " search"]  # of `reads`: the descents, then the bottom
    stopped: Int[np.ndarray, " network"]
    accuracy: Float[np.ndarray, "network delay"]
    right: Float[np.ndarray, "network class delay"]
    informed: Float[np.ndarray, "network class delay"]
    values: Float[np.ndarray, "network predictor class"]
    reads: Int[np.ndarray, "network search class"]
    fallback: Bool[np.ndarray, "network class"]
    gradients: Float[np.ndarray, "network class"]
    bottoms: Int[np.ndarray, "network class"]
    turned: Int[np.ndarray, "network class"]
    ends: Int[np.ndarray, "network class"]
    final: Int[np.ndarray, "network class"]

    def value(self, predictor: str) -> Float[np.ndarray, "network class"]:
        """Speeds per step, or steps."""
        return self.values[:, self.predictor.tolist().index(predictor)]

    def at(self, delay: int) -> int:
        """Its place among the delays."""
        return self.delays.tolist().index(delay)


def memories(settings: Settings) -> Memories:
    """What every network of `settings` remembers; those of its folder are only read.

    Raises what `over_networks` does.
    """
    recipes = settings.recipes()
    found = over_networks(settings, Remembered, remembered)
    names = [field.name for field in dataclasses.fields(Remembered)]
    descents = [f"descent, {steps} steps" for steps in settings.searches]
    return Memories(
        data=settings.album().source,
        cell=np.array([recipe.cell for recipe in recipes]),
        curriculum=np.array([recipe.curriculum for recipe in recipes]),
        delays=np.array(DELAYS),
        predictor=np.array([*descents, BOTTOM, CENTRE, FREE, FLIP]),
        search=np.array([*descents, BOTTOM]),
        **{name: np.stack([getattr(one, name) for one in found]) for name in names},
    )


def remembered(settings: Settings, training: Training, album: Album) -> Remembered:
    """One network: what it remembers, and what might have told so."""
    net, task, test = training.system, album.task, album.test
    noise, ask = jr.split(jr.key(settings.seed))  # the same frames and questions for all
    asked = net, task, test.images, test.labels, np.array(DELAYS)
    answers = retention(*asked, key=ask, repeats=album.repeats)
    shown = {"trials": album.shown, "scale": album.calm}
    centres = class_centres(net, task, key=noise, **shown)
    start = centres.states
    path = flip_time(net, task, start, most=settings.walk)
    found = [class_slow_points(net, task, start, ClippedAdam(n)) for n in settings.searches]
    bottom = class_slow_points(
        net, task, start, ToTheBottom(Valley(max_steps=settings.deepest))
    )
    values = [point.minimised for point in found]
    values += [bottom.speeds, path.speeds[:, 0], path.speeds[:, ALONG]]
    still = path.speeds[:, -1] < STILL
    return Remembered(
        stopped=int(training.stopped),
        accuracy=answers.accuracy,
        right=answers.tpr,
        informed=answers.informedness,
        values=np.stack([*values, np.minimum(path.steps, CAP)]),
        reads=np.stack([point.named for point in [*found, bottom]]),
        fallback=centres.fallback,
        gradients=bottom.gradients,
        bottoms=places(bottom.states),
        turned=path.turned,
        ends=np.where(still, places(path.ends), -1),
        final=path.named[:, -1],
    )
