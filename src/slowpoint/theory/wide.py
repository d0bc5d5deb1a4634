"""Theory that a gradient may pass through, and that answers in float64 when none does."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer

from slowpoint.core.precision import float64, to_numpy, widen

P = ParamSpec("P")
R = TypeVar("R")


def is_traced(*trees) -> bool:
    """Whether JAX is tracing some number in `trees`, so that its value is not known."""
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(trees))


def wide(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, compiled, in float64 and with a NumPy answer, unless JAX traces an argument.

    A traced call is left as it is: it has the precision around it, and its gradient.
    """
    compiled = eqx.filter_jit(function)

    @functools.wraps(function)
    def answer(*args: P.args, **kwargs: P.kwargs) -> R:
        if is_traced(args, kwargs):
            return function(*args, **kwargs)
        with float64():
            args, kwargs = jax.tree.map(_as_array, widen((args, kwargs)))
            return to_numpy(compiled(*args, **kwargs))

    return answer


def _as_array(leaf):
    """A float as an array: not compiled anew for each value."""
    return jnp.asarray(leaf, float) if isinstance(leaf, float) else leaf
