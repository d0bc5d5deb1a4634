"""Two wells on a ray, one inside the other's reach: the separatrix is a circle."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from slowpoint.core.system import Flow

CENTRE = 1e-12  # a state nearer to 0 than this has no angle; it counts as 0


class RadialBistable(Flow):
    r"""$\dot r = (r - 2) - (r - 2)^3$, $\dot \theta = -\sin \theta$. State `[x, y]`.

    All rests lie on y = 0: attractors at x = 1 and 3 (rates -2 and -1), between them the saddle
    x = 2 (1 and -1); on the other side x = -1 and -3 let go along the circle (1 and -2), x = -2
    along both (1 and 1). The separatrix is r = 2. Every
    $|\tan(\theta/2)|^{\mu - 1}$ times a function of r solves the Koopman equation at rate 1
    (Dabholkar and Barak 2025, arXiv:2505.15231). At 0 the velocity has size 6, away from 0, and
    jumps: no box is offered, an index theorem would not hold in it.
    """

    dt: float = eqx.field(static=True, default=0.01)  # Euler drifts outward by dt r turn^2 / 2
    state_size: int = eqx.field(static=True, default=2, init=False)
    input_size: int = eqx.field(static=True, default=0, init=False)
    output_size: int = eqx.field(static=True, default=2, init=False)

    def velocity(self, x, u):
        placed = jnp.where(jnp.abs(x).max() < CENTRE, jnp.array([1.0, 0.0]), x)
        outward = placed / jnp.linalg.norm(placed)  # (cos, sin) of theta
        off = outward @ x - 2
        turn = -outward[1]
        return (off - off**3) * outward + turn * jnp.stack([-x[1], x[0]])

    def output(self, x):
        return x


def example(key: PRNGKeyArray) -> RadialBistable:
    """The only one; nothing is drawn."""
    del key
    return RadialBistable()
