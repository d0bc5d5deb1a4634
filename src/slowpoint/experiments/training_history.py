r"""Does a network remember what it was once taught, when it does its first task again?

A linear network of rank 1 learns a filter A (its impulse response decays at rate .2), then a
filter B, then A again. Its function returns; overlaps that the function does not see have
moved. Gradient descent leaves a little, more with larger steps; Adam leaves ten times as much,
and without B next to nothing. Label noise moves the unseen overlaps far. The control that the
paper lacks: noise right after A, without any B, moves them as far and in the same direction.
That drift is what noise does to any network on A, and no memory of B.

All losses are exact functions of the overlaps, at any N; only Adam needs the weights.

Paper: Ger and Barak 2026, arXiv:2605.04115, figures 3, 6 and 7; control and flow are ours.
Takes: 13 s quick, 20 s full
"""

import dataclasses
import itertools
from typing import SupportsFloat

import jax.random as jr
import numpy as np
import optax
import pydantic
from jaxtyping import Float, Int, PRNGKeyArray

from slowpoint.core.claim import at_least, at_most, Claim, reported
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.plots.epochs import over_epochs
from slowpoint.plots.style import grid
from slowpoint.theory.column_learning import learn_columns
from slowpoint.theory.congruence import Flow, GradientDescent
from slowpoint.theory.filter_start import THETA_2
from slowpoint.theory.impulse import decaying
from slowpoint.theory.overlap_learning import learn
from slowpoint.theory.overlaps import realise
from slowpoint.theory.phases import Path, Phase, through
from slowpoint.theory.visibility import balance, functional_coords

INVISIBLE = ([0, 2, 0, 1, 2, 3], [1, 3, 0, 1, 2, 3])  # mu zv mm uu vv zz
PHASE = 40.0  # eta * epochs of a phase where steps are compared with the flow

Sigma = Float[np.ndarray, "*#many 4 4"]


class Settings(Base):
    rate_a: float = pydantic.Field(default=0.2, gt=0, description="c of A, 1 / tau")
    rate_b: float = pydantic.Field(default=0.4, gt=0, description="c of B, 1 / tau")
    eta: float = pydantic.Field(default=5e-3, gt=0, description="learning rate")
    first: int = pydantic.Field(default=3000, ge=1, description="epochs of the first A")
    again: int = pydantic.Field(default=1000, ge=1, description="epochs of each B and A after")
    noise: float = pydantic.Field(default=0.1, gt=0, description="sd of the labels, each tick")
    noisy_eta: float = pydantic.Field(default=1e-2, gt=0, description="rate in the last A")
    noisy: int = pydantic.Field(default=4000, ge=1, description="epochs of the last A")
    noise_seeds: int = pydantic.Field(default=16, ge=2, description="runs with noise")
    rates_b: tuple[float, ...] = pydantic.Field(
        default=(0.3, 0.4, 0.8), min_length=1, description="c of B, steps against the flow"
    )
    units: int = pydantic.Field(default=500, ge=4, description="N, for Adam")
    frames: int = pydantic.Field(default=8, ge=1, description="networks of Adam, N x 4 frames")
    adam: float = pydantic.Field(default=1e-3, gt=0, description="Adam's rate")
    adam_updates: int = pydantic.Field(default=4000, ge=20, description="of each of 5 phases")
    every: int = pydantic.Field(default=100, ge=1, description="epochs from record to record")


QUICK = Settings(noise_seeds=4, frames=2)


class Noise(Result):
    """The last A with noise. In both histories a seed draws the same noise."""

    epochs: Int[np.ndarray, " record"]  # of this phase
    after_b: Float[np.ndarray, "seed record 4 4"]  # A B A B before it
    control: Float[np.ndarray, "seed record 4 4"]  # A alone before it


class Steps(Result):
    """A, B, A from A, 40 units of eta x epochs each: by the flow, then in steps of eta."""

    rates_b: Float[np.ndarray, " b"]
    excursion: Float[np.ndarray, "rule b"]  # d_inv from the first A to B
    kept: Float[np.ndarray, "rule b"]  # d_inv from the first A to the last


class Adam(Result):
    """Adam on all weights, its moments never reset."""

    updates: Int[np.ndarray, " record"]
    after_b: Float[np.ndarray, "frame record 4 4"]  # A B A B A
    control: Float[np.ndarray, "frame record 4 4"]  # A for as long
    turned: Float[np.ndarray, "frame 2"]  # |change of Kmat| / |Kmat|: start to A1, A1 to A3


@dataclasses.dataclass(frozen=True)
class Results:
    descent: Path  # A B A B A, the last at the rate of the noisy phase
    equal: Path  # A B A B A in phases of Adam's length, all at eta
    noise: Noise
    steps: Steps
    adam: Adam


