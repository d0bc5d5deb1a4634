r"""What if a network's overlaps were its weights?

The reduced model of Ger and Barak (2025), arXiv:2505.13567: clipped gradient descent on the
four numbers (s_zm, s_zu, s_vm, s_vu) themselves. It has the identity where learning has the
Gram matrix (`theory.gram`), so it is a baseline and no theory of a network.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from slowpoint.core.precision import float64, widen
from slowpoint.core.result import Result

Numbers = Array | np.ndarray
SLACK = 1e-6  # beside the norm, as PyTorch clips


class ReducedHistory(Result):
    """Overlaps while they descend. A leading axis where several were given."""

    losses: Float[np.ndarray, "*many step"]  # before each step, and after the last
    epochs: Int[np.ndarray, " record"]  # of the records below
    overlaps: Float[np.ndarray, "*many record overlap"]


def learn_overlaps(
    overlaps: Float[Numbers, "*many overlap"],
    loss: Callable[..., Numbers],
    *,
    rate: float,
    steps: int,
    every: int = 1,
    clip: float | None = 1.0,
) -> ReducedHistory:
    r"""$s \leftarrow s - \eta \min(1, clip / (|\nabla\ell| + 10^{-6})) \nabla \ell(s)$.

    `rate` is eta; no `clip` with None. Records come each `every` steps. In float64; a loss
    that overflows is a value. Raises ValueError on a rate, clip or step count without sense.
    """
    if not rate > 0:
        raise ValueError(f"rate={rate}: give a learning rate above 0.")
    if clip is not None and not clip > 0:
        raise ValueError(f"clip={clip}: give the largest norm, above 0, or None.")
    if steps < 0 or every < 1 or steps % every:
        raise ValueError(
            f"steps={steps}, every={every}: give 0 or more steps, a multiple of `every`."
        )
    many = np.reshape(np.asarray(overlaps, float), (-1, np.shape(overlaps)[-1]))
    with float64():
        found = _descend(widen(loss), jnp.asarray(many), jnp.asarray(rate), steps, every, clip)
        losses, path = map(np.asarray, found)
    lead = np.shape(overlaps)[:-1]
    epochs = every * np.arange(path.shape[1])
    return ReducedHistory(
        losses.reshape(*lead, -1), epochs, path.reshape(*lead, *path.shape[1:])
    )


@eqx.filter_jit
def _descend(loss, many, rate, steps, every, clip):
    both = jax.value_and_grad(loss)

    def tick(now, _):
        value, slope = both(now)
        norm = jnp.sqrt(jnp.sum(slope**2))
        share = 1.0 if clip is None else jnp.minimum(1.0, clip / (norm + SLACK))
        return now - rate * share * slope, value

    def stretch(now, _):
        now, values = jax.lax.scan(tick, now, length=every)
        return now, (values, now)

    def one(start):
        last, (values, path) = jax.lax.scan(stretch, start, length=steps // every)
        losses = jnp.append(values.reshape(-1), loss(last))
        return losses, jnp.concatenate([start[None], path])

    return jax.vmap(one)(many)
