"""How do many guesses run at once without waiting for the slowest?

Lanes move in blocks of a few steps; those that are done leave, the rest are packed again.
"""

import time
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from slowpoint.analysis.methods import Lane, Method
from slowpoint.analysis.problem import Problem
from slowpoint.analysis.rows import buckets


class Arrived(NamedTuple):
    """Where the guesses are, after how many steps, and which are done rather than stopped."""

    x: np.ndarray
    steps: np.ndarray
    done: np.ndarray


def run_lanes(
    method: Method,
    problem: Problem,
    guesses: np.ndarray,
    holds: np.ndarray,
    *,
    seconds: float | None = None,
) -> Arrived:
    """Every guess at the end of its way.

    After `seconds` no new block is begun; lanes that were not done stay where they are.
    """
    if len(guesses) == 0:
        return Arrived(guesses, np.zeros(0, int), np.zeros(0, bool))
    active = np.arange(len(guesses))
    lanes = _begin_all(method, guesses, holds)
    end = time.monotonic() + (np.inf if seconds is None else seconds)
    while len(active) and time.monotonic() < end:
        for piece, count in buckets(active, guesses.shape[1], method.width):
            moved = _host(_advance(method, problem, _rows(lanes, piece)))
            _write(lanes, piece[:count], moved)
        active = active[~lanes.done[active] & (lanes.steps[active] < method.max_steps)]
    return Arrived(np.asarray(lanes.x), np.asarray(lanes.steps, int), np.asarray(lanes.done))


def _begin_all(method: Method, guesses: np.ndarray, holds: np.ndarray) -> Lane:
    parts = []
    for piece, count in buckets(np.arange(len(guesses)), guesses.shape[1], method.width):
        begun = _begin(method, jnp.asarray(guesses[piece]), jnp.asarray(holds[piece]))
        parts.append(jax.tree.map(lambda a, count=count: a[:count], _host(begun)))
    return jax.tree.map(lambda *a: np.concatenate(a), *parts)


def _host(lanes: Lane) -> Lane:
    return jax.tree.map(np.array, lanes)  # a writable copy


def _rows(lanes: Lane, index: np.ndarray) -> Lane:
    return jax.tree.map(lambda a: jnp.asarray(a[index]), lanes)


def _write(lanes: Lane, index: np.ndarray, moved: Lane) -> None:
    def put(old, new):
        old[index] = new[: len(index)]

    jax.tree.map(put, lanes, moved)


@eqx.filter_jit
def _begin(method: Method, guesses, holds) -> Lane:
    return jax.vmap(method.start)(guesses, holds)


@eqx.filter_jit
def _advance(method: Method, problem: Problem, lanes: Lane) -> Lane:
    def block(lane):
        step = lambda _, lane: method.step(problem, lane)
        return jax.lax.fori_loop(0, min(method.block, method.max_steps), step, lane)

    return jax.vmap(block)(lanes)
