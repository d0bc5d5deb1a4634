"""At which value does a point change its stability and go on? Hopf points and flips.

Kuznetsov (2004), Elements of Applied Bifurcation Theory, chapters 3 to 5.
"""

import itertools
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from scipy.optimize import brentq

from slowpoint.analysis.branch import Branch, first, follow, join, only_value, second, third
from slowpoint.analysis.events import (
    CLEAR,
    Clock,
    Event,
    FLIP,
    FOLD,
    HOPF,
    NEIMARK_SACKER,
    see,
    Seen,
)
from slowpoint.analysis.folds import fold

TIGHT = 4 * np.finfo(np.float64).eps  # the least that brentq takes


def crossings(branch: Branch, clock: Clock, a: Seen, b: Seen, span: float) -> list[Event]:
    """Every rate whose real part changes its sign between two neighbours, from `a` to `b`.

    The k-th largest real part is continuous in the value, so its signs bracket a root. What
    crosses and comes back in between is not seen.
    """
    fewer, more = sorted(int((np.real(s.rates) > 0).sum()) for s in (a, b))
    events, rank = [], fewer
    while rank < more:
        if not _still_zero(a, b, rank):
            events.append(_cross(branch, clock, a, b, rank, span))
            rank += events[-1].kind in (HOPF, NEIMARK_SACKER)
        rank += 1
    return sorted(events, key=lambda event: abs(event.value - a.value))


def _still_zero(a: Seen, b: Seen, rank: int) -> bool:
    """Whether this rate is zero all the way (a line of points) and its sign is rounding."""
    return max(abs(a.growth(rank)), abs(b.growth(rank))) < 1e-9


def _cross(branch: Branch, clock: Clock, a: Seen, b: Seen, rank: int, span: float) -> Event:
    critical = min(a, b, key=lambda s: abs(s.growth(rank)))
    if _kind(clock, critical, rank) == FOLD:
        event = fold(branch, clock, critical, span)
        low, high = sorted((a.value, b.value))
        if event is not None and low - 1e-9 * span <= event.value <= high + 1e-9 * span:
            return event._replace(regular=False)  # the point went on: no fold ends it
    visited = [a, b]

    def growth(value: float) -> float:
        visited.append(_at(branch, clock, visited, value))
        return max(visited[-1].growth(rank) * clock.tick, -1.0)  # of a multiplier 0: -inf

    try:
        brentq(growth, a.value, b.value, xtol=1e-15 * span, rtol=TIGHT)
    except _LostError:
        return _unresolved(clock, critical, rank)
    best = min(visited, key=lambda s: abs(s.growth(rank)))
    if _kind(clock, best, rank) == FOLD:
        return _unresolved(clock, best, rank)
    return _describe(branch, clock, best, rank, span)


class _LostError(ArithmeticError):
    """The corrector gave up inside a bracket."""


def _at(branch: Branch, clock: Clock, visited: list[Seen], value: float) -> Seen:
    """The branch at `value`, followed from the nearest state that is known."""
    for start in sorted(visited, key=lambda s: abs(s.value - value))[:3]:
        if start.value == value:
            return start
        way = map(jnp.asarray, (start.x, start.value, value - start.value))
        x, arrived, _ = follow(branch, *way)
        if arrived:
            slope = branch.slope(join(x, jnp.asarray(value)))
            return see(clock, np.asarray(x), value, np.asarray(slope))
    raise _LostError


def _kind(clock: Clock, seen: Seen, rank: int) -> int:
    value = complex(seen.eigenvalues[rank])
    if value.imag != 0:
        return NEIMARK_SACKER if clock.discrete else HOPF
    return FLIP if clock.discrete and value.real < -1 else FOLD


def _unresolved(clock: Clock, near: Seen, rank: int) -> Event:
    kind, turn = _kind(clock, near, rank), abs(float(np.imag(near.rates[rank])))
    nan = float("nan")
    return Event(kind, near.value, near.x, nan, turn, nan, nan, False)


