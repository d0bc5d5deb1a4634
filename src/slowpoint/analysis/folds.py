"""At which value does a point meet another and vanish?

The fold as a regular root of an extended system: Moore and Spence (1980), SIAM J. Numer. Anal.
17, 567; its numbers: Kuznetsov (2004), Elements of Applied Bifurcation Theory, chapters 3, 5.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from slowpoint.analysis.branch import along, Branch, first, join, only_value, second
from slowpoint.analysis.events import CLEAR, Clock, Event, FOLD, Seen
from slowpoint.analysis.problem import rounding


def fold(branch: Branch, clock: Clock, near: Seen, span: float) -> Event | None:
    """The singular point of the branch nearest to `near`, or None when Newton finds none.

    Solves [r = 0, J w = 0, w0 w = 1] for (x, w, value). `span` is the range of values that
    matters, against which the push is held.
    """
    z = join(jnp.asarray(near.x), jnp.asarray(near.value))
    w = jnp.asarray(_null(np.asarray(branch.slope(z)))[1])
    z, w, residual, ratio = _turning_point(branch, z, w)
    if not np.isfinite(residual) or residual > 1e-9:
        return None
    left, right = _null(np.asarray(branch.slope(z)))
    overlap = float(left @ right)
    with np.errstate(divide="ignore", invalid="ignore"):
        left = left / np.float64(overlap) / clock.tick
    mode = np.append(right, 0.0)
    bend = 0.5 * float(left @ np.asarray(second(branch, z, mode, mode)))
    push = float(left @ np.asarray(first(branch, z, only_value(len(z)))))
    push, bend = (-push, -bend) if bend < 0 else (push, bend)
    clear = abs(overlap) > CLEAR and abs(bend) > CLEAR and abs(push) * span > CLEAR
    quadratic = float(ratio) < 0.25
    x, value = np.asarray(z[:-1]), float(z[-1])
    return Event(FOLD, value, x, float(residual), 0.0, push, bend, clear and quadratic)


@eqx.filter_jit
def _turning_point(branch: Branch, z: Array, w: Array):
    """`(z, w, residual, ratio of the last two Newton steps)`: about 1/2 when degenerate."""
    size, start = len(z), w

    def extended(both):
        z, w = both[:size], both[size:]
        curved = along(branch.residual, z, jnp.append(w, 0.0))
        return jnp.concatenate([branch.residual(z), curved, (start @ w - 1)[None]])

    def going(state):
        both, length, _, steps = state
        enough = rounding(size - 1) / 50
        moving = length > 1e-10 * (1 + jnp.linalg.norm(both))
        return moving & (steps < 40) & (jnp.linalg.norm(extended(both)) > enough)

    def step(state):
        both, before, _, steps = state
        p = jnp.linalg.solve(jax.jacfwd(extended)(both), -extended(both))
        length = jnp.linalg.norm(p)
        return both + p, length, length / before, steps + 1

    begin = jnp.concatenate([z, w]), jnp.full((), jnp.inf), jnp.zeros(()), jnp.zeros((), int)
    both, _, ratio, _ = jax.lax.while_loop(going, step, begin)
    return both[:size], both[size:], jnp.linalg.norm(extended(both)), ratio


def _null(slope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Left and right singular vector of the least singular value."""
    left, _, right = np.linalg.svd(slope)
    return left[:, -1], right[-1]
