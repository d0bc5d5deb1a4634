"""Where does a network wander when nothing calls it, and does it lean to what it was taught?

Kurikawa, Barak and Kaneko (2020), Phys. Rev. Research 2, 023307, arXiv:1906.11770; the measures
and times are ours.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from slowpoint.analysis.lyapunov import lyapunov
from slowpoint.core.chance import generator
from slowpoint.core.precision import float64, widen
from slowpoint.core.result import Result
from slowpoint.core.rollout import rollout
from slowpoint.core.system import System
from slowpoint.core.wrap import Held

Patterns = Float[Array, "*_"] | Float[np.ndarray, "*_"]  # (target, unit), checked in words
STILL = 1e-6  # rms per unit, of a motion that has died out and of a state without direction


class Spontaneous(Result):
    r"""Motion from each start, against targets and as many random patterns of +1 and -1.

    An overlap is $\xi \cdot x / N$. Shares are of the variance in time that lies in the span of
    the patterns; NaN from a start whose motion died out, which `says` tells. Its exponent is
    then that of the fixed point: below 0, where the point is stable.
    """

    times: Float[np.ndarray, " time"]
    overlaps: Float[np.ndarray, "start time target"]
    control: Float[np.ndarray, "start time target"]  # with the random patterns
    size: Float[np.ndarray, "start time"]  # of the state, rms over units
    motion: Float[np.ndarray, " start"]  # rms over time and units, about the mean in time
    late: Float[np.ndarray, " start"]  # the same of the last tenth of the time
    share: Float[np.ndarray, " start"]  # in the span of the targets
    control_share: Float[np.ndarray, " start"]
    exponents: Float[np.ndarray, " start"]  # the largest, per unit time
    errors: Float[np.ndarray, " start"]  # of the exponents, standard
    says: str  # whether it moves, in one sentence

    @property
    def moving(self) -> Bool[np.ndarray, " start"]:
        """Which starts still move at the end, and stay finite."""
        return self.late > STILL

    @property
    def best(self) -> Float[np.ndarray, "start time"]:
        """Absolute cosine with the target nearest in direction; NaN for a state of length 0."""
        return _best(self.overlaps, self.size)

    @property
    def control_best(self) -> Float[np.ndarray, "start time"]:
        """`best`, with the random patterns."""
        return _best(self.control, self.size)

    @property
    def visited(self) -> Bool[np.ndarray, " target"]:
        """Which targets are the best match at some time, from any start that moves."""
        nearest = np.abs(self.overlaps[self.moving]).argmax(axis=2)
        return np.isin(np.arange(self.overlaps.shape[2]), nearest)


def _best(overlaps: np.ndarray, size: np.ndarray) -> np.ndarray:
    length = np.where(size > STILL, size, np.nan)
    return np.abs(overlaps).max(axis=2) / length


def variance_share(
    states: Float[np.ndarray, "time unit"], patterns: Float[np.ndarray, "pattern unit"]
) -> float:
    """The share of the variance of `states` in time within the span of `patterns`.

    NaN for states that do not move. Random directions hold the rank of the patterns over the
    number of units.
    """
    apart = states - states.mean(axis=0)
    if not np.sqrt((apart**2).mean()) > STILL:
        return float("nan")
    _, sizes, rows = np.linalg.svd(patterns, full_matrices=False)
    spanned = rows[sizes > 1e-10 * sizes.max()]  # patterns may depend on each other
    return float(((apart @ spanned.T) ** 2).sum() / (apart**2).sum())


def spontaneous(
    system: System,
    targets: Patterns,
    *,
    key: PRNGKeyArray,
    starts: int = 3,
    duration: float = 1000.0,
    warmup: float = 100.0,
) -> Spontaneous:
    """Run `system` without input for `warmup`, then watch it for `duration`.

    Starts are random in [-1, 1]. In float64, by the system's steps and in its units of time. An
    exponent follows a deviation of length 1, renormalised at each step. Raises ValueError on
    targets of another size, and on times and numbers of starts that leave nothing to watch.
    """
    if targets.ndim != 2 or targets.shape[1] != system.state_size or not len(targets):
        raise ValueError(
            f"targets have shape {targets.shape}, the state has {system.state_size} numbers. "
            f"Give targets of shape (target, {system.state_size}), one or more."
        )
    skipped, ticks = round(warmup / system.dt), round(duration / system.dt)
    if starts < 1 or skipped < 0 or ticks < 20:
        raise ValueError(
            f"starts={starts}, warmup={warmup}, duration={duration}: give 1 start or more, a "
            f"warm-up of 0 or more, and at least {20 * system.dt:g} to watch."
        )
    chance = generator(key)
    begun = chance.uniform(-1, 1, (starts, system.state_size))
    xi, others = np.asarray(targets, float), chance.choice([-1.0, 1.0], targets.shape)
    with float64():
        alone = Held(widen(system), jnp.zeros(system.input_size))
        states = np.asarray(_wander(alone, jnp.asarray(begun), skipped + ticks))[:, skipped:]
    grown = [lyapunov(alone, path[0], np.zeros((ticks, 0)), exponents=1) for path in states]
    with np.errstate(invalid="ignore", over="ignore"):  # a state may have diverged
        late = _motion(states[:, -ticks // 10 :])
        share = lambda rows: [
            variance_share(path, rows) if moved > STILL else np.nan
            for path, moved in zip(states, late)
        ]
        return Spontaneous(
            warmup + system.dt * np.arange(1, ticks + 1),
            states @ xi.T / system.state_size,
            states @ others.T / system.state_size,
            np.sqrt((states**2).mean(axis=2)),
            _motion(states),
            late,
            np.array(share(xi)),
            np.array(share(others)),
            np.array([found.exponents[0] for found in grown]),
            np.array([found.errors[0] for found in grown]),
            _says(states, late),
        )


@eqx.filter_jit
def _wander(alone: System, starts: Float[Array, "start state"], ticks: int):
    none = jnp.zeros((ticks, 0))
    return jax.vmap(lambda start: rollout(alone, start, none).states)(starts)


def _motion(states: Float[np.ndarray, "start time unit"]) -> Float[np.ndarray, " start"]:
    return np.sqrt(states.var(axis=1).mean(axis=1))


def _says(states: np.ndarray, late: np.ndarray) -> str:
    lost = int((~np.isfinite(states).all(axis=(1, 2))).sum())
    if lost:
        return f"diverged: {lost} of {len(late)} starts left the finite numbers"
    still = int((late <= STILL).sum())
    if still:
        return f"at rest: {still} of {len(late)} starts stand still at the end, without a share"
    return f"moving: all of {len(late)} starts do until the end"
