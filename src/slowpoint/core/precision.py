"""float64 for an analysis, without changing the precision of the training around it."""

import contextlib
from collections.abc import Iterator
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

T = TypeVar("T")


@contextlib.contextmanager
def float64() -> Iterator[None]:
    """Inside, JAX computes in float64. What leaves must be NumPy: JAX would cut it again."""
    with jax.enable_x64(True):
        yield


def widen(tree: T) -> T:
    """`tree` with its real and complex arrays in double precision. Call it inside `float64`."""

    def one(leaf):
        if not isinstance(leaf, jax.Array | np.ndarray):
            return leaf
        if jnp.issubdtype(leaf.dtype, jnp.complexfloating):
            return jnp.asarray(leaf, jnp.complex128)
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            return jnp.asarray(leaf, jnp.float64)
        return leaf

    return jax.tree.map(one, tree)


def to_numpy(tree: T) -> T:
    """`tree` with every JAX array copied to the host at its own precision."""
    return jax.tree.map(lambda a: np.asarray(a) if isinstance(a, jax.Array) else a, tree)
