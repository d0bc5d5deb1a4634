"""Does looking far unfold a line that is seen only in pieces?

Each place of a line is seen as twenty numbers, linear in it on four pieces and with jumps
between these. ReLU networks are told a step and predict what is seen after it. Where steps
are short nothing joins the pieces, and the code is in none of the line's order; steps of half
the line's length put a deep network in order, and leave a shallow one in disorder. With short
steps too a network can pass through an ordered code and leave it: after 3,000 updates the
first has order 0.82, after 10,000 0.14.

Paper: Ratzon and Barak 2025, arXiv:2511.09290, piecewise-linear observations, the published
settings. Measured on the pairs that were learned, and again on one cloud of short steps.
Takes: 12 s quick, 5 min full
"""

import dataclasses
import functools
import itertools

import equinox as eqx
import jax
import jax.random as jr
import numpy as np
import optax
import pydantic
from jaxtyping import Float, Int

from slowpoint.analysis.geometry import order, participation_ratio
from slowpoint.cells.feedforward import Mlp
from slowpoint.core.claim import at_least, at_most, Claim, reported
from slowpoint.core.networks import entries, joined, mean_of, one_row
from slowpoint.core.processes import in_processes
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.core.trial import Trial
from slowpoint.learning.descend import descend
from slowpoint.learning.given_trials import GivenTrials
from slowpoint.learning.predictors import Teaching
from slowpoint.plots.prediction import over_horizon
from slowpoint.plots.style import row
from slowpoint.tasks.predict_piecewise import PredictPiecewise

SHORT = 0.01  # deviation of the steps of the cloud that is the same for all


class Settings(Base):
    reaches: tuple[float, ...] = pydantic.Field(
        default=(0.01, 0.05, 0.2, 0.5), min_length=1, description="sigma_a, of steps"
    )
    depths: tuple[int, ...] = pydantic.Field(
        default=(1, 5), min_length=1, description="nh, hidden layers"
    )
    pairs: int = pydantic.Field(default=1000, ge=2, description="drawn, of place and step")
    units: int = pydantic.Field(default=50, ge=1, description="H, of each hidden layer")
    gain: float = pydantic.Field(default=0.4, gt=0, description="g, of the first weights")
    rate: float = pydantic.Field(default=1e-4, gt=0, description="of Adam")
    updates: int = pydantic.Field(default=10_000, ge=1, description="full-batch, of Adam")
    seeds: int = pydantic.Field(default=3, ge=1, description="networks, each with its curve")
    processes: int = pydantic.Field(default=2, ge=1, description="networks that learn at once")


QUICK = Settings(reaches=(0.01, 0.5), depths=(5,), updates=1500, seeds=1, processes=1)


class Broken(Result):
    """One row a network."""

    depth: Int[np.ndarray, " network"]  # nh
    reach: Float[np.ndarray, " network"]  # sigma_a
    replicate: Int[np.ndarray, " network"]
    gain: Float[np.ndarray, " network"]  # g
    loss: Float[np.ndarray, " network"]  # at the last update
    order: Float[np.ndarray, " network"]  # of the pairs that were learned
    participation: Float[np.ndarray, " network"]
    target_order: Float[np.ndarray, " network"]  # of what is to be predicted
    near_order: Float[np.ndarray, " network"]  # of new pairs with short steps
    near_participation: Float[np.ndarray, " network"]


@dataclasses.dataclass(frozen=True)
class Results:
    codes: Broken


def run(settings: Settings) -> Results:
    s = settings
    tasks = list(itertools.product(s.depths, s.reaches, range(s.seeds)))
    found = in_processes(functools.partial(_one, s), tasks, s.processes)
    return Results(joined(found))


def _one(settings: Settings, cell: tuple[int, float, int]) -> Broken:
    """One network and its curve, which is the same at each depth and reach."""
    depth, reach, number = cell
    see, begin, learn, new = jr.split(jr.fold_in(jr.key(settings.seed), number), 4)
    task = PredictPiecewise.random(reach, pairs=settings.pairs, key=see)
    how = Teaching(depth, settings.units, settings.rate, settings.updates, settings.gain)
    net = Mlp.random(how.sizes(task.input_size, task.output_size), gain=how.gain, key=begin)
    loss = GivenTrials(task, _every(task))
    rule = optax.adam(how.rate)
    taught = descend(net, loss, updates=how.updates, key=learn, optimiser=rule)
    short = PredictPiecewise.random(SHORT, pairs=settings.pairs, key=new)
    short = dataclasses.replace(task, place=short.place, move=short.move)
    (*here, told), (*near, _) = (_measures(taught.system, asked) for asked in (task, short))
    found = (float(taught.losses[-1]), *here, told, *near)
    return one_row(Broken, (depth, reach, number, settings.gain, *found))


def _measures(net: Mlp, asked: PredictPiecewise) -> tuple[float, float, float]:
    """Order and participation ratio of the last hidden layer, and order of the targets."""
    states, targets = (np.asarray(part, float) for part in _seen(net, asked))
    latent = np.asarray(asked.place + asked.move, float)
    return order(states, latent), participation_ratio(states), order(targets, latent)


@eqx.filter_jit
def _every(task: PredictPiecewise) -> Trial:
    return task.every()


@eqx.filter_jit
def _seen(net: Mlp, asked: PredictPiecewise):
    trials = asked.every()
    return jax.vmap(net.encode)(trials.inputs[:, 0]), trials.targets[:, 0]


def claims(results: Results) -> list[Claim]:
    codes = results.codes
    near, far = (mean_of(codes, "order", depth=5, reach=a) for a in (0.01, 0.5))
    found = [
        at_most("nh = 5, sigma_a = 0.01: order", near, 0.3, "full"),
        at_least("nh = 5, sigma_a = 0.5: order", far, 0.85),
    ]
    if 1 in codes.depth:
        shallow = mean_of(codes, "order", depth=1, reach=0.5)
        found.append(at_most("nh = 1, sigma_a = 0.5: order", shallow, 0.7, "full"))
    for nh in np.unique(codes.depth).tolist():
        for reach in np.unique(codes.reach).tolist():
            says = f"nh = {nh}, sigma_a = {reach:g}: participation ratio"
            for words, measure in (
                (says, "participation"),
                ("  order of short steps", "near_order"),
                ("  order of the targets", "target_order"),
            ):
                found.append(reported(words, mean_of(codes, measure, depth=nh, reach=reach)))
    return found


def draw(results: Results):
    codes = results.codes
    figure, axes = row(3, width=10.0, height=3.0)
    depths, reaches = (np.unique(a).tolist() for a in (codes.depth, codes.reach))
    for ax, measure, says in (
        (axes[0], "order", "order, pairs learned"),
        (axes[1], "near_order", "order, short steps"),
        (axes[2], "participation", "participation ratio"),
    ):
        rows = {
            f"nh = {nh}": [entries(codes, measure, depth=nh, reach=reach) for reach in reaches]
            for nh in depths
        }
        if measure == "order":
            rows["targets"] = [
                entries(codes, "target_order", depth=depths[0], reach=a) for a in reaches
            ]
        over_horizon(ax, np.array(reaches), rows, says)
        ax.set(xlabel="sigma_a, deviation of the steps", xscale="log")
        ax.set(title=f"ReLU, g = {codes.gain[0]:g}")
    return figure
