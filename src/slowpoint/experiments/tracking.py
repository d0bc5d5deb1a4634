r"""In which order does a network in a loop learn to follow frequencies, and at whose cost?

A linear network with a leak moves a mass in the plane after a point that is the sum of four
sinusoids. It learns them one after the other, the slowest first, with a plateau before each;
each time an eigenvalue near $i \omega$ appears in its recurrent weights. The loss is the
expected one: eight references stand for all phases. A student that copies the finished network,
on what that sees in control, gets much worse in the loop before it gets good.

Paper: Ger and Barak 2025, arXiv:2505.13567, figure 6.
Takes: 36 s quick, 7 min full
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

from slowpoint.analysis.frequency_response import (
    acquisition,
    frequency_response,
    interference,
)
from slowpoint.cells.linear import Linear
from slowpoint.core.claim import at_least, at_most, Claim, equal, reported
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
HELD, EARLIEST = 50, 50  # epochs, of `acquisition`
AFTER = 100  # epochs from learning a frequency until its eigenvalue is looked for
PLATEAUS = ((0.804, 0.820), (0.595, 0.601), (0.361, 0.373))  # losses before w2, w3, w4


class Settings(Base):
    networks: int = pydantic.Field(default=5, ge=1, description="each from weights of its own")
    units: int = pydantic.Field(default=100, ge=4, description="N")
    gain: float = pydantic.Field(default=0.2, ge=0, description="spectral radius of W at first")
    rate: float = pydantic.Field(default=1e-3, gt=0, description="Adam's rate")
    epochs: int = pydantic.Field(default=8000, ge=200, description="in the loop; tens")
    every: int = pydantic.Field(default=10, ge=1, description="epochs between records")
    copied: int = pydantic.Field(default=3000, ge=0, description="epochs of the student; or 0")


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


class Student(Result):
    """One that copies the first network, from that network's first weights."""

    epochs: Int[np.ndarray, " record"]
    imitation: Float[np.ndarray, " record"]
    deployed: Float[np.ndarray, " record"]  # the loss in the loop


@dataclasses.dataclass(frozen=True)
class Results:
    loops: Loops
    student: Student


def run(settings: Settings) -> Results:
    starts, chance = jr.split(jr.key(settings.seed))
    agents = [network(key, settings) for key in jr.split(starts, settings.networks)]
    loops = [ClosedLoop(WORLD, agent, first="agent") for agent in agents]
    trainings = [taught(loop, settings, chance) for loop in loops]
    student = _student(agents[0], trainings[0].system, settings, chance)
    return Results(_loops(trainings), student)


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


