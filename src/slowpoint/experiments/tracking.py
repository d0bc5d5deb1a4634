r"""In which order does a network in a loop learn to follow frequencies, and at whose cost?

A linear network with a leak moves a mass in the plane after a point that is the sum of four
sinusoids. It learns them one after the other, the slowest first, with a plateau before each;
each time an eigenvalue near $i \omega$ appears in its recurrent weights. The loss is the
expected one: eight references stand for all phases. A student that copies the finished network,
on what that sees in control, gets much worse in the loop before it gets good.

Paper: Ger and Barak 2025, arXiv:2505.13567, figure 6.
Takes: 33 s quick, 8 min full
"""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pydantic
from jaxtyping import Array, Complex, Float, Int, PRNGKeyArray

from slowpoint.analysis.frequency_plateaus import learned_at, modes_after, plateaus, refined
from slowpoint.analysis.frequency_response import frequency_response, interference
from slowpoint.cells.linear import Linear
from slowpoint.core.claim import at_least, at_most, Claim, equal, reported, Scale
from slowpoint.core.closed_loop import ClosedLoop
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.learning.descend import descend
from slowpoint.learning.given_trials import GivenTrials
from slowpoint.learning.grid import At
from slowpoint.learning.training import Training
from slowpoint.plots.epochs import over_epochs
from slowpoint.plots.style import row
from slowpoint.tasks.imitate import Imitate, InControl, seen
from slowpoint.tasks.track import Track
from slowpoint.worlds.linear_plant import matrices
from slowpoint.worlds.plane import Plane

TASK, WORLD = Track(), Plane(limit=10.0)
AFTER = 100  # epochs from learning a frequency until its eigenvalue is looked for
PLATEAUS = ((0.804, 0.820), (0.595, 0.601), (0.361, 0.373))  # losses before w2, w3, w4


class Settings(Base):
    networks: int = pydantic.Field(default=5, ge=1, description="each from weights of its own")
    units: int = pydantic.Field(default=100, ge=4, description="N")
    gain: float = pydantic.Field(default=0.2, ge=0, description="spectral radius of W at first")
    rate: float = pydantic.Field(default=1e-3, gt=0, description="Adam's rate")
    epochs: int = pydantic.Field(default=8000, ge=200, description="in the loop; tens")
    every: int = pydantic.Field(default=10, ge=1, description="epochs between records")
    copied: int = pydantic.Field(default=6000, ge=0, description="epochs of students; 0: none")


QUICK = Settings(networks=1, epochs=3000, copied=0)


class Loops(Result):
    """Networks that learn in the loop. Frequencies from the slowest."""

    omegas: Float[np.ndarray, " frequency"]  # rad / s
    epochs: Int[np.ndarray, " record"]
    losses: Float[np.ndarray, "network record"]
    errors: Float[np.ndarray, "network record frequency"]  # mean squared, over phases
    learned: Int[np.ndarray, "network frequency"]  # epochs; -1: not
    modes: Complex[np.ndarray, "network frequency"]  # of W, nearest i omega; NaN: not learned
    before: Float[np.ndarray, " network"]  # error of the first when the second is learned
    peak: Float[np.ndarray, " network"]  # its highest then; NaN: not learned
    response: Float[np.ndarray, "network frequency"]  # |position over reference|, in the end
    radius: Float[np.ndarray, " network"]  # of the loop, in the end


class Students(Result):
    """One for each network, that copies it from its first weights."""

    epochs: Int[np.ndarray, " record"]
    imitation: Float[np.ndarray, "network record"]
    deployed: Float[np.ndarray, "network record"]  # the loss in the loop


@dataclasses.dataclass(frozen=True)
class Results:
    loops: Loops
    students: Students


def run(settings: Settings) -> Results:
    starts, chance = jr.split(jr.key(settings.seed))
    agents = [network(key, settings) for key in jr.split(starts, settings.networks)]
    loops = [ClosedLoop(WORLD, agent, first="agent") for agent in agents]
    trainings = [taught(loop, settings, chance) for loop in loops]
    return Results(_loops(trainings), _students(agents, trainings, settings, chance))


def network(key: PRNGKeyArray, settings: Settings) -> Linear:
    """As it is before it learns."""
    w, m, z = jr.split(key, 3)
    units, bound = settings.units, settings.units**-0.5
    return Linear(
        settings.gain * bound * jr.normal(w, (units, units)),
        jr.uniform(m, (units, 4), minval=-bound, maxval=bound),
        jnp.zeros(units),
        jr.uniform(z, (2, units), minval=-bound, maxval=bound),
        dt=TASK.dt,
    )


