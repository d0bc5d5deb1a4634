r"""Do closed equations of overlaps predict a nonlinear network, and where does their error end?

Units with phi = erf learn to hold the sign of the last pulse. At the first step, when weights
are Gaussian, the equations miss the velocity of a network of N units by about N^-1/2, and so by
nothing in the limit. Then training makes the weights non-Gaussian, and the equations go astray
from that limit itself, by some per cent at the end. Larger networks go to the limit, not to the
equations: these have a floor. How much of one depends on task and start; the number here is an
example.

The full run adds a network of 600 units as in the paper, and compares weights after slow
descent, fast descent and Adam: how Gaussian they are, and how well the overlaps that they end
with still say what the network does.

Paper: Ger and Barak 2026, arXiv:2605.04115, figures 4a-c and 8; the floor is ours.
Takes: 30 s quick, 7 min full
"""

import dataclasses

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pydantic
from jaxtyping import Float, Int, PRNGKeyArray

from slowpoint.analysis.gaussianity import gaussianity
from slowpoint.core.claim import at_least, at_most, Claim, reported, Scale
from slowpoint.core.nonlinearity import erf
from slowpoint.core.precision import float64
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.learning.fixed_trials import fixed_trials, FixedTrials
from slowpoint.plots.along import along
from slowpoint.plots.epochs import over_epochs
from slowpoint.plots.style import grid
from slowpoint.plots.sweep import against
from slowpoint.tasks.flipflop import FlipFlop, Intervals
from slowpoint.theory.latent import Latent
from slowpoint.theory.mean_field import mean_field_learn
from slowpoint.theory.network_learning import (
    apart,
    learn_network,
    NetworkHistory,
    OfOverlaps,
    velocity_error,
)
from slowpoint.theory.overlap_learning import learn
from slowpoint.theory.overlaps import as_network, Dims, rank_one, realise

START = rank_one(zm=0.3, zu=0.4, vm=0.4, vu=0.6, mu=0.2, zv=0.2)
DT = 0.1
TARGET = 0.5
WIDTH = 0.15  # of a slope's claim
NAMES = ("slow descent", "fast descent", "Adam")


class Settings(Base):
    trials: int = pydantic.Field(default=6, ge=1, description="of the fixed batch, 12 tau each")
    eta: float = pydantic.Field(default=0.1, gt=0, description="learning rate, times N")
    updates: int = pydantic.Field(default=400, ge=40, multiple_of=40, description="epochs")
    nodes: int = pydantic.Field(default=6, ge=4, description="of the limit, along each column")
    check: int = pydantic.Field(default=8, ge=2, description="nodes of a second rule")
    units: tuple[int, ...] = pydantic.Field(
        default=(50, 100, 200, 400, 800, 1600, 3200), min_length=2, description="N that learn"
    )
    replicas: int = pydantic.Field(default=4, ge=1, description="networks of each N that learn")
    gaussian: tuple[int, ...] = pydantic.Field(
        default=(100, 1000, 10_000, 100_000), min_length=2, description="N at the first step"
    )
    frames: int = pydantic.Field(default=8, ge=1, description="of each of these N")
    trained: int = pydantic.Field(default=600, ge=8, description="N, paper's task")
    slow: int = pydantic.Field(
        default=2000, ge=0, multiple_of=20, description="epochs at .05 N; 0: no such networks"
    )
    fast: int = pydantic.Field(default=600, ge=20, multiple_of=20, description="at .5 N")
    adam: int = pydantic.Field(default=800, ge=20, multiple_of=20, description="at 5e-3")


QUICK = Settings(check=4, units=(100, 800), replicas=1, slow=0)


def closure(sigma: Float[np.ndarray, "4 4"]) -> Latent:
    """What overlaps alone say that the network does."""
    with float64():
        return Latent(jnp.asarray(sigma), Dims(), erf, DT)


class Floor(Result):
    """The closed equations and the limit of infinite N, from one start on one batch."""

    time: Float[np.ndarray, " record"]  # s = eta * epochs
    closed: Float[np.ndarray, "record 4 4"]
    limit: Float[np.ndarray, "record 4 4"]
    check: Float[np.ndarray, "record 4 4"]  # the limit by other nodes
    closed_losses: Float[np.ndarray, " step"]
    limit_losses: Float[np.ndarray, " step"]
    units: Int[np.ndarray, " N"]
    networks: Float[np.ndarray, "N replica record 4 4"]


class First(Result):
    """The velocity of overlaps at Gaussian weights whose overlaps are exact."""

    units: Int[np.ndarray, " N"]
    error: Float[np.ndarray, "N frame"]  # of the closed equations', relative