def learned_at(
    errors: Float[np.ndarray, "record frequency"], epochs: Int[np.ndarray, " record"]
) -> Int[np.ndarray, " frequency"]:
    """The epoch at which each frequency was learned, to a record; -1: not."""
    every = int(epochs[1])
    records = acquisition(errors, earliest=-(-EARLIEST // every), hold=-(-HELD // every)).epochs
    return np.where(records < 0, -1, epochs[records])


def _modes(
    training: Training[ClosedLoop], learned: Int[np.ndarray, " frequency"]
) -> Complex[np.ndarray, " frequency"]:
    """The eigenvalue of W nearest to each i omega, a while after that was learned."""
    epochs, weights = training.snapshot_updates, _learns(training.snapshots)[0]
    found = np.full(len(learned), np.nan + 0j)
    for at, (when, omega) in enumerate(zip(learned, TASK.omegas)):
        if 0 <= when <= epochs[-1] - AFTER:
            record = int(np.searchsorted(epochs, when + AFTER))
            values = np.linalg.eigvals(np.asarray(weights[record], float))
            found[at] = values[np.abs(values - 1j * omega).argmin()]
    return found


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


def _student(
    student: Linear, teacher: ClosedLoop, settings: Settings, key: PRNGKeyArray
) -> Student:
    if not settings.copied:
        return Student(np.zeros(0, int), np.zeros(0), np.zeros(0))
    loss = copying(teacher)
    training = descend(
        student,
        loss,
        updates=settings.copied,
        key=key,
        optimiser=optax.adam(settings.rate),
        trainable=lambda agent: (agent.recurrent, agent.encoder, agent.readout),
        snapshots=At(tuple(u for u in range(settings.copied + 1) if u < 200 or u % 10 == 0)),
    )
    epochs = training.snapshot_updates
    losses = np.append(training.losses, float(loss(training.system, None)))
    in_loop = eqx.tree_at(lambda loop: loop.agent, teacher, training.snapshots)
    deployed = TASK.dt * np.asarray(errors_along(in_loop), float).sum(axis=-1)
    return Student(epochs, losses[epochs], deployed)


def claims(results: Results) -> list[Claim]:
    loops = results.loops
    found = [*_of_order(loops), *_of_plateaus(loops), *_of_modes(loops)]
    if len(results.student.epochs):
        found += _of_student(results.student, loops.losses[0, -1])
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
        at_least("error of w1 while w2 is learned, over before, largest", span(rise)[1], 1.05),
        reported("least", span(rise)[0]),
    ]


def span(values: Float[np.ndarray, "*many"]) -> tuple[float, float]:
    """The least and the largest; NaN where there is none."""
    some = values[~np.isnan(values)]
    return (float(some.min()), float(some.max())) if some.size else (np.nan, np.nan)


def plateaus(loops: Loops) -> Float[np.ndarray, "network 3"]:
    """The median losses between one frequency's learning and the next's; NaN: not reached."""
    found = np.full((len(loops.learned), 3), np.nan)
    for network, i in np.ndindex(found.shape):
        begin, end = loops.learned[network, i : i + 2]
        if 0 <= begin < end:
            between = (loops.epochs >= begin) & (loops.epochs <= end)
            found[network, i] = np.median(loops.losses[network, between])
    return found


def refined(loops: Loops, after: int = 1000) -> Float[np.ndarray, " network"]:
    """The losses `after` epochs from learning the last frequency; NaN: not reached."""
    when = np.where(loops.learned[:, -1] < 0, np.inf, loops.learned[:, -1] + after)
    record = np.searchsorted(loops.epochs, when)
    padded = np.pad(loops.losses, ((0, 0), (0, 1)), constant_values=np.nan)
    return padded[np.arange(len(record)), record]


def _of_plateaus(loops: Loops) -> list[Claim]:
    found = []
    for i, (heights, (low, high)) in enumerate(zip(plateaus(loops).T, PLATEAUS)):
        scale, says = "quick" if i == 0 else "full", f"loss before w{i + 2} is learned"
        found += [
            at_least(f"{says}, least", span(heights)[0], 0.97 * low, scale),
            at_most(f"{says}, largest", span(heights)[1], 1.03 * high, scale),
        ]
    least, largest = span(refined(loops))
    return [
        *found,
        at_least("loss 1000 epochs after w4, least", least, 0.10, "full"),
        at_most("loss 1000 epochs after w4, largest", largest, 0.20, "full"),
        reported("loss in the end, median", np.median(loops.losses[:, -1])),
    ]


def _of_modes(loops: Loops) -> list[Claim]:
    off = np.abs(np.imag(loops.modes) - loops.omegas)
    best = loops.losses[:, -1].argmin()
    return [
        *(
            at_most(
                f"imaginary part of an eigenvalue of W, off w{i + 1}, largest",
                span(off[:, i])[1],
                0.15,
                "quick" if i == 1 else "full",
            )
            for i in (1, 2, 3)
        ),
        reported("the best network in the end: radius of its loop", loops.radius[best]),
        reported("its least response", loops.response[best].min()),
        reported("its largest response", loops.response[best].max()),
    ]


def _of_student(student: Student, teacher: float) -> list[Claim]:
    top, deployed = student.deployed.argmax(), student.deployed
    end = abs(deployed[-1] / teacher - 1)
    return [
        at_least("student: peak in the loop over the start", deployed[top] / deployed[0], 3),
        at_least("student: epoch of the peak, early", student.epochs[top], 30),
        at_most("student: epoch of the peak, late", student.epochs[top], 80),
        at_most("student: last loss in the loop, off its teacher's", end, 0.1),
        reported("student: imitation, first", student.imitation[0]),
        reported("student: imitation at the peak", student.imitation[top]),
        reported("student: imitation, last", student.imitation[-1]),
    ]


def draw(results: Results):
    figure, axes = row(3, width=9.0, height=2.8)
    loops, student = results.loops, results.student
    over_epochs(axes[0], loops.epochs, {"": loops.losses})
    axes[0].set(ylabel="loss")
    names = [f"{omega:.3f} rad/s" for omega in loops.omegas]
    over_epochs(axes[1], loops.epochs, {n: e[None] for n, e in zip(names, loops.errors[0].T)})
    axes[1].set(ylabel="mean squared error")
    if len(student.epochs):
        lines = {"imitation": student.imitation[None], "in the loop": student.deployed[None]}
        over_epochs(axes[2], student.epochs, lines)
    axes[2].set(ylabel="loss of the student")
    return figure
