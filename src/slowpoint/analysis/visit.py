"""Which states does a network visit when its inputs move?"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.chance import generator
from slowpoint.core.result import Result
from slowpoint.core.rollout import rollout
from slowpoint.core.system import System


class Visited(Result):
    """States on trajectories driven by random inputs, and the inputs that drove them."""

    states: Float[np.ndarray, "trial time state"]
    outputs: Float[np.ndarray, "trial time output"]
    inputs: Float[np.ndarray, "trial time input"]
    how: str  # one sentence, for whoever reads the result


def visit(
    system: System,
    hold: Float[Array | np.ndarray, " input"],
    *,
    key: PRNGKeyArray,
    trials: int = 64,
    steps: int = 128,
) -> Visited:
    """Drive `system` from `initial` with sparse pulses of +-1 around `hold`.

    Every input channel pulses with probability 0.1 per step, and at the first step; a second
    half of the trials is driven by unit white noise instead, and goes quiet half-way.
    """
    drives = _drives(generator(key), (trials, steps, system.input_size))
    inputs = (np.asarray(hold) + drives).astype(np.float32)
    states, outputs = _run(system, jnp.asarray(inputs))
    how = (
        f"{trials} trials of {steps} steps from the initial state, driven around the held "
        "input: half by pulses of +-1 (each channel with probability 0.1 per step), half by "
        "unit white noise for the first half of the trial."
    )
    return Visited(np.asarray(states), np.asarray(outputs), inputs, how)


def _drives(chance: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    trials, steps, _ = shape
    lit = chance.random(shape) < 0.1
    lit[:, 0] = True
    drives = lit * chance.choice([-1.0, 1.0], shape)
    noisy = np.arange(trials) >= trials // 2
    drives[noisy] = chance.standard_normal(drives[noisy].shape)
    drives[noisy, steps // 2 :] = 0.0
    return drives


@eqx.filter_jit
def _run(system: System, inputs):
    runs = jax.vmap(lambda u: rollout(system, jnp.zeros(0), u))(inputs)
    return runs.states, runs.outputs
