"""Does every flip of one bit have a boundary of its own, and does one field tell its sides?

Networks of 3 units learn the 2-bit flip-flop: four memories on a ring, a saddle between most
two that differ in one bit. A field per saddle is judged near its edge of the ring: on curves
from memory to memory, on the states there that end in one of the two. Found in 5 networks: 19
of 20 flips have a saddle; in one network two neighbours have none, and the ring is a chain,
which the index sum +1 allows. Least agreement: hyperplane .971, pull-back .9998, Koopman net
.916.

Paper: Dabholkar and Barak 2025, arXiv:2505.15231, the two zero surfaces of the 2-bit flip-flop.
Takes: 18 s quick, 2 min full
"""

import dataclasses
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pydantic
from jaxtyping import Float, Int

from slowpoint.analysis.curve_table import curve_table, CurveTable, stacked
from slowpoint.analysis.curve_test import crossings
from slowpoint.analysis.curves import hermite_curves
from slowpoint.analysis.edge_state import edge_state, EdgeState
from slowpoint.analysis.field import Field
from slowpoint.analysis.how import How
from slowpoint.analysis.learned import Network
from slowpoint.analysis.mountain_pass import mountain_pass
from slowpoint.analysis.pullback import Hyperplane, Pullback
from slowpoint.analysis.referee import Referee, referee, resolved
from slowpoint.cells.gru import GRU
from slowpoint.core.claim import at_least, Claim, equal, reported
from slowpoint.core.clock import on_clock
from slowpoint.core.result import Result
from slowpoint.core.rollout import rollout
from slowpoint.core.settings import Settings as Base
from slowpoint.core.system import System
from slowpoint.learning.train import train
from slowpoint.plots.distances import histogram
from slowpoint.plots.style import row
from slowpoint.tasks.flipflop import FlipFlop, PerStep

HOLD = np.zeros(2)
WORDS = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]], float)  # neighbours differ in one bit
EDGES = [(i, (i + 1) % 4) for i in range(4)]
QUIET = 200  # steps after a pulse, until a memory rests
HOWS = ("hyperplane", "pull-back", "Koopman net")


class Settings(Base):
    networks: int = pydantic.Field(default=5, ge=1, description="trained from other seeds")
    units: int = pydantic.Field(default=3, ge=2, description="of the GRU, N")
    updates: int = pydantic.Field(default=1500, ge=10, description="gradient steps")
    learning_rate: float = pydantic.Field(default=1e-2, gt=0, description="Adam's, at first")
    trials: int = pydantic.Field(default=256, ge=8, description="fresh trials that test it")
    curves: int = pydantic.Field(default=50, ge=2, description="along every edge")
    spread: float = pydantic.Field(default=2.0, gt=0, description="of their tangents, rho")
    width: float = pydantic.Field(default=1e-6, gt=0, description="of a crossing, in D")
    learning: int = pydantic.Field(default=2000, ge=0, description="updates of a Koopman net")


QUICK = Settings(networks=1, updates=500, curves=16, learning=0)


class Edges(Result):
    """The ring of every network under the flow; rates per step of the network."""

    accuracy: Float[np.ndarray, " network"]  # share of outputs of the right sign
    words: Int[np.ndarray, " network"]  # memories whose outputs have the signs of their word
    codes: Int[np.ndarray, "network edge"]  # 0: a saddle with one way down into each
    growing: Float[np.ndarray, " flip"]  # lambda_u of those saddles
    third: Float[np.ndarray, " flip"]  # share of the states that end in neither memory


@dataclasses.dataclass(frozen=True)
class Results:
    edges: Edges
    table: CurveTable  # flip x (hyperplane, pull-back, Koopman net)


def run(settings: Settings) -> Results:
    begin, learn, ask, *keys = jr.split(jr.key(settings.seed), 5)
    task = FlipFlop(bits=2, steps=50, timing=PerStep(0.1))
    nets = _train(settings, task, begin, learn)
    parts = [jr.split(key, (settings.networks, len(EDGES))) for key in keys]
    rings = [_ring(settings, net, *part) for net, *part in zip(nets, *parts)]
    flips = [flip for _, _, found in rings for flip in found]
    edges = Edges(
        accuracy=np.array(
            [float(_marked(net, task, jr.split(ask, settings.trials))) for net in nets]
        ),
        words=np.array([words for words, _, _ in rings]),
        codes=np.array([codes for _, codes, _ in rings]),
        growing=np.array([flip.growing for flip in flips]),
        third=np.array([flip.third for flip in flips]),
    )
    return Results(edges, stacked([flip.table for flip in flips]))


