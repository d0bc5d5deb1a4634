"""Does showing the same memories again and again make room for more of them?

One pass over M input-output maps leaves a network of N units with few of them: each map is
learned over the others. Repeated passes hold tens, up to a load M/N near the bound at which
rows of length 1 could still meet an equality at every unit. Order matters: shown in the same
order for too long, maps are lost again. Beside it stand weights that are designed.

Paper: Kurikawa, Barak and Kaneko 2020, arXiv:1906.11770; constants and bounds are ours.
Takes: 14 s quick, 95 s full
"""

import dataclasses

import jax.random as jr
import numpy as np
import pydantic
from jaxtyping import Bool, Float, Int, PRNGKeyArray

from slowpoint.analysis.capacity import recall
from slowpoint.cells.associative import Associative
from slowpoint.core.claim import at_least, at_most, Claim, reported
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.learning.grid import At
from slowpoint.learning.plasticity import learn_sequence, Plasticity
from slowpoint.plots.capacity import against_load, over_passes
from slowpoint.plots.style import row
from slowpoint.tasks.recall import InputOutputMaps
from slowpoint.theory.capacity import (
    equality_bound,
    hebbian,
    margin_bound,
    pseudo_inverse,
    sum_difference,
    two_block,
)

ORDERS = ("random order", "fixed order")
DESIGNS = ("Hebb", "pseudo-inverse", "sum-difference", "without crosstalk", "two blocks")
# share recalled after so many passes in random order, and how far from it is still agreement
GROWTH = {
    0.2: ({1: 0.10, 2: 0.15, 3: 0.62, 5: 0.98, 8: 1.0}, 0.15),
    0.3: ({3: 0.18, 5: 0.59, 8: 0.97}, 0.2),
    0.4: ({5: 0.19, 8: 0.40, 12: 0.68, 30: 0.88}, 0.2),
}
TIMES = {1: 178, 5: 20, 30: 9}  # mean time per map of a pass, load .2


class Settings(Base):
    units: int = pydantic.Field(default=100, ge=10, description="N")
    loads: tuple[float, ...] = pydantic.Field(
        default=(0.05, 0.1, 0.2, 0.3, 0.4, 0.45, 0.5), min_length=1, description="M / N"
    )
    passes: tuple[int, ...] = pydantic.Field(
        default=(1, 2, 3, 5, 8, 12, 20, 30), min_length=2, description="after which to look"
    )
    seeds: int = pydantic.Field(default=3, ge=1, description="networks of each load")
    rate: float = pydantic.Field(default=0.03, gt=0, description="eps N, ours")


QUICK = Settings(loads=(0.1, 0.2), passes=(1, 3, 10))


class Learned(Result):
    """By the normalised rule, in either of ORDERS."""

    maps: Int[np.ndarray, " load"]
    units: int
    passes: Int[np.ndarray, " look"]
    fraction: Float[np.ndarray, "order load seed look"]  # recalled
    durations: Float[np.ndarray, "order load seed pass"]  # mean time of a map
    finished: Float[np.ndarray, "order load seed pass"]  # share of maps
    length: Float[np.ndarray, "order load seed"]  # of rows, mean, at the end
    diverged: Bool[np.ndarray, "order load seed"]


class Designed(Result):
    """The same maps held by DESIGNS; NaN where a design has no room for them."""

    fraction: Float[np.ndarray, "design load seed"]
    unit_fraction: Float[np.ndarray, "design load seed"]  # rows longer than 1 cut to 1
    length: Float[np.ndarray, "design load seed"]


@dataclasses.dataclass(frozen=True)
class Results:
    learned: Learned
    designed: Designed


def run(settings: Settings) -> Results:
    maps = np.array([round(load * settings.units) for load in settings.loads])
    keys = jr.split(jr.key(settings.seed), (len(maps), settings.seeds))
    cells = [[_cell(settings, m, key) for key in row] for m, row in zip(maps, keys)]
    stack = lambda part: np.stack([[cell[part] for cell in row] for row in cells])
    learned = [np.moveaxis(stack(i), 2, 0) for i in range(5)]
    designed = [np.moveaxis(stack(i), 2, 0) for i in range(5, 8)]
    looks = np.array(settings.passes)
    return Results(Learned(maps, settings.units, looks, *learned), Designed(*designed))


def _cell(settings: Settings, count: int, key: PRNGKeyArray) -> tuple[np.ndarray, ...]:
    """One network of one load, the fields of Learned, then those of Designed."""
    begin, draw, show, ask = jr.split(key, 4)
    network = Associative.random(settings.units, key=begin)
    maps = InputOutputMaps.random(int(count), settings.units, key=draw)
    how = Plasticity(rate=settings.rate / settings.units)
    looks, rows = At(settings.passes), []
    for shuffled in (True, False):
        done = learn_sequence(
            network,
            maps,
            how,
            passes=max(settings.passes),
            key=show,
            shuffled=shuffled,
            snapshots=looks,
        )
        nets = [done.network(network, i) for i in range(len(done.passes))]
        fractions = np.array([recall(net, maps, key=ask).fraction() for net in nets])
        rows.append(
            (
                fractions,
                done.durations.mean(axis=1),
                done.finished.mean(axis=1),
                np.linalg.norm(done.recurrent[-1], axis=1).mean(),
                np.array(done.diverged >= 0),
            )
        )
    learned = tuple(np.stack(part) for part in zip(*rows, strict=True))
    return learned + _designs(network, maps, ask)


