r"""Which velocity do the weights learn with when the units are of a few Gaussian kinds?

A share $\alpha_p$ of the units has $(m, u, v, z)$ from $N(\mu^p, C^p)$; means may differ from
zero. With $h \sim N(\mu_B \cdot \kappa,\, \kappa^\top C_{BB} \kappa)$, B being M and U,

$E[v \phi(h)] = \mu_v E \phi + C_{vB}\, \kappa\, E \phi'$, and the same for z,

close the dynamics of $\kappa$, and gradient flow moves each kind with
$d\mu^p/ds = -(1/\alpha_p)\, d\ell/d\mu^p$,
$dC^p/ds = -(2/\alpha_p) (S^p C^p + C^p S^p)$, where S is the symmetric part of $d\ell/dC^p$.
One kind of mean zero is the overlap theory of Ger and Barak (2026), arXiv:2605.04115; kinds are
those of Beiran et al. (2021), Neural Computation 33, 1572. Their learning is our derivation:
exact while each kind is Gaussian, which learning itself does not keep up.
"""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.nonlinearity import erf, Nonlinearity
from slowpoint.core.precision import float64, widen
from slowpoint.core.result import Result
from slowpoint.core.system import Flow, System
from slowpoint.theory.latent import gaussian_average
from slowpoint.theory.overlaps import check_overlaps, Dims

Scalar = Float[Array, ""]


def _identity(mean, variance):
    return mean, jnp.ones_like(variance)


def _erf(mean, variance):
    wide = jnp.sqrt(1 + math.pi * variance / 2)
    inside = math.sqrt(math.pi) / 2 * mean / wide
    return jax.scipy.special.erf(inside), jnp.exp(-(inside**2)) / wide


def _tanh(mean, variance):
    def both(f):
        even = lambda x: (f(mean + x) + f(mean - x)) / 2
        return gaussian_average(even, variance)

    return both(jnp.tanh), both(lambda x: 1 - jnp.tanh(x) ** 2)


MOMENTS = {"identity": _identity, "erf": _erf, "tanh": _tanh}


def moments(nonlinearity: Nonlinearity) -> Callable[[Scalar, Scalar], tuple[Scalar, Scalar]]:
    r"""`(mean, variance)` of h to $(E \phi(h), E \phi'(h))$, h normal.

    Raises ValueError for a nonlinearity whose averages are not known here.
    """
    name = getattr(nonlinearity, "name", repr(nonlinearity))
    if name not in MOMENTS:
        raise ValueError(
            f"no averages are known for {name}. Give one of: {', '.join(MOMENTS)}."
        )
    return MOMENTS[name]


class Populations(Flow):
    r"""The flow of $\kappa$ of an infinite network of a few kinds of units.

    State: (inputs + rank,). Time in units of tau.
    """

    shares: Float[Array, " population"]  # alpha, with sum 1
    means: Float[Array, "population column"]  # mu
    covariances: Float[Array, "population column column"]  # C
    dims: Dims = eqx.field(static=True, default=Dims())
    nonlinearity: Nonlinearity = eqx.field(static=True, default=erf)
    dt: float = eqx.field(static=True, default=0.1)

    def __check_init__(self):
        moments(self.nonlinearity)
        count, size = self.shares.shape[0], self.dims.size
        expected = (count, size), (count, size, size)
        if (self.means.shape, self.covariances.shape) != expected:
            raise ValueError(
                f"means {self.means.shape}, covariances {self.covariances.shape}: {count} "
                f"populations of {self.dims} have {expected[0]} and {expected[1]}."
            )
        if not 0 < self.dt < 2:
            raise ValueError(f"dt={self.dt}: Euler steps of a leak of rate 1 need 0 < dt < 2.")

    @property
    def state_size(self):
        return self.dims.inputs + self.dims.rank

    @property
    def input_size(self):
        return self.dims.inputs

    @property
    def output_size(self):
        return self.dims.outputs

    def averages(self, x: Float[Array, " state"]) -> Float[Array, " read"]:
        r"""$E[v \phi(h)]$ and $E[z \phi(h)]$ at the state x, over all units."""
        makes, reads = self.dims.makes, self.dims.reads

        def one(mean, covariance):
            at = x @ mean[makes], x @ covariance[makes, makes] @ x
            height, slope = moments(self.nonlinearity)(*at)
            return mean[reads] * height + (x @ covariance[reads, makes].T) * slope

        return self.shares @ jax.vmap(one)(self.means, self.covariances)

    def velocity(self, x, u):
        return jnp.concatenate([u, self.averages(x)[: self.dims.rank]]) - x

    def output(self, x):
        return self.averages(x)[self.dims.rank :]


class LearningVelocity(Result):
    """Change of each population per unit of s = eta * steps."""

    loss: float
    means: Float[np.ndarray, "population column"]
    covariances: Float[np.ndarray, "population column column"]


@eqx.filter_jit
def _velocity(loss, populations):
    where = lambda p: (p.means, p.covariances)

    def value(given):
        return loss(eqx.tree_at(where, populations, given), None)

    found, (by_mean, by_covariance) = jax.value_and_grad(value)(where(populations))
    s = (by_covariance + jnp.swapaxes(by_covariance, 1, 2)) / 2
    mixed = s @ populations.covariances
    shares = populations.shares
    means = -by_mean / shares[:, None]
    return found, means, -2 * (mixed + jnp.swapaxes(mixed, 1, 2)) / shares[:, None, None]


def learning_velocity(
    loss: Callable[[System, PRNGKeyArray | None], Scalar],
    populations: Populations,
) -> LearningVelocity:
    """The gradient flow of an exact `loss(system, None)`, in float64.

    Raises ValueError when shares are not positive or do not sum to 1, or a covariance belongs
    to no Gaussian.
    """
    shares = np.asarray(populations.shares, float)
    if not ((shares > 0).all() and abs(shares.sum() - 1) < 1e-6):
        raise ValueError(f"shares={shares.tolist()}: give positive numbers with sum 1.")
    check_overlaps(np.asarray(populations.covariances))
    with float64():
        found = _velocity(widen(loss), widen(populations))
        value, means, covariances = (np.asarray(a) for a in found)
    return LearningVelocity(float(value), means, covariances)


def example(key: PRNGKeyArray) -> Populations:
    """Two kinds of units, alike but for the sign of what they read; nothing is drawn."""
    del key
    means = jnp.array([[0.2, 0.5, 0.6, 0.1], [0.2, 0.5, -0.3, 0.1]])
    return Populations(jnp.array([0.7, 0.3]), means, jnp.stack(2 * [jnp.eye(4)]))
