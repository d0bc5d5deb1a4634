"""What do correlations between memories do to how many are held, shown once and repeatedly?

Handwritten digits of 8 x 8 pixels, each pixel cut at its median, are the targets of random
inputs. Beside them the same pixels, each shuffled over the digits on its own (as often dark,
no longer correlated), and random patterns, as many of each. The shortest rows that meet an
equality at every unit are longer for correlated patterns, and where they are longer than 1,
maps are lost.

Paper: Kurikawa, Barak and Kaneko 2020, arXiv:1906.11770, for random patterns; digits of
Alpaydin and Kaynak 1998; what is asked of them is ours.
Takes: 13 s quick, 33 s full
"""

import dataclasses

import jax.random as jr
import numpy as np
import pydantic
from jaxtyping import Float, Int, PRNGKeyArray

from slowpoint.analysis.capacity import capacity, recall
from slowpoint.analysis.decorrelation import decorrelation
from slowpoint.cells.associative import Associative
from slowpoint.core.chance import generator
from slowpoint.core.claim import at_least, at_most, Claim, equal, reported
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.learning.grid import At
from slowpoint.learning.plasticity import learn_sequence, Plasticity
from slowpoint.plots.capacity import against_load
from slowpoint.plots.ceiling import over_bound
from slowpoint.plots.style import row
from slowpoint.recordings.images import digits
from slowpoint.tasks.recall import InputOutputMaps
from slowpoint.theory.capacity import pseudo_inverse, row_norm

KINDS = ("digits", "shuffled pixels", "random")
# share of random patterns recalled after 30 passes by load, at any number of units
RANDOM = {0.1: 1.0, 0.2: 1.0, 0.3: 1.0, 0.4: 0.88, 0.5: 0.11}


class Settings(Base):
    loads: tuple[float, ...] = pydantic.Field(
        default=(0.1, 0.2, 0.3, 0.4, 0.5), min_length=1, description="M / N, N = 64 pixels"
    )
    passes: int = pydantic.Field(default=30, ge=2, description="over all maps, random order")
    seeds: int = pydantic.Field(default=3, ge=1, description="networks of each kind and load")
    rate: float = pydantic.Field(default=0.03, gt=0, description="eps N, ours")


QUICK = Settings(loads=(0.2, 0.4), seeds=2)


class Held(Result):
    """What is recalled of each of KINDS, after the first pass and after all."""

    maps: Int[np.ndarray, " load"]
    units: int
    passes: Int[np.ndarray, " look"]
    fraction: Float[np.ndarray, "kind load seed look"]  # of maps and starts, recalled
    named: Float[np.ndarray, "kind load seed look"]  # that end nearest to their own target
    right: Float[np.ndarray, "kind load seed look"]  # units and maps with the right sign
    alike: Float[np.ndarray, "kind load seed"]  # overlap of two targets, rms
    needed: Float[np.ndarray, "kind load seed"]  # length of the shortest rows, rms: equalities
    same: Int[np.ndarray, "kind load seed"]  # targets that stand there already
    left_out: int  # of all digits, for they are like another after the cut


FIELDS = ("fraction", "named", "right", "alike", "needed", "same")  # with axes of KINDS


@dataclasses.dataclass(frozen=True)
class Results:
    held: Held


def run(settings: Settings) -> Results:
    every = cut(digits().images)
    distinct = np.unique(every, axis=0)
    units = every.shape[1]
    maps = np.array([round(load * units) for load in settings.loads])
    keys = jr.split(jr.key(settings.seed), (len(maps), settings.seeds))
    cells = [[_cell(settings, distinct, m, key) for key in row] for m, row in zip(maps, keys)]
    stack = lambda part: np.array([[cell[part] for cell in row] for row in cells])
    fields = {name: np.moveaxis(stack(i), 2, 0) for i, name in enumerate(FIELDS)}
    looks, left_out = np.array([1, settings.passes]), len(every) - len(distinct)
    return Results(Held(maps, units, looks, left_out=left_out, **fields))


def cut(images: Float[np.ndarray, "image *pixel"]) -> Float[np.ndarray, "image unit"]:
    """1 where a pixel is above its median over all images, else -1."""
    flat = images.reshape(len(images), -1)
    return np.where(flat > np.median(flat, axis=0), 1.0, -1.0)


def shuffled(patterns: Float[np.ndarray, "map unit"], key: PRNGKeyArray) -> np.ndarray:
    """The entries of each unit in an order of their own."""
    return generator(key).permuted(patterns, axis=0)


