"""How long will each memory last in noise, and what becomes of it? Forecast, and counted."""

import dataclasses
import os

import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, Shaped

from slowpoint.analysis.departures import Departures, departures
from slowpoint.analysis.escapes import checked_noise, Escapes, escapes, NO_TIME, STRONG
from slowpoint.analysis.points import FixedPoints, SLOW
from slowpoint.analysis.residence import Residence, residence
from slowpoint.analysis.topology import Topology
from slowpoint.core.result import Result, save_all
from slowpoint.core.system import System
from slowpoint.report.parts import Part, Section, Table, Words
from slowpoint.theory.escape import escape_time, free_exit_time, noisy_exit_time, together

Numbers = Array | np.ndarray
RUNS, MOST = 32, 3000  # of the simulation: runs from each memory, steps of a run
SHOWN = 60  # rows of the table at most; forecast.npz holds all
NO_SADDLE = "no saddle is known to lead away"
NO_MODE = "no single slow mode leads away"
NO_NOISE = "no single slow mode leads away: steps without noise"
TOO_NOISY = "the noise is too strong to forecast in"
NO_WAY = "no way out was found and proved"
LATE = "not done: the time was over"
AT_MOST = "some ways out were not found: at most"


class Forecast(Result):
    """One row per memory: the stable points, then the slow points. Times are in steps."""

    memories: Int[np.ndarray, " memory"]  # rows of the points
    places: Int[np.ndarray, " place"]  # rows of the stable ones
    steps: Float[np.ndarray, " memory"]  # mean residence; NaN: undefined, see `says`
    shares: Float[np.ndarray, "memory place"]  # of its departures that go there
    says: Shaped[np.ndarray, " memory"]  # why it is undefined, or what it lacks; else nothing
    bound: Bool[np.ndarray, " memory"]  # `steps` is an upper bound
    noise: Float[np.ndarray, " input"]  # standard deviation per step


@dataclasses.dataclass(frozen=True)
class Foreseen:
    """The forecast, what it is made of, and the simulation beside it."""

    forecast: Forecast
    escapes: Escapes
    departures: Departures
    residence: Residence

    def save(self, folder: str | os.PathLike) -> None:
        """Write every Result into `folder`."""
        save_all(folder, self)


def foresee(
    system: System,
    points: FixedPoints,
    topology: Topology,
    hold: Float[Numbers, " input"],
    noise: Float[Numbers, "..."] | float,
    *,
    key: PRNGKeyArray,
    seconds: float = 60.0,
) -> Foreseen | None:
    """How long each memory lasts under input noise, and where it goes; None: there is none.

    `noise`: standard deviation around `hold`, of every input or of each. Raises ValueError when
    that can't be.
    """
    noise = checked_noise(system, noise)
    places = topology.attractors
    if not len(places):
        return None
    slow = np.flatnonzero((points.kinds == SLOW) & ~points.degenerate)
    ways = escapes(system, points, topology, hold, noise, seconds=seconds)
    modes = departures(system, points.rows(np.isin(np.arange(len(points)), slow)), hold, noise)
    homes, goals = points.states[[*places, *slow]], points.states[places]
    quiet, loud = jr.split(key)
    options = {"runs": 1, "most": MOST, "key": quiet}
    free = residence(system, points.states[slow], goals, hold, 0 * noise, **options)
    options = {"runs": RUNS, "most": MOST, "key": loud}
    counted = residence(system, homes, goals, hold, noise, **options)
    forecast = _joined(_of_stable(ways, places), _of_slow(modes, free), places, slow, noise)
    return Foreseen(forecast, ways, modes, counted)


def _of_stable(ways: Escapes, places: np.ndarray):
    """`(steps, shares, says, bound)` of the stable points."""
    good = ways.proved
    times = escape_time(ways.rate, ways.amplitude, ways.barrier)[good]
    steps, shares = together(times, ways.origin[good], ways.target[good], places)
    lost = np.isin(places, ways.origin[ways.code == STRONG])
    steps, shares = np.where(lost, np.nan, steps), np.where(lost[:, None], np.nan, shares)
    says = []
    for row, place in enumerate(places):
        mine = ways.origin == place
        if not mine.any():
            says.append(NO_SADDLE)
        elif (ways.code[mine] == STRONG).any():
            says.append(TOO_NOISY)
        elif not good[mine].any():
            says.append(LATE if (ways.code[mine] == NO_TIME).any() else NO_WAY)
        elif np.isnan(steps[row]):
            says.append(TOO_NOISY)
        else:
            says.append("" if good[mine].all() else AT_MOST)
    return steps, shares, says


