"""Where does repeated learning stop to make room, and is the ceiling a bound that is known?

Near the ceiling more passes do not help. The share of units and maps at which the field has
the right sign falls from 1 about where rows of length 1 can no longer meet an equality
everywhere, before the bound for inequalities, although below the ceiling what is learned meets
no equality. Maps still reach their target while they are shown.

Paper: Kurikawa, Barak and Kaneko 2020, arXiv:1906.11770; constants and bounds are ours.
Takes: 17 s quick, 7 min full
"""

import dataclasses
import functools
import itertools

import jax.random as jr
import numpy as np
import pydantic
from jaxtyping import Bool, Float, Int

from slowpoint.analysis.capacity import recall
from slowpoint.analysis.decorrelation import decorrelation
from slowpoint.cells.associative import Associative
from slowpoint.core.claim import at_least, at_most, Claim, equal, reported
from slowpoint.core.processes import in_processes
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.learning.grid import At
from slowpoint.learning.plasticity import learn_sequence, Plasticity
from slowpoint.plots.ceiling import over_bound
from slowpoint.plots.style import row
from slowpoint.tasks.recall import InputOutputMaps
from slowpoint.theory.capacity import equality_bound, margin_bound

# share recalled after 30, 60, 100, 150 passes, of one network, by strength and load
KNOWN = {
    (1.0, 0.4): (0.91, 0.89, 0.94, 0.90),
    (1.0, 0.45): (0.29, 0.33, 0.27, 0.31),
    (1.0, 0.5): (0.10, 0.14, 0.16, 0.14),
    (1.0, 0.55): (0.04, 0.09, 0.05, 0.07),
    (0.5, 0.5): (0.74, 0.90, 0.86, 0.90),
    (0.5, 0.6): (0.19, 0.25, 0.31, 0.26),
    (0.5, 0.7): (0.09, 0.09, 0.06, 0.04),
}
# share of right signs after 150
SIGNS = {(1.0, 0.4): 0.999, (1.0, 0.45): 0.958, (1.0, 0.5): 0.852, (1.0, 0.55): 0.746}
SIGNS |= {(0.5, 0.5): 1.0, (0.5, 0.6): 0.984, (0.5, 0.7): 0.839}
PASSES = (30, 60, 100, 150)
BREAKS = 0.95  # share of right signs under which the weights are said to be past the ceiling


class Settings(Base):
    units: int = pydantic.Field(default=100, ge=10, description="N")
    strengths: tuple[float, ...] = pydantic.Field(
        default=(0.5, 1.0, 1.5), min_length=1, description="gamma, of the input"
    )
    loads: tuple[tuple[float, ...], ...] = pydantic.Field(
        default=(
            (0.5, 0.55, 0.6, 0.65, 0.7, 0.75),
            (0.35, 0.4, 0.425, 0.45, 0.5, 0.55),
            (0.2, 0.225, 0.25, 0.275, 0.3, 0.35),
        ),
        min_length=1,
        description="M / N for each strength, rising, as many for each",
    )
    passes: tuple[int, ...] = pydantic.Field(
        default=PASSES, min_length=2, description="after which to look"
    )
    seeds: int = pydantic.Field(default=2, ge=1, description="networks of each load")
    rate: float = pydantic.Field(default=0.03, gt=0, description="eps N, ours")
    processes: int = pydantic.Field(default=2, ge=1, description="networks that learn at once")

    @pydantic.model_validator(mode="after")
    def _one_row_for_each_strength(self):
        if len(self.loads) != len(self.strengths) or len(set(map(len, self.loads))) != 1:
            raise ValueError("give one row of loads for each strength, all of one length")
        return self


QUICK = Settings(
    units=50,
    strengths=(0.5, 1.0),
    loads=((0.5, 0.66, 0.78), (0.32, 0.42, 0.54)),
    passes=(10, 30),
    seeds=1,
    processes=1,
)


class Ceiling(Result):
    """Networks at loads around what equalities allow, in random order."""

    strengths: Float[np.ndarray, " strength"]
    loads: Float[np.ndarray, "strength load"]
    passes: Int[np.ndarray, " look"]
    fraction: Float[np.ndarray, "strength load seed look"]  # recalled
    right: Float[np.ndarray, "strength load seed look"]  # share of units and maps, h xi > 0
    least: Float[np.ndarray, "strength load seed look"]  # smallest h xi
    unfinished: Int[np.ndarray, "strength load seed"]  # maps of the last pass ended by time
    length: Float[np.ndarray, "strength load seed"]  # of rows, mean, at the end
    diverged: Bool[np.ndarray, "strength load seed"]

    @property
    def equality(self) -> Float[np.ndarray, " strength"]:
        """The largest load at which rows of length 1 meet every equality."""
        return np.array([equality_bound(gamma) for gamma in self.strengths])

    @property
    def margins(self) -> Float[np.ndarray, " strength"]:
        """And every inequality."""
        return np.array([margin_bound(gamma) for gamma in self.strengths])


@dataclasses.dataclass(frozen=True)
class Results:
    ceiling: Ceiling