def invisible(one: Sigma, other: Sigma) -> Float[np.ndarray, "*many"]:
    """d_inv: the distance over mu, zv, mm, uu, vv, zz."""
    return np.asarray(np.linalg.norm((one - other)[..., *INVISIBLE], axis=-1))


def functional(one: Sigma, other: Sigma) -> Float[np.ndarray, "*many"]:
    """d_fun: the largest difference of zm, zu vm, vu."""
    return np.asarray(np.abs(_coords(one) - _coords(other)).max(axis=-1))


def _coords(sigma: Sigma) -> np.ndarray:
    flat = [functional_coords(one) for one in sigma.reshape(-1, 4, 4)]
    return np.reshape(flat, (*sigma.shape[:-2], 3))


def run(settings: Settings) -> Results:
    noise, frames = jr.split(jr.key(settings.seed))
    a, b, eta = decaying(settings.rate_a), decaying(settings.rate_b), settings.eta
    next_b, next_a = Phase(b, settings.again, eta), Phase(a, settings.again, eta)
    last = Phase(a, settings.noisy, settings.noisy_eta)
    plan = [Phase(a, settings.first, eta), next_b, next_a, next_b, last]
    equal = [Phase(loss, settings.adam_updates, eta) for loss in (a, b, a, b, a)]
    descent = through(plan, THETA_2, every=settings.every)
    return Results(
        descent,
        through(equal, THETA_2, every=settings.every),
        _noise(settings, descent, noise),
        _steps(settings, descent.after(0)),
        _adam(settings, frames),
    )


def _noise(settings: Settings, descent: Path, key: PRNGKeyArray) -> Noise:
    loss = decaying(settings.rate_a, noise=settings.noise)
    after_b, control = (
        learn(
            loss,
            np.repeat(descent.after(phase)[None], settings.noise_seeds, axis=0),
            eta=settings.noisy_eta,
            steps=settings.noisy,
            every=settings.every,
            key=key,
        )
        for phase in (3, 0)
    )
    return Noise(after_b.epochs, after_b.overlaps, control.overlaps)


def _steps(settings: Settings, start: Sigma) -> Steps:
    a = decaying(settings.rate_a)
    epochs = round(PHASE / settings.eta)
    found = []
    for rule, eta, steps in ((Flow(), PHASE, 1), (GradientDescent(), settings.eta, epochs)):
        for rate in settings.rates_b:
            b = learn(decaying(rate), start, rule, eta=eta, steps=steps).final
            back = learn(a, b, rule, eta=eta, steps=steps).final
            found.append((invisible(b, start), invisible(back, start)))
    excursion, kept = np.array(found).T.reshape(2, 2, -1)
    return Steps(np.array(settings.rates_b), excursion, kept)


def _adam(settings: Settings, key: PRNGKeyArray) -> Adam:
    first, then = jr.split(key)
    keys = jr.split(first, settings.frames)
    start = np.stack([realise(THETA_2, settings.units, one) for one in keys])
    a, b = decaying(settings.rate_a), decaying(settings.rate_b)
    after_b, control = (
        learn_columns(
            [(loss, settings.adam_updates) for loss in losses],
            start,
            optax.adam(settings.adam),
            every=settings.every,
            key=then,
        )
        for losses in ((a, b, a, b, a), (a,) * 5)
    )
    looks = after_b[:, _ends(after_b.shape[1])[[0, 1, 5]]]
    turned = [[_change(*pair) for pair in itertools.pairwise(frame)] for frame in looks]
    taught, alone = (np.swapaxes(p, -1, -2) @ p / settings.units for p in (after_b, control))
    updates = settings.every * np.arange(after_b.shape[1])
    return Adam(updates, taught, alone, np.array(turned))


def _ends(records: int) -> np.ndarray:
    """The records where five equal phases begin and end."""
    return (records - 1) // 5 * np.arange(6)


def _change(one: np.ndarray, other: np.ndarray) -> float:
    """Of Kmat from columns to columns, over its size."""
    before = balance(one)
    return float(np.linalg.norm(balance(other) - before) / np.linalg.norm(before))


def claims(results: Results) -> list[Claim]:
    return [*_of_descent(results), *_of_noise(results), *_of_adam(results)]


def _within(says: str, value: SupportsFloat, target: float, share: float) -> list[Claim]:
    """`value` is within `share` of `target`."""
    low, high = target * (1 - share), target * (1 + share)
    return [at_least(says, value, low), at_most("the same", value, high)]