def _cell(settings: Settings, distinct: np.ndarray, count: int, key: PRNGKeyArray):
    """The fields of Held for all KINDS at one load, with the same inputs and start."""
    begin, draw, choose, mix, show, ask = jr.split(key, 6)
    units = distinct.shape[1]
    rest = InputOutputMaps.random(int(count), units, key=draw)
    chosen = generator(choose).choice(distinct, count, replace=False)
    network = Associative.random(units, key=begin)
    kinds = chosen, shuffled(chosen, mix), np.asarray(rest.targets, float)
    rows = [
        _learned(settings, network, InputOutputMaps(targets, rest.inputs), show, ask)
        for targets in kinds
    ]
    return tuple(np.array(part) for part in zip(*rows, strict=True))


def _learned(settings: Settings, network: Associative, maps: InputOutputMaps, show, ask):
    """The fields of Held of one kind."""
    how = Plasticity(rate=settings.rate / network.state_size)
    looks, last = At((1, settings.passes)), settings.passes
    done = learn_sequence(network, maps, how, passes=last, key=show, snapshots=looks)
    asked = [recall(done.network(network, i), maps, key=ask) for i in range(2)]
    held = [decorrelation(J, maps.targets, maps.inputs) for J in done.recurrent]
    targets, inputs = np.asarray(maps.targets, float), np.asarray(maps.inputs, float)
    shortest = np.linalg.norm(pseudo_inverse(targets, inputs), axis=1)
    return (
        [one.fraction() for one in asked],
        [named(one.ends, targets) for one in asked],
        [one.right for one in held],
        _alike(targets),
        np.sqrt((shortest**2).mean()),
        len(targets) - len(np.unique(targets, axis=0)),
    )


def named(
    ends: Float[np.ndarray, "start map unit"], targets: Float[np.ndarray, "map unit"]
) -> float:
    """The share of end states whose nearest target is the one that was asked for."""
    nearest = (ends @ targets.T).argmax(axis=2)
    return float((nearest == np.arange(len(targets))).mean())


def _alike(targets: Float[np.ndarray, "map unit"]) -> float:
    overlaps = targets @ targets.T / targets.shape[1]
    return float(np.sqrt((overlaps[~np.eye(len(targets), dtype=bool)] ** 2).mean()))


def claims(results: Results) -> list[Claim]:
    held = results.held
    loads = (held.maps / held.units).round(1).tolist()
    mean, named = held.fraction.mean(axis=2), held.named.mean(axis=2)  # (kind, load, look)
    found = [
        reported("digits that are like another after the cut, left out", held.left_out),
        equal("targets that stand twice", held.same.sum(), 0),
    ]
    low = np.array(loads) <= 0.3
    rows = KINDS, held.alike, mean, named, held.needed.mean(axis=2)
    for kind, alike, shares, own, lengths in zip(*rows, strict=True):
        gain = (shares[low, 1] - shares[low, 0]).min()
        found += [
            reported(f"{kind}: overlap of two targets, rms", alike.mean()),
            at_least(f"{kind}: share gained by repetition, loads to .3, least", gain, 0),
        ]
        for load, (once, often), (_, nearest), length in zip(loads, shares, own, lengths):
            found += [
                reported(f"{kind}, load {load:g}: recalled after 1 pass", once),
                reported(f"  after {held.passes[1]}", often),
                reported("  nearest to their own target", nearest),
                reported("  length of the shortest rows that meet all equalities", length),
            ]
            if kind == "random" and held.passes[1] == 30 and load in RANDOM:
                off, scale = abs(often - RANDOM[load]), "full" if load > 0.3 else "quick"
                found.append(at_most(f"  off {RANDOM[load]:g}", off, 0.2, scale))
    long = held.needed.mean(axis=2) > row_norm(0.5)  # as random patterns that are not held
    worst = mean[long][:, 1].max(initial=0.0)
    says = "shortest rows longer than those of random patterns at load .5: recalled, most"
    found.append(at_most(says, worst, 0.3, "full"))
    for kind, shares in zip(KINDS, mean):
        counts = [capacity(held.maps, shares[:, look]) for look in range(2)]
        found += [
            reported(f"{kind}: maps held, passes {n}", m) for n, m in zip(held.passes, counts)
        ]
    return found


def draw(results: Results):
    held = results.held
    figure, axes = row(3, width=10.0, height=3.0)
    loads = held.maps / held.units
    for ax, look in zip(axes, range(2)):
        against_load(ax, loads, dict(zip(KINDS, held.fraction[..., look])), {})
        ax.set(title=f"passes: {held.passes[look]}")
    over_bound(axes[2], held.needed.mean(axis=2), held.fraction[..., 1], list(KINDS))
    axes[2].set(xlabel="length of the shortest rows", ylabel="share recalled")
    return figure
