"""When does a network that predicts hold a clean map: when it is deep, or when it looks far?

Deep linear networks see a place of a corridor and an action of up to A steps, and learn to
name the place that it leads to. One step ahead the code in the last hidden layer is a tangle
at any depth; far ahead it is in order, and deep and far together it collapses on the place
alone: one dimension, a product of rank 2.

Paper: Ratzon and Barak 2025, arXiv:2511.09290, depth against horizon. Fewer updates than the
paper's million, and its learning rates, but none below 2e-4.
Takes: 13 s quick, 20 min full
"""

import dataclasses
import functools

import jax.random as jr
import numpy as np
import pydantic

from slowpoint.analysis.predictor_codes import Codes, linear_codes
from slowpoint.core.claim import at_least, at_most, Claim, equal
from slowpoint.core.networks import entries, joined, mean_of, only
from slowpoint.core.processes import in_processes
from slowpoint.core.settings import Settings as Base
from slowpoint.learning.predictors import clipped_rate, linear_predictors, Teaching
from slowpoint.plots.prediction import heat, over_horizon
from slowpoint.plots.style import row
from slowpoint.worlds.corridor import corridor

JUDGED = (1, 10)  # A, where all depths have all seeds


class Settings(Base):
    size: int = pydantic.Field(default=20, ge=3, description="S, places of the corridor")
    depths: tuple[int, ...] = pydantic.Field(
        default=(1, 2, 3, 4, 6, 9), min_length=1, description="nh, hidden layers of each"
    )
    horizons: tuple[int, ...] = pydantic.Field(
        default=(1, 2, 3, 4, 5, 7, 10, 13, 16, 19), min_length=1, description="A of each"
    )
    updates: int = pydantic.Field(default=30_000, ge=1, description="full-batch, of Adam")
    seeds: int = pydantic.Field(
        default=3, ge=1, description="networks at depth 9 and at A = 1, 10; one elsewhere"
    )
    luck: int = pydantic.Field(default=5, ge=0, description="more networks of depth 9")
    processes: int = pydantic.Field(default=2, ge=1, description="networks that learn at once")

    @property
    def units(self) -> int:
        """H, as published."""
        return 3 * self.size - 1


QUICK = Settings(depths=(1, 4), horizons=(1, 10), updates=10_000, seeds=1, luck=0, processes=1)
LUCK_RATE, LUCK_UPDATES, LUCK_DEPTH = 1e-3, 10_000, 9
LUCK_HORIZONS = (1, 5, 10, 19)

# what was measured before with one network each, and how far from it is agreement
TANGLED = {1: 0.49, 2: 0.52, 3: 0.57, 4: 0.61, 6: 0.59, 9: 0.56}  # order by nh, at A = 1
RISING = {1: 0.564, 2: 0.849, 3: 0.955, 4: 0.986, 5: 0.9989, 7: 0.9993}  # order by A, nh = 9
MARGINS = {1: 4.0e-3, 10: 4.6e-4, 19: 2.4e-4}  # by A, nh = 9
RANKS = {(1, 10): 9, (2, 10): 8, (1, 1): 9, (4, 1): 6, (9, 1): 5}  # by (nh, A)
SPREADS = {(1, 10): 1.49, (9, 1): 1.44}  # participation ratio by (nh, A)


@dataclasses.dataclass(frozen=True)
class Results:
    codes: Codes
    luck: Codes  # more replicates of the deepest, at a higher rate


def run(settings: Settings) -> Results:
    cells = [(nh, far) for nh in settings.depths for far in settings.horizons]
    cells.sort(key=lambda cell: -cell[0])  # the longest first
    again = [(LUCK_DEPTH, far) for far in LUCK_HORIZONS] if settings.luck else []
    work = functools.partial(_one, settings)
    tasks = [(*cell, "map") for cell in cells] + [(*cell, "luck") for cell in again]
    found = in_processes(work, tasks, settings.processes)
    none = only(found[0], np.zeros(len(found[0].depth), bool))
    return Results(joined(found[: len(cells)]), joined([none, *found[len(cells) :]]))


def _one(settings: Settings, task: tuple[int, int, str]) -> Codes:
    """The codes of all replicates at one depth and horizon."""
    depth, horizon, part = task
    world = corridor(settings.size, horizon)
    rate, updates = clipped_rate(depth, horizon), settings.updates
    count = settings.seeds if horizon in JUDGED or depth == LUCK_DEPTH else 1
    key = jr.fold_in(jr.fold_in(jr.key(settings.seed), depth), horizon)
    if part == "luck":
        rate, updates, count = LUCK_RATE, LUCK_UPDATES, settings.luck
        key = jr.fold_in(key, 1)
    how = Teaching(depth, settings.units, rate, updates)
    return linear_codes(linear_predictors(world, how, jr.split(key, count)), world, horizon)


def claims(results: Results) -> list[Claim]:
    codes = results.codes
    return [
        equal("networks that diverged", (~np.isfinite(codes.loss)).sum(), 0),
        *_near_and_far(codes),
        *_collapse(codes),
        *_transition(codes),
        *_luck(results.luck),
    ]


def _there(codes: Codes, depth: int, horizon: int) -> bool:
    return len(entries(codes, "order", depth=depth, horizon=horizon)) > 0


