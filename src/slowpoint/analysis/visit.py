"""Which states does a network visit when its inputs move?"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

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
    inputs = jnp.asarray(hold) + _drives(key, trials, steps, system.input_size)
    states, outputs = _run(system, inputs)
    how = (
        f"{trials} trials of {steps} steps from the initial state, driven around the held "
        "input: half by pulses of +-1 (each channel with probability 0.1 per step), half by "
        "unit white noise for the first half of the trial."
    )
    return Visited(np.asarray(states), np.asarray(outputs), np.asarray(inputs), how)


def _drives(key: PRNGKeyArray, trials: int, steps: int, channels: int):
    sign, when, noise = jr.split(key, 3)
    shape = (trials, steps, channels)
    pulses = jr.bernoulli(when, 0.1, shape).at[:, 0].set(True) * jr.rademacher(
        sign, shape, float
    )
    white = jr.normal(noise, shape) * (jnp.arange(steps) < steps // 2)[None, :, None]
    pulsed = jnp.arange(trials) < trials // 2
    return jnp.where(pulsed[:, None, None], pulses, white)


@eqx.filter_jit
def _run(system: System, inputs):
    runs = jax.vmap(lambda u: rollout(system, jnp.zeros(0), u))(inputs)
    return runs.states, runs.outputs
