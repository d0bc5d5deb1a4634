"""What is a scalar field whose zeros are a surface? The promise of every separatrix."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from slowpoint.analysis.koopman import Psi
from slowpoint.analysis.referee import fitting, pieces
from slowpoint.core.precision import float64, widen

Numbers = Array | np.ndarray


class Field(eqx.Module):
    """A number for every state, in double precision: 0 on the surface, a sign on each side."""

    @abc.abstractmethod
    def __call__(self, x: Float[Array, " state"]) -> Float[Array, ""]:
        """The field at one state."""

    @abc.abstractmethod
    def gradient(self, x: Float[Array, " state"]) -> Float[Array, " state"]:
        """Its derivative there."""

    def plain(self) -> "Field":
        """The same field without what its gradient alone needs: what `values` compiles for."""
        return self

    @abc.abstractmethod
    def pack(self) -> dict[str, np.ndarray]:
        """Its numbers without its system, for a file; `unpack` of its class reads them."""


def values(psi: Psi, states: Float[Numbers, "... state"]) -> Float[np.ndarray, "..."]:
    """A field, or any function of one state, at every state, in float64.

    All leading axes are samples; those of what `psi` returns come after them.
    """
    return _over(_values, psi.plain() if isinstance(psi, Field) else psi, states)


def gradients(
    field: Field, states: Float[Numbers, "... state"]
) -> Float[np.ndarray, "... state"]:
    """The derivative of the field at every state."""
    return _over(_gradients, field, states)


def _over(many, psi: Psi, states: Numbers) -> np.ndarray:
    *samples, size = np.shape(states)
    rows = np.asarray(states, np.float64).reshape(-1, size)
    count = len(rows)
    rows = rows if count else np.zeros((1, size))  # what comes out has its shape even so
    parts = []
    for piece in pieces(np.arange(len(rows))):
        padded = np.pad(piece, (0, fitting(len(piece)) - len(piece)), mode="edge")
        with float64():
            parts.append(np.asarray(many(widen(psi), jnp.asarray(rows[padded])))[: len(piece)])
    whole = np.concatenate(parts)[:count]
    return whole.reshape((*samples, *whole.shape[1:]))


@eqx.filter_jit
def _values(psi: Psi, rows):
    return jax.vmap(psi)(rows)


@eqx.filter_jit
def _gradients(field: Field, rows):
    return jax.vmap(field.gradient)(rows)
