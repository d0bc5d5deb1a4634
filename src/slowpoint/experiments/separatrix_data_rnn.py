"""How far is it from one answer to the other, in a network fitted to recorded neurons?

Rate networks learn the square roots of 87 neurons' counts from the angle to the target alone.
Found in 5 networks of 32 units, each held at 8 angles: the error on bins that were not learned
is .846 to .851 of that of mean rates (a regression on the angle: .880). Under 36 of the 40 held
angles there is one attractor, under 4 one unstable point that no run comes to rest at; nowhere
are there two stable points. So there is no separatrix and no push to measure.

`weights=FILE.npz` takes the network of the paper instead: the arrays of `DataFittedRNN`.
Without that file its numbers (fit R2 .886; pushes of 1.8 the smallest, 11.4 to the target,
29 to 39 along random directions; 668 units) can't be made again: the weights are not public.

Paper: Dabholkar and Barak 2025, arXiv:2505.15231, the network of Finkelstein, Fontolan et al.
2021. The stand-in is ours, on the recording of Hennig et al. 2018, eLife 7, e36774.
Takes: 11 s quick, 30 s full
"""

import dataclasses
import functools
import itertools
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pydantic
from jaxtyping import Bool, Float, Int

from slowpoint.analysis.along import crossing_distances
from slowpoint.analysis.edge_state import edge_state
from slowpoint.analysis.geometry import PCA, pca
from slowpoint.analysis.points import FixedPoints, union
from slowpoint.analysis.push import smallest_push
from slowpoint.analysis.search import Search, search
from slowpoint.analysis.separatrix import Separatrix, separatrix
from slowpoint.cells.vanilla import Vanilla
from slowpoint.core.chance import generator
from slowpoint.core.claim import at_most, Claim, equal, reported
from slowpoint.core.precision import float64, widen
from slowpoint.core.result import Result
from slowpoint.core.rollout import rollout, Trajectory
from slowpoint.core.settings import Settings as Base
from slowpoint.core.system import System
from slowpoint.core.wrap import Sampled
from slowpoint.learning.train import train
from slowpoint.plots.states import states
from slowpoint.plots.style import PATH, row, STABLE
from slowpoint.recordings.monkey import Monkey, monkey
from slowpoint.tasks.recorded import Recorded
from slowpoint.worlds.data_fitted_rnn import DELAY, read

REACH = 8.0  # how far a direction is followed, in distances of the two attractors
SHOWN = 200  # bins


class Settings(Base):
    weights: str = pydantic.Field(default="", description="an .npz of DataFittedRNN")
    networks: int = pydantic.Field(default=5, ge=1, description="fitted from other seeds")
    units: int = pydantic.Field(default=32, ge=2, description="neurons of each, N")
    gain: float = pydantic.Field(default=1.5, gt=0, description="spectral radius at first")
    dt: float = pydantic.Field(default=0.3, gt=0, le=1, description="a bin of 45 ms, in tau")
    updates: int = pydantic.Field(default=1000, ge=1, description="gradient steps")
    learned: float = pydantic.Field(default=0.8, gt=0, lt=1, description="share of the bins")
    angles: int = pydantic.Field(default=8, ge=1, description="held, around the circle")
    directions: int = pydantic.Field(default=50, ge=1, description="random, of each attractor")


QUICK = Settings(networks=2, updates=300, angles=4)


class Fit(Result):
    """Squared errors of root counts, over bins that were not learned; empty: weights given."""

    error: Float[np.ndarray, " network"]
    by_mean: float  # of the mean of every neuron
    by_line: float  # of a regression on the present angle
    recorded: Float[np.ndarray, " bin"]  # along the first component that the fit moves along
    predicted: Float[np.ndarray, " bin"]  # by the first network
    source: str  # where the networks come from, in words


class Rest(Result):
    """Where the networks rest, one row per network and held input."""

    network: Int[np.ndarray, " held"]
    hold: Float[np.ndarray, "held input"]
    attractors: Int[np.ndarray, " held"]  # stable points
    saddles: Int[np.ndarray, " held"]
    index_sum: Int[np.ndarray, " held"]  # 0 where unknown
    missed: Int[np.ndarray, " held"]  # attractors of forward runs, not among the points
    restless: Int[np.ndarray, " held"]  # forward runs, of 128, that did not come to rest
    residual: Float[np.ndarray, " held"]  # the largest of a fixed point
    says: str  # whether there is a separatrix to look for, in words


class Pushes(Result):
    """The way out of every attractor that has a saddle to a neighbour; may have no row."""

    edges: Int[np.ndarray, " pair"]  # what edge_state says of every two attractors
    held: Int[np.ndarray, " push"]  # row of Rest
    smallest: Float[np.ndarray, " push"]  # NaN: not found
    proved: Bool[np.ndarray, " push"]  # crosses at 1.001 of it, not at 0.999
    across: Float[np.ndarray, " push"]  # to the boundary, straight at the other attractor
    random: Float[np.ndarray, "push direction"]  # infinite: none within 8 such distances


