"""Which plateaus of learning are saddles of the flow of overlaps?

A linear network of rank 1 learns an impulse filter. Its ten overlaps are the state of a System,
OverlapFlow, so `fixed_points` looks for where learning stands still, with no code of its own.
What networks have lies on three levels of loss: silent (no weights), feed-forward (the best
single exponential, the recurrence apart) and solved. None is isolated: each is a sample of a
manifold, so all come out as degenerate, with as many zero rates as the manifold has dimensions.
The silent and the feed-forward ones are saddles, and learning that starts from small weights
waits at both: overlaps ten times smaller add ln 10 / 2g at the first and ln 10 / 2 lambda at
the second, g and lambda the rates at which weights leave. From weights of order 1, as in the
paper, neither shows. A finder that starts anywhere else ends at overlaps that no network has,
where learning would stand still too.

Paper: Ger and Barak 2026, arXiv:2605.04115, the equations of rank 1; that their plateaus are
saddles, and the rates, are ours.
Takes: 7 s quick, 8 s full
"""

import dataclasses

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pydantic
from jaxtyping import Float, Int

from slowpoint.analysis.fixed_points import fixed_points
from slowpoint.analysis.methods import LevenbergMarquardt
from slowpoint.analysis.points import FixedPoints
from slowpoint.core.chance import generator
from slowpoint.core.claim import at_least, at_most, Claim, equal, reported
from slowpoint.core.precision import float64
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.plots.along import along
from slowpoint.plots.style import row
from slowpoint.theory.congruence import Flow
from slowpoint.theory.filter_start import THETA_1
from slowpoint.theory.overlap_learning import learn, OverlapFlow
from slowpoint.theory.overlaps import Dims, is_realisable

C = 0.2  # the target is exp(-C t)
GAP = 2 / (1 + C)  # g: its overlap with exp(-t), times 2
LEVELS = np.array([1 / (2 * C), 1 / (2 * C) - GAP**2 / 2, 0.0])
NAMES = ("silent", "feed-forward", "solved")
LEAVES = 2 * (1 - C) / (1 + C) ** 3  # lambda, where small weights meet the second level
SIDE = np.array([0, 1, 1, 0])  # m and z; u and v
APART = (SIDE[:, None] == SIDE).astype(float)  # keeps overlaps within a side
ETA = 0.05  # time of a step
UPPER = np.triu_indices(Dims().size)  # where `vector` reads
ZERO = 1e-6  # of the fastest rate at a point: a rate below it is none


class Settings(Base):
    scales: tuple[float, ...] = pydantic.Field(
        default=(1.0, 1e-2, 1e-4, 1e-6), min_length=3, description="of THETA_1, falling"
    )
    networks: int = pydantic.Field(default=64, ge=8, description="random ones that learn")
    steps: int = pydantic.Field(default=500, ge=400, description="of 0.05")


QUICK = Settings(networks=16)


class Paths(Result):
    """Learning from THETA_1 times each scale."""

    scale: Float[np.ndarray, " start"]
    time: Float[np.ndarray, " step"]  # eta * steps
    losses: Float[np.ndarray, "start step"]


@dataclasses.dataclass(frozen=True)
class Results:
    """The guesses: ends of learning (random networks, then ones whose recurrence is apart), the
    random networks themselves, the slowest moment of the last path, and no weights at all.
    """

    paths: Paths
    points: FixedPoints


def run(settings: Settings) -> Results:
    scales = np.array(settings.scales)
    whole, noise = networks(settings)
    apart = whole * APART
    starts = np.concatenate([scales[:, None, None] * THETA_1, whole, apart])
    history = learn(filter_loss, starts, Flow(), eta=ETA, steps=settings.steps, every=1)
    few = len(scales)
    paths = Paths(scales, ETA * history.epochs, history.losses[:few])
    ends = history.final[few:] + noise  # so that there is something to find
    slow = history.overlaps[few - 1, slowest(paths)]
    guesses = np.array([*ends, *whole, slow, np.zeros_like(THETA_1)])
    with float64():
        flow = OverlapFlow(filter_loss, Dims().size)
    # along a manifold Newton's equations are singular
    found = fixed_points(flow, guesses[:, *UPPER], method=LevenbergMarquardt())
    return Results(paths, found)


