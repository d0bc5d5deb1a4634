"""Do networks that see real pictures hold a map of what these stand for, if they look far?

A ReLU network sees a picture of a digit s and an action a of up to A steps, and predicts the
digit s + a: its class (cross-entropy) or its mean picture (squared error). Order is measured
on pictures held out. With three hidden layers a horizon of five steps puts the digits in
order; with one it does not, at either gain. Every setting of loss, gain and depth is told
apart, beside the accuracy, which falls as the horizon grows. Digits at random places of the
line show how much of the order comes from the task, and how much from their looks.

Paper: Ratzon and Barak 2025, arXiv:2511.09290, digits by hand; theirs is a convolutional
network that predicts one random picture of the digit.
Takes: 14 s quick, 35 min full
"""

import dataclasses
import functools
import itertools
from typing import Literal, NamedTuple

import jax
import jax.random as jr
import numpy as np
import optax
import pydantic

from slowpoint.analysis.image_codes import image_measures, ImageCodes
from slowpoint.cells.feedforward import Mlp
from slowpoint.core.claim import at_least, at_most, Claim, reported
from slowpoint.core.networks import entries, joined, mean_of, one_row
from slowpoint.core.processes import in_processes
from slowpoint.core.settings import Settings as Base
from slowpoint.learning.predictors import Teaching
from slowpoint.learning.train import train
from slowpoint.plots.prediction import over_horizon
from slowpoint.plots.style import grid
from slowpoint.recordings.images import digits, mnist
from slowpoint.tasks.predict_image import in_bytes, places, PredictImage

Mark = Literal["cross_entropy", "squared"]
NATURAL = tuple(range(10))
JUDGED = {"gain": 0.4, "depth": 3}  # at A = 1, 5: all seeds; one elsewhere


class Settings(Base):
    data: tuple[Literal["mnist", "digits"], ...] = pydantic.Field(
        default=("mnist", "digits"),
        min_length=1,
        description="pictures; 'mnist': of the package's 7,000 where the 70,000 can't be had",
    )
    marks: tuple[Mark, ...] = pydantic.Field(
        default=("cross_entropy", "squared"), min_length=1, description="losses"
    )
    gains: tuple[float, ...] = pydantic.Field(
        default=(0.4, 0.7), min_length=1, description="g, of the first weights"
    )
    depths: tuple[int, ...] = pydantic.Field(
        default=(1, 3), min_length=1, description="nh, hidden layers"
    )
    horizons: tuple[int, ...] = pydantic.Field(
        default=(1, 2, 5, 9), min_length=1, description="A, steps at most"
    )
    permuted: tuple[int, ...] = pydantic.Field(
        default=(1, 5), description="A of the control: squared error, digits at random places"
    )
    units: int = pydantic.Field(default=128, ge=1, description="H, of each hidden layer")
    rate: float = pydantic.Field(default=1e-3, gt=0, description="of Adam")
    batch: int = pydantic.Field(default=256, ge=1, description="pictures per update")
    updates: int = pydantic.Field(default=4000, ge=1, description="on MNIST")
    small_updates: int = pydantic.Field(default=6000, ge=1, description="on 8 x 8 digits")
    learned: int = pydantic.Field(default=20_000, ge=10, description="pictures, at most")
    pairs: int = pydantic.Field(default=20_000, ge=1, description="drawn, of picture, action")
    seeds: int = pydantic.Field(default=3, ge=1, description="networks where claims are judged")
    processes: int = pydantic.Field(default=2, ge=1, description="networks that learn at once")


QUICK = Settings(
    data=("digits",),
    marks=("cross_entropy",),
    gains=(0.4,),
    depths=(3,),
    horizons=(1, 5),
    permuted=(),
    small_updates=3000,
    seeds=1,
    processes=1,
)


class Cell(NamedTuple):
    """One network to be taught."""

    data: str
    mark: str
    gain: float
    depth: int
    horizon: int
    permuted: bool
    replicate: int


