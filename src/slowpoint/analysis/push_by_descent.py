"""Which push does the paper's recipe find: Adam on the absolute value of a fitted field?

Dabholkar and Barak (2025), arXiv:2505.15231. It walks to where a field is small, not to the
nearest place where the basin changes; it is here to be compared with `smallest_push`.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.analysis.field import Field, values
from slowpoint.analysis.pullback import PulledBack
from slowpoint.analysis.separatrix import between, Separatrix
from slowpoint.core.result import Result
from slowpoint.learning.descend import descend

Numbers = Array | np.ndarray
ADAM = optax.adamw(6e-4, weight_decay=0.03)
UPDATES, STARTS, SPREAD = 4000, 5, 0.04
ARRIVED = 0.1  # q of a push that counts


class Descended(Result):
    """The shortest of the pushes that arrived; NaN when none did."""

    vector: Float[np.ndarray, " state"]
    norm: float
    crosses: bool  # whether the changed state ends in the other basin, by simulation
    arrived: int  # starts with q < 0.1 at the end
    q: Float[np.ndarray, " start"]  # where every start ended
    norms: Float[np.ndarray, " start"]


def push_by_descent(
    start: Float[Numbers, " state"],
    separatrix: Separatrix,
    *,
    updates: int = UPDATES,
    key: PRNGKeyArray,
) -> Descended:
    """Five small random pushes, each moved by Adam until the field is small at its end.

    q(x) = log(1 + |psi(x)|) over its root mean square on states between the attractors. For a
    field that was fitted; raises ValueError on a pull-back, which has its own way.
    """
    if isinstance(separatrix.field, PulledBack):
        raise ValueError(
            "A pulled-back plane is not descended on: smallest_push follows its normals. Give "
            "a fitted field: separatrix(..., how=Network(), key=key)."
        )
    start = separatrix.checked(np.asarray(start, float))
    sizes = np.log1p(np.abs(values(separatrix.field, between(separatrix.around))))
    scale = float(np.sqrt(np.mean(sizes**2)))
    descent = _Descent(_single(separatrix.field), _single(start), np.asarray(scale, np.float32))
    draw, *keys = jr.split(key, STARTS + 1)
    first = SPREAD * jr.normal(draw, (STARTS, len(start)))
    found = descend(first, descent, updates=updates, key=jnp.stack(keys), optimiser=ADAM)
    changes = np.asarray(found.system, float)
    q = np.log1p(np.abs(values(separatrix.field, start + changes))) / scale
    return _shortest(separatrix, start, changes, q)


class _Descent(eqx.Module):
    """The loss of one push."""

    field: Field
    start: Float[Numbers, " state"]
    scale: Float[Numbers, ""]

    def __call__(self, change, key):
        return jnp.log1p(jnp.abs(self.field(self.start + change))) / self.scale


def _single(tree):
    """In single precision, as the paper's."""
    return jax.tree.map(lambda a: np.asarray(a, np.float32) if eqx.is_array(a) else a, tree)


def _shortest(separatrix: Separatrix, start, changes, q) -> Descended:
    norms, good = np.linalg.norm(changes, axis=1), np.flatnonzero(q < ARRIVED)
    if not len(good):
        nothing = np.full(len(start), np.nan)
        return Descended(nothing, float("nan"), False, 0, q, norms)
    best = good[np.argmin(norms[good])]
    judge = separatrix.around.judge
    ends = [] if judge is None else judge(np.stack([start, start + changes[best]])).tolist()
    crosses = len(ends) == 2 and min(ends) >= 0 and ends[0] != ends[1]
    return Descended(changes[best], float(norms[best]), crosses, len(good), q, norms)
