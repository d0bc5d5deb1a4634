"""Do few-shot scores and cross-decoding agree about latents of a real recording?

Principal components of a monkey's motor cortex (and of a rat's hippocampus), to which nothing
is appended, or latents of pure noise that knows nothing of the recording. A readout taught by
all trials hardly minds the noise; one taught by few does, and no other model can decode it.
Models share their noise (8+5 has the first five of 8+40), or each has its own: then all that
have some are nearly equally hard to decode, and the correlation is weaker though the order is
the same. Beware: both scores also punish real signal of small variance, so 20 components
predict best and look worse than 8, and over all models of the rat the penalty turns the sign of
the correlation. Compare models that predict equally well. These latents have no readout of
their own: Q_co is that of the readout taught by all training trials.

Paper: Dabholkar and Barak 2024, arXiv 2405.14425, few-shot scores against cross-decoding of
four recordings; these are others, and the family of models is ours.
Takes: 10 s quick, 60 s full
"""

import dataclasses

import jax.random as jr
import numpy as np
import pydantic
from jaxtyping import Float, Shaped

from slowpoint.analysis.cross_decoding import cross_decode
from slowpoint.analysis.few_shot import co_smoothing, few_shot, Random
from slowpoint.core.chance import generator
from slowpoint.core.claim import at_least, at_most, Claim, reported
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.latents.readout import PoissonReadout
from slowpoint.latents.reduce import fit_pca, independent_latents
from slowpoint.plots.few_shot import against, over_trials
from slowpoint.plots.style import row
from slowpoint.recordings.binned import counts, windows
from slowpoint.recordings.monkey import monkey
from slowpoint.recordings.rat import hippocampus, SPAN
from slowpoint.theory.few_shot import few_shot_curve, glm_readout_size

BASE = 8  # components to which noise is appended
BINS = 20  # of a window
SHARES = {"monkey": (458, 21), "rat": (294, 7)}  # training windows, units held out


class Settings(Base):
    splits: int = pydantic.Field(
        default=3, ge=1, description="of the monkey's trials and units"
    )
    dims: tuple[int, ...] = pydantic.Field(
        default=(2, 4, 8, 12, 20), description="principal components, d"
    )
    extra: tuple[int, ...] = pydantic.Field(
        default=(5, 10, 20, 40),
        min_length=2,
        description="noise latents beside 8 components, e",
    )
    k: tuple[int, ...] = pydantic.Field(
        default=(16, 64, 256), description="trials that teach the readout"
    )
    draws: int = pydantic.Field(default=8, ge=2, description="of those trials, of the monkey")
    alpha: float = pydantic.Field(default=1e-3, gt=0, description="penalty of the readout")
    alphas: tuple[float, ...] = pydantic.Field(
        default=(1e-4, 1e-3, 1e-2, 1e-1),
        description="penalties tried beside, at the middle k",
    )
    width: float = pydantic.Field(default=1.5, gt=0, description="SD of the smoothing, bins")
    coefficient: float = pydantic.Field(default=0.9, description="of the noise, AR(1)")


QUICK = Settings(splits=1, k=(16, 64), draws=4, alphas=(1e-3, 1e-1))


class Family(Result):
    """One recording; the first axis is a split of its trials and units."""

    model: Shaped[np.ndarray, " model"]
    dims: Float[np.ndarray, " model"]
    extra: Float[np.ndarray, " model"]
    k: Float[np.ndarray, " k"]
    q_co: Float[np.ndarray, "split model"]  # bits per spike, readout of all training trials
    q_k: Float[np.ndarray, "split model k"]
    sem: Float[np.ndarray, "split model k"]
    law: Float[np.ndarray, "split model k"]  # q_co less the cost of dims + 1 weights
    bounded: Float[np.ndarray, "split model k"]  # share of the scored rates
    column: Float[np.ndarray, "split model"]  # mean 1 - R², decoded from the others
    column_range: Float[np.ndarray, "split model 2"]
    alphas: Float[np.ndarray, " alpha"]
    by_alpha: Float[np.ndarray, "split model alpha"]  # q_k at the middle k


