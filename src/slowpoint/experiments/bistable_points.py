"""Does the finder get the bistable flow right? The check to run before any network.

Three points, two of them stable, with the rates -2 (along the axis at the wells), +1 (at the
saddle) and -1 (elsewhere), all known on paper.

Paper: Dabholkar and Barak 2025, arXiv:2505.15231, the two-dimensional toy system.
Takes: 4 s quick, 4 s full
"""

import dataclasses

import jax.random as jr
import numpy as np
import pydantic

from slowpoint.analysis.coverage import Coverage
from slowpoint.analysis.points import FixedPoints
from slowpoint.analysis.search import Plan, search
from slowpoint.core.claim import at_most, Claim, equal
from slowpoint.core.settings import Settings as Base
from slowpoint.plots.spectrum import spectrum
from slowpoint.plots.style import blank
from slowpoint.worlds.bistable import Bistable


class Settings(Base):
    size: int = pydantic.Field(default=2, ge=1, description="dimensions of the flow")
    guesses: int = pydantic.Field(default=64, ge=4, description="guesses a round")
    spread: float = pydantic.Field(
        default=1.5, gt=0, description="half width of visited states"
    )


QUICK = Settings(guesses=16)


@dataclasses.dataclass(frozen=True)
class Results:
    points: FixedPoints
    coverage: Coverage


def run(settings: Settings) -> Results:
    draw, look = jr.split(jr.key(settings.seed))
    shape = (4 * settings.guesses, settings.size)
    states = jr.uniform(draw, shape, minval=-settings.spread, maxval=settings.spread)
    plan = Plan(guesses=settings.guesses, forward=16)
    world = Bistable(settings.size)
    found = search(world, hold=np.zeros(0), key=look, states=states, plan=plan)
    return Results(found.points, found.coverage)


def claims(results: Results) -> list[Claim]:
    points = results.points
    along = points.states[:, 0]
    exact = np.array([-1.0, 0.0, 1.0])
    off = np.abs(np.sort(along) - exact).max() if len(points) == 3 else np.inf
    saddle = points.saddles
    rate = abs(saddle.rates[0, 0] - 1) if len(saddle) else np.inf
    return [
        equal("fixed points", len(points), 3),
        equal("of them stable", len(points.stable), 2),
        at_most("largest distance from -1, 0, 1 along the axis", off, 1e-10),
        at_most("distance of the saddle's growing rate from 1", rate, 1e-9),
        equal("index sum", results.coverage.index_sum or 0, 1),
    ]


def draw(results: Results):
    figure, ax = blank()
    spectrum(ax, results.points)
    return figure
