"""In the plane the true boundary can be drawn: which method finds it, and does R² notice?

Two flows of paper and flip-flop networks of two units that we train. The truth is the stable
manifold of the saddle, followed backward; every method's zero set is measured against it.

The saddle's hyperplane, pulled back along the flow, needs no training and is by far the
nearest: 1e-7 to 1e-5 on every system. The eigenproblem comes to 4e-4 on Duffing. Its answer has
a pole of order rate(saddle) / rate(attractor) at an attractor, and errs the more, the steeper:
.001 at order 1, .012 at 1.9, and in GRUs near a fold (order 4 and more, other seeds) it is
wrong, as it is when it must hold at the attractors too. Small networks come to 1e-4 to 5e-3 by
least squares, to 1e-3 to .02 by descent. R² of the paper's curve test says .9997 of a
hyperplane that misses Duffing's outer arms by 2.5: the curves never go there.

The paper's own network (400 units, 20 blocks, 22 to 40 CPU minutes a system) is not fitted
here but in benchmarks/separatrix.py.

Paper: Dabholkar and Barak 2025, arXiv:2505.15231, the two-dimensional panels.
Takes: 18 s quick, 3 min full
"""

import dataclasses
import time
from typing import Literal

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pydantic
from jaxtyping import Float, Int, Shaped

from slowpoint.analysis.contours import agreement, contour_error
from slowpoint.analysis.curve_test import Crossings, crossings, curve_test
from slowpoint.analysis.curves import Curves, hermite_curves
from slowpoint.analysis.even import even_box
from slowpoint.analysis.field import values
from slowpoint.analysis.fit import judged
from slowpoint.analysis.how import How
from slowpoint.analysis.learned import LeastSquares, Network
from slowpoint.analysis.modes import Modes
from slowpoint.analysis.mountain_pass import mountain_pass, Pass
from slowpoint.analysis.pullback import Hyperplane, Pullback
from slowpoint.analysis.search import search
from slowpoint.analysis.separatrix import between
from slowpoint.analysis.stable_manifold import stable_manifold, StableManifold
from slowpoint.cells.gru import GRU
from slowpoint.core.claim import at_least, at_most, Claim, equal
from slowpoint.core.clock import on_clock
from slowpoint.core.precision import float64, widen
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.core.system import System
from slowpoint.learning.train import train
from slowpoint.plots.plane import misses, rests, truth, zeros
from slowpoint.plots.style import grid
from slowpoint.tasks.flipflop import FlipFlop, PerStep
from slowpoint.worlds.bistable import Bistable
from slowpoint.worlds.duffing import Duffing

METHODS: dict[str, How] = {
    "pull-back": Pullback(),
    "hyperplane": Hyperplane(),
    "modes": Modes(),
    "modes, all states": Modes(exclude=0.0),
    "least squares": LeastSquares(),
    "network": Network(),
}
SURE = ("pull-back", "modes")  # done on every system
Fitted = Literal["least squares", "network"]
Basins = tuple[np.ndarray, np.ndarray, Curves, Crossings]


class Settings(Base):
    networks: int = pydantic.Field(default=5, ge=0, description="GRUs of two units")
    updates: int = pydantic.Field(default=800, ge=100, description="gradient steps of a GRU")
    whole: int = pydantic.Field(default=100, ge=1, description="systems with all methods")
    without: tuple[Fitted, ...] = pydantic.Field(default=(), description="fits left out")
    sample: int = pydantic.Field(
        default=4096, ge=64, description="states, evenly in the box, whose basin is simulated"
    )


QUICK = Settings(networks=0, whole=1, without=("least squares", "network"), sample=1024)


class Table(Result):
    """One row per system and method. Distances from the truth to the contour, of the state."""

    system: Shaped[np.ndarray, " row"]
    method: Shaped[np.ndarray, " row"]
    median: Float[np.ndarray, " row"]
    p95: Float[np.ndarray, " row"]
    missed: Float[np.ndarray, " row"]  # share of the truth farther than 1/200 of the box
    false: Float[np.ndarray, " row"]  # share of the contour that far from the truth
    components: Int[np.ndarray, " row"]  # of the contour
    agreement: Float[np.ndarray, " row"]  # with the simulated basins of `sample` states
    r_squared: Float[np.ndarray, " row"]  # of the curve test, curves that cross once
    on_curves: Float[np.ndarray, " row"]  # median distance of crossings, over D
    ratio: Float[np.ndarray, " row"]  # the loss
    gap: Float[np.ndarray, " row"]
    fit: Float[np.ndarray, " row"]  # CPU seconds from a known saddle, compilation included
    ask: Float[np.ndarray, " row"]  # the same, of the contour on 201 x 201 states