def _near_and_far(codes: Codes) -> list[Claim]:
    """One step: a tangle at any depth. Ten: in order at any."""
    found = []
    for nh in TANGLED:
        if _there(codes, nh, 1):
            share = mean_of(codes, "order", depth=nh, horizon=1)
            found.append(at_least(f"nh = {nh}, A = 1: order", share, 0.40))
            found.append(at_most("  the same", share, 0.72))
    for nh in (1, 2, 4, 9):
        if _there(codes, nh, 10):
            share = mean_of(codes, "order", depth=nh, horizon=10)
            found.append(at_least(f"nh = {nh}, A = 10: order", share, 0.99))
    return found


def _collapse(codes: Codes) -> list[Claim]:
    """Deep and far together: the place alone, in one dimension."""
    found = []
    mean = lambda name, nh, far: mean_of(codes, name, depth=nh, horizon=far)
    if _there(codes, 1, 10):
        found.append(at_least("nh = 1, A = 10: NC1", mean("nc1", 1, 10), 3e-2))
    for nh in (4, 9):
        if _there(codes, nh, 10):
            found.append(at_most(f"nh = {nh}, A = 10: NC1", mean("nc1", nh, 10), 2e-3))
            ranks = entries(codes, "rank", depth=nh, horizon=10)
            found.append(equal(f"nh = {nh}, A = 10: minimal rank, least", ranks.min(), 2))
            found.append(equal("  largest", ranks.max(), 2))
    if _there(codes, 9, 1):
        found.append(at_least("nh = 9, A = 1: NC1", mean("nc1", 9, 1), 0.2))
    if _there(codes, 4, 10):
        spread = mean("participation", 4, 10)
        found.append(at_most("nh = 4, A = 10: participation ratio", spread, 1.01))
    for (nh, far), known in SPREADS.items():
        if _there(codes, nh, far):
            off = abs(mean("participation", nh, far) / known - 1)
            says = f"nh = {nh}, A = {far}: participation ratio off {known}, share"
            found.append(at_most(says, off, 0.1, "full"))
    for (nh, far), known in RANKS.items():
        if _there(codes, nh, far):
            off = abs(mean("rank", nh, far) - known)
            found.append(at_most(f"nh = {nh}, A = {far}: rank off {known}", off, 1, "full"))
    return found


def _transition(codes: Codes) -> list[Claim]:
    """At depth nine, order rises with the horizon and the margin falls."""
    found, seen = [], [far for far in RISING if _there(codes, 9, far)]
    for far in seen:
        off = abs(mean_of(codes, "order", depth=9, horizon=far) - RISING[far])
        found.append(at_most(f"nh = 9, A = {far}: order off {RISING[far]}", off, 0.06, "full"))
    if len(seen) > 1:
        rise = np.diff([mean_of(codes, "order", depth=9, horizon=far) for far in seen]).min()
        found.append(at_least("nh = 9: smallest rise of order from A to A", rise, 0.0, "full"))
    for far, known in MARGINS.items():
        if _there(codes, 9, far):
            off = abs(mean_of(codes, "margin", depth=9, horizon=far) / known - 1)
            says = f"nh = 9, A = {far}: margin off {known:g}, share"
            found.append(at_most(says, off, 0.2, "full"))
    return found


def _luck(codes: Codes) -> list[Claim]:
    """Five networks, all alike: the worst of them is judged where the bar is one-sided."""
    if not len(codes.depth):
        return []
    nh, found = LUCK_DEPTH, []
    order = {far: entries(codes, "order", depth=nh, horizon=far) for far in LUCK_HORIZONS}
    found.append(at_least("seeds, A = 1: order, least", order[1].min(), 0.50))
    found.append(at_most("  most", order[1].max(), 0.65))
    for far, bar in ((5, 0.99), (10, 0.999), (19, 0.999)):
        found.append(at_least(f"seeds, A = {far}: order, least", order[far].min(), bar))
    known = {1: (0.61, 5), 5: (2.0e-3, 2), 10: (1.5e-4, 2), 19: (1e-5, 2)}
    for far, (scatter, rank) in known.items():
        off = np.exp(
            np.abs(np.log(entries(codes, "nc1", depth=nh, horizon=far) / scatter)).max()
        )
        found.append(at_most(f"seeds, A = {far}: NC1 off {scatter:g}, factor", off, 3))
        ranks = entries(codes, "rank", depth=nh, horizon=far)
        wrong = np.abs(ranks - rank).max()
        found.append(at_most(f"seeds, A = {far}: rank off {rank}", wrong, 0 if far > 1 else 1))
    return found


def draw(results: Results):
    codes = results.codes
    figure, axes = row(4, width=13.0, height=3.0)
    depths, horizons = (np.unique(a).tolist() for a in (codes.depth, codes.horizon))
    for ax, measure, says in (
        (axes[0], "order", "order"),
        (axes[1], "rank", "minimal rank"),
        (axes[2], "participation", "participation ratio"),
    ):
        heat(ax, codes.table(measure), depths, horizons, says)
    far = np.array(horizons)
    rows = {
        f"nh = {nh}": [entries(codes, "nc1", depth=nh, horizon=a) for a in horizons]
        for nh in depths
    }
    over_horizon(axes[3], far, rows, "NC1, scatter within over between")
    axes[3].set(yscale="log")
    return figure
