"""Do few-shot scores and cross-decoding agree about models of different kinds?

Principal components, factor analysis, Poisson hidden Markov models, masked transformers and
sequential autoencoders of a monkey's motor cortex. Those within 5e-3 bits per spike of the
best co-smoothing are compared: 64-shot score (penalty 1e-3) against the mean of 1 - R2 with
which the others decode them. Pool, margin, k and penalty were fixed before anything was seen;
other penalties are shown beside. What comes out is not known beforehand: it is reported.

Latents of all kinds are scored by one measure, the readout taught by all training trials.

Found in the full run, 34 models: one transformer predicts .0766, the next model .0660, so one
model is near-optimal and the correlation asked for is undefined. Over all models it is +.37
(.10 to .67), at every penalty: what predicts little is also easy to decode.

Paper: Dabholkar and Barak 2024, arXiv:2405.14425, few-shot scores against cross-decoding of
transformers on four recordings; this is another recording with other models.
Takes: 17 s quick, 6 min full
"""

import dataclasses

import jax.random as jr
import numpy as np
import pydantic
from jaxtyping import Bool, Float, Shaped

from slowpoint.analysis.correlation import correlate, Correlation
from slowpoint.analysis.cross_decoding import cross_decode, near_optimal
from slowpoint.analysis.few_shot import co_smoothing, few_shot, Random
from slowpoint.core.chance import generator
from slowpoint.core.claim import at_least, Claim, reported
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.latents.pool import (
    autoencoders,
    components,
    factors,
    markov,
    Member,
    Parts,
    transformers,
)
from slowpoint.latents.readout import PoissonReadout
from slowpoint.plots.students import kinds
from slowpoint.plots.style import row
from slowpoint.recordings.monkey import m1

ALPHAS = (1e-4, 1e-3, 1e-2, 1e-1)
DECISIVE = ALPHAS.index(1e-3)


class Settings(Base):
    components: tuple[int, ...] = pydantic.Field(
        default=(2, 4, 6, 8, 10, 12, 16, 20, 24, 30), description="dimensions of PCA"
    )
    factors: tuple[int, ...] = pydantic.Field(
        default=(2, 4, 8, 12, 16, 20), description="of factor analysis"
    )
    states: tuple[int, ...] = pydantic.Field(
        default=(2, 5, 10, 15, 20, 30), description="of hidden Markov models, M"
    )
    em: int = pydantic.Field(default=100, ge=1, description="updates of EM")
    transformers: int = pydantic.Field(default=8, ge=0, description="masked transformers")
    autoencoders: tuple[int, ...] = pydantic.Field(
        default=(4, 8, 12, 16), description="factors of sequential autoencoders"
    )
    updates: int = pydantic.Field(default=1000, ge=1, description="gradient steps of each")
    train: int = pydantic.Field(default=458, ge=64, description="windows to learn from, of 611")
    held_out: int = pydantic.Field(default=21, ge=1, description="neurons to predict, of 87")
    k: int = pydantic.Field(default=64, ge=1, description="trials that teach the readout")
    draws: int = pydantic.Field(default=8, ge=2, description="of them, alike for all models")
    margin: float = pydantic.Field(
        default=5e-3, gt=0, description="near-optimal, bits per spike"
    )


QUICK = Settings(
    components=(4, 8, 12, 20),
    factors=(8, 16),
    states=(10,),
    em=30,
    transformers=1,
    autoencoders=(),
    updates=100,
    draws=4,
)


class Pool(Result):
    """One row per model."""

    kind: Shaped[np.ndarray, " model"]
    name: Shaped[np.ndarray, " model"]
    dims: Float[np.ndarray, " model"]
    co_smoothing: Float[np.ndarray, " model"]  # readout taught by all training trials
    near: Bool[np.ndarray, " model"]
    alphas: Float[np.ndarray, " alpha"]
    scores: Float[np.ndarray, "model alpha"]  # k-shot, mean over draws
    sem: Float[np.ndarray, "model alpha"]
    column: Float[np.ndarray, " model"]  # mean 1 - R2 over near-optimal sources; NaN: not near
    by_all: Float[np.ndarray, " model"]  # over all sources


class Agreement(Result):
    """Pearson's r of column mean and k-shot score per penalty; ranges of 95 % over models."""

    near: Float[np.ndarray, " alpha"]  # near-optimal models, near-optimal sources
    near_range: Float[np.ndarray, "alpha 2"]
    near_ranks: Float[np.ndarray, " alpha"]
    by_all: Float[np.ndarray, " alpha"]  # near-optimal models, all sources
    everyone: Float[np.ndarray, " alpha"]  # all models, all sources
    everyone_range: Float[np.ndarray, "alpha 2"]


@dataclasses.dataclass(frozen=True)
class Results:
    pool: Pool
    agreement: Agreement


