"""How well does a plane, pulled back along the flow, part the two memories of a network?

Tanh networks of 64 units learn the 1-bit flip-flop. Where 100 random curves between the two
memories cross the boundary is bisected by simulation; fields are judged by their distance to
those crossings over D, that of the memories. Found on 3 networks, flow clock: hyperplane .0034
to .010 (median), pulled back for .5/lambda_u 1e-4 to 3e-4, for the default time below 2e-7;
agreement .993, .9995, 1 at least. The map's boundary lies 5e-4 to 9e-4 off; a small Koopman
net (.0030 to .0067) is as near as the hyperplane.

Paper: Dabholkar and Barak 2025, arXiv:2505.15231, the flip-flop network of 64 units with its
histogram of distances on curves. The rest is ours.
Takes: 27 s quick, 2 min full
"""

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pydantic
from jaxtyping import Bool, Float, Int

from slowpoint.analysis.curve_table import curve_table, CurveTable, stacked
from slowpoint.analysis.curve_test import Crossings, crossings, gaps
from slowpoint.analysis.curves import Curves, hermite_curves
from slowpoint.analysis.edge_state import edge_state
from slowpoint.analysis.field import Field
from slowpoint.analysis.learned import Network
from slowpoint.analysis.mountain_pass import Pass
from slowpoint.analysis.pullback import pulled_back, PulledBack
from slowpoint.analysis.push import smallest_push
from slowpoint.analysis.push_cone import crossing_nearby
from slowpoint.analysis.separatrix import Separatrix, separatrix
from slowpoint.cells.vanilla import Vanilla
from slowpoint.core.claim import at_least, at_most, Claim, equal, reported
from slowpoint.core.clock import Clock
from slowpoint.core.precision import float64
from slowpoint.core.result import Result
from slowpoint.core.rollout import rollout
from slowpoint.core.settings import Settings as Base
from slowpoint.core.system import System
from slowpoint.learning.train import train
from slowpoint.plots.distances import decay, histogram
from slowpoint.plots.style import row
from slowpoint.tasks.flipflop import FlipFlop, PerStep

CLOCKS: tuple[Clock, Clock] = ("flow", "map")
HOLD = np.zeros(1)
QUIET = 400  # steps after a pulse, until a memory rests


class Settings(Base):
    networks: int = pydantic.Field(default=3, ge=1, description="trained from other seeds")
    units: int = pydantic.Field(default=64, ge=2, description="neurons, N")
    dt: float = pydantic.Field(default=0.2, gt=0, le=1, description="Euler step, in tau")
    updates: int = pydantic.Field(default=250, ge=10, description="gradient steps")
    trials: int = pydantic.Field(default=256, ge=8, description="fresh trials that test it")
    curves: int = pydantic.Field(default=100, ge=2, description="between the two memories")
    spread: float = pydantic.Field(default=5.0, gt=0, description="of their tangents, rho")
    width: float = pydantic.Field(default=1e-9, gt=0, description="of a crossing, in D")
    times: tuple[float, ...] = pydantic.Field(
        default=(0.0, 0.25, 0.5, 1.0, 1.5, 2.0),
        min_length=3,
        description="pulled back, in 1/lambda_u: the first 0, the third that of the claim",
    )
    directions: int = pydantic.Field(default=1000, ge=1, description="around every push")
    angle: float = pydantic.Field(default=20.0, gt=0, lt=90, description="of that cone")
    learning: int = pydantic.Field(default=2000, ge=0, description="updates of a Koopman net")


QUICK = Settings(
    networks=1,
    curves=12,
    trials=64,
    times=(0.0, 0.25, 0.5, 1.0),
    width=1e-5,
    directions=250,
    learning=0,
)


class Saddles(Result):
    """What the boundaries hang on. Rates are per tau, distances over that of the memories."""

    accuracy: Float[np.ndarray, " network"]  # share of outputs of the right sign
    growing: Float[np.ndarray, "clock network"]  # lambda_u
    decaying: Float[np.ndarray, "clock network"]  # |lambda_s|, the slowest
    times: Float[np.ndarray, "clock network field"]  # really pulled back; the default last
    between_median: Float[np.ndarray, " network"]  # the flow's boundary to that of the map
    between_p90: Float[np.ndarray, " network"]


class Pushes(Result):
    """The smallest push out of every memory."""

    norm: Float[np.ndarray, "clock network memory"]
    distance: Float[np.ndarray, "clock network"]  # D
    crosses: Bool[np.ndarray, "clock network memory"]  # at 1.001 of the norm
    holds: Bool[np.ndarray, "clock network memory"]  # at 0.999
    other_clock: Bool[np.ndarray, "clock network memory"]  # crosses there too at 1.001
    astray: Int[np.ndarray, "clock network memory"]  # of the cone, at 0.999


