"""What do weights look like that hold many maps after repeated learning?

They lean towards what a pseudo-inverse would do, and stop half the way: learning ends when the
field of every unit has the right sign at every target. Each input drives the state away from
itself, towards its target, which designs from outer products of targets do not do. Without
input no memory is a fixed point, not even a slow point.

Paper: Kurikawa, Barak and Kaneko 2020, arXiv:1906.11770; constants and numbers are ours.
Takes: 9 s quick, 11 s full
"""

import dataclasses

import jax.random as jr
import numpy as np
import pydantic
from jaxtyping import Float, Int, PRNGKeyArray

from slowpoint.analysis.decorrelation import decorrelation
from slowpoint.analysis.fixed_points import fixed_points
from slowpoint.cells.associative import Associative
from slowpoint.core.claim import at_least, at_most, Claim, equal, reported
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.learning.grid import At
from slowpoint.learning.plasticity import learn_sequence, Plasticity
from slowpoint.plots.capacity import over_passes
from slowpoint.plots.style import row
from slowpoint.tasks.recall import InputOutputMaps
from slowpoint.theory.capacity import hebbian, pseudo_inverse, two_block

DESIGNS = ("Hebb", "pseudo-inverse", "two blocks")
MEASURES = ("correlation", "slope", "crosstalk", "right signs", "least alignment", "repulsion")
BLOCKS = ("target by target", "target by input", "input by target", "input by input")


class Settings(Base):
    units: int = pydantic.Field(default=100, ge=10, description="N")
    maps: int = pydantic.Field(default=20, ge=2, description="M")
    passes: tuple[int, ...] = pydantic.Field(
        default=(1, 2, 3, 5, 8, 12, 20, 30), min_length=2, description="after which to look"
    )
    networks: int = pydantic.Field(default=3, ge=1, description="each with its own maps")
    guesses: int = pydantic.Field(default=300, ge=1, description="random states, no input")
    rate: float = pydantic.Field(default=0.03, gt=0, description="eps N, ours")


QUICK = Settings(guesses=60)


class Weights(Result):
    """How learned and designed weights hold their maps: MEASURES and BLOCKS."""

    passes: Int[np.ndarray, " look"]
    measures: Float[np.ndarray, "network look measure"]
    blocks: Float[np.ndarray, "network look 4"]
    length: Float[np.ndarray, "network look"]  # of rows, mean
    designs: Float[np.ndarray, "network design measure"]


class Silence(Result):
    """The network without input, after the last pass."""

    speeds: Float[np.ndarray, "network map"]  # at the targets, rms per unit
    near: Int[np.ndarray, " network"]  # targets whose search ends within an overlap of .5
    points: Int[np.ndarray, " network"]  # fixed points found from targets and random states
    stable: Int[np.ndarray, " network"]
    closest: Float[np.ndarray, " network"]  # largest overlap of any fixed point with a target
    residual: Float[np.ndarray, " network"]  # the largest


@dataclasses.dataclass(frozen=True)
class Results:
    weights: Weights
    silence: Silence


def run(settings: Settings) -> Results:
    found = [_one(settings, key) for key in jr.split(jr.key(settings.seed), settings.networks)]
    columns = [np.stack(part) for part in zip(*found, strict=True)]
    weights = Weights(np.array(settings.passes), *columns[:4])
    return Results(weights, Silence(*columns[4:]))


def _one(settings: Settings, key: PRNGKeyArray) -> tuple[np.ndarray, ...]:
    begin, draw, show, guess = jr.split(key, 4)
    network = Associative.random(settings.units, key=begin)
    maps = InputOutputMaps.random(settings.maps, settings.units, key=draw)
    how = Plasticity(rate=settings.rate / settings.units)
    done = learn_sequence(
        network, maps, how, passes=max(settings.passes), key=show, snapshots=At(settings.passes)
    )
    looks = [decorrelation(J, maps.targets, maps.inputs) for J in done.recurrent]
    made = [
        design(maps.targets, maps.inputs) for design in (hebbian, pseudo_inverse, two_block)
    ]
    designs = [decorrelation(J, maps.targets, maps.inputs) for J in made]
    return (
        np.array([_measures(look) for look in looks]),
        np.array([look.blocks.ravel() for look in looks]),
        np.linalg.norm(done.recurrent, axis=2).mean(axis=1),
        np.array([_measures(design) for design in designs]),
        *_silence(done.network(network), maps, settings.guesses, guess),
    )