def networks(settings: Settings):
    """Overlaps of random networks of 40 units, and noise to put their ends off the manifold."""
    chance = generator(jr.key(settings.seed))
    columns = chance.standard_normal((settings.networks, 40, Dims().size))
    noise = 0.01 * chance.standard_normal((2 * settings.networks, *THETA_1.shape))
    return columns.swapaxes(1, 2) @ columns / 40, noise + noise.swapaxes(1, 2)


def filter_loss(sigma, _=None):
    """The squared error of the impulse response, over all times; finite at vu = 0."""
    (vm, vu), (zm, zu) = sigma[2:, :2]
    w, left = zu * vm, 1 - vu
    own = zm**2 / 2 + zm * w / (1 + left) + w**2 / (2 * left * (1 + left))
    return own - GAP * (zm + w / (left + C)) + 1 / (2 * C)


def slowest(paths: Paths) -> int:
    """The step of the last path at which it is slowest, between its two falls."""
    first, second = (np.searchsorted(paths.time, time) for time in falls(paths)[-1])
    return int(first + np.argmin(-np.diff(paths.losses[-1, first : second + 1])))


def falls(paths: Paths) -> Float[np.ndarray, "start 2"]:
    """When each path is half-way from level to level."""
    halves = (LEVELS[:-1] + LEVELS[1:]) / 2
    return np.array([np.interp(-halves, -losses, paths.time) for losses in paths.losses])


def matrices(points: FixedPoints) -> Float[np.ndarray, "point 4 4"]:
    """Sigma of each point."""
    half = np.zeros((len(points), *THETA_1.shape))
    half[:, *UPPER] = points.states
    return half + np.triu(half, 1).swapaxes(1, 2)


def of_networks(points: FixedPoints) -> FixedPoints:
    """Those that a network has, its response decaying (else the loss is infinite)."""
    real = [is_realisable(sigma) and sigma[2, 1] < 1 for sigma in matrices(points)]
    return points.rows(np.array(real, bool))


def by_level(points: FixedPoints) -> list[FixedPoints]:
    """The points nearest to each of the LEVELS."""
    losses = np.array([filter_loss(sigma) for sigma in matrices(points)])
    nearest = np.abs(losses[:, None] - LEVELS).argmin(axis=1)
    return [points.rows(nearest == level) for level in range(len(LEVELS))]


def zeros(points: FixedPoints) -> Int[np.ndarray, " point"]:
    """How many rates of each point are none."""
    sizes = np.abs(points.rates)
    return (sizes <= ZERO * sizes.max(axis=1, keepdims=True)).sum(axis=1)


def gap(point: FixedPoints, known: Float[np.ndarray, " rate"]) -> float:
    """Largest distance of the rates of the one `point` from `known`."""
    return float(np.abs(np.sort(np.real(point.rates[0])) - np.sort(known)).max())


def curvature_error(points: FixedPoints) -> float:
    """Largest distance of the rates from those of dC = -(G_A x 1 + 1 x G_B) H dC, relative.

    That is the linear flow where the gradient of the loss by C vanishes, H its Hessian; the
    other six rates are 0.
    """
    sigma = matrices(points)

    def hessian(sigma):
        loss = lambda c: filter_loss(sigma.at[2:, :2].set(c))
        return jax.hessian(loss)(sigma[2:, :2]).reshape(4, 4)

    with float64():
        curvature = np.asarray(jax.jit(jax.vmap(hessian))(jnp.asarray(sigma)))
    one = np.eye(2)
    spread = np.array([np.kron(s[2:, 2:], one) + np.kron(one, s[:2, :2]) for s in sigma])
    known = np.pad(np.linalg.eigvals(-spread @ curvature).real, np.array([(0, 0), (0, 6)]))
    errors = np.abs(np.sort(known) - np.sort(np.real(points.rates)))
    return float((errors.max(axis=1) / np.abs(known).max(axis=1)).max())


