"""Is the smallest push across a separatrix shorter than every other way across?

Networks learn to hold one bit: GRUs of 2 units and a tanh network of 64. From each memory we
measure the smallest push, then how far one must go towards the other memory, towards the
saddle and along random directions, by simulation alone.

Paper: Dabholkar and Barak 2025, arXiv:2505.15231, the optimal perturbation against its nulls.
Takes: 14 s quick, 2 min full
"""

import dataclasses

import jax.random as jr
import numpy as np
import optax
import pydantic
from jaxtyping import Bool, Float, Int

from slowpoint.analysis.along import crossing_distances
from slowpoint.analysis.fixed_points import fixed_points
from slowpoint.analysis.learned import Network
from slowpoint.analysis.push import smallest_push
from slowpoint.analysis.push_by_descent import Descended, push_by_descent
from slowpoint.analysis.push_cone import crossing_nearby
from slowpoint.analysis.separatrix import Separatrix, separatrix
from slowpoint.cells.gru import GRU
from slowpoint.cells.vanilla import Vanilla
from slowpoint.core.chance import generator
from slowpoint.core.claim import at_least, at_most, Claim, equal
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.core.system import System
from slowpoint.learning.train import train
from slowpoint.plots.style import row
from slowpoint.tasks.flipflop import FlipFlop, PerStep

HOLD = np.zeros(1)
RIVALS = ("towards the memory", "towards the saddle", "random, the shortest", "random, median")


class Settings(Base):
    small: int = pydantic.Field(default=3, ge=1, description="GRUs of 2 units")
    large: int = pydantic.Field(default=3, ge=0, description="tanh networks of `units`")
    units: int = pydantic.Field(default=64, ge=4, description="neurons of a large one, N")
    random: int = pydantic.Field(default=256, ge=8, description="random directions a memory")
    cone: int = pydantic.Field(default=1000, ge=8, description="directions around each push")
    angle: float = pydantic.Field(default=20.0, gt=0, lt=90, description="of the cone, degrees")
    learning: int = pydantic.Field(default=2000, ge=0, description="updates of a fitted field")
    masked: float = pydantic.Field(
        default=0.5, gt=0, le=1, description="share of units allowed"
    )


QUICK = Settings(small=1, large=0, random=64, learning=0)


class Pushes(Result):
    """One row a memory, two a network; lengths in units of the state. NaN: not found."""

    units: Int[np.ndarray, " memory"]
    distance: Float[np.ndarray, " memory"]  # between the two memories, D
    norm: Float[np.ndarray, " memory"]  # of the smallest push
    crosses: Bool[np.ndarray, " memory"]  # at 1.001 of it
    holds: Bool[np.ndarray, " memory"]  # at 0.999
    cosine: Float[np.ndarray, " memory"]  # between the push and the normal
    other_clock: Bool[np.ndarray, " memory"]  # crosses under the other clock too
    nearby: Int[np.ndarray, " memory"]  # of the cone, crossing at 0.999
    masked: Float[np.ndarray, " memory"]  # norm with the first units only
    rivals: Float[np.ndarray, "memory rival"]  # where the ways named in RIVALS cross
    none: Float[np.ndarray, " memory"]  # share of random directions that never cross
    plane: Float[np.ndarray, " memory"]  # distance to the saddle's hyperplane
    descended: Float[np.ndarray, " memory"]  # the paper's recipe on a fitted field
    descended_crosses: Bool[np.ndarray, " memory"]
    agreement: Float[np.ndarray, " memory"]  # of that field with simulation


@dataclasses.dataclass(frozen=True)
class Results:
    pushes: Pushes


def run(settings: Settings) -> Results:
    small, large, look, ask = jr.split(jr.key(settings.seed), 4)
    nets: list[System] = [_gru(key) for key in jr.split(small, settings.small)]
    nets += [_tanh(settings.units, key) for key in jr.split(large, settings.large)]
    rows = []
    for net, search, key in zip(nets, jr.split(look, len(nets)), jr.split(ask, len(nets))):
        rows += _network(settings, net, search, key)
    return Results(Pushes(**{name: np.array([r[name] for r in rows]) for name in rows[0]}))


def _gru(key) -> System:
    make, learn = jr.split(key)
    task = FlipFlop(bits=1, steps=50, timing=PerStep(0.1))
    net = GRU.random(2, 1, 1, key=make)
    options = {"batch": 64, "optimiser": GRU_ADAM}
    return train(net, task, updates=800, key=learn, **options).system


def _tanh(units: int, key) -> System:
    make, learn = jr.split(key)
    task = FlipFlop(bits=1, steps=200, timing=PerStep(0.2, repeats=10))
    net = Vanilla.random(units, 1, 1, dt=0.1, gain=0.6, form="rate", key=make)
    options = {"batch": 64, "optimiser": TANH_ADAM}
    return train(net, task, updates=250, key=learn, **options).system


