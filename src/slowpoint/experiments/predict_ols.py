"""What does the data alone say: is the place a mode of the least-squares predictor?

From a place and an action (one-hot) to the next place, the best linear predictor maps the
centred position exactly, and the further actions reach, the more its first singular vector is
that position and the more it stands out. What orders the code of a trained network is not
reach by itself: few far actions among short ones lower its order, many that chain neighbouring
futures raise it.

Paper: Ratzon and Barak 2025, arXiv:2511.09290, least squares; identities and families ours.
Takes: 8 s quick, 4 min full
"""

import dataclasses

import jax.random as jr
import numpy as np
import pydantic
from jaxtyping import Float, Int, Shaped

from slowpoint.analysis.geometry import order
from slowpoint.analysis.predictor_codes import near_states, product
from slowpoint.core.claim import at_least, at_most, Claim, reported
from slowpoint.core.networks import mean_of
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.learning.predictors import clipped_rate, linear_predictors, Teaching
from slowpoint.plots.prediction import over_horizon, ranked
from slowpoint.plots.style import row
from slowpoint.theory.prediction import (
    canonical_correlations,
    least_squares_predictor,
    line_bound,
    spectral_participation,
)
from slowpoint.worlds.corridor import corridor

FAMILIES = {
    "5 to 2": (-2, -1, 0, 1, 2),
    "5 to 5": (-5, -1, 0, 1, 5),
    "5 to 10": (-10, -1, 0, 1, 10),
    "5 to 15": (-15, -1, 0, 1, 15),
    "7 dense": (-3, -2, -1, 0, 1, 2, 3),
}


class Settings(Base):
    size: int = pydantic.Field(default=20, ge=3, description="S, places of the corridor")
    horizons: tuple[int, ...] = pydantic.Field(
        default=(1, 3, 5, 7, 10, 13, 16, 19), min_length=1, description="A of each"
    )
    depth: int = pydantic.Field(default=9, ge=0, description="nh of the trained networks")
    families: tuple[str, ...] = pydantic.Field(
        default=tuple(FAMILIES), description="sets of actions to train on"
    )
    updates: int = pydantic.Field(default=30_000, ge=1, description="full-batch, of Adam")
    seeds: int = pydantic.Field(default=3, ge=1, description="networks of each family")


QUICK = Settings(
    horizons=(1, 5, 10, 16, 19), families=("5 to 2", "5 to 15"), depth=4, updates=2000, seeds=1
)

# exact numbers at S = 20, by A; three decimals
FIRST = {1: 1.010, 5: 1.098, 10: 1.489, 19: 2.941}  # first singular value
SECOND = {1: 0.961, 10: 0.491}  # second over first
PLACE = {1: 0.9899, 10: 0.9865}  # |cos| of the first vector over places with the position
MOVED = {1: 0.9980, 10: 0.9998}  # and over inputs with place and length of the action
SPREAD = {1: 9.05, 5: 2.55, 10: 1.64, 16: 1.59, 19: 2.13}  # participation ratio


class Modes(Result):
    """Of the least-squares predictor at each horizon."""

    horizon: Int[np.ndarray, " horizon"]
    sizes: Float[np.ndarray, "horizon mode"]  # singular values
    bound: Float[np.ndarray, " horizon"]  # on the first
    place: Float[np.ndarray, " horizon"]  # |cos| of its vector over places with the position
    moved: Float[np.ndarray, " horizon"]  # and over inputs with [place ; length]
    shared: Float[np.ndarray, "horizon mode"]  # canonical correlations
    spread: Float[np.ndarray, " horizon"]  # participation ratio of the singular values
    error: Float[np.ndarray, " horizon"]  # largest of W c - u


class Families(Result):
    """Networks trained on sets of actions, one row each."""

    family: Shaped[np.ndarray, " network"]
    order: Float[np.ndarray, " network"]
    third: Float[np.ndarray, " network"]  # canonical correlation of its world
    place: Float[np.ndarray, " network"]  # |cos| of the product's first vector, over places


@dataclasses.dataclass(frozen=True)
class Results:
    modes: Modes
    families: Families


def run(settings: Settings) -> Results:
    rows = [_modes(settings.size, far) for far in settings.horizons]
    modes = Modes(np.array(settings.horizons), *(np.array(part) for part in zip(*rows)))
    found = [row for name in settings.families for row in _family(settings, name)]
    names, *columns = zip(*found) if found else ((), (), (), ())
    words = np.array(names, dtype=np.str_)
    return Results(modes, Families(words, *(np.array(c, float) for c in columns)))


