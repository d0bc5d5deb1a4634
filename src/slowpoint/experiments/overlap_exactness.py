"""Do overlaps learn exactly as the network does, under which optimisers, at which N?

Linear low-rank networks of several sizes are trained in full, every weight by itself, with
optax; beside each, its few overlaps learn by the congruence step from the same start, with the
same noise. Overlaps and weights (P_0 A) agree to rounding, for every optimiser whose update is
a right multiple of the first weights. The flow, the limit of small steps, is held against a
fine integration of its equation for Sigma, and descent against the flow.

Paper: Ger and Barak 2026, arXiv:2605.04115, the overlap equations of linear networks (they
state the flow; that finite steps and other optimisers are exact is ours).
Takes: 14 s quick, 45 s full
"""

import dataclasses
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pydantic
import scipy.signal
from jaxtyping import Array, Float, Int

from slowpoint.core.chance import generator
from slowpoint.core.claim import at_least, at_most, Claim, reported
from slowpoint.core.clock import RungeKutta
from slowpoint.core.precision import float64
from slowpoint.core.result import Result
from slowpoint.core.rollout import rollout
from slowpoint.core.settings import Settings as Base
from slowpoint.plots.style import row
from slowpoint.plots.sweep import against
from slowpoint.theory import congruence
from slowpoint.theory.filter_start import THETA_1
from slowpoint.theory.latent import Latent
from slowpoint.theory.overlap_learning import learn, OverlapFlow
from slowpoint.theory.overlaps import (
    as_network,
    columns_of,
    Dims,
    matrix,
    overlaps,
    vector,
)

DT = 0.05
COARSE, HORIZON, FINE = 1e-2, 10.0, 10  # beside the flow: eta, eta x updates, RK steps per eta
Target = Literal["filter", "oscillator", "mixture"]
Sizes = tuple[tuple[int, int, int, int, Target], ...]


SMALL: Sizes = ((1, 1, 1, 100, "filter"), (2, 1, 1, 6, "oscillator"), (3, 2, 2, 60, "mixture"))
MORE: Sizes = ((1, 1, 1, 500, "filter"), (1, 3, 2, 20, "mixture"), (2, 2, 2, 500, "oscillator"))


class Settings(Base):
    networks: Sizes = pydantic.Field(
        default=SMALL + MORE, min_length=1, description="rank, inputs, outputs, units, target"
    )
    time: int = pydantic.Field(default=200, ge=2, description="steps of a trial, of 0.05 tau")
    updates: int = pydantic.Field(default=400, ge=1, description="of each optimiser")
    eta: float = pydantic.Field(default=2.5e-3, gt=0, description="rate of learning, eta")
    seed: int = pydantic.Field(default=0, description="of weights, targets and noise")


QUICK = Settings(networks=SMALL, time=100, updates=200)


class Asked(eqx.Module):
    """Inputs, and the outputs wanted: with noise on them (`sd`) where a key draws it."""

    inputs: Float[np.ndarray, "time input"] | Float[Array, "time input"]
    targets: Float[np.ndarray, "time output"] | Float[Array, "time output"]
    sd: float | Float[Array, ""] = 0.0

    def loss(self, system, key):
        """The squared error, integrated over time."""
        noise = 0.0 if key is None else self.sd * jr.normal(key, self.targets.shape, float)
        outputs = rollout(system, np.zeros(0), self.inputs).outputs
        return ((outputs - self.targets - noise) ** 2).sum() * DT


class Reduced(eqx.Module):
    """The same loss as a function of overlaps."""

    asked: Asked
    dims: Dims = eqx.field(static=True)

    def __call__(self, sigma, key):
        return self.asked.loss(Latent(sigma, self.dims, dt=DT), key)


class Chosen(congruence.Stepwise):
    """The rule number `which`; so all are compiled at once."""

    momentum: float | Float[Array, ""] = 0.0
    which: int | Int[Array, ""] = 0
    sd: float | Float[Array, ""] = 0.0  # of noise on the targets, which is the loss's to draw

    def update(self, first, gradient, buffer):
        rules = (
            congruence.GradientDescent(),
            congruence.HeavyBall(momentum=self.momentum),
            congruence.Nesterov(momentum=self.momentum),
            congruence.NormalisedDescent(),
        )
        ways = [lambda *given, rule=rule: rule.update(*given) for rule in rules]
        return jax.lax.switch(self.which, ways, first, gradient, buffer)


