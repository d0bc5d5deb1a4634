"""Which finder finds what share of the points, and at what cost, where all are known?

Four networks have points known on paper: linear (1), rank one (3), Duffing (3) and Hopfield
(81). The fifth is a trained 3-bit GRU. Its reference is the union of all points found here:
complete by 3^3 = 27, by its index sum of +1 and by forward runs, not by proof.

CPU seconds count BLAS threads that wait for each other, many times the work on a busy
machine. OPENBLAS_NUM_THREADS=1 in the environment gives clean ones.

Paper: Sussillo and Barak 2013, Neural Computation 25, 626; Golub and Sussillo 2018,
Journal of Open Source Software 3, 1003, descends on q by Adam.
Takes: 29 s quick, 3 min full
"""

import dataclasses
import functools
import time
from typing import TypeVar

import jax
import jax.random as jr
import numpy as np
import pydantic
from jaxtyping import Array, Float, Int, Key, Shaped

from slowpoint.analysis.coverage import distinct, index_sum
from slowpoint.analysis.lanes import run_lanes
from slowpoint.analysis.methods import Adam, LevenbergMarquardt, Method, Newton
from slowpoint.analysis.points import FixedPoints, union
from slowpoint.analysis.problem import Problem
from slowpoint.analysis.search import Search, search
from slowpoint.analysis.solve import solve, Tolerance
from slowpoint.analysis.visit import visit
from slowpoint.core.chance import generator
from slowpoint.core.claim import at_least, at_most, Claim, equal
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.plots.guesses import cost, share_found
from slowpoint.plots.style import grid
from slowpoint.theory.known_points import duffing, hopfield, Known, linear, rank_one
from slowpoint.weights.trained import flipflop_gru

R = TypeVar("R", bound=Result)
TRUE = 1e-8  # distance within which a point found is the known one
NEAR = 1e-2  # distance within which descent in float32 has approached it


class Settings(Base):
    guesses: tuple[int, ...] = pydantic.Field(
        default=(16, 64, 256, 1024), min_length=1, description="numbers of guesses"
    )
    keys: int = pydantic.Field(default=5, ge=1, description="of the default search")
    descent: int = pydantic.Field(default=5000, ge=1, description="steps of Adam")
    few: bool = pydantic.Field(
        default=False, description="the GRU: the search and Newton with most guesses only"
    )


QUICK = Settings(guesses=(16, 64, 256), keys=2, descent=2000, few=True)


class Solves(Result):
    """One row per system, method and number of guesses."""

    system: Shaped[np.ndarray, " row"]
    method: Shaped[np.ndarray, " row"]
    guesses: Int[np.ndarray, " row"]
    known: Int[np.ndarray, " row"]
    found: Int[np.ndarray, " row"]  # of the known points
    arrived: Float[np.ndarray, " row"]  # share of the guesses that ended at one
    others: Int[np.ndarray, " row"]  # points returned that are none of them
    off: Float[np.ndarray, " row"]  # largest distance of a returned point from a known one
    index_sum: Float[np.ndarray, " row"]  # NaN: unknown, or no points are certified
    steps: Float[np.ndarray, " row"]  # per guess
    seconds: Float[np.ndarray, " row"]  # of CPU, compiled before


class Searches(Result):
    """One row per system and key of the default search; fields as in Solves."""

    system: Shaped[np.ndarray, " row"]
    guesses: Int[np.ndarray, " row"]  # forward runs are not counted
    known: Int[np.ndarray, " row"]
    found: Int[np.ndarray, " row"]
    others: Int[np.ndarray, " row"]
    off: Float[np.ndarray, " row"]
    index_sum: Float[np.ndarray, " row"]
    attractors: Int[np.ndarray, " row"]  # that forward runs came to rest in
    seconds: Float[np.ndarray, " row"]


@dataclasses.dataclass(frozen=True)
class Results:
    solves: Solves
    searches: Searches
    memory: FixedPoints  # all points found of the GRU


def run(settings: Settings) -> Results:
    make, draw, look, drive = jr.split(jr.key(settings.seed), 4)
    a, b, c = jr.split(make, 3)
    exact = [linear(20, a), rank_one(64, b), hopfield(16, 2, c), duffing()]
    draws, looks = jr.split(draw, len(exact)), jr.split(look, (len(exact) + 1, settings.keys))
    solves, searches = [], []
    for known, key, keys in zip(exact, draws, looks):
        reach = 1 + np.abs(known.points).max()  # a cube with all points, 1 more on each side
        shape = max(settings.guesses), known.system.state_size
        cloud = generator(key).uniform(-reach, reach, shape)
        searches += [_search_row(known, *one) for one in _searches(known, keys, cloud[:256])]
        methods = _methods(known, settings.descent, reach)
        solves += _solve_rows(known, methods, cloud, settings.guesses)
    memory, rows, more = _gru(settings, drive, looks[-1])
    return Results(_stack(Solves, solves + rows), _stack(Searches, searches + more), memory)


