r"""Does an arm that learns to reach go through the stages of a linear plant?

A GRU moves the two joints of a planar arm by torques, sees the hand and its velocity, and
learns to bring it to eight targets and hold it there. The plant is not linear, and its friction
damps it a little by itself. Spectra are those of the Jacobian of the joint step of arm and
network at the first target, the gain is a regression of torques on displacements from the
targets, and the push says how strongly it brings the arm back in the joint direction in which
it does so least.

Stage 1 ends where the push alone would bring a displaced arm back within a movement (a
quarter of a swing), stage 2 after the last snapshot whose spectral radius is 1 or more.

Paper: Ger and Barak 2025, arXiv:2505.13567, for the stages; Li and Todorov 2004, ICINCO, 222,
for the arm. The question is ours.
Takes: 21 s quick, 45 s full
"""

import dataclasses
import math

import jax.random as jr
import numpy as np
import optax
import pydantic
from jaxtyping import Float, Int

from slowpoint.analysis.loop_history import loop_history, LoopHistory
from slowpoint.cells.gru import GRU
from slowpoint.core.claim import at_most, Claim, equal, reported
from slowpoint.core.closed_loop import ClosedLoop
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.core.with_effort import WithEffort
from slowpoint.learning.descend import descend
from slowpoint.learning.given_trials import GivenTrials
from slowpoint.learning.grid import Linear
from slowpoint.plots.learning_loop import learning_loop
from slowpoint.plots.style import grid
from slowpoint.tasks.reach import Reach
from slowpoint.worlds.two_joint_arm import TwoJointArm

TARGETS = 8


class Settings(Base):
    networks: int = pydantic.Field(default=3, ge=1, description="that learn, one by one")
    units: int = pydantic.Field(default=32, ge=2, description="of the GRU")
    early: int = pydantic.Field(default=600, ge=5, description="updates with the first T")
    updates: int = pydantic.Field(default=1600, ge=10, description="of Adam, clipped at norm 1")
    rate: float = pydantic.Field(default=3e-3, gt=0, description="learning rate of Adam")
    reach: int = pydantic.Field(default=80, ge=51, description="first T, ticks; 50 to move")
    hold: int = pydantic.Field(default=200, ge=51, description="T after that, ticks")
    snapshots: int = pydantic.Field(default=81, ge=3, description="looks at each network")


QUICK = Settings(networks=1)


class Networks(Result):
    """What is the same of every network. Borders: -1 where one was not reached."""

    updates: Int[np.ndarray, " snapshot"]
    losses: Float[np.ndarray, "network update"]
    radius: Float[np.ndarray, "network snapshot"]
    push: Float[np.ndarray, "network snapshot"]
    effort: Float[np.ndarray, "network snapshot"]  # at the target, over the rms on the way
    first_end: Int[np.ndarray, " network"]
    second_end: Int[np.ndarray, " network"]
    border: float  # of the push
    miss: float  # how far the targets' postures are from rest and target


@dataclasses.dataclass(frozen=True)
class Results:
    first: LoopHistory  # of the first network
    networks: Networks


def run(settings: Settings) -> Results:
    tasks = [Reach(steps=steps) for steps in (settings.reach, settings.hold)]
    lessons = [GivenTrials(task, task.every(TARGETS)) for task in tasks]
    curriculum = [
        (min(settings.early, settings.updates - 1), lessons[0]),
        (settings.updates, lessons[1]),
    ]
    border = -((math.pi / 2 / tasks[0].moving) ** 2)
    looks = []
    for key in jr.split(jr.key(settings.seed), settings.networks):
        start, learn = jr.split(key)
        loop = ClosedLoop(TwoJointArm(), GRU.random(settings.units, 4, 2, key=start))
        training = descend(
            WithEffort(loop, shows="output"),
            curriculum,
            updates=settings.updates,
            key=learn,
            optimiser=optax.chain(optax.clip_by_global_norm(1.0), optax.adam(settings.rate)),
            snapshots=Linear(settings.snapshots),
        )
        looks.append(loop_history(training, lessons[1].trials, border=border))
    stack = lambda name: np.array([getattr(look, name) for look in looks])
    names = ("losses", "radius", "push", "effort", "first_end", "second_end")
    networks = Networks(
        updates=looks[0].updates,
        border=border,
        miss=max(look.miss for look in looks),
        **{name: stack(name) for name in names},
    )
    return Results(looks[0], networks)


def claims(results: Results) -> list[Claim]:
    found = results.networks
    last, between = found.radius[:, -1], _between(found)
    return [
        at_most("largest distance of a goal from rest and target", found.miss, 1e-9),
        reported("before learning: least spectral radius", found.radius[:, 0].min()),
        at_most("after: largest spectral radius at the target", last.max(), 1),
        equal("networks whose push never ended stage 1", (found.first_end < 0).sum(), 0),
        equal("networks that are not stable at the end", (found.second_end < 0).sum(), 0),
        reported("networks unstable between the borders", (between >= 1).sum()),
        reported("and whose radius rises there", (_rise(found) > 0).sum()),
        reported("stage 1 ends at update, median", np.median(found.first_end)),
        reported("stage 2 ends at update, median", np.median(found.second_end)),
        reported("the latest", found.second_end.max()),
        reported("loss at first, median", np.median(found.losses[:, 0])),
        reported("where stage 1 ends, median", np.median(_loss_at(found, found.first_end))),
        reported("where stage 2 ends, median", np.median(_loss_at(found, found.second_end))),
        reported("at the end, median", np.median(found.losses[:, -1])),
        reported("effort at the target over the rms, largest", found.effort[:, -1].max()),
    ]


def _between(found: Networks) -> Float[np.ndarray, " network"]:
    """The largest radius between the two borders; 0 where there is nothing between them."""
    inside = (found.updates >= found.first_end[:, None]) & (
        found.updates < found.second_end[:, None]
    )
    return np.where(inside, found.radius, 0).max(axis=1)


def _rise(found: Networks) -> Float[np.ndarray, " network"]:
    """How far the largest radius between the borders is above that where stage 1 ends."""
    at = np.searchsorted(found.updates, np.maximum(found.first_end, 0))
    return _between(found) - found.radius[np.arange(len(at)), at]


def _loss_at(found: Networks, updates: Int[np.ndarray, " network"]) -> np.ndarray:
    last = found.losses.shape[1] - 1
    return found.losses[np.arange(len(updates)), np.clip(updates, 0, last)]


def draw(results: Results):
    figure, axes = grid(2, 2, width=7.4, height=6.0)
    learning_loop(axes, results.first)
    others = results.networks
    for row in others.radius[1:]:
        axes[0, 1].plot(others.updates, row, color="black", lw=0.5, alpha=0.5)
    return figure
