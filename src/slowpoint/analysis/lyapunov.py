"""How fast do nearby trajectories part? The Lyapunov spectrum, with its convergence.

Benettin et al. (1980), Meccanica 15, 9; for recurrent networks Vogt et al. (2022), Frontiers
in Applied Mathematics and Statistics 8, 818799.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from slowpoint.core.precision import float64, widen
from slowpoint.core.result import Result
from slowpoint.core.rollout import beginning
from slowpoint.core.system import System

Numbers = Array | np.ndarray


class Lyapunov(Result):
    """Exponents per unit time, the largest first; `running` after each block."""

    exponents: Float[np.ndarray, " exponent"]
    errors: Float[np.ndarray, " exponent"]  # standard error over blocks
    running: Float[np.ndarray, "block exponent"]
    steps: int  # that entered the averages
    says: str  # whether to trust it, in one sentence

    @property
    def dimension(self) -> float:
        """Kaplan and Yorke's dimension of the attractor; NaN when exponents were left out."""
        sums = np.cumsum(self.exponents)
        below = np.flatnonzero(sums < 0)
        if not len(below):
            return float("nan")
        k = int(below[0])
        return k + (sums[k - 1] / abs(self.exponents[k]) if k else 0.0)


def lyapunov(
    system: System,
    start: Float[Numbers, " given"],
    inputs: Float[Numbers, "time input"],
    *,
    exponents: int | None = None,
    warmup: int = 0,
    blocks: int = 16,
) -> Lyapunov:
    """The `exponents` largest (all of them by default) along the steps driven by `inputs`.

    A Flow is followed by its Euler steps, as it was trained. The first `warmup` steps move
    the state and the frame but do not count. Raises ValueError when too few steps are left.
    """
    count = system.state_size if exponents is None else exponents
    length = (len(inputs) - warmup) // blocks
    if length < 1 or not 1 <= count <= system.state_size:
        raise ValueError(
            f"{len(inputs)} steps, {warmup} of warm-up, {blocks} blocks, {count} exponents of "
            f"{system.state_size}: give at least {warmup + blocks} steps, and between 1 and "
            f"{system.state_size} exponents."
        )
    with float64():
        wide = widen(system)
        x = beginning(wide, jnp.asarray(start, float))
        inputs = jnp.asarray(inputs, float)[: warmup + length * blocks]
        growth, finite = map(np.asarray, _growth(wide, x, inputs, count))
    logs = growth[warmup:].reshape(blocks, length, count).mean(axis=1) / system.dt
    running = np.cumsum(logs, axis=0) / np.arange(1, blocks + 1)[:, None]
    errors = (
        logs.std(axis=0, ddof=1) / np.sqrt(blocks) if blocks > 1 else np.full(count, np.nan)
    )
    return Lyapunov(
        running[-1], errors, running, length * blocks, _says(finite, running, errors)
    )


@eqx.filter_jit
def _growth(system: System, x, inputs, count: int):
    """Logarithms of the diagonal of R at every step, and whether the states stayed finite."""

    def tick(carry, u):
        x, frame = carry
        push = lambda v: jax.jvp(lambda x: system.step(x, u), (x,), (v,))[1]
        frame, stretch = jnp.linalg.qr(jax.vmap(push, in_axes=1, out_axes=1)(frame))
        diagonal = jnp.abs(jnp.diagonal(stretch))
        return (system.step(x, u), frame), jnp.log(jnp.maximum(diagonal, 1e-300))

    frame = jnp.eye(system.state_size)[:, :count]
    (x, _), growth = jax.lax.scan(tick, (x, frame), inputs)
    return growth, jnp.isfinite(x).all()


def _says(finite: np.ndarray, running: np.ndarray, errors: np.ndarray) -> str:
    if not finite:
        return "diverged: the state left the finite numbers, the exponents mean nothing"
    drift = np.abs(running[-1] - running[len(running) // 2])[0]
    if drift > 3 * errors[0] + 1e-6:
        return f"unconverged: the largest exponent still moves by {drift:.2g}; give more steps"
    return f"converged: the largest exponent is known to +-{errors[0]:.2g}"