def chains(rule: Chosen, eta: float, units: int) -> list[optax.GradientTransformation]:
    """The same rules for the network itself, its gradient times N."""
    clip = optax.clip_by_global_norm(rule.clip * units**0.5)
    held = optax.chain(clip, optax.add_decayed_weights(rule.decay))
    none, unit = optax.identity(), optax.stateless(lambda g, _: jax.tree.map(_unit, g))
    plain, heavy = optax.sgd(eta, momentum=0.0), optax.sgd(eta, rule.momentum)
    nesterov = optax.sgd(eta, rule.momentum, nesterov=True)
    kinds = (none, plain), (none, heavy), (none, nesterov), (unit, plain)
    return [optax.chain(held, *kind) for kind in kinds]


def _unit(update):
    """Columns of unit variance."""
    return update / jnp.sqrt((update**2).mean(axis=0, keepdims=True))


def optimisers(dims: Dims, clip: float = np.inf) -> dict[str, Chosen]:
    """The rows of the table; two clip at that norm."""
    one = np.ones(dims.size)
    frozen, uneven = one.copy(), np.linspace(0.2, 2.0, dims.size)
    frozen[dims.m] = frozen[dims.z] = 0.0
    joint = {"which": 2, "momentum": 0.9, "decay": 0.1, "clip": clip, "sd": 0.3}
    rows = {
        "gradient descent": {},
        "heavy ball": {"which": 1, "momentum": 0.9},
        "Nesterov": {"which": 2, "momentum": 0.9},
        "weight decay": {"decay": 0.1},
        "clipped norm": {"clip": clip},
        "frozen columns": {"rates": frozen},
        "rates of columns": {"rates": uneven},
        "normalised columns": {"which": 3, "rates": one / 20},
        "label noise": {"sd": 0.3},
        "all but normalised": joint | {"rates": frozen * uneven},
    }
    plain = {"rates": one, "clip": np.inf}
    return {name: Chosen(**plain | row) for name, row in rows.items()}


NAMES = tuple(optimisers(Dims()))


class Table(Result):
    """Relative errors of the theory, in Frobenius norms; rows as `NAMES`."""

    sizes: Int[np.ndarray, "network 4"]  # rank, inputs, outputs, units
    overlaps: Float[np.ndarray, "optimiser network"]  # the largest over all updates
    weights: Float[np.ndarray, "optimiser network"]  # of all synapses, after the last
    moved: Float[np.ndarray, "optimiser network"]  # change of all synapses, of their norm
    left: Float[np.ndarray, "optimiser network"]  # loss after the last, over that before
    clipped: Float[np.ndarray, "optimiser network"]  # share of updates


class Limit(Result):
    """The impulse filter from THETA_1. Errors are relative, the largest on the way."""

    flow: float  # of the flow, against a fine integration
    etas: Float[np.ndarray, " rate"]
    gaps: Float[np.ndarray, " rate"]  # of descent, against the flow


@dataclasses.dataclass(frozen=True)
class Results:
    table: Table
    limit: Limit


def run(settings: Settings) -> Results:
    with float64():
        columns = [_column(settings, i) for i in range(len(settings.networks))]
        sizes = np.array([network[:4] for network in settings.networks])
        fields = (np.stack(part, axis=-1) for part in zip(*columns, strict=True))
        return Results(Table(sizes, *fields), _limit())


def _asked(target: Target, dims: Dims, time: int, chance: np.random.Generator) -> Asked:
    """What a network of `dims` shall do; each output decays at a rate of its own."""
    t = DT * np.linspace(0, time, time)[:, None]
    decay = np.exp(-(0.2 + 0.1 * np.arange(dims.outputs)) * t)
    if target == "mixture":
        inputs = chance.normal(size=(time, dims.inputs))
        inputs /= DT * np.linalg.norm(inputs)  # as strong as the impulse
        mixed = inputs @ chance.normal(size=(dims.inputs, dims.outputs))
        return Asked(inputs, DT * scipy.signal.fftconvolve(mixed, decay, axes=0)[:time])
    inputs = np.zeros((time, dims.inputs))
    inputs[0] = 1 / (DT * dims.inputs**0.5)
    return Asked(inputs, decay * np.cos(2 * t) if target == "oscillator" else decay)


def _column(settings: Settings, index: int) -> tuple[np.ndarray, ...]:
    """A column of `Table`, field by field, without the sizes."""
    *counts, units, target = settings.networks[index]
    weights, draws = jr.split(jr.fold_in(jr.key(settings.seed), index))
    dims, chance = Dims(*counts), generator(weights)
    asked = _asked(target, dims, settings.time, chance)
    first = chance.normal(size=(units, dims.size)) + chance.normal(size=(units, 1)) / 3
    how = {"eta": settings.eta, "steps": settings.updates, "key": draws}

    def compare(rule):
        rule, noisy = jax.tree.map(jnp.asarray, (rule, dataclasses.replace(asked, sd=rule.sd)))
        last, path, norms = map(np.asarray, _train(rule, noisy, first, dims, **how))
        theory = learn(Reduced(noisy, dims), overlaps(first), rule, every=1, **how)
        errors = _apart(theory.overlaps[1:], path), _apart(first @ theory.factors[-1], last)
        left, clipped = theory.losses[-1] / theory.losses[0], (norms > rule.clip).mean()
        return np.array([*errors, _apart(first, last), left, clipped]), norms

    _, norms = compare(optimisers(dims)["gradient descent"])
    rows = optimisers(dims, clip=float(norms.max()) / 2).values()
    return tuple(np.stack([compare(row)[0] for row in rows], axis=-1))


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    """The distance of matrices over the norm of the other; the largest of several."""
    gaps, norms = (np.linalg.norm(a, axis=(-2, -1)) for a in (one - other, other))
    return float((gaps / norms).max())