@dataclasses.dataclass(frozen=True)
class Results:
    fit: Fit
    rest: Rest
    pushes: Pushes
    points: FixedPoints  # of the first network, under all held inputs
    frame: PCA
    path: Trajectory  # of the first network


class _Networks(NamedTuple):
    systems: list[System]
    paths: list[Trajectory]
    holds: Float[np.ndarray, "hold input"]
    fit: Fit


def run(settings: Settings) -> Results:
    begin, learn, look, press = jr.split(jr.key(settings.seed), 4)
    nets = _given(settings.weights) if settings.weights else _fitted(settings, begin, learn)
    asked = list(itertools.product(range(len(nets.systems)), range(len(nets.holds))))
    found = [
        _search(nets.systems[i], nets.holds[j], nets.paths[i], key)
        for (i, j), key in zip(asked, jr.split(look, len(asked)))
    ]
    rest = _rest(asked, nets.holds, found)
    pushes = _pushes(settings, nets.systems, rest, found, press)
    first = [one.points.fixed for one in found[: len(nets.holds)]]
    points = functools.reduce(lambda a, b: union(a, b, 1e-6), first)
    shown = jax.tree.map(lambda a: np.asarray(a[-SHOWN:], float), nets.paths[0])
    frame = pca(np.vstack([shown.states, points.states]), 2)
    return Results(nets.fit, rest, pushes, points, frame, shown)


def _given(path: str) -> _Networks:
    """The network of a file, held at its delay; what it does from rest."""
    with float64():
        net = read(path)
        there = rollout(net, jnp.zeros(0), jnp.tile(jnp.array(DELAY), (SHOWN, 1)))
    none, nan = np.zeros(0), float("nan")
    fit = Fit(none, nan, nan, none, none, f"weights of {path}")
    return _Networks([net], [there], np.array([DELAY]), fit)


def _fitted(settings: Settings, begin, learn) -> _Networks:
    """Networks fitted to the first part of the monkey's block 1."""
    data = monkey()
    inputs, targets = _circle(data.angles), np.sqrt(data.counts.astype(float))
    known = round(settings.learned * len(targets))
    task = Recorded(jnp.asarray(inputs[:known]), jnp.asarray(targets[:known]))
    nets = _train(settings, task, begin, learn)
    ask = eqx.filter_jit(lambda net: rollout(net, jnp.zeros(0), jnp.asarray(inputs)))
    paths = [ask(net) for net in nets]
    holds = _circle(np.arange(settings.angles) * 360 / settings.angles)
    outputs = [np.asarray(path.outputs, float) for path in paths]
    fit = _fit(data, inputs, targets, outputs, known)
    return _Networks([Sampled(net) for net in nets], paths, holds, fit)


def _circle(degrees: Float[np.ndarray, " angle"]) -> Float[np.ndarray, "angle 2"]:
    turn = np.deg2rad(degrees)
    return np.stack([np.cos(turn), np.sin(turn)], axis=1)


def _train(settings: Settings, task: Recorded, begin, learn) -> list[Vanilla]:
    def new(key):
        sizes = (settings.units, task.input_size, task.output_size)
        net = Vanilla.random(*sizes, gain=settings.gain, dt=settings.dt, form="rate", key=key)
        return eqx.tree_at(lambda n: n.readout_bias, net, task.targets.mean(axis=0))

    fall = optax.cosine_decay_schedule(1e-2, settings.updates)
    training = train(
        jax.jit(jax.vmap(new))(jr.split(begin, settings.networks)),
        task,
        updates=settings.updates,
        key=jr.split(learn, settings.networks),
        optimiser=optax.chain(optax.clip_by_global_norm(1.0), optax.adam(fall)),
    )
    return [training.replicate(i).system for i in range(settings.networks)]


def _fit(data: Monkey, inputs, targets, outputs: list[np.ndarray], known: int) -> Fit:
    mean = targets[:known].mean(axis=0)
    beside = np.hstack([inputs, np.ones((len(inputs), 1))])
    line = beside @ np.linalg.lstsq(beside[:known], targets[:known])[0]
    wrong = lambda guess: float(((guess - targets)[known:] ** 2).mean())
    ahead = pca(outputs[0][:known], 1)
    return Fit(
        error=np.array([wrong(output) for output in outputs]),
        by_mean=wrong(mean),
        by_line=wrong(line),
        recorded=ahead.project(targets[known:])[:, 0],
        predicted=ahead.project(outputs[0][known:])[:, 0],
        source=f"stand-in, as no weights=FILE.npz was given; fitted to {data.source}",
    )


def _search(system: System, hold: np.ndarray, path: Trajectory, key) -> Search:
    """From states that the inputs lead to, and as many from anywhere in the box."""
    draw, look = jr.split(key)
    tried = np.asarray(path.states, float)
    with float64():
        box = widen(system).box(jnp.asarray(hold))
    if box is not None:
        low, high = (np.asarray(edge) for edge in box)
        tried = np.vstack([tried, generator(draw).uniform(low, high, tried.shape)])
    return search(system, hold=hold, key=look, states=tried)