def tracked() -> GivenTrials:
    """The expected loss of a loop."""
    return GivenTrials(TASK, TASK.every())


def taught(loop: ClosedLoop, settings: Settings, key: PRNGKeyArray) -> Training[ClosedLoop]:
    """`loop` learns W and Z by Adam; the encoder is frozen."""
    return descend(
        loop,
        tracked(),
        updates=settings.epochs,
        key=key,
        optimiser=optax.adam(settings.rate),
        trainable=_learns,
        snapshots=At(tuple(range(0, settings.epochs + 1, settings.every))),
    )


def _learns(loop):
    return loop.agent.recurrent, loop.agent.readout


@eqx.filter_jit
def errors_along(snapshots: ClosedLoop) -> Float[Array, "record frequency"]:
    """The mean squared error of each frequency, of each of several loops."""
    numbers, rest = eqx.partition(snapshots, eqx.is_array)
    few = tracked()
    one = lambda numbers: TASK.frequency_errors(few.each(eqx.combine(numbers, rest)))
    return jax.lax.map(one, numbers)


def _loops(trainings: list[Training[ClosedLoop]]) -> Loops:
    errors = np.stack([errors_along(one.snapshots) for one in trainings]).astype(float)
    epochs = trainings[0].snapshot_updates
    learned = np.stack([learned_at(path, epochs) for path in errors])
    every = int(epochs[1])
    disturbed = [
        interference(path, np.where(when < 0, -1, when // every), window=500 // every)
        for path, when in zip(errors, learned)
    ]
    ends = [_response(one.system) for one in trainings]
    return Loops(
        TASK.omegas,
        epochs,
        TASK.dt * errors.sum(axis=-1),
        errors,
        learned,
        np.stack([_modes(one, when) for one, when in zip(trainings, learned)]),
        np.array([one.before[0, 1] for one in disturbed]),
        np.array([one.peak[0, 1] for one in disturbed]),
        np.stack([response for response, _ in ends]),
        np.array([radius for _, radius in ends]),
    )


def _modes(training: Training[ClosedLoop], learned) -> Complex[np.ndarray, " frequency"]:
    weights = np.asarray(_learns(training.snapshots)[0])
    return modes_after(weights, training.snapshot_updates, learned, TASK.omegas, AFTER)


def _response(loop: ClosedLoop) -> tuple[Float[np.ndarray, " frequency"], float]:
    """How large each sinusoid comes out on its own axis, and the loop's spectral radius."""
    found = frequency_response(*matrices(loop), TASK.omegas, TASK.dt)
    axes = [axis for _, axis in TASK.components]
    return np.abs(found.response[np.arange(len(axes)), axes, axes]), found.radius


def copying(teacher: ClosedLoop) -> GivenTrials:
    """The expected loss of a student that sees what the agent of `teacher` sees in control."""
    trials = TASK.every()
    inputs = jax.vmap(lambda trial: seen(teacher, trial))(trials)
    task = Imitate(teacher.agent, InControl(teacher, TASK), step_cost=TASK.dt / TASK.steps)
    shown = jax.vmap(task.on)(inputs)
    return GivenTrials(task, eqx.tree_at(lambda t: t.weights, shown, trials.weights))


def _students(agents, trainings, settings: Settings, key: PRNGKeyArray) -> Students:
    updates = settings.copied
    epochs = np.array([u for u in range(updates + 1) if u < 200 or u % 10 == 0])
    if not updates:
        return Students(epochs[:0], *np.zeros((2, len(agents), 0)))
    pairs = [(agent, training.system) for agent, training in zip(agents, trainings)]
    paths = [copied(*pair, At(tuple(epochs.tolist())), settings, key) for pair in pairs]
    return Students(epochs, *np.swapaxes(np.array(paths), 0, 1))


def copied(student: Linear, teacher: ClosedLoop, when: At, settings: Settings, key):
    """`(imitation, loss in the loop)` while `student` learns."""
    loss = copying(teacher)
    training = descend(
        student,
        loss,
        updates=settings.copied,
        key=key,
        optimiser=optax.adam(settings.rate),
        trainable=lambda agent: (agent.recurrent, agent.encoder, agent.readout),
        snapshots=when,
    )
    losses = np.append(training.losses, float(loss(training.system, None)))
    in_loop = eqx.tree_at(lambda loop: loop.agent, teacher, training.snapshots)
    deployed = TASK.dt * np.asarray(errors_along(in_loop), float).sum(axis=-1)
    return losses[training.snapshot_updates], deployed


def claims(results: Results) -> list[Claim]:
    loops = results.loops
    found = [*_of_order(loops), *_of_plateaus(loops), *_of_modes(loops)]
    if len(results.students.epochs):
        found += _of_students(results.students, loops.losses[:, -1])
    return found


def _of_order(loops: Loops) -> list[Claim]:
    never = (loops.learned < 0).sum(axis=0)
    counted = np.where(loops.learned < 0, loops.epochs[-1] + 1 + np.arange(4), loops.learned)
    disorder = (np.diff(counted, axis=1) <= 0).any(axis=1)
    rise = loops.peak / loops.before
    return [
        equal("networks that did not learn the slowest first", disorder.sum(), 0),
        equal("networks that never learn w1 or w2", never[:2].sum(), 0),
        equal("networks that never learn w3", never[2], 0, "full"),
        reported("networks that never learn w4", never[3]),
        *(reported(f"w{i + 1} learned, median", np.median(counted[:, i])) for i in range(4)),
        at_most("networks whose error of w1 does not rise with w2", (rise <= 1).sum(), 0),
        reported("error of w1 while w2 is learned, over before, least", span(rise)[0]),
        reported("largest", span(rise)[1]),
    ]


def span(values: Float[np.ndarray, "*many"]) -> tuple[float, float]:
    """The least and the largest; NaN where there is none."""
    some = values[~np.isnan(values)]
    return (float(some.min()), float(some.max())) if some.size else (np.nan, np.nan)


def _within(says: str, values, low: float, high: float, scale: Scale = "full") -> list[Claim]:
    """Claims that all of `values` are."""
    least, largest = span(values)
    return [
        at_least(f"{says}, least", least, low, scale),
        at_most(f"{says}, largest", largest, high, scale),
    ]


def _of_plateaus(loops: Loops) -> list[Claim]:
    path, found = (loops.losses, loops.epochs, loops.learned), []
    for i, (some, (low, high)) in enumerate(zip(plateaus(*path).T, PLATEAUS)):
        says, scale = f"loss before w{i + 2} is learned", "full" if i else "quick"
        found += _within(says, some, 0.97 * low, 1.03 * high, scale)
    return [
        *found,
        *_within("loss at epoch 5000", loops.losses[:, loops.epochs == 5000], 0.10, 0.20),
        reported("loss 1000 epochs after w4, the most", span(refined(*path))[1]),
        reported("loss in the end, median", np.median(loops.losses[:, -1])),
    ]


def _of_modes(loops: Loops) -> list[Claim]:
    off = np.abs(np.imag(loops.modes) - loops.omegas)
    best = loops.losses[:, -1].argmin()
    says = "imaginary part of an eigenvalue of W, off w{}, largest"
    scales: list[tuple[int, Scale]] = [(2, "quick"), (3, "full"), (4, "full")]
    return [
        *(at_most(says.format(i), span(off[:, i - 1])[1], 0.15, scale) for i, scale in scales),
        reported("the best network in the end: radius of its loop", loops.radius[best]),
        reported("its least response", loops.response[best].min()),
        reported("its largest response", loops.response[best].max()),
    ]


def _of_students(students: Students, teachers: Float[np.ndarray, " network"]) -> list[Claim]:
    """Medians over networks."""
    deployed, imitation = students.deployed, students.imitation
    top = deployed.argmax(axis=1)
    early = np.median(students.epochs[top], keepdims=True)
    rise = deployed.max(axis=1) / deployed[:, 0]
    off = np.abs(deployed[:, -1] / teachers - 1)
    soon = np.abs(deployed[:, (students.epochs <= 3000).sum() - 1] / teachers - 1)
    return [
        at_least("students: peak in the loop over the start", np.median(rise), 3),
        *_within("students: epoch of the peak", early, 30.0, 80.0),
        at_most("students: last loss in the loop, off the teacher's", np.median(off), 0.1),
        at_most("the same after 3000 updates", np.median(soon), 0.1, "full"),
        reported("in the end, the most", off.max()),
        reported("students: imitation, first", np.median(imitation[:, 0])),
        reported("students: imitation, last", np.median(imitation[:, -1])),
    ]


def draw(results: Results):
    figure, axes = row(3, width=9.0, height=2.8)
    loops, students = results.loops, results.students
    over_epochs(axes[0], loops.epochs, {"": loops.losses})
    axes[0].set(ylabel="loss")
    names = [f"{omega:.3f} rad/s" for omega in loops.omegas]
    over_epochs(axes[1], loops.epochs, {n: e[None] for n, e in zip(names, loops.errors[0].T)})
    axes[1].set(ylabel="mean squared error")
    if len(students.epochs):
        lines = {"imitation": students.imitation, "in the loop": students.deployed}
        over_epochs(axes[2], students.epochs, lines)
    axes[2].set(ylabel="loss of students")
    return figure