def _of_slow(modes: Departures, free: Residence):
    """The same of the slow points: the steps counted without noise, shortened by noise."""
    shares = np.full((len(free.homes), len(free.places)), np.nan)
    steps, says = np.full(len(shares), np.nan), []
    for row in range(len(shares)):
        form, goes = (modes.bend[row], modes.push[row]), bool(free.left[row])
        if goes:
            steps[row] = free.steps[row, 0]
            shares[row] = np.arange(shares.shape[1]) == free.gone[row, 0]
        if not modes.defined[row]:
            says.append(NO_NOISE if goes else NO_MODE)
            continue
        noisy = noisy_exit_time(*form, modes.diffusion[row], modes.start[row])
        still = free_exit_time(*form, modes.start[row])
        steps[row] = noisy * (steps[row] / still if goes else 1.0)
        says.append("")
    return steps, shares, says


def _joined(stable, slow, places, rows, noise) -> Forecast:
    steps, shares, says = (np.concatenate(pair) for pair in zip(stable, slow))
    says = np.array([str(word) for word in says], dtype="<U60")
    return Forecast(
        memories=np.concatenate([places, rows]).astype(int),
        places=places,
        steps=steps,
        shares=shares,
        says=says,
        bound=says == AT_MOST,
        noise=noise,
    )


def forecast_section(foreseen: Foreseen | None, dt: float) -> Section:
    """The section of the page; `dt` is a step's time."""
    heading = "How long a memory lasts in noise"
    if foreseen is None:
        return Section(heading, [Words("There is no stable point: nothing to go to.")])
    found = foreseen.forecast
    head = ["memory", "forecast (steps)", "(time)", "goes to"]
    head += ["counted (steps)", "95 %", "left", "went to", ""]
    rows = [_cells(foreseen, row, dt) for row in range(min(SHOWN, len(found.memories)))]
    parts: list[Part] = [Words(_how(foreseen)), Table("Residence in noise", head, rows)]
    return Section(heading, parts)


def _cells(foreseen: Foreseen, row: int, dt: float) -> list[str]:
    found, counted = foreseen.forecast, foreseen.residence
    steps, mean = found.steps[row], counted.mean[row]
    low, high = counted.range[row]
    known = np.isfinite(steps)
    mark = "at most " if found.bound[row] else ""
    seen = bool(counted.left[row])
    return [
        str(found.memories[row]),
        f"{mark}{steps:.3g}" if known else "undefined",
        f"{steps * dt:.3g}" if known else "-",
        _places(found.places, found.shares[row]),
        f"{mean:.3g}" if seen else f"stays longer than {counted.most}",
        f"{low:.3g} to {high:.3g}" if seen else f"{low:.3g} or more",
        f"{counted.left[row]} of {counted.steps.shape[1]}",
        _places(found.places, counted.shares[row]),
        str(found.says[row]),
    ]


def _places(places: np.ndarray, shares: np.ndarray) -> str:
    """The places gone to, the most likely first."""
    likely = [i for i in np.argsort(-shares) if shares[i] >= 0.005]
    return ", ".join(f"{places[i]} ({shares[i]:.0%})" for i in likely) or "-"


def _how(foreseen: Foreseen) -> str:
    noise = foreseen.forecast.noise
    even = bool((noise == noise[0]).all())
    sizes = f"{noise[0]:g} on every input" if even else ", ".join(f"{v:g}" for v in noise)
    runs = foreseen.residence.steps.shape[1]
    return (
        f"Noise: standard deviation {sizes}, drawn anew at each step around the held input. "
        "Forecast of a stable point: the cheapest course of noise over each neighbouring "
        "saddle, proved by simulation, and how wide that way is; it is meant for weak noise. "
        "Of a slow point: the steps it takes without noise, shortened as in the normal form of "
        "a fold where one slow mode leads away. "
        f"Counted: {runs} runs until they are at most half as far from another stable point as "
        "from home; a run that never left counts as its steps."
    )


def forecast_summary(foreseen: Foreseen | None) -> list[str]:
    """The shortest and the longest memory in a sentence."""
    if foreseen is None or not np.isfinite(foreseen.forecast.steps).any():
        return []
    found = foreseen.forecast
    order = np.argsort(found.steps)[: int(np.isfinite(found.steps).sum())]
    first, last = order[0], order[-1]
    longest = f"; memory {found.memories[last]} lasts longest, {found.steps[last]:.3g}"
    return [
        f"In noise memory {found.memories[first]} goes first, after {found.steps[first]:.3g} "
        f"steps in the mean, to {_places(found.places, found.shares[first])}"
        f"{longest if last != first else ''}."
    ]