def _describe(branch: Branch, clock: Clock, seen: Seen, rank: int, span: float) -> Event:
    value, rate = complex(seen.eigenvalues[rank]), complex(seen.rates[rank])
    z = join(jnp.asarray(seen.x), jnp.asarray(seen.value))
    size = float(jnp.linalg.norm(branch.residual(z)))
    residual = float(np.hypot(size, rate.real * clock.tick))
    try:
        push, bend = _speed(branch, clock, z, value), _cubic(branch, clock, z, value)
    except np.linalg.LinAlgError:  # a resonance, or a rate of zero beside this one
        push, bend = float("nan"), float("nan")
    clear = CLEAR < abs(bend) < np.inf and CLEAR < abs(push) * span < np.inf
    kind, good = _kind(clock, seen, rank), bool(clear and residual < 1e-9)
    return Event(kind, seen.value, seen.x, residual, abs(rate.imag), push, bend, good)


def _eigenvectors(slope: np.ndarray, value: complex) -> tuple[np.ndarray, np.ndarray]:
    """Left p and right q of the eigenvalue nearest to `value`, with |q| = p q = 1."""
    pair = []
    for matrix in (slope.T, slope):
        values, vectors = np.linalg.eig(matrix)
        pair.append(vectors[:, np.argmin(abs(values - value))].astype(complex))
    left, right = pair[0], pair[1] / np.linalg.norm(pair[1])
    return left / (left @ right), right


def _speed(branch: Branch, clock: Clock, z: Array, value: complex) -> float:
    """d Re(rate) / d value along the branch."""
    slope = np.asarray(branch.slope(z))
    left, right = _eigenvectors(slope, value)
    moved = -np.linalg.solve(slope, np.asarray(first(branch, z, only_value(len(z)))))
    tangent = np.append(moved, 1.0)
    change = left @ _complexified(branch, second, z, np.append(right, 0.0), tangent)
    return float(
        np.real(change / (1 + value)) / clock.dt if clock.discrete else np.real(change)
    )


def _cubic(branch: Branch, clock: Clock, z: Array, value: complex) -> float:
    r"""The cubic coefficient (Kuznetsov, section 5.4), in one formula for all three kinds.

    $\frac{w}{\mu}\,p\,[C(q,q,\bar q) - 2B(q, J^{-1}B(q,\bar q)) + B(\bar q, S^{-1}B(q,q))]$,
    $S = 2\lambda - J$ for a Flow and $\mu^2 - 1 - J$ for a Map; w = 1/2, for a flip 1/6.
    """
    slope = np.asarray(branch.slope(z))
    left, q = _eigenvectors(slope, value)
    over = lambda x: np.append(x, 0.0)
    form = lambda f, *ways: _complexified(branch, f, z, *map(over, ways))
    multiplier = 1 + value if clock.discrete else 1.0
    shift = multiplier**2 - 1 if clock.discrete else 2 * value
    mean = np.linalg.solve(slope, form(second, q, q.conj()))
    double = np.linalg.solve(shift * np.eye(len(q)) - slope, form(second, q, q))
    whole = form(third, q, q, q.conj()) - 2 * form(second, q, mean)
    whole = whole + form(second, q.conj(), double)
    weight = 1 / 2 if value.imag else 1 / 6
    return float(np.real(weight * (left @ whole) / multiplier)) / clock.tick


def _complexified(branch: Branch, form: Callable, z: Array, *ways: np.ndarray) -> np.ndarray:
    """A real multilinear form at complex vectors."""
    total = 0j
    for parts in itertools.product((0, 1), repeat=len(ways)):
        real = [np.imag(way) if part else np.real(way) for part, way in zip(parts, ways)]
        if all(part.any() for part in real):
            total = total + 1j ** sum(parts) * np.asarray(form(branch, z, *real))
    return total * np.ones(len(z) - 1)