def _methods(known: Known, descent: int, reach: float) -> dict[str, Method]:
    easier = known.system.easier()
    ungated = {} if easier is None else {"Newton, ungated": Newton(via=easier)}
    return {
        "Newton": Newton(),
        **ungated,
        "Levenberg-Marquardt": LevenbergMarquardt(),
        "Adam": Adam(max_steps=descent, rate=reach / 100),
    }


def _gru(
    settings: Settings, key, keys: Key[Array, " key"]
) -> tuple[FixedPoints, list[dict], list[dict]]:
    """`(all points found, rows of Solves, rows of Searches)` of the trained GRU."""
    net, hold, most = flipflop_gru(), np.zeros(3), max(settings.guesses)
    drive, spread = jr.split(key)
    visited = visit(net, hold, key=drive).states.reshape(-1, net.state_size)
    chance = generator(spread)
    cloud = chance.permutation(visited.astype(float))[:most]
    cloud = cloud + 0.5 * chance.standard_normal(cloud.shape)
    known = Known("GRU", net, hold, np.zeros((0, net.state_size)))
    methods, counts = _methods(known, settings.descent, 1.0), settings.guesses
    if settings.few:
        methods, counts = {"Newton, ungated": methods["Newton, ungated"]}, (most,)
    timed = _searches(known, keys, None)
    parts = [found.points for found, _ in timed]
    parts += [_solve(known, m, cloud) for m in methods.values() if m.double]
    memory = functools.reduce(lambda a, b: union(a, b, Tolerance().same), parts)
    known = Known("GRU", net, hold, memory.states)
    rows = _solve_rows(known, methods, cloud, counts)
    return memory, rows, [_search_row(known, *one) for one in timed]


def _solve(known: Known, method: Method, guesses: np.ndarray) -> FixedPoints:
    return solve(known.system, guesses, hold=known.hold, method=method, tolerance=Tolerance())


def _searches(
    known: Known, keys: Key[Array, " key"], states: np.ndarray | None
) -> list[tuple[Search, float]]:
    """What the default search finds with each key, and its CPU seconds."""
    timed = []
    for key in [keys[0], *keys]:  # the first compiles, and is not counted
        begun = time.process_time()
        found = search(known.system, hold=known.hold, key=key, states=states)
        timed.append((found, time.process_time() - begun))
    return timed[1:]


def _search_row(known: Known, found: Search, seconds: float) -> dict[str, object]:
    index = found.coverage.index_sum
    return _against(known, found.points.states, TRUE) | {
        "system": known.name,
        "guesses": len(found.points.guess_kinds),
        "index_sum": np.nan if index is None else float(index),
        "attractors": len(found.coverage.attractors),
        "seconds": seconds,
    }


def _solve_rows(known: Known, methods, cloud, counts) -> list[dict[str, object]]:
    rows = []
    for name, method in methods.items():
        for count in counts:
            _row(known, method, cloud[:count])  # compiles
            row = _row(known, method, cloud[:count])
            rows.append(row | {"system": known.name, "method": name, "guesses": count})
    return rows


def _row(known: Known, method: Method, guesses: np.ndarray) -> dict[str, object]:
    begun = time.process_time()
    if not method.double:
        ends, steps = _descend(known, method, guesses)
        seconds = time.process_time() - begun
        near = _distances(ends, known.points).min(axis=1) < NEAR
        states, _ = distinct(ends, near=1e-3)
        more = {"index_sum": np.nan, "arrived": near.mean()}
        return _against(known, states, NEAR) | more | {"steps": steps, "seconds": seconds}
    points = _solve(known, method, guesses)
    seconds = time.process_time() - begun
    index, _ = index_sum(known.system, points)
    return _against(known, points.states, TRUE) | {
        "arrived": float((points.guess_index >= 0).mean()),
        "index_sum": np.nan if index is None else float(index),
        "steps": float(points.guess_steps.mean()),
        "seconds": seconds,
    }


