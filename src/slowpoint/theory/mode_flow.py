"""In a deep linear network, how fast does each mode of the data grow?

Saxe, McClelland and Ganguli (2014), arXiv:1312.6120, for balanced and aligned layers.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.integrate import simpson

from slowpoint.core.precision import float64
from slowpoint.core.system import Flow

Numbers = Float[Array, " mode"] | Float[np.ndarray, " mode"]
Given = Numbers | Sequence[float] | float


class ModeFlow(Flow):
    r"""$\dot s = L s^{2 - 2/L} (c - \lambda s)$ for each mode, under squared loss.

    s: singular value of the product of L layers; c: input-output covariance along the mode;
    lambda: input variance. Time is that of $\dot W_l = -\partial E / \partial W_l$ with
    $E = |Y - W X|^2 / 2$ per example. Each mode ends at c / lambda.
    """

    covariance: Numbers  # c
    variance: Numbers  # lambda
    layers: int = eqx.field(static=True, default=2)  # L
    dt: float = eqx.field(static=True, default=0.01)
    input_size: int = eqx.field(static=True, default=0, init=False)

    @property
    def state_size(self):
        return len(self.covariance)

    @property
    def output_size(self):
        return len(self.covariance)

    def velocity(self, x, u):
        pull = jnp.asarray(self.covariance) - jnp.asarray(self.variance) * x
        return self.layers * x ** (2 - 2 / self.layers) * pull

    def output(self, x):
        return x


def mode_flow(layers: int, covariance: Given, variance: Given) -> ModeFlow:
    """The flow of as many modes. Raises ValueError for no layers and numbers not above 0."""
    c, lam = np.broadcast_arrays(np.asarray(covariance, float), np.asarray(variance, float))
    if layers < 1 or not (c > 0).all() or not (lam > 0).all():
        raise ValueError(
            f"layers={layers}, covariance={covariance}, variance={variance}: give 1 layer or "
            "more, and covariances and variances above 0."
        )
    return ModeFlow(np.atleast_1d(c), np.atleast_1d(lam), layers)


def rise_time(
    flow: ModeFlow, start: float, share: float = 0.5, points: int = 4001
) -> Float[np.ndarray, " mode"]:
    r"""When each mode reaches `share` of its end, from `start`: $\int ds / \dot s$.

    By Simpson's rule over log s. Raises ValueError unless 0 < start < share of every end.
    """
    ends = share * np.asarray(flow.covariance) / np.asarray(flow.variance)
    if not 0 < start < ends.min() or not 0 < share < 1:
        raise ValueError(
            f"start={start}, share={share}: give 0 < share < 1 and 0 < start < {ends.min():g}."
        )
    logs = np.linspace(np.log(start), np.log(ends), points)  # (point, mode)
    with float64():
        velocity = jax.vmap(lambda s: flow.velocity(s, jnp.zeros(0)))(jnp.exp(logs))
        slope = np.exp(logs) / np.asarray(velocity)
    return np.asarray(simpson(slope, x=logs, axis=0))


def logistic(time, start: float, covariance: float, variance: float):
    r"""s(t) for L = 2 in closed form: logistic, to $c / \lambda$ at the rate 2c."""
    end = covariance / variance
    return end / (1 + (end / start - 1) * np.exp(-2 * covariance * np.asarray(time)))
