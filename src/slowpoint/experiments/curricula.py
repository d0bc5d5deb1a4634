"""Taught by longer delays or by more classes: what does either curriculum leave behind?

Networks of three cells learn to name a picture up to 19 frames after it was seen: with trials
that grow from 6 to 20 frames, or with a vocabulary that grows from 2 to 10 classes. They are
asked up to 1000 frames after. Beside what they answer stand the speed at their slow points, and
where memories go that are left alone.

Paper: Haviv, Rivkind and Barak 2019, Proceedings of Machine Learning Research 97, 2663, the
curricula. Digits of 8 x 8 pixels and fewer updates than the paper's.
Takes: 30 s quick, 60 min full
"""

import dataclasses

import jax.random as jr
import numpy as np
import pydantic
import scipy.stats
from jaxtyping import Float, Int, Shaped

from slowpoint.analysis.agreement import spearman
from slowpoint.analysis.class_points import class_slow_points, ClippedAdam
from slowpoint.analysis.free_path import flip_time
from slowpoint.analysis.memory import class_centres
from slowpoint.analysis.retention import retention
from slowpoint.core.claim import at_least, at_most, Claim, equal, reported
from slowpoint.core.result import Result
from slowpoint.learning.picture_study import Album, over_networks, Settings as Base
from slowpoint.learning.training import Training
from slowpoint.plots.retention import by_class, by_delay
from slowpoint.plots.style import row

DELAYS = (4, 19, 50, 100, 200, 500, 1000)
BARS = {("digits", "gru"): 0.94, ("mnist whole", "gru"): 0.93}  # of accuracy at 19


class Settings(Base):
    cells: tuple[str, ...] = pydantic.Field(
        default=("gru", "lstm", "vanilla"), min_length=1, description="kinds of network"
    )
    search: int = pydantic.Field(
        default=20_000, ge=10, description="steps of Adam to a slow point; it is not the bottom"
    )
    walk: int = pydantic.Field(
        default=1000, ge=2, description="steps without noise from the centres"
    )


QUICK = Settings(cells=("gru",), networks=1, units=48, updates=1000, search=2000)


class Left(Result):
    """What one network is left with."""

    stopped: int  # update that was not finite; -1: none
    accuracy: Float[np.ndarray, " delay"]
    informed: Float[np.ndarray, "class delay"]  # NaN: a class never named
    named: Float[np.ndarray, "class delay"]  # share of all pictures named so
    speeds: Float[np.ndarray, " class"]  # at the slow point, per step
    flips: Int[np.ndarray, " class"]  # steps; `walk` when none
    turned: Int[np.ndarray, " class"]  # into which class; its own if never
    ends: Int[np.ndarray, " class"]  # what the end of the free path is read out as


class Lefts(Result):
    """All networks, one row each."""

    data: str
    cell: Shaped[np.ndarray, " network"]
    curriculum: Shaped[np.ndarray, " network"]
    delays: Float[np.ndarray, " delay"]
    stopped: Int[np.ndarray, " network"]
    accuracy: Float[np.ndarray, "network delay"]
    informed: Float[np.ndarray, "network class delay"]
    named: Float[np.ndarray, "network class delay"]
    speeds: Float[np.ndarray, "network class"]
    flips: Int[np.ndarray, "network class"]
    turned: Int[np.ndarray, "network class"]
    ends: Int[np.ndarray, "network class"]


@dataclasses.dataclass(frozen=True)
class Results:
    left: Lefts


def run(settings: Settings) -> Results:
    recipes = settings.recipes()
    found = over_networks(settings, Left, measure)
    names = [field.name for field in dataclasses.fields(Left)]
    return Results(
        Lefts(
            data=settings.data,
            cell=np.array([recipe.cell for recipe in recipes]),
            curriculum=np.array([recipe.curriculum for recipe in recipes]),
            delays=np.array(DELAYS, float),
            **{name: np.stack([getattr(one, name) for one in found]) for name in names},
        )
    )


