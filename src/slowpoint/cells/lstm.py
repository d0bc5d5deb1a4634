"""Long short-term memory (Hochreiter and Schmidhuber 1997; rows in PyTorch's order)."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.system import Map


class LSTM(Map):
    r"""$c' = f c + i g$, $h' = o \tanh(c')$, $y = C h + d$; rows of the weights are i, f, g, o.

    State `[h, c]`: `x[net.hidden]` and `x[net.memory]`.
    """

    recurrent: Float[Array, "gates units"]  # U
    encoder: Float[Array, "gates input"]  # W
    bias: Float[Array, " gates"]  # b
    readout: Float[Array, "output units"]  # C
    readout_bias: Float[Array, " output"]  # d
    initial_state: Float[Array, " state"] | None = None  # trained when given
    dt: float = eqx.field(static=True, default=1.0)

    @classmethod
    def random(cls, units, input_size, output_size, *, key) -> "LSTM":
        """All weights uniform within 1/sqrt(units), PyTorch's default."""
        shapes = [(4 * units, units), (4 * units, input_size), (4 * units,)]
        shapes += [(output_size, units), (output_size,)]
        bound = 1 / math.sqrt(units)
        draws = [
            jr.uniform(k, s, minval=-bound, maxval=bound)
            for k, s in zip(jr.split(key, len(shapes)), shapes)
        ]
        return cls(*draws)  # pyright: ignore[reportArgumentType]

    @property
    def units(self) -> int:
        """Numbers in h, and in c."""
        return self.recurrent.shape[1]

    @property
    def hidden(self) -> slice:
        """Where h stands in the state."""
        return slice(0, self.units)

    @property
    def memory(self) -> slice:
        """Where c stands in the state."""
        return slice(self.units, 2 * self.units)

    @property
    def state_size(self):
        return 2 * self.units

    @property
    def input_size(self):
        return self.encoder.shape[1]

    @property
    def output_size(self):
        return self.readout.shape[0]

    @property
    def initial(self):
        return jnp.zeros(self.state_size) if self.initial_state is None else self.initial_state

    def encode(self, u):
        return u @ self.encoder.T + self.bias

    def step(self, x, u):
        return self.advance(x, self.encode(u))

    def advance(self, x, drive):
        i, f, g, o = jnp.split(x[self.hidden] @ self.recurrent.T + drive, 4)
        i, f, o = jax.nn.sigmoid(i), jax.nn.sigmoid(f), jax.nn.sigmoid(o)
        c = f * x[self.memory] + i * jnp.tanh(g)
        return jnp.concatenate([o * jnp.tanh(c), c])

    def output(self, x):
        return x[self.hidden] @ self.readout.T + self.readout_bias

    def box(self, u):
        # |h| < 1 bounds every gate, and gates below 1 bound c: |c| <= i / (1 - f)
        reach = jnp.abs(self.recurrent).sum(axis=1)
        i, f, g, _ = jnp.split(self.encode(u), 4)
        w_i, w_f, w_g, _ = jnp.split(reach, 4)
        c = jax.nn.sigmoid(i + w_i) * jnp.tanh(jnp.abs(g) + w_g) / jax.nn.sigmoid(-f - w_f)
        high = jnp.concatenate([jnp.ones(self.units), c])
        return -high, high


def example(key: PRNGKeyArray) -> LSTM:
    """A small one, for the contract tests."""
    return LSTM.random(4, 2, 2, key=key)
