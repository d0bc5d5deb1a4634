"""Do few trials tell which of many good predictors has dynamics of its own, and at what price?

The k-shot score of every near-optimal student is compared with what it has and the teacher
lacks. And one law predicts the whole curve of every model from its posteriors alone: a readout
of M_eff free numbers per channel loses M_eff / (2 T r ln 2) (1/k - 1/S) bits per spike.

Over students and clocks together every k tells. Among students of EM alone, whose extraneous
dynamics are small, 20 and 64 trials do; six do on one teacher of three, 256 on one of three: in
the full run these two claims fail.

Paper: Dabholkar and Barak 2024, arXiv:2405.14425, k-shot co-smoothing against extraneous
dynamics; the law is ours.
Takes: 19 s quick, 5 min full
"""

import dataclasses

import jax.random as jr
import numpy as np
import pydantic
from jaxtyping import Float, Int

from slowpoint.analysis.correlation import correlate
from slowpoint.analysis.students import (
    Cohort,
    enrolled,
    joined,
    Posteriors,
    Settings as Base,
    shots,
)
from slowpoint.core.claim import at_least, at_most, Claim, reported
from slowpoint.core.result import Result
from slowpoint.latents.students import NEW, Recording
from slowpoint.plots.students import costs, kinds
from slowpoint.plots.style import row
from slowpoint.theory.few_shot import effective_readout_size, few_shot_curve

FIRST_ORDER = 64  # trials from which the law is judged


class Settings(Base):
    k: tuple[int, ...] = pydantic.Field(
        default=(6, 20, 64, 256), min_length=1, description="trials that teach the readout"
    )
    draws: int = pydantic.Field(
        default=40, ge=2, description="of k trials, alike for all models"
    )


QUICK = Settings(
    teachers=1,
    sizes=(4, 8, 15),
    starts=2,
    updates=60,
    hands=(4,),
    doses=(0, 0.8, 0.9, 0.95),
    k=(6, 20, 64),
)


class Shots(Result):
    """Bits per spike of the new channels; models are the rows of the cohort."""

    k: Int[np.ndarray, " k"]
    scores: Float[np.ndarray, "model k"]  # mean over draws, Q_k
    sem: Float[np.ndarray, "model k"]
    full: Float[np.ndarray, " model"]  # Q_S: all training trials teach the readout
    size: Float[np.ndarray, " model"]  # M_eff
    predicted: Float[np.ndarray, "model k"]  # from Q_S and M_eff


class Correlations(Result):
    """Of k-shot scores with D_T->S, per school; Pearson's with its 95 %, and Spearman's."""

    taught: Float[np.ndarray, "school k"]  # near-optimal EM students
    taught_range: Float[np.ndarray, "school k 2"]
    taught_ranks: Float[np.ndarray, "school k"]
    alone: Float[np.ndarray, "school k"]  # without those that repeat another
    pool: Float[np.ndarray, "school k"]  # and clocks of doses below 1
    pool_range: Float[np.ndarray, "school k 2"]
    pool_ranks: Float[np.ndarray, "school k"]


@dataclasses.dataclass(frozen=True)
class Results:
    students: Cohort
    shots: Shots
    correlations: Correlations


def run(settings: Settings) -> Results:
    cohorts, scored, found = [], [], []
    for number, key in enumerate(jr.split(jr.key(settings.seed), settings.teachers)):
        learn, measure, draw, again = jr.split(key, 4)
        recording, states, one = enrolled(settings, number, learn=learn, measure=measure)
        curves = _curves(states, recording, settings, draw)
        found.append(_correlations(one, curves["scores"], again))
        cohorts.append(one)
        scored.append(curves)
    columns = {name: np.concatenate([one[name] for one in scored]) for name in scored[0]}
    together = {name: np.array([one[name] for one in found]) for name in found[0]}
    made = Shots(k=np.array(settings.k), **columns)
    return Results(joined(cohorts), made, Correlations(**together))