def _designs(network: Associative, maps: InputOutputMaps, key: PRNGKeyArray):
    """`(fraction, fraction when no row is longer than 1, row length)` of each of DESIGNS."""
    xi, eta = maps.targets, maps.inputs
    made = [hebbian(xi, eta), pseudo_inverse(xi, eta), sum_difference(xi, eta)]
    made.append(sum_difference(xi, eta, decorrelated=True))
    room = 2 * len(xi) < xi.shape[1]
    made.append(two_block(xi, eta) if room else np.full(made[0].shape, np.nan))
    found = []
    for weights in made:
        length = np.linalg.norm(weights, axis=1)
        fraction = _recalled(network, weights, maps, key)
        unit = _recalled(network, weights / np.maximum(length, 1)[:, None], maps, key)
        found.append((fraction, unit, length.mean()))
    return tuple(np.array(part) for part in zip(*found, strict=True))


def _recalled(like: Associative, weights, maps: InputOutputMaps, key: PRNGKeyArray) -> float:
    if np.isnan(weights).any():
        return np.nan
    network = Associative(weights, like.gain, like.strength, like.dt)
    return recall(network, maps, key=key).fraction()


def claims(results: Results) -> list[Claim]:
    learned = results.learned
    loads, looks = learned.maps / learned.units, learned.passes.tolist()
    after = learned.fraction.mean(axis=2)[0]  # (load, look), random order
    found = [reported("networks that diverged", learned.diverged.sum())]
    for load, shares in zip(loads, after, strict=True):
        if load >= 0.1:
            once = shares[looks.index(1)]
            says = f"load {load:g}: recalled after 1 pass"
            found.append(at_most(says, once, 0.25) if load <= 0.5 else reported(says, once))
        found.append(reported(f"load {load:g}: recalled after {looks[-1]} passes", shares[-1]))
        for says, known, within in _known(load, looks):
            found.append(at_most(*_off(f"load {load:g}: {says}", shares, known, looks), within))
    if 30 in looks:
        found += _of_thirty(learned, loads, after)
    found += _of_times(learned, loads)
    return found


def _known(load: float, looks: list[int]):
    """`(says, (passes, share), how far is agreement)` for what GROWTH knows of a load."""
    shares, within = GROWTH.get(round(load, 6), ({}, 0.0))
    for passes, share in shares.items():
        if passes in looks:
            yield f"after {passes}, off {share:g}", (passes, share), within


def _off(says: str, shares, known, looks: list[int]) -> tuple[str, float]:
    passes, share = known
    return says, abs(shares[looks.index(passes)] - share)


def _of_thirty(learned: Learned, loads, after) -> list[Claim]:
    """What 30 passes make, in both orders."""
    looks = learned.passes.tolist()
    last, first = looks.index(30), looks.index(1)
    found = []
    for load, shares in zip(loads, after, strict=True):
        if load <= 0.3:
            found.append(at_least(f"load {load:g}: after 30", shares[last], 0.95))
        if load in (0.3, 0.4):
            more = shares[last] / shares[first]
            found.append(at_least(f"load {load:g}: 30 passes over 1", more, 10))
        if load == 0.5:
            found.append(at_most(f"load {load:g}: after 30", shares[last], 0.3))
    if 0.2 in loads:
        row = loads.tolist().index(0.2)
        fixed = learned.fraction[1, row]  # (seed, look)
        drop = fixed.max(axis=1) - fixed[:, last]
        found += [
            at_least("load .2, fixed order: loss from the best pass to 30", drop.mean(), 0.1),
            at_least("  of each network, the least", drop.min(), 0.0),
            at_least(
                "  random order, the least", learned.fraction[0, row, :, last].min(), 0.95
            ),
        ]
    return found


def _of_times(learned: Learned, loads) -> list[Claim]:
    if 0.2 not in loads:
        return []
    times = learned.durations[0, loads.tolist().index(0.2)].mean(axis=0)
    known = {n: time for n, time in TIMES.items() if n <= len(times)}
    return [
        at_most(f"time per map in pass {n}, off {time}", abs(times[n - 1] / time - 1), 0.25)
        for n, time in known.items()
    ]


def draw(results: Results):
    learned, designed = results.learned, results.designed
    loads = learned.maps / learned.units
    figure, axes = row(3, width=10.0, height=3.0)
    last = {
        "1 pass": learned.fraction[0, ..., 0],
        f"{learned.passes[-1]} passes, random order": learned.fraction[0, ..., -1],
        f"{learned.passes[-1]} passes, fixed order": learned.fraction[1, ..., -1],
    }
    bounds = {"equality": equality_bound(), "margin": margin_bound()}
    against_load(axes[0], loads, last, bounds)
    against_load(axes[1], loads, dict(zip(DESIGNS, designed.unit_fraction)), bounds)
    middle = int(np.abs(loads - 0.2).argmin())
    rows = {str(name): learned.fraction[i, middle] for i, name in enumerate(ORDERS)}
    over_passes(axes[2], learned.passes, rows)
    axes[1].set(title="designs, no row longer than 1")
    axes[2].set(title=f"load {loads[middle]:g}")
    return figure