@dataclasses.dataclass(frozen=True)
class Results:
    codes: ImageCodes


def run(settings: Settings) -> Results:
    found = in_processes(
        functools.partial(_one, settings), _cells(settings), settings.processes
    )
    return Results(joined(found))


def _cells(settings: Settings) -> list[Cell]:
    s, cells = settings, []
    for kind in itertools.product(s.data, s.marks, s.gains, s.depths, s.horizons):
        one = Cell(*kind, permuted=False, replicate=0)
        judged = one.horizon in (1, 5) and {"gain": one.gain, "depth": one.depth} == JUDGED
        cells += [one._replace(replicate=n) for n in range(s.seeds if judged else 1)]
    control = [
        Cell(s.data[0], "squared", **JUDGED, horizon=a, permuted=True, replicate=0)
        for a in s.permuted
    ]
    return cells + [one._replace(replicate=n) for one in control for n in range(s.seeds)]


def _one(settings: Settings, cell: Cell) -> ImageCodes:
    """One network, taught and measured; replicates see other pairs and start elsewhere."""
    if not cell.replicate:
        jax.clear_caches()  # what was compiled for other shapes fills the memory
    key = jr.fold_in(jr.key(settings.seed), cell.replicate)
    pairs, begin, learn, mix = jr.split(key, 4)
    order = tuple(np.asarray(jr.permutation(mix, 10)).tolist()) if cell.permuted else NATURAL
    pictures = album(cell.data, settings.learned)
    asked = {"digits": order, "pairs": settings.pairs, "key": pairs}
    task = PredictImage.of(*pictures.seen, cell.horizon, cell.mark, **asked)
    updates = settings.small_updates if cell.data == "digits" else settings.updates
    how = Teaching(cell.depth, settings.units, settings.rate, updates, cell.gain)
    sizes = how.sizes(task.input_size, task.output_size)
    net = Mlp.random(sizes, gain=how.gain, key=begin)
    rule = {"batch": settings.batch, "optimiser": optax.adam(how.rate)}
    trained = train(net, task, updates=updates, key=learn, **rule)
    new, labels = pictures.new
    found = image_measures(trained.system, task, new, places(labels, order))
    loss = trained.losses[-100:].mean()
    return one_row(ImageCodes, (*cell, len(task.place), loss, *found))


class Album(NamedTuple):
    """Pictures in bytes and their digits."""

    seen: tuple[np.ndarray, np.ndarray]  # to learn from
    new: tuple[np.ndarray, np.ndarray]  # held out


@functools.lru_cache(1)
def album(data: str, learned: int) -> Album:
    """The pictures of that name, so many at most to learn from.

    Raises ValueError when a file is damaged.
    """
    if data == "digits":
        pictures = digits()
    else:
        try:
            pictures = mnist(full=True)
        except FileNotFoundError:  # neither in a folder that is named nor to be fetched
            pictures = mnist()
    learn = ~pictures.held_out
    learn &= np.cumsum(learn) <= learned
    parts = [(pictures.images[m], pictures.labels[m]) for m in (learn, pictures.held_out)]
    return Album(*((in_bytes(images), labels) for images, labels in parts))


def claims(results: Results) -> list[Claim]:
    codes = results.codes
    return [*_cross_entropy(codes), *_squared(codes), *_each(codes), *_learned(codes)]


def _cross_entropy(codes: ImageCodes) -> list[Claim]:
    """Three layers that name the class."""
    found = []
    for data in np.unique(codes.data).tolist():
        cell = {"data": data, "mark": "cross_entropy", **JUDGED}
        near, far = (mean_of(codes, "order", **cell, horizon=a) for a in (1, 5))
        says = f"{data}, cross-entropy, nh = 3, g = 0.4"
        found.append(at_most(f"{says}, A = 1: order", near, 0.6))
        found.append(at_least(f"{says}, A = 5: order", far, 0.7))
    return found


