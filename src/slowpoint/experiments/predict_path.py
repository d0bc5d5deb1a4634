"""Is the simple code found because it is the cheapest, or because of the way there?

A product of rank 2 that holds the place alone separates every pair of a corridor, in closed
form. One step ahead it costs less than what gradient descent finds, and training that begins
there stays; random starts never reach it. So the least norm does not explain the simple code:
the path does. Under squared loss the path even passes through order and leaves it.

Paper: Ratzon and Barak 2025, arXiv:2511.09290, for the networks; the solution is ours.
Takes: 11 s quick, 2.5 min full
"""

import dataclasses
import itertools

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pydantic
from jaxtyping import Float, Int

from slowpoint.analysis.geometry import order
from slowpoint.analysis.predictor_codes import Codes, linear_codes, near_states
from slowpoint.cells.feedforward import DeepLinear
from slowpoint.core.claim import at_least, at_most, Claim, equal, reported
from slowpoint.core.networks import entries, joined, mean_of
from slowpoint.core.precision import float64, to_numpy
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.learning.grid import Logarithmic
from slowpoint.learning.predictors import clipped_rate, continued, linear_predictors, Teaching
from slowpoint.plots.prediction import over_horizon, over_updates
from slowpoint.plots.style import row
from slowpoint.theory.prediction import latent_solution, latent_solution_spectrum
from slowpoint.worlds.corridor import corridor

SCALE = 20.0  # of the closed form, where training begins: margins that a network has late
RATE = 1e-3  # of Adam from there
SGD, SQUARED_GAIN = 0.02, 0.6  # squared loss
FOUND = {1: 32.3, 10: 38.3}  # Schatten cost of what is found from random starts, nh = 4


class Settings(Base):
    size: int = pydantic.Field(default=20, ge=3, description="S, places of the corridor")
    depth: int = pydantic.Field(default=4, ge=1, description="nh, hidden layers")
    horizons: tuple[int, ...] = pydantic.Field(
        default=(1, 2, 10), min_length=1, description="A of each"
    )
    noises: tuple[float, ...] = pydantic.Field(
        default=(0.0, 0.02, 0.1), min_length=1, description="added to layers, share of norm"
    )
    stay: int = pydantic.Field(default=20_000, ge=1, description="updates from the closed form")
    updates: int = pydantic.Field(
        default=30_000, ge=1, description="updates from random starts"
    )
    seeds: int = pydantic.Field(default=3, ge=1, description="random starts of each kind")

    @property
    def units(self) -> int:
        """H, as published."""
        return 3 * self.size - 1


QUICK = Settings(horizons=(1,), noises=(0.0, 0.1), stay=500, updates=2500, seeds=1)


class Closed(Result):
    """The latent solution, one row a horizon."""

    horizon: Int[np.ndarray, " horizon"]
    cost: Float[np.ndarray, " horizon"]  # Schatten, at margin 1


class Squared(Result):
    """Plain gradient descent on the squared loss, one row a horizon."""

    horizon: Int[np.ndarray, " horizon"]
    update: Int[np.ndarray, " look"]
    order: Float[np.ndarray, "horizon replicate look"]


@dataclasses.dataclass(frozen=True)
class Results:
    kept: Codes  # begun at the closed form; its replicates are the noises
    found: Codes  # from random starts
    squared: Squared
    closed: Closed


def run(settings: Settings) -> Results:
    kept = [_from_latent(settings, far) for far in settings.horizons]
    found = [_from_chance(settings, far) for far in settings.horizons]
    rows = [_squared(settings, far) for far in settings.horizons]
    updates = Logarithmic(16).updates(settings.updates)
    squared = Squared(np.array(settings.horizons), updates, np.array(rows))
    closed = [latent_solution_spectrum(settings.size, far) for far in settings.horizons]
    cost = np.array([spectrum.schatten_cost(settings.depth + 1) for spectrum in closed])
    parts = joined(kept), joined(found), squared
    return Results(*parts, Closed(np.array(settings.horizons), cost))


def _key(settings: Settings, horizon: int, part: int):
    return jr.fold_in(jr.fold_in(jr.key(settings.seed), horizon), part)


def _from_latent(settings: Settings, horizon: int) -> Codes:
    """Networks that begin at the latent solution, one for each noise, after `stay` updates."""
    world, count = corridor(settings.size, horizon), len(settings.noises)
    keys = jr.split(_key(settings, horizon, 0), 2 * count).reshape(2, count)
    with float64():
        noises = jnp.array(settings.noises)
        make = lambda noise, key: balanced(settings, horizon, noise, key)
        networks = to_numpy(eqx.filter_vmap(make)(noises, keys[0]))
    how = Teaching(settings.depth, settings.units, RATE, settings.stay)
    return linear_codes(continued(networks, world, how, keys[1]), world, horizon)


