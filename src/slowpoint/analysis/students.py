"""What do students know of their teacher, and what have they that the teacher lacks?

Dabholkar and Barak (2024), arXiv 2405.14425: posteriors decoded from posteriors. The teacher's
from the student's: what is missing. The student's from the teacher's: what is extraneous.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import jax.random as jr
import numpy as np
import pydantic
from jaxtyping import Bool, Float, Int, PRNGKeyArray, Shaped

from slowpoint.analysis.bits_per_spike import Bernoulli, bits_per_spike
from slowpoint.analysis.few_shot import few_shot, FewShot, Random
from slowpoint.analysis.posterior_decoding import kl_decode
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.latents.readout import BernoulliReadout, Readout
from slowpoint.latents.students import HELD_IN, HELD_OUT, NEW, Recording, school, Student

MARGIN = 5e-3  # bits per spike below the teacher that are still near-optimal


class Settings(Base):
    """Which students of which teachers; the base of an experiment on them."""

    teachers: int = pydantic.Field(default=3, ge=1, description="rings of four states")
    sizes: tuple[int, ...] = pydantic.Field(
        default=(3, 4, 5, 6, 8, 10, 12, 15), min_length=1, description="states of a student, M"
    )
    starts: int = pydantic.Field(default=4, ge=1, description="of EM, for each size")
    updates: int = pydantic.Field(default=150, ge=1, description="of EM")
    hands: tuple[int, ...] = pydantic.Field(default=(2, 3, 4), description="of a clock, R")
    doses: tuple[float, ...] = pydantic.Field(
        default=(0.0, 0.5, 0.8, 0.9, 0.95, 1.0), description="of a clock, lambda"
    )


class Cohort(Result):
    """One row per model; the first of a school is its teacher."""

    school: Int[np.ndarray, " model"]  # those of one number have one teacher
    name: Shaped[np.ndarray, " model"]
    kind: Shaped[np.ndarray, " model"]  # teacher, em, clock
    states: Int[np.ndarray, " model"]  # M; of the teacher without the clock
    hands: Int[np.ndarray, " model"]  # R; 1: no clock
    dose: Float[np.ndarray, " model"]  # lambda
    co_smoothing: Float[np.ndarray, " model"]  # Q_co of the held-out channels, own emissions
    missing: Float[np.ndarray, " model"]  # D_{S -> T}, nats per bin
    extraneous: Float[np.ndarray, " model"]  # D_{T -> S}, nats per bin
    twin: Bool[np.ndarray, " model"]  # an EM student that says what an earlier one says

    @property
    def near(self) -> Bool[np.ndarray, " model"]:
        """Q_co within 5e-3 of the teacher's."""
        return self.co_smoothing >= self.co_smoothing[self.teacher] - MARGIN

    @property
    def teacher(self) -> Int[np.ndarray, " model"]:
        """The row of every model's teacher."""
        return np.searchsorted(self.school, self.school)  # the first row of the school

    @property
    def taught(self) -> Bool[np.ndarray, " model"]:
        """The near-optimal students of EM."""
        return self.near & (self.kind == "em")

    @property
    def pool(self) -> Bool[np.ndarray, " model"]:
        """Those, and the clocks that are not exact (dose below 1)."""
        return self.taught | ((self.kind == "clock") & (self.dose < 1))


class Posteriors(NamedTuple):
    """Of the held-in channels alone."""

    train: Float[np.ndarray, "train bin state"]
    test: Float[np.ndarray, "test bin state"]


def posteriors(student: Student, recording: Recording) -> Posteriors:
    """What a student makes of the held-in channels of every trial."""
    known = student.model.channels
    smooth = lambda x: student.model.smooth(x[..., :known], HELD_IN).posteriors
    return Posteriors(smooth(recording.train), smooth(recording.test))