def _descend(known: Known, method: Method, guesses: np.ndarray) -> tuple[np.ndarray, float]:
    """Where a method in float32 ends, whatever the ends are worth, and its steps."""
    with jax.enable_x64(False):
        holds = np.broadcast_to(known.hold, (len(guesses), known.system.input_size))
        single = guesses.astype(np.float32), holds.astype(np.float32)
        lanes = run_lanes(method, Problem(known.system), *single)
    return lanes.x.astype(float), float(lanes.steps.mean())


def _distances(states: np.ndarray, points: np.ndarray) -> Float[np.ndarray, "state point"]:
    return np.linalg.norm(states[:, None] - points[None], axis=2)


def _against(known: Known, states: np.ndarray, within: float) -> dict[str, object]:
    """How the `states` that a finder returned compare with the points that there are."""
    apart = _distances(states, known.points)
    return {
        "known": len(known.points),
        "found": int((apart.min(axis=0, initial=np.inf) < within).sum()),
        "others": int((apart.min(axis=1, initial=np.inf) >= within).sum()),
        "off": float(apart.min(axis=1, initial=np.inf).max(initial=0.0)),
    }


def _stack(kind: type[R], rows: list[dict[str, object]]) -> R:
    names = [field.name for field in dataclasses.fields(kind)]
    return kind(**{name: np.array([row[name] for row in rows]) for name in names})


def claims(results: Results) -> list[Claim]:
    solves, searches, memory = results.solves, results.searches, results.memory
    exact, sure = solves.system != "GRU", solves.method != "Adam"
    proven = searches.system != "GRU"
    off = max(solves.off[exact & sure].max(), searches.off[proven].max())
    others = solves.others[exact & sure].sum() + searches.others[proven].sum()
    missing, index = solves.known - solves.found, solves.index_sum
    unnoticed = (missing % 2 == 1) & (index == 1)
    wrong = (missing == 0) & ~np.isnan(index) & (index != 1)
    by_index = np.bincount(memory.n_unstable, minlength=4)
    return [
        at_most("distance of a point returned by Newton or LM from a known one", off, TRUE),
        equal("points returned by them that are none of the known", others, 0),
        equal(
            "default searches that missed a point", (searches.found < searches.known).sum(), 0
        ),
        equal("complete sets whose index sum is known and not +1", wrong.sum(), 0),
        equal("sets that lack an odd number and have an index sum of +1", unnoticed.sum(), 0),
        at_least(
            "share of incomplete sets that the index sum tells (half if signs were tossed)",
            _told(solves)[missing > 0][~np.isnan(index[missing > 0])].mean(),
            0.5,
        ),
        equal("fixed points of the GRU", len(memory), 27),
        equal(
            "its corners, edges, faces and middle, with 8, 12, 6 and 1 points",
            (by_index[:4] == [8, 12, 6, 1]).sum(),
            4,
        ),
    ]


def draw(results: Results):
    solves, searches = results.solves, results.searches
    names = list(dict.fromkeys(searches.system.tolist()))
    figure, (above, below) = grid(2, len(names), width=9.5, height=4.4)
    for name, top, bottom in zip(names, above, below):
        looked = searches.system == name
        rows = _by_method(solves, name)
        stars = searches.guesses[looked], (searches.found / searches.known)[looked]
        found = solves.found / solves.known
        told = _told(solves)
        curves = {method: (solves.guesses[r], found[r]) for method, r in rows.items()}
        share_found(top, curves, {method: told[r] for method, r in rows.items()}, stars)
        curves = {method: (solves.guesses[r], solves.seconds[r]) for method, r in rows.items()}
        cost(bottom, curves, (searches.guesses[looked], searches.seconds[looked]))
        top.set_title(f"{name} ({searches.known[looked][0]})", fontsize=9)
    above[0].set_ylabel("share of the points found", fontsize=8)
    below[0].set_ylabel("CPU seconds")
    handles = {label: h for ax in above for h, label in zip(*ax.get_legend_handles_labels())}
    figure.legend(handles.values(), handles, fontsize=7, ncols=5, loc="outside lower center")
    return figure


def _told(solves: Solves) -> np.ndarray:
    """Whether the index sum says that points are missing."""
    return ~np.isnan(solves.index_sum) & (solves.index_sum != 1)


def _by_method(solves: Solves, system: str) -> dict[str, np.ndarray]:
    """The rows of each method on one system."""
    mine = solves.system == system
    methods = dict.fromkeys(solves.method[mine].tolist())
    return {method: np.flatnonzero(mine & (solves.method == method)) for method in methods}
