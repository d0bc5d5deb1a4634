"""What is found in each of many networks that learned to name pictures seen before?"""

import functools
import itertools
import pathlib
from collections.abc import Callable
from typing import ClassVar, Literal, NamedTuple, TypeVar

import jax.random as jr
import numpy as np
import pydantic
from tqdm import tqdm

from slowpoint.core.kept import kept
from slowpoint.core.processes import in_processes
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.learning.picture_nets import Recipe, taught
from slowpoint.learning.training import Training
from slowpoint.recordings.images import digits, Images, mnist
from slowpoint.tasks.delayed_classification import DelayedClassification

R = TypeVar("R", bound=Result)
S = TypeVar("S", bound="Settings")
ASKED = 2000  # pictures held out that are asked, at most


class Settings(Base):
    """Which networks learn from which pictures; the base of an experiment on them."""

    data: Literal["digits", "mnist", "mnist whole"] = pydantic.Field(
        default="digits", description="pictures; 'mnist': the package's 7,000; whole: 70,000"
    )
    cells: tuple[str, ...] = pydantic.Field(
        default=("gru", "lstm"), min_length=1, description="kinds of network"
    )
    curricula: tuple[str, ...] = pydantic.Field(
        default=("delay", "vocabulary"), min_length=1, description="ways to teach them"
    )
    networks: int = pydantic.Field(default=6, ge=1, description="of each cell and curriculum")
    units: int = pydantic.Field(default=100, ge=4, description="neurons, N")
    updates: int = pydantic.Field(default=5000, ge=18, description="gradient steps")
    batch: int = pydantic.Field(default=64, ge=1, description="trials per update")
    rate: float = pydantic.Field(default=1e-3, gt=0, description="Adam's")
    folder: str = pydantic.Field(
        default="", description="where networks are kept, so that a run goes on; '': nowhere"
    )
    processes: int = pydantic.Field(default=1, ge=1, description="networks at once")
    measures: ClassVar[tuple[str, ...]] = ("data", "seed")  # settings that a measure depends on

    def recipes(self) -> list[Recipe]:
        """One per network, siblings side by side.

        Raises ValueError on a cell or curriculum that there is not.
        """
        size = self.units, self.updates, self.batch, self.rate
        kinds = itertools.product(self.cells, self.curricula, range(self.networks))
        return [Recipe(*kind, *size) for kind in kinds]


class Album(NamedTuple):
    """What is learned, and what is asked afterwards."""

    task: DelayedClassification
    test: Images
    calm: float  # noise on the way to a class's centre, of the task's: the authors' choice
    repeats: int  # how often each is asked, with other noise


@functools.lru_cache(1)
def album(data: str) -> Album:
    """The pictures that `data` names. Raises FileNotFoundError when they cannot be had."""
    pictures = digits() if data == "digits" else mnist(full=data == "mnist whole")
    task = DelayedClassification.of(pictures.train.images, pictures.train.labels)
    test = pictures.test
    test = test.rows(np.arange(len(test.labels)) < ASKED)
    return Album(task, test, 1.0, 2) if data == "digits" else Album(task, test, 1 / 3, 1)


def over_networks(
    settings: S, kind: type[R], measure: Callable[[S, Training, Album], R]
) -> list[R]:
    """`measure(settings, training, album)` of every network, in the order of the recipes.

    With a folder, trainings and what was measured are kept there: an interrupted run goes on.
    `measure` is a function of a module. Raises what `taught` and `album` do.
    """
    recipes = settings.recipes()
    work = functools.partial(_one, settings, kind, measure)
    if settings.processes > 1:
        return in_processes(work, recipes, settings.processes)
    return [work(recipe) for recipe in tqdm(recipes, "networks", disable=None)]


def _one(settings: Settings, kind: type[R], measure, recipe: Recipe) -> R:
    """The network of `recipe`, trained and measured, or read."""
    place = pathlib.Path(settings.folder, settings.data.replace(" ", "-"))
    path = place / kind.__name__ / f"{recipe.name}.npz" if settings.folder else None

    def make() -> R:
        pictures = album(settings.data)
        trainings = str(place) if settings.folder else ""
        key = jr.key(settings.seed)
        training = taught(recipe, pictures.task, key=key, folder=trainings)
        return measure(settings, training, pictures)

    chosen = settings.model_dump_json(include=set(settings.measures))
    identity = f"{recipe} {chosen}\n"
    return kept(path, kind, identity, make)