@dataclasses.dataclass(frozen=True)
class Results:
    saddles: Saddles
    flow: CurveTable  # network x time
    map: CurveTable
    learned: CurveTable  # of the Koopman nets, under the flow; no field in a quick run
    pushes: Pushes


def run(settings: Settings) -> Results:
    begin, learn, ask, *keys = jr.split(jr.key(settings.seed), 6)
    task = FlipFlop(bits=1, steps=200, timing=PerStep(0.2, repeats=10))
    nets = _train(settings, task, begin, learn)
    parts = [jr.split(key, settings.networks) for key in keys]
    found = [_one(settings, net, *part) for net, *part in zip(nets, *parts)]
    accuracy = [float(_marked(net, task, jr.split(ask, settings.trials))) for net in nets]
    flow, steps, taught = (stacked([one.tables[i] for one in found]) for i in range(3))
    saddles = Saddles(accuracy=np.array(accuracy), **_columns([one.saddle for one in found]))
    pushes = Pushes(**_columns([one.push for one in found]))
    return Results(saddles, flow, steps, taught, pushes)


def _columns(rows: list[dict[str, np.ndarray]]) -> dict[str, Any]:
    """Rows of one network each, side by side; the clocks stay in front."""
    axis = lambda a: min(np.ndim(a), 1)
    return {n: np.stack([r[n] for r in rows], axis(rows[0][n])) for n in rows[0]}


def _train(settings: Settings, task: FlipFlop, begin, learn) -> list[Vanilla]:
    new = lambda key: Vanilla.random(
        settings.units, 1, 1, dt=settings.dt, gain=0.6, form="rate", key=key
    )
    descent = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3, weight_decay=1e-5))
    training = train(
        jax.jit(jax.vmap(new))(jr.split(begin, settings.networks)),
        task,
        updates=settings.updates,
        key=jr.split(learn, settings.networks),
        batch=64,
        optimiser=descent,
    )
    return [training.replicate(i).system for i in range(settings.networks)]


@eqx.filter_jit
def _marked(net: System, task: FlipFlop, keys):
    def one(key):
        trial = task.trial(key)
        return task.accuracy(trial, rollout(net, trial.start, trial.inputs))

    return jax.vmap(one)(keys).mean()


class _Found(NamedTuple):
    saddle: dict[str, np.ndarray]
    tables: list[CurveTable]  # flow, map, learned
    push: dict[str, np.ndarray]


def _one(settings: Settings, net: Vanilla, draw, press, teach) -> _Found:
    edge = edge_state(net, *_memories(net), hold=HOLD)
    surfaces = [separatrix(net, edge.state, hold=HOLD, clock=clock) for clock in CLOCKS]
    ends = surfaces[0].attractors
    curves = hermite_curves(*ends, count=settings.curves, spread=settings.spread, key=draw)
    truths = [_truth(settings, surface.around, curves) for surface in surfaces]
    fields = [_pulled(settings, surface) for surface in surfaces]
    taught = _taught(settings, surfaces[0].around, teach)
    asked = zip([*fields, taught], [*truths, truths[0]])
    tables = [curve_table(f, curves, t, positive=1, negative=0) for f, t in asked]
    apart = gaps(truths[0], truths[1], curves)
    rates = np.array([np.real(surface.around.rates) for surface in surfaces])
    saddle = {
        "growing": rates[:, 0],
        "decaying": np.abs(rates[:, 1:]).min(axis=1),
        "times": np.array([[int(f.ticks) * f.fine.dt for f in one] for one in fields]),
        "between_median": np.asarray(np.median(apart)),
        "between_p90": np.asarray(np.quantile(apart, 0.9)),
    }
    return _Found(saddle, tables, _pushes(settings, net, surfaces, press))


def _memories(net: Vanilla) -> Float[np.ndarray, "memory state"]:
    """Where a pulse of -1, and one of +1, leave the network."""
    pulse = jnp.repeat(jnp.array([1.0, 0.0]), jnp.array([10, QUIET]))[:, None]
    end = jax.jit(lambda sign: rollout(net, jnp.zeros(0), sign * pulse).states[-1])
    return np.array([end(sign) for sign in (-1.0, 1.0)], float)


def _truth(settings: Settings, around: Pass, curves: Curves) -> Crossings:
    assert around.judge is not None, "the two memories were found"
    return crossings(curves, around.judge, width=settings.width * around.distance)


def _pulled(settings: Settings, surface: Separatrix) -> list[PulledBack]:
    """The hyperplane, pulled back for each of the times, and for the default one."""
    around, default = surface.around, surface.field
    assert isinstance(default, PulledBack)
    ticks = [round(time / around.rate / around.fine.dt) for time in settings.times]
    with float64():
        return [pulled_back(around, count) for count in ticks] + [default]


