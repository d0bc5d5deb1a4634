"""How does a memory end when the input that calls it fades?

Under the full input there is a stable fixed point near the target. It is followed as the input
falls, until it is lost: in a fold, or at a Hopf point from which the state begins to turn. Now
and then a point stays stable to zero input, but not as a memory: it has left its target. From
random states a memory is reached only while the input is nearly full: what exists need not be
found. Stronger input than in training destroys recall.

Paper: Kurikawa, Barak and Kaneko 2020, arXiv:1906.11770; constants and numbers are ours.
Takes: 12 s quick, 28 s full
"""

import dataclasses
import itertools

import equinox as eqx
import jax.random as jr
import numpy as np
import pydantic
from jaxtyping import Float, Int, PRNGKeyArray

from slowpoint.analysis.capacity import recall
from slowpoint.analysis.events import FOLD, HOPF
from slowpoint.analysis.families import under_input
from slowpoint.analysis.fixed_points import fixed_points
from slowpoint.analysis.tracking import track
from slowpoint.cells.associative import Associative
from slowpoint.core.claim import at_least, at_most, Claim, equal, reported
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.learning.plasticity import learn_sequence, Plasticity
from slowpoint.plots.capacity import ends_of_memories, over_strength
from slowpoint.plots.style import row
from slowpoint.tasks.recall import InputOutputMaps

# share recalled over the strength, known from two networks
KNOWN = {0.6: 0.02, 0.7: 0.10, 0.8: 0.70, 0.9: 0.97, 1.0: 1.0}
KNOWN |= {1.1: 1.0, 1.2: 0.90, 1.3: 0.75, 1.4: 0.20, 1.5: 0.03}
Pattern = Float[np.ndarray, " unit"]
NONE = -1  # kind of a point that is not lost


class Settings(Base):
    units: int = pydantic.Field(default=100, ge=10, description="N")
    maps: int = pydantic.Field(default=20, ge=1, description="M")
    followed: int = pydantic.Field(default=20, ge=1, description="of the maps")
    passes: int = pydantic.Field(default=30, ge=1, description="over all maps")
    networks: int = pydantic.Field(default=3, ge=1, description="each with its own maps")
    stretch: float = pydantic.Field(default=0.1, gt=0, le=1, description="of s at a time")
    rate: float = pydantic.Field(default=0.03, gt=0, description="eps N, ours")


QUICK = Settings(followed=8, networks=1)


class Fates(Result):
    """Of the fixed point near each target, as the input s eta falls from s = 1 to 0."""

    kind: Int[np.ndarray, "network map"]  # index into events.KINDS; NONE: still stable at 0
    strength: Float[np.ndarray, "network map"]  # s* at which it is lost
    frequency: Float[np.ndarray, "network map"]  # radians per unit time; 0 at a fold
    rate: Float[np.ndarray, "network map"]  # the largest growth rate at s = 1
    overlap: Float[np.ndarray, "network map"]  # of the point with the target at s = 1
    residual: Float[np.ndarray, "network map"]  # of all that vanishes at the loss
    last: Float[np.ndarray, "network map"]  # overlap at s = 0; NaN: lost before


class Window(Result):
    """Maps recalled from all starts, over the strength of the input."""

    strengths: Float[np.ndarray, " strength"]
    fraction: Float[np.ndarray, "network strength"]


@dataclasses.dataclass(frozen=True)
class Results:
    fates: Fates
    window: Window


def run(settings: Settings) -> Results:
    found = [_one(settings, key) for key in jr.split(jr.key(settings.seed), settings.networks)]
    fates = [np.stack([network[i] for network, _ in found]) for i in range(7)]
    strengths = np.array(list(KNOWN))
    return Results(Fates(*fates), Window(strengths, np.stack([w for _, w in found])))


