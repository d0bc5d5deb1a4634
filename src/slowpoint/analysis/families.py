"""How does a system change with one number: an input held, or the time of its training?"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from slowpoint.core.system import System
from slowpoint.core.wrap import Held

Numbers = Array | np.ndarray
Value = Float[Numbers, ""] | float


class UnderInput(eqx.Module):
    """`family(value)`: `system` with the input held at `hold + value * direction`."""

    system: System
    direction: Float[Numbers, " input"]
    hold: Float[Numbers, " input"]

    def __call__(self, value: Value) -> Held:
        return Held(self.system, jnp.asarray(self.hold) + value * jnp.asarray(self.direction))


class Between(eqx.Module):
    """`family(value)`: the weights of snapshot `value`, interpolated between neighbours."""

    snapshots: System
    count: int = eqx.field(static=True)

    def __call__(self, value: Value) -> System:
        low = jnp.clip(jnp.floor(value), 0, max(0, self.count - 2)).astype(int)
        high = jnp.minimum(low + 1, self.count - 1)
        part = value - low

        def mix(leaf):
            if not isinstance(leaf, Numbers):
                return leaf
            leaf = jnp.asarray(leaf)
            if not jnp.issubdtype(leaf.dtype, jnp.inexact):
                return leaf[low]
            return (1 - part) * leaf[low] + part * leaf[high]

        return jax.tree.map(mix, self.snapshots)


def under_input(
    system: System,
    direction: Float[Numbers, " input"],
    hold: Float[Numbers, " input"] | None = None,
) -> UnderInput:
    """The family of `system` under a constant input that grows along `direction` from `hold`.

    Raises ValueError when one of them has not as many numbers as the input.
    """
    hold = np.zeros(system.input_size) if hold is None else hold
    for name, vector in {"direction": direction, "hold": hold}.items():
        if vector.shape != (system.input_size,):
            raise ValueError(
                f"{name} has shape {vector.shape}, {type(system).__name__} takes "
                f"{system.input_size} inputs. Give {name} of shape ({system.input_size},)."
            )
    return UnderInput(system, direction, hold)


def between(snapshots: System) -> Between:
    """The family of a training: `snapshots` is a system whose arrays have one more axis, first.

    Values run from 0 to the number of snapshots - 1. Raises ValueError when the arrays
    disagree about that number.
    """
    arrays = [a for a in jax.tree.leaves(snapshots) if isinstance(a, Numbers)]
    counts = {a.shape[:1] for a in arrays}
    if len(counts) != 1 or counts == {()}:
        raise ValueError(
            f"The arrays of {type(snapshots).__name__} have the leading sizes "
            f"{sorted(counts)}, where one number of snapshots was expected. Give "
            "`training.snapshots`; of an ensemble, `training.replicate(0).snapshots`."
        )
    return Between(snapshots, counts.pop()[0])
