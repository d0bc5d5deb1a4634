"""Does the boundary between two memories get harder to find in larger networks?

Tanh networks of 32 to 512 units learn the 1-bit flip-flop. On the same random curves between
the memories: the saddle's hyperplane, the same pulled back, and a deep Koopman network, each by
its distance to the simulated crossings over that of the memories, its agreement with the
basins, and its CPU seconds. Found on one network a size: the hyperplane errs by .0022 to .0056
(median) and the Koopman net by .0021 to .0037, neither with a trend; the pull-back by less than
1e-5 at every size, for 0.1 to 10 CPU seconds per 1,600 states (the net: 9 to 30, to train).

Paper: Dabholkar and Barak 2025, arXiv:2505.15231, the flip-flop networks of 32 to 512 units.
Takes: 14 s quick, 5 min full
"""

import dataclasses
import time

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pydantic
from jaxtyping import Float, Int

from slowpoint.analysis.curve_table import curve_table, CurveTable, stacked
from slowpoint.analysis.curve_test import crossings
from slowpoint.analysis.curves import Curves, hermite_curves
from slowpoint.analysis.edge_state import edge_state
from slowpoint.analysis.field import Field, values
from slowpoint.analysis.how import How
from slowpoint.analysis.learned import Network
from slowpoint.analysis.mountain_pass import mountain_pass, Pass
from slowpoint.analysis.pullback import Hyperplane, Pullback
from slowpoint.cells.vanilla import Vanilla
from slowpoint.core.claim import at_least, at_most, Claim, equal, reported
from slowpoint.core.result import Result
from slowpoint.core.rollout import rollout
from slowpoint.core.settings import Settings as Base
from slowpoint.learning.train import train
from slowpoint.plots.distances import against
from slowpoint.plots.style import row
from slowpoint.tasks.flipflop import FlipFlop, PerStep

HOLD = np.zeros(1)
QUIET = 400  # steps after a pulse, until a memory rests
HOWS = ("hyperplane", "pull-back", "Koopman net")


class Settings(Base):
    units: tuple[int, ...] = pydantic.Field(
        default=(32, 64, 128, 256, 512), min_length=1, description="neurons, N"
    )
    dt: float = pydantic.Field(default=0.2, gt=0, le=1, description="Euler step, in tau")
    updates: int = pydantic.Field(default=250, ge=10, description="gradient steps")
    batch: int = pydantic.Field(default=64, ge=1, description="trials per update")
    curves: int = pydantic.Field(default=32, ge=2, description="between the two memories")
    points: int = pydantic.Field(default=50, ge=2, description="of every curve")
    spread: float = pydantic.Field(default=5.0, gt=0, description="of their tangents, rho")
    width: float = pydantic.Field(default=1e-5, gt=0, description="of a crossing, in D")
    learning: int = pydantic.Field(default=2000, ge=0, description="updates of a Koopman net")


QUICK = Settings(units=(64,), updates=200, batch=16, curves=12, points=40, learning=0)


class Sizes(Result):
    """One network of every size, under the flow. Rates are per tau."""

    units: Int[np.ndarray, " size"]
    correct: Float[np.ndarray, "size memory"]  # output after a pulse of -1, and of 1
    growing: Float[np.ndarray, " size"]  # lambda_u
    decaying: Float[np.ndarray, " size"]  # |lambda_s|, the slowest
    distance: Float[np.ndarray, " size"]  # D
    making: Float[np.ndarray, "size field"]  # CPU seconds, with compilation
    asking: Float[np.ndarray, "size field"]  # of all the curves' points once more, without


@dataclasses.dataclass(frozen=True)
class Results:
    sizes: Sizes
    table: CurveTable  # size x (hyperplane, pull-back, Koopman net)


def run(settings: Settings) -> Results:
    keys = jr.split(jr.key(settings.seed), len(settings.units))
    found = [_one(settings, size, key) for size, key in zip(settings.units, keys)]
    columns = {name: np.array([sizes[name] for sizes, _ in found]) for name in found[0][0]}
    return Results(Sizes(**columns), stacked([table for _, table in found]))


