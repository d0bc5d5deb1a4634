r"""Do closed equations of overlaps predict a nonlinear network, and where does their error end?

Units with phi = erf learn to hold the sign of the last pulse. At the first step, when weights
are Gaussian, the equations miss the velocity of a network of N units by about N^-1/2, and so by
nothing in the limit. Then training makes the weights non-Gaussian, and the equations go astray
from that limit itself, by some per cent at the end (one example: it depends on task and start).
Larger networks go to the limit, not to the equations: these have a floor.

The full run adds the paper's networks of 600 units after slow descent, fast descent and Adam:
how Gaussian are weights, and do their overlaps still say what the network does?

Paper: Ger and Barak 2026, arXiv:2605.04115, figures 4a-c and 8; the floor is ours.
Takes: 29 s quick, 10 min full
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
    balanced_columns,
    learn_network,
    NetworkHistory,
    OfOverlaps,
    output_error,
    velocity_error,
)
from slowpoint.theory.overlap_learning import learn
from slowpoint.theory.overlaps import as_network, Dims, rank_one, realise

START = rank_one(zm=0.3, zu=0.4, vm=0.4, vu=0.6, mu=0.2, zv=0.2)
DT = 0.1
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
    trained: int = pydantic.Field(default=600, ge=8, description="N of the paper's task")
    starts: int = pydantic.Field(default=3, ge=0, description="of such networks")
    slow: int = pydantic.Field(default=2000, ge=20, multiple_of=20, description="at .05 N")
    fast: int = pydantic.Field(default=600, ge=20, multiple_of=20, description="at .5 N")
    adam: int = pydantic.Field(default=800, ge=20, multiple_of=20, description="at 5e-3")


QUICK = Settings(check=4, units=(100, 800), replicas=1, starts=0)


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
    """Networks of the paper's task and kind of start; slow descent is also predicted."""

    losses: Float[np.ndarray, "start step"]  # of slow descent
    closed_losses: Float[np.ndarray, "start step"]
    network: Float[np.ndarray, "start record 4 4"]
    closed: Float[np.ndarray, "start record 4 4"]
    output_error: Float[np.ndarray, "start optimiser"]  # of closed outputs, last overlaps
    qq: Float[np.ndarray, "start optimiser 4"]  # of m, u, v, z
    kurtosis: Float[np.ndarray, "start optimiser 4"]


@dataclasses.dataclass(frozen=True)
class Results:
    floor: Floor
    first: First
    trained: Trained


def run(settings: Settings) -> Results:
    asked, networks, frames, trained = jr.split(jr.key(settings.seed), 4)
    short = Intervals(grace=1.0, shortest=1.0, longest=4.0, dt=DT)
    batch = fixed_trials(FlipFlop(1, 120, short, target=0.5), settings.trials, asked)
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
    time, units = settings.eta * closed.epochs, np.array(settings.units)
    paths = closed.overlaps, limit.overlaps, check.overlaps
    return Floor(time, *paths, closed.losses, limit.losses, units, np.stack(ends))


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
    if not settings.starts:
        losses, path, marks = (np.zeros((0, *n)) for n in ((0,), (0, 4, 4), (3, 4)))
        return Trained(losses, losses, path, path, np.zeros((0, 3)), marks, marks)
    asked, *keys = jr.split(key, settings.starts + 1)
    batch = fixed_trials(FlipFlop(1, 200, Intervals(dt=DT), target=0.5), 10, asked)
    found = [_from_one_start(settings, batch, one) for one in keys]
    return Trained(*(np.stack(part) for part in zip(*found, strict=True)))