@dataclasses.dataclass(frozen=True)
class Results:
    monkey: Family
    own: Family  # of the monkey, noise of its own in every model
    rat: Family


def run(settings: Settings) -> Results:
    of_monkey, of_rat = jr.split(jr.key(settings.seed))
    blocks = np.concatenate([windows(monkey(block).counts, BINS) for block in (1, 2)])
    track = windows(counts(hippocampus().active(), 0.25, SPAN), BINS)
    one = settings.model_copy(update={"splits": 1, "draws": 4, "k": (64,)})
    many = (blocks, SHARES["monkey"], settings)
    return Results(
        monkey=_family(*many, of_monkey, shared=True),
        own=_family(*many, jr.clone(of_monkey), shared=False),
        rat=_family(track, SHARES["rat"], one, of_rat, shared=True),
    )


def _family(trials, shares: tuple[int, int], settings: Settings, key, *, shared) -> Family:
    """All models of all splits of one recording."""
    pool = [(d, 0) for d in settings.dims] + [(BASE, e) for e in settings.extra]
    rows = [
        _split(trials, shares, pool, settings, part, shared=shared)
        for part in jr.split(key, settings.splits)
    ]
    return Family(
        model=np.array([f"{d}+{e}" if e else f"{d}" for d, e in pool]),
        dims=np.array([d for d, _ in pool], float),
        extra=np.array([e for _, e in pool], float),
        k=np.array(settings.k, float),
        alphas=np.array(settings.alphas),
        **{name: np.stack([row[name] for row in rows]) for name in rows[0]},
    )


def _split(trials, shares, pool, settings: Settings, key, *, shared: bool) -> dict:
    """Scores of every model, with trials and units drawn into their parts."""
    cut, noise, draw, again = jr.split(key, 4)
    chance = generator(cut)
    order, units = (chance.permutation(n) for n in (len(trials), trials.shape[2]))
    train, held_out = order[: shares[0]], units[: shares[1]]
    test = order[shares[0] :]
    held_in = trials[..., np.sort(units[shares[1] :])]
    x, x_test = trials[train][..., held_out], trials[test][..., held_out]
    readout = PoissonReadout(settings.alpha)
    latents, found = [], []
    most = max(e for _, e in pool)
    for (d, e), own in zip(pool, jr.split(noise, len(pool))):
        z = fit_pca(held_in[train], d, settings.width).encode(held_in)
        part = jr.clone(noise) if shared else own
        chance = {"coefficient": settings.coefficient, "key": part}
        extraneous = independent_latents(len(z), BINS, most, **chance)[..., :e]
        z = np.concatenate([z, extraneous], axis=2)
        latents.append(z)
        found.append(_scores(z[train], x, z[test], x_test, readout, settings, jr.clone(draw)))
    marks = np.isin(np.arange(len(trials)), train)
    decoded = cross_decode(latents, split=marks, key=again)
    scores = {name: np.array([row[name] for row in found]) for name in found[0]}
    return scores | {"column": decoded.column, "column_range": decoded.column_range}


