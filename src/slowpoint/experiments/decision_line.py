"""Is an integrator's memory a line, and does noise in its training break the line?

Networks learn to sum a noisy input and to hold the sum. Trained with noise in their state
too, they trade the line of all sums for a few memories that pull the state back.

Paper: Mante, Sussillo, Shenoy and Newsome 2013, Nature 503, 78; the line itself is that of
Seung 1996, PNAS 93, 13339.
Takes: 23 s quick, 50 s full
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pydantic
from jaxtyping import Float, Int

from slowpoint.analysis.geometry import PCA, pca
from slowpoint.analysis.points import FixedPoints
from slowpoint.analysis.search import search
from slowpoint.cells.vanilla import Vanilla
from slowpoint.core.claim import at_least, at_most, Claim, equal
from slowpoint.core.precision import float64, to_numpy, widen
from slowpoint.core.result import Result
from slowpoint.core.rollout import rollout, Trajectory
from slowpoint.core.settings import Settings as Base
from slowpoint.core.trial import Trial, WithNoise
from slowpoint.core.wrap import Noisy, Sampled
from slowpoint.learning.train import train
from slowpoint.plots.along import along
from slowpoint.plots.states import states
from slowpoint.plots.style import row
from slowpoint.tasks.decide import Decide

HOLD = np.zeros(1)
STRENGTHS = 33  # of the evidence that leads to the line, between the two extremes


class Settings(Base):
    noise: tuple[float, ...] = pydantic.Field(
        default=(0.0, 0.1, 0.2, 0.3),
        min_length=2,
        description="in the state while learning, the least first: sd after one unit of time",
    )
    networks: int = pydantic.Field(default=5, ge=1, description="per strength of the noise")
    units: int = pydantic.Field(default=32, ge=4, description="neurons, N")
    dt: float = pydantic.Field(default=0.25, gt=0, le=1, description="Euler step, in tau")
    stimulus: float = pydantic.Field(default=5.0, gt=0, description="time of evidence")
    response: float = pydantic.Field(default=15.0, gt=0, description="time of the answer")
    jitter: float = pydantic.Field(default=0.2, ge=0, description="of the evidence, a step")
    updates: int = pydantic.Field(default=1000, ge=10, description="gradient steps")
    batch: int = pydantic.Field(default=32, ge=1, description="trials per update")
    learning_rate: float = pydantic.Field(default=5e-3, gt=0, description="Adam's, at first")
    trials: int = pydantic.Field(default=2048, ge=64, description="fresh trials that test it")


QUICK = Settings(noise=(0.0, 0.1, 0.3), networks=1, updates=800)


class Lines(Result):
    """What holds each network's sum. Rates are per tau; noise and time as in the settings.

    `position` runs along the line: the states reached from evidence of all strengths.
    """

    stimulus: float
    noise: Float[np.ndarray, " network"]
    accuracy: Float[np.ndarray, " network"]  # share of the response on the right side
    whole: float  # the same of a perfect integrator of the whole input
    half: float  # and of one that begins in the middle of the stimulus
    stable: Int[np.ndarray, " network"]
    saddles: Int[np.ndarray, " network"]
    slow: Int[np.ndarray, " network"]
    index_sum: Int[np.ndarray, " network"]
    pull: Float[np.ndarray, " network"]  # slowest rate at which a memory takes back, least
    escape: Float[np.ndarray, " network"]  # at which the saddles let go, least
    place: Float[np.ndarray, "network position"]  # along the first component
    readout: Float[np.ndarray, "network position"]
    drift: Float[np.ndarray, "network position"]  # of the readout, per tau
    leading: Float[np.ndarray, "network position"]  # real part of the first rate
    second: Float[np.ndarray, "network position"]
    shares: Float[np.ndarray, "network component"]  # of the line's variance
    losses: Float[np.ndarray, "network update"]


@dataclasses.dataclass(frozen=True)
class Results:
    lines: Lines
    points: FixedPoints  # of the first network, learnt with the least noise
    frame: PCA
    paths: Trajectory  # its ways to the line, a row of NaN after each


def run(settings: Settings) -> Results:
    begin, learn, ask, look = jr.split(jr.key(settings.seed), 4)
    task = Decide(
        fixation=1.0,
        stimulus=settings.stimulus,
        delay=0.0,
        response=settings.response,
        dt=settings.dt,
        levels=tuple(float(level) for level in range(2, 17, 2)),
        noise=settings.jitter,
    )
    noise = np.tile(np.asarray(settings.noise), settings.networks)
    training = _train(settings, task, noise, begin, learn)
    trials = to_numpy(jax.vmap(task.trial)(jr.split(ask, settings.trials)))
    rows, kept = [], []
    for i, key in enumerate(jr.split(look, len(noise))):
        net = Sampled(training.replicate(i).system.inside)
        line, first = _line(net, task, trials, key)
        rows.append(line)
        kept.append(first)
    columns: dict[str, Any] = {
        name: np.array([line[name] for line in rows]) for name in rows[0]
    }
    middle = round((1.0 + settings.stimulus / 2) / settings.dt)
    lines = Lines(
        stimulus=settings.stimulus,
        noise=noise,
        whole=_integrator(trials, 0),
        half=_integrator(trials, middle),
        losses=np.asarray(training.losses, float),
        **columns,
    )
    return Results(lines, *kept[0])


def _train(settings: Settings, task: Decide, noise: np.ndarray, begin, learn):
    """An ensemble: each of the networks begins as often as there are strengths of noise."""
    new = lambda key: Vanilla.random(settings.units, 1, 1, gain=0.5, dt=settings.dt, key=key)
    start = jax.vmap(new)(jr.split(begin, settings.networks))
    often = len(settings.noise)
    start = jax.tree.map(lambda a: jnp.repeat(a, often, axis=0), start)
    ensemble = eqx.filter_vmap(Noisy)(start, jnp.asarray(noise, jnp.float32))
    descent = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adam(optax.cosine_decay_schedule(settings.learning_rate, settings.updates)),
    )
    return train(
        ensemble,
        WithNoise(task, settings.units),
        updates=settings.updates,
        key=jr.split(learn, len(noise)),
        batch=settings.batch,
        optimiser=descent,
        trainable=lambda noisy: noisy.inside,
    )


@eqx.filter_jit
def _run(net: Sampled, inputs):
    return jax.vmap(lambda u: rollout(net, jnp.zeros(0), u))(inputs)


def _integrator(trials: Trial, begin: int) -> float:
    """Accuracy of the sign of all input since step `begin`."""
    total = np.cumsum(trials.inputs[:, begin:], axis=1)
    right = np.sign(total) == np.sign(trials.targets[:, begin:])
    return float(right[trials.weights[:, begin:] > 0].mean())


def _line(net: Sampled, task: Decide, trials: Trial, key):
    """`(row of Lines, (points, frame, paths))` of one network."""
    path = to_numpy(_run(net, trials.inputs))
    asked = trials.weights > 0
    right = np.sign(path.outputs) == np.sign(trials.targets)
    found = search(net, hold=HOLD, key=key, states=path.states[asked][::16], seek="slow")
    points, (approach, line) = found.points, _approach(net, task)
    frame = pca(line.states)
    place, readout = frame.project(line.states)[:, 0], line.outputs[:, 0]
    place = place * np.sign(place @ readout)  # the sign of a component is free
    order = np.argsort(place)
    leading, second, drift = _linearised(net, np.asarray(line.states)[order])
    row = {
        "accuracy": float(right[asked].mean()),
        "stable": len(points.stable),
        "saddles": len(points.saddles),
        "slow": len(points.slow),
        "index_sum": found.coverage.index_sum or 0,
        "pull": -np.real(points.stable.rates[:, 0]).max(initial=-np.inf),
        "escape": np.real(points.saddles.rates[:, 0]).min(initial=np.inf),
        "place": place[order],
        "readout": readout[order],
        "drift": drift,
        "leading": leading,
        "second": second,
        "shares": frame.shares,
    }
    return row, (points, frame, approach)


def _approach(net: Sampled, task: Decide) -> tuple[Trajectory, Trajectory]:
    """`(ways, their ends)`: evidence of every strength without jitter, then 3 tau of quiet."""
    most = float(task.gain) * max(task.levels)
    shown, rest = (round(time / task.dt) for time in (task.stimulus, 3.0))
    inputs = np.zeros((STRENGTHS, shown + rest, 1), np.float32)
    inputs[:, :shown, 0] = np.linspace(-most, most, STRENGTHS)[:, None]
    path = to_numpy(_run(net, jnp.asarray(inputs)))
    lift = lambda way: np.vstack([way, np.full(way.shape[1], np.nan)])
    ways = jax.tree.map(lambda a: np.vstack([lift(way) for way in a[::4]]), path)
    return ways, jax.tree.map(lambda a: a[:, -1], path)


def _linearised(net: Sampled, line: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`(first rate, second rate, drift of the readout)` at every state, without input."""
    with float64():
        wide, u = widen(net), jnp.zeros(1)

        @jax.jit
        def one(x):
            moved = wide.output(wide.step(x, u)) - wide.output(x)
            return wide.rates(x, u).real, moved[0] / wide.dt

        rates, drift = to_numpy(jax.vmap(one)(jnp.asarray(line, float)))
    rates = np.sort(rates, axis=1)
    return rates[:, -1], rates[:, -2], drift


