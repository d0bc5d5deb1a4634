"""Can one tell from a network alone how long its memories last in noise, and where they go?

The cheapest course of input noise over each saddle, and how wide that way is, give a mean time.
It is held against counted steps in five networks of three cells, trained on the flip-flop for
this purpose. The forecast was made with other networks (the shipped GRU of 100 units, two tanh
units, a trough on paper) and not changed after these had been seen. The noise is that at which
the lowest way out of the middle memory costs `costs`; a memory whose forecast is undefined is
counted as such.

Paper: Bouchet and Reygner 2016, Annales Henri Poincare 17, 3499, on the time to leave over a
saddle; Haviv, Rivkind and Barak 2019, Proceedings of Machine Learning Research 97, 2663, on how
long networks remember.
Takes: 15 s quick, 3 min full
"""

import dataclasses
from typing import NamedTuple

import jax.random as jr
import numpy as np
import optax
import pydantic
from jaxtyping import Float, Int, Shaped

from slowpoint.analysis.escapes import Escapes, escapes
from slowpoint.analysis.residence import Residence, residence
from slowpoint.analysis.search import search
from slowpoint.analysis.topology import Topology, topology
from slowpoint.cells.gru import GRU
from slowpoint.cells.lstm import LSTM
from slowpoint.cells.vanilla import Vanilla
from slowpoint.core.claim import at_least, Claim, reported
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.core.system import Map
from slowpoint.core.wrap import Sampled
from slowpoint.learning.train import train
from slowpoint.plots.forecast import against_counted
from slowpoint.plots.style import row
from slowpoint.tasks.flipflop import FlipFlop
from slowpoint.theory.escape import escape_time, together

FACTOR = 2.0  # within which a forecast is called right


class Recipe(NamedTuple):
    """A network to be trained."""

    cell: str
    units: int
    bits: int


RECIPES = (
    Recipe("gru", 32, 2),
    Recipe("vanilla", 48, 2),
    Recipe("lstm", 24, 2),
    Recipe("gru", 48, 3),
    Recipe("gru", 24, 1),
)


class Settings(Base):
    networks: int = pydantic.Field(default=5, ge=1, le=len(RECIPES), description="of the list")
    updates: int = pydantic.Field(default=1500, ge=10, description="gradient steps")
    batch: int = pydantic.Field(default=64, ge=1, description="trials per update")
    rate: float = pydantic.Field(default=5e-3, gt=0, description="Adam's, at first")
    costs: tuple[float, ...] = pydantic.Field(
        default=(3.0, 5.0), min_length=1, description="E of the middle memory, sets the noise"
    )
    runs: int = pydantic.Field(default=64, ge=1, description="counted, of each memory")
    most: int = pydantic.Field(default=10_000, ge=1, description="steps of a run")


QUICK = Settings(networks=1, updates=600, costs=(3.0,), runs=32, most=3000)


class Memories(Result):
    """One row per memory and noise. Times are in steps; NaN: undefined, or none left."""

    network: Int[np.ndarray, " row"]
    cell: Shaped[np.ndarray, " row"]
    cost: Float[np.ndarray, " row"]  # E asked for
    noise: Float[np.ndarray, " row"]  # standard deviation of every input
    memory: Int[np.ndarray, " row"]
    forecast: Float[np.ndarray, " row"]
    counted: Float[np.ndarray, " row"]  # inf: none left
    low: Float[np.ndarray, " row"]  # of 95 %
    high: Float[np.ndarray, " row"]
    left: Int[np.ndarray, " row"]  # runs
    goes: Int[np.ndarray, " row"]  # the memory most often gone to, forecast; -1: undefined
    went: Int[np.ndarray, " row"]  # counted; -1: none left
    runs: int


@dataclasses.dataclass(frozen=True)
class Results:
    memories: Memories


def run(settings: Settings) -> Results:
    rows = []
    keys = jr.split(jr.key(settings.seed), len(RECIPES))
    for number, key in enumerate(keys[: settings.networks]):
        rows += _network(number, RECIPES[number], settings, key)
    names = [f.name for f in dataclasses.fields(Memories) if f.name != "runs"]
    columns = {name: np.array([one[name] for one in rows]) for name in names}
    return Results(Memories(**columns, runs=settings.runs))


