"""Can models without a known truth be ranked by decoding each of them from all others?

Where the truth is known, it can be checked: every near-optimal student's posteriors are decoded
from every other's. The mean over sources, a number that needs no teacher, is compared with what
the student has and the teacher lacks, and with its k-shot scores. Beside it the two linear
variants: R2 weighted by variance, and R2 that counts every dimension alike.

The column mean is as good as the truth. That six trials tell the same of students of EM alone
fails in the full run, on two teachers of three.

Paper: Dabholkar and Barak 2024, arXiv:2405.14425, cross-decoding.
Takes: 23 s quick, 7 min full
"""

import dataclasses

import jax.random as jr
import numpy as np
import pydantic
from jaxtyping import Float, Int

from slowpoint.analysis.correlation import correlate
from slowpoint.analysis.cross_decoding import cross_decode
from slowpoint.analysis.students import (
    Cohort,
    decode_all,
    enrolled,
    joined,
    Posteriors,
    Settings as Base,
    shots,
)
from slowpoint.core.claim import at_least, at_most, Claim, reported
from slowpoint.core.result import Result
from slowpoint.plots.students import kinds
from slowpoint.plots.style import row


class Settings(Base):
    sizes: tuple[int, ...] = pydantic.Field(
        default=(4, 5, 6, 8, 10, 12, 15), min_length=1, description="states of a student, M"
    )
    doses: tuple[float, ...] = pydantic.Field(
        default=(0.0, 0.5, 0.8, 0.9, 0.95), description="of a clock, lambda, below 1"
    )
    rows: int = pydantic.Field(default=4000, ge=100, description="bins that teach a decoder")
    k: tuple[int, ...] = pydantic.Field(default=(6, 20, 64), description="trials of a readout")
    draws: int = pydantic.Field(
        default=40, ge=2, description="of k trials, alike for all models"
    )


QUICK = Settings(
    teachers=1, sizes=(4, 8, 15), starts=2, updates=60, hands=(4,), doses=(0, 0.8, 0.9, 0.95)
)


class Columns(Result):
    """How well the others know each model of the pool; means over sources, not from itself."""

    row: Int[np.ndarray, " member"]  # of the cohort
    by_taught: Float[np.ndarray, " member"]  # KL, sources of EM alone; NaN for a clock
    by_all: Float[np.ndarray, " member"]  # KL, all sources
    weighted: Float[np.ndarray, " member"]  # 1 - R2, weighted by variance, all sources
    uniform: Float[np.ndarray, " member"]  # 1 - R2, each dimension alike, all sources
    k: Int[np.ndarray, " k"]
    scores: Float[np.ndarray, "member k"]  # Q_k


class Correlations(Result):
    """Per school, Pearson's."""

    taught: Float[np.ndarray, " school"]  # column mean of KL and D_T->S, EM alone
    pool: Float[np.ndarray, " school"]  # EM and clocks
    pool_range: Float[np.ndarray, "school 2"]
    weighted: Float[np.ndarray, " school"]
    uniform: Float[np.ndarray, " school"]
    shots: Float[np.ndarray, "school k"]  # column mean of KL and Q_k, EM alone
    shots_range: Float[np.ndarray, "school k 2"]


@dataclasses.dataclass(frozen=True)
class Results:
    students: Cohort
    columns: Columns
    correlations: Correlations


def run(settings: Settings) -> Results:
    cohorts, columns, found, before = [], [], [], 0
    for number, key in enumerate(jr.split(jr.key(settings.seed), settings.teachers)):
        learn, measure, decode, draw, again = jr.split(key, 5)
        recording, states, one = enrolled(settings, number, learn=learn, measure=measure)
        members = np.flatnonzero(one.pool)
        kept = [states[i] for i in members]
        few = shots(kept, recording, settings.k, draws=settings.draws, key=draw)
        own = _columns(kept, one.taught[members], settings.rows, decode)
        own["scores"] = np.array([s.mean for s in few])
        found.append(_correlations(one.extraneous[members], own, again))
        columns.append({"row": members + before} | own)
        cohorts.append(one)
        before += len(states)
    joint = {name: np.concatenate([c[name] for c in columns]) for name in columns[0]}
    together = {name: np.array([c[name] for c in found]) for name in found[0]}
    made = Columns(k=np.array(settings.k), **joint)
    return Results(joined(cohorts), made, Correlations(**together))


