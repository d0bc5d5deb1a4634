r"""How wide is the way that noise takes over a saddle?

In weak noise a density is $K e^{-V}$ along the cheapest course. With S the covariance of the
state and the noise of a step F, and p the momentum of the course, a step carries it to
$F' (S^{-1} - p \cdot F'')^{-1} F'^T$, and K to $K \det(1 - S\, p \cdot F'')^{-1/2}$: the method
of Laplace, step by step. In continuous time: Bouchet and Reygner (2016), Annales Henri
Poincaré 17, 3499.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jaxtyping import Array, Float

from slowpoint.core.system import System

FAINT = 3e-3  # of the strongest noise of a course: nothing happens where it is weaker


def amplitude(
    system: System,
    hold: Float[Array, " input"],
    noise: Float[Array, " input"],
    start: Float[Array, " state"],
    course: Float[Array, "time input"],
    left: Float[Array, " state"],
) -> float:
    r"""k, such that `start` is left at the rate $\frac{\lambda k}{2 \pi} e^{-E}$. In float64.

    `start` is a stable point, `left` the left vector of the growing mode where the `course` (in
    units of `noise`) ends, E half its squared size. In one dimension k is the root of the rate
    of return over that of leaving, $\lambda$.
    """
    slope, push = map(np.asarray, _linear(system, hold, noise, start))
    spread = scipy.linalg.solve_discrete_lyapunov(slope, push @ push.T)
    size = np.linalg.norm(np.asarray(course), axis=1)
    loud = np.flatnonzero(size > FAINT * size.max())
    span = jnp.asarray([loud[0], loud[-1] + 1])
    asked = (system, hold, noise)
    return float(_carried(asked, start, course, left, jnp.asarray(spread), span))


@eqx.filter_jit
def _linear(system: System, hold, noise, x):
    """`(A, B)`: derivatives of a step with respect to the state and to unit noise."""
    step = lambda x, xi: system.step(x, hold + noise * xi)
    none = jnp.zeros_like(hold)
    return jax.jacfwd(step)(x, none), jax.jacfwd(step, 1)(x, none)


@eqx.filter_jit
def _carried(asked, start, course, left, spread, span):
    system, hold, noise = asked
    step = lambda x, xi: system.step(x, hold + noise * xi)
    states = jax.lax.scan(lambda x, xi: (step(x, xi), x), start, course)[1]

    def back(after, now):
        pull = jax.vjp(step, *now)[1](after)
        return pull[0], (after, pull[1])

    _, (momentum, pulled) = jax.lax.scan(back, left, (states, course), reverse=True)
    momentum = momentum * jnp.sum(pulled * course) / jnp.sum(pulled**2)

    def carry(number, both):
        spread, log = both
        x, xi, p = states[number], course[number], momentum[number]
        size = len(x)
        joint = lambda both: step(both[:size], both[size:])
        both = jnp.append(x, xi)
        bend, slope = jax.hessian(lambda both: p @ joint(both))(both), jax.jacfwd(joint)(both)
        spread = jax.scipy.linalg.block_diag(spread, jnp.eye(len(xi)))
        factor = jnp.eye(len(both)) - spread @ bend
        spread = slope @ jnp.linalg.solve(factor, spread) @ slope.T
        return spread, log - 0.5 * jnp.linalg.slogdet(factor)[1]

    return jnp.exp(jax.lax.fori_loop(span[0], span[1], carry, (spread, jnp.zeros(())))[1])
