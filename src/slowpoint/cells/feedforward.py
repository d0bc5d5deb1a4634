"""Networks without memory: a product of matrices, and one with a nonlinearity between them.

Among the cells they are Maps that forget: the state is the last hidden layer.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.nonlinearity import relu
from slowpoint.core.system import Map

if TYPE_CHECKING:  # pyright would take an AbstractVar for a dataclass field
    from typing import ClassVar as AbstractVar
else:
    from equinox import AbstractVar

Matrices = tuple[Float[Array, "_ _"], ...]


class Forgets(Map):
    """A Map whose next state is `encode(u)` alone: it rests there at once."""

    layers: AbstractVar[Matrices]  # the last one reads the state out

    @property
    def state_size(self):
        return self.layers[-1].shape[1]

    @property
    def input_size(self):
        return self.layers[0].shape[1]

    @property
    def output_size(self):
        return self.layers[-1].shape[0]

    def advance(self, x, drive):
        return drive

    def step(self, x, u):
        return self.encode(u)

    def box(self, u):
        rest = self.encode(u)
        return rest - 1, rest + 1

    def lipschitz_bound(self, x, u, radius):
        return jnp.zeros(())


class DeepLinear(Forgets):
    """$y = W_L ... W_1 u$; the state is $W_{L-1} ... W_1 u$, or u itself where L = 1."""

    layers: Matrices  # W_1 first, each (to, from)
    dt: float = eqx.field(static=True, default=1.0)

    @classmethod
    def random(cls, sizes: Sequence[int], *, gain=1.0, key) -> "DeepLinear":
        """Layers between `sizes` (input first, output last) of standard deviation
        gain sqrt(2 / (from + to)), Xavier's."""
        return cls(xavier(sizes, gain, key))

    def product(self) -> Float[Array, "output input"]:
        """The whole map, multiplied from the output's side: it has the fewest rows."""
        whole = self.layers[-1]
        for layer in reversed(self.layers[:-1]):
            whole = whole @ layer
        return whole

    def encode(self, u):
        for layer in self.layers[:-1]:
            u = u @ layer.T
        return u

    def output(self, x):
        return x @ self.layers[-1].T


class Mlp(Forgets):
    """$h_{l+1} = \\phi(W_l h_l + b_l)$, $y = W_L h_L + b_L$; the state is the last h."""

    layers: Matrices  # W_1 first, each (to, from)
    biases: tuple[Float[Array, " _"], ...]
    dt: float = eqx.field(static=True, default=1.0)
    nonlinearity: Callable[[Array], Array] = eqx.field(static=True, default=relu)  # phi

    @classmethod
    def random(cls, sizes: Sequence[int], *, gain=1.0, key) -> "Mlp":
        """Layers between `sizes` drawn as `DeepLinear.random` does, biases zero."""
        layers = xavier(sizes, gain, key)
        return cls(layers, tuple(jnp.zeros(len(layer)) for layer in layers))

    def encode(self, u):
        for layer, bias in zip(self.layers[:-1], self.biases[:-1], strict=True):
            u = self.nonlinearity(u @ layer.T + bias)
        return u

    def output(self, x):
        return x @ self.layers[-1].T + self.biases[-1]


def xavier(sizes: Sequence[int], gain: float, key: PRNGKeyArray) -> Matrices:
    """Normal matrices between `sizes`. Raises ValueError for fewer than two sizes."""
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(
            f"sizes={tuple(sizes)}: give input, hidden layers (none or more), output."
        )
    ends = list(itertools.pairwise(sizes))
    return tuple(
        gain * (2 / (many + few)) ** 0.5 * jr.normal(k, (few, many))
        for k, (many, few) in zip(jr.split(key, len(ends)), ends)
    )


def example(key: PRNGKeyArray) -> Mlp:
    """Two hidden layers, for the contract tests."""
    return Mlp.random((3, 5, 4, 2), key=jax.random.fold_in(key, 0))