def balanced(settings: Settings, horizon: int, noise, key) -> DeepLinear:
    """Layers of equal singular values, aligned, whose product is SCALE times the latent one."""
    left, sizes, right = np.linalg.svd(SCALE * latent_solution(settings.size, horizon))
    root = jnp.diag(jnp.array(sizes[:2] ** (1 / (settings.depth + 1))))
    turn, kick = jr.split(key)
    draw = jr.normal(turn, (settings.depth, settings.units, 2))
    inner = jnp.linalg.qr(draw)[0]
    ends = [jnp.array(right[:2].T), *inner, jnp.array(left[:, :2])]
    layers = [above @ root @ below.T for below, above in itertools.pairwise(ends)]

    def shaken(layer, key):
        shake = jr.normal(key, layer.shape)
        return layer + noise * jnp.linalg.norm(layer) / jnp.linalg.norm(shake) * shake

    return DeepLinear(tuple(map(shaken, layers, jr.split(kick, len(layers)))))


def _from_chance(settings: Settings, horizon: int) -> Codes:
    """Networks that begin at random, by the same loss."""
    world = corridor(settings.size, horizon)
    rate = clipped_rate(settings.depth, horizon)
    how = Teaching(settings.depth, settings.units, rate, settings.updates)
    keys = jr.split(_key(settings, horizon, 1), settings.seeds)
    return linear_codes(linear_predictors(world, how, keys), world, horizon)


def _squared(settings: Settings, horizon: int) -> Float[np.ndarray, "replicate look"]:
    """Order along gradient descent on the squared loss, summed over places."""
    world = corridor(settings.size, horizon)
    near = world.rows(world.near).latent
    gain, rate = SQUARED_GAIN, SGD * settings.size  # the house's loss is the mean over places
    how = Teaching(settings.depth, settings.units, rate, settings.updates, gain)
    keys = jr.split(_key(settings, horizon, 2), settings.seeds)
    looks = Logarithmic(16)
    trained = linear_predictors(
        world, how, keys, "squared", optimiser=optax.sgd(rate), snapshots=looks
    )
    each = [trained.replicate(number) for number in range(settings.seeds)]
    spans = [[one.snapshot(k) for k in range(len(one.snapshot_updates))] for one in each]
    return np.array([[order(near_states(net, world), near) for net in span] for span in spans])


def claims(results: Results) -> list[Claim]:
    kept, chance, found = results.kept, results.found, []
    (depth,) = np.unique(kept.depth)
    found.append(at_least("order kept from the closed form, least", kept.order.min(), 0.999))
    found.append(equal("largest rank there", kept.rank.max(), 2))
    for far, closed in zip(results.closed.horizon, results.closed.cost):
        cost = mean_of(chance, "cost", depth=depth, horizon=far)
        found.append(reported(f"A = {far}: cost of the closed form", closed))
        found.append(reported("  of what is found from random starts", cost))
        if far == 1:
            found.append(at_least("A = 1: found over closed form, cost", cost / closed, 1.1))
            most = entries(chance, "order", depth=depth, horizon=far).max()
            found.append(at_most("  and yet its order, most", most, 0.72))
        if far in FOUND:
            off = abs(cost / FOUND[far] - 1)
            found.append(at_most(f"A = {far}: cost off {FOUND[far]}, share", off, 0.1, "full"))
    return [*found, *_passing(results.squared)]


def _passing(squared: Squared) -> list[Claim]:
    """Under squared loss."""
    found = []
    for far, orders in zip(squared.horizon, squared.order):
        mean = orders.mean(axis=0)
        look = int(mean.argmax())
        says = f"A = {far}, squared loss: highest order (at update {squared.update[look]})"
        found.append(reported(says, mean[look]))
        found.append(reported("  at the end", mean[-1]))
        if far == 1:
            lost = mean[look] - mean[-1]
            found.append(at_least("  lost from highest to end", lost, 0.1, "full"))
        if far == 10:
            found.append(at_least("  at the end, least", orders[:, -1].min(), 0.99, "full"))
    return found


def draw(results: Results):
    kept, chance, squared = results.kept, results.found, results.squared
    figure, axes = row(3, width=9.5, height=2.8)
    horizons = np.unique(chance.horizon)
    (depth,) = np.unique(chance.depth)
    for ax, measure, says in ((axes[0], "cost", "Schatten cost"), (axes[1], "order", "order")):
        rows = {
            name: [entries(codes, measure, depth=depth, horizon=far) for far in horizons]
            for name, codes in (("begun at the closed form", kept), ("at random", chance))
        }
        over_horizon(ax, horizons, rows, says)
    rows = {f"A = {far}": orders for far, orders in zip(squared.horizon, squared.order)}
    over_updates(axes[2], squared.update, rows, "order, squared loss")
    return figure
