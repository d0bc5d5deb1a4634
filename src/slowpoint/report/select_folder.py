"""Which of the models in a folder to take? From files to a page."""

import dataclasses
import os
import pathlib

import jax.random as jr
import numpy as np
from jaxtyping import PRNGKeyArray

from slowpoint.analysis.bits_per_spike import bits_per_spike, Poisson
from slowpoint.analysis.correlation import correlate, Correlation
from slowpoint.analysis.few_shot import few_shot, Random
from slowpoint.analysis.selection import How, select, Selection
from slowpoint.latents.readout import PoissonReadout
from slowpoint.report.folder import replacing_folder
from slowpoint.report.latent_files import Counts, find_models, ModelFile, read_counts
from slowpoint.report.selection_page import Context, scores_page, selection_page, told

FEW = 5  # models within the margin; of fewer a correlation says nothing
OTHERS = (0.1, 10.0)  # penalties at which the choice is looked at again, over the one asked


def select_folder(
    folder: str | os.PathLike,
    counts: str | os.PathLike,
    out: str | os.PathLike,
    *,
    key: PRNGKeyArray,
    how: How = How(),
    rates_as_latents: bool = False,
) -> tuple[pathlib.Path, list[str]]:
    """Score the models in `folder` on the held-out channels of `counts`, and choose.

    `out` gets `selection.npz` (a Selection), `figure.png` and the page `report.html`. Files of
    the Neural Latents Benchmark hold rates: they get a Q_co and nothing else, unless
    `rates_as_latents`. Returns the page and what to say on a terminal. Raises ValueError and
    FileNotFoundError on files that cannot be read, and as `select` does.
    """
    here, there = pathlib.Path(folder).resolve(), pathlib.Path(out).resolve()
    if here == there or there in here.parents:
        raise ValueError(f"{out} holds the models. Type --out {folder}/selection")
    apart = {pathlib.Path(counts).resolve(), there / "selection.npz"}
    models = [m for m in find_models(folder) if m.path.resolve() not in apart]
    given = read_counts(counts)
    latent = [m for m in models if rates_as_latents or not m.benchmark]
    bare = {m.name: _own_score(m, given) for m in models if m not in latent}
    choose, again, compare = jr.split(key, 3)
    with replacing_folder(out) as place:
        if not latent:
            page, lines = scores_page(bare, given, place, here.name)
        else:
            found = _chosen(latent, given, how, choose)
            context = Context(
                bare=bare,
                benchmark=sum(m.benchmark for m in latent),
                counts=given,
                how=how,
                elsewhere=_elsewhere(found, latent, given, how, again),
                agreement=_agreement(found, compare),
            )
            page = selection_page(found, context, place, here.name)
            lines = told(found, context)
    return pathlib.Path(out) / page.name, lines


def _chosen(latent: list[ModelFile], given: Counts, how: How, key) -> Selection:
    read = {m.name: m.latents for m in latent}
    runs = {m.name: m.run for m in latent}
    return select(read, given.train, given.test, key=key, how=how, groups=runs)


def _own_score(model: ModelFile, given: Counts) -> float:
    """Q_co of the rates in a benchmark file. Raises ValueError with the model's name."""
    try:
        return bits_per_spike(model.rates(), given.test, family=Poisson()).pooled
    except ValueError as error:
        raise ValueError(f"{model.name}: {error}") from None


def _elsewhere(found: Selection, latent, given: Counts, how: How, key) -> dict[float, str]:
    """Which model has the best k-shot score when the penalty is another, by penalty."""
    if not isinstance(how.readout, PoissonReadout) or found.near.sum() < 2:
        return {}
    near = [model for model, close in zip(latent, found.near) if close]
    best = {}
    for times in OTHERS:
        readout = dataclasses.replace(how.readout, alpha=times * how.readout.alpha)
        scores = []
        for model in near:
            z = model.latents()
            shots = few_shot(
                z.train,
                given.train,
                z.test,
                given.test,
                readout=readout,
                k=int(found.k[found.decisive]),
                key=jr.clone(key),  # the same trials for every model
                scheme=Random(how.draws),
            )
            scores.append(shots.mean[0])
        best[readout.alpha] = near[int(np.argmax(scores))].name
    return best


def _agreement(found: Selection, key) -> Correlation | None:
    if found.near.sum() < FEW:
        return None
    shots = found.q_k[found.near, found.decisive]
    return correlate(shots, found.column[found.near], key=key)
