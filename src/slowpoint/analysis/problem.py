"""What must vanish where the state stands still, and within which box?"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from slowpoint.analysis.rows import over_rows
from slowpoint.core.system import Box, System


class Problem(eqx.Module):
    r"""Find the zeros of the residual r, or the minima of $q = \frac12 |r|^2$, inside a box.

    r is `step(x) - x` for a Map and `velocity(x)` for a Flow.
    """

    system: System
    corners: Box | None = None  # instead of the system's own
    boxed: bool = eqx.field(static=True, default=True)

    def residual(self, x, u):
        """r at `x`."""
        if self.system.discrete:
            return self.system.step(x, u) - x
        return self.system.velocity(x, u)

    def jacobian(self, x, u):
        """Derivative of r."""
        slope = self.system.jacobian(x, u)
        return slope - jnp.eye(len(x)) if self.system.discrete else slope

    def q(self, x, u):
        """Half the squared residual (Sussillo and Barak 2013, eq. 2.2)."""
        return 0.5 * jnp.sum(self.residual(x, u) ** 2)

    def box(self, u) -> Box | None:
        """The box that holds, or None."""
        if not self.boxed:
            return None
        return self.system.box(u) if self.corners is None else self.corners

    def project(self, x, u):
        """The nearest state inside the box."""
        box = self.box(u)
        return x if box is None else jnp.clip(x, *box)

    def at_bound(self, x, u, gradient):
        """Coordinates on the box whose descent direction points out of it."""
        box = self.box(u)
        if box is None:
            return jnp.zeros(len(x), bool)
        return ((x <= box[0]) & (gradient > 0)) | ((x >= box[1]) & (gradient < 0))


def rounding(n: int) -> float:
    """The residual that rounding alone can leave, 50 eps sqrt(n): an allowance, no bound."""
    return 50 * float(np.finfo(np.float64).eps) * n**0.5


RADIUS = 1e-3  # rho: the ball in which a certificate looks for a second root


@over_rows
def project(problem: Problem, x, u):
    """The nearest state inside the box, for rows of states."""
    return problem.project(x, u)


@over_rows
def evaluate(problem: Problem, x, u):
    """`(|residual|, speed, output)` of rows of states."""
    speed = jnp.linalg.norm(problem.system.velocity(x, u))
    return jnp.linalg.norm(problem.residual(x, u)), speed, problem.system.output(x)


@over_rows
def steepness(problem: Problem, x, u):
    """|gradient of q|, without the coordinates that the box holds, of rows of states."""
    gradient = jax.grad(problem.q)(x, u)
    return jnp.linalg.norm(jnp.where(problem.at_bound(x, u, gradient), 0.0, gradient))


@over_rows
def slopes(problem: Problem, x, u):
    """`(r, its jacobian, gradient of q, at_bound, Lipschitz bound within RADIUS)` of rows."""
    slope, r = problem.jacobian(x, u), problem.residual(x, u)
    gradient = slope.T @ r
    held = problem.at_bound(x, u, gradient)
    return r, slope, gradient, held, problem.system.lipschitz_bound(x, u, RADIUS)
