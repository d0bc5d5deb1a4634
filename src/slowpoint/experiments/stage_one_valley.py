r"""Where does the first stage of learning in a closed loop lead, and how fast?

At first only the position gain $s_{zm} = z \cdot m$ matters. The paper's surrogate of the loss,
$\frac12 \sum_n |1 + \sqrt{s_{zm}}|^{2n}$, falls all the way up to 0 from below; the true loss
has valleys between 0 and there, whose places the horizon T sets, with a closed form. Clipped
gradient descent moves $s_{zm}$ at constant speed, the learning rate times $|m|$, from either
side into the first valley on its way, and then jumps to and fro across it. So the epoch at
which a network crosses -.015 can be told from its first weights.

Paper: Ger and Barak 2025, arXiv:2505.13567, figures 3d and 3e; the closed form is ours.
Takes: 9 s quick, 10 s full
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.random as jr
import numpy as np
import pydantic
import scipy.optimize
from jaxtyping import Float, Int

from slowpoint.core.claim import at_least, at_most, Claim, equal, reported
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.plots.along import along
from slowpoint.plots.style import row
from slowpoint.theory.gram import gram, learn_gram
from slowpoint.theory.loop_loss import expected_loss, stage_one_loss
from slowpoint.theory.loop_spectrum import effective_matrix
from slowpoint.theory.loop_start import start_columns, start_grams

STEPS, VARIANCE = 50, 4 / 3  # T; of each coordinate of the start, U[-2, 2]
ALONG = np.array([-0.2, -0.05, -0.01, -0.001])  # s_zm
SURROGATE = np.array([19.33, 7.22, 4.46, 3.97])  # log losses there
TRUE = np.array([19.91, 9.53, 8.29, 10.17])
HORIZONS = (25, 50, 100)
VALLEYS = ((-0.0311, -0.0809), (-0.02168, -0.04172), (-0.0062, -0.0110, -0.0179, -0.0267))
DIGITS = (6e-5, 6e-6, 6e-5)  # half of the last digit above, and a little
BORDER = -0.015  # stage one ends below


class Settings(Base):
    networks: int = pydantic.Field(default=400, ge=3, description="whose first stage is timed")
    starts: int = pydantic.Field(default=10, ge=2, description="s_zm at first, -.2 to .2")
    units: int = pydantic.Field(default=100, ge=4, description="N")
    rate: float = pydantic.Field(default=1e-2, gt=0, description="learning rate")
    epochs: int = pydantic.Field(default=50, ge=10, description="epochs from those starts")
    perpendicular: float = pydantic.Field(default=0.1, ge=0, description="|z| across m")


QUICK = Settings(networks=100)


class Landscape(Result):
    """Log losses of a position gain alone, from x_0 = (1, -1), T = 100."""

    s_zm: Float[np.ndarray, " gain"]
    surrogate: Float[np.ndarray, " gain"]
    true: Float[np.ndarray, " gain"]


class Valleys(Result):
    """The expected loss along s_zm and its minima, the nearest to 0 first; NaN: no more."""

    s_zm: Float[np.ndarray, " gain"]
    along: Float[np.ndarray, "horizon gain"]  # the loss
    places: Float[np.ndarray, "horizon valley"]
    losses: Float[np.ndarray, "horizon valley"]
    barrier: float  # the highest loss between the two of T = 50
    rounding: float  # largest relative difference of the closed form and the exact loss


class Descent(Result):
    """s_zm while networks learn."""

    paths: Float[np.ndarray, "start epoch"]
    speeds: Float[np.ndarray, "start step"]  # change of s_zm over rate x |m|
    expected: Float[np.ndarray, " network"]  # epoch of the border, by the speed alone
    crossed: Int[np.ndarray, " network"]  # the first epoch below it


@dataclasses.dataclass(frozen=True)
class Results:
    landscape: Landscape
    valleys: Valleys
    descent: Descent


def run(settings: Settings) -> Results:
    grid = np.concatenate([ALONG, -np.geomspace(0.2, 1e-4, 200)])
    landscape = Landscape(grid, np.log(_surrogate(grid, 100)), np.log(_single(grid, 100)))
    return Results(landscape, _valleys(), _descent(settings))


def _surrogate(s_zm: Float[np.ndarray, " gain"], steps: int) -> Float[np.ndarray, " gain"]:
    ratio = np.abs(1 + np.sqrt(s_zm + 0j)) ** 2
    return 0.5 * (1 - ratio ** (steps + 1)) / (1 - ratio)


def _single(s_zm: Float[np.ndarray, " gain"], steps: int) -> Float[np.ndarray, " gain"]:
    """Half the sum of |x_t|^2 from (1, -1)."""
    matrices = np.asarray(effective_matrix(_alone(s_zm)))
    state = np.broadcast_to(np.array([1.0, -1.0, 0.0, 0.0]), (len(s_zm), 4))
    total = np.zeros(len(s_zm))
    for _ in range(steps):
        total += (state[:, :2] ** 2).sum(axis=1) / 2
        state = np.einsum("nij,nj->ni", matrices, state)
    return total


def _alone(s_zm: Float[np.ndarray, " gain"]) -> Float[np.ndarray, "gain 4"]:
    """The overlaps of a network that has no more than a position gain."""
    return s_zm[:, None] * np.array([1.0, 0.0, 0.0, 0.0])


def _valleys() -> Valleys:
    grid, shown = -np.linspace(1e-5, 0.3, 30_000), -np.geomspace(1e-3, 0.15, 1000)
    losses = [eqx.Partial(stage_one_loss, steps=t, variance=VARIANCE) for t in HORIZONS]
    places = [_minima(loss, grid)[:6] for loss in losses]
    heights = [loss(np.array(found)) for loss, found in zip(losses, places)]
    rows = [np.pad(r, (0, 6 - len(r)), constant_values=np.nan) for r in (*places, *heights)]
    one = HORIZONS.index(STEPS)
    barrier = losses[one](np.linspace(places[one][0], places[one][1], 10_000)).max()
    exact = np.asarray(expected_loss(_alone(grid[::100]), STEPS, VARIANCE))
    apart = np.abs(losses[one](grid[::100]) / exact - 1).max()
    return Valleys(
        shown,
        np.stack([loss(shown) for loss in losses]),
        np.stack(rows[: len(HORIZONS)]),
        np.stack(rows[len(HORIZONS) :]),
        float(barrier),
        float(apart),
    )


def _minima(loss, grid: Float[np.ndarray, " gain"]) -> list[float]:
    """The places where `loss` has a minimum within the grid."""
    height = loss(grid)
    middle = np.flatnonzero((height[1:-1] < height[2:]) & (height[1:-1] < height[:-2])) + 1
    spans = [(grid[i - 1], grid[i], grid[i + 1]) for i in middle]
    ends = [scipy.optimize.golden(loss, brack=span, tol=1e-10) for span in spans]
    return [np.asarray(end).item() for end in ends]


def _loss() -> Callable[..., Any]:
    return eqx.Partial(expected_loss, steps=STEPS, variance=VARIANCE)


def _descent(settings: Settings) -> Descent:
    first, second = jr.split(jr.key(settings.seed))
    how = {"rate": settings.rate, "steps": settings.epochs}
    columns = start_columns(first, settings.starts, settings.units)
    m, z = columns[..., 0], columns[..., 3]
    length = np.linalg.norm(m, axis=1, keepdims=True)
    across = z - np.sum(z * m, axis=1, keepdims=True) / length**2 * m
    across *= settings.perpendicular / np.linalg.norm(across, axis=1, keepdims=True)
    s_zm = np.linspace(-0.2, 0.2, settings.starts)[:, None]
    columns[..., 3] = s_zm / length**2 * m + across
    paths = learn_gram(gram(columns), _loss(), **how).overlaps[..., 0]
    grams = start_grams(second, settings.networks, settings.units)
    grams = grams[grams[:, 3, 0] > BORDER]
    learned = learn_gram(grams, _loss(), **how).overlaps[..., 0]
    below = learned < BORDER
    return Descent(
        paths,
        np.diff(paths, axis=1) / (settings.rate * length),
        (learned[:, 0] - BORDER) / (settings.rate * np.sqrt(grams[:, 0, 0])),
        np.where(below.any(axis=1), below.argmax(axis=1), -1),
    )


def claims(results: Results) -> list[Claim]:
    return [
        *_of_landscape(results.landscape),
        *_of_valleys(results.valleys),
        *_of_descent(results.descent),
    ]


def _of_landscape(landscape: Landscape) -> list[Claim]:
    found = []
    for i, s in enumerate(ALONG):
        for name, value, known in (
            ("surrogate", landscape.surrogate[i], SURROGATE[i]),
            ("true", landscape.true[i], TRUE[i]),
        ):
            says = f"log loss at s_zm = {s:g}, {name}, off {known}"
            found.append(at_most(says, abs(value - known), 0.01))
    fall = np.diff(landscape.surrogate[len(ALONG) :])
    lowest = landscape.s_zm[landscape.true.argmin()]
    return [
        *found,
        at_most("surrogate: largest step up towards 0", fall.max(), 0),
        reported("true loss: its lowest s_zm", lowest),
    ]


def _of_valleys(valleys: Valleys) -> list[Claim]:
    found = []
    for known, digits, steps, places in zip(VALLEYS, DIGITS, HORIZONS, valleys.places):
        count = np.isfinite(places).sum()
        off = np.abs(places[: len(known)] - known).max()
        found += [
            equal(f"T = {steps}: valleys", count, len(known)),
            at_most(f"T = {steps}: the furthest off its place", off, digits),
        ]
    first, second = valleys.losses[HORIZONS.index(STEPS), :2]
    return [
        *found,
        at_most("T = 50: loss of the first valley, off 25.713", abs(first - 25.713), 6e-4),
        at_most("T = 50: loss of the second, off 25.255", abs(second - 25.255), 6e-4),
        at_most("T = 50: loss between, off 29.14", abs(valleys.barrier - 29.14), 6e-3),
        at_most("closed form off the exact loss, relative", valleys.rounding, 1e-11),
    ]


def _of_descent(descent: Descent) -> list[Claim]:
    towards = np.abs(descent.speeds[_straight(descent.speeds)])
    off = np.abs(descent.crossed - descent.expected)
    ends = descent.paths[:, -1]
    return [
        at_most("median speed, off .995, share", abs(np.median(towards) / 0.995 - 1), 0.02),
        reported("10 % of speeds are below", np.quantile(towards, 0.1)),
        reported("90 % of speeds are below", np.quantile(towards, 0.9)),
        at_most("largest speed", np.abs(descent.speeds).max(), 1 + 1e-9),
        reported("lowest end", ends.min()),
        reported("highest end", ends.max()),
        equal("networks that did not cross the border", (descent.crossed < 0).sum(), 0),
        at_most("90 % of crossings are as early or late, epochs", np.quantile(off, 0.9), 1.2),
        reported("median", np.median(off)),
        reported("the most", off.max()),
        at_least("networks that crossed it", len(off), 20),
    ]


def _straight(speeds: Float[np.ndarray, "start step"]) -> np.ndarray:
    """Where a path has not turned yet."""
    turned = np.sign(speeds) != np.sign(speeds[:, :1])
    return ~np.maximum.accumulate(turned, axis=1)


def draw(results: Results):
    figure, axes = row(3, width=9.0, height=2.8)
    landscape, valleys, descent = results.landscape, results.valleys, results.descent
    lines = np.stack([landscape.surrogate, landscape.true])[:, len(ALONG) :]
    where = np.broadcast_to(landscape.s_zm[len(ALONG) :], lines.shape)
    along(axes[0], where, lines, ["surrogate", "true"])
    axes[0].set(xlabel="s_zm", ylabel="log loss, T = 100")
    names = [f"T = {steps}" for steps in HORIZONS]
    where = np.broadcast_to(valleys.s_zm, valleys.along.shape)
    along(axes[1], where, valleys.along, names)
    along(axes[1], valleys.places, valleys.losses, names, "o")
    axes[1].set(xlabel="s_zm", ylabel="expected loss", yscale="log", ylim=(10, 1e4))
    epochs = np.broadcast_to(np.arange(descent.paths.shape[1]), descent.paths.shape)
    along(axes[2], epochs, descent.paths, ["s_zm"] * len(descent.paths))
    axes[2].set(xlabel="epoch", ylabel="s_zm")
    for ax in axes[:2]:
        ax.legend(fontsize=7)
    return figure
