"""Two rings to run around, one inside the other, and a ring between them that parts them."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from slowpoint.core.system import Flow

CENTRE = 1e-12  # a state nearer to 0 than this has no angle; it counts as 0


class LimitCycles(Flow):
    r"""$\dot r = (r - 2) - (r - 2)^3$, $\dot \theta = 1$. State `[x, y]`.

    Nothing rests. The cycles r = 1 and r = 3 attract (rate -2 across, 0 along), r = 2 repels
    (rate 1) and is the separatrix; all have period $2\pi$ (Dabholkar and Barak 2025,
    arXiv:2505.15231). At 0 the velocity has size 6, away from 0, and jumps: no box is offered,
    an index theorem would not hold in it.
    """

    dt: float = eqx.field(static=True, default=0.01)  # Euler drifts outward by dt r turn^2 / 2
    state_size: int = eqx.field(static=True, default=2, init=False)
    input_size: int = eqx.field(static=True, default=0, init=False)
    output_size: int = eqx.field(static=True, default=2, init=False)

    def velocity(self, x, u):
        placed = jnp.where(jnp.abs(x).max() < CENTRE, jnp.array([1.0, 0.0]), x)
        outward = placed / jnp.linalg.norm(placed)  # (cos, sin) of theta
        off = outward @ x - 2
        return (off - off**3) * outward + jnp.stack([-x[1], x[0]])

    def output(self, x):
        return x


def example(key: PRNGKeyArray) -> LimitCycles:
    """The only one; nothing is drawn."""
    del key
    return LimitCycles()
