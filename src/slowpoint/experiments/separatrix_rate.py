"""At which rate should an eigenfunction grow, if its zeros are to be the separatrix?

The Duffing oscillator, the eigenproblem of the ratio loss, one fit for each rate lambda, from a
hundredth of the saddle's unstable rate to a hundred times it. Only near the saddle's own rate
is the boundary right, and there the answer is also far better than the next one. At ten or
more times that rate the loss is smaller than at the right one and the contour wrong, in tens of
pieces: far too many functions solve the equation there, and a small loss means nothing.

Paper: Dabholkar and Barak 2025, arXiv:2505.15231, the choice of lambda (they keep lambda = 1
and rescale time).
Takes: 10 s quick, 32 s full
"""

import dataclasses

import numpy as np
import pydantic
from jaxtyping import Float, Int

from slowpoint.analysis.contours import contour_error
from slowpoint.analysis.even import even_box
from slowpoint.analysis.field import values
from slowpoint.analysis.koopman import Equation
from slowpoint.analysis.koopman_modes import gaussian_grid, koopman_modes
from slowpoint.analysis.mountain_pass import mountain_pass, Pass
from slowpoint.analysis.stable_manifold import stable_manifold
from slowpoint.core.claim import at_least, at_most, Claim
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.plots.style import row
from slowpoint.plots.sweep import against
from slowpoint.worlds.duffing import Duffing

NEAR = (0.8, 1.05)  # rates at which the answer should be right, in those of the saddle


class Settings(Base):
    rates: int = pydantic.Field(
        default=17, ge=3, description="lambdas, evenly in log from 1e-2 to 1e2 unstable rates"
    )
    between: tuple[float, ...] = pydantic.Field(
        default=(0.8, 0.9, 0.95, 1.0, 1.05, 1.25, 1.618, 5.0),
        description="lambdas besides, in unstable rates",
    )
    samples: int = pydantic.Field(default=4000, ge=1000, description="states, in +-2.4")
    exclude: float = pydantic.Field(
        default=0.5, ge=0, description="radius round the attractors that is left out"
    )
    resolution: int = pydantic.Field(default=201, ge=51, description="of the contour's grid")


QUICK = Settings(rates=5, between=(0.8, 0.95, 1.05), resolution=101)


class Sweep(Result):
    """One row per lambda, rising. Distances in units of the state, in the box of +-2."""

    saddle: float  # its unstable rate, lambda_u
    rate: Float[np.ndarray, " rate"]  # lambda / lambda_u
    first: Float[np.ndarray, " rate"]  # rho_1: the loss
    second: Float[np.ndarray, " rate"]  # rho_2: that of the next answer
    median: Float[np.ndarray, " rate"]  # from the truth to the contour
    p95: Float[np.ndarray, " rate"]
    false: Float[np.ndarray, " rate"]  # share of the contour that is far from the truth
    components: Int[np.ndarray, " rate"]


@dataclasses.dataclass(frozen=True)
class Results:
    sweep: Sweep


def run(settings: Settings) -> Results:
    around = mountain_pass(Duffing(), np.zeros(2))
    corner, reach = np.full(2, 2.4), np.full(2, 2.0)
    states = corner * (2 * even_box(settings.samples, 2) - 1)
    gaps = np.linalg.norm(states[:, None] - around.ends, axis=2).min(axis=1)
    manifold = stable_manifold(around.system, around.saddle, box=(-reach, reach))
    even = np.logspace(-2, 2, settings.rates)
    rates = np.unique(np.round([*even, *settings.between], 9))
    box, kept = (-reach, reach), states[gaps > settings.exclude]
    rows = [
        _row(rate, around, kept, manifold.states, box, settings.resolution) for rate in rates
    ]
    return Results(Sweep(around.rate, rates, *map(np.array, zip(*rows, strict=True))))


def _row(rate: float, around: Pass, states, truth, box, resolution: int):
    """`(rho_1, rho_2, median, p95, false, components)` at lambda = rate lambda_u."""
    equation = Equation(around.system, around.hold, np.asarray(rate * around.rate))
    features = gaussian_grid(1.2 * box[0], 1.2 * box[1])
    modes = koopman_modes(features, equation, states)
    psi = modes.psi(features)
    error = contour_error(lambda x: values(psi, x), truth, box, resolution=resolution)
    distances = (error.median, error.p95, error.false, error.components)
    return (*modes.ratios[:2], *distances)


def claims(results: Results) -> list[Claim]:
    sweep = results.sweep
    gap = sweep.second / sweep.first
    best, clearest = sweep.median.argmin(), gap.argmax()
    near = (sweep.rate >= NEAR[0]) & (sweep.rate <= NEAR[1])
    right, fast = np.abs(sweep.rate - 1).argmin(), np.abs(sweep.rate - 10).argmin()
    return [
        at_least("rate of the lowest error, in unstable rates", sweep.rate[best], NEAR[0]),
        at_most("the same", sweep.rate[best], NEAR[1]),
        at_least("rate of the largest gap, in unstable rates", sweep.rate[clearest], NEAR[0]),
        at_most("the same", sweep.rate[clearest], NEAR[1]),
        at_most("median error, worst from .8 to 1.05", sweep.median[near].max(), 0.003),
        at_least("gap, least from .8 to 1.05", gap[near].min(), 2.9),
        at_most(
            "loss at ten times the unstable rate, over that at it",
            sweep.first[fast] / sweep.first[right],
            1,
        ),
        at_least(
            "median error there, over that at the unstable rate",
            sweep.median[fast] / sweep.median[right],
            10,
        ),
        at_least("share of its contour where no boundary is", sweep.false[fast], 0.5),
    ]


def draw(results: Results):
    sweep = results.sweep
    figure, axes = row(2)
    against(axes[0], sweep.rate, {"median": sweep.median, "95th percentile": sweep.p95})
    against(axes[1], sweep.rate, {"loss": sweep.first, "of the next answer": sweep.second})
    for ax, label in zip(axes, ("distance to the contour", "ratio loss"), strict=True):
        ax.axvline(1, lw=0.8, color="black", zorder=0)
        ax.set(xlabel="rate / unstable rate of the saddle", ylabel=label)
    return figure
