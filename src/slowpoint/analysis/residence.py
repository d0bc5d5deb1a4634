"""How long does a state stay where it is while noise comes in, and where does it go?

Counted in simulation. A run that never leaves counts as its steps: the mean of an exponential
time from such runs, and its interval: Epstein and Sobel (1953), J. Am. Stat. Assoc. 48, 486.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import scipy.stats
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from slowpoint.core.result import Result
from slowpoint.core.system import System

Numbers = Array | np.ndarray
STAYS = -1
CLOSER = 0.5  # gone: at most so far from another place as from home, in the distance from home


class Residence(Result):
    """One row per memory. Times are in steps; intervals are of 95 %, low and high."""

    homes: Float[np.ndarray, "memory state"]
    places: Float[np.ndarray, "place state"]  # where a run may go
    steps: Int[np.ndarray, "memory run"]  # taken until it had gone
    gone: Int[np.ndarray, "memory run"]  # to which place; -1: it stayed, see `most`
    most: int  # steps after which a run was stopped

    @property
    def left(self) -> Int[np.ndarray, " memory"]:
        """How many runs left."""
        return (self.gone != STAYS).sum(axis=1)

    @property
    def mean(self) -> Float[np.ndarray, " memory"]:
        """All steps over all departures; inf where none was seen."""
        with np.errstate(divide="ignore"):
            return self.steps.sum(axis=1) / self.left

    @property
    def range(self) -> Float[np.ndarray, "memory 2"]:
        """The interval of the mean."""
        total, left = self.steps.sum(axis=1), self.left
        low = 2 * total / scipy.stats.chi2.ppf(0.975, 2 * left + 2)
        with np.errstate(divide="ignore", invalid="ignore"):
            high = 2 * total / scipy.stats.chi2.ppf(0.025, np.maximum(2 * left, 1))
        return np.stack([low, np.where(left > 0, high, np.inf)], axis=-1)

    @property
    def shares(self) -> Float[np.ndarray, "memory place"]:
        """Of the runs that left, those that went to each place; NaN where none left."""
        hit = self.gone[:, :, None] == np.arange(len(self.places))
        with np.errstate(invalid="ignore", divide="ignore"):
            return hit.sum(axis=1) / self.left[:, None]


def residence(
    system: System,
    homes: Float[Numbers, "memory state"],
    places: Float[Numbers, "place state"],
    hold: Float[Numbers, " input"],
    noise: Float[Numbers, " input"],
    *,
    key: PRNGKeyArray,
    runs: int = 32,
    most: int = 2000,
) -> Residence:
    """Let `runs` go from each of `homes` until they are much nearer to another of `places`.

    "Much": at most half as far as from home. A place that is the home itself does not count.
    `noise` is the standard deviation of each input around `hold`, new at every step; the runs
    are in the system's own precision. Raises ValueError without runs, steps or places.
    """
    homes, places = np.asarray(homes, float), np.asarray(places, float)
    if runs < 1 or most < 1 or not len(places):
        raise ValueError(
            f"runs={runs}, most={most}, {len(places)} places: give 1 or more of each."
        )
    apart = np.linalg.norm(homes[:, None] - places[None], axis=2)
    open_ = np.repeat(apart > 1e-6, runs, axis=0)
    keys = jr.split(key, len(homes) * runs)
    starts = jnp.asarray(np.repeat(homes, runs, axis=0), jnp.float32)
    asked = tuple(jnp.asarray(np.asarray(a), jnp.float32) for a in (places, hold, noise))
    found = _runs(system, starts, jnp.asarray(open_), asked, keys, most)
    steps, gone = (np.asarray(a, int).reshape(len(homes), runs) for a in found)
    return Residence(homes, places, steps, gone, most)


@eqx.filter_jit
def _runs(system: System, starts, open_: Bool[Array, "run place"], asked, keys, most: int):
    places, hold, noise = asked
    together = jax.vmap(lambda x, u: system.step(x, u))
    draw = jax.vmap(lambda key, t: jr.normal(jr.fold_in(key, t), hold.shape), (0, None))

    def going(carry):
        _, _, gone, t = carry
        return (t < most) & (gone == STAYS).any()

    def tick(carry):
        x, steps, gone, t = carry
        x = together(x, hold[None] + noise[None] * draw(keys, t)).astype(x.dtype)
        home = jnp.linalg.norm(x - starts, axis=1)
        far = jnp.linalg.norm(x[:, None] - places[None], axis=2)
        far = jnp.where(open_, far, jnp.inf)
        here = far.min(axis=1) <= CLOSER * home
        steps = steps + (gone == STAYS)
        gone = jnp.where((gone == STAYS) & here, far.argmin(axis=1), gone)
        return x, steps, gone, t + 1

    count = jnp.zeros(len(starts), int)
    begin = starts, count, count + STAYS, jnp.zeros((), int)
    _, steps, gone, _ = jax.lax.while_loop(going, tick, begin)
    return steps, gone
