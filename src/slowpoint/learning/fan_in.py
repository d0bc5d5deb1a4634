"""From which weights does learning start, when each unit should hear about as much?"""

from typing import TypeVar

import equinox as eqx
import jax
import jax.random as jr
from jaxtyping import PRNGKeyArray

from slowpoint.core.system import System

S = TypeVar("S", bound=System)
SMALL = 0.01  # standard deviation of a bias


def fan_in(system: S, key: PRNGKeyArray) -> S:
    """`system` with matrices drawn from N(0, 1 / columns) and vectors from N(0, 0.01^2).

    As in Haviv, Rivkind and Barak (2019). Raises ValueError on an array of another shape.
    """
    weights, rest = eqx.partition(system, eqx.is_inexact_array)
    leaves, shape = jax.tree.flatten(weights)
    if wrong := [a.shape for a in leaves if a.ndim not in (1, 2)]:
        raise ValueError(
            f"{type(system).__name__} has weights of shape {wrong[0]}, where matrices and "
            "vectors were expected. Give one system, not an ensemble: use eqx.filter_vmap."
        )
    drawn = [
        jr.normal(k, a.shape, a.dtype) * (a.shape[1] ** -0.5 if a.ndim == 2 else SMALL)
        for k, a in zip(jr.split(key, len(leaves)), leaves)
    ]
    return eqx.combine(jax.tree.unflatten(shape, drawn), rest)
