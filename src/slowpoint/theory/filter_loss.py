r"""How far is a linear network's impulse response from the one wanted, over all time?

The network is $\dot\kappa = A\kappa + Bx$, $y = C_Z \kappa$ with
$A = -1 + (0; C_V)$; beside it runs the filter that it should be, $(A_c, B_c, C_c)$. With
$A_d = \mathrm{diag}(A, A_c)$, $B_d = (B; B_c)$, $C_d = (C_Z, -C_c)$ the squared error is
$\int_0^\infty |y - y^*|^2 dt = \mathrm{tr}\, C_d X C_d^\top$, where
$A_d X + X A_d^\top + B_d B_d^\top = 0$: one small linear solve, no rollout, no horizon. The
limit of small Euler steps; those have their own closed form in `theory.impulse`. (Task: Ger and
Barak 2026, arXiv:2605.04115; the closed forms are ours, by Lyapunov's equation.)
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.precision import float64
from slowpoint.theory.overlaps import Dims

Numbers = Array | np.ndarray
Number = float | Float[Numbers, ""]


def _growth(flow: Float[Numbers, "mode mode"]) -> float:
    """The largest real part of its eigenvalues."""
    return float(np.linalg.eigvals(np.asarray(flow, float)).real.max())


class Target(eqx.Module):
    r"""The filter that is wanted: $\dot q = A_c q + B_c x$, $y^* = C_c q$. It must decay."""

    flow: Float[Numbers, "mode mode"]  # A_c
    push: Float[Numbers, "mode input"]  # B_c
    read: Float[Numbers, "output mode"]  # C_c

    def __check_init__(self):
        if not isinstance(self.flow, Tracer) and not (fastest := _growth(self.flow)) < 0:
            raise ValueError(
                f"the target's largest growth rate is {fastest:.3g}, so that an error over all "
                "time is infinite. Give one that decays, as in exponential(rate=0.2)"
            )


def exponential(rate: float, size: float = 1.0) -> Target:
    r"""$a e^{-ct}$; `rate` is c, `size` a."""
    return Target(np.array([[-rate]], float), np.ones((1, 1)), np.array([[size]], float))


def oscillation(rate: float, frequency: float) -> Target:
    r"""$e^{-ct} \cos \omega t$; `rate` is c, `frequency` omega."""
    turn = np.array([[-rate, -frequency], [frequency, -rate]], float)
    return Target(turn, np.array([[1.0], [0.0]]), np.array([[1.0, 0.0]]))


class FilterLoss(eqx.Module):
    """The error over all time as a loss that `learn` and OverlapFlow take.

    An impulse into each input in turn, the squared errors of all outputs added. Where the
    network is unstable the loss is infinite and has no slope.
    """

    target: Target
    dims: Dims = eqx.field(static=True, default=Dims())

    def __check_init__(self):
        wanted, own = self.target.read @ self.target.push, (self.dims.outputs, self.dims.inputs)
        if wanted.shape != own:
            raise ValueError(
                f"the target has (outputs, inputs) {wanted.shape}, the network {own}. Give "
                "both the same."
            )

    def __call__(
        self, sigma: Float[Array, "column column"], key: PRNGKeyArray | None
    ) -> Float[Array, ""]:
        del key  # nothing is drawn
        flow, push, read = self.error_system(sigma)
        size = len(flow)
        one = jnp.eye(size, dtype=flow.dtype)
        both_sides = jnp.kron(flow, one) + jnp.kron(one, flow)
        spread = jnp.linalg.solve(both_sides, -(push @ push.T).reshape(-1))
        error = jnp.sum(read * (read @ spread.reshape(size, size)))
        return jnp.where(self.is_stable(sigma), error, jnp.inf)

    def is_stable(self, sigma: Float[Array, "column column"]):
        """Whether the network decays: no eigenvalue of V'U / N has a real part of 1 or more."""
        loop = jax.lax.stop_gradient(sigma[self.dims.v, self.dims.u])
        if self.dims.rank == 1:
            return loop[0, 0] < 1
        return jnp.max(jnp.real(jnp.linalg.eigvals(loop))) < 1

    def error_system(self, sigma):
        """`(A_d, B_d, C_d)`: the network and the target side by side, the output y - y*."""
        dims = self.dims
        target = jax.tree.map(lambda a: jnp.asarray(a, sigma.dtype), self.target)
        own = dims.inputs + dims.rank
        drive = jnp.eye(own, dims.inputs, dtype=sigma.dtype)
        recurrent = jnp.concatenate(
            [jnp.zeros((dims.inputs, own), sigma.dtype), sigma[dims.v, dims.makes]]
        )
        flow = jax.scipy.linalg.block_diag(
            recurrent - jnp.eye(own, dtype=sigma.dtype), target.flow
        )
        push = jnp.concatenate([drive, target.push])
        return flow, push, jnp.concatenate([sigma[dims.z, dims.makes], -target.read], axis=1)


def filter_loss(
    sigma: Float[Numbers, "_ _"],
    target: Target = exponential(0.2),
    dims: Dims = Dims(),
) -> Float[Numbers, ""]:
    """The squared error of the impulse response of overlaps `sigma`, over all time.

    Known overlaps are checked, and the answer is NumPy's, in float64: ValueError when they are
    not symmetric, not of `dims`, or the network grows. What JAX traces is not checked: there
    the loss of a network that grows is infinite.
    """
    loss = FilterLoss(target, dims)
    if sigma.shape != (dims.size, dims.size):
        raise ValueError(
            f"Sigma has shape {sigma.shape}; {dims} has {dims.size} columns. Give "
            f"({dims.size}, {dims.size})."
        )
    if isinstance(sigma, Tracer):
        return loss(sigma, None)
    uneven = np.abs(sigma - sigma.T).max()
    if not uneven <= 1e-9 * np.abs(sigma).max():
        raise ValueError(f"Sigma differs from its transpose by {uneven:.3g}; symmetrise it.")
    if not (fastest := _growth(sigma[dims.v, dims.u]) - 1) < 0:
        raise ValueError(
            f"the network's largest growth rate is {fastest:.3g}: its error over all time is "
            "infinite. Roll it out over a finite time, on tasks.filter.Filter()"
        )
    with float64():
        return np.asarray(loss(jnp.asarray(sigma, float), None))


def exponential_loss(sigma: Float[Numbers, "4 4"], rate: Number, size: Number = 1.0) -> Number:
    r"""The same for rank 1 and $a e^{-ct}$ in closed form.

    With $w = zu\,vm$, $\lambda = 1 - vu$ the response is
    $zm\,e^{-t} + w (e^{-\lambda t} - e^{-t}) / (1 - \lambda)$, so
    $\ell = zm^2/2 + zm\,w/(1+\lambda) + w^2/(2\lambda(1+\lambda)) + a^2/2c
    - 2a\,(zm + w/(\lambda + c))/(1 + c)$. Smooth at vu = 0; only for vu < 1.
    """
    (vm, vu), (zm, zu) = sigma[2:, :2]
    w, decay = zu * vm, 1 - vu
    own = zm**2 / 2 + zm * w / (1 + decay) + w**2 / (2 * decay * (1 + decay))
    return own + size**2 / (2 * rate) - 2 * size * (zm + w / (decay + rate)) / (1 + rate)
