"""Does a network that predicts know what follows pairs that it never saw?

A fifth of the pairs (place, action) of a corridor is held out; every place, action and target
keeps a pair to learn from. One hidden layer orders its code when it looks far, and yet names
no held-out pair rightly; nine layers name all. What order does not tell, held-out pairs do.

Paper: Ratzon and Barak 2025, arXiv:2511.09290, for the networks; the test is ours.
Takes: 13 s quick, 5 min full
"""

import dataclasses
import functools

import jax.random as jr
import numpy as np
import pydantic
from jaxtyping import Float, Int

from slowpoint.analysis.geometry import nc1, order
from slowpoint.analysis.margins import accuracy
from slowpoint.analysis.predictor_codes import near_states, product
from slowpoint.core.claim import at_least, at_most, Claim, equal, reported
from slowpoint.core.networks import entries, mean_of
from slowpoint.core.processes import in_processes
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.core.transitions import held_out
from slowpoint.learning.predictors import clipped_rate, linear_predictors, Teaching
from slowpoint.plots.prediction import over_horizon
from slowpoint.plots.style import row
from slowpoint.worlds.corridor import corridor


class Settings(Base):
    size: int = pydantic.Field(default=20, ge=3, description="S, places of the corridor")
    depths: tuple[int, ...] = pydantic.Field(
        default=(1, 9), min_length=1, description="nh, hidden layers of each"
    )
    horizons: tuple[int, ...] = pydantic.Field(
        default=(1, 2, 3, 4, 5, 7, 10), min_length=1, description="A of each"
    )
    share: float = pydantic.Field(default=0.2, gt=0, lt=1, description="of pairs held out")
    updates: int = pydantic.Field(default=15_000, ge=1, description="full-batch, of Adam")
    seeds: int = pydantic.Field(default=3, ge=1, description="networks, each its own pairs")
    processes: int = pydantic.Field(default=2, ge=1, description="networks that learn at once")


QUICK = Settings(horizons=(1, 10), updates=2500, seeds=1, processes=1)

KNOWN = {1: 0.0, 2: 0.03, 10: 1.0}  # of nine layers, by A, two networks each
WITHIN = 0.1  # is agreement


class Held(Result):
    """One row a network."""

    depth: Int[np.ndarray, " network"]
    horizon: Int[np.ndarray, " network"]
    pairs: Int[np.ndarray, " network"]  # held out
    seen: Float[np.ndarray, " network"]  # accuracy on pairs to learn from
    unseen: Float[np.ndarray, " network"]  # on those held out
    order: Float[np.ndarray, " network"]
    nc1: Float[np.ndarray, " network"]


@dataclasses.dataclass(frozen=True)
class Results:
    held: Held


def run(settings: Settings) -> Results:
    cells = [
        (nh, far, number)
        for nh in sorted(settings.depths, reverse=True)  # the longest first
        for far in settings.horizons
        for number in range(settings.seeds)
    ]
    work = functools.partial(_one, settings)
    rows = np.array(in_processes(work, cells, settings.processes)).T
    names = [field.name for field in dataclasses.fields(Held)]
    whole = ("depth", "horizon", "pairs")
    return Results(
        Held(**{n: r.astype(int if n in whole else float) for n, r in zip(names, rows)})
    )


def _one(settings: Settings, cell: tuple[int, int, int]) -> tuple[float, ...]:
    """The fields of Held of one network."""
    depth, horizon, number = cell
    world = corridor(settings.size, horizon)
    pick, learn = jr.split(jr.fold_in(jr.fold_in(jr.key(settings.seed), horizon), number))
    out = held_out(world, settings.share, pick)
    rate = clipped_rate(depth, horizon)
    how = Teaching(depth, 3 * settings.size - 1, rate, settings.updates)
    net = linear_predictors(world.rows(~out), how, learn[None]).replicate(0).system
    logits, states = world.one_hot() @ product(net).T, near_states(net, world)
    near = world.rows(world.near)
    return (
        depth,
        horizon,
        out.sum(),
        accuracy(logits[~out], world.target[~out]),
        accuracy(logits[out], world.target[out]),
        order(states, near.latent),
        nc1(states, near.target),
    )


def claims(results: Results) -> list[Claim]:
    held = results.held
    found = [equal("accuracy on pairs learned from, least", held.seen.min(), 1)]
    for nh in np.unique(held.depth)[::-1]:
        for far in np.unique(held.horizon):
            says = f"nh = {nh}, A = {far}: held-out accuracy"
            cell = {"depth": nh, "horizon": far}
            share = mean_of(held, "unseen", **cell)
            pairs = entries(held, "pairs", **cell)[0]
            found.append(reported(f"{says} ({pairs} pairs)", share))
            if nh == 9 and far in KNOWN:
                off = abs(share - KNOWN[far])
                found.append(at_most(f"  off {KNOWN[far]:g}", off, WITHIN, "full"))
            if nh == 1:
                found.append(at_most("  at most", share, WITHIN, "full"))
    deep, one = (mean_of(held, "unseen", depth=nh, horizon=10) for nh in (9, 1))
    if np.isfinite(deep - one):
        found.append(at_least("A = 10: nine layers above one", deep - one, 0.5))
        least = entries(held, "order", depth=1, horizon=10).min()
        found.append(at_least("  and yet one layer is in order", least, 0.98))
    return found


def draw(results: Results):
    held = results.held
    horizons = np.unique(held.horizon)
    figure, axes = row(3, width=9.0, height=2.8)
    for ax, measure, says in zip(
        axes, ("unseen", "order", "nc1"), ("held-out accuracy", "order", "NC1")
    ):
        rows = {
            f"nh = {nh}": [entries(held, measure, depth=nh, horizon=far) for far in horizons]
            for nh in np.unique(held.depth)
        }
        over_horizon(ax, horizons, rows, says)
    axes[2].set(yscale="log")
    return figure
