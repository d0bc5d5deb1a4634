"""Do two worlds that share nothing but their structure come to lie along one another?

A deep linear network learns to predict in two corridors, with places and actions of their own.
Far ahead, and only then, both codes are lines in the same direction of the hidden layer: what
was learned in one corridor is laid out as in the other.

Paper: Ratzon and Barak 2025, arXiv:2511.09290, two corridors. S = 10 each, 10,000 updates.
Takes: 9 s quick, 2.5 min full
"""

import dataclasses

import jax.random as jr
import numpy as np
import pydantic
from jaxtyping import Float, Int

from slowpoint.analysis.geometry import order, pca
from slowpoint.analysis.predictor_codes import near_states
from slowpoint.core.claim import at_least, Claim, equal, reported
from slowpoint.core.networks import entries
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.learning.predictors import linear_predictors, Teaching
from slowpoint.plots.prediction import mapped, over_horizon
from slowpoint.plots.style import row
from slowpoint.worlds.corridor import corridors


class Settings(Base):
    size: int = pydantic.Field(default=10, ge=3, description="S of each corridor")
    depth: int = pydantic.Field(default=9, ge=1, description="nh, hidden layers")
    horizons: tuple[int, ...] = pydantic.Field(
        default=(1, 5), min_length=1, description="A of each; published: 1 and S/2"
    )
    rate: float = pydantic.Field(default=1e-4, gt=0, description="of Adam")
    updates: int = pydantic.Field(default=10_000, ge=1, description="full-batch")
    seeds: int = pydantic.Field(default=3, ge=1, description="networks at each horizon")

    @property
    def units(self) -> int:
        """H, as published: four times that of one corridor."""
        return 4 * (3 * self.size - 1)


QUICK = Settings(depth=4, updates=2000, seeds=1, rate=5e-4)


class Alignment(Result):
    """The first principal component of each corridor's code, one row a network."""

    horizon: Int[np.ndarray, " network"]
    loss: Float[np.ndarray, " network"]
    alignment: Float[np.ndarray, " network"]  # |cos| between the two
    order: Float[np.ndarray, " network"]  # of the worse corridor
    means: Float[np.ndarray, "network place 2"]  # of places, two components of both together


@dataclasses.dataclass(frozen=True)
class Results:
    aligned: Alignment


def run(settings: Settings) -> Results:
    rows = [row for far in settings.horizons for row in _at(settings, far)]
    horizon, loss, alignment, orders, means = zip(*rows)
    return Results(
        Alignment(
            np.array(horizon),
            np.array(loss),
            np.array(alignment),
            np.array(orders),
            np.array(means),
        )
    )


def _at(settings: Settings, horizon: int) -> list[tuple]:
    """The fields of Alignment of each network at a horizon."""
    world = corridors(2, settings.size, horizon)
    near = world.rows(world.near)
    how = Teaching(settings.depth, settings.units, settings.rate, settings.updates)
    keys = jr.split(jr.fold_in(jr.key(settings.seed), horizon), settings.seeds)
    trained = linear_predictors(world, how, keys)
    found = []
    for number in range(settings.seeds):
        states = near_states(trained.replicate(number).system, world)
        sides = [near.target // settings.size == k for k in (0, 1)]
        first, second = (pca(states[side], 1).components[0] for side in sides)
        worse = min(order(states[side], near.latent[side]) for side in sides)
        plane = pca(states, 2).project(states)
        means = np.stack([plane[near.target == t].mean(axis=0) for t in range(world.n_states)])
        loss = trained.losses[number, -1]
        found.append((horizon, loss, abs(first @ second), worse, means))
    return found


def claims(results: Results) -> list[Claim]:
    aligned = results.aligned
    found = [equal("networks that diverged", (~np.isfinite(aligned.loss)).sum(), 0)]
    for far in np.unique(aligned.horizon):
        cosines = entries(aligned, "alignment", horizon=far)
        orders = entries(aligned, "order", horizon=far)
        found.append(reported(f"A = {far}: |cos| of the two codes, least", cosines.min()))
        found.append(reported("  mean", cosines.mean()))
        found.append(reported("  order of the worse corridor, mean", orders.mean()))
        if far == 5:
            found.append(at_least("A = 5: |cos|, least", cosines.min(), 0.95, "full"))
            found.append(at_least("A = 5: order, mean", orders.mean(), 0.99))
    return found


def draw(results: Results):
    aligned = results.aligned
    horizons = np.unique(aligned.horizon)
    figure, axes = row(1 + len(horizons), width=3.2 * (1 + len(horizons)), height=2.8)
    rows = {
        name: [entries(aligned, measure, horizon=far) for far in horizons]
        for name, measure in (("|cos|", "alignment"), ("order", "order"))
    }
    over_horizon(axes[0], horizons, rows, "of two corridors")
    for ax, far in zip(axes[1:], horizons):
        for half in np.split(entries(aligned, "means", horizon=far)[0], 2):
            mapped(ax, half, np.arange(len(half), dtype=float))
        ax.set(title=f"A = {far}")
    return figure