def run(settings: Settings) -> Results:
    cut, learn, draw, decode, again = jr.split(jr.key(settings.seed), 5)
    parts = _parts(settings, cut)
    members = _members(parts, settings, learn)
    x, x_test = (parts.held_out[rows] for rows in (parts.train, ~parts.train))
    full, scores, sem = [], [], []
    for member in members:
        z, z_test = (member.latents[rows] for rows in (parts.train, ~parts.train))
        readouts = [PoissonReadout(alpha) for alpha in ALPHAS]
        main = readouts[DECISIVE]
        full.append(co_smoothing(z, x, z_test, x_test, readout=main).pooled)
        found = [
            few_shot(
                z,
                x,
                z_test,
                x_test,
                readout=readout,
                k=settings.k,
                scheme=Random(settings.draws),
                key=jr.clone(draw),
            )
            for readout in readouts
        ]
        scores.append([one.mean[0] for one in found])
        sem.append([one.sem[0] for one in found])
    near = near_optimal(np.array(full), settings.margin)
    by_all = cross_decode([m.latents for m in members], split=parts.train, key=decode).column
    column = np.full(len(members), np.nan)
    if near.sum() > 1:
        kept = [m.latents for m, good in zip(members, near) if good]
        column[near] = cross_decode(kept, split=parts.train, key=jr.clone(decode)).column
    pool = Pool(
        kind=np.array([m.kind for m in members]),
        name=np.array([m.name for m in members]),
        dims=np.array([m.latents.shape[2] for m in members], float),
        co_smoothing=np.array(full),
        near=near,
        alphas=np.array(ALPHAS),
        scores=np.array(scores),
        sem=np.array(sem),
        column=column,
        by_all=by_all,
    )
    return Results(pool, _agreement(pool, again))


def _parts(settings: Settings, key) -> Parts:
    """Windows and neurons drawn into their parts."""
    windows = m1().astype(float)
    chance = generator(key)
    neurons = chance.permutation(windows.shape[2])
    train = np.zeros(len(windows), bool)
    train[chance.permutation(len(windows))[: settings.train]] = True
    held_out, held_in = np.split(neurons, [settings.held_out])
    return Parts(windows[..., np.sort(held_in)], windows[..., np.sort(held_out)], train)


def _members(parts: Parts, settings: Settings, key) -> list[Member]:
    hidden, masked, sequential = jr.split(key, 3)
    return [
        *components(parts, settings.components),
        *factors(parts, settings.factors),
        *markov(parts, settings.states, settings.em, key=hidden),
        *transformers(parts, settings.transformers, settings.updates, key=masked),
        *autoencoders(parts, settings.autoencoders, settings.updates, key=sequential),
    ]


def _agreement(pool: Pool, key) -> Agreement:
    near, every = pool.near, np.ones(len(pool.near), bool)
    good, by_all, everyone = (
        [_correlated(column[rows], score[rows], key) for score in pool.scores.T]
        for rows, column in ((near, pool.column), (near, pool.by_all), (every, pool.by_all))
    )
    return Agreement(
        near=np.array([c.pearson for c in good]),
        near_range=np.array([c.pearson_range for c in good]),
        near_ranks=np.array([c.spearman for c in good]),
        by_all=np.array([c.pearson for c in by_all]),
        everyone=np.array([c.pearson for c in everyone]),
        everyone_range=np.array([c.pearson_range for c in everyone]),
    )


def _correlated(column, score, key) -> Correlation:
    """Undefined for fewer than 3 models."""
    if len(column) < 3:
        none = np.full(2, np.nan)
        return Correlation(np.nan, np.nan, none, none, len(column))
    return correlate(column, score, key=jr.clone(key))


def claims(results: Results) -> list[Claim]:
    pool, found = results.pool, results.agreement
    made = [
        at_least("models in the pool", len(pool.near), 24, "full"),
        reported("of them near-optimal", pool.near.sum()),
    ]
    for i, alpha in enumerate(pool.alphas.tolist()):
        low, high = found.near_range[i]
        words = f"penalty {alpha:g}: r of column mean and k-shot, near-optimal models"
        made.append(reported(f"{words} ({low:.2f}..{high:.2f})", found.near[i]))
        made.append(reported(f"penalty {alpha:g}: the same, decoded from all", found.by_all[i]))
        low, high = found.everyone_range[i]
        words = f"penalty {alpha:g}: the same, all models"
        made.append(reported(f"{words} ({low:.2f}..{high:.2f})", found.everyone[i]))
    for kind in dict.fromkeys(pool.kind.tolist()):
        best = pool.co_smoothing[pool.kind == kind].max()
        made.append(reported(f"best Q_co of {kind}, of {(pool.kind == kind).sum()}", best))
    return made


def draw(results: Results):
    pool = results.pool
    figure, axes = row(3, width=9.5, height=2.9)
    kinds(axes[0], pool.dims, pool.co_smoothing, pool.kind).set(
        xlabel="dimensions", ylabel="co-smoothing, bits per spike"
    )
    least = pool.co_smoothing[pool.near].min()
    axes[0].axhline(least, lw=0.6, ls="--", color="0.5")
    near = pool.near
    kinds(axes[1], pool.column[near], pool.scores[near, DECISIVE], pool.kind[near]).set(
        xlabel="column mean 1 - R2", ylabel="k-shot, near-optimal"
    )
    if near.sum() < 3:
        axes[1].set_title("too few for a correlation", fontsize=7)
    kinds(axes[2], pool.by_all, pool.scores[:, DECISIVE], pool.kind).set(
        xlabel="column mean 1 - R2, all", ylabel="k-shot"
    )
    return figure
