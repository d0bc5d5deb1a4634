"""What is found in each of many networks that learned to name pictures seen before?"""

import functools
import itertools
import pathlib
from collections.abc import Callable
from typing import ClassVar, Literal, TypeVar

import jax.random as jr
import pydantic
from tqdm import tqdm

from slowpoint.core.kept import kept
from slowpoint.core.processes import in_processes
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.learning.album import Album, album, features_album
from slowpoint.learning.picture_nets import Recipe, taught
from slowpoint.learning.training import Training

R = TypeVar("R", bound=Result)
S = TypeVar("S", bound="Settings")


class Settings(Base):
    """Which networks learn from which pictures; the base of an experiment on them."""

    data: Literal["digits", "mnist", "mnist whole", "cifar"] = pydantic.Field(
        default="digits",
        description="pictures; 'mnist': the package's 7,000; whole: 70,000; "
        "'cifar': what a frozen front end makes of them",
    )
    front: int = pydantic.Field(
        default=800, ge=1, description="gradient steps of the front end, for 'cifar'"
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

    @property
    def place(self) -> str:
        """The folder of these pictures; "" when nothing is kept."""
        words = self.data.replace(" ", "-")
        words += f"-{self.front}-updates" if self.data == "cifar" else ""
        return str(pathlib.Path(self.folder) / words) if self.folder else ""

    def album(self) -> Album:
        """What is learned and asked. Raises what `album` and `features_album` do."""
        if self.data == "cifar":
            return _features(self.front, self.place, self.seed)
        return album(self.data)

    def recipes(self) -> list[Recipe]:
        """One per network, siblings side by side.

        Raises ValueError on a cell or curriculum that there is not.
        """
        size = self.units, self.updates, self.batch, self.rate
        kinds = itertools.product(self.cells, self.curricula, range(self.networks))
        return [Recipe(*kind, *size) for kind in kinds]


@functools.lru_cache(1)
def _features(updates: int, folder: str, number: int) -> Album:
    return features_album(updates, folder, key=jr.key(number))


def over_networks(
    settings: S, kind: type[R], measure: Callable[[S, Training, Album], R]
) -> list[R]:
    """`measure(settings, training, album)` of every network, in the order of the recipes.

    With a folder, trainings and what was measured are kept there: an interrupted run goes on.
    `measure` is a function of a module. Raises what `taught` and `Settings.album` do.
    """
    recipes = settings.recipes()
    settings.album()  # before any process asks for it: what it takes long to make is kept
    work = functools.partial(_one, settings, kind, measure)
    if settings.processes > 1:
        return in_processes(work, recipes, settings.processes)
    return [work(recipe) for recipe in tqdm(recipes, "networks", disable=None)]


def _one(settings: Settings, kind: type[R], measure, recipe: Recipe) -> R:
    """The network of `recipe`, trained and measured, or read."""
    place = settings.place
    path = pathlib.Path(place) / kind.__name__ / f"{recipe.name}.npz" if place else None

    def make() -> R:
        pictures = settings.album()
        how = {"folder": place, "schedule": pictures.schedule}
        training = taught(recipe, pictures.task, key=jr.key(settings.seed), **how)
        return measure(settings, training, pictures)

    chosen = settings.model_dump_json(include=set(settings.measures))
    identity = f"{recipe} {chosen}\n"
    return kept(path, kind, identity, make)
