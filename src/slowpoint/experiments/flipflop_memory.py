"""How does a trained network remember bits? As corners of a cube, with saddles on its edges.

Networks learn the flip-flop task; every one then has a stable point for each memory, a saddle
of index 1 between any two memories that differ in one bit, and an index sum of +1.

Paper: Sussillo and Barak 2013, Neural Computation 25, 626, the 3-bit flip-flop.
Takes: 11 s quick, 2 min full
"""

import dataclasses
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pydantic
from jaxtyping import Array, Float, Int, Key

from slowpoint.analysis.geometry import PCA, pca
from slowpoint.analysis.points import FixedPoints
from slowpoint.analysis.search import Search, search
from slowpoint.analysis.topology import Topology, topology
from slowpoint.cells.vanilla import Vanilla
from slowpoint.core.claim import at_least, at_most, Claim, equal
from slowpoint.core.precision import to_numpy
from slowpoint.core.result import Result
from slowpoint.core.rollout import rollout, Trajectory
from slowpoint.core.settings import Settings as Base
from slowpoint.core.system import System
from slowpoint.core.wrap import Sampled
from slowpoint.learning.train import train
from slowpoint.learning.training import Training
from slowpoint.plots.graph import graph
from slowpoint.plots.spectrum import spectrum
from slowpoint.plots.states import states
from slowpoint.plots.style import row
from slowpoint.tasks.flipflop import FlipFlop


class Settings(Base):
    bits: int = pydantic.Field(default=3, ge=1, le=6, description="memories are 2^bits")
    networks: int = pydantic.Field(default=10, ge=1, description="trained from other seeds")
    units: int = pydantic.Field(default=64, ge=4, description="neurons, N")
    dt: float = pydantic.Field(default=0.3, gt=0, le=1, description="Euler step, in tau")
    updates: int = pydantic.Field(default=1500, ge=10, description="gradient steps")
    batch: int = pydantic.Field(default=64, ge=1, description="trials per update")
    learning_rate: float = pydantic.Field(default=5e-3, gt=0, description="Adam's, at first")
    trials: int = pydantic.Field(default=256, ge=8, description="fresh trials that test it")


QUICK = Settings(bits=2, networks=1, units=48, updates=1000)
TOGETHER = ("seed",)  # a sweep may train runs that differ only here as one ensemble
SMALL = 256  # units times trials of an update, up to which an ensemble saves time on a CPU


def width(settings: Settings) -> int:
    """How many runs a sweep trains together: up to 16 networks where that pays."""
    pays = settings.units * settings.batch <= SMALL
    return max(16 // settings.networks, 1) if pays else 1


class Memories(Result):
    """What each network holds, one row a network."""

    accuracy: Float[np.ndarray, " network"]  # share of outputs of the right sign
    by_index: Int[np.ndarray, "network index"]  # fixed points with 0, 1, ... growing modes
    index_sum: Int[np.ndarray, " network"]
    words: Int[np.ndarray, " network"]  # distinct sign patterns among the stable points
    one_bit: Int[np.ndarray, " network"]  # neighbours that differ in exactly one bit
    other: Int[np.ndarray, " network"]  # neighbours that differ in more
    residual: Float[np.ndarray, " network"]  # the largest of a fixed point
    certified: Float[np.ndarray, " network"]  # share of fixed points
    losses: Float[np.ndarray, "network update"]


@dataclasses.dataclass(frozen=True)
class Results:
    memories: Memories
    points: FixedPoints  # of the first network, like what follows
    neighbours: Topology
    frame: PCA
    paths: Trajectory


def run(settings: Settings) -> Results:
    return run_together([settings])[0]


def run_together(rows: Sequence[Settings]) -> list[Results]:
    """Every network of every row learns in one ensemble."""
    settings = rows[0]
    keys = [_keys(row) for row in rows]
    task = FlipFlop(bits=settings.bits)
    new = lambda key: Vanilla.random(
        settings.units, settings.bits, settings.bits, dt=settings.dt, key=key
    )
    descent = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adam(optax.cosine_decay_schedule(settings.learning_rate, settings.updates)),
    )
    starts, draws = (jnp.concatenate([own[use] for own in keys]) for use in (0, 1))
    training = train(
        jax.vmap(new)(starts),
        task,
        updates=settings.updates,
        key=draws,
        batch=settings.batch,
        optimiser=descent,
    )
    each = [training.replicate(i) for i in range(len(draws))]
    parts = [each[i : i + settings.networks] for i in range(0, len(each), settings.networks)]
    return [_measured(settings, task, part, own[2:]) for part, own in zip(parts, keys)]