def taught(recipe: Recipe, settings: Settings, key) -> Map:
    """A network that learned to hold its bits."""
    draw, learn = jr.split(key)
    sizes = recipe.units, recipe.bits, recipe.bits
    if recipe.cell == "vanilla":
        net = Vanilla.random(*sizes, dt=0.3, key=draw)
    else:
        net = {"gru": GRU, "lstm": LSTM}[recipe.cell].random(*sizes, key=draw)
    falling = optax.cosine_decay_schedule(settings.rate, settings.updates)
    trained = train(
        net,
        FlipFlop(bits=recipe.bits),
        updates=settings.updates,
        batch=settings.batch,
        key=learn,
        optimiser=optax.chain(optax.clip_by_global_norm(1.0), optax.adam(falling)),
    ).system
    return Sampled(trained) if isinstance(trained, Vanilla) else trained


def _network(number: int, recipe: Recipe, settings: Settings, key) -> list[dict]:
    """All rows of one network."""
    teach, look, part, *count = jr.split(key, 3 + len(settings.costs))
    net, hold = taught(recipe, settings, teach), np.zeros(recipe.bits)
    points = search(net, hold=hold, key=look).points
    graph = topology(net, points, hold, key=part)
    if not len(graph.neighbours):
        return []
    first = escapes(net, points, graph, hold, np.full(recipe.bits, 0.01), seconds=600)
    middle = np.median([_lowest(first, place) for place in graph.attractors])
    rows = []
    for cost, chance in zip(settings.costs, count):
        noise = np.full(recipe.bits, 0.01 * np.sqrt(middle / cost))
        ways = escapes(net, points, graph, hold, noise, seconds=600)
        homes = points.states[graph.attractors]
        options = {"key": chance, "runs": settings.runs, "most": settings.most}
        counted = residence(net, homes, homes, hold, noise, **options)
        about = {"network": number, "cell": recipe.cell, "cost": cost, "noise": noise[0]}
        rows += [about | one for one in _rows(ways, graph, counted)]
    return rows


def _lowest(ways: Escapes, place: int) -> float:
    mine = ways.barrier[(ways.origin == place) & ways.proved]
    return float(mine.min()) if len(mine) else np.nan


def _rows(ways: Escapes, graph: Topology, counted: Residence) -> list[dict]:
    """A memory each; undefined where a way out is too noisy or has no proof."""
    good = ways.proved
    times = escape_time(ways.rate, ways.amplitude, ways.barrier)[good]
    steps, shares = together(times, ways.origin[good], ways.target[good], graph.attractors)
    steps = np.where(np.isin(graph.attractors, ways.origin[~good]), np.nan, steps)
    rows = []
    for i, memory in enumerate(graph.attractors.tolist()):
        known, seen = np.isfinite(steps[i]), bool(counted.left[i])
        goes = graph.attractors[np.argmax(shares[i])] if known else -1
        went = graph.attractors[np.argmax(counted.shares[i])] if seen else -1
        low, high = counted.range[i]
        numbers = {"forecast": steps[i], "counted": counted.mean[i], "low": low, "high": high}
        whole = {"memory": memory, "left": counted.left[i], "goes": goes, "went": went}
        rows.append(numbers | whole)
    return rows


def claims(results: Results) -> list[Claim]:
    """A memory that nothing left, or whose forecast is undefined, has no ratio."""
    found = results.memories
    defined = np.isfinite(found.forecast)
    seen = defined & np.isfinite(found.counted)
    ratio = found.forecast[seen] / found.counted[seen]
    off = np.exp(np.abs(np.log(ratio)))
    late = defined & ~np.isfinite(found.counted)
    sure = seen & (found.left >= 10)
    inside = (found.forecast >= found.low) & (found.forecast <= found.high)
    agree = (found.goes == found.went)[sure]
    return [
        at_least("forecasts that are defined, share", defined.mean(), 0.75, "full"),
        at_least(
            "forecast within a factor of 2 of counted, share", (off <= FACTOR).mean(), 0.75
        ),
        reported("forecast over counted, median", np.median(ratio)),
        reported("the least", ratio.min()),
        reported("the most", ratio.max()),
        reported("forecasts inside the interval counted, share", inside[seen].mean()),
        at_least("most likely next memory is the one most went to, share", agree.mean(), 0.75),
        reported("memories that no run left", late.sum()),
        reported(
            "of them forecast above the lower end", (found.forecast > found.low)[late].sum()
        ),
    ]


def draw(results: Results):
    found = results.memories
    figure, axes = row(1, width=4.4, height=3.6)
    ranges = np.stack([found.low, found.high], axis=-1)
    names = [f"{cell} {number + 1}" for cell, number in zip(found.cell, found.network)]
    against_counted(axes[0], found.forecast, found.counted, ranges, names)
    return figure