def _one(settings: Settings, key: PRNGKeyArray):
    """`(rows of Fates, recalled over strengths)` of one network."""
    begin, draw, show, ask = jr.split(key, 4)
    maps = InputOutputMaps.random(settings.maps, settings.units, key=draw)
    network = Associative.random(settings.units, key=begin)
    how = Plasticity(rate=settings.rate / settings.units)
    done = learn_sequence(network, maps, how, passes=settings.passes, key=show)
    network = done.network(network)
    pairs = zip(np.asarray(maps.targets, float), np.asarray(maps.inputs, float))
    rows = [
        _fate(network, *pair, settings.stretch) for pair in list(pairs)[: settings.followed]
    ]
    window = []
    for strength in KNOWN:
        other = eqx.tree_at(lambda net: net.strength, network, strength)
        window.append(recall(other, maps, key=ask).recalled().all(axis=0).mean())
    return tuple(np.array(part) for part in zip(*rows, strict=True)), np.array(window)


def _fate(network: Associative, target: Pattern, pattern: Pattern, stretch: float):
    """The fields of Fates of one memory."""
    points = fixed_points(network, target[None], hold=pattern)
    if not len(points.stable):
        return NONE, *[np.nan] * 6
    point = points.stable.states[0]
    rate, overlap = points.stable.rates[0].real.max(), float((point * target).mean())
    family = under_input(network, pattern)
    borders = np.linspace(1, 0, max(2, round(1 / stretch) + 1))
    for high, low in itertools.pairwise(borders):
        path = track(family, point, np.linspace(high, low, 6))
        if path.events:
            lost = path.events[0]
            return lost.kind, lost.value, lost.frequency, rate, overlap, lost.residual, np.nan
        if path.ended:  # without an event
            return NONE, np.nan, np.nan, rate, overlap, np.nan, np.nan
        point = path.states[-1]
    return NONE, 0.0, np.nan, rate, overlap, 0.0, float((point * target).mean())


def claims(results: Results) -> list[Claim]:
    fates, window = results.fates, results.window
    hopf, fold = fates.kind == HOPF, fates.kind == FOLD
    shares = window.fraction.mean(axis=0)
    off = [abs(share - known) for share, known in zip(shares, KNOWN.values())]
    return [
        reported("memories followed", fates.kind.size),
        equal("memories at zero input: overlap of .5 or more", (fates.last >= 0.5).sum(), 0),
        equal("memories whose end was not found", np.isnan(fates.strength).sum(), 0),
        equal("points that stay stable to zero input", (fates.kind == NONE).sum(), 0, "full"),
        reported("their largest overlap there", np.nanmax(np.append(fates.last, 0))),
        at_least("lost in a Hopf point", hopf.sum(), 1),
        at_least("lost in a fold", fold.sum(), 1),
        *_means("Hopf points", fates.strength[hopf]),
        *_means("folds", fates.strength[fold]),
        reported("angular frequency at Hopf points, least", _extreme(fates.frequency[hopf])[0]),
        reported("largest", _extreme(fates.frequency[hopf])[1]),
        at_most("largest residual at a loss", fates.residual.max(), 1e-10),
        reported("largest growth rate at the full input, mean", fates.rate.mean()),
        at_least("least overlap of a point with its target there", fates.overlap.min(), 0.85),
        at_most("recall over the strength, farthest off", max(off), 0.15, "full"),
        *(
            reported(f"recalled at {s:g} (known: {KNOWN[s]:g})", v)
            for s, v in zip(KNOWN, shares)
        ),
    ]


def _means(says: str, strengths: Float[np.ndarray, " memory"]) -> list[Claim]:
    mean = strengths.mean() if len(strengths) else np.nan
    return [
        at_least(f"{says}: s*, mean", mean, 0.4, "full"),
        at_most("the same", mean, 0.75, "full"),
    ]


def _extreme(numbers: np.ndarray) -> tuple[float, float]:
    return (numbers.min(), numbers.max()) if numbers.size else (np.nan, np.nan)


def draw(results: Results):
    fates, window = results.fates, results.window
    figure, axes = row(2, width=7.0, height=2.8)
    kinds = {
        "Hopf": fates.strength[fates.kind == HOPF],
        "fold": fates.strength[fates.kind == FOLD],
    }
    ends_of_memories(axes[0], kinds)
    over_strength(axes[1], window.strengths, window.fraction)
    return figure