def _keys(settings: Settings) -> list[Key[Array, " network"]]:
    """One row for each use of chance."""
    return [jr.split(key, settings.networks) for key in jr.split(jr.key(settings.seed), 5)]


def _measured(
    settings: Settings,
    task: FlipFlop,
    trainings: Sequence[Training],
    keys: Sequence[Key[Array, " network"]],
) -> Results:
    """What the networks of one run hold."""
    hold = np.zeros(settings.bits)
    rows, kept = [], []
    for training, ask, look, part in zip(trainings, *keys):
        net = Sampled(training.system)
        path, accuracy = _test(net, task, jr.split(ask, settings.trials))
        found = search(net, hold=hold, key=look)
        ways = topology(net, found.points, hold, key=part)
        rows.append(_row(accuracy, found, ways, settings.bits))
        kept.append((found.points, ways, pca(path.states), path))
    losses = np.stack([np.asarray(training.losses, float) for training in trainings])
    memories = Memories(**_stack(rows), losses=losses)
    return Results(memories, *kept[0])


@eqx.filter_jit
def _run_trials(net: System, task: FlipFlop, keys):
    def one(key):
        trial = task.trial(key)
        path = rollout(net, trial.start, trial.inputs)
        return path, task.accuracy(trial, path)

    return jax.vmap(one)(keys)


def _test(net: System, task: FlipFlop, keys) -> tuple[Trajectory, float]:
    """Some trajectories end to end, and the accuracy over all trials."""
    paths, accuracy = to_numpy(_run_trials(net, task, keys))
    joined = jax.tree.map(lambda a: np.concatenate(a[:16]), paths)
    return joined, float(accuracy.mean())


def _row(accuracy: float, found: Search, ways: Topology, bits: int) -> dict[str, object]:
    points = found.points.fixed
    signs = np.sign(found.points.outputs).astype(int)
    changed = np.array([(signs[a] != signs[b]).sum() for a, b, _ in ways.neighbours])
    return {
        "accuracy": accuracy,
        "by_index": np.bincount(points.n_unstable, minlength=bits + 1)[: bits + 1],
        "index_sum": found.coverage.index_sum or 0,
        "words": len(np.unique(signs[ways.attractors], axis=0)),
        "one_bit": int((changed == 1).sum()),
        "other": int((changed != 1).sum()),
        "residual": points.residuals.max(initial=0),
        "certified": points.certified.mean() if len(points) else 0.0,
    }


def _stack(rows: list[dict[str, object]]) -> dict[str, np.ndarray]:
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def claims(results: Results) -> list[Claim]:
    found = results.memories
    networks, bits = len(found.accuracy), found.by_index.shape[1] - 1
    corners, edges = 2**bits, bits * 2 ** (bits - 1)
    whole = (found.by_index[:, 0] == corners) & (found.words == corners)
    joined = (found.one_bit == edges) & (found.other == 0)
    return [
        at_least("sign accuracy of the worst network", found.accuracy.min(), 0.99),
        equal(f"networks with {corners} stable points, one per memory", whole.sum(), networks),
        equal(
            f"networks with {edges} saddles, one per flip of one bit", joined.sum(), networks
        ),
        equal("networks with index sum +1", (found.index_sum == 1).sum(), networks),
        at_most("largest residual of a fixed point, in float64", found.residual.max(), 1e-10),
    ]


def draw(results: Results):
    figure, axes = row(3, width=9.0, height=3.0)
    states(axes[0], results.frame, results.points, np.asarray(results.paths.states)[None])
    graph(axes[1], results.frame, results.points, results.neighbours)
    spectrum(axes[2], results.points)
    return figure
