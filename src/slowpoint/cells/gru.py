"""Gated recurrent unit, the reset before or after the recurrent product.

Cho et al. (2014), arXiv:1406.1078 (before); PyTorch's nn.GRU (after).
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.system import Flow, Map

TANH_CURVATURE = 4 / (3 * math.sqrt(3))  # t2 = sup |tanh''|
SIGMOID_CURVATURE = 1 / (6 * math.sqrt(3))  # s2 = sup |sigmoid''|


class GRU(Map):
    r"""$h' = (1-z)\, n + z\, h$; rows of the weights are r, z, n, as in PyTorch.

    $r, z = \sigma(W u + U h + b)$; $n = \tanh(W_n u + b_n + r (U_n h + c))$, or
    $\tanh(W_n u + b_n + U_n (r h) + c)$ with `reset_after=False`. $y = C h + d$.
    """

    recurrent: Float[Array, "gates state"]  # U
    encoder: Float[Array, "gates input"]  # W
    bias: Float[Array, " gates"]  # b
    candidate_bias: Float[Array, " state"]  # c: inside the reset, so kept apart from b_n
    readout: Float[Array, "output state"]  # C
    readout_bias: Float[Array, " output"]  # d
    initial_state: Float[Array, " state"] | None = None  # trained when given
    dt: float = eqx.field(static=True, default=1.0)
    reset_after: bool = eqx.field(static=True, default=True)

    @classmethod
    def random(cls, state_size, input_size, output_size, *, reset_after=True, key) -> "GRU":
        """All weights uniform within 1/sqrt(state_size), PyTorch's default."""
        n = state_size
        shapes = [(3 * n, n), (3 * n, input_size), (3 * n,), (n,), (output_size, n)]
        shapes.append((output_size,))
        bound = 1 / math.sqrt(n)
        draws = [
            jr.uniform(k, s, minval=-bound, maxval=bound)
            for k, s in zip(jr.split(key, len(shapes)), shapes)
        ]
        return cls(*draws, reset_after=reset_after)  # pyright: ignore[reportArgumentType]

    @property
    def state_size(self):
        return self.recurrent.shape[1]

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
        z, n = self.gates(x, drive)[1:3]
        return n + z * (x - n)

    def gates(self, x, drive):
        """`(r, z, n, U_n h + c)`: reset, update, candidate and what the reset multiplies."""
        cut = [2 * self.state_size]  # slices would do, but their gradient is slower
        early_drive, late_drive = jnp.split(drive, cut)
        if self.reset_after:
            early, late = jnp.split(x @ self.recurrent.T, cut)
            inner = late + self.candidate_bias
            r, z = jnp.split(jax.nn.sigmoid(early + early_drive), 2)
            return r, z, jnp.tanh(late_drive + r * inner), inner
        early_weights, late_weights = jnp.split(self.recurrent, cut)
        r, z = jnp.split(jax.nn.sigmoid(x @ early_weights.T + early_drive), 2)
        inner = (r * x) @ late_weights.T + self.candidate_bias
        return r, z, jnp.tanh(late_drive + inner), inner

    def output(self, x):
        return x @ self.readout.T + self.readout_bias

    def jacobian(self, x, u):
        """In closed form: a few scaled copies of the recurrent weights."""
        _, z, n, _ = self.gates(x, self.encode(u))
        u_z = self.recurrent[self.state_size : 2 * self.state_size]
        kept = jnp.diag(z) + ((x - n) * z * (1 - z))[:, None] * u_z
        return kept + (1 - z)[:, None] * self.candidate_jacobian(x, u)

    def candidate_jacobian(self, x, u):
        """Derivative of the candidate n with respect to the state."""
        r, _, n, inner = self.gates(x, self.encode(u))
        u_r, _, u_n = jnp.split(self.recurrent, 3)
        slope = r * (1 - r)
        if self.reset_after:
            within = (inner * slope)[:, None] * u_r + r[:, None] * u_n
        else:
            within = (u_n * (x * slope)[None, :]) @ u_r + u_n * r[None, :]
        return (1 - n**2)[:, None] * within

    def box(self, u):
        ones = jnp.ones(self.state_size)  # z < 1 makes a fixed point h = n = tanh(...)
        return -ones, ones

    def lipschitz_bound(self, x, u, radius):
        if not self.reset_after:
            return jnp.full((), jnp.nan)
        inner = self.gates(x, self.encode(u))[3]
        w_r, w_z, w_n = jnp.linalg.norm(self.recurrent.reshape(3, self.state_size, -1), axis=2)
        reach = jnp.abs(inner) + w_n * radius  # U
        slope = w_r * reach / 4 + w_n  # D
        bend = SIGMOID_CURVATURE * w_r**2 * reach + w_r * w_n / 2  # D2
        far = jnp.maximum(jnp.abs(x), 1.0)  # 1 within the box
        rows = (
            bend
            + TANH_CURVATURE * slope**2
            + SIGMOID_CURVATURE * w_z**2 * (1 + far + radius)
            + w_z * (1 + slope) / 2
        )
        return jnp.linalg.norm(rows)

    def easier(self):
        return self.ungated()

    def ungated(self) -> "Ungated":
        """The Flow n(h) - h: the same fixed points, other rates, easier to solve."""
        return Ungated(self)


class Ungated(Flow):
    """A GRU whose update gate is wide open, in continuous time."""

    gru: GRU

    @property
    def state_size(self):
        return self.gru.state_size

    @property
    def input_size(self):
        return self.gru.input_size

    @property
    def output_size(self):
        return self.gru.output_size

    @property
    def dt(self):
        return self.gru.dt

    def velocity(self, x, u):
        return self.gru.gates(x, self.gru.encode(u))[2] - x

    def jacobian(self, x, u):
        return self.gru.candidate_jacobian(x, u) - jnp.eye(self.state_size)

    def output(self, x):
        return self.gru.output(x)

    def box(self, u):
        return self.gru.box(u)


def example(key: PRNGKeyArray) -> GRU:
    """A small one, for the contract tests."""
    return GRU.random(5, 2, 2, key=key)