def _measures(found) -> list[float]:
    least = float(found.alignment.min())
    numbers = found.correlation, found.slope, found.crosstalk, found.right
    return [*numbers, least, found.repulsion]


def _silence(network: Associative, maps: InputOutputMaps, guesses: int, key: PRNGKeyArray):
    """The fields of Silence."""
    targets, none = np.asarray(maps.targets, float), np.zeros(network.state_size)
    velocity = np.tanh(network.gain * targets @ np.asarray(network.recurrent).T) - targets
    spread = jr.uniform(key, (guesses, network.state_size), minval=-1.0)
    points = fixed_points(network, np.concatenate([targets, spread]), hold=none)
    ends = points.guess_index[: len(targets)]
    states = np.vstack([points.states, none])[ends]  # -1: no point, no overlap
    overlap = np.abs((states * targets).mean(axis=1))
    return (
        np.sqrt((velocity**2).mean(axis=1)),
        (overlap > 0.5).sum(),
        np.array(len(points)),
        np.array(len(points.stable)),
        np.abs(points.states @ targets.T).max(initial=0.0) / network.state_size,
        points.residuals.max(initial=0.0),
    )


def claims(results: Results) -> list[Claim]:
    weights, silence = results.weights, results.silence
    looks = weights.passes.tolist()
    mean = weights.measures.mean(axis=0)  # (look, measure)
    correlation, right = mean[:, 0], mean[:, 3]
    last = looks[-1]
    designs = weights.designs.mean(axis=0)
    return [
        at_least(f"correlation with the pseudo-inverse, pass {last}", correlation[-1], 0.35),
        at_most("the same", correlation[-1], 0.65),
        at_least("its rise from pass 1 to 5", correlation[looks.index(5)] - correlation[0], 0),
        at_least("and to the last", correlation[-1] - correlation[looks.index(5)], 0),
        reported("of Hebb's weights", designs[0, 0]),
        reported("of the pseudo-inverse", designs[1, 0]),
        at_least(f"share of right signs, pass {last}", right[-1], 0.995),
        reported("pass 1", right[0]),
        reported("least alignment of a unit at a target", weights.measures[:, -1, 4].min()),
        at_least(f"the input's push to its target, pass {last}", mean[-1, 5], 0.6),
        reported("by the pseudo-inverse", designs[1, 5]),
        *(reported(f"block, {b}", v) for b, v in zip(BLOCKS, weights.blocks[:, -1].mean(0))),
        reported("crosstalk, learned", mean[-1, 2]),
        *(reported(f"crosstalk, {d}", v) for d, v in zip(DESIGNS, designs[:, 2])),
        reported("length of rows, mean", weights.length[:, -1].mean()),
        equal("no input: targets whose search ends near them", silence.near.sum(), 0),
        at_most("largest overlap of any fixed point with a target", silence.closest.max(), 0.5),
        equal("networks with stable fixed points", (silence.stable > 0).sum(), 0, "full"),
        at_least("fixed points of a network, the fewest (0 is one)", silence.points.min(), 1),
        at_most("largest residual of a point", silence.residual.max(), 1e-10),
        at_least(
            "speed at the targets, the least of a network", silence.speeds.mean(1).min(), 0.5
        ),
    ]


def draw(results: Results):
    weights = results.weights
    figure, axes = row(3, width=10.0, height=3.0)
    over_passes(axes[0], weights.passes, {"learned": weights.measures[..., 0]})
    over_passes(axes[1], weights.passes, {"right signs": weights.measures[..., 3]})
    blocks = {name: weights.blocks[..., i] for i, name in enumerate(BLOCKS)}
    over_passes(axes[2], weights.passes, blocks)
    for name, value in zip(DESIGNS[:2], weights.designs[..., 0].mean(axis=0)):
        axes[0].axhline(value, ls=":", lw=1, color="black")
        axes[0].text(weights.passes[0], value, name, fontsize=7, va="bottom")
    axes[0].set(ylabel="correlation with the pseudo-inverse")
    axes[1].set(ylabel="share of units and targets")
    axes[2].set(ylabel="coefficient", ylim=(-1.6, 2.0))
    return figure