def _of_descent(results: Results) -> list[Claim]:
    path, steps = results.descent, results.steps
    first, second = path.after(0), path.after(2)
    shares, over = steps.kept[0] / steps.excursion[0], steps.kept[1] / steps.kept[0]
    return [
        *_within("A B A: d_inv(A1, A2)", invisible(first, second), 0.00314, 0.05),
        at_most("A B A: d_fun(A1, A2)", functional(first, second), 2e-4),
        at_most("flow: largest share of the excursion that is kept", shares.max(), 0.015),
        at_least("steps: least that is kept, over that of the flow", over.min(), 1),
    ]


def _of_noise(results: Results) -> list[Claim]:
    first, noise = results.descent.after(0), results.noise
    after_b, control = (invisible(s[:, -1], first) for s in (noise.after_b, noise.control))
    quiet = invisible(results.descent.after(4), first)
    apart = invisible(noise.after_b[:, -1], noise.control[:, -1]).mean()
    ways = [_way(s[:, -1] - first) for s in (noise.after_b, noise.control)]
    return [
        at_least("A B A B, A with noise: d_inv(A1, A3)", after_b.mean(), 0.25),
        at_most("the same", after_b.mean(), 0.285),
        reported("its standard deviation over seeds", after_b.std(ddof=1)),
        reported("uu before", first[1, 1]),
        reported("uu after", noise.after_b[:, -1, 1, 1].mean()),
        *_within("the last A without noise: d_inv(A1, A3)", quiet, 0.0074, 0.1),
        at_least("with noise over without", after_b.mean() / quiet, 10),
        *_within("control, noise without any B: d_inv(A1, A3)", control.mean(), 0.267, 0.1),
        *_within("control over A B A B", control.mean() / after_b.mean(), 1, 0.1),
        at_least("cosine of the two mean drifts", ways[0] @ ways[1], 0.99),
        at_most("d_inv of the two histories, same noise, over that without", apart / quiet, 1),
    ]


def _way(change: np.ndarray) -> np.ndarray:
    """The direction of the mean change of the invisible overlaps."""
    mean = change[..., *INVISIBLE].mean(axis=0)
    return mean / np.linalg.norm(mean)


def _of_adam(results: Results) -> list[Claim]:
    adam, equal = results.adam, results.equal
    kept, alone, (descent,) = map(returns, (adam.after_b, adam.control, equal.overlaps[None]))
    found = []
    for i, says in enumerate(("d_inv(A1, A2)", "d_inv(A1, A3)")):
        over = (kept / alone)[:, i].min()
        found += [
            at_least(f"Adam, least: {says}", kept[:, i].min(), 0.03),
            at_least(f"over that on A alone, least: {says}", over, 10),
            reported(f"gradient descent, equal phases: {says}", descent[i]),
        ]
    first, then = adam.turned.T
    return [
        *found,
        at_least("Adam: change of Kmat, start to A1, least", first.min(), 0.4),
        at_most("largest", first.max(), 0.5),
        at_least("Adam: change of Kmat, A1 to A3, least", then.min(), 0.04),
        at_most("largest", then.max(), 0.08),
    ]


def returns(sigmas: Float[np.ndarray, "frame record 4 4"]) -> Float[np.ndarray, "frame 2"]:
    """d_inv(A1, A2) and d_inv(A1, A3) of five equal phases."""
    first, second, third = np.moveaxis(sigmas[:, _ends(sigmas.shape[1])[1::2]], 1, 0)
    return np.stack([invisible(first, second), invisible(first, third)], axis=1)


def draw(results: Results):
    figure, axes = grid(2, 2, width=7.0, height=5.2)
    path, noise, adam = results.descent, results.noise, results.adam
    over_epochs(axes[0, 0], path.epochs, {"": path.losses[None]})
    kinds = {"invisible": invisible, "functional": functional}
    gaps = {name: gap(path.overlaps, path.after(0))[None] for name, gap in kinds.items()}
    over_epochs(axes[0, 1], path.epochs, gaps)
    quiet = path.overlaps[path.ends[3] :][None]
    drifts = {"A B A B, noise": noise.after_b, "A, noise": noise.control, "A B A B": quiet}
    moves = {name: invisible(s, path.after(0)) for name, s in drifts.items()}
    over_epochs(axes[1, 0], noise.epochs, moves)
    ways = {"A B A B A": adam.after_b, "A alone": adam.control}
    end = _ends(len(adam.updates))[1]
    moves = {name: invisible(s, s[:, [end]]) for name, s in ways.items()}
    over_epochs(axes[1, 1], adam.updates, moves)
    titles = ("gradient descent, A B A B A", "the same", "the last A", "Adam, A B A B A")
    labels = ("loss", "distance from A1", "d_inv from A1", "d_inv from A1")
    for ax, title, label in zip(axes.flat, titles, labels, strict=True):
        ax.set(title=title, ylabel=label)
    return figure
