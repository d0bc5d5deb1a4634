"""What is a scalar field whose zeros are a surface? The promise of every separatrix."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from slowpoint.analysis.referee import fitting, pieces
from slowpoint.core.precision import float64

Numbers = Array | np.ndarray


class Field(eqx.Module):
    """A number for every state, in double precision: 0 on the surface, a sign on each side."""

    @abc.abstractmethod
    def __call__(self, x: Float[Array, " state"]) -> Float[Array, ""]:
        """The field at one state."""

    @abc.abstractmethod
    def gradient(self, x: Float[Array, " state"]) -> Float[Array, " state"]:
        """Its derivative there."""

    @abc.abstractmethod
    def pack(self) -> dict[str, np.ndarray]:
        """Its numbers without its system, for a file; `unpack` of its class reads them."""


def values(field: Field, states: Float[Numbers, "... state"]) -> Float[np.ndarray, "..."]:
    """The field at every state (all leading axes are samples)."""
    return _over(_values, field, states).reshape(np.shape(states)[:-1])


def gradients(
    field: Field, states: Float[Numbers, "... state"]
) -> Float[np.ndarray, "... state"]:
    """The derivative of the field at every state."""
    return _over(_gradients, field, states).reshape(np.shape(states))


def _over(many, field: Field, states) -> np.ndarray:
    rows = np.asarray(states, np.float64).reshape(-1, np.shape(states)[-1])
    parts = []
    for piece in pieces(np.arange(len(rows))):
        padding = [(0, fitting(len(piece)) - len(piece)), (0, 0)]
        with float64():
            padded = jnp.asarray(np.pad(rows[piece], padding, mode="edge"))
            parts.append(np.asarray(many(field, padded))[: len(piece)])
    return np.concatenate(parts) if parts else np.zeros(0)


@eqx.filter_jit
def _values(field: Field, rows):
    return jax.vmap(field)(rows)


@eqx.filter_jit
def _gradients(field: Field, rows):
    return jax.vmap(field.gradient)(rows)
