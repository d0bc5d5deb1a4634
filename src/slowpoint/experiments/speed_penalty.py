"""Does a network remember longer once it was taught to stand still where its memories rest?

Networks learn to name digits some frames after they were seen. Each is then taught a little
longer in three ways that share every draw: as before (control), with a penalty on its speed at
the slow point of each class, and with one at the centre of each class, found without a search.

Paper: Haviv, Rivkind and Barak 2019, Proceedings of Machine Learning Research 97, 2663, the
regulariser. Digits of 8 x 8 pixels and fewer updates than the paper's.
Takes: 39 s quick, 11 min full
"""

import dataclasses
from typing import Literal

import jax.random as jr
import numpy as np
import optax
import pydantic
import scipy.stats
from jaxtyping import Float, Shaped

from slowpoint.analysis.class_points import class_slow_points, ClippedAdam
from slowpoint.analysis.memory import class_centres
from slowpoint.analysis.retention import Retention, retention
from slowpoint.cells.gru import GRU
from slowpoint.core.claim import at_least, at_most, Claim, equal, reported
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.learning.descend import descend
from slowpoint.learning.fan_in import fan_in
from slowpoint.learning.speed_penalty import Penalised, speed_penalty
from slowpoint.learning.train import TaskLoss, train
from slowpoint.plots.retention import by_delay, paired
from slowpoint.plots.style import row
from slowpoint.recordings.images import digits, Images, mnist
from slowpoint.tasks.delayed_classification import curriculum, DelayedClassification

ARMS = ("none", "control", "slow points", "centres")
CURRICULA = ("delay", "vocabulary")
DELAYS = (4, 19, 50, 100, 200, 500, 1000)


class Settings(Base):
    data: Literal["digits", "mnist"] = pydantic.Field(
        default="digits", description="pictures to be remembered; both come with the package"
    )
    networks: int = pydantic.Field(
        default=8, ge=1, description="every second one by the other curriculum"
    )
    units: int = pydantic.Field(default=100, ge=4, description="neurons, N")
    updates: int = pydantic.Field(default=5000, ge=18, description="gradient steps")
    longer: int = pydantic.Field(default=500, ge=1, description="gradient steps of each arm")
    batch: int = pydantic.Field(default=64, ge=1, description="trials per update")
    rate: float = pydantic.Field(default=1e-3, gt=0, description="Adam's, of both trainings")
    weight: float = pydantic.Field(default=1e-3, ge=0, description="of the penalty, lambda")
    repeats: int = pydantic.Field(default=10, ge=1, description="frames of noise per point")
    search: int = pydantic.Field(
        default=20_000, ge=10, description="steps of Adam to a slow point; it is not the bottom"
    )


QUICK = Settings(networks=1, units=64, updates=1500, longer=300)


class Arms(Result):
    """One row per network."""

    curriculum: Shaped[np.ndarray, " network"]
    arm: Shaped[np.ndarray, " arm"]
    delays: Float[np.ndarray, " delay"]
    accuracy: Float[np.ndarray, "network arm delay"]
    informedness: Float[np.ndarray, "network arm delay"]  # mean over the classes ever named
    never: Float[np.ndarray, "network arm"]  # classes never named: their retention is undefined
    speeds: Float[np.ndarray, "network arm"]  # geometric mean over the arm's own slow points
    stopped: Float[np.ndarray, "network arm"]  # update that was not finite; -1: none


@dataclasses.dataclass(frozen=True)
class Results:
    arms: Arms


def run(settings: Settings) -> Results:
    data = digits() if settings.data == "digits" else mnist()
    task = DelayedClassification.of(data.train.images, data.train.labels)
    rows = []
    for number, key in enumerate(jr.split(jr.key(settings.seed), settings.networks)):
        name = CURRICULA[number % 2]
        rows.append({"curriculum": name} | _network(task, data.test, name, settings, key))
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return Results(Arms(arm=np.array(ARMS), delays=np.array(DELAYS, float), **columns))