def _one(settings: Settings, size: int, key):
    """`(row of Sizes, table)` of one network."""
    begin, learn, draw, teach = jr.split(key, 4)
    net = _train(settings, size, begin, learn)
    ends, outputs = _memories(net)
    edge = edge_state(net, *ends, hold=HOLD)
    around = mountain_pass(net, edge.state, hold=HOLD)
    assert around.judge is not None, "the two memories were found"
    curves = hermite_curves(
        *around.ends,
        count=settings.curves,
        points=settings.points,
        spread=settings.spread,
        key=draw,
    )
    truth = crossings(curves, around.judge, width=settings.width * around.distance)
    fields, making = _made(settings, around, teach)
    table = curve_table(fields, curves, truth, positive=1, negative=0)
    rates = np.real(around.rates)
    return {
        "units": size,
        "correct": outputs * [-1, 1],
        "growing": rates[0],
        "decaying": np.abs(rates[1:]).min(),
        "distance": around.distance,
        "making": making,
        "asking": [_asking(field, curves) for field in fields],
    }, table


def _train(settings: Settings, size: int, begin, learn) -> Vanilla:
    start = Vanilla.random(size, 1, 1, dt=settings.dt, gain=0.6, form="rate", key=begin)
    descent = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3, weight_decay=1e-5))
    task = FlipFlop(bits=1, steps=200, timing=PerStep(0.2, repeats=10))
    updates, batch = settings.updates, settings.batch
    return train(start, task, updates=updates, key=learn, batch=batch, optimiser=descent).system


def _memories(net: Vanilla) -> tuple[np.ndarray, np.ndarray]:
    """`(states, outputs)` where a pulse of -1, and one of 1, leave the network."""
    pulse = jnp.repeat(jnp.array([1.0, 0.0]), jnp.array([10, QUIET]))[:, None]
    end = jax.jit(lambda sign: rollout(net, jnp.zeros(0), sign * pulse))
    paths = [end(sign) for sign in (-1.0, 1.0)]
    states = np.array([path.states[-1] for path in paths], float)
    return states, np.array([path.outputs[-1, 0] for path in paths], float)


def _made(settings: Settings, around: Pass, key) -> tuple[list[Field], list[float]]:
    """Every field, and what it cost."""
    hows: list[How] = [Hyperplane(), Pullback()]
    if settings.learning:
        hows.append(Network(updates=settings.learning))
    made = [_seconds(lambda how=how: how.make(around, key).field) for how in hows]
    return [field for field, _ in made], [seconds for _, seconds in made]


def _asking(field: Field, curves: Curves) -> float:
    """CPU seconds for all points of the curves."""
    return _seconds(lambda: values(field, curves.states))[1]


def _seconds(work):
    """`(what it gives, CPU seconds)`."""
    begun = time.process_time()
    return work(), time.process_time() - begun


def claims(results: Results) -> list[Claim]:
    sizes, table = results.sizes, results.table
    plane, pulled = table.median[:, 0], table.median[:, 1]
    seconds = sizes.making + sizes.asking
    both = np.asarray((sizes.correct > 0).all(axis=1))
    found = [
        equal("networks that keep both memories", both.sum(), len(plane)),
        at_most("pull-back: largest median distance / D at any size", pulled.max(), 1e-3),
        at_least("pull-back: least agreement at any size", table.agreement[:, 1].min(), 0.999),
        equal(
            "sizes at which the pull-back is no farther than the hyperplane",
            (pulled <= plane).sum(),
            len(plane),
        ),
        equal(
            "sizes at which it agrees no less",
            (table.agreement[:, 1] >= table.agreement[:, 0]).sum(),
            len(plane),
        ),
    ]
    for i, n in enumerate(sizes.units):
        for j, name in enumerate(HOWS[: table.median.shape[1]]):
            found += [
                reported(f"N={n}, {name}: median distance / D", table.median[i, j]),
                reported(f"N={n}, {name}: agreement", table.agreement[i, j]),
                reported(f"N={n}, {name}: CPU seconds", seconds[i, j]),
            ]
    return found


def draw(results: Results):
    figure, axes = row(3, width=9.0)
    sizes, table = results.sizes, results.table
    against(axes[0], sizes.units, table.median, HOWS, floor=1e-5)
    against(axes[1], sizes.units, 1 - table.agreement, HOWS, floor=1e-5)
    against(axes[2], sizes.units, sizes.making + sizes.asking, HOWS)
    names = ("median distance / D", "share on the wrong side", "CPU seconds")
    for ax, name in zip(axes, names):
        ax.set(xlabel="units", ylabel=name)
    axes[0].legend(fontsize=6)
    return figure
