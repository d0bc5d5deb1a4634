"""Does a recurrent network that sees its place ever more rarely hold a clearer map of it?

Networks of one or three layers walk on a line. Each step is told, the place is shown every
A-th step only, and they name the place that each step leads to. Order is high at any A and
does not tell them apart: a network that integrates is in order even if it need not look far.
What falls with A, and with depth, is the scatter within a place: NC1.

Paper: Ratzon and Barak 2025, arXiv:2511.09290, the recurrent network; fewer units and updates
than theirs, and shorter walks. The first A steps are left out of the geometry.
Takes: 8 s quick, 5 min full
"""

import dataclasses
import functools
import itertools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pydantic
from jaxtyping import Float, Int

from slowpoint.analysis.geometry import nc1, order, participation_ratio
from slowpoint.cells.vanilla import Vanilla
from slowpoint.core.claim import at_least, at_most, Claim, equal, reported
from slowpoint.core.networks import entries, joined, mean_of, one_row
from slowpoint.core.processes import in_processes
from slowpoint.core.result import Result
from slowpoint.core.rollout import rollout
from slowpoint.core.settings import Settings as Base
from slowpoint.core.stacked import Stacked
from slowpoint.core.trial import Trial
from slowpoint.learning.descend import descend
from slowpoint.learning.given_trials import GivenTrials
from slowpoint.plots.prediction import over_horizon
from slowpoint.plots.style import row
from slowpoint.tasks.predict_walk import PredictWalk


class Settings(Base):
    layers: tuple[int, ...] = pydantic.Field(
        default=(1, 3), min_length=1, description="recurrent layers"
    )
    horizons: tuple[int, ...] = pydantic.Field(
        default=(1, 2, 5, 10), min_length=1, description="A: the place is shown every A steps"
    )
    size: int = pydantic.Field(default=10, ge=2, description="S, places of the line")
    units: int = pydantic.Field(default=64, ge=1, description="H, of each layer")
    gain: float = pydantic.Field(
        default=0.5, gt=0, description="g, deviation of the first weights x sqrt(fan-in)"
    )
    walks: int = pydantic.Field(default=20, ge=1, description="always the same")
    steps: int = pydantic.Field(default=60, ge=2, description="of each walk")
    rate: float = pydantic.Field(default=1e-3, gt=0, description="of Adam")
    updates: int = pydantic.Field(default=1500, ge=1, description="full-batch, of Adam")
    seeds: int = pydantic.Field(default=3, ge=1, description="networks, each with its walks")
    processes: int = pydantic.Field(default=2, ge=1, description="networks that learn at once")


QUICK = Settings(layers=(1,), horizons=(1, 5), updates=500, seeds=1, processes=1)


class Walkers(Result):
    """One row a network."""

    layers: Int[np.ndarray, " network"]
    horizon: Int[np.ndarray, " network"]  # A
    replicate: Int[np.ndarray, " network"]
    gain: Float[np.ndarray, " network"]  # g
    loss: Float[np.ndarray, " network"]  # at the last update; NaN: diverged
    accuracy: Float[np.ndarray, " network"]  # of the steps that the geometry counts
    order: Float[np.ndarray, " network"]
    nc1: Float[np.ndarray, " network"]
    participation: Float[np.ndarray, " network"]


@dataclasses.dataclass(frozen=True)
class Results:
    walkers: Walkers


def run(settings: Settings) -> Results:
    s = settings
    tasks = list(itertools.product(s.layers, s.horizons, range(s.seeds)))
    found = in_processes(functools.partial(_one, s), tasks, s.processes)
    return Results(joined(found))


