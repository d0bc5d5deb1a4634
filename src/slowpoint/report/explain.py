"""What does this trained network remember, and how? One call asks every question.

A network goes in; its points, their stability, the way between them and a page come out.
"""

import dataclasses
import os
import sys
import time

import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from slowpoint.analysis.basins import Basins, basins
from slowpoint.analysis.coverage import Coverage
from slowpoint.analysis.escapes import checked_noise
from slowpoint.analysis.flips import Flips, flips
from slowpoint.analysis.geometry import participation_ratio, PCA, pca
from slowpoint.analysis.methods import LevenbergMarquardt, Newton
from slowpoint.analysis.points import FixedPoints, union
from slowpoint.analysis.search import Plan, search
from slowpoint.analysis.solve import solve, Tolerance
from slowpoint.analysis.topology import Topology, topology
from slowpoint.analysis.visit import visit, Visited
from slowpoint.core.chance import generator
from slowpoint.core.result import save_all
from slowpoint.core.system import Flow, System
from slowpoint.core.wrap import Sampled
from slowpoint.report.forecast import foresee, Foreseen
from slowpoint.report.units import as_mask

Numbers = Array | np.ndarray
SLOW_UNITS = 256  # above it the full Hessian of q takes minutes, and slow points are left out


@dataclasses.dataclass(frozen=True)
class Findings:
    """The Results of every question; each is saved as its own `.npz`."""

    points: FixedPoints
    coverage: Coverage
    topology: Topology
    basins: Basins
    flips: Flips
    frame: PCA
    visited: Visited


@dataclasses.dataclass(frozen=True)
class Explanation:
    """What was found, about which network, and what a reader must know of how."""

    findings: Findings
    system: System
    notes: tuple[str, ...]  # what was assumed, sampled or left out
    rounds: tuple[str, ...]  # of the search
    stopped: bool  # whether the search was stopped by the clock
    dimension: float  # participation ratio of the visited states
    noise: bool = False  # whether a forecast was asked for
    foreseen: Foreseen | None = None  # None: it was not, or there is no stable point

    def save(self, folder: str | os.PathLike) -> None:
        """Write every Result into `folder`, which must exist."""
        save_all(folder, self.findings)
        if self.foreseen is not None:
            self.foreseen.save(folder)


def explain(
    system: System,
    *,
    key: PRNGKeyArray,
    hold: Float[Numbers, " input"] | None = None,
    states: Float[Numbers, "... state"] | None = None,
    units: Int[Numbers, " unit"] | None = None,
    noise: Float[Numbers, "..."] | float | None = None,
    seconds: float = 80.0,
    quiet: bool = False,
) -> Explanation:
    """Points of `system` under `hold` (zeros), who is whose neighbour, basins, smallest pushes.

    `states` are states the network visits on its task; without them it is driven by random
    inputs. `units` are the numbers of those that may be stimulated: a second push changes
    only them. With `noise`, its standard deviation on every input or on each, how long every
    memory lasts is forecast. What a large network does not get done in `seconds` is left
    undecided, and said. A Flow is explained as the Euler steps it was trained with. Raises
    ValueError when sizes disagree.
    """
    say = _Progress(quiet)
    end = time.monotonic() + seconds
    left = lambda share: share * max(0.0, end - time.monotonic())
    system, hold, notes = _settled_question(system, hold)
    mask = None if units is None else as_mask(np.asarray(units), system.state_size)
    noise = None if noise is None else checked_noise(system, noise)
    drive, look, part, pick, some, cross = jr.split(key, 6)
    say("driving the network")
    visited = visit(system, hold, key=drive)
    cloud = _seen(system, visited, states, notes)
    say("looking for fixed points")
    found = search(system, hold=hold, key=look, states=cloud, plan=_plan(system, left(0.6)))
    points = found.points
    if _small_enough(system, "Slow points were not looked for: they need", notes):
        say("looking for slow points")
        points = union(points, _slow(system, cloud, hold, pick), Tolerance().same)
    say("letting go of the saddles")
    graph = topology(system, points, hold, key=part, seconds=left(0.5))
    stable = points.states[graph.attractors]
    say("measuring the basins")
    rows = generator(some).choice(len(cloud), min(len(cloud), 200), replace=False)
    shares = basins(system, cloud[rows], stable, hold, seconds=left(0.5))
    say("crossing the separatrices")
    limits = {"seconds": left(1.0 if noise is None else 0.5), "key": cross}
    ways = flips(system, points, graph, hold, mask=mask, **limits)
    foreseen = None
    if noise is not None and _small_enough(system, "No forecast was made: it needs", notes):
        say("forecasting how long memories last")
        limits = {"seconds": left(1.0), "key": jr.fold_in(cross, 1)}
        foreseen = foresee(system, points, graph, hold, noise, **limits)
    frame = pca(np.vstack([cloud, points.states]))
    findings = Findings(points, found.coverage, graph, shares, ways, frame, visited)
    say("")
    ratio = participation_ratio(cloud)
    said = tuple(notes), found.rounds, found.stopped, ratio
    return Explanation(findings, system, *said, noise is not None, foreseen)


