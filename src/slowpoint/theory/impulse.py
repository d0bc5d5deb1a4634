r"""What does a linear network of rank 1 answer to an impulse, and how wrong is that?

The answer is a sum of two modes, so no rollout is needed. (Task: Ger and Barak 2026,
arXiv:2605.04115; the closed form of the Euler steps is ours.)
"""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray


class Impulse(eqx.Module):
    r"""The loss $\sum_n (y_n - y^*_n)^2 dt$ of the overlaps, after an impulse of area 1.

    $y_n = zm\,\rho^n + (zu\,vm/vu)(\lambda^n - \rho^n)$, $\rho = 1 - dt$,
    $\lambda = \rho + dt\,vu > 0$: the readout after each Euler step, exactly. NaN at vu = 0.
    With a key, labels carry fresh noise of standard deviation `noise`.
    """

    target: Float[np.ndarray | Array, " time"]
    noise: float | Float[np.ndarray | Array, ""] = 0.0
    dt: float = eqx.field(static=True, default=0.05)

    def response(self, sigma: Float[Array, "4 4"]) -> Float[Array, " time"]:
        """y, one number a step."""
        zm, zu, vm, vu = sigma[3, 0], sigma[3, 1], sigma[2, 0], sigma[2, 1]
        step, stay = np.arange(len(self.target)), 1 - self.dt
        fast, slow = stay**step, jnp.exp(step * jnp.log(stay + self.dt * vu))
        return zm * fast + zu * vm / vu * (slow - fast)

    def __call__(self, sigma: Float[Array, "4 4"], key: PRNGKeyArray | None):
        error = self.response(sigma) - self.target
        if key is not None:
            error = error - self.noise * jr.normal(key, error.shape, error.dtype)
        return self.dt * jnp.sum(error**2)


def decaying(rate: float, *, steps: int = 400, dt: float = 0.05, noise: float = 0.0) -> Impulse:
    """The filter that forgets at `rate`, from 1.

    The paper's time axis: from 0 to steps * dt, both included, so a little coarser than dt.
    """
    times = dt * np.linspace(0, steps, steps)
    return Impulse(np.exp(-rate * times), np.asarray(noise), dt)
