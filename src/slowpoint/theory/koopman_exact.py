r"""Which scalars are known to grow at one rate along a flow, and are zero on a separatrix?

A Koopman eigenfunction of rate $\lambda$ has $\nabla\phi \cdot f = \lambda \phi$. Squashed,
$\psi = \phi / \sqrt{1 + \phi^2}$, it obeys $\nabla\psi \cdot f = \lambda (\psi - \psi^3)$ and
is $\pm 1$ at attractors. All closed forms below have rate 1. (Dabholkar and Barak 2025,
arXiv:2505.15231; the error of the pull-back and the parabola are ours.)
"""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from slowpoint.core.system import Flow

Scalar = Callable[[Float[Array, " state"]], Float[Array, ""]]  # of a state


def squash(phi: Float[Array, "*at"]) -> Float[Array, "*at"]:
    r"""$\phi / \sqrt{1 + \phi^2}$, within -1 and 1: also where $\phi$ is infinite."""
    return jnp.sin(jnp.arctan(phi))


def unsquash(psi: Float[Array, "*at"]) -> Float[Array, "*at"]:
    r"""$\psi / \sqrt{1 - \psi^2}$, the inverse of `squash`; infinite at -1 and 1."""
    return psi / jnp.sqrt((1 - psi) * (1 + psi))


def product(one: Scalar, other: Scalar) -> Scalar:
    """The product of two eigenfunctions: an eigenfunction, whose rate is the sum of theirs."""
    return lambda x: one(x) * other(x)


def power(phi: Scalar, exponent: float) -> Scalar:
    r"""$\mathrm{sign}(\phi) |\phi|^{exponent}$: an eigenfunction, its rate times `exponent`."""
    return lambda x: _signed_power(phi(x), exponent)


def _signed_power(value, exponent):
    zero = value == 0  # JAX has no slope for 0^0, nor for a root at 0
    size = jnp.abs(jnp.where(zero, 1.0, value)) ** (exponent - 1)
    return value * jnp.where(zero, exponent == 1, size)


# ---------------------------------------------------------------- along a line


def cubic_phi(s: Float[Array, "*at"]) -> Float[Array, "*at"]:
    r"""$s / \sqrt{|1 - s^2|}$ of $\dot s = s - s^3$, elementwise; poles at -1 and 1."""
    return s / jnp.sqrt(jnp.abs((1 - s) * (1 + s)))


def cubic_psi(s: Float[Array, "*at"]) -> Float[Array, "*at"]:
    r"""s itself, of $\dot s = s - s^3$. Beyond 1 another one is `squash(cubic_phi(s))`."""
    return s


def sine_phi(s: Float[Array, "*at"]) -> Float[Array, "*at"]:
    r"""$\tan(s/2)$ of $\dot s = \sin s$, elementwise; poles at odd multiples of $\pi$."""
    return jnp.tan(s / 2)


def sine_psi(s: Float[Array, "*at"]) -> Float[Array, "*at"]:
    r"""$\sin(s/2)$ of $\dot s = \sin s$, elementwise."""
    return jnp.sin(s / 2)


# ---------------------------------------------------------------- of a state


def bistable_phi(x: Float[Array, " state"], axis: int = 0) -> Float[Array, ""]:
    """`cubic_phi` along `axis` of `Bistable`; also of `Hypercube` and `NonnormalBistable`."""
    return cubic_phi(x[axis])


def bistable_psi(x: Float[Array, " state"], axis: int = 0) -> Float[Array, ""]:
    """The coordinate x[axis], of the same flows."""
    return cubic_psi(x[axis])


def radial_phi(x: Float[Array, "2"], mu: float | Float[Array, ""] = 1.0) -> Float[Array, ""]:
    r"""$|\tan(\theta/2)|^{\mu - 1} \mathrm{sign}(s) |s / \sqrt{|1 - s^2|}|^\mu$, $s = r - 2$.

    Of `RadialBistable`, for any `mu`: its factors have the rates $1 - \mu$ and $\mu$. At mu = 1
    the angle drops out and it is one of `LimitCycles` too. Above 1 it is zero also on
    theta = 0; below 1 it has a pole there.
    """
    half = jnp.abs(jnp.tan(jnp.arctan2(x[1], x[0]) / 2))
    along = jnp.where(mu == 1, 1.0, half) ** (mu - 1)  # JAX has no slope for 0^0
    return along * _signed_power(cubic_phi(jnp.linalg.norm(x) - 2), mu)


def radial_psi(x: Float[Array, "2"], mu: float | Float[Array, ""] = 1.0) -> Float[Array, ""]:
    """`radial_phi`, squashed."""
    return squash(radial_phi(x, mu))


# ---------------------------------------------------------------- the pulled-back hyperplane


def error_of_pullback(
    rates: Complex[Array | np.ndarray, " state"] | Float[Array | np.ndarray, " state"],
    time: float | Float[np.ndarray, "*at"],
) -> float | Float[np.ndarray, "*at"]:
    r"""By which factor the zero set of a pulled-back hyperplane nears the separatrix.

    $e^{-(2 |\lambda_s| + \lambda_u) T}$, asymptotically, with $\lambda_u$ the unstable rate of
    the saddle, $\lambda_s$ the slowest stable one and T = `time` in the units of 1 / `rates`.
    On the separatrix the state nears the saddle as $e^{\lambda_s T}$, the plane is wrong by
    the square of that distance, and the way back contracts by $e^{-\lambda_u T}$. Raises
    ValueError unless one rate is unstable and all others, one at least, are stable.
    """
    growth = np.sort(np.real(rates))
    if not (len(growth) > 1 and growth[-2] < 0 < growth[-1]):
        raise ValueError(
            f"{(growth > 0).sum()} of {len(growth)} rates are unstable, expected 1, and all "
            "others stable. Give the rates of a saddle between two basins."
        )
    return np.exp(-(2 * abs(growth[-2]) + growth[-1]) * time)


class Parabola(Flow):
    r"""$\dot x = x + y^2$, $\dot y = -y$: a saddle at 0 whose stable manifold is $x = -y^2/3$.

    Rates 1 and -1. Nothing attracts, but everything is known: the flow, an eigenfunction of
    rate 1 and every pull-back of its hyperplane x = 0. State `[x, y]`.
    """

    dt: float = eqx.field(static=True, default=0.05)
    state_size: int = eqx.field(static=True, default=2, init=False)
    input_size: int = eqx.field(static=True, default=0, init=False)
    output_size: int = eqx.field(static=True, default=2, init=False)

    def velocity(self, x, u):
        return jnp.stack([x[0] + x[1] ** 2, -x[1]])

    def output(self, x):
        return x

    def phi(self, x: Float[Array, "2"]) -> Float[Array, ""]:
        """The eigenfunction $x + y^2/3$, zero on the separatrix."""
        return x[0] + x[1] ** 2 / 3

    def later(self, x: Float[Array, "2"], time: float | Float[Array, ""]) -> Float[Array, "2"]:
        """Where the flow takes `x` in `time`."""
        y = x[1] * jnp.exp(-time)
        return jnp.stack([self.phi(x) * jnp.exp(time) - y**2 / 3, y])

    def pullback(
        self, x: Float[Array, "2"], time: float | Float[Array, ""]
    ) -> Float[Array, ""]:
        """The hyperplane pulled back over `time`, $e^{-T} x(T) = x + (1 - e^{-3T}) y^2/3$."""
        return self.phi(x) - jnp.exp(-3 * time) * x[1] ** 2 / 3
