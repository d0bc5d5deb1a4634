"""How many of the maps that it was taught does a network recall?

Input held, weights as they are, from random states: a map is recalled from a start when the
mean overlap with its target is above a threshold at the end. (Kurikawa, Barak and Kaneko 2020,
Phys. Rev. Research 2, 023307, arXiv:1906.11770; times and threshold are ours.)
"""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int, PRNGKeyArray

from slowpoint.core.chance import generator
from slowpoint.core.precision import float64, widen
from slowpoint.core.result import Result
from slowpoint.core.system import System
from slowpoint.learning.plasticity import Plasticity
from slowpoint.tasks.recall import InputOutputMaps

THRESHOLD = 0.85  # of the mean overlap
STOP = Plasticity().stop  # of learning, unless it is told otherwise
STILL = 1e-4  # standard deviation of an overlap in time, below which it has settled


class Recall(Result):
    """Over the last stretch of time, from each start, with each input."""

    overlap: Float[np.ndarray, "start map"]  # m, its mean
    wobble: Float[np.ndarray, "start map"]  # its standard deviation in time
    ends: Float[np.ndarray, "start map unit"]  # the last states

    @property
    def settled(self) -> Bool[np.ndarray, "start map"]:
        """Whether it stands still: a mean hides a state that circles its target."""
        return self.wobble < STILL

    def recalled(
        self, threshold: float = THRESHOLD, stop: float = STOP
    ) -> Bool[np.ndarray, "start map"]:
        """Which maps were recalled; False where numbers were not finite.

        A map that learning ended at an overlap of `stop` rests about there: warns of a
        threshold less than .05 below it.
        """
        if threshold > stop - 0.05 + 1e-9:
            warnings.warn(
                f"threshold={threshold}, and learning stopped at {stop}: what was learned ends "
                f"about there. Give a threshold of at most {stop - 0.05:.3g}.",
                stacklevel=2,
            )
        return self.overlap > threshold

    def fraction(self, threshold: float = THRESHOLD, stop: float = STOP) -> float:
        """The share of maps and starts that were recalled."""
        return float(self.recalled(threshold, stop).mean())


def recall(
    system: System,
    maps: InputOutputMaps,
    *,
    key: PRNGKeyArray,
    starts: int = 3,
    duration: float = 100.0,
    counted: float = 30.0,
) -> Recall:
    """Hold each input from `starts` random states for `duration`; the last `counted` counts.

    All starts and maps are one batched rollout, in float64. Each start is drawn once and serves
    all maps, so their order does not matter. Raises ValueError on sizes that differ, and on
    times that are not 0 < counted <= duration.
    """
    if system.state_size != maps.input_size or system.input_size != maps.input_size:
        raise ValueError(
            f"The maps have {maps.input_size} units, the system {system.state_size} and "
            f"{system.input_size} inputs. Give maps of its size."
        )
    if not 0 < counted <= duration:
        raise ValueError(f"counted={counted} of duration={duration}: give 0 < counted <= it.")
    if starts < 1:
        raise ValueError(f"starts={starts}: give 1 or more.")
    states = generator(key).uniform(-1, 1, (starts, system.state_size))
    ticks = round(duration / system.dt)
    last = max(1, round(counted / system.dt))
    with float64():
        patterns = jnp.asarray(maps.targets, float), jnp.asarray(maps.inputs, float)
        mean, wobble, ends = _hold(widen(system), *patterns, jnp.asarray(states), ticks, last)
        return Recall(np.asarray(mean), np.asarray(wobble), np.asarray(ends))


@eqx.filter_jit
def _hold(system: System, targets, inputs, starts, ticks, last):
    drives = jax.vmap(system.encode)(inputs)
    step = jax.vmap(jax.vmap(system.advance), in_axes=(0, None))
    states = jnp.broadcast_to(starts[:, None], (len(starts), *targets.shape))

    def tick(carry, number):
        states, total, squares = carry
        states = step(states, drives)
        overlap = (states * targets[None]).mean(axis=-1)
        counts = number >= ticks - last
        total, squares = total + counts * overlap, squares + counts * overlap**2
        return (states, total, squares), None

    none = jnp.zeros(states.shape[:2])
    (states, total, squares), _ = jax.lax.scan(tick, (states, none, none), jnp.arange(ticks))
    mean = total / last
    return mean, jnp.sqrt(jnp.maximum(squares / last - mean**2, 0.0)), states


def capacity(
    maps: Int[np.ndarray, " load"], fractions: Float[np.ndarray, " load"], least: float = 0.9
) -> int:
    """The largest number of `maps` with a recalled fraction of at least `least`; 0: none.

    Report the fractions too: they don't hide the criterion.
    """
    enough = np.asarray(maps)[np.asarray(fractions) >= least]
    return int(enough.max(initial=0))
