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
    x = beginning(system, start)
    drives = jax.vmap(system.encode)(jnp.asarray(inputs))

    def tick(x, drive):
        x = system.advance(x, drive)
        return x, x

    states = _checkpointed_scan(tick, x, drives) if remat else jax.lax.scan(tick, x, drives)[1]
    return Trajectory(states, jax.vmap(system.output)(states))


def _checkpointed_scan(tick, x, drives):
    """The states of `scan(tick, x, drives)`; a gradient keeps only every root-th of them."""
    time = len(drives)
    stretch = max(1, round(time**0.5))
    whole = time - time % stretch

    @jax.checkpoint
    def run(x, drives):
        return jax.lax.scan(tick, x, drives)

    blocks = drives[:whole].reshape(-1, stretch, *drives.shape[1:])
    x, states = jax.lax.scan(run, x, blocks)
    _, rest = run(x, drives[whole:])
    return jnp.concatenate([states.reshape(whole, *x.shape), rest])