def run(settings: Settings) -> Results:
    shape = len(settings.strengths), len(settings.loads[0]), settings.seeds
    cells = list(itertools.product(*map(range, shape)))
    found = in_processes(functools.partial(_one, settings), cells, settings.processes)
    fields = [np.reshape(part, shape + np.shape(part)[1:]) for part in zip(*found, strict=True)]
    loads = (
        np.round(np.array(settings.loads) * settings.units) / settings.units
    )  # of whole maps
    strengths, passes = np.array(settings.strengths), np.array(settings.passes)
    return Results(Ceiling(strengths, loads, passes, *fields))


def _one(settings: Settings, cell: tuple[int, ...]):
    """The fields of Ceiling of one network."""
    strength, load = settings.strengths[cell[0]], settings.loads[cell[0]][cell[1]]
    key = jr.key(settings.seed)
    for number in cell:
        key = jr.fold_in(key, number)
    begin, draw, show, ask = jr.split(key, 4)
    network = Associative.random(settings.units, strength=strength, key=begin)
    maps = InputOutputMaps.random(round(load * settings.units), settings.units, key=draw)
    how = Plasticity(rate=settings.rate / settings.units)
    looks, last = At(settings.passes), max(settings.passes)
    done = learn_sequence(network, maps, how, passes=last, key=show, snapshots=looks)
    nets = [done.network(network, i) for i in range(len(done.passes))]
    held = [decorrelation(J, maps.targets, maps.inputs, strength) for J in done.recurrent]
    return (
        np.array([recall(net, maps, key=ask).fraction() for net in nets]),
        np.array([one.right for one in held]),
        np.array([one.alignment.min() for one in held]),
        (~done.finished[-1]).sum(),
        np.linalg.norm(done.recurrent[-1], axis=1).mean(),
        done.diverged >= 0,
    )


def breaking(loads: Float[np.ndarray, " load"], right: Float[np.ndarray, " load"]) -> float:
    """The load at which the share of right signs falls through BREAKS, between two looked at.

    NaN where it never does, or is below from the first.
    """
    below = np.flatnonzero(right < BREAKS)
    if not len(below) or below[0] == 0:
        return np.nan
    pair = slice(below[0] - 1, below[0] + 1)
    return float(np.interp(BREAKS, right[pair][::-1], loads[pair][::-1]))


def claims(results: Results) -> list[Claim]:
    found = results.ceiling
    shares, right = found.fraction.mean(axis=2), found.right.mean(axis=2)
    claims = [
        equal("networks that diverged", found.diverged.sum(), 0),
        equal(
            "maps of the last pass that missed their target", found.unfinished.sum(), 0, "full"
        ),
    ]
    for i, gamma in enumerate(found.strengths):
        claims += _of_strength(found, i, f"strength {gamma:g}", right[i, :, -1])
        past = found.loads[i] > found.equality[i]
        gain = (shares[i, past, -1] - shares[i, past, 0]).max(initial=0.0)
        says = f"strength {gamma:g}, past the bound: share gained by passes {_span(found)}"
        claims.append(at_most(says, gain, 0.2))
        for load, share, signs in zip(found.loads[i], shares[i], right[i, :, -1]):
            claims += _of_load(found, (float(gamma), float(load)), share, signs)
    return claims


def _span(found: Ceiling) -> str:
    return f"{found.passes[0]} to {found.passes[-1]}"


def _of_strength(found: Ceiling, i: int, says: str, right) -> list[Claim]:
    """Where right signs end, between the two bounds."""
    at = breaking(found.loads[i], right)
    equality, margins = found.equality[i], found.margins[i]
    nearer = abs(at - margins) - abs(at - equality)
    return [
        reported(f"{says}: load at which {BREAKS:.0%} of signs are right", at),
        reported("  over the bound of equalities", at / equality),
        at_most("  over the bound of inequalities", at / margins, 1),
        at_least("  how much nearer to the former", nearer, 0),
    ]


def _of_load(found: Ceiling, cell: tuple[float, float], shares, signs) -> list[Claim]:
    """What is recalled and right at one load, beside what is known."""
    gamma, load = cell
    says, looks = f"strength {gamma:g}, load {load:g}", found.passes.tolist()
    known = dict(zip(PASSES, KNOWN.get(cell, ())))
    beside = lambda value: f" (known: {value:g})" if value is not None else ""
    claims = [
        reported(f"{says}: recalled after {n}{beside(known.get(n))}", share)
        for n, share in zip(looks, shares)
    ]
    claims.append(reported(f"  share of right signs{beside(SIGNS.get(cell))}", signs))
    if cell == (1.0, 0.5):
        claims.append(at_most("  recalled at the end", shares[-1], 0.3))
    return claims


def draw(results: Results):
    found = results.ceiling
    figure, axes = row(3, width=10.0, height=3.0)
    ratios, ends = found.loads / found.equality[:, None], found.margins / found.equality
    names = [f"input strength {gamma:g}" for gamma in found.strengths]
    over_bound(axes[0], ratios, found.right[..., -1], names, ends)
    over_bound(axes[1], ratios, found.fraction[..., 0], names, ends)
    over_bound(axes[2], ratios, found.fraction[..., -1], names, ends)
    axes[0].set(ylabel="share of right signs", title=f"{found.passes[-1]} passes")
    for ax, passes in zip(axes[1:], found.passes[[0, -1]]):
        ax.set(ylabel="share recalled", title=f"{passes} passes", ylim=(-0.03, 1.05))
    for ax in axes:
        ax.set(xlabel="load over the bound of equalities")
    return figure
