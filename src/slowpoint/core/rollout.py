"""Run a System under a sequence of inputs."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from slowpoint.core.result import Result
from slowpoint.core.system import System

Numbers = Array | np.ndarray


class Trajectory(Result):
    """`states[t]` is the state after reading `inputs[t]`; the start is not repeated."""

    states: Float[Numbers, "time state"]
    outputs: Float[Numbers, "time output"]


def beginning(system: System, start: Float[Numbers, " given"]) -> Float[Array, " state"]:
    """`system.initial` with its leading coordinates replaced by `start`.

    Raises ValueError when `start` has more numbers than the state.
    """
    if start.size > system.state_size:
        raise ValueError(
            f"start has {start.size} numbers, the state of {type(system).__name__} has "
            f"{system.state_size}. Give {system.state_size} or fewer (the rest is `initial`)."
        )
    initial = jnp.asarray(system.initial)  # NumPy in a network loaded in float64
    return initial.at[: start.size].set(jnp.asarray(start, initial.dtype))


def rollout(
    system: System,
    start: Float[Numbers, " given"],
    inputs: Float[Numbers, "time input"],
    *,
    remat: bool = False,
) -> Trajectory:
    """Step `system` once per row of `inputs`, from `start` (its leading coordinates).

    With `remat` a gradient recomputes stretches of about the square root of the number of
    steps, so that its memory grows like that root. Raises ValueError on sizes that differ.
    """
    if inputs.shape[1] != system.input_size:
        raise ValueError(
            f"inputs have {inputs.shape[1]} channels, {type(system).__name__} takes "
            f"{system.input_size}. Give inputs of shape (time, {system.input_size})."
        )

    encode_inside = _is_narrow(system, inputs)

    def run(x, inputs):
        """A stretch of steps: where it ends, its states and outputs."""

        def tick(x, u):
            x = system.advance(x, system.encode(u) if encode_inside else u)
            return x, x

        drives = inputs if encode_inside else jax.vmap(system.encode)(inputs)
        x, states = jax.lax.scan(tick, x, drives)
        return x, (states, jax.vmap(system.output)(states))

    x, inputs = beginning(system, start), jnp.asarray(inputs)
    _, (states, outputs) = _by_stretches(run, x, inputs) if remat else run(x, inputs)
    return Trajectory(states, outputs)


def _is_narrow(system: System, inputs) -> bool:
    """Whether moving the drives through memory takes longer than making them step by step.

    Measured with 3 inputs: 15 % less time for 64 and 256 units, 13 % more for 32.
    """
    drive = jax.eval_shape(system.encode, jnp.zeros(inputs.shape[1], inputs.dtype))
    return drive.size >= 16 * inputs.shape[1]


def _by_stretches(run, x, inputs):
    """`run(x, inputs)`; of each stretch of root length a gradient keeps only the start."""
    time = len(inputs)
    stretch = max(1, round(time**0.5))
    whole = time - time % stretch
    run = jax.checkpoint(run)
    blocks = inputs[:whole].reshape(-1, stretch, *inputs.shape[1:])
    x, early = jax.lax.scan(run, x, blocks)
    x, late = run(x, inputs[whole:])

    def join(a, b):
        return jnp.concatenate([a.reshape(whole, *a.shape[2:]), b])

    return x, jax.tree.map(join, early, late)
