"""What lies on both sides of a saddle with one way down on each?

Everything that a separatrix is built from and judged by: the saddle, its unstable direction
and the attractors at the two ends of it.
"""

import equinox as eqx
import numpy as np
from jaxtyping import Array, Complex, Float

from slowpoint.analysis.methods import Newton
from slowpoint.analysis.referee import jacobian_at, Referee, referee, resolved
from slowpoint.analysis.settle import settle
from slowpoint.analysis.solve import solve, Tolerance
from slowpoint.core.clock import Clock, on_clock, RungeKutta
from slowpoint.core.system import System

Numbers = Array | np.ndarray
FINER = 16  # times, the steps of a second try to come to rest
PUSH = 1e-4  # how far off the saddle a run towards an end begins, in units of its size


class Pass(eqx.Module):
    """A saddle of index 1 on its clock, in float64. Attractor 1 is on the positive side."""

    system: System  # on its clock
    fine: System  # the Map that moves its states
    hold: Float[np.ndarray, " input"]
    saddle: Float[np.ndarray, " state"]
    rates: Complex[np.ndarray, " state"]  # the growing one first, per unit time
    left: Float[np.ndarray, " state"]  # w, J' w = rate w, |w| = 1
    right: Float[np.ndarray, " state"]  # the unstable direction, w . right > 0
    ends: Float[np.ndarray, "side state"]  # where it lets go to; NaN when it does not settle
    judge: Referee | None  # None unless there are two different ends

    @property
    def rate(self) -> float:
        """lambda_u, per unit time."""
        return float(np.real(self.rates[0]))

    @property
    def distance(self) -> float:
        """D: how far apart the two attractors are; twice the saddle's size when unknown."""
        apart = float(np.linalg.norm(self.ends[1] - self.ends[0]))
        return apart if apart > 0 else 2 * max(1.0, float(np.linalg.norm(self.saddle)))


def mountain_pass(
    system: System,
    saddle: Float[Numbers, " state"],
    *,
    hold: Float[Numbers, " input"] | None = None,
    clock: Clock | None = None,
) -> Pass:
    """What is known around `saddle`, which is solved for once more from where it is given.

    Raises ValueError when no fixed point is there, when it has not exactly one growing rate,
    or when that rate turns.
    """
    asked, hold = on_clock(system, clock), held(system, hold)
    point, rates = _refined(asked, np.asarray(saddle, float), hold)
    left, right = directions(jacobian_at(asked, point, hold), asked.discrete)
    fine = resolved(asked, point[None], hold)
    size = PUSH * max(1.0, float(np.linalg.norm(point)))
    starts = point + size * np.stack([-right, right])
    run = settle(fine, starts, hold)
    if not run.settled.all() and not asked.discrete:  # all may be faster far from the saddle
        run = settle(RungeKutta(asked, fine.dt / FINER), starts, hold)
    ends = np.where(run.settled[:, None], run.ends, np.nan)
    found = Pass(asked, fine, hold, point, rates, left, right, ends, None)
    if not np.isfinite(ends).all() or np.linalg.norm(ends[1] - ends[0]) < 1e-6:
        return found
    fine = resolved(asked, np.vstack([point, ends]), hold)
    return Pass(asked, fine, hold, point, rates, left, right, ends, referee(fine, ends, hold))


def held(system: System, hold: Float[Numbers, " input"] | None) -> Float[np.ndarray, " input"]:
    """`hold` as numbers; nothing for a System without inputs. Raises ValueError on others."""
    size = system.input_size
    if hold is None and size:
        raise ValueError(
            f"{type(system).__name__} takes {size} inputs and its boundaries depend on them. "
            f"Say which input is held: hold=jnp.zeros({size})."
        )
    hold = np.zeros(0) if hold is None else np.asarray(hold, float)
    if hold.shape != (size,) or not np.isfinite(hold).all():
        raise ValueError(f"hold is {hold.tolist()}: give {size} finite numbers.")
    return hold


def _refined(system: System, saddle: np.ndarray, hold) -> tuple[np.ndarray, np.ndarray]:
    """`(state, rates)` of the fixed point where `saddle` was said to be."""
    points = solve(
        system, saddle[None], hold=hold, method=Newton(), box=None, tolerance=Tolerance()
    )
    moved = np.linalg.norm(points.states[0] - saddle) if len(points) else np.inf
    if not len(points) or moved > 1e-2 * max(1.0, float(np.linalg.norm(saddle))):
        raise ValueError(
            "No fixed point stands where the saddle was given. Give a row of "
            "fixed_points(...).saddles.states, or find it: edge_state(system, a, b)."
        )
    count = int(points.n_unstable[0])
    if count != 1:
        growing = ", ".join(f"{rate:.4g}" for rate in points.rates[0][:count])
        raise ValueError(
            f"This point has {count} unstable rates{': ' * bool(count)}{growing}; a separatrix "
            "between two basins belongs to a saddle with exactly one. Give another row of "
            "fixed_points(...).saddles."
        )
    if points.rates[0][0].imag:
        raise ValueError(
            f"The growing rate {points.rates[0][0]:.4g} of this map flips sides every step: "
            "no surface parts two basins there. Ask the flow: clock='flow'."
        )
    return points.states[0], points.rates[0]


def directions(slope: np.ndarray, discrete: bool) -> tuple[np.ndarray, np.ndarray]:
    """`(w, v)`: left and right unit eigenvectors of the one rate that grows, w . v > 0."""
    pair = []
    for matrix in (slope.T, slope):
        values, vectors = np.linalg.eig(matrix)
        vector = np.real(vectors[:, np.argmax(np.abs(values) if discrete else np.real(values))])
        pair.append(vector / np.linalg.norm(vector))
    left, right = pair
    left = left * np.sign(left[np.argmax(np.abs(left))])
    return left, right * np.sign(left @ right)
