"""The rate network, its nonlinearity inside or outside the recurrent sum.

Sompolinsky, Crisanti and Sommers (1988), Phys. Rev. Lett. 61, 259 (currents); Wilson and
Cowan (1972) (rates). One Euler step of the rates with dt = 1 is PyTorch's nn.RNN.
"""

import math
from collections.abc import Callable
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.nonlinearity import tanh
from slowpoint.core.system import Flow

Form = Literal["current", "rate"]


class Vanilla(Flow):
    r"""Time in units of tau.

    form="current": $\dot x = -x + W \phi(x) + B u + b$, $y = C \phi(x) + c$.
    form="rate": $\dot x = -x + \phi(W x + B u + b)$, $y = C x + c$.
    """

    recurrent: Float[Array, "state state"]  # W
    encoder: Float[Array, "state input"]  # B
    bias: Float[Array, " state"]  # b
    readout: Float[Array, "output state"]  # C
    readout_bias: Float[Array, " output"]  # c
    initial_state: Float[Array, " state"] | None = None  # trained when given
    dt: float = eqx.field(static=True, default=0.1)
    form: Form = eqx.field(static=True, default="current")
    nonlinearity: Callable[[Array], Array] = eqx.field(static=True, default=tanh)  # phi

    @classmethod
    def random(
        cls,
        state_size,
        input_size,
        output_size,
        *,
        gain=1.0,
        dt=0.1,
        form: Form = "current",
        key,
    ) -> "Vanilla":
        """Gaussian weights: `recurrent` of spectral radius about `gain`, inputs of order 1."""
        w, b, c = jr.split(key, 3)
        n = state_size
        return cls(
            gain / jnp.sqrt(n) * jr.normal(w, (n, n)),
            jr.normal(b, (n, input_size)),
            jnp.zeros(n),
            jr.normal(c, (output_size, n)) / n,
            jnp.zeros(output_size),
            dt=dt,
            form=form,
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

    @property
    def initial(self):
        return jnp.zeros(self.state_size) if self.initial_state is None else self.initial_state

    def encode(self, u):
        return u @ self.encoder.T + self.bias

    def velocity(self, x, u):
        return self.target(x, self.encode(u)) - x

    def advance(self, x, drive):
        return x + self.dt * (self.target(x, drive) - x)

    def target(self, x, drive):
        """Where the leak pulls `x`."""
        if self.form == "rate":
            return self.nonlinearity(x @ self.recurrent.T + drive)
        return self.nonlinearity(x) @ self.recurrent.T + drive

    def output(self, x):
        rate = x if self.form == "rate" else self.nonlinearity(x)
        return rate @ self.readout.T + self.readout_bias

    def jacobian(self, x, u):
        slope = jax.vmap(jax.grad(self.nonlinearity))
        if self.form == "rate":
            inner = slope(x @ self.recurrent.T + self.encode(u))[:, None] * self.recurrent
        else:
            inner = self.recurrent * slope(x)[None, :]
        return inner - jnp.eye(self.state_size)

    def box(self, u):
        low = getattr(self.nonlinearity, "low", -math.inf)
        high = getattr(self.nonlinearity, "high", math.inf)
        if math.isinf(low) or math.isinf(high):
            return None
        # the leak pulls towards a target in this box; a step with dt <= 1 is a weighted mean
        if self.form == "rate":
            return jnp.full(self.state_size, low), jnp.full(self.state_size, high)
        most = jnp.maximum(self.recurrent * low, self.recurrent * high).sum(axis=1)
        least = jnp.minimum(self.recurrent * low, self.recurrent * high).sum(axis=1)
        return self.encode(u) + least, self.encode(u) + most

    def lipschitz_bound(self, x, u, radius):
        curvature = getattr(self.nonlinearity, "curvature", math.nan)
        if self.form == "current":
            return curvature * jnp.linalg.norm(self.recurrent, 2)
        return curvature * jnp.linalg.norm((self.recurrent**2).sum(axis=1))


def example(key: PRNGKeyArray) -> Vanilla:
    """A small one, for the contract tests."""
    return Vanilla.random(6, 2, 2, key=key)
