"""What tells how long a class is remembered: the speed of its slow point, or a run?

Memories of two cells learn by two curricula to name a picture up to 19 frames after it was
seen, and are asked up to 1000 frames after. Beside that stand, class by class, the speed at
its slow point, by the paper's descent (its steps are said: the speed depends on them) and at
the bottom of the valley; the speed 40 steps along the free path from its centre; and the step
at which that path is first read out as another class, its flip time. In the full run flip time
orders classes (rank .82), siblings (.92) and all networks (.89) best. The paper's speed orders
classes in the GRU (-.33) and not in the LSTM (.02).

Paper: Haviv, Rivkind and Barak 2019, Proceedings of Machine Learning Research 97, 2663, speed
and memory. Digits of 8 x 8 pixels and fewer updates than the paper's.
Takes: 28 s quick, 45 min full
"""

import dataclasses

import jax.random as jr
import numpy as np
import pydantic
from jaxtyping import Float, Int, Shaped

from slowpoint.analysis.agreement import agreement, LEVELS
from slowpoint.analysis.picture_memory import (
    BOTTOM,
    FLIP,
    Memories,
    memories,
    Settings as Base,
)
from slowpoint.core.claim import at_least, at_most, Claim, equal, reported
from slowpoint.core.result import Result
from slowpoint.plots.agreement import cloud, intervals
from slowpoint.plots.style import row

JUDGED = "accuracy at 100"
ZERO = 1e-12  # a speed below is rounding: the point is fixed
SHARP = 1e-10  # |projected gradient of q| of a bottom


class Settings(Base):
    draws: int = pydantic.Field(default=1000, ge=2, description="of the bootstrap")


QUICK = Settings(
    cells=("gru",),
    networks=1,
    units=48,
    updates=1000,
    searches=(2000,),
    deepest=400,
    walk=2000,
    draws=100,
)


class Foretold(Result):
    """`Agreement` for each group of networks and each outcome, one row per pair."""

    group: Shaped[np.ndarray, " row"]  # a cell, or all
    outcome: Shaped[np.ndarray, " row"]
    ranks: Float[np.ndarray, "row level predictor"]
    ranges: Float[np.ndarray, "row level predictor 2"]
    lead: Float[np.ndarray, "row level predictor other"]
    lead_ranges: Float[np.ndarray, "row level predictor other 2"]
    used: Int[np.ndarray, "row predictor"]


@dataclasses.dataclass(frozen=True)
class Results:
    networks: Memories
    foretold: Foretold


def run(settings: Settings) -> Results:
    networks = memories(settings)
    return Results(networks, _foretold(networks, settings))


def _foretold(networks: Memories, settings: Settings) -> Foretold:
    """How well each predictor orders each outcome, in all networks and in those of a cell.

    A bottom that was not reached is unknown.
    """
    values = np.moveaxis(networks.values, 1, 0)
    flips, ground = ((networks.predictor == name)[:, None, None] for name in (FLIP, BOTTOM))
    values = np.where(ground & (networks.gradients > SHARP), np.nan, values)
    values = np.where(flips, np.log1p(values), np.log(np.maximum(values, ZERO)))
    outcomes = {
        f"accuracy at {d}": networks.right[:, :, networks.at(d)] for d in (50, 100, 200)
    }
    outcomes["informedness at 100"] = networks.informed[:, :, networks.at(100)]
    groups = {str(cell): networks.cell == cell for cell in np.unique(networks.cell)}
    if len(groups) > 1:
        groups = {"all": np.ones(len(networks.cell), bool)} | groups
    arms = np.char.add(networks.cell, networks.curriculum)
    rows = []
    for chosen in groups.values():
        for outcome in outcomes.values():
            rows.append(
                agreement(
                    values[:, chosen],
                    outcome[chosen],
                    arms[chosen],
                    key=jr.key(settings.seed),
                    draws=settings.draws,
                )
            )
    names = ("ranks", "ranges", "lead", "lead_ranges", "used")
    return Foretold(
        group=np.repeat(list(groups), len(outcomes)),
        outcome=np.tile(list(outcomes), len(groups)),
        **{name: np.stack([getattr(row, name) for row in rows]) for name in names},
    )