def _modes(size: int, horizon: int) -> tuple:
    """The other fields of Modes at one horizon."""
    world = corridor(size, horizon)
    predictor = least_squares_predictor(world)
    c = np.arange(size) - (size - 1) / 2
    u = np.concatenate([c, np.arange(-horizon, horizon + 1)])
    left, sizes, right = np.linalg.svd(predictor, full_matrices=False)
    cosine = lambda a, b: abs(a @ b) / np.linalg.norm(a) / np.linalg.norm(b)
    return (
        sizes,
        line_bound(size, horizon),
        cosine(right[0], c),
        cosine(left[:, 0], u),
        canonical_correlations(world)[:size],
        spectral_participation(sizes),
        np.abs(predictor @ c - u).max(),
    )


def _family(settings: Settings, name: str) -> list[tuple]:
    """The fields of Families of each network on one set of actions."""
    lengths = FAMILIES[name]
    reach = max(lengths)
    world = corridor(settings.size, reach, lengths)
    third = canonical_correlations(world)[2]
    rate = clipped_rate(settings.depth, reach)
    how = Teaching(settings.depth, 3 * settings.size - 1, rate, settings.updates)
    keys = jr.split(
        jr.fold_in(jr.key(settings.seed), list(FAMILIES).index(name)), settings.seeds
    )
    trained = linear_predictors(world, how, keys)
    near, found = world.rows(world.near), []
    for number in range(settings.seeds):
        net = trained.replicate(number).system
        first = np.linalg.svd(product(net))[0][:, 0]
        place = near_place(first)
        found.append((name, order(near_states(net, world), near.latent), third, place))
    return found


def near_place(vector: Float[np.ndarray, " state"]) -> float:
    """|cos| of a unit vector over places with the centred position."""
    c = np.arange(len(vector)) - (len(vector) - 1) / 2
    return float(abs(vector @ c) / np.linalg.norm(c))


def claims(results: Results) -> list[Claim]:
    modes, found = results.modes, []
    found.append(at_most("position not mapped exactly, most", modes.error.max(), 1e-10))
    above = (modes.sizes[:, 0] - modes.bound).min()
    found.append(at_least("first singular value above its bound, least", above, 0))
    ones = np.abs(modes.shared[:, :2] - 1).max()
    found.append(at_most("two canonical correlations off 1, most", ones, 1e-9))
    ratio = modes.sizes[:, 1] / modes.sizes[:, 0]
    for known, measured, within, says in (
        (FIRST, modes.sizes[:, 0], 1e-3, "first singular value"),
        (SECOND, ratio, 1e-3, "second over first"),
        (PLACE, modes.place, 1e-3, "|cos| with the position"),
        (MOVED, modes.moved, 1e-3, "|cos| with place and length"),
        (SPREAD, modes.spread, 1e-2, "participation ratio"),
    ):
        for far, value in zip(modes.horizon, measured):
            if far in known:
                off = abs(value - known[far])
                found.append(at_most(f"A = {far}: {says} off {known[far]:g}", off, within))
    for far, third in zip(modes.horizon, modes.shared[:, 2]):
        found.append(reported(f"A = {far}: third canonical correlation", third))
    return [*found, *_reach(results.families)]


def _reach(families: Families) -> list[Claim]:
    """Two far actions among three short ones: the further, the less ordered."""
    names = [name for name in FAMILIES if name in families.family]
    found = []
    for name in names:
        for words, measure in (
            (f"actions {name}: order, mean", "order"),
            ("  third canonical correlation", "third"),
            ("  |cos| of its first mode", "place"),
        ):
            found.append(reported(words, mean_of(families, measure, family=name)))
    orders = {name: mean_of(families, "order", family=name) for name in names}
    if {"5 to 2", "5 to 15"} <= orders.keys():
        fall = orders["5 to 2"] - orders["5 to 15"]
        found.append(at_least("order lost by reaching 15 instead of 2", fall, 0.1))
    if {"5 to 2", "7 dense"} <= orders.keys():
        gain = orders["7 dense"] - orders["5 to 2"]
        found.append(at_least("order gained by 7 dense actions over 5", gain, 0.03, "full"))
    return found


def draw(results: Results):
    modes, families = results.modes, results.families
    figure, axes = row(4, width=12.0, height=2.8)
    ranked(axes[0], modes.horizon, modes.sizes[:, :8])
    axes[0].set(ylabel="singular value")
    ranked(axes[1], modes.horizon, modes.shared[:, :8])
    axes[1].set(ylabel="canonical correlation")
    vectors = {"over places": modes.place, "over inputs": modes.moved}
    rows = {name: [np.array([v]) for v in values] for name, values in vectors.items()}
    over_horizon(axes[2], modes.horizon, rows, "|cos| of the first mode with the latent")
    names = list(dict.fromkeys(families.family.tolist()))
    spots = [families.order[families.family == name] for name in names]
    over_horizon(axes[3], np.arange(len(names)), {"networks": spots}, "order")
    axes[3].set_xticks(range(len(names)), names, fontsize=6)
    axes[3].set(xlabel="number of actions, reach")
    return figure