def _columns(states: list[Posteriors], taught, rows: int, key) -> dict[str, np.ndarray]:
    """Means over sources of three measures."""
    kl, linear = jr.split(key)
    matrix = decode_all(states, rows=rows, key=kl)
    by_taught = np.full(len(states), np.nan)
    by_taught[taught] = np.nanmean(matrix[np.ix_(taught, taught)], axis=0)
    every = [np.concatenate(one) for one in states]
    split = np.arange(len(every[0])) < len(states[0].train)
    lines = cross_decode(every, split=split, key=linear)
    return {
        "by_taught": by_taught,
        "by_all": np.nanmean(matrix, axis=0),
        "weighted": lines.column,
        "uniform": _uniform(states),
    }


def _uniform(states: list[Posteriors]) -> Float[np.ndarray, " member"]:
    """Mean over sources of 1 - R2, in which a rare state weighs as much as a common one."""
    flat = lambda z: z.reshape(-1, z.shape[-1])
    found = np.full((len(states), len(states)), np.nan)
    for u, source in enumerate(states):
        train, test = (np.column_stack([flat(z), np.ones(z[..., 0].size)]) for z in source)
        inverse = np.linalg.pinv(train, rcond=1e-10)
        for v, target in enumerate(states):
            if u != v:
                wanted = flat(target.test)
                missed = wanted - test @ (inverse @ flat(target.train))
                found[u, v] = (missed.var(axis=0) / wanted.var(axis=0)).mean()
    return np.nanmean(found, axis=0)


def _correlations(extraneous, own: dict[str, np.ndarray], key) -> dict:
    taught = ~np.isnan(own["by_taught"])
    with_d = lambda name, rows: correlate(own[name][rows], extraneous[rows], key=jr.clone(key))
    every = np.ones(len(extraneous), bool)
    pool = with_d("by_all", every)
    shots = [
        correlate(own["by_taught"][taught], score[taught], key=jr.clone(key))
        for score in own["scores"].T
    ]
    return {
        "taught": with_d("by_taught", taught).pearson,
        "pool": pool.pearson,
        "pool_range": pool.pearson_range,
        "weighted": with_d("weighted", every).pearson,
        "uniform": with_d("uniform", every).pearson,
        "shots": np.array([s.pearson for s in shots]),
        "shots_range": np.array([s.pearson_range for s in shots]),
    }


def claims(results: Results) -> list[Claim]:
    found, k = results.correlations, results.columns.k
    words = "r of the column mean of KL and"
    made = [
        at_least(f"{words} D_T->S, EM students, least", found.taught.min(), 0.95),
        at_least(f"{words} D_T->S, EM and clocks, least", found.pool.min(), 0.95),
    ]
    for i, size in enumerate(k.tolist()):
        r = found.shots[:, i]
        said = f"{words} {size}-shot, EM students (mean {r.mean():.2f}), weakest"
        made.append(at_most(said, r.max(), -0.6, "full"))
    made += [
        reported(
            "r of the column mean of 1 - R2, weighted by variance, least", found.weighted.min()
        ),
        reported("the same, every dimension alike, least", found.uniform.min()),
        reported("models in the pools", len(results.columns.row)),
    ]
    return made


def draw(results: Results):
    students, columns = results.students, results.columns
    figure, axes = row(3, width=9.5, height=2.9)
    kind, extraneous = students.kind[columns.row], students.extraneous[columns.row]
    for ax, column in zip(axes, (columns.by_all, columns.weighted)):
        kinds(ax, extraneous, column, kind).set(xlabel="extraneous, nats")
    axes[0].set_ylabel("column mean, KL")
    axes[1].set_ylabel("column mean, 1 - R2")
    taught = kind == "em"
    school, last = students.school[columns.row], columns.scores[:, -1]
    best = np.array([last[taught & (school == s)].max(initial=-np.inf) for s in school])
    names = np.array([f"teacher {s}" for s in school])
    kinds(axes[2], columns.by_taught[taught], (last - best)[taught], names[taught]).set(
        xlabel="column mean, KL, EM alone", ylabel=f"{columns.k[-1]}-shot, below the best"
    )
    for ax in axes[:2]:
        ax.set_xscale("log")
        ax.set_yscale("log")
    return figure
