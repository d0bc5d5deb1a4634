"""Which network learned, by which curriculum, to name a picture some frames after it was seen?

Haviv, Rivkind and Barak (2019), PMLR 97, 2663: cells and first weights as in the authors' code.
"""

import dataclasses
import pathlib

import jax.random as jr
import optax
from jaxtyping import PRNGKeyArray

from slowpoint.cells.gru import GRU
from slowpoint.cells.lstm import LSTM
from slowpoint.cells.vanilla import Vanilla
from slowpoint.core.system import System
from slowpoint.learning.checkpoint import Checkpoint
from slowpoint.learning.fan_in import fan_in
from slowpoint.learning.train import train
from slowpoint.learning.training import Training
from slowpoint.tasks.delayed_classification import curriculum, DelayedClassification

CELLS = ("gru", "lstm", "vanilla")
CURRICULA = ("delay", "vocabulary", "none")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How one network is made; `number` tells it from its siblings.

    Equal recipes and keys, equal networks. Raises ValueError on a cell or curriculum that
    there is not.
    """

    cell: str
    curriculum: str
    number: int
    units: int
    updates: int
    batch: int
    rate: float  # Adam's

    def __post_init__(self):
        for word, known in ((self.cell, CELLS), (self.curriculum, CURRICULA)):
            if word not in known:
                raise ValueError(f"There is no {word!r}. Type one of {', '.join(known)}.")

    @property
    def name(self) -> str:
        """Of its folder."""
        sizes = f"{self.units}-units-{self.updates}-updates"
        return f"{self.cell}-{self.curriculum}-{self.number}-{sizes}"

    def key(self, key: PRNGKeyArray) -> PRNGKeyArray:
        """This recipe's own draws, whichever others are made beside it."""
        place = CELLS.index(self.cell), CURRICULA.index(self.curriculum), self.number
        for number in place:
            key = jr.fold_in(key, number)
        return key


def blank(recipe: Recipe, task: DelayedClassification, *, key: PRNGKeyArray) -> System:
    """The network before it learns."""
    make, weights = jr.split(key)
    sizes = recipe.units, task.input_size, task.output_size
    if recipe.cell == "gru":
        return fan_in(GRU.random(*sizes, reset_after=False, key=make), weights)
    if recipe.cell == "lstm":
        return fan_in(LSTM.random(*sizes, key=make), weights)
    return fan_in(Vanilla.random(*sizes, dt=1.0, form="rate", key=make), weights)


def taught(
    recipe: Recipe,
    task: DelayedClassification,
    *,
    key: PRNGKeyArray,
    folder: str = "",
    schedule: str = "mnist",
) -> Training[System]:
    """The network of `recipe`, taught `task` by its curriculum. `key`: the same for all.

    `schedule`: see `curriculum`. With a `folder` the training is kept in it and goes on from
    there; one that is finished is only read. Raises ValueError when the folder holds another
    training of that name.
    """
    start, learn = jr.split(recipe.key(key))
    kept = Checkpoint(pathlib.Path(folder) / recipe.name) if folder else None
    return train(
        blank(recipe, task, key=start),
        task.lessons(curriculum(recipe.curriculum, recipe.updates, schedule=schedule)),
        updates=recipe.updates,
        batch=recipe.batch,
        key=learn,
        optimiser=optax.adam(recipe.rate),
        checkpoint=kept,
    )