def cohort(
    students: Sequence[Student],
    states: Sequence[Posteriors],
    recording: Recording,
    *,
    number: int = 0,
    key: PRNGKeyArray,
) -> Cohort:
    """Co-smoothing, missing and extraneous of `students`, the teacher first.

    `states` are the posteriors of each; `number` is that of the school. Raises ValueError when
    the first is no teacher.
    """
    if students[0].kind != "teacher":
        raise ValueError(f"The first model is {students[0].name}: give the teacher first.")
    missing, extraneous = jr.split(key)
    held_out = recording.test[..., HELD_OUT]
    scores = [
        bits_per_spike(s.model.rates(p.test)[..., HELD_OUT], held_out, family=Bernoulli())
        for s, p in zip(students, states)
    ]
    decoded = [kl_decode(p, states[0], key=jr.clone(missing)) for p in states]
    own = [kl_decode(states[0], p, key=jr.clone(extraneous)) for p in states]
    return Cohort(
        school=np.full(len(students), number),
        name=np.array([s.name for s in students]),
        kind=np.array([s.kind for s in students]),
        states=np.array([s.states for s in students]),
        hands=np.array([s.hands for s in students]),
        dose=np.array([s.dose for s in students]),
        co_smoothing=np.array([score.pooled for score in scores]),
        missing=np.array([d.divergence for d in decoded]),
        extraneous=np.array([d.divergence for d in own]),
        twin=_twins(students, states),
    )


def enrolled(
    settings: Settings, number: int, *, learn: PRNGKeyArray, measure: PRNGKeyArray
) -> tuple[Recording, list[Posteriors], Cohort]:
    """School `number`: the trials of its teacher, and what every model makes of them."""
    recording, students = school(
        settings.sizes,
        settings.starts,
        settings.hands,
        settings.doses,
        updates=settings.updates,
        key=learn,
    )
    states = [posteriors(student, recording) for student in students]
    return recording, states, cohort(students, states, recording, number=number, key=measure)


def joined(cohorts: Sequence[Cohort]) -> Cohort:
    """All schools in one table."""
    names = [field.name for field in dataclasses.fields(Cohort)]
    return Cohort(**{n: np.concatenate([getattr(c, n) for c in cohorts]) for n in names})


def shots(
    states: Sequence[Posteriors],
    recording: Recording,
    k: Sequence[int],
    *,
    draws: int = 40,
    readout: Readout = BernoulliReadout(),
    key: PRNGKeyArray,
) -> list[FewShot]:
    """k-shot co-smoothing of the new channels, every model on the same draws of trials."""
    train, test = recording.train[..., NEW], recording.test[..., NEW]
    options = {"readout": readout, "k": list(k), "scheme": Random(draws)}
    return [
        few_shot(p.train, train, p.test, test, key=jr.clone(key), **options) for p in states
    ]


def decode_all(
    states: Sequence[Posteriors], *, rows: int = 4000, key: PRNGKeyArray
) -> Float[np.ndarray, "source target"]:
    """KL of every model's posteriors from every other's, nats per bin; NaN from itself."""
    found = np.full((len(states), len(states)), np.nan)
    for u, source in enumerate(states):
        for v, target in enumerate(states):
            if u != v:
                one = kl_decode(source, target, key=jr.clone(key), rows=rows)
                found[u, v] = one.divergence
    return found


def _twins(students, states) -> Bool[np.ndarray, " model"]:
    """EM often ends at one optimum from several starts: the same states in another order."""
    found = np.zeros(len(students), bool)
    for i, student in enumerate(students):
        for j in range(i):
            both = student.kind == students[j].kind == "em"
            if both and student.states == students[j].states:
                found[i] |= _same_states(states[i].test, states[j].test)
    return found


def _same_states(one, other) -> bool:
    """Whether each state of `one` is a state of `other` to 1 % of a probability, on average."""
    apart = np.abs(one[..., :, None] - other[..., None, :]).mean(axis=(0, 1))
    return bool(apart.min(axis=1).max() < 0.01 and apart.min(axis=0).max() < 0.01)