def claims(results: Results) -> list[Claim]:
    """Bars are those of digits and the GRU, but one; other cells are reported."""
    networks = results.networks
    inside = networks.accuracy[:, networks.at(19)].mean()
    found = [
        equal("networks that stopped learning", (networks.stopped >= 0).sum(), 0),
        at_least("accuracy at 19, mean of all networks", inside, 0.8),
        reported("classes never named: their retention is undefined", _never(networks)),
        reported("centres of trials read out wrong", networks.fallback.sum()),
    ]
    for cell in np.unique(networks.cell).tolist():
        found += _points(networks, cell)
    return [*found, *_order(results)]


def _never(networks: Memories) -> int:
    return int(np.isnan(networks.right[:, :, 0]).sum())


def _claim(relation, says: str, value: float, bar: float | None) -> Claim:
    return reported(says, value) if bar is None else relation(says, value, bar, "full")


def _points(networks: Memories, cell: str) -> list[Claim]:
    """C2: does a slow point read out its class, and how many are there?"""
    some = networks.cell == cell
    judged = networks.data == "digits" and cell == "gru"
    sharp = (networks.gradients[some] <= SHARP).mean()
    says = f"{cell}: bottoms with a gradient <= {SHARP:g}, share"
    own = (networks.reads == np.arange(networks.reads.shape[2]))[some].mean(axis=(0, 2))
    found = [_claim(at_least, says, sharp, 0.9 if judged else None)]
    for number, name in enumerate(networks.search):
        says = f"{cell}, {name}: points read out as their class, share"
        found.append(
            _claim(at_least, says, own[number], 0.95 if judged and not number else None)
        )
    different = [len(np.unique(one)) for one in networks.bottoms[some]]
    resting = [len(np.unique(one[one >= 0])) for one in networks.ends[some]]
    read = [len(np.unique(one)) for one in networks.final[some]]
    moving = (networks.ends[some] < 0).mean()
    return [
        *found,
        reported(f"{cell}: bottoms of a network that differ, mean", np.mean(different)),
        reported(f"{cell}: places where its free paths rest, mean", np.mean(resting)),
        reported(f"{cell}: places where they rest, most", np.max(resting)),
        reported(f"{cell}: classes read out at their ends, mean", np.mean(read)),
        reported(f"{cell}: free paths that still move, share", moving),
    ]


def _order(results: Results) -> list[Claim]:
    """C3: what foretells accuracy at 100, by class and by network."""
    networks, told = results.networks, results.foretold
    rows = [i for i, outcome in enumerate(told.outcome) if outcome == JUDGED]
    names, found = networks.predictor.tolist(), []
    for i in rows:
        group = told.group[i]
        for k, name in enumerate(names):
            by_class, *others = map(_with_range, told.ranks[i, :, k], told.ranges[i, :, k])
            words = ", ".join(f"{what} {r}" for what, r in zip(LEVELS[1:], others))
            what = f"{group}: {name} and {JUDGED}, ranks"
            says = f"{what} within networks {by_class} of {told.used[i, k]} classes; {words}"
            judged = networks.data == "digits" and group == "gru" and k == 0
            found.append(_claim(at_most, says, told.ranks[i, 0, k], -0.25 if judged else None))
    best = names.index(FLIP)
    says = f"{FLIP} and {JUDGED}, ranks within networks"
    found.append(at_least(says, told.ranks[rows[0], 0, best], 0.25))
    for k, name in enumerate(names[:best]):
        low = told.lead_ranges[rows[0], 0, best, k, 0]
        says = f"{FLIP} ahead of {name} within networks, |ranks|, low end of 95 %"
        found.append(at_least(says, low, 0, "full"))
    return found


def _with_range(value: float, ends: Float[np.ndarray, " 2"]) -> str:
    if np.isnan(value):
        return "undefined"
    drawn = "no interval" if np.isnan(ends).any() else f"{ends[0]:.2f}, {ends[1]:.2f}"
    return f"{value:.2f} [{drawn}]"


def draw(results: Results):
    networks, told = results.networks, results.foretold
    figure, axes = row(5, width=14.0, height=3.0)
    figure.suptitle(networks.data, fontsize="small")
    names = networks.predictor.tolist()
    right = networks.right[:, :, networks.at(100)]
    for ax, name in zip(axes, (FLIP, BOTTOM)):
        cloud(ax, np.maximum(networks.value(name), ZERO), right, networks.cell)
        ax.set(xlabel=name, ylabel=JUDGED)
    one = list(told.outcome).index(JUDGED)
    for level, ax in enumerate(axes[2:]):
        said = names if level == 0 else [""] * len(names)
        intervals(ax, said, told.ranks[one, level], told.ranges[one, level])
        ax.set(title=LEVELS[level], xlabel=f"ranks, with {JUDGED}")
    return figure