def _network(task: DelayedClassification, test: Images, name: str, settings: Settings, key):
    """All arms of one network."""
    start, weights, learn, longer, noise, ask = jr.split(key, 6)
    net = GRU.random(
        settings.units, task.input_size, task.output_size, reset_after=False, key=start
    )
    optimiser = optax.adam(settings.rate)
    lessons = task.lessons(curriculum(name, settings.updates))
    trained = train(
        fan_in(net, weights),
        lessons,
        updates=settings.updates,
        batch=settings.batch,
        key=learn,
        optimiser=optimiser,
    ).system
    centres = class_centres(trained, task, key=jr.clone(noise)).states  # arms share draws
    slow = class_slow_points(trained, task, centres, ClippedAdam(settings.search)).states
    terms = {"control": (slow, 0.0), "slow points": (slow, settings.weight)}
    terms["centres"] = (centres, settings.weight)
    rows = [_measured(trained, task, test, settings, noise, ask) | {"stopped": -1.0}]
    options = {"updates": settings.longer, "optimiser": optimiser}
    for points, weight in terms.values():
        term = speed_penalty(points, task.noise, repeats=settings.repeats, weight=weight)
        loss = Penalised(TaskLoss(task, settings.batch), term)
        taught = descend(trained, loss, key=jr.clone(longer), **options)
        found = _measured(taught.system, task, test, settings, noise, ask)
        rows.append(found | {"stopped": float(taught.stopped)})
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _measured(net: GRU, task, test: Images, settings: Settings, noise, ask) -> dict:
    """How long a network remembers, and how slow it is where it does."""
    kept = retention(
        net, task, test.images, test.labels, np.array(DELAYS), key=jr.clone(ask), repeats=2
    )
    centres = class_centres(net, task, key=jr.clone(noise)).states
    points = class_slow_points(net, task, centres, ClippedAdam(settings.search))
    return {
        "accuracy": kept.accuracy,
        "informedness": _mean_informedness(kept),
        "never": float((~kept.named).sum()),
        "speeds": float(np.exp(np.log(points.speeds).mean())),
    }


def _mean_informedness(kept: Retention) -> Float[np.ndarray, " delay"]:
    return kept.informedness[kept.named].mean(axis=0)


def claims(results: Results) -> list[Claim]:
    arms = results.arms
    delay = lambda d: list(arms.delays).index(d)
    of = {name: i for i, name in enumerate(arms.arm.tolist())}
    informed, right = arms.informedness[:, :, delay(100)], arms.accuracy
    control = informed[:, of["control"]]
    found = []
    for name in ("slow points", "centres"):
        gain = informed[:, of[name]] - control
        cost = right[:, of["control"], delay(19)] - right[:, of[name], delay(19)]
        found += [
            equal(f"{name}: networks that gain on control at 100", (gain > 0).sum(), len(gain)),
            at_least(f"{name}: informedness gained at 100, mean", gain.mean(), 0.2, "full"),
            at_most(f"{name}: accuracy lost at 19, mean", cost.mean(), 0.01, "full"),
            reported(f"{name}: p of the paired gain at 100", _paired(gain)),
        ]
    everywhere = right[:, :, delay(100)].ravel()
    slow, good = _ranks(arms.speeds.ravel()), _ranks(everywhere)
    ordered = float(np.corrcoef(slow, good)[0, 1])
    found.append(
        at_most("speed against accuracy at 100 over all arms, ranks", ordered, -0.5, "full")
    )
    for name, i in of.items():
        mean = right[:, i].mean(axis=0)
        words = ", ".join(f"{mean[delay(d)]:.3f} at {d}" for d in (19, 50, 200))
        found.append(reported(f"{name}: accuracy at 100 ({words})", mean[delay(100)]))
    return found


def _paired(gain: Float[np.ndarray, " network"]) -> float:
    """Two-sided p of Wilcoxon's signed ranks; 1 when nothing differs."""
    return float(scipy.stats.wilcoxon(gain)[1]) if gain.any() else 1.0  # pyright: ignore


def _ranks(values: Float[np.ndarray, " any"]) -> Float[np.ndarray, " any"]:
    return scipy.stats.rankdata(values)


def draw(results: Results):
    arms = results.arms
    figure, axes = row(2, width=7.0, height=2.8)
    by_delay(axes[0], arms.delays, dict(zip(arms.arm, np.moveaxis(arms.informedness, 1, 0))))
    hundred = arms.informedness[:, :, list(arms.delays).index(100)]
    paired(axes[1], arms.arm.tolist(), hundred)
    axes[0].set(ylabel="informedness")
    axes[1].set(ylabel="informedness at 100")
    return figure