def _settled_question(
    system: System, hold: Numbers | None
) -> tuple[System, np.ndarray, list[str]]:
    """Which System is asked, under which input, and what of that was not said by the caller."""
    notes = []
    if isinstance(system, Flow):
        system = Sampled(system)
        notes.append(
            "The network is a flow; what was trained, and is explained, are its steps."
        )
    if hold is None:
        hold = np.zeros(system.input_size)
        if system.input_size:
            notes.append("No input was named: all inputs are held at zero.")
    return system, _checked_hold(system, hold), notes


def _seen(
    system: System, visited: Visited, states: Numbers | None, notes: list[str]
) -> Float[np.ndarray, "visited state"]:
    """The states that were given, else the sampled ones; says in `notes` which."""
    if states is None:
        notes.append(f"States were sampled: {visited.how}")
        return visited.states.reshape(-1, system.state_size)
    cloud = checked_states(system, states)
    notes.append(f"{len(cloud)} visited states were given.")
    return cloud


def _small_enough(system: System, without: str, notes: list[str]) -> bool:
    """Whether full Hessians can be had; when not, `notes` say what is left out."""
    if system.state_size <= SLOW_UNITS:
        return True
    notes.append(
        f"{without} full Hessians, which are done up to {SLOW_UNITS} numbers of state; this "
        f"network has {system.state_size}."
    )
    return False


def checked_states(
    system: System, states: Float[Numbers, "... state"]
) -> Float[np.ndarray, "visited state"]:
    """Visited states as rows. Raises ValueError when they can't be this network's."""
    cloud = np.asarray(states, float)
    if cloud.ndim < 2 or cloud.shape[-1] != system.state_size:
        raise ValueError(
            f"The states have shape {cloud.shape}, the network has {system.state_size} numbers "
            f"of state. Give an array whose last axis is {system.state_size} long."
        )
    cloud = cloud.reshape(-1, system.state_size)
    if not np.isfinite(cloud).all():
        row = int(np.argwhere(~np.isfinite(cloud))[0][0])
        raise ValueError(f"State {row} is not finite. Leave it out, or record again.")
    if len(cloud) < 2 or np.ptp(cloud, axis=0).max() == 0:
        raise ValueError(
            f"{len(cloud)} states came, all of them the same: that says nothing about where "
            "the network goes. Give states of several trials, or leave them out."
        )
    return cloud


def _checked_hold(system: System, hold: Numbers) -> np.ndarray:
    hold = np.asarray(hold, float)
    if hold.shape != (system.input_size,) or not np.isfinite(hold).all():
        raise ValueError(
            f"hold is {hold.tolist()}, the network takes {system.input_size} inputs. Give "
            f"{system.input_size} finite numbers: --hold {','.join(['0'] * system.input_size)}"
        )
    return hold


def _plan(system: System, seconds: float) -> Plan:
    """Fewer guesses where each costs more: an LU factorisation is cubic in the units."""
    if system.state_size > SLOW_UNITS:
        return Plan(guesses=64, forward=24, seconds=seconds)
    return Plan(seconds=seconds)


def _slow(
    system: System, cloud: np.ndarray, hold: np.ndarray, key: PRNGKeyArray
) -> FixedPoints:
    """Local minima of speed that visited states lead to."""
    rows = generator(key).choice(len(cloud), min(24, len(cloud)), replace=False)
    method = LevenbergMarquardt() if system.easier() is None else Newton(via=system.easier())
    options = {"method": method, "tolerance": Tolerance(), "seek": "slow"}
    return solve(system, cloud[rows], hold=hold, **options)


class _Progress:
    """One line on a terminal that says what is being done, and for how long it has been."""

    def __init__(self, quiet: bool):
        self.quiet = quiet or not sys.stderr.isatty()
        self.begun = time.monotonic()

    def __call__(self, what: str) -> None:
        if not self.quiet:
            line = f"[{time.monotonic() - self.begun:4.0f} s] {what} ..." if what else ""
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
