"""Which states stand still, when nobody says where to look?

Forward runs find the attractors, mixtures of attractors find the saddles between them, and
the search goes on until the index sum closes and no point was hit only once.
"""

import time

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.analysis.coverage import Coverage, coverage, distinct
from slowpoint.analysis.methods import LevenbergMarquardt, Method, Newton
from slowpoint.analysis.points import FixedPoints, union
from slowpoint.analysis.settle import settle, Settled
from slowpoint.analysis.solve import Box, Seek, solve, Tolerance
from slowpoint.analysis.visit import visit
from slowpoint.core.chance import generator
from slowpoint.core.system import System


class Plan(eqx.Module):
    """How hard to look."""

    forward: int = 128  # forward runs: one basin in twelve is then missed once in 70,000
    guesses: int = 256  # guesses a round
    rounds: int = 8  # at most
    concentration: float = 0.3  # of the Dirichlet weights of a mixture: small favours edges
    jitter: float = 0.05  # standard deviation added to a mixture, per unit
    spread: float = 0.5  # of the noise added to visited states, in their standard deviation
    seconds: float | None = None  # no new round is begun after this


class Search(eqx.Module):
    """What was found, how complete it looks, and how it was looked for."""

    points: FixedPoints
    coverage: Coverage
    forward: Settled
    rounds: tuple[str, ...]  # what each found, in words
    stopped: bool  # by the clock, before it was satisfied


def search(
    system: System,
    *,
    hold: Float[Array | np.ndarray, " input"],
    key: PRNGKeyArray,
    states: Float[Array | np.ndarray, "visited state"] | None = None,
    plan: Plan | None = None,
    box: Box = "auto",
    seek: Seek = "fixed",
    tolerance: Tolerance | None = None,
) -> Search:
    """Every fixed point under `hold` that a patient search can find.

    `states` are states that the network visits; without them it is driven by random inputs.
    """
    plan = Plan() if plan is None else plan
    tolerance = Tolerance() if tolerance is None else tolerance
    end = time.monotonic() + (np.inf if plan.seconds is None else plan.seconds)
    drive, first, *keys = jr.split(key, plan.rounds + 2)
    if states is None:
        driven = visit(system, hold, key=drive).states
        states = driven.reshape(-1, system.state_size)
    visited = np.asarray(states, np.float64)
    starts = generator(first).permutation(len(visited))[: plan.forward]
    half = (end - time.monotonic()) / 2
    forward = settle(system, visited[starts], hold, seconds=half)
    known, _ = distinct(forward.ends[forward.settled], near=1e-4)

    def look(method: Method, guesses: np.ndarray) -> FixedPoints:
        options = {"box": box, "seek": seek, "tolerance": tolerance}
        left = end - time.monotonic()
        return solve(system, guesses, hold=hold, method=method, seconds=left, **options)

    method: Method = Newton(via=system.easier())
    rest = np.asarray(system.initial, np.float64)
    points = look(method, np.vstack([known, rest]))  # what is likely comes first
    seen, says = coverage(system, points, forward), []
    stopped = False
    for number, key in enumerate(keys):
        guesses, source = _guesses(generator(key), number, known, visited, plan)
        if number % 4 == 3:  # what is known stays out of the way of what is not
            method = Newton(via=method.via, avoid=_padded(points.fixed.states))
            source += ", deflated"
        found = look(method, guesses)
        arrived = float((found.guess_index >= 0).mean())
        points = union(points, found, tolerance.same)
        seen = coverage(system, points, forward)
        says.append(
            f"{len(guesses)} guesses, {source}, {type(method).__name__}: {arrived:.0%} "
            f"arrived; {len(points)} points, index sum {seen.index_sum}"
        )
        stopped = time.monotonic() > end
        if stopped or _closed(seen, number):
            break
        method = Newton(via=method.via)
        if arrived < 0.5:
            method = LevenbergMarquardt(via=method.via)
    return Search(points, seen, forward, tuple(says), stopped)


def _closed(seen: Coverage, number: int) -> bool:
    """Whether nothing speaks for another round."""
    if seen.missed_attractors or seen.singletons:
        return False
    return seen.index_sum == 1 or (seen.index_sum is None and number >= 1)


def _guesses(
    chance: np.random.Generator,
    number: int,
    known: np.ndarray,
    visited: np.ndarray,
    plan: Plan,
) -> tuple[np.ndarray, str]:
    """`(guesses, what they are)`: mixtures of attractors, now and then visited states."""
    if len(known) < 2 or number % 4 == 2:
        rows = chance.integers(len(visited), size=plan.guesses)
        spread = plan.spread * visited.std(axis=0)
        noise = chance.standard_normal((plan.guesses, visited.shape[1]))
        return visited[rows] + spread * noise, "visited states"
    return mixtures(chance, known, plan), f"mixtures of {len(known)} attractors"


def _padded(states: np.ndarray, block: int = 64) -> Float[Array, "known state"]:
    """`states` and, up to a multiple of `block` rows, states too far to be felt."""
    missing = -len(states) % block
    return jnp.asarray(np.pad(states, np.array([(0, missing), (0, 0)]), constant_values=1e8))


def mixtures(
    chance: np.random.Generator, attractors: Float[np.ndarray, "attractor state"], plan: Plan
) -> Float[np.ndarray, "guess state"]:
    """Weighted means of attractors, where the saddles between them are."""
    alpha = np.full(len(attractors), plan.concentration)
    weights = chance.dirichlet(alpha, plan.guesses)
    noise = chance.standard_normal((plan.guesses, attractors.shape[1]))
    return weights @ attractors + plan.jitter * noise