def measure(settings: Settings, training: Training, album: Album) -> Left:
    """What one network answers, and where its memories go."""
    net, task, test = training.system, album.task, album.test
    noise, ask = jr.split(jr.key(settings.seed))  # the same frames and questions for all
    asked = net, task, test.images, test.labels, np.array(DELAYS)
    answers = retention(*asked, key=ask, repeats=album.repeats)
    centres = class_centres(net, task, key=noise, scale=album.calm).states
    points = class_slow_points(net, task, centres, ClippedAdam(settings.search))
    path = flip_time(net, task, centres, most=settings.walk)
    own = (answers.trials / answers.trials.sum())[:, None]
    named = np.nan_to_num(own * answers.tpr + (1 - own) * answers.fpr)
    return Left(
        stopped=int(training.stopped),
        accuracy=answers.accuracy,
        informed=answers.informedness,
        named=named,
        speeds=points.minimised,
        flips=path.steps,
        turned=path.turned,
        ends=path.named[:, -1],
    )


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


def _gated(left: Lefts) -> float:
    return left.accuracy[left.cell != "vanilla", DELAYS.index(19)].mean()


def _beyond(left: Lefts, cell: str) -> list[Claim]:
    """C1: unequal beyond the delays taught, forgotten in the end."""
    at = lambda d: left.accuracy[left.cell == cell, DELAYS.index(d)]
    judge = (left.data, cell) == ("digits", "gru")
    spread, mean = np.ptp(at(100)), {d: at(d).mean() for d in (500, 1000)}
    rows = [(at_least, f"{cell}: accuracy at 100, most less least", spread, 0.15)]
    rows += [(at_most, f"{cell}: accuracy at {d}, mean", mean[d], 0.15) for d in mean]
    found = [
        _claim(relation, says, v, bar if judge else None) for relation, says, v, bar in rows
    ]
    delay, words = (
        left.accuracy[(left.cell == cell) & (left.curriculum == name), DELAYS.index(100)]
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


def _early(left: Lefts, cell: str) -> float:
    """Order of teaching against what the vocabulary adds to informedness at 100, by class.

    Against the other curricula, which have no order: a digit that lasts in all counts as none.
    """
    own, words = left.cell == cell, left.curriculum == "vocabulary"
    mean = lambda rows: _mean(left.informed[rows][:, :, DELAYS.index(100)])
    added = mean(own & words) - mean(own & ~words)
    return spearman(-np.arange(len(added), dtype=float), added)


def _arm(left: Lefts, arm, says: str, bar: float | None) -> list[Claim]:
    """The networks of one cell and curriculum."""
    right = lambda d: left.accuracy[arm, DELAYS.index(d)]
    informed = lambda d: np.nanmean(left.informed[arm][:, :, DELAYS.index(d)])
    beyond = lambda of: ", ".join(f"{np.mean(of(d)):.3f} at {d}" for d in (50, 100, 200))
    own = np.arange(left.turned.shape[1])
    gone = left.turned[arm] != own
    lower = (left.turned[arm] < own)[gone].mean() if gone.any() else np.nan
    most = left.named[arm][:, :, DELAYS.index(200)].max(axis=1).mean()
    read = np.mean([len(np.unique(one)) for one in left.ends[arm]])
    rows = [
        (f"informedness at 19, mean ({beyond(informed)})", informed(19)),
        ("accuracy at 100, sd over networks", right(100).std()),
        ("log10 speed at the slow point, mean", np.log10(left.speeds[arm]).mean()),
        ("flip time, median", np.median(left.flips[arm])),
        ("memories that turn: into a class of a lower number, share", lower),
        ("answer given most often at 200, share", most),
        (f"classes read out where free paths end, mean ({_sinks(left.ends[arm])})", read),
    ]
    inside = f"{says}: accuracy at 19, mean ({beyond(right)})"
    found = [reported(f"{says}: {what}", value) for what, value in rows]
    return [_claim(at_least, inside, right(19).mean(), bar), *found]


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
    for ax, cell in zip(axes, cells):
        own = left.cell == cell
        names = np.unique(left.curriculum[own]).tolist()
        by_delay(
            ax,
            left.delays,
            {name: left.accuracy[own & (left.curriculum == name)] for name in names},
        )
        ax.set(title=cell, ylabel="accuracy")
    names = np.unique(left.curriculum).tolist()
    informed = left.informed[:, :, DELAYS.index(100)]
    by_class(axes[-1], {n: _mean(informed[left.curriculum == n]) for n in names})
    axes[-1].set(ylabel="informedness at 100")
    return figure
