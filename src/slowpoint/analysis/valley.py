"""Where is the bottom of a long, curved valley of speed that runs into the faces of its box?

Newton's method with a projection: Bertsekas (1982), SIAM J. Control Optim. 20, 221. Which
coordinates leave a face: More and Toraldo (1991), SIAM J. Optim. 1, 93.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from slowpoint.analysis.methods import free_part, Method
from slowpoint.analysis.problem import Problem
from slowpoint.core.system import System

DAMPING = np.append(0.0, np.logspace(-9, 1, 21))  # of the largest curvature, all tried
NEAR = 1e-2  # a face nearer than this, and than the gradient, may hold a coordinate


class Valley(Method):
    """Damped Newton on q that follows a bent valley and slides along the faces of the box.

    Each step decomposes the Hessian once, tries all dampings, mends every trial a few times by
    the gradient found there, and keeps the lowest. A coordinate on a face leaves it only when
    its own gradient outweighs that of the coordinates inside.
    """

    max_steps: int = 400
    via: System | None = None
    longest: float = 2.0  # of one step
    mends: int = 4
    block: int = 4
    width: int = 4
    double: bool = True

    def remember(self, x):
        return ()

    def move(self, problem, lane):
        x, u = lane.x, lane.u
        q = lambda x: problem.q(x, u)
        gradient, bend = jax.grad(q)(x), jax.hessian(q)(x)
        waits, nudged = waiting(problem, x, u, gradient)
        values, vectors = jnp.linalg.eigh(free_part(bend, waits))
        curvature = jnp.maximum(jnp.abs(values), 1e-9)

        def newton(y, damping):
            here = jax.grad(q)(y)
            here = jnp.where(waits | problem.at_bound(y, u, here), 0.0, here)
            p = -vectors @ ((vectors.T @ here) / (curvature + damping))
            length = jnp.linalg.norm(p)
            return jnp.where(waits, 0.0, p * jnp.minimum(1.0, self.longest / (length + 1e-300)))

        def attempt(damping):
            own = -gradient / (jnp.maximum(jnp.abs(jnp.diagonal(bend)), 1e-9) + damping)
            y = problem.project(x + newton(x, damping) + jnp.where(nudged, own, 0.0), u)
            trials = [y]
            for _ in range(self.mends):
                trials.append(problem.project(trials[-1] + newton(trials[-1], damping), u))
            return jnp.stack(trials)

        trials = jax.vmap(attempt)(DAMPING * curvature.max()).reshape(-1, len(x))
        heights = jax.vmap(q)(trials)
        best = jnp.nanargmin(heights)
        lower = heights[best] < q(x) * (1 - 1e-12)
        # at the bottom q is flat to rounding, its gradient is not yet
        flat = ~lower & (slope(problem, trials[0], u) < slope(problem, x, u))
        x = jnp.where(lower, trials[best], jnp.where(flat, trials[0], x))
        return x, (), (~lower & ~flat) | (slope(problem, x, u) <= 1e-15)


def slope(
    problem: Problem, x: Float[Array, " state"], u: Float[Array, " input"]
) -> Float[Array, ""]:
    """|projected gradient of q|."""
    gradient = jax.grad(problem.q)(x, u)
    return jnp.linalg.norm(jnp.where(problem.at_bound(x, u, gradient), 0.0, gradient))


def waiting(
    problem: Problem,
    x: Float[Array, " state"],
    u: Float[Array, " input"],
    gradient: Float[Array, " state"],
) -> tuple[Bool[Array, " state"], Bool[Array, " state"]]:
    """`(coordinates that wait, those of them that go to a nearby face on their own)`."""
    if (box := problem.box(u)) is None:
        none = jnp.zeros(len(x), bool)
        return none, none
    low, high = box
    span = jnp.linalg.norm(x - jnp.clip(x - gradient, low, high))
    near = jnp.minimum(NEAR, span)
    leaving = ((x <= low + near) & (gradient > 0)) | ((x >= high - near) & (gradient < 0))
    face = (x <= low) | (x >= high)
    inside = jnp.linalg.norm(jnp.where(face | leaving, 0.0, gradient))
    stays = face & (jnp.abs(gradient) <= inside)
    return leaving | stays, leaving & ~face