def _curves(states: list[Posteriors], recording: Recording, settings: Settings, key) -> dict:
    """What every model scores for k trials, and what the law says."""
    few, all_of_them = jr.split(key)
    trials, bins, _ = recording.train.shape
    found = shots(states, recording, settings.k, draws=settings.draws, key=few)
    full = [s.mean[0] for s in shots(states, recording, [trials], draws=1, key=all_of_them)]
    sizes = [effective_readout_size(p.train) for p in states]
    setting = {"trials": trials, "bins": bins, "mean_count": recording.train[..., NEW].mean()}
    k = np.array(settings.k)
    return {
        "scores": np.array([s.mean for s in found]),
        "sem": np.array([s.sem for s in found]),
        "full": np.array(full),
        "size": np.array(sizes),
        "predicted": np.array(
            [few_shot_curve(q, size, k=k, **setting) for q, size in zip(full, sizes)]
        ),
    }


def _correlations(students: Cohort, scores: Float[np.ndarray, "model k"], key) -> dict:
    """With what is extraneous, for each k."""
    groups = {
        "taught": students.taught,
        "alone": students.taught & ~students.twin,
        "pool": students.pool,
    }
    found = {}
    for name, rows in groups.items():
        each = [
            correlate(score[rows], students.extraneous[rows], key=jr.clone(key))
            for score in scores.T
        ]
        found[name] = np.array([one.pearson for one in each])
        if name != "alone":
            found[f"{name}_range"] = np.array([one.pearson_range for one in each])
            found[f"{name}_ranks"] = np.array([one.spearman for one in each])
    return found


def claims(results: Results) -> list[Claim]:
    students, shots, found = results.students, results.shots, results.correlations
    made = []
    for i, k in enumerate(shots.k.tolist()):
        taught, pool = found.taught[:, i], found.pool[:, i]
        words = f"r of {k}-shot and D_T->S over"
        ranks = found.taught_ranks[:, i].mean()
        em = f"{words} EM students (mean {taught.mean():.2f}, ranks {ranks:.2f})"
        made.append(at_most(f"{em}, weakest of the teachers", taught.max(), -0.6, "full"))
        alone = found.alone[:, i]
        made.append(reported(f"{words} those that repeat none, weakest", alone.max()))
        ranks = found.pool_ranks[:, i].mean()
        both = f"{words} EM and clocks (mean {pool.mean():.2f}, ranks {ranks:.2f})"
        made.append(at_most(f"{both}, weakest", pool.max(), -0.8))
    late = shots.k >= FIRST_ORDER
    error = np.abs(shots.predicted - shots.scores)[:, late]
    made += [
        at_most(
            "the law off the measured score, median, k >= 64", np.median(error), 2e-4, "full"
        ),
        reported("the law off the measured score, most, k >= 64", error.max()),
        reported("of doses below 1, most, k >= 64", error[students.dose < 1].max()),
        at_least("models that the law is drawn for", len(shots.size), 40, "full"),
    ]
    return made


def draw(results: Results):
    students, shots = results.students, results.shots
    figure, axes = row(3, width=9.5, height=2.9)
    first, last = 0, len(shots.k) - 1
    for ax, place in ((axes[0], first), (axes[1], min(1, last))):
        rows = students.pool
        own = shots.scores[students.teacher, place]
        kinds(
            ax,
            students.extraneous[rows],
            (shots.scores[:, place] - own)[rows],
            students.kind[rows],
        )
        ax.set(xlabel="extraneous, nats", ylabel=f"{shots.k[place]}-shot less the teacher's")
        ax.set_xscale("log")
    lost = shots.full[:, None] - shots.scores
    told = shots.full[:, None] - shots.predicted
    costs(axes[2], shots.k.astype(float), lost, told, shots.size).set(
        xlabel="trials k", ylabel="bits per spike lost"
    )
    late = shots.k >= FIRST_ORDER
    error = np.median(np.abs(lost - told)[:, late])
    axes[2].set_title(f"{len(shots.size)} models; law off by {error:.1e} (median)", fontsize=7)
    return figure