GRU_ADAM = optax.adam(1e-2)
TANH_ADAM = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3, weight_decay=1e-5))


def _network(settings: Settings, net: System, look, key) -> list[dict[str, object]]:
    """Both memories of a network, under the clock of its flow."""
    saddles = fixed_points(net, hold=HOLD, key=look).saddles
    if len(saddles) != 1:
        raise RuntimeError(
            f"A network of {net.state_size} units has {len(saddles)} saddles: it did not learn "
            "to hold one bit. Type another seed: --set seed=1"
        )
    fit, *memories = jr.split(key, 3)
    boundary = separatrix(net, saddles.states[0], hold=HOLD, clock="flow")
    field = None
    if settings.learning:
        how = Network(updates=settings.learning)
        field = separatrix(net, saddles.states[0], hold=HOLD, clock="flow", how=how, key=fit)
    return [
        _memory(settings, net, boundary, field, start, part)
        for start, part in zip(boundary.attractors, memories)
    ]


def _memory(
    settings: Settings, net: System, boundary: Separatrix, field, start: np.ndarray, key
) -> dict[str, object]:
    find, mask, cone, draw, descend = jr.split(key, 5)
    around = boundary.around
    push = smallest_push(net, start, boundary, key=find)
    some = np.arange(net.state_size) < settings.masked * net.state_size
    fewer = smallest_push(net, start, boundary, mask=some, key=mask)
    other = around.ends[1 - push.basin] - start
    drawn = generator(draw).standard_normal((settings.random, net.state_size))
    ways = np.vstack([other, around.saddle - start, drawn])
    lengths = crossing_distances(around, start, ways, reach=2 * around.distance)
    lengths = np.where(np.isnan(lengths), np.inf, lengths)  # no crossing within reach
    chance = lengths[2:]
    found = None if field is None else push_by_descent(start, field, key=descend)
    return {
        "units": net.state_size,
        "distance": around.distance,
        **{n: getattr(push, n) for n in ("norm", "crosses", "holds", "cosine", "other_clock")},
        "nearby": crossing_nearby(
            around, push, directions=settings.cone, angle=settings.angle, key=cone
        ),
        "masked": fewer.norm,
        "rivals": np.array([*lengths[:2], chance.min(), np.median(chance)]),
        "none": np.isinf(chance).mean(),
        "plane": abs(float(around.left @ (start - around.saddle))),
        **_descended(found, field),
    }


def _descended(found: Descended | None, field: Separatrix | None) -> dict[str, object]:
    if found is None or field is None:
        return {"descended": np.nan, "descended_crosses": False, "agreement": np.nan}
    return {
        "descended": found.norm,
        "descended_crosses": found.crosses,
        "agreement": field.fit.agreement,
    }


def claims(results: Results) -> list[Claim]:
    found = results.pushes
    count = len(found.norm)
    proved = (found.crosses & found.holds).sum()
    rival = found.rivals.min(axis=1) / found.norm
    theirs = np.where(found.descended_crosses, found.descended, np.inf)
    said = [
        equal("memories whose push crosses at 1.001 and not at 0.999", proved, count),
        *(
            at_least(f"least ratio to the push: {name}", ratio, 1.0)
            for name, ratio in zip(RIVALS, (found.rivals / found.norm[:, None]).min(axis=0))
        ),
        equal("memories with a strictly shorter push than any rival", (rival > 1).sum(), count),
        equal("directions within 20 degrees that cross at 0.999", found.nearby.sum(), 0),
        at_most("largest 1 - cosine between push and normal", (1 - found.cosine).max(), 1e-6),
        equal(
            "memories with a longer or no push by half of the units",
            (~(found.masked < found.norm)).sum(),
            count,
        ),
    ]
    if np.isfinite(found.agreement).all():  # a field was fitted
        shorter = (theirs < found.norm * (1 - 1e-3)).sum()
        said.append(equal("memories where descent on a fitted field is shorter", shorter, 0))
    return said


def draw(results: Results):
    found = results.pushes
    figure, axes = row(2, width=8.0, height=3.2)
    place = np.arange(len(found.norm))
    names = [f"{n}:{i % 2}" for i, n in enumerate(found.units)]
    for axis, units in zip(axes, (found.units == 2, found.units != 2)):
        at = np.arange(units.sum())
        axis.plot(at, found.norm[units], "o", label="smallest")
        for k, name in enumerate(RIVALS):
            axis.plot(at, found.rivals[units, k], "_", markersize=14, label=name)
        axis.plot(at, found.descended[units], "x", label="Adam on a fitted field")
        axis.set_xticks(at, [names[i] for i in place[units]])
        axis.set_ylim(bottom=0)
        axis.set_xlabel("units : memory")
    axes[0].set_ylabel("length of the push")
    axes[1].legend(fontsize=6)
    return figure