def _taught(settings: Settings, around: Pass, key) -> list[Field]:
    if not settings.learning:
        return []
    return [Network(updates=settings.learning).make(around, key).field]


def _pushes(settings: Settings, net: Vanilla, surfaces: list[Separatrix], press):
    keys = jr.split(press, (2, len(surfaces), 2))
    pushes = [
        [smallest_push(net, end, surface, key=k) for end, k in zip(surface.attractors, row)]
        for surface, row in zip(surfaces, keys[0])
    ]
    cone = {"directions": settings.directions, "angle": settings.angle}
    astray = [
        [crossing_nearby(surface.around, push, **cone, key=k) for push, k in zip(found, row)]
        for surface, found, row in zip(surfaces, pushes, keys[1])
    ]
    column = lambda name: np.array([[getattr(push, name) for push in row] for row in pushes])
    names = ("norm", "crosses", "holds", "other_clock")
    size = np.array([surface.around.distance for surface in surfaces])
    return {n: column(n) for n in names} | {"distance": size, "astray": np.array(astray)}


def _exponent(times: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """How fast the error falls at last, per tau: between the last two times but the default."""
    late, later = (np.log(np.maximum(errors[:, i], 1e-16)) for i in (-3, -2))
    return (late - later) / (times[:, -2] - times[:, -3])


def claims(results: Results) -> list[Claim]:
    saddles, flow, steps = results.saddles, results.flow, results.map
    found = [
        at_least("accuracy of the worst network", saddles.accuracy.min(), 0.98),
        at_least("flow: least R2 over single crossings, .5/lambda_u", _single(flow), 0.999),
        at_least("flow: least agreement, .5/lambda_u", flow.agreement[:, 2].min(), 0.999),
        at_most("flow: largest median distance / D", flow.median[:, -1].max(), 1e-3),
        at_least("flow: least agreement", flow.agreement[:, -1].min(), 0.999),
        at_most("map: largest median distance / D", steps.median[:, -1].max(), 1e-3),
        at_least("map: least agreement", steps.agreement[:, -1].min(), 0.999),
        reported("map: least R2 over single crossings, .5/lambda_u", _single(steps)),
        reported("hyperplane: least R2 over single crossings", _single(flow, 0)),
        reported("hyperplane: least agreement", flow.agreement[:, 0].min()),
        reported("hyperplane: largest median distance / D", flow.median[:, 0].max()),
        reported("from clock to clock: largest median / D", saddles.between_median.max()),
        reported("from clock to clock: largest p90 / D", saddles.between_p90.max()),
    ]
    return found + _push_claims(results.pushes) + _late_claims(results)


def _single(table: CurveTable, field: int = 2) -> float:
    return float(table.r_squared_single[:, field].min())


def _push_claims(pushes: Pushes) -> list[Claim]:
    proved, all_of_them = pushes.crosses & pushes.holds, pushes.norm.size
    return [
        equal("pushes that cross at 1.001 and not at .999", proved.sum(), all_of_them),
        equal("directions around them that cross at .999", pushes.astray.sum(), 0),
        reported("flow: pushes that cross under the map too", pushes.other_clock[0].sum()),
    ]


def _late_claims(results: Results) -> list[Claim]:
    """What a quick run has no time for: the error law, and the Koopman nets."""
    saddles, flow, nets = results.saddles, results.flow, results.learned
    law = (2 * saddles.decaying + saddles.growing)[0]
    share = _exponent(saddles.times[0], flow.median) / law
    off = np.maximum(share, 1 / share).max()
    found = [at_most("error law: worst factor to 2|lambda_s| + lambda_u", off, 2, "full")]
    if nets.median.shape[1]:
        over = nets.median[:, 0] / flow.median[:, 0]
        worse = (nets.median[:, 0] > flow.median[:, -1]).sum()
        found += [
            reported("Koopman net: least median distance / D", nets.median.min()),
            reported("Koopman net: largest agreement", nets.agreement.max()),
            reported("Koopman net: its median over the hyperplane's, least", over.min()),
            reported("Koopman net: its median over the hyperplane's, largest", over.max()),
            equal("Koopman nets farther off than the pull-back", worse, len(over), "full"),
        ]
    return found


def draw(results: Results):
    flow, saddles = results.flow, results.saddles
    figure, axes = row(2)
    names = [("hyperplane", 0), ("pulled back .5", 2), ("pulled back 1", 3)]
    rows = {name: flow.distances[:, i].ravel() for name, i in names}
    if results.learned.median.shape[1]:
        rows["Koopman net"] = results.learned.distances.ravel()
    histogram(axes[0], rows)
    axes[0].legend(fontsize=6)
    law = 2 * saddles.decaying[0] + saddles.growing[0]
    decay(axes[1], saddles.times[0, :, :-1], flow.median[:, :-1], law)
    return figure
