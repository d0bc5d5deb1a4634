"""Does a model that predicts well have the right latents? What they miss, and what they add.

Students of three to fifteen hidden states learn from a teacher of four, and others are built
with clocks. Those that predict within 5e-3 bits per spike of the teacher miss nothing of it,
and carry anything from nothing to more than a nat per bin that it lacks: co-smoothing says
nothing of that.

Paper: Dabholkar and Barak 2024, arXiv:2405.14425, the cloud of students between missing and
extraneous dynamics.
Takes: 10 s quick, 2 min full
"""

import dataclasses

import jax.random as jr
import numpy as np
from jaxtyping import Float

from slowpoint.analysis.correlation import correlate
from slowpoint.analysis.students import Cohort, enrolled, joined, Settings as Base
from slowpoint.core.claim import at_least, at_most, Claim, reported
from slowpoint.core.result import Result
from slowpoint.plots.students import kinds
from slowpoint.plots.style import row


class Settings(Base):
    """Students and clocks alone; nothing else is asked."""


QUICK = Settings(
    teachers=1, sizes=(3, 4, 8, 15), starts=2, updates=60, hands=(4,), doses=(0, 0.8, 0.9, 0.95)
)


class Blindness(Result):
    """Correlation of co-smoothing with what is extraneous, per school; ranges of 95 %."""

    pool: Float[np.ndarray, " school"]  # Pearson's, near-optimal EM students and clocks
    pool_range: Float[np.ndarray, "school 2"]
    taught: Float[np.ndarray, " school"]  # EM alone


@dataclasses.dataclass(frozen=True)
class Results:
    students: Cohort
    blindness: Blindness


def run(settings: Settings) -> Results:
    cohorts, found = [], []
    for number, key in enumerate(jr.split(jr.key(settings.seed), settings.teachers)):
        learn, measure, again = jr.split(key, 3)
        _, _, one = enrolled(settings, number, learn=learn, measure=measure)
        every, taught = (
            correlate(one.co_smoothing[rows], one.extraneous[rows], key=jr.clone(again))
            for rows in (one.pool, one.taught)
        )
        found.append((every.pearson, every.pearson_range, taught.pearson))
        cohorts.append(one)
    columns = [np.array(column) for column in zip(*found)]
    return Results(joined(cohorts), Blindness(*columns))


def claims(results: Results) -> list[Claim]:
    students, blind = results.students, results.blindness
    near, taught, pool = students.near, students.taught, students.pool
    small = (students.kind == "em") & (students.states == 3)
    gap = students.co_smoothing[students.teacher] - students.co_smoothing
    made = [
        at_most("D_S->T of a near-optimal student, most", students.missing[near].max(), 0.01),
        at_most(
            "D_T->S of a near-optimal EM student, least",
            students.extraneous[taught].min(),
            0.01,
        ),
        at_least("the most", students.extraneous[taught].max(), 0.05, "full"),
        at_least(
            "with clocks of doses below 1, the most", students.extraneous[pool].max(), 0.7
        ),
        at_least("r of Q_co and D_T->S, EM and clocks, least", blind.pool.min(), -0.3),
    ]
    if small.any():
        made += [
            at_least("Q_co that students of 3 states lack, least", gap[small].min(), 5e-3),
            at_least("D_S->T of those, least", students.missing[small].min(), 0.1),
            reported("D_S->T of those, mean", students.missing[small].mean()),
        ]
    for number, (r, (low, high), em) in enumerate(
        zip(blind.pool, blind.pool_range, blind.taught)
    ):
        made.append(
            reported(f"teacher {number}: r of Q_co and D_T->S ({low:.2f}..{high:.2f})", r)
        )
        made.append(reported(f"teacher {number}: the same, EM alone", em))
    made.append(reported("models, of all teachers", len(near)))
    made.append(reported("near-optimal", near.sum()))
    made.append(reported("EM students that repeat another", students.twin.sum()))
    return made


def draw(results: Results):
    students = results.students
    figure, axes = row(2, width=7.0, height=2.8)
    kinds(axes[0], students.missing, students.extraneous, students.kind).set(
        xlabel="missing, D(S to T), nats", ylabel="extraneous, D(T to S), nats"
    )
    gap = students.co_smoothing - students.co_smoothing[students.teacher]
    kinds(
        axes[1],
        students.extraneous[students.near],
        gap[students.near],
        students.kind[students.near],
    )
    axes[1].set(xlabel="extraneous, nats", ylabel="co-smoothing less the teacher's")
    for ax in axes:
        ax.set_xscale("symlog", linthresh=0.01)
    axes[0].set_yscale("log")
    return figure
