"""Is a longer horizon always better? Not on a ring, where far actions meet from both sides.

ReLU networks see each place as a vector of random numbers beside an action of up to A steps,
and predict the vector of the place that it leads to. On a line, depth and a horizon of half
its length put the code in order, and a longer one less so. On a ring order has its best at a
few steps and is lost at A near S/2, although every answer is right: there the modes of the
least-squares predictor, known in closed form, carry no more of the place.

Paper: Ratzon and Barak 2025, arXiv:2511.09290, asks it of lines with other observations; the
ring and its closed form are ours, as are the settings.
Takes: 15 s quick, 13 min full
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pydantic
from jaxtyping import Float, Int

from slowpoint.analysis.geometry import best_frequency, cka
from slowpoint.analysis.predictor_codes import Codes, relu_codes
from slowpoint.cells.feedforward import Mlp
from slowpoint.core.claim import at_least, at_most, Claim, reported
from slowpoint.core.networks import entries, joined, mean_of, only
from slowpoint.core.processes import in_processes
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.core.transitions import Transitions
from slowpoint.learning.predictors import relu_predictors, Teaching
from slowpoint.plots.prediction import over_horizon
from slowpoint.plots.style import grid
from slowpoint.tasks.predict_ahead import PredictAhead
from slowpoint.theory.prediction import ring_spectrum, spectral_participation
from slowpoint.worlds.corridor import corridor
from slowpoint.worlds.ring import ring_world


class Settings(Base):
    size: int = pydantic.Field(default=20, ge=3, description="S, places of each world")
    width: int = pydantic.Field(default=100, ge=1, description="D, numbers seen at a place")
    units: int = pydantic.Field(default=100, ge=1, description="H, of each hidden layer")
    gain: float = pydantic.Field(default=0.7, gt=0, description="g, of the first weights")
    rate: float = pydantic.Field(default=5e-4, gt=0, description="of Adam")
    updates: int = pydantic.Field(default=6000, ge=1, description="full-batch, of Adam")
    line_depths: tuple[int, ...] = pydantic.Field(default=(1, 4), description="nh on the line")
    line_horizons: tuple[int, ...] = pydantic.Field(
        default=(1, 3, 5, 10, 19), description="A on the line"
    )
    depths: tuple[int, ...] = pydantic.Field(
        default=(1, 4, 6), min_length=1, description="nh on the ring"
    )
    horizons: tuple[int, ...] = pydantic.Field(
        default=(1, 3, 5, 7, 9), min_length=1, description="A on the ring"
    )
    seeds: int = pydantic.Field(default=3, ge=1, description="networks, each with its views")
    processes: int = pydantic.Field(default=2, ge=1, description="networks that learn at once")


QUICK = Settings(
    line_depths=(), depths=(4,), horizons=(1, 3, 9), updates=1200, seeds=1, processes=1
)
WORLDS = {"line": corridor, "ring": ring_world}


class Likeness(Result):
    """What else is asked of each network; rows as in `Codes`."""

    cka: Float[np.ndarray, " network"]  # of the code with the latent
    raw_cka: Float[np.ndarray, " network"]  # of the views of the targets: what is to be beaten
    frequency: Int[np.ndarray, " network"]  # on a ring: at which the code is best in order
    in_order: Float[np.ndarray, " network"]  # R² at that frequency
    gain: Float[np.ndarray, " network"]  # g


class Modes(Result):
    """The least-squares predictor of a ring, in closed form."""

    horizon: Int[np.ndarray, " horizon"]
    sizes: Float[np.ndarray, "horizon mode"]  # singular values, k = 0 ... S-1
    participation: Float[np.ndarray, " horizon"]


@dataclasses.dataclass(frozen=True)
class Results:
    line: Codes
    ring: Codes
    line_likeness: Likeness
    ring_likeness: Likeness
    modes: Modes


def run(settings: Settings) -> Results:
    cells = {
        "line": [(nh, far) for nh in settings.line_depths for far in settings.line_horizons],
        "ring": [(nh, far) for nh in settings.depths for far in settings.horizons],
    }
    tasks = [
        (where, *cell, number)
        for where, those in cells.items()
        for cell in those
        for number in range(settings.seeds)
    ]
    work = functools.partial(_one, settings)
    found = in_processes(work, tasks, settings.processes)
    parts = {}
    for where in cells:
        here = [one for one, task in zip(found, tasks, strict=True) if task[0] == where]
        some = here or found[:1]
        keep = np.full(len(some), bool(here))
        parts[where] = only(joined([codes for codes, _ in some]), keep)
        parts[f"{where}_likeness"] = jax.tree.map(
            lambda *rows: np.concatenate(rows)[keep],  # noqa: B023
            *(likeness for _, likeness in some),
        )
    return Results(**parts, modes=_modes(settings))


def _one(settings: Settings, task: tuple[str, int, int, int]) -> tuple[Codes, Likeness]:
    """One network, and the views that it alone sees."""
    where, depth, horizon, number = task
    see, learn = jr.split(jr.fold_in(jr.key(settings.seed), number))
    world = WORLDS[where](settings.size, horizon)
    ask = PredictAhead.random(world, width=settings.width, key=see)
    how = Teaching(depth, settings.units, settings.rate, settings.updates, settings.gain)
    key = jr.fold_in(jr.fold_in(learn, depth), horizon)
    trained = relu_predictors(ask, how, key[None])
    codes = relu_codes(trained, ask, world, horizon)
    codes = dataclasses.replace(codes, replicate=np.array([number]))
    code, target, best, told = _likeness(trained.replicate(0).system, ask, world)
    return codes, Likeness(code, target, best, told, np.array([settings.gain]))


def _likeness(net: Mlp, ask: PredictAhead, world: Transitions) -> list[np.ndarray]:
    """All columns of `Likeness` but the last."""
    near = world.rows(world.near)
    views = np.asarray(ask.views)
    acts = np.eye(ask.n_actions, dtype=views.dtype)[near.action]
    inputs = jnp.asarray(np.concatenate([views[near.state], acts], axis=1))
    states = np.asarray(jax.vmap(net.encode)(inputs), float)
    best = 0, 0.0  # a line has none
    if near.latent.shape[1] > 1:
        best = best_frequency(states, near.target, near.n_states)
    alike = cka(states, near.latent), cka(views[near.target], near.latent)
    return [np.array([value]) for value in (*alike, *best)]


def _modes(settings: Settings) -> Modes:
    """Over every horizon that the ring has room for."""
    far = np.arange(1, (settings.size - 1) // 2 + 1)
    sizes = np.array([ring_spectrum(settings.size, int(a)) for a in far])
    return Modes(far, sizes, np.array([spectral_participation(row) for row in sizes]))


def claims(results: Results) -> list[Claim]:
    line, ring = results.line, results.ring
    return [
        *(_line(line) if len(line.depth) else []),
        *_optimum(ring),
        *_others(results),
    ]


def _line(codes: Codes) -> list[Claim]:
    """Deep: in order at half of the line. One hidden layer: nowhere."""
    deep = {far: mean_of(codes, "order", depth=4, horizon=far) for far in (1, 5)}
    found = [
        at_least("line, nh = 4, A = 5: order", deep[5], 0.8, "full"),
        at_most("line, nh = 4, A = 1: order", deep[1], 0.6, "full"),
    ]
    most = max(
        mean_of(codes, "order", depth=1, horizon=far)
        for far in np.unique(codes.horizon).tolist()
    )
    return [*found, at_most("line, nh = 1: order, at its best A", most, 0.6, "full")]


def _optimum(codes: Codes) -> list[Claim]:
    """Order at the shortest and at the longest horizon lies below that of three steps."""
    found = []
    for nh in (depth for depth in (4, 6) if depth in codes.depth):
        near, best, far = (mean_of(codes, "order", depth=nh, horizon=a) for a in (1, 3, 9))
        says = f"ring, nh = {nh}: order at A = 3"
        found.append(at_least(f"{says} above A = 1", best - near, 0.0))
        found.append(at_least(f"{says} above A = 9", best - far, 0.0))
        found.append(at_most(f"ring, nh = {nh}, A = 9: order", far, 0.4))
        least = entries(codes, "accuracy", depth=nh, horizon=9).min()
        found.append(reported("  accuracy there, of the worst", least))
    if 6 in codes.depth:
        best = mean_of(codes, "order", depth=6, horizon=3)
        found.append(at_least("ring, nh = 6, A = 3: order", best, 0.85, "full"))
    return found


def _others(results: Results) -> list[Claim]:
    """What has no bar: the best frequency of a ring's code, and how like its targets are."""
    codes, likeness, found = results.ring, results.ring_likeness, []
    for nh in np.unique(codes.depth).tolist():
        for far in np.unique(codes.horizon).tolist():
            here = (codes.depth == nh) & (codes.horizon == far)
            says = f"ring, nh = {nh}, A = {far}: best frequency, middle"
            found.append(reported(says, np.median(likeness.frequency[here])))
            found.append(reported("  order there", likeness.in_order[here].mean()))
    for name, like in (("line", results.line_likeness), ("ring", likeness)):
        if len(like.cka):
            found.append(reported(f"{name}: CKA of the targets", like.raw_cka.mean()))
            found.append(reported("  of the codes, largest", like.cka.max()))
    modes = results.modes
    for far, spread in zip(modes.horizon.tolist(), modes.participation, strict=True):
        if far in codes.horizon:
            found.append(reported(f"closed form, A = {far}: participation ratio", spread))
    return found


