"""How are networks taught to predict the next place? As Ratzon and Barak (2025) did."""

import dataclasses
from typing import Unpack

import equinox as eqx
import jax
import jax.random as jr
import optax
from jaxtyping import Array, Key

from slowpoint.cells.feedforward import DeepLinear, Mlp
from slowpoint.core.precision import float64, to_numpy, widen
from slowpoint.core.transitions import Transitions
from slowpoint.learning.descend import descend
from slowpoint.learning.given_trials import GivenTrials
from slowpoint.learning.train import Options
from slowpoint.learning.training import Training
from slowpoint.tasks.predict_ahead import EveryPair, PredictAhead

Keys = Key[Array, " replicate"]


@dataclasses.dataclass(frozen=True)
class Teaching:
    """Full-batch Adam on `depth` hidden layers (nh) of `units` (H), Xavier times `gain`."""

    depth: int
    units: int
    rate: float
    updates: int
    gain: float = 1.0

    def __post_init__(self):
        if self.depth < 0 or self.units < 1 or self.updates < 1:
            raise ValueError(
                f"depth={self.depth}, units={self.units}, updates={self.updates}: "
                "give 0 hidden layers or more, of 1 unit or more, and 1 update or more."
            )

    def sizes(self, inputs: int, outputs: int) -> tuple[int, ...]:
        """Of all layers, from input to output."""
        return (inputs, *[self.units] * self.depth, outputs)


def clipped_rate(depth: int, horizon: int, least: float = 2e-4) -> float:
    """Adam's rate in the published code, 0.1 / 2^((nh + A) / 2), but `least` or more.

    Unclipped it is 6e-6 for nh = 9, A = 19, where a million updates were made.
    """
    return max(0.1 * 0.5 ** ((depth + horizon) / 2), least)


def linear_predictors(
    world: Transitions,
    how: Teaching,
    keys: Keys,
    mark: str = "cross_entropy",
    **options: Unpack[Options],
) -> Training[DeepLinear]:
    """A deep linear network for each of a row of `keys`, in float64, on all pairs.

    `options` go to `descend`: another optimiser, more snapshots.
    """
    with float64():
        sizes = how.sizes(world.n_states + world.n_actions, world.n_states)
        make = lambda key: DeepLinear.random(sizes, gain=how.gain, key=key)
        return _taught(make, EveryPair.of(world, mark), how, keys, **options)


def continued(
    networks: DeepLinear, world: Transitions, how: Teaching, keys: Keys
) -> Training[DeepLinear]:
    """An ensemble of networks of yours taught `how` says, in float64, on all pairs."""
    with float64():
        loss, rule = EveryPair.of(world), optax.adam(how.rate)
        wide = widen(networks)
        return to_numpy(descend(wide, loss, updates=how.updates, key=keys, optimiser=rule))


def relu_predictors(task: PredictAhead, how: Teaching, keys: Keys) -> Training[Mlp]:
    """A ReLU network with biases for each of a row of `keys`, in float32, on all pairs."""
    sizes = how.sizes(task.input_size, task.output_size)
    make = lambda key: Mlp.random(sizes, gain=how.gain, key=key)
    return _taught(make, GivenTrials(task, task.every()), how, keys)


def _taught(make, loss, how: Teaching, keys, **options: Unpack[Options]) -> Training:
    begin, learn = jax.vmap(lambda key: tuple(jr.split(key)))(keys)
    networks = eqx.filter_vmap(make)(begin)
    options.setdefault("optimiser", optax.adam(how.rate))
    return to_numpy(descend(networks, loss, updates=how.updates, key=learn, **options))