class Planes(Result):
    """The systems: what rests in them, and what decides how hard they are."""

    name: Shaped[np.ndarray, " system"]
    reach: Float[np.ndarray, " system"]  # half-width of the box
    saddle: Float[np.ndarray, "system 2"]
    attractors: Float[np.ndarray, "system side 2"]
    distance: Float[np.ndarray, " system"]  # D, of the attractors
    pole: Float[np.ndarray, " system"]  # highest order of an eigenfunction's at an attractor
    networks: int  # trained
    suited: int  # of them with two memories and a saddle between


class Lines(Result):
    """The true boundary of each system (NaN out of its box), the contour of each row."""

    truth: Float[np.ndarray, "point 2"]
    system: Int[np.ndarray, " point"]
    contour: Float[np.ndarray, "segment 2 2"]
    row: Int[np.ndarray, " segment"]


@dataclasses.dataclass(frozen=True)
class Results:
    table: Table
    planes: Planes
    lines: Lines


@dataclasses.dataclass(frozen=True)
class Plane:
    """A system, the box that it is looked at in, and its truth."""

    name: str
    system: System
    hold: np.ndarray
    saddle: np.ndarray
    reach: float  # half-width of the box

    @property
    def box(self) -> tuple[np.ndarray, np.ndarray]:
        return np.full(2, -self.reach), np.full(2, self.reach)


def run(settings: Settings) -> Results:
    begin, learn, fit, curve = jr.split(jr.key(settings.seed), 4)
    worlds = {"Duffing": Duffing(), "bistable": Bistable(2)}.items()
    planes = [Plane(*world, np.zeros(0), np.zeros(2), 2.0) for world in worlds]
    if settings.networks:
        planes += _networks(settings, begin, learn)
    passes, truths, made = [], [], []
    for i, plane in enumerate(planes):
        around = mountain_pass(plane.system, plane.saddle, hold=plane.hold)
        manifold = stable_manifold(plane.system, plane.saddle, hold=plane.hold, box=plane.box)
        basins = _basins(settings, plane, around, jr.fold_in(curve, i))
        for name in METHODS:
            if name not in settings.without and (i < settings.whole or name in SURE):
                made.append(_row(plane, name, around, manifold, basins, jr.fold_in(fit, i)))
        passes.append(around)
        truths.append(np.where(manifold.inside[:, None], manifold.states, np.nan))
    rows, segments = zip(*made, strict=True)
    lines = Lines(
        np.concatenate(truths),
        np.repeat(np.arange(len(planes)), [len(line) for line in truths]),
        np.concatenate(segments),
        np.repeat(np.arange(len(rows)), [len(contour) for contour in segments]),
    )
    table = Table(*(np.array(column) for column in zip(*rows, strict=True)))
    return Results(table, _planes(planes, passes, settings.networks), lines)


def _networks(settings: Settings, begin, learn) -> list[Plane]:
    """GRUs of two units that keep one bit; those with other than one saddle are left out."""
    new = lambda key: GRU.random(2, 1, 1, key=key)
    training = train(
        jax.jit(jax.vmap(new))(jr.split(begin, settings.networks)),
        FlipFlop(bits=1, steps=50, timing=PerStep(0.1)),
        updates=settings.updates,
        key=jr.split(learn, settings.networks),
        batch=64,
        optimiser=optax.adam(1e-2),
    )
    hold, planes = np.zeros(1), []
    for i in range(settings.networks):
        net = training.replicate(i).system
        points = search(net, hold=hold, key=jr.fold_in(begin, i)).points
        if len(points.stable) == 2 and len(points.saddles) == 1:
            flow = on_clock(net, "flow")
            planes.append(Plane(f"GRU {i + 1}", flow, hold, points.saddles.states[0], 1.0))
    return planes


def _basins(settings: Settings, plane: Plane, around: Pass, key) -> Basins:
    """What simulation says: basins of a sample, and crossings of the curve test."""
    if around.judge is None:
        raise ValueError(f"The saddle of {plane.name} does not part two attractors.")
    low, high = plane.box
    states = low + (high - low) * even_box(settings.sample, 2)
    curves = hermite_curves(*around.ends, spread=2.0, key=key)
    crossed = crossings(curves, around.judge, width=1e-6)
    return states, around.judge(states), curves, crossed


