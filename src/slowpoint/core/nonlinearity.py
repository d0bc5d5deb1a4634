"""How a unit answers its current, and what an analysis may know of that answer."""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array


@dataclasses.dataclass(frozen=True)
class Nonlinearity:
    """`function`, elementwise, with its range and a bound on its second derivative.

    A cell takes any function; one of these makes its box and certificates known.
    """

    name: str
    function: Callable[[Array], Array]
    low: float = -math.inf
    high: float = math.inf
    curvature: float = math.nan  # sup |second derivative|

    def __call__(self, x: Array) -> Array:
        return self.function(x)


def _erf(x: Array) -> Array:
    """erf(sqrt(pi)/2 x): slope 1 at 0, so that it compares with tanh."""
    return jax.scipy.special.erf(math.sqrt(math.pi) / 2 * x)


tanh = Nonlinearity("tanh", jnp.tanh, -1.0, 1.0, 4 / (3 * math.sqrt(3)))
relu = Nonlinearity("relu", jax.nn.relu, low=0.0)
erf = Nonlinearity("erf", _erf, -1.0, 1.0, math.sqrt(math.pi / 2) * math.exp(-0.5))
sigmoid = Nonlinearity("sigmoid", jax.nn.sigmoid, 0.0, 1.0, 1 / (6 * math.sqrt(3)))
softplus = Nonlinearity("softplus", jax.nn.softplus, low=0.0, curvature=0.25)
identity = Nonlinearity("identity", lambda x: x, curvature=0.0)

BY_NAME = {f.name: f for f in (tanh, relu, erf, sigmoid, softplus, identity)}