def _from_one_start(settings: Settings, batch: FixedTrials, key: PRNGKeyArray):
    """A row of each array of `Trained`."""
    units, steps = settings.trained, settings.slow
    start = balanced_columns(units, key)
    rules = optax.sgd(0.05 * units), optax.sgd(0.5 * units), optax.adam(5e-3)
    updates = steps, settings.fast, settings.adam
    runs = [_train(batch, start, *how, 20) for how in zip(rules, updates, strict=True)]
    slow, ends = runs[0], [run.columns[-1] for run in runs]
    loss = OfOverlaps(batch, Dims(), erf, DT)
    closed = learn(loss, slow.overlaps[0], eta=0.05, steps=steps, every=steps // 20)
    errors = np.array([output_error(batch.outputs, p, closure(START)) for p in ends])
    marks = [gaussianity(columns) for columns in ends]
    qq, kurtosis = (np.stack(both) for both in zip(*((m.qq, m.kurtosis) for m in marks)))
    return slow.losses, closed.losses, slow.overlaps, closed.overlaps, errors, qq, kurtosis


def _typical(errors: Float[np.ndarray, "N replica"]) -> Float[np.ndarray, " N"]:
    return np.sqrt((errors**2).mean(axis=1))


def _distances(floor: Floor) -> list[Float[np.ndarray, " N"]]:
    """At the end, from networks to the limit and to the closed equations."""
    ends = floor.networks[:, :, -1]
    return [_typical(apart(ends, to[-1])) for to in (floor.limit, floor.closed)]


def _slope(units: Int[np.ndarray, " N"], error: Float[np.ndarray, " N"]) -> float:
    return float(np.polyfit(np.log(units), np.log(error), 1)[0])


def _within(says: str, value: float, target: float, scale: Scale = "quick") -> list[Claim]:
    low, high = target - WIDTH, target + WIDTH
    return [at_least(says, value, low, scale), at_most("the same", value, high, scale)]


def claims(results: Results) -> list[Claim]:
    floor, first = results.floor, results.first
    astray = apart(floor.closed, floor.limit)
    from_limit, from_closed = _distances(floor)
    size = _typical(first.error)
    change = apart(floor.check, floor.limit)[-1] / astray[-1]
    near = (from_limit / from_closed)[floor.units.argmax()]
    slopes = [_slope(floor.units, error) for error in (from_limit, from_closed)]
    return [
        *_within("Gaussian weights: slope of error over N", _slope(first.units, size), -0.5),
        *(reported(f"the error, N = {n}", e) for n, e in zip(first.units, size)),
        *(
            reported(f"s = {floor.time[i]:.3g}: closed equations from the limit", astray[i])
            for i in (1, 5, 20, 39)
        ),
        at_most("the limit by other nodes, over the last", change, 0.1),
        reported("loss at the end, closed equations", floor.closed_losses[-1]),
        reported("loss at the end, limit", floor.limit_losses[-1]),
        at_most("largest N: distance to the limit, over that to the equations", near, 0.5),
        *_within("slope over N of the distance to the limit", slopes[0], -0.5, "full"),
        *_within("slope over N of that to the equations", slopes[1], 0.0, "full"),
        *(_of_trained(results.trained) if len(results.trained.losses) else []),
    ]


def _of_trained(trained: Trained) -> list[Claim]:
    """The worst of the starts, where there is a bar."""
    network, closed = _half(trained.losses), _half(trained.closed_losses)
    astray, (slow, fast, _) = apart(trained.closed, trained.network), trained.output_error.T
    tails, lines = np.abs(trained.kurtosis).max(axis=2), trained.qq.min(axis=2)
    as_published = (np.diff(tails) > 0).all(axis=1) & (np.diff(lines) < 0).all(axis=1)
    rows = {
        "output error": trained.output_error,
        "largest kurtosis": tails,
        "least Q-Q r": lines,
    }
    return [
        reported("half-loss epoch, network, median", np.median(network)),
        reported("half-loss epoch, closed equations, median", np.median(closed)),
        at_most("how far apart, relative", np.abs(closed / network - 1).max(), 0.03, "full"),
        at_most("overlap error at the end", astray[:, -1].max(), 0.04, "full"),
        reported("overlap error, largest", astray.max()),
        *(
            reported(f"{name}, {rule}, median", median)
            for name, row in rows.items()
            for rule, median in zip(NAMES, np.median(row, axis=0), strict=True)
        ),
        at_most("output error, slow over fast", (slow / fast).max(), 1, "full"),
        at_least("kurtosis, slow, fast, Adam: least rise", np.diff(tails).min(), 0, "full"),
        at_most("Q-Q r, slow, fast, Adam: largest rise", np.diff(lines).max(), 0, "full"),
        reported("starts in the published order slow, fast, Adam, share", as_published.mean()),
    ]


def _half(losses: Float[np.ndarray, "start step"]) -> Float[np.ndarray, " start"]:
    """The first epoch at which the loss is at most half the first one; NaN: none."""
    below = losses <= losses[:, :1] / 2
    return np.where(below.any(axis=1), below.argmax(axis=1), np.nan)


def draw(results: Results):
    floor, first, trained = results.floor, results.first, results.trained
    figure, axes = grid(2, 2, width=7.0, height=5.2)
    losses = {"closed": floor.closed_losses[None], "limit": floor.limit_losses[None]}
    if len(trained.losses):
        losses = {"closed": trained.closed_losses, "network": trained.losses}
    over_epochs(axes[0, 0], np.arange(losses["closed"].shape[1]), losses)
    names = ["closed equations", *(f"N = {units}" for units in floor.units)]
    rows = np.stack([apart(s, floor.limit) for s in (floor.closed, *floor.networks[:, 0])])
    along(axes[0, 1], np.broadcast_to(floor.time, rows.shape), rows, names)
    to_limit, to_closed = _distances(floor)
    against(axes[1, 0], floor.units, {"to the limit": to_limit, "to the equations": to_closed})
    against(axes[1, 1], first.units, {"velocity, Gaussian weights": _typical(first.error)})
    axes[0, 0].set(ylabel="loss")
    axes[0, 1].set(xlabel="s = eta x epochs", ylabel="overlaps, from the limit")
    axes[0, 1].legend(fontsize=6)
    axes[1, 0].set(xlabel="units", ylabel="overlaps at the end, distance")
    axes[1, 1].set(xlabel="units", ylabel="relative error")
    return figure