def claims(results: Results) -> list[Claim]:
    lines = results.lines
    networks = len(lines.noise)
    quiet, loud = lines.noise == lines.noise.min(), lines.noise == lines.noise.max()
    pairs = quiet.sum()
    backwards = (np.diff(lines.readout, axis=1) <= 0).sum()
    alternate = (lines.stable == lines.saddles + 1) & (lines.index_sum == 1)
    return [
        at_least(
            "worst accuracy, beyond an integrator that begins in the middle of the stimulus",
            lines.accuracy.min() - lines.half,
            0,
        ),
        equal("steps back of the readout along the lines", backwards, 0),
        at_most(
            "least noise: fastest rate along the line, times the length of the stimulus",
            np.abs(lines.leading[quiet]).max() * lines.stimulus,
            1,
        ),
        at_least(
            "least noise: slowest rate across the line, times the length of the stimulus",
            -lines.second[quiet].max() * lines.stimulus,
            1,
        ),
        equal(
            f"of {networks} networks, those with one memory more than saddles between them",
            alternate.sum(),
            networks,
        ),
        equal(
            f"of {pairs} networks, those whose memories pull harder with the most noise",
            (lines.pull[loud] > lines.pull[quiet]).sum(),
            pairs,
        ),
        equal(
            f"of {pairs} networks, those whose saddles let go faster with the most noise",
            (lines.escape[loud] > lines.escape[quiet]).sum(),
            pairs,
        ),
    ]


def draw(results: Results):
    lines = results.lines
    names = [f"noise {noise:g}" for noise in lines.noise]
    figure, axes = row(3, width=9.5, height=3.0)
    states(axes[0], results.frame, results.points, np.asarray(results.paths.states)[None])
    along(axes[1], lines.readout, lines.drift, names)
    axes[1].set(xlabel="readout", ylabel="drift of the readout (per tau)")
    axes[1].legend(fontsize=7)
    along(axes[2], lines.readout, lines.leading, names)
    along(axes[2], lines.readout, lines.second, names, style=":")
    axes[2].set(xlabel="readout", ylabel="first, second (dotted) rate (per tau)")
    return figure