def _rest(asked: list[tuple[int, int]], holds: np.ndarray, found: list[Search]) -> Rest:
    counts = np.array([len(one.points.stable) for one in found])
    seen = [one.coverage for one in found]
    restless = np.array([one.cycles + one.crawling for one in seen])
    return Rest(
        network=np.array([i for i, _ in asked]),
        hold=holds[[j for _, j in asked]],
        attractors=counts,
        saddles=np.array([len(one.points.saddles) for one in found]),
        index_sum=np.array([one.index_sum or 0 for one in seen]),
        missed=np.array([one.missed_attractors for one in seen]),
        restless=restless,
        residual=np.array([one.points.fixed.residuals.max(initial=0) for one in found]),
        says=_says(counts, restless > 0),
    )


def _says(counts: np.ndarray, restless: np.ndarray) -> str:
    """How many held inputs leave the network with what, and whether that can be parted."""
    kinds = {
        "one attractor": (counts == 1) & ~restless,
        "several": counts > 1,
        "a cycle or chaos": (counts == 0) & restless,
        "a point beside a cycle or chaos": (counts == 1) & restless,
    }
    says = ", ".join(f"{name} under {rows.sum()}" for name, rows in kinds.items() if rows.any())
    parted = (counts > 1).any()
    return f"{says} of {len(counts)}" + ("" if parted else "; so no separatrix")


def _pushes(
    settings: Settings, systems: list[System], rest: Rest, found: list[Search], key
) -> Pushes:
    """For every two attractors under one held input: their saddle, and the ways out."""
    codes, rows = [], []
    for held, one in enumerate(found):
        system, hold, ends = systems[rest.network[held]], rest.hold[held], one.points.stable
        for pair in itertools.combinations(ends.states, 2):
            edge = edge_state(system, *pair, hold=hold)
            codes.append(edge.code)
            if edge.code == 0:
                surface = separatrix(system, edge.state, hold=hold)
                parts = jr.split(jr.fold_in(key, len(codes)))
                ways = (_way_out(settings, system, surface, *s) for s in enumerate(parts))
                rows += [np.append(held, way) for way in ways]
    table = np.array(rows).reshape(-1, 4 + settings.directions)
    return Pushes(
        edges=np.array(codes, int),
        held=table[:, 0].astype(int),
        smallest=table[:, 1],
        proved=table[:, 2] == 1,
        across=table[:, 3],
        random=table[:, 4:],
    )


def _way_out(
    settings: Settings, system: System, surface: Separatrix, side: int, key
) -> Float[np.ndarray, " number"]:
    """Smallest push, whether it is proved, way to the other attractor, ways at random."""
    press, draw = jr.split(key)
    around, start = surface.around, surface.attractors[side]
    push = smallest_push(system, start, surface, key=press)
    drawn = generator(draw).standard_normal((settings.directions, len(start)))
    ways = np.vstack([surface.attractors[1 - side] - start, drawn])
    far = crossing_distances(around, start, ways, reach=REACH * around.distance)
    return np.concatenate([[push.norm, push.crosses and push.holds], far])


def claims(results: Results) -> list[Claim]:
    fit, rest, pushes = results.fit, results.rest, results.pushes
    known = np.isfinite(pushes.smallest)
    source = "weights given" if not len(fit.error) else "stand-in, no weights given"
    said = [
        at_most("largest residual of a fixed point", rest.residual.max(), 1e-10),
        equal("smallest pushes that are proved", pushes.proved.sum(), known.sum()),
        reported(f"most attractors under a held input: {rest.says}", rest.attractors.max()),
        reported("held inputs under which runs never rest", (rest.restless > 0).sum()),
        reported("attractors of forward runs that the search missed", rest.missed.sum()),
        reported("held inputs with an index sum other than 1", (rest.index_sum != 1).sum()),
    ]
    if len(fit.error):
        share, line = fit.error / fit.by_mean, fit.by_line / fit.by_mean
        said += [
            at_most(f"{source}: worst held-out error", fit.error.max(), fit.by_mean),
            reported("its share of the error of mean rates", share.max()),
            reported("the same of a regression on the angle", line),
            reported(f"networks better than that, of {len(share)}", (share < line).sum()),
        ]
    if len(pushes.smallest):
        said += [
            reported(f"{source}: median smallest push", np.nanmedian(pushes.smallest)),
            reported("median way straight to the other attractor", np.median(pushes.across)),
            reported("median way along random directions", np.median(pushes.random)),
        ]
    return said


def draw(results: Results):
    fit = results.fit
    figure, axes = row(2)
    if len(fit.error):
        axes[0].plot(fit.recorded[:SHOWN], lw=0.5, color=PATH, label="recorded")
        axes[0].plot(fit.predicted[:SHOWN], lw=1, color=STABLE, label="predicted")
        axes[0].set(xlabel="bin, not learned", ylabel="along the first component")
        axes[0].legend(fontsize=6)
    else:
        axes[0].text(0.5, 0.5, fit.source, ha="center", va="center", wrap=True, fontsize=7)
        axes[0].set_axis_off()
    states(axes[1], results.frame, results.points, np.asarray(results.path.states)[None])
    figure.suptitle(results.rest.says, fontsize=8)
    return figure
