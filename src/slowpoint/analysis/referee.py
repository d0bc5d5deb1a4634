"""Which attractor does a state run to? Asked of the system itself, thousands at once."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from slowpoint.analysis.basins import ELSEWHERE, UNDECIDED
from slowpoint.analysis.even import even_normal
from slowpoint.core.clock import RungeKutta
from slowpoint.core.precision import float64, widen
from slowpoint.core.system import System

Numbers = Array | np.ndarray
DIVERGED = -3  # left for infinity
TICK = 0.25  # of a fine step, in the fastest time constant
SIZES = (8, 64, 256, 1024, 4096)  # rows that are compiled for
REST = 1e-14  # of its size that a state moves in a tick, when it rests: no passer-by is so slow
DIRECTIONS = 32  # in which an attractor's neighbourhood is tested


def resolved(
    system: System, states: Float[Numbers, "state size"], hold: Float[Numbers, " input"]
) -> System:
    """A Map as it is; a Flow in steps fine enough for the fastest rate at `states`."""
    if system.discrete:
        return system
    slopes = np.stack([jacobian_at(system, state, hold) for state in np.asarray(states)])
    fastest = np.abs(np.linalg.eigvals(slopes)).max()
    # a power of two: what is compiled for one saddle serves the next
    return RungeKutta(system, float(2.0 ** np.floor(np.log2(TICK / max(fastest, 1e-12)))))


def jacobian_at(
    system: System, state: Float[Numbers, " state"], hold: Float[Numbers, " input"]
) -> Float[np.ndarray, "state state"]:
    """The Jacobian of `system` at one state, in float64; compiled once for all states."""
    with float64():
        x, u = jnp.asarray(state, jnp.float64), jnp.asarray(hold, jnp.float64)
        return np.asarray(_jacobian(widen(system), x, u))


@eqx.filter_jit
def _jacobian(system: System, x, u):
    return system.jacobian(x, u)


class Referee(eqx.Module):
    """Labels states by the attractor whose neighbourhood they reach; rows of `attractors`.

    -1: still on the way after `ticks`, -2: rests elsewhere, -3: left for infinity.
    """

    system: System  # a Map, in double precision
    hold: Float[np.ndarray, " input"]
    attractors: Float[np.ndarray, "attractor state"]
    near: Float[np.ndarray, " attractor"]  # radius of each neighbourhood
    ticks: int = eqx.field(static=True)

    def __call__(self, states: Float[Numbers, "start state"]) -> Int[np.ndarray, " start"]:
        """The label of every state."""
        x = np.array(states, np.float64)
        labels = np.full(len(x), UNDECIDED)
        active, block, left = np.arange(len(x)), 32, self.ticks
        while len(active) and left > 0:
            span = min(block, left)
            for piece in pieces(active):
                x[piece], labels[piece] = self._run(x[piece], span)
            active = active[labels[active] == UNDECIDED]
            left, block = left - span, min(2 * block, 1024)
        return labels

    def _run(self, start: np.ndarray, span: int) -> tuple[np.ndarray, np.ndarray]:
        count = len(start)
        rows = np.pad(start, np.array([(0, fitting(count) - count), (0, 0)]), mode="edge")
        with float64():
            hold, places, near, x = map(
                jnp.asarray, (self.hold, self.attractors, self.near, rows)
            )
            limit = jnp.asarray(span)  # an array, or every span would be compiled for
            moved, labels = _fall(self.system, hold, places, near, x, limit)
        return np.asarray(moved)[:count], np.asarray(labels)[:count]


def pieces(index: np.ndarray) -> list[np.ndarray]:
    """`index` in pieces of at most the largest size that is compiled for."""
    return [index[i : i + SIZES[-1]] for i in range(0, len(index), SIZES[-1])]


def fitting(count: int) -> int:
    """The least size that is compiled for and holds `count` rows."""
    return next(size for size in SIZES if size >= count)


@eqx.filter_jit
def _fall(system: System, hold, attractors, near, x, span):
    """Rows of states after at most `span` ticks, and who has arrived where."""
    step = jax.vmap(lambda x: system.step(x, hold))

    def look(x):
        gaps = jnp.stack([jnp.linalg.norm(x - a[None], axis=1) for a in attractors])
        inside = gaps < near[:, None]
        arrived = jnp.where(inside.any(axis=0), inside.argmax(axis=0), UNDECIDED)
        return jnp.where(jnp.isfinite(x).all(axis=1), arrived, DIVERGED)

    def ticks(carry):
        number, x, labels = carry
        moved = step(x)
        apart, size = jnp.linalg.norm(moved - x, axis=1), jnp.linalg.norm(x, axis=1)
        x = jnp.where((labels == UNDECIDED)[:, None], moved, x)
        new = look(x)
        still = (new == UNDECIDED) & (apart < REST * (1 + size))
        return number + 1, x, jnp.where(still, ELSEWHERE, new)

    def go_on(carry):
        number, _, labels = carry
        return (number < span) & (labels == UNDECIDED).any()

    _, x, labels = jax.lax.while_loop(go_on, ticks, (0, x, look(x)))
    return x, labels


def referee(
    system: System,
    attractors: Float[Numbers, "attractor state"],
    hold: Float[Numbers, " input"],
    *,
    near: float = 0.1,
    ticks: int = 20_000,
) -> Referee:
    """Who calls a state arrived within `near` of the distance to the next attractor.

    The neighbourhoods are tested, not believed: states on the rim, towards every other
    attractor and in 32 directions of a low-discrepancy set, must come home; where one does
    not, the radius is halved. `system` is a Map: `resolved` makes one of a Flow. Raises
    ValueError on one attractor, or when even a thousandth of `near` is left again.
    """
    places = np.asarray(attractors, np.float64)
    if len(places) < 2:
        raise ValueError(f"{len(places)} attractors: nothing to tell apart. Give two or more.")
    gaps = np.linalg.norm(places[:, None] - places[None], axis=2)
    radius = near * np.where(gaps > 0, gaps, np.inf).min(axis=1)
    with float64():
        judge = Referee(widen(system), np.asarray(hold, float), places, radius, ticks)
    strays, halvings = _strays(judge), 0
    while strays.any() and halvings < 10:
        halved = np.where(strays, judge.near / 2, judge.near)
        judge = eqx.tree_at(lambda j: j.near, judge, halved)
        strays, halvings = _strays(judge), halvings + 1
    if not strays.any():
        return judge
    if _only_late(judge, int(np.argmax(strays))):
        raise ValueError(
            f"From {judge.near[strays].max():.1e} beside attractor {int(np.argmax(strays))} a "
            f"state is still on its way home after {ticks} ticks. Give more of them."
        )
    raise ValueError(
        f"States {judge.near[strays].max():.1e} from attractor {int(np.argmax(strays))} leave "
        "it again: it does not attract. Give stable fixed points of this system and clock."
    )


def _strays(judge: Referee) -> np.ndarray:
    """Which neighbourhoods have a state on their rim that does not reach the inner half."""
    homes = range(len(judge.attractors))
    return np.array([(_from_rim(judge, i) != i).any() for i in homes])


def _only_late(judge: Referee, i: int) -> bool:
    """Whether all states on the rim that did not come home were still on their way."""
    return bool(np.isin(_from_rim(judge, i), [i, UNDECIDED]).all())


def _from_rim(judge: Referee, i: int) -> np.ndarray:
    """Labels of states on the rim of attractor `i`, home being its inner half."""
    home = judge.attractors[i]
    others = np.delete(judge.attractors, i, axis=0) - home
    ways = np.vstack([even_normal(DIRECTIONS, len(home)), others, -others])
    ways = ways / np.linalg.norm(ways, axis=1, keepdims=True)
    inner = eqx.tree_at(lambda j: j.near, judge, judge.near / 2)
    return inner(home + judge.near[i] * ways)