def _one(settings: Settings, cell: tuple[int, int, int]) -> Walkers:
    """One network; the walks are the same at each depth and horizon."""
    layers, horizon, number = cell
    walk, begin, learn = jr.split(jr.fold_in(jr.key(settings.seed), number), 3)
    task = PredictWalk(settings.size, horizon, settings.steps)
    trials = jax.jit(jax.vmap(task.trial))(jr.split(walk, settings.walks))
    sizes = (task.input_size, *[settings.units] * layers)
    net = stack(sizes, task.output_size, settings.gain, begin)
    rule = optax.adam(settings.rate)
    how = {"updates": settings.updates, "key": learn, "optimiser": rule}
    taught = descend(net, GivenTrials(task, trials), **how)
    states, outputs = (np.asarray(part) for part in _walked(taught.system, trials))
    code = states[:, horizon:, -settings.units :].reshape(-1, settings.units).astype(float)
    named, place = (
        np.argmax(part, axis=-1)[:, horizon:].ravel() for part in (outputs, trials.targets)
    )
    measures = order(code, place.astype(float)), nc1(code, place), participation_ratio(code)
    loss, right = float(taught.losses[-1]), (named == place).mean()
    known = (layers, horizon, number, settings.gain, loss, right, *measures)
    return one_row(Walkers, known)


@eqx.filter_jit
def _walked(net: Stacked, trials: Trial):
    paths = jax.vmap(lambda trial: rollout(net, trial.start, trial.inputs))(trials)
    return paths.states, paths.outputs


def stack(sizes: tuple[int, ...], outputs: int, gain: float, key) -> Stacked:
    """Layers of `sizes` (input first), all weights N(0, gain² / fan-in), biases 0."""
    draw = lambda k, to, of: gain / math.sqrt(of) * jr.normal(k, (to, of))
    parts = []
    for few, many, k in zip(sizes, sizes[1:], jr.split(key, len(sizes) - 1)):
        w, b, c = jr.split(k, 3)
        weights = draw(w, many, many), draw(b, many, few), jnp.zeros(many)
        readout = draw(c, outputs, many), jnp.zeros(outputs)  # of the uppermost is used
        parts.append(Vanilla(*weights, *readout, dt=1.0, form="rate"))
    return Stacked(tuple(parts))


def claims(results: Results) -> list[Claim]:
    codes = results.walkers
    depths, horizons = (np.unique(a).tolist() for a in (codes.layers, codes.horizon))
    cells = list(itertools.product(depths, horizons))
    mean = lambda name, cell: mean_of(codes, name, layers=cell[0], horizon=cell[1])
    least = min(mean("order", cell) for cell in cells)
    scatter = {cell: mean("nc1", cell) for cell in cells}
    found = [
        equal("networks that diverged", (~np.isfinite(codes.loss)).sum(), 0),
        at_least("order, least of all depths and horizons", least, 0.9),
    ]
    for layers, far in cells:
        if far >= 5 and 1 in horizons:
            share = scatter[layers, far] / scatter[layers, 1]
            says = f"layers: {layers}, A = {far}: NC1 over that of A = 1"
            found.append(at_most(says, share, 0.5, "full"))
    if {1, 3} <= set(depths):
        for far in horizons:
            share = scatter[3, far] / scatter[1, far]
            found.append(
                at_most(f"A = {far}: NC1 of 3 layers over that of 1", share, 1.0, "full")
            )
    for cell in cells:
        says = "layers: {}, A = {}: participation ratio".format(*cell)
        found.append(reported(says, mean("participation", cell)))
        found.append(reported("  order", mean("order", cell)))
        found.append(reported("  NC1", scatter[cell]))
        found.append(reported("  accuracy", mean("accuracy", cell)))
    return found


def draw(results: Results):
    codes = results.walkers
    figure, axes = row(3, width=10.0, height=3.0)
    depths, far = np.unique(codes.layers).tolist(), np.unique(codes.horizon)
    for ax, measure, says in (
        (axes[0], "order", "order"),
        (axes[1], "nc1", "NC1, scatter within over between"),
        (axes[2], "participation", "participation ratio"),
    ):
        rows = {
            f"layers: {n}": [entries(codes, measure, layers=n, horizon=a) for a in far]
            for n in depths
        }
        over_horizon(ax, far, rows, says)
        ax.set(xlabel="A, steps from view to view", title=f"tanh, g = {codes.gain[0]:g}")
    axes[0].set(ylim=(0, 1.05))
    axes[1].set(yscale="log")
    return figure
