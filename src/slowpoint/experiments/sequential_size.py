"""Does a larger network hold more memories, or only a larger share of its size?

Networks of different size learn the same loads M/N by repeated passes, the rate scaled as
1/N. At the same load the same share is recalled, so the number of maps grows with the units.

Paper: Kurikawa, Barak and Kaneko 2020, arXiv:1906.11770; constants and numbers are ours.
Takes: 13 s quick, 3.5 min full
"""

import dataclasses
import functools
import itertools

import jax.random as jr
import numpy as np
import pydantic
from jaxtyping import Bool, Float, Int

from slowpoint.analysis.capacity import capacity, recall
from slowpoint.cells.associative import Associative
from slowpoint.core.claim import at_least, at_most, Claim, equal, reported, Scale
from slowpoint.core.processes import in_processes
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.learning.grid import At
from slowpoint.learning.plasticity import learn_sequence, Plasticity
from slowpoint.plots.capacity import against_load
from slowpoint.plots.ceiling import over_size
from slowpoint.plots.style import row
from slowpoint.tasks.recall import InputOutputMaps
from slowpoint.theory.capacity import equality_bound, margin_bound

# share recalled after 30 passes, by units and load
KNOWN = {
    50: {0.1: 1.0, 0.2: 1.0, 0.3: 1.0, 0.4: 0.75, 0.5: 0.08},
    100: {0.1: 1.0, 0.2: 1.0, 0.3: 1.0, 0.4: 0.88, 0.5: 0.11},
    200: {0.2: 1.0, 0.4: 0.81},
}
WITHIN = 0.2  # is agreement
LIKE = 100  # units of the network that the others are compared with


class Settings(Base):
    units: tuple[int, ...] = pydantic.Field(
        default=(50, 100, 200), min_length=2, description="N of each size, rising"
    )
    loads: tuple[float, ...] = pydantic.Field(
        default=(0.1, 0.2, 0.3, 0.4, 0.5), min_length=1, description="M / N"
    )
    passes: int = pydantic.Field(default=30, ge=2, description="over all maps, random order")
    seeds: int = pydantic.Field(default=3, ge=1, description="networks of each size and load")
    rate: float = pydantic.Field(default=0.03, gt=0, description="eps N, ours")
    processes: int = pydantic.Field(default=2, ge=1, description="networks that learn at once")


QUICK = Settings(units=(50, 100), loads=(0.1, 0.2, 0.3), seeds=1, processes=1)


class Sizes(Result):
    """Networks of all sizes at the same loads."""

    units: Int[np.ndarray, " size"]
    loads: Float[np.ndarray, " load"]
    fraction: Float[np.ndarray, "size load seed"]  # recalled after all passes
    once: Float[np.ndarray, "size load seed"]  # after the first
    duration: Float[np.ndarray, "size load seed"]  # of a map in the last pass, mean
    unfinished: Int[np.ndarray, "size load seed"]  # maps of the last pass ended by their time
    length: Float[np.ndarray, "size load seed"]  # of rows, mean, at the end
    diverged: Bool[np.ndarray, "size load seed"]

    def maps(self, size: int) -> Int[np.ndarray, " load"]:
        """M at each load."""
        return (self.loads * self.units[size]).round().astype(int)


@dataclasses.dataclass(frozen=True)
class Results:
    sizes: Sizes


def run(settings: Settings) -> Results:
    shape = len(settings.units), len(settings.loads), settings.seeds
    cells = list(itertools.product(*map(range, shape)))
    cells.sort(key=lambda cell: -settings.units[cell[0]] * settings.loads[cell[1]])
    found = in_processes(functools.partial(_one, settings), cells, settings.processes)
    rows = dict(zip(cells, found, strict=True))
    stacked = np.array([rows[cell] for cell in sorted(cells)]).T.reshape(-1, *shape)
    fraction, once, duration, unfinished, length, diverged = stacked
    return Results(
        Sizes(
            np.array(settings.units),
            np.array(settings.loads),
            fraction,
            once,
            duration,
            unfinished.astype(int),
            length,
            diverged.astype(bool),
        )
    )


def _one(settings: Settings, cell: tuple[int, ...]) -> tuple[float, ...]:
    """The fields of Sizes of one network."""
    size, load, _ = cell
    units = settings.units[size]
    key = jr.key(settings.seed)
    for number in cell:
        key = jr.fold_in(key, number)
    begin, draw, show, ask = jr.split(key, 4)
    network = Associative.random(units, key=begin)
    maps = InputOutputMaps.random(round(settings.loads[load] * units), units, key=draw)
    how, last = Plasticity(rate=settings.rate / units), settings.passes
    looks = At((1, last))
    done = learn_sequence(network, maps, how, passes=last, key=show, snapshots=looks)
    once, often = (recall(done.network(network, i), maps, key=ask) for i in range(2))
    return (
        often.fraction(),
        once.fraction(),
        done.durations[-1].mean(),
        (~done.finished[-1]).sum(),
        np.linalg.norm(done.recurrent[-1], axis=1).mean(),
        done.diverged >= 0,
    )


def claims(results: Results) -> list[Claim]:
    sizes = results.sizes
    units, loads = sizes.units.tolist(), sizes.loads.tolist()
    after = sizes.fraction.mean(axis=2)  # (size, load)
    found = [equal("networks that diverged", sizes.diverged.sum(), 0)]
    for shares, size in zip(after, units, strict=True):
        for load, share in zip(loads, shares, strict=True):
            says, scale = f"N = {size}, load {load:g}: recalled", _scale(load)
            found.append(reported(says, share))
            if (known := KNOWN.get(size, {}).get(load)) is not None:
                found.append(at_most(f"  off {known:g}", abs(share - known), WITHIN, scale))
            if LIKE in units and size != LIKE:
                apart = abs(share - after[units.index(LIKE), loads.index(load)])
                found.append(at_most(f"  off that of N = {LIKE}", apart, WITHIN, scale))
    found += [
        reported(f"N = {n}: maps held, all networks", m) for n, m in zip(units, _held(sizes))
    ]
    growth = np.diff(_held(sizes)).min()
    found.append(at_least("maps more than the next smaller size, the fewest", growth, 1))
    return found


def _scale(load: float) -> Scale:
    """Near the ceiling few networks say little."""
    return "full" if load > 0.3 else "quick"


def _held(sizes: Sizes) -> Int[np.ndarray, " size"]:
    """The most maps of which, over all networks of a size, nine of ten are recalled."""
    mean = sizes.fraction.mean(axis=2)
    return np.array([capacity(sizes.maps(i), shares) for i, shares in enumerate(mean)])


def draw(results: Results):
    sizes = results.sizes
    figure, axes = row(3, width=10.0, height=3.0)
    bounds = {"equality": equality_bound(), "margin": margin_bound()}
    for ax, shares, says in zip(axes, (sizes.once, sizes.fraction), ("1 pass", "all passes")):
        rows = {f"N = {n}": share for n, share in zip(sizes.units, shares, strict=True)}
        against_load(ax, sizes.loads, rows, bounds)
        ax.set(title=says)
    each = [
        [capacity(sizes.maps(i), shares) for shares in sizes.fraction[i].T]
        for i in range(len(sizes.units))
    ]
    over_size(axes[2], sizes.units, np.array(each))
    return figure