def draw(results: Results):
    figure, axes = grid(2, 2, width=7.0, height=5.0)
    for ax, codes, name in (
        (axes[0, 0], results.line, "line"),
        (axes[0, 1], results.ring, "ring"),
    ):
        depths, far = np.unique(codes.depth).tolist(), np.unique(codes.horizon)
        rows = {
            f"nh = {nh}": [entries(codes, "order", depth=nh, horizon=a) for a in far]
            for nh in depths
        }
        if rows:
            over_horizon(ax, far, rows, "order")
        ax.set(title=f"{name}, ReLU, g = {results.ring_likeness.gain[0]:g}", ylim=(-0.05, 1.05))
    modes = results.modes
    rows = {f"k = {k}": list(modes.sizes[:, k, None]) for k in (1, 2, 3, 4)}
    over_horizon(axes[1, 1], modes.horizon, rows, "singular value k, least squares")
    rows = {"least squares": list(modes.participation[:, None])}
    for nh in np.unique(results.ring.depth).tolist():
        values = [
            entries(results.ring, "participation", depth=nh, horizon=a)
            for a in modes.horizon.tolist()
        ]
        rows[f"nh = {nh}"] = values
    over_horizon(axes[1, 0], modes.horizon, rows, "participation ratio, ring")
    return figure