def _row(plane: Plane, name: str, around: Pass, manifold: StableManifold, basins: Basins, key):
    """`(row of the table, segments of the contour)` of one method on one system."""
    states, labels, curves, crossed = basins
    begun = time.process_time()
    made = METHODS[name].make(around, key)
    fitted = time.process_time() - begun
    fit, value = judged(around, made, between(around)), lambda x: values(made.field, x)
    begun = time.process_time()
    error = contour_error(value, manifold.states, plane.box)
    asked = time.process_time() - begun
    test = curve_test(value, curves, crossed, positive=1)
    distances = (error.median, error.p95, error.missed, error.false, error.components)
    agrees = agreement(value, states, labels, positive=1)
    tests = (agrees, test.r_squared_single, test.median, fit.ratio, fit.gap)
    return (plane.name, name, *distances, *tests, fitted, asked), error.segments


def _planes(planes: list[Plane], passes: list[Pass], networks: int) -> Planes:
    return Planes(
        np.array([plane.name for plane in planes]),
        np.array([plane.reach for plane in planes]),
        np.stack([around.saddle for around in passes]),
        np.stack([around.ends for around in passes]),
        np.array([around.distance for around in passes]),
        np.array([_pole(around) for around in passes]),
        networks,
        sum("GRU" in plane.name for plane in planes),
    )


def _pole(around: Pass) -> float:
    """The saddle's rate over the slowest at the attractors."""
    with float64():
        wide, hold, ends = widen((around.system, around.hold, around.ends))
        at = lambda x: np.asarray(wide.rates(jnp.asarray(x), jnp.asarray(hold)))
        return around.rate / -max(np.real(at(end)).max() for end in ends)


def claims(results: Results) -> list[Claim]:
    table, planes = results.table, results.planes
    rows = lambda method: table.method == method
    curves = table.on_curves[rows("pull-back")].max()
    on = lambda method, system: rows(method) & (table.system == system)
    plane, kept = on("hyperplane", "Duffing"), on("modes, all states", "Duffing")
    ours = dict(zip(table.system[rows("pull-back")], table.median[rows("pull-back")]))
    fitted = np.flatnonzero(rows("modes") | rows("network"))
    nearer = sum(table.median[row] < ours[table.system[row]] for row in fitted)
    suited = "networks with two memories and a saddle"
    return [
        *([equal(suited, planes.suited, planes.networks)] if planes.networks else []),
        *_close("pull-back, worst system", table, rows("pull-back"), 5e-3, 2e-2),
        at_most("its crossings of the test's curves: median distance over D", curves, 1e-3),
        *_close("modes, bistable", table, on("modes", "bistable"), 0.0013, 0.0024),
        *_close("modes, Duffing", table, on("modes", "Duffing"), 0.0015, 0.0025),
        at_least("hyperplane, Duffing: R² of the curves", table.r_squared[plane].min(), 0.999),
        at_least("yet its p95, in units of the state", table.p95[plane].min(), 1),
        at_least(
            "modes on all states, Duffing: more pieces of contour than without poles",
            table.components[kept].min() - table.components[on("modes", "Duffing")].min(),
            1,
        ),
        at_most("its agreement with the basins", table.agreement[kept].max(), 0.95),
        equal("times that modes or the network are nearer than the pull-back", nearer, 0),
    ]


def _close(who: str, table: Table, rows: np.ndarray, median: float, p95: float) -> list[Claim]:
    """Distances in units of the state."""
    return [
        at_most(f"{who}: median distance", table.median[rows].max(), median),
        at_most(f"{who}: 95th percentile", table.p95[rows].max(), p95),
        at_least(f"{who}: agreement with basins", table.agreement[rows].min(), 0.995),
    ]


def draw(results: Results):
    table, planes, lines = results.table, results.planes, results.lines
    figure, axes = grid(2, 2, width=7.2, height=7.0)
    order, names = list(METHODS), planes.name.tolist()
    for i, ax in enumerate(axes.flat[: min(3, len(names))]):
        rows = np.flatnonzero(table.system == names[i])
        contours = {str(table.method[row]): lines.contour[lines.row == row] for row in rows}
        truth(ax, lines.truth[lines.system == i])
        zeros(ax, contours, order)
        rests(ax, planes.attractors[i], planes.saddle[i])
        reach = (-planes.reach[i], planes.reach[i])
        ax.set(xlim=reach, ylim=reach, title=names[i], aspect="equal")
    for ax in axes.flat[len(names) : 3]:
        ax.remove()
    median, p95 = np.full((2, len(names), len(order)), np.nan)
    for row, method in enumerate(table.method):
        at = names.index(table.system[row]), order.index(method)
        median[at], p95[at] = table.median[row], table.p95[row]
    misses(axes[1, 1], names, order, median, p95)
    axes[1, 1].set_title("truth to contour: median to p95")
    return figure