def _train(settings: Settings, task: FlipFlop, begin, learn) -> list[GRU]:
    new = lambda key: GRU.random(settings.units, 2, 2, key=key)
    fall = optax.cosine_decay_schedule(settings.learning_rate, settings.updates)
    training = train(
        jax.jit(jax.vmap(new))(jr.split(begin, settings.networks)),
        task,
        updates=settings.updates,
        key=jr.split(learn, settings.networks),
        batch=64,
        optimiser=optax.chain(optax.clip_by_global_norm(1.0), optax.adam(fall)),
    )
    return [training.replicate(i).system for i in range(settings.networks)]


@eqx.filter_jit
def _marked(net: System, task: FlipFlop, keys):
    def one(key):
        trial = task.trial(key)
        return task.accuracy(trial, rollout(net, trial.start, trial.inputs))

    return jax.vmap(one)(keys).mean()


@eqx.filter_jit
def _left(net: System, words):
    """`(states, outputs)` where a pulse of every word leaves the network."""

    def one(word):
        pulse = jnp.zeros((QUIET, 2)).at[0].set(word)
        path = rollout(net, jnp.zeros(0), pulse)
        return path.states[-1], path.outputs[-1]

    return jax.vmap(one)(words)


class _Flip(NamedTuple):
    """One edge of the ring."""

    growing: float
    third: float
    table: CurveTable


def _ring(settings: Settings, net: GRU, draw, teach) -> tuple[int, list[int], list[_Flip]]:
    """`(memories that output their word, codes of the edges, those that have a saddle)`."""
    memories, outputs = (np.asarray(a, float) for a in _left(net, jnp.asarray(WORDS)))
    edges = [
        edge_state(net, memories[a], memories[b], hold=HOLD, clock="flow") for a, b in EDGES
    ]
    ends = np.stack([edge.ends[0] for edge in edges])
    judge = referee(resolved(on_clock(net, "flow"), ends, HOLD), ends, HOLD)
    found = [
        _flip(settings, net, judge, pair, edge, keys)
        for pair, edge, keys in zip(EDGES, edges, zip(draw, teach))
        if edge.code == 0
    ]
    words = int((np.sign(outputs) == WORDS).all(axis=1).sum())
    return words, [edge.code for edge in edges], found


def _flip(
    settings: Settings, net: GRU, judge: Referee, pair: tuple[int, int], edge: EdgeState, keys
) -> _Flip:
    draw, teach = keys
    a, b = judge.attractors[list(pair)]
    curves = hermite_curves(a, b, count=settings.curves, spread=settings.spread, key=draw)
    truth = crossings(curves, judge, width=settings.width * float(np.linalg.norm(b - a)))
    fields, up = _fields(settings, net, edge, judge, teach)
    table = curve_table(fields, curves, truth, positive=up, negative=sum(pair) - up)
    third = float((~np.isin(truth.labels, pair)).mean())
    return _Flip(float(edge.rates[0].real), third, table)


def _fields(
    settings: Settings, net: GRU, edge: EdgeState, judge: Referee, key
) -> tuple[list[Field], int]:
    """`(fields of this edge, memory on their positive side)`."""
    around = mountain_pass(net, edge.state, hold=HOLD, clock="flow")
    hows: list[How] = [Hyperplane(), Pullback()]
    if settings.learning:
        hows.append(Network(updates=settings.learning))
    return [how.make(around, key).field for how in hows], int(judge(around.ends[1:])[0])


def claims(results: Results) -> list[Claim]:
    edges, table = results.edges, results.table
    found, count = edges.codes == 0, edges.codes.size
    rows = dict(zip(HOWS, np.moveaxis(table.agreement, -1, 0)))
    said = [
        at_least("accuracy of the worst network", edges.accuracy.min(), 0.98),
        equal("memories that output their word", edges.words.sum(), count),
        at_least("fewest saddles of a network; index sum +1 asks", found.sum(axis=1).min(), 3),
        reported(f"flips of one bit, of {count}, with a saddle between", found.sum()),
        at_least("pull-back: least agreement near an edge", rows["pull-back"].min(), 0.98),
        reported("hyperplane: least agreement near an edge", rows["hyperplane"].min()),
        reported("pull-back: largest median distance / D", table.median[:, 1].max()),
        reported("hyperplane: largest median distance / D", table.median[:, 0].max()),
        reported("largest share of states that end in a third memory", edges.third.max()),
    ]
    if "Koopman net" in rows:
        nets = rows["Koopman net"]
        said += [
            reported("Koopman net: least agreement near an edge", nets.min()),
            reported("Koopman net: median agreement near an edge", np.median(nets)),
        ]
    return said


def draw(results: Results):
    figure, axes = row(2)
    far = np.moveaxis(results.table.distances, -2, 0)
    wrong = np.moveaxis(1 - results.table.agreement, -1, 0)
    histogram(axes[0], {name: one.ravel() for name, one in zip(HOWS, far)})
    histogram(axes[1], {name: one.ravel() for name, one in zip(HOWS, wrong)})
    axes[0].legend(fontsize=6)
    axes[1].set(xlabel="share of states on the wrong side", ylabel="edges")
    return figure
