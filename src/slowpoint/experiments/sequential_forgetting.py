"""What does learning something new do to what was learned before?

Maps that thirty passes made safe are lost to a few new ones shown once: the rule protects
nothing that it does not see. Within a list that was shown once, overlap falls with age; when
the list is repeated, all ages are alike.

Paper: Kurikawa, Barak and Kaneko 2020, arXiv:1906.11770; constants and numbers are ours.
Takes: 13 s quick, 17 s full
"""

import dataclasses

import jax.random as jr
import numpy as np
import pydantic
from jaxtyping import Float, Int, PRNGKeyArray

from slowpoint.analysis.capacity import recall
from slowpoint.cells.associative import Associative
from slowpoint.core.claim import at_least, at_most, Claim, reported
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.learning.grid import At
from slowpoint.learning.plasticity import learn_sequence, Plasticity
from slowpoint.plots.capacity import by_age, over_passes
from slowpoint.plots.style import row
from slowpoint.tasks.recall import InputOutputMaps

NEW = {0: 1.0, 1: 0.65, 2: 0.42, 5: 0.06, 10: 0.02}  # old maps recalled after so many new ones
AGES = {0: (0.95, 0.95), 8: (0.61, 0.92), 20: (0.43, 0.78)}  # overlap: once, ten times


class Settings(Base):
    units: int = pydantic.Field(default=100, ge=10, description="N")
    old: int = pydantic.Field(default=20, ge=1, description="maps that are repeated")
    passes: int = pydantic.Field(default=30, ge=1, description="over them")
    listed: int = pydantic.Field(default=40, ge=21, description="maps of the list of ages")
    repeats: int = pydantic.Field(default=10, ge=2, description="passes over that list")
    networks: int = pydantic.Field(default=4, ge=1, description="each with its own maps")
    rate: float = pydantic.Field(default=0.03, gt=0, description="eps N, ours")


QUICK = Settings(networks=3)


class Overwritten(Result):
    """Old maps while new ones are shown, once each."""

    new: Int[np.ndarray, " look"]
    fraction: Float[np.ndarray, "network look"]  # of old maps and starts, recalled
    learned: Float[np.ndarray, "network look"]  # of the new ones shown so far; NaN: none


class Ages(Result):
    """Overlap with the target by age in a list in fixed order; age 0 was shown last."""

    overlap: Float[np.ndarray, "when network age"]  # after one pass, after all


@dataclasses.dataclass(frozen=True)
class Results:
    overwritten: Overwritten
    ages: Ages


def run(settings: Settings) -> Results:
    keys = jr.split(jr.key(settings.seed), (settings.networks, 2))
    fractions = [_overwrite(settings, key) for key, _ in keys]
    ages = [_ages(settings, key) for _, key in keys]
    both = np.stack(fractions).swapaxes(0, 1)
    return Results(Overwritten(np.array(list(NEW)), *both), Ages(np.stack(ages, axis=1)))


def _overwrite(settings: Settings, key: PRNGKeyArray) -> np.ndarray:
    """Rows `fraction`, `learned` of one network."""
    begin, draw, show, add, ask = jr.split(key, 5)
    every = InputOutputMaps.random(settings.old + max(NEW), settings.units, key=draw)
    old, new = _some(every, slice(settings.old)), _some(every, slice(settings.old, None))
    how = Plasticity(rate=settings.rate / settings.units)
    network = Associative.random(settings.units, key=begin)
    done = learn_sequence(network, old, how, passes=settings.passes, key=show)
    network, rows = done.network(network), []
    for count in NEW:
        now, shown = network, _some(new, slice(count))
        if count:  # the first `count` maps from the same state: each time the same path
            once = learn_sequence(network, shown, how, passes=1, key=add, shuffled=False)
            now = once.network(network)
        own = recall(now, shown, key=ask).fraction() if count else np.nan
        rows.append((recall(now, old, key=ask).fraction(), own))
    return np.array(rows).T


def _some(maps: InputOutputMaps, rows: slice) -> InputOutputMaps:
    return InputOutputMaps(maps.targets[rows], maps.inputs[rows], maps.steps, maps.counted)


def _ages(settings: Settings, key: PRNGKeyArray) -> np.ndarray:
    """Overlaps of one network, (when, age)."""
    begin, draw, show, ask = jr.split(key, 4)
    maps = InputOutputMaps.random(settings.listed, settings.units, key=draw)
    network = Associative.random(settings.units, key=begin)
    how = Plasticity(rate=settings.rate / settings.units)
    looks = At((1, settings.repeats))
    done = learn_sequence(
        network,
        maps,
        how,
        passes=settings.repeats,
        key=show,
        shuffled=False,
        snapshots=looks,
    )
    nets = [done.network(network, i) for i in range(2)]
    return np.stack([recall(n, maps, key=ask).overlap.mean(axis=0)[::-1] for n in nets])


def claims(results: Results) -> list[Claim]:
    overwritten, ages = results.overwritten, results.ages
    kept = overwritten.fraction.mean(axis=0)
    once, often = ages.overlap.mean(axis=1)
    found = [
        at_most(f"old maps after {new} new, off {known:g}", abs(share - known), 0.2)
        for (new, known), share in zip(NEW.items(), kept, strict=True)
    ]
    found += [reported(f"old maps after {n} new", share) for n, share in zip(NEW, kept)]
    found += [
        at_most("shown once: overlap of the oldest", once[-1], 0.45),
        at_least("shown ten times: least overlap of any age", often.min(), 0.6),
    ]
    for age, known in AGES.items():
        found.append(reported(f"age {age}, once ({known[0]:g} known)", once[age]))
        found.append(reported(f"age {age}, ten times ({known[1]:g} known)", often[age]))
    return found


def draw(results: Results):
    overwritten, ages = results.overwritten, results.ages
    figure, axes = row(2, width=7.0, height=2.8)
    over_passes(axes[0], overwritten.new + 1, {"old maps": overwritten.fraction})
    axes[0].set(xlabel="new maps shown once, plus 1")
    by_age(axes[1], {"one pass": ages.overlap[0], "all passes": ages.overlap[1]})
    return figure
