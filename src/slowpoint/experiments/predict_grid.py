"""Does a network that predicts on a square hold a square?

A deep linear network sees a place of a grid and a move along one of its axes. Moves of one
step leave a tangle; of two or more, the code is the plane that the places lie in.

Paper: Ratzon and Barak 2025, arXiv:2511.09290, the grid. 8 x 8 places, 4,000 updates.
Takes: 10 s quick, 70 s full
"""

import dataclasses
import functools

import jax.random as jr
import numpy as np
import pydantic
from jaxtyping import Float, Int

from slowpoint.analysis.geometry import class_means, pca
from slowpoint.analysis.predictor_codes import Codes, linear_codes, near_states
from slowpoint.core.claim import at_least, at_most, Claim, equal
from slowpoint.core.networks import entries, joined, mean_of
from slowpoint.core.processes import in_processes
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.learning.predictors import linear_predictors, Teaching
from slowpoint.plots.prediction import netted, over_horizon
from slowpoint.plots.style import row
from slowpoint.worlds.grid import grid


class Settings(Base):
    size: int = pydantic.Field(default=8, ge=3, description="S, places along an axis")
    depth: int = pydantic.Field(default=5, ge=1, description="nh, hidden layers")
    horizons: tuple[int, ...] = pydantic.Field(
        default=(1, 2, 4), min_length=1, description="A of each"
    )
    moves: str = pydantic.Field(default="axis", description="axis, or square: both at once")
    rate: float = pydantic.Field(default=1e-3, gt=0, description="of Adam")
    updates: int = pydantic.Field(default=4000, ge=1, description="full-batch")
    seeds: int = pydantic.Field(default=3, ge=1, description="networks at each horizon")
    processes: int = pydantic.Field(default=2, ge=1, description="networks that learn at once")


QUICK = Settings(horizons=(1, 2), updates=1500, seeds=1, processes=1)


class Sheets(Result):
    """Class means on two components, of the first network of each horizon."""

    horizon: Int[np.ndarray, " horizon"]
    means: Float[np.ndarray, "horizon place 2"]


@dataclasses.dataclass(frozen=True)
class Results:
    codes: Codes
    sheets: Sheets


def run(settings: Settings) -> Results:
    work = functools.partial(_one, settings)
    codes, means = zip(*in_processes(work, settings.horizons, settings.processes))
    return Results(joined(list(codes)), Sheets(np.array(settings.horizons), np.array(means)))


def _one(settings: Settings, horizon: int) -> tuple[Codes, np.ndarray]:
    """The codes of all replicates at a horizon, and the map of the first."""
    world = grid(settings.size, horizon, settings.moves)
    units = settings.size**2 + 4 * horizon + 1  # as published
    how = Teaching(settings.depth, units, settings.rate, settings.updates)
    keys = jr.split(jr.fold_in(jr.key(settings.seed), horizon), settings.seeds)
    trained = linear_predictors(world, how, keys)
    states = near_states(trained.replicate(0).system, world)
    means, _ = class_means(pca(states, 2).project(states), world.target[world.near])
    return linear_codes(trained, world, horizon), means


def claims(results: Results) -> list[Claim]:
    codes, found = results.codes, []
    found.append(equal("networks that diverged", (~np.isfinite(codes.loss)).sum(), 0))
    (depth,) = np.unique(codes.depth)
    for far in np.unique(codes.horizon):
        mean = mean_of(codes, "order", depth=depth, horizon=far)
        if far == 1:
            found.append(at_most("A = 1: order, mean", mean, 0.9))
        else:
            found.append(at_least(f"A = {far}: order, mean", mean, 0.99))
            there, near = (mean_of(codes, "nc1", depth=depth, horizon=a) for a in (far, 1))
            scatter = there / near
            if np.isfinite(scatter):
                found.append(at_most("  NC1 over that at A = 1", scatter, 0.1, "full"))
    return found


def draw(results: Results):
    codes, sheets = results.codes, results.sheets
    figure, axes = row(1 + len(sheets.horizon), width=3.0 * (1 + len(sheets.horizon)))
    horizons = np.unique(codes.horizon)
    (depth,) = np.unique(codes.depth)
    rows = {
        name: [entries(codes, measure, depth=depth, horizon=far) for far in horizons]
        for name, measure in (("order", "order"), ("NC1", "nc1"))
    }
    over_horizon(axes[0], horizons, rows, "of the code")
    for ax, far, means in zip(axes[1:], sheets.horizon, sheets.means):
        netted(ax, means)
        ax.set(title=f"A = {far}")
    return figure