def _scores(z, x, z_test, x_test, readout, settings: Settings, key) -> dict:
    """Q_co, Q_k and what the law expects of one model."""
    full = co_smoothing(z, x, z_test, x_test, readout=readout).pooled
    scheme = Random(settings.draws)
    shots = few_shot(
        z, x, z_test, x_test, readout=readout, k=settings.k, scheme=scheme, key=key
    )
    law = few_shot_curve(
        full,
        glm_readout_size(z.shape[2]),
        k=np.array(settings.k),
        trials=len(z),
        bins=BINS,
        mean_count=float(x_test.mean()),
    )
    middle = {"k": settings.k[len(settings.k) // 2], "scheme": scheme}
    path = [
        few_shot(z, x, z_test, x_test, readout=PoissonReadout(a), key=jr.clone(key), **middle)
        for a in settings.alphas
    ]
    return {
        "q_co": full,
        "q_k": shots.mean,
        "sem": shots.sem,
        "law": law,
        "bounded": shots.clipped.mean(axis=1),
        "by_alpha": np.array([scored.mean[0] for scored in path]),
    }


def claims(results: Results) -> list[Claim]:
    found = []
    for name in ("monkey", "own", "rat"):
        family = getattr(results, name)
        grown = family.dims == BASE
        for i, k in enumerate(family.k):
            together = [
                _pearson(q[grown, i], column[grown])
                for q, column in zip(family.q_k, family.column)
            ]
            says = f"{name}: r({k:.0f}-shot, decoding by others), 8 + noise, worst split"
            worst = max(together)
            found.append(reported(says, worst) if name == "own" else at_most(says, worst, -0.8))
        found += _reported(name, family)
    return found + _monkey(results.monkey)


def _monkey(family: Family) -> list[Claim]:
    """What holds along the family in every split."""
    eight, twenty, noisiest = (_row(family, d, e) for d, e in ((8, 0), (20, 0), (8, -1)))
    lost = 1 - family.q_co[:, noisiest] / family.q_co[:, eight]
    few = family.q_k[:, :, 0]
    found = [
        at_most("monkey: share of Q_co lost to the most noise, worst split", lost.max(), 0.05),
        at_most(
            "monkey: few-shot score with the most noise, worst split",
            few[:, noisiest].max(),
            0.0,
        ),
    ]
    if twenty is not None:
        gain = family.q_co[:, twenty] - family.q_co[:, eight]
        cost = few[:, eight] - few[:, twenty]
        more = family.column[:, twenty] - family.column[:, eight]
        found += [
            at_least("monkey: Q_co that 20 components gain on 8, worst split", gain.min(), 0.0),
            at_least("monkey: few-shot score they lose all the same", cost.min(), 0.0),
            at_least("monkey: by how much others decode them worse", more.min(), 0.0),
        ]
    return found


def _row(family: Family, dims: int, extra: int) -> int | None:
    """The model's place; `extra` -1 asks for the most."""
    wanted = family.extra.max() if extra < 0 else extra
    where = np.flatnonzero((family.dims == dims) & (family.extra == wanted))
    return int(where[0]) if len(where) else None


def _pearson(a, b) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def _reported(name: str, family: Family) -> list[Claim]:
    """Numbers without a bar: of the first split."""
    found = []
    for i, model in enumerate(family.model):
        shots = ", ".join(
            f"{k:.0f}-shot {q:.4f} (law {law:.4f}, s.e.m. {e:.1g})"
            for k, q, law, e in zip(
                family.k, family.q_k[0, i], family.law[0, i], family.sem[0, i]
            )
        )
        says = f"{name}: {model}: {shots}; 1 - R² {family.column[0, i]:.3f}; Q_co"
        found.append(reported(says, family.q_co[0, i]))
    for i, k in enumerate(family.k):
        off = np.abs(family.law[..., i] - family.q_k[..., i])
        found.append(reported(f"{name}: {k:.0f}-shot, law off by, median", np.median(off)))
    grown, middle = family.dims == BASE, family.k[len(family.k) // 2]
    for i, alpha in enumerate(family.alphas):
        scores, column = family.by_alpha[0, :, i], family.column[0]
        whole = _pearson(scores, column)
        says = f"{name}: alpha {alpha:g}: r({middle:.0f}-shot, decoding by others), 8 + noise"
        says += f" (all models {whole:.2f})"
        found.append(reported(says, _pearson(scores[grown], column[grown])))
    return found


def draw(results: Results):
    figure, axes = row(3, width=8.5, height=2.8)
    family = results.monkey
    over_trials(
        axes[0], family.k, family.model.tolist(), (family.q_k[0], family.sem[0], family.law[0])
    )
    for ax, name in ((axes[1], "monkey"), (axes[2], "rat")):
        family = getattr(results, name)
        middle = len(family.k) // 2
        against(
            ax,
            family.column[0],
            family.q_k[0, :, middle],
            family.sem[0, :, middle],
            family.model.tolist(),
        )
        ax.set(xlabel="mean 1 - R², decoded from others", ylabel=f"{family.k[middle]:.0f}-shot")
        ax.set_title(name, fontsize=8)
    return figure
