"""A chain of integrators: the force moves the last, only the first is seen."""

import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from slowpoint.core.system import Map


class IntegratorChain(Map):
    r"""$x_1^{(n)} = u$, $y = x_1$, exactly: the force u is held during each step.

    State: x_1 first. One step is $x_i' = \sum_{k \ge 0} x_{i+k} dt^k / k!$ plus
    $u\,dt^{n-i+1} / (n-i+1)!$, so a force is seen after the very next step
    ($C B = dt^n / n!$), unlike in Euler steps of two or more.
    """

    state_size: int = eqx.field(static=True, default=2)
    dt: float = eqx.field(static=True, default=1.0)
    input_size: int = eqx.field(static=True, default=1, init=False)
    output_size: int = eqx.field(static=True, default=1, init=False)

    def __check_init__(self):
        if self.state_size < 1:
            raise ValueError(f"A chain of {self.state_size} integrators. Give 1 or more.")

    def step(self, x, u):
        powers = [self.dt**k / math.factorial(k) for k in range(self.state_size + 1)]
        # column j of the row of x_i: the power j - i; the force stands where x_{n+1} would
        later = np.array([[0.0] * i + powers[: len(powers) - i] for i in range(len(x))])
        return jnp.concatenate([x, u]) @ later.T

    def output(self, x):
        return x[:1]

    def lipschitz_bound(self, x, u, radius):
        return jnp.zeros(())


def example(key: PRNGKeyArray) -> IntegratorChain:
    """Three integrators; nothing is drawn."""
    del key
    return IntegratorChain(3, dt=0.5)