def _squared(codes: ImageCodes) -> list[Claim]:
    """Three layers that draw the mean picture of MNIST, at its place or at a random one."""
    found, cell = [], {"data": "mnist", "mark": "squared", **JUDGED}
    for permuted, says in ((False, "mnist"), (True, "mnist, digits at random places")):
        near, far = (
            mean_of(codes, "order", **cell, permuted=permuted, horizon=a) for a in (1, 5)
        )
        if np.isfinite(near + far):
            says = f"{says}, squared, nh = 3, g = 0.4: order at A = 5 above A = 1"
            found.append(at_least(says, far - near, 0.15, "full"))
            found.append(reported("  at A = 1", near))
    return found


def _each(codes: ImageCodes) -> list[Claim]:
    """Which loss, gain and depth show the effect: what order gains from A = 1 to 5."""
    found = []
    kinds = zip(codes.data, codes.mark, codes.gain, codes.depth, strict=True)
    for data, mark, gain, depth in sorted(set(kinds)):
        cell = {"data": data, "mark": mark, "gain": gain, "depth": depth, "permuted": False}
        near, far = (mean_of(codes, "order", **cell, horizon=a) for a in (1, 5))
        says = f"{data}, {mark}, nh = {depth}, g = {gain:g}: order gained from A = 1 to 5"
        found.append(reported(says, far - near))
        for a in (1, 5):
            accuracy = mean_of(codes, "accuracy", **cell, horizon=a)
            found.append(reported(f"  A = {a}: accuracy on pictures held out", accuracy))
    return found


def _learned(codes: ImageCodes) -> list[Claim]:
    return [
        reported(f"{data}: pictures learned from", entries(codes, "learned", data=data)[0])
        for data in np.unique(codes.data).tolist()
    ]


def draw(results: Results):
    codes = results.codes
    figure, axes = grid(2, 3, width=10.0, height=5.4)
    shown = [(d, m) for d in ("mnist", "digits") for m in ("cross_entropy", "squared")]
    for ax, (data, mark) in zip(axes[:, :2].ravel(), shown, strict=True):
        cell = {"data": data, "mark": mark, "permuted": False}
        _lines(ax, codes, cell, "order")
        ax.set(title=f"{data}, {mark}", ylim=(-0.05, 1.05))
    first = "mnist" if "mnist" in codes.data else "digits"
    cell = {"data": first, "mark": "cross_entropy", "permuted": False}
    _lines(axes[1, 2], codes, cell, "accuracy")
    axes[1, 2].set(title=f"{first}, cross_entropy", ylabel="accuracy, pictures held out")
    cell = {"mark": "squared", **JUDGED}
    far = np.unique(entries(codes, "horizon", permuted=True))
    if far.size:
        data = entries(codes, "data", permuted=True)[0]
        rows = {
            name: [
                entries(codes, "order", **cell, data=data, permuted=mix, horizon=a) for a in far
            ]
            for name, mix in (("digits in order", False), ("at random places", True))
        }
        over_horizon(axes[0, 2], far, rows, "order, nh = 3, g = 0.4")
    axes[0, 2].set(title="looks or task? squared", ylim=(-0.05, 1.05))
    return figure


def _lines(ax, codes: ImageCodes, cell: dict, measure: str) -> None:
    """A line over the horizon for each gain and depth of the networks that `cell` tells."""
    far = np.unique(entries(codes, "horizon", **cell))
    kinds = set(zip(entries(codes, "gain", **cell), entries(codes, "depth", **cell)))
    rows = {
        f"nh = {depth}, g = {gain:g}": [
            entries(codes, measure, **cell, gain=gain, depth=depth, horizon=a) for a in far
        ]
        for gain, depth in sorted(kinds)
    }
    if rows:
        over_horizon(ax, far, rows, measure)
    else:
        ax.set_axis_off()
