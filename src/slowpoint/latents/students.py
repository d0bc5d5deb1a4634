"""Who learned from the same teacher, and who carries a clock that the teacher lacks?

The student-teacher study of Dabholkar and Barak (2024), arXiv 2405.14425: a ring of hidden
states, students of any number of states taught by EM, and students built to predict exactly as
the teacher does, with dynamics of their own.
"""

from collections.abc import Sequence

import equinox as eqx
import jax.random as jr
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from slowpoint.core.precision import float64
from slowpoint.latents.emissions import BernoulliEmissions
from slowpoint.latents.hmm import clocked, fit_em, HMM, random_start

HELD_IN = np.arange(20)  # channels that the states are inferred from
HELD_OUT = np.arange(20, 70)  # seen in training, to be predicted: co-smoothing
NEW = np.arange(70, 120)  # never seen by a student: k-shot co-smoothing
LEAK = 1e-2  # weight of every other transition beside the ring's


class Student(eqx.Module):
    """A model of the teacher's counts, or the teacher itself."""

    model: HMM
    kind: str = eqx.field(static=True)  # "teacher", "em" or "clock"
    states: int = eqx.field(static=True)  # M of an EM student; of the teacher without a clock
    hands: int = eqx.field(static=True, default=1)  # R: states of the clock
    dose: float = eqx.field(static=True, default=0.0)  # lambda
    start: int = eqx.field(static=True, default=0)  # which of several starts of EM

    @property
    def name(self) -> str:
        """In words."""
        if self.kind == "clock":
            return f"clock of {self.hands}, dose {self.dose:g}"
        return "teacher" if self.kind == "teacher" else f"EM, M = {self.states}, {self.start}"


class Recording(eqx.Module):
    """Counts of the teacher's channels: held in, held out, new."""

    train: Float[np.ndarray, "train bin channel"]
    test: Float[np.ndarray, "test bin channel"]


def ring_teacher(states: int = 4, *, key: PRNGKeyArray) -> Student:
    """A ring: the next state with probability .97 (M = 4), any state with what is left.

    Emissions are coins with B ~ U(0, 1), 120 channels; every state is as likely at first.
    """
    ring = np.roll(np.eye(states), 1, axis=1) + LEAK
    with float64():
        means = np.asarray(jr.uniform(key, (states, len(HELD_IN) + len(HELD_OUT) + len(NEW))))
    transitions = ring / ring.sum(axis=1, keepdims=True)
    start = np.full(states, 1 / states)
    return Student(HMM(start, transitions, BernoulliEmissions(means)), "teacher", states)


def record(
    teacher: Student, train: int = 2000, test: int = 500, bins: int = 10, *, key: PRNGKeyArray
) -> Recording:
    """So many trials of the teacher to learn from, and others to be scored on."""
    counts = teacher.model.sample(train + test, bins, key=key)[1]
    return Recording(counts[:train], counts[train:])


def em_students(
    recording: Recording,
    sizes: Sequence[int],
    starts: int,
    *,
    updates: int = 150,
    key: PRNGKeyArray,
) -> list[Student]:
    """Students of `sizes` states from `starts` starts each, taught all channels but the new."""
    counts = recording.train[..., : NEW[0]]
    found = []
    for size, of_size in zip(sizes, jr.split(key, len(sizes))):
        for start, own in enumerate(jr.split(of_size, starts)):
            begun = random_start(counts, size, key=own)
            fit = fit_em(begun, counts, updates=updates)
            found.append(Student(fit.model, "em", size, start=start))
    return found


def school(
    sizes: Sequence[int],
    starts: int,
    hands: Sequence[int],
    doses: Sequence[float],
    *,
    updates: int = 150,
    key: PRNGKeyArray,
) -> tuple[Recording, list[Student]]:
    """A new teacher's trials, and the teacher, its students of EM and those with clocks."""
    own, trials, learn = jr.split(key, 3)
    teacher = ring_teacher(key=own)
    recording = record(teacher, key=trials)
    taught = em_students(recording, sizes, starts, updates=updates, key=learn)
    return recording, [teacher, *taught, *clock_students(teacher, hands, doses)]


def clock_students(
    teacher: Student, hands: Sequence[int], doses: Sequence[float]
) -> list[Student]:
    """The teacher beside clocks of `hands` states, with every one of `doses`."""
    return [
        Student(clocked(teacher.model, r, dose), "clock", teacher.states, r, dose)
        for r in hands
        for dose in doses
    ]