@eqx.filter_jit
def _train(rule: Chosen, asked: Asked, first, dims: Dims, *, eta: float, steps: int, key):
    """`(columns, overlaps after each update, norms of the gradients)`; each weight learns."""
    units, network = len(first), as_network(first, dims, DT)
    rates = as_network(rule.relative(dims.size), dims, DT)  # one row, for all units
    ways = chains(rule, eta, units)
    updates = [way.update for way in ways]

    def tick(carried, step):
        network, state = carried
        slope = jax.grad(asked.loss)(network, jr.fold_in(key, step))
        slope = jax.tree.map(lambda g, r: units * g * (r != 0), slope, rates)
        update, state = jax.lax.switch(rule.which, updates, slope, state, network)
        update = jax.tree.map(jnp.multiply, update, rates)
        network = eqx.apply_updates(network, update)
        norm = optax.tree.norm(slope) / units**0.5
        return (network, state), (overlaps(columns_of(network)), norm)

    start = (network, ways[0].init(eqx.filter(network, eqx.is_array)))
    (network, _), (path, norms) = jax.lax.scan(tick, start, jnp.arange(steps))
    return columns_of(network), path, norms


def _limit() -> Limit:
    loss = Reduced(_asked("filter", Dims(), 400, np.random.default_rng()), Dims())
    records, factors = round(HORIZON / COARSE), (1, 2, 4)
    flow = learn(loss, THETA_1, congruence.Flow(), eta=COARSE, steps=records, every=1).overlaps
    found = (learn(loss, THETA_1, eta=COARSE / n, steps=records * n, every=n) for n in factors)
    gaps = np.array([_apart(descent.overlaps, flow) for descent in found])
    known = RungeKutta(OverlapFlow(loss, len(THETA_1)), COARSE / FINE)  # of Sigma itself
    path = rollout(known, vector(THETA_1), np.zeros((records * FINE, 0))).states
    known = np.asarray(jax.vmap(matrix)(path[FINE - 1 :: FINE]))
    return Limit(_apart(flow[1:], known), COARSE / np.array(factors), gaps)


def claims(results: Results) -> list[Claim]:
    table, limit, made = results.table, results.limit, []
    for name, overlap, weight in zip(NAMES, table.overlaps, table.weights, strict=True):
        made.append(at_most(f"{name}: error of the overlaps", overlap.max(), 1e-11))
        made.append(at_most(f"{name}: error of every weight", weight.max(), 1e-11))
    clipped = table.clipped[NAMES.index("clipped norm")]
    ratios = limit.gaps[:-1] / limit.gaps[1:]
    return [
        *made,
        at_least("change of the weights, the least of all runs", table.moved.min(), 0.01),
        at_least("share of all updates that the clip shortens", clipped.mean(), 0.01),
        at_most("the same", clipped.mean(), 0.99),
        at_most("error of the flow against a fine integration", limit.flow, 1e-6),
        at_least("error of descent over that at half the rate, least", ratios.min(), 1.8),
        at_most("the same, largest", ratios.max(), 2.2),
        reported(f"error of descent at eta = {limit.etas[-1]:g}", limit.gaps[-1]),
    ]


def draw(results: Results):
    table, limit = results.table, results.limit
    figure, axes = row(2, height=3.2)
    place = np.arange(len(NAMES))
    for name, mark in (("overlaps", "o"), ("weights", "x")):
        lines = axes[0].semilogx(getattr(table, name), place, mark, ms=4, color="black")
        lines[0].set_label(name)
    axes[0].axvline(1e-11, lw=0.8, ls=":", color="black")
    axes[0].set_yticks(place, NAMES)
    axes[0].set(xlabel="relative error of the theory", ylim=(len(NAMES) - 0.5, -0.5))
    axes[0].legend(fontsize=7)
    against(axes[1], limit.etas, {"descent": limit.gaps}).minorticks_off()
    axes[1].set_xticks(limit.etas, [f"{eta:g}" for eta in limit.etas])
    axes[1].set(xlabel="rate of learning, eta", ylabel="distance to the flow")
    return figure