def claims(results: Results) -> list[Claim]:
    paths, points = results.paths, results.points
    networks = of_networks(points)
    losses = np.array([filter_loss(sigma) for sigma in matrices(networks)])
    apart = np.abs(losses[:, None] - LEVELS).min(axis=1)
    _, forward, solved = by_level(networks)
    rest, left = (
        points.rows(np.arange(len(points)) == i) for i in points.guess_index[[-1, -2]]
    )
    at_rest = GAP * np.array([2, 1, 1, 0, 0, 0, 0, -1, -1, -2])
    first, second = np.diff(np.diff(falls(paths), prepend=0.0, axis=1)[-2:], axis=0)[0]
    fold = np.log(paths.scale[-2] / paths.scale[-1])
    learned = len(points.guess_index) - 2  # guesses: two thirds ends, one third not learned
    wild = points.guess_index[2 * learned // 3 : learned]
    lost = ~np.isin(points.states[wild], networks.states).all(axis=1) | (wild < 0)
    off = np.sqrt(paths.scale[-1])  # how far small weights pass from the manifold
    return [
        at_most("no weights: error of the rates 2g, g, g, 0 ...", gap(rest, at_rest), 1e-9),
        equal("points that are isolated", (~points.degenerate).sum(), 0),
        at_least("points that networks have", len(networks), learned // 3),
        at_most("their loss, from the nearest of three levels", apart.max(), 1e-9),
        equal("solved: fewest zero rates", zeros(solved).min(), 7),
        equal("solved: most zero rates", zeros(solved).max(), 7),
        equal("solved: growing rates", solved.n_unstable.max(), 0),
        at_most("solved: error of rates from curvatures", curvature_error(solved), 1e-6),
        equal("feed-forward: fewest zero rates", zeros(forward).min(), 7),
        equal("feed-forward: most zero rates", zeros(forward).max(), 7),
        equal("feed-forward: fewest growing rates", forward.n_unstable.min(), 1),
        equal("feed-forward: most growing rates", forward.n_unstable.max(), 1),
        at_most("feed-forward: error of rates from curvatures", curvature_error(forward), 1e-6),
        at_most(
            "slowest moment of the last path: loss, from the point that it leads to",
            abs(paths.losses[-1, slowest(paths)] - LEVELS[1]),
            off,
        ),
        at_most(
            "that point: growing rate, off lambda",
            abs(np.real(left.rates).max() / LEAVES - 1),
            off,
        ),
        at_most(
            "wait at the first, of the last path against the one before, off ln / 2g",
            abs(first / (fold / (2 * GAP)) - 1),
            2 * np.sqrt(paths.scale[-2]),
        ),
        at_most(
            "wait at the second, off ln / 2 lambda",
            abs(second / (fold / (2 * LEAVES)) - 1),
            2 * np.sqrt(paths.scale[-2]),
        ),
        reported("wait at both from weights of order 1", falls(paths)[0, 1]),
        reported("random guesses that end at overlaps no network has, share", lost.mean()),
    ]


def draw(results: Results):
    paths = results.paths
    figure, axes = row(2)
    times = np.tile(paths.time, (len(paths.scale), 1))
    along(axes[0], times, paths.losses, [f"overlaps x {scale:g}" for scale in paths.scale])
    for level in LEVELS[:2]:
        axes[0].axhline(level, lw=0.8, color="black", ls=":", zorder=0)
    axes[0].legend(fontsize=7)
    axes[0].set(xlabel="eta x steps", ylabel="loss (dotted: of the saddles)")
    levels = by_level(of_networks(results.points))
    rates = np.array([np.sort(np.real(points.rates), axis=1)[0, ::-1] for points in levels])
    along(axes[1], np.tile(np.arange(1, 11), (3, 1)), rates, list(NAMES))
    along(axes[1], np.tile(np.arange(1, 11), (3, 1)), rates, list(NAMES), "o")
    axes[1].set(xlabel="rate, in order", ylabel="growth per unit time", yscale="symlog")
    axes[1].legend(fontsize=7)
    return figure
