"""How does a state leave a slow point: along which mode, how fast, and how does noise help?

After Sussillo and Barak (2013), Neural Computation 25, 626, and the normal form of a fold.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from slowpoint.analysis.branch import along
from slowpoint.analysis.escapes import checked_noise
from slowpoint.analysis.points import FixedPoints
from slowpoint.core.precision import float64, widen
from slowpoint.core.result import Result
from slowpoint.core.system import System

Numbers = Array | np.ndarray


class Departures(Result):
    r"""One row per point. Along its slow mode $z' = z + b + a z^2$ + noise of variance 2 D.

    All per step. z = 0 is where the speed along the mode is least; the point is at `start`.
    """

    push: Float[np.ndarray, " point"]  # b
    bend: Float[np.ndarray, " point"]  # a
    diffusion: Float[np.ndarray, " point"]  # D
    start: Float[np.ndarray, " point"]
    second: Float[np.ndarray, " point"]  # growth rate of the next mode
    defined: Bool[np.ndarray, " point"]  # one slow mode bends, and all others decay


def departures(
    system: System,
    points: FixedPoints,
    hold: Float[Numbers, " input"],
    noise: Float[Numbers, " input"],
) -> Departures:
    """The normal form at each of `points`, under noise of that standard deviation per input.

    Not defined where the slow mode is a pair or does not bend, another mode grows, or noise
    does not reach the slow one. Raises ValueError on noise of the wrong size.
    """
    noise = checked_noise(system, noise)
    rows = []
    with float64():
        wide, u, sd = widen(system), jnp.asarray(np.asarray(hold, float)), jnp.asarray(noise)
        for state in points.states:
            rows.append(_row(wide, u, sd, jnp.asarray(state)))
    names = ("push", "bend", "diffusion", "start", "second", "defined")
    table = np.array(rows, float).reshape(-1, len(names)).T
    columns = dict(zip(names, table))
    return Departures(**columns | {"defined": columns["defined"] > 0})


def _row(system: System, u, sd, x) -> tuple[float, ...]:
    move, slope, spread = map(np.asarray, _linear(system, u, sd, x))
    values, right = map(np.asarray, np.linalg.eig(slope))
    slow = int(np.argmin(np.abs(values - 1)))
    with np.errstate(divide="ignore"):
        rates = np.log(np.abs(values))
    second = float(np.max(np.delete(rates, slow), initial=-np.inf))
    if np.imag(values[slow]):
        return np.nan, np.nan, np.nan, np.nan, second, 0.0
    mode = np.real(right[:, slow]) / np.linalg.norm(np.real(right[:, slow]))
    left = np.real(np.linalg.inv(right)[slow])
    left = left / (left @ mode)
    bent = np.asarray(_second(system, u, x, jnp.asarray(mode)))
    push, pull, bend = left @ move, np.real(values[slow]) - 1, 0.5 * left @ bent
    sign = np.sign(bend) or 1.0
    push, bend = sign * push, sign * bend  # of z, turned so that a > 0
    diffusion = 0.5 * float(np.sum((left @ spread) ** 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        start, least = pull / (2 * bend), push - pull**2 / (4 * bend)
    defined = bend > 0 and diffusion > 0 and second < 0
    return (*(float(v) for v in (least, bend, diffusion, start)), second, float(defined))


@eqx.filter_jit
def _linear(system: System, u, sd, x):
    """`(step - x, its slope, its answer to unit noise)`."""
    step = lambda x, xi: system.step(x, u + sd * xi)
    none = jnp.zeros_like(u)
    return step(x, none) - x, jax.jacfwd(step)(x, none), jax.jacfwd(step, 1)(x, none)


@eqx.filter_jit
def _second(system: System, u, x, mode) -> Float[Array, " state"]:
    return along(lambda x: along(lambda x: system.step(x, u), x, mode), x, mode)
