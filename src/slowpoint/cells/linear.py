"""The linear network: every question has its answer on paper."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.system import Flow


class Linear(Flow):
    r"""$\dot x = -x + W x + B u + b$, $y = C x$. Time in units of tau.

    At dt = 1 one step is $x' = W x + B u + b$; at dt = a it is the leaky network.
    """

    recurrent: Float[Array, "state state"]  # W
    encoder: Float[Array, "state input"]  # B
    bias: Float[Array, " state"]  # b
    readout: Float[Array, "output state"]  # C
    dt: float = eqx.field(static=True, default=1.0)

    @classmethod
    def random(cls, state_size, input_size, output_size, *, gain=0.9, dt=1.0, key) -> "Linear":
        """Gaussian weights; `recurrent` has a spectral radius of about `gain`."""
        w, b, c = jr.split(key, 3)
        return cls(
            gain / jnp.sqrt(state_size) * jr.normal(w, (state_size, state_size)),
            jr.normal(b, (state_size, input_size)),
            jnp.zeros(state_size),
            jr.normal(c, (output_size, state_size)) / state_size,
            dt=dt,
        )

    @property
    def state_size(self):
        return self.recurrent.shape[0]

    @property
    def input_size(self):
        return self.encoder.shape[1]

    @property
    def output_size(self):
        return self.readout.shape[0]

    def encode(self, u):
        return u @ self.encoder.T + self.bias

    def velocity(self, x, u):
        return x @ self.recurrent.T + self.encode(u) - x

    def advance(self, x, drive):
        return x + self.dt * (x @ self.recurrent.T + drive - x)

    def output(self, x):
        return x @ self.readout.T

    def jacobian(self, x, u):
        return self.recurrent - jnp.eye(self.state_size)

    def lipschitz_bound(self, x, u, radius):
        return jnp.zeros(())


def example(key: PRNGKeyArray) -> Linear:
    """A small one, for the contract tests."""
    return Linear.random(5, 2, 2, key=key)