class Trained(Result):
    """Networks of the paper's task; the first is also predicted."""

    epochs: Int[np.ndarray, " record"]
    losses: Float[np.ndarray, " step"]  # of slow descent
    closed_losses: Float[np.ndarray, " step"]
    network: Float[np.ndarray, "record 4 4"]
    closed: Float[np.ndarray, "record 4 4"]
    output_error: Float[np.ndarray, " optimiser"]  # of closed outputs at the last overlaps
    qq: Float[np.ndarray, "optimiser 4"]  # of m, u, v, z
    kurtosis: Float[np.ndarray, "optimiser 4"]


@dataclasses.dataclass(frozen=True)
class Results:
    floor: Floor
    first: First
    trained: Trained


def run(settings: Settings) -> Results:
    asked, networks, frames, trained = jr.split(jr.key(settings.seed), 4)
    short = Intervals(grace=1.0, shortest=1.0, longest=4.0, dt=DT)
    batch = fixed_trials(FlipFlop(1, 120, short, target=TARGET), settings.trials, asked)
    return Results(
        _floor(settings, batch, networks),
        _first(settings, batch, frames),
        _trained(settings, trained),
    )


def _floor(settings: Settings, batch: FixedTrials, key: PRNGKeyArray) -> Floor:
    how = {"eta": settings.eta, "steps": settings.updates, "every": settings.updates // 40}
    closed = learn(OfOverlaps(batch, Dims(), erf, DT), START, **how)
    limit, check = (
        mean_field_learn(batch, closure(START), nodes, **how)
        for nodes in (settings.nodes, settings.check)
    )
    ends = [
        _networks(settings, batch, units, one)
        for units, one in zip(settings.units, jr.split(key, len(settings.units)))
    ]
    paths = closed.overlaps, limit.overlaps, check.overlaps
    losses = closed.losses, limit.losses
    time, units = settings.eta * closed.epochs, np.array(settings.units)
    return Floor(time, *paths, *losses, units, np.stack(ends))


def _networks(settings: Settings, batch: FixedTrials, units: int, key) -> np.ndarray:
    """Overlaps of networks of `units`, (replica, record, 4, 4)."""
    rule, updates = optax.sgd(settings.eta * units), settings.updates
    starts = [realise(START, units, one) for one in jr.split(key, settings.replicas)]
    return np.stack([_train(batch, one, rule, updates, 40).overlaps for one in starts])


def _train(batch: FixedTrials, columns, rule, updates: int, records: int) -> NetworkHistory:
    """The loss is exact, so its key says nothing."""
    with float64():
        network, every = as_network(columns, Dims(), DT, erf), updates // records
    return learn_network(batch, network, rule, updates=updates, every=every, key=jr.key(0))


def _first(settings: Settings, batch: FixedTrials, key: PRNGKeyArray) -> First:
    """On one trial: the law is that of any."""
    one, keys = jax.tree.map(lambda a: a[:1], batch), jr.split(key, settings.frames)
    errors = [velocity_error(one, closure(START), units, keys) for units in settings.gaussian]
    return First(np.array(settings.gaussian), np.stack(errors))


def _trained(settings: Settings, key: PRNGKeyArray) -> Trained:
    if not settings.slow:
        none, empty, few = np.zeros((0, 4, 4)), np.zeros(0), np.zeros((0, 4))
        return Trained(np.zeros(0, int), empty, empty, none, none, empty, few, few)
    asked, frame = jr.split(key)
    batch = fixed_trials(FlipFlop(1, 200, Intervals(dt=DT), target=TARGET), 10, asked)
    units = settings.trained
    start = realise(START, units, frame)
    rules = (
        (optax.sgd(0.05 * units), settings.slow),
        (optax.sgd(0.5 * units), settings.fast),
        (optax.adam(5e-3), settings.adam),
    )
    runs = [_train(batch, start, rule, updates, 20) for rule, updates in rules]
    ends, how = [run.columns[-1] for run in runs], {"eta": 0.05, "every": settings.slow // 20}
    closed = learn(OfOverlaps(batch, Dims(), erf, DT), START, steps=settings.slow, **how)
    losses, paths = (runs[0].losses, closed.losses), (runs[0].overlaps, closed.overlaps)
    errors = np.array([_output_error(batch, columns) for columns in ends])
    marks = [gaussianity(columns) for columns in ends]
    qq, kurtosis = (np.stack(both) for both in zip(*((m.qq, m.kurtosis) for m in marks)))
    return Trained(closed.epochs, *losses, *paths, errors, qq, kurtosis)


def _output_error(batch: FixedTrials, columns: Float[np.ndarray, "unit 4"]) -> float:
    """Of what its overlaps say that a network does, over what it does; root mean squares."""
    overlaps = columns.T @ columns / len(columns)
    with float64():
        true = batch.outputs(as_network(columns, Dims(), DT, erf))
        said = batch.outputs(closure(overlaps))
        return float(jnp.linalg.norm(said - true) / jnp.linalg.norm(true))


def _root_mean_square(errors: Float[np.ndarray, "N replica"]) -> Float[np.ndarray, " N"]:
    return np.sqrt((errors**2).mean(axis=1))


def _distances(floor: Floor) -> list[Float[np.ndarray, " N"]]:
    """At the end, from networks to the limit and to the closed equations."""
    ends = floor.networks[:, :, -1]
    return [_root_mean_square(apart(ends, to[-1])) for to in (floor.limit, floor.closed)]


def _slope(units: Int[np.ndarray, " N"], error: Float[np.ndarray, " N"]) -> float:
    return float(np.polyfit(np.log(units), np.log(error), 1)[0])


def _within(says: str, value: float, target: float, scale: Scale = "quick") -> list[Claim]:
    low, high = target - WIDTH, target + WIDTH
    return [at_least(says, value, low, scale), at_most("the same", value, high, scale)]


def claims(results: Results) -> list[Claim]:
    floor, first = results.floor, results.first
    astray = apart(floor.closed, floor.limit)
    from_limit, from_closed = _distances(floor)
    size = _root_mean_square(first.error)
    change = apart(floor.check[-1], floor.limit[-1])
    near = (from_limit / from_closed)[floor.units.argmax()]
    slopes = [_slope(floor.units, error) for error in (from_limit, from_closed)]
    return [
        *_within("Gaussian weights: slope of error over N", _slope(first.units, size), -0.5),
        *(reported(f"the error, N = {n}", e) for n, e in zip(first.units, size)),
        *(
            reported(f"s = {floor.time[i]:.3g}: closed equations from the limit", astray[i])
            for i in (1, 5, 20, 39)
        ),
        at_most("the limit by other nodes, over the last", change / astray[-1], 0.1),
        reported("loss at the end, closed equations", floor.closed_losses[-1]),
        reported("loss at the end, limit", floor.limit_losses[-1]),
        at_most("largest N: distance to the limit, over that to the equations", near, 0.5),
        *_within("slope over N of the distance to the limit", slopes[0], -0.5, "full"),
        *_within("slope over N of that to the equations", slopes[1], 0.0, "full"),
        *(_of_trained(results.trained) if len(results.trained.epochs) else []),
    ]


def _of_trained(trained: Trained) -> list[Claim]:
    halves = [_half(losses) for losses in (trained.losses, trained.closed_losses)]
    astray = apart(trained.closed, trained.network)
    slow, fast, _ = trained.output_error
    tails, lines = np.abs(trained.kurtosis).max(axis=1), trained.qq.min(axis=1)
    return [
        reported("half-loss epoch, network", halves[0]),
        reported("half-loss epoch, closed equations", halves[1]),
        at_most("how far apart, over the first", abs(halves[1] / halves[0] - 1), 0.03, "full"),
        at_most("overlap error at the end", astray[-1], 0.04, "full"),
        reported("overlap error, largest", astray.max()),
        at_most("output error, slow over fast", slow / fast, 1, "full"),
        *(reported(f"output error, {n}", e) for n, e in zip(NAMES, trained.output_error)),
        *(reported(f"largest excess kurtosis, {n}", k) for n, k in zip(NAMES, tails)),
        at_least("least rise from one to the next", np.diff(tails).min(), 0, "full"),
        *(reported(f"least Q-Q correlation, {n}", k) for n, k in zip(NAMES, lines)),
        at_least("least fall from one to the next", -np.diff(lines).max(), 0, "full"),
    ]


def _half(losses: Float[np.ndarray, " step"]) -> float:
    """The first epoch at which the loss is at most half the first one; NaN: none."""
    return float(np.append(np.flatnonzero(losses <= losses[0] / 2), np.nan)[0])


def draw(results: Results):
    floor, first, trained = results.floor, results.first, results.trained
    figure, axes = grid(2, 2, width=7.0, height=5.2)
    losses = {"closed": floor.closed_losses[None], "limit": floor.limit_losses[None]}
    if len(trained.epochs):
        losses = {"closed": trained.closed_losses[None], "network": trained.losses[None]}
    over_epochs(axes[0, 0], np.arange(losses["closed"].size), losses)
    names = ["closed equations", *(f"N = {units}" for units in floor.units)]
    rows = np.stack([apart(s, floor.limit) for s in (floor.closed, *floor.networks[:, 0])])
    along(axes[0, 1], np.broadcast_to(floor.time, rows.shape), rows, names)
    axes[0, 1].legend(fontsize=6)
    to_limit, to_closed = _distances(floor)
    distances = {"to the limit": to_limit, "to the equations": to_closed}
    against(axes[1, 0], floor.units, distances)
    size = _root_mean_square(first.error)
    against(axes[1, 1], first.units, {"velocity at Gaussian weights": size})
    axes[0, 0].set(ylabel="loss")
    axes[0, 1].set(xlabel="s = eta x epochs", ylabel="overlaps, from the limit")
    axes[1, 0].set(xlabel="units", ylabel="overlaps at the end, distance")
    axes[1, 1].set(xlabel="units", ylabel="relative error")
    return figure
