r"""What a low-rank network does, in as many coordinates as it has inputs and ranks.

Its state stays in the span of M and U: $h = [M U] \kappa$. With $C_V$, $C_Z$ the overlaps of V
and Z with M and U, and $G_B$ those of M and U,

$\dot\kappa_m = -\kappa_m + x$, $\dot\kappa_u = -\kappa_u + g(\Delta)\, C_V \kappa$,
$y = g(\Delta)\, C_Z \kappa$, with $\Delta = \kappa^\top G_B \kappa$ and
$g(\Delta) = E\,\phi'(\sqrt\Delta z)$:

exact for linear networks, and for Gaussian weights as N grows. (Ger and Barak 2026,
arXiv:2605.04115; Mastrogiuseppe and Ostojic 2018, Neuron 99, 609; Beiran et al. 2021.)
"""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.nonlinearity import identity, Nonlinearity
from slowpoint.core.system import Flow
from slowpoint.theory.overlaps import Dims, rank_one

NODES = np.linspace(0.0, 9.0, 65)  # of half the bell curve; even, by the trapezoidal rule
WEIGHTS = np.exp(-(NODES**2) / 2) * np.where(NODES == 0, 0.5, 1.0)
WEIGHTS /= WEIGHTS.sum()


def gaussian_average(
    f: Callable[[Array], Array], variance: Float[Array, ""]
) -> Float[Array, ""]:
    r"""$E f(\sqrt{variance}\, z)$ of an even f, z standard normal.

    The trapezoidal rule on 64 intervals: for $1 - \tanh^2$ within 1e-15 up to variance 3, 1e-13
    at 4, 1e-8 at 10, where 64 Gauss-Hermite nodes are 2e-4 off.
    """
    scale = jnp.sqrt(variance + jnp.finfo(variance.dtype).tiny)  # a slope also at 0
    return f(scale * NODES.astype(variance.dtype)) @ WEIGHTS.astype(variance.dtype)


def _one(variance):
    return jnp.ones_like(variance)


def _erf(variance):
    return 1 / jnp.sqrt(1 + jnp.pi * variance / 2)


def _tanh(variance):
    return gaussian_average(lambda x: 1 - jnp.tanh(x) ** 2, variance)


GAINS = {"identity": _one, "erf": _erf, "tanh": _tanh}


def gain(nonlinearity: Nonlinearity) -> Callable[[Float[Array, ""]], Float[Array, ""]]:
    r"""$g(\Delta)$: the mean slope of `nonlinearity` over a Gaussian of variance Delta.

    Raises ValueError for one whose mean slope is not known here.
    """
    name = getattr(nonlinearity, "name", repr(nonlinearity))
    if name not in GAINS:
        raise ValueError(f"no gain is known for {name}. Give one of: {', '.join(GAINS)}.")
    return GAINS[name]


class Latent(Flow):
    r"""The flow of $\kappa$, given by overlaps alone. Time in units of tau.

    State: (inputs + rank,), first what each input has pushed, then the recurrence. Its Euler
    step is exactly that of the network.
    """

    sigma: Float[Array, "column column"]
    dims: Dims = eqx.field(static=True, default=Dims())
    nonlinearity: Nonlinearity = eqx.field(static=True, default=identity)
    dt: float = eqx.field(static=True, default=0.05)

    def __check_init__(self):
        gain(self.nonlinearity)
        if not 0 < self.dt < 2:
            raise ValueError(
                f"dt={self.dt}: Euler steps of a leak of rate 1 need 0 < dt < 2. Type dt=0.05"
            )
        if self.sigma.shape != (self.dims.size, self.dims.size):
            raise ValueError(
                f"Sigma has shape {self.sigma.shape}; {self.dims} has {self.dims.size} columns."
            )

    @property
    def state_size(self):
        return self.dims.inputs + self.dims.rank

    @property
    def input_size(self):
        return self.dims.inputs

    @property
    def output_size(self):
        return self.dims.outputs

    def slope(self, x: Float[Array, " state"]) -> Float[Array, ""]:
        r"""$g(\Delta)$ at the state x."""
        spread = self.sigma[self.dims.makes, self.dims.makes]
        return gain(self.nonlinearity)(x @ spread @ x)

    def velocity(self, x, u):
        back = self.slope(x) * (x @ self.sigma[self.dims.v, self.dims.makes].T)
        return jnp.concatenate([u, back]) - x

    def output(self, x):
        return self.slope(x) * (x @ self.sigma[self.dims.z, self.dims.makes].T)


def example(key: PRNGKeyArray) -> Latent:
    """A bistable one; nothing is drawn."""
    del key
    return Latent(jnp.asarray(rank_one(vu=0.9, zm=0.3), float), dt=0.1)
