"""Taught by longer delays or by more classes: what does either curriculum leave behind?

Networks of three cells learn to name a picture up to 19 frames after it was seen: with trials
that grow from 6 to 20 frames, or with a vocabulary that grows from 2 to 10 classes. They are
asked up to 1000 frames after. Beside what they answer stand the speed at their slow points, and
where memories go that are left alone. In the full run neither curriculum makes gated networks
remember longer; the vocabulary leaves slower points, which classes share.

Paper: Haviv, Rivkind and Barak 2019, Proceedings of Machine Learning Research 97, 2663, the
curricula. Digits of 8 x 8 pixels and fewer updates than the paper's.
Takes: 32 s quick, 60 min full
"""

import dataclasses

import numpy as np
import pydantic
import scipy.stats
from jaxtyping import Float, Int

from slowpoint.analysis.agreement import spearman
from slowpoint.analysis.picture_memory import FLIP, Memories, memories, Settings as Base
from slowpoint.core.claim import at_least, at_most, Claim, equal, reported
from slowpoint.plots.retention import by_class, by_delay
from slowpoint.plots.style import row

BARS = {("digits", "gru"): 0.94, ("mnist whole", "gru"): 0.93}  # of accuracy at 19


class Settings(Base):
    cells: tuple[str, ...] = pydantic.Field(
        default=("gru", "lstm", "vanilla"), min_length=1, description="kinds of network"
    )


QUICK = Settings(
    cells=("gru",), networks=1, units=48, updates=1000, searches=(2000,), deepest=400, walk=1000
)


@dataclasses.dataclass(frozen=True)
class Results:
    left: Memories


def run(settings: Settings) -> Results:
    return Results(memories(settings))


def claims(results: Results) -> list[Claim]:
    """Bars are those of digits and the GRU, but one; what else is found is reported."""
    left = results.left
    found = [
        equal("networks that stopped learning", (left.stopped >= 0).sum(), 0),
        at_least("gated networks: accuracy at 19, mean", _gated(left), 0.8),
    ]
    for cell in np.unique(left.cell).tolist():
        found += _beyond(left, cell)
        for name in np.unique(left.curriculum).tolist():
            arm = (left.cell == cell) & (left.curriculum == name)
            if arm.any():
                found += _arm(left, arm, f"{cell}, {name}", BARS.get((left.data, cell)))
    return found


def _gated(left: Memories) -> float:
    return left.accuracy[left.cell != "vanilla", left.at(19)].mean()


def _beyond(left: Memories, cell: str) -> list[Claim]:
    """C1: unequal beyond the delays taught, forgotten in the end."""
    at = lambda d: left.accuracy[left.cell == cell, left.at(d)]
    judge = (left.data, cell) == ("digits", "gru")
    spread, mean = np.ptp(at(100)), {d: at(d).mean() for d in (500, 1000)}
    rows = [(at_least, f"{cell}: accuracy at 100, most less least", spread, 0.15)]
    rows += [(at_most, f"{cell}: accuracy at {d}, mean", mean[d], 0.15) for d in mean]
    found = [
        _claim(relation, says, v, bar if judge else None) for relation, says, v, bar in rows
    ]
    delay, words = (
        left.accuracy[(left.cell == cell) & (left.curriculum == name), left.at(100)]
        for name in ("delay", "vocabulary")
    )
    if len(delay) and len(words):
        says = f"{cell}: accuracy at 100, delay less vocabulary, means"
        p = scipy.stats.mannwhitneyu(delay, words).pvalue
        gap = delay.mean() - words.mean()
        found.append(reported(f"{says} (p {p:.2g}, rank sums)", gap))
        found.append(
            reported(f"{cell}: classes taught earlier last longer, ranks", _early(left, cell))
        )
    return found


def _claim(relation, says: str, value: float, bar: float | None) -> Claim:
    return reported(says, value) if bar is None else relation(says, value, bar, "full")


def _early(left: Memories, cell: str) -> float:
    """Order of teaching against what the vocabulary adds to informedness at 100, by class.

    Against the other curricula, which have no order: a digit that lasts in all counts as none.
    """
    own, words = left.cell == cell, left.curriculum == "vocabulary"
    mean = lambda rows: _mean(left.informed[rows][:, :, left.at(100)])
    added = mean(own & words) - mean(own & ~words)
    return spearman(-np.arange(len(added), dtype=float), added)


def _arm(left: Memories, arm, says: str, bar: float | None) -> list[Claim]:
    """The networks of one cell and curriculum."""
    right = lambda d: left.accuracy[arm, left.at(d)]
    informed = lambda d: np.nanmean(left.informed[arm][:, :, left.at(d)])
    beyond = lambda of: ", ".join(f"{np.mean(of(d)):.3f} at {d}" for d in (50, 100, 200))
    own = np.arange(left.turned.shape[1])
    gone = left.turned[arm] != own
    lower = (left.turned[arm] < own)[gone].mean() if gone.any() else np.nan
    most = _named(left)[arm][:, :, left.at(200)].max(axis=1).mean()
    read = np.mean([len(np.unique(one)) for one in left.final[arm]])
    slow = np.log10(left.value(left.search[0])[arm]).mean()
    rows = [
        (f"informedness at 19, mean ({beyond(informed)})", informed(19)),
        ("accuracy at 100, sd over networks", right(100).std()),
        (f"log10 speed at the slow point ({left.search[0]}), mean", slow),
        ("flip time, median", np.median(left.value(FLIP)[arm])),
        ("memories that turn: into a class of a lower number, share", lower),
        ("answer given most often at 200, share", most),
        (f"classes read out where free paths end, mean ({_sinks(left.final[arm])})", read),
    ]
    inside = f"{says}: accuracy at 19, mean ({beyond(right)})"
    found = [reported(f"{says}: {what}", value) for what, value in rows]
    return [_claim(at_least, inside, right(19).mean(), bar), *found]


def _named(left: Memories) -> Float[np.ndarray, "network class delay"]:
    """Share of all pictures that are named so, every class counted alike."""
    others = left.right.shape[1] - 1
    wrong = left.right - left.informed
    return np.nan_to_num((left.right + others * wrong) / (others + 1))


def _sinks(ends: Int[np.ndarray, "network class"]) -> str:
    """The class that most free paths of each network end in, in words."""
    most = [np.unique(one, return_counts=True) for one in ends]
    return "most in " + ", ".join(str(names[counts.argmax()]) for names, counts in most)


def _mean(rows: Float[np.ndarray, "network class"]) -> Float[np.ndarray, " class"]:
    """Over the networks that ever name the class."""
    known = np.isfinite(rows)
    return np.where(known, rows, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)


def draw(results: Results):
    left = results.left
    cells = np.unique(left.cell).tolist()
    figure, axes = row(len(cells) + 1, width=3.0 * (len(cells) + 1), height=2.8)
    figure.suptitle(left.data, fontsize="small")
    for ax, cell in zip(axes, cells):
        own = left.cell == cell
        names = np.unique(left.curriculum[own]).tolist()
        by_delay(
            ax,
            left.delays.astype(float),
            {name: left.accuracy[own & (left.curriculum == name)] for name in names},
        )
        ax.set(title=cell, ylabel="accuracy")
    names = np.unique(left.curriculum).tolist()
    informed = left.informed[:, :, left.at(100)]
    by_class(axes[-1], {n: _mean(informed[left.curriculum == n]) for n in names})
    axes[-1].set(ylabel="informedness at 100")
    return figure
