"""A row of wells on a line: one attractor between any two repellers."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from slowpoint.core.system import Flow


class Sine(Flow):
    r"""$\dot x = \sin x$. State `[x]`.

    Attractors at odd multiples of $\pi$ (rate -1); even multiples repel (rate 1) and part the
    basins. $\sin(x/2)$ solves the squashed Koopman equation at rate 1 (Dabholkar and Barak
    2025, arXiv:2505.15231).
    """

    dt: float = eqx.field(static=True, default=0.05)
    state_size: int = eqx.field(static=True, default=1, init=False)
    input_size: int = eqx.field(static=True, default=0, init=False)
    output_size: int = eqx.field(static=True, default=1, init=False)

    def velocity(self, x, u):
        return jnp.sin(x)

    def output(self, x):
        return x

    def lipschitz_bound(self, x, u, radius):
        return jnp.ones(())  # of cos


def example(key: PRNGKeyArray) -> Sine:
    """The only one; nothing is drawn."""
    del key
    return Sine()
