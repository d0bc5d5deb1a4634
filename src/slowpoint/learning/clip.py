"""How is a long gradient shortened?"""

import jax
import jax.numpy as jnp
import optax


def clip(largest: float = 1.0) -> optax.GradientTransformation:
    r"""The gradient times $\min(1, largest / (norm + 10^{-6}))$, as PyTorch shortens it.

    The norm is that of all weights together. Put it first: `optax.chain(clip(1.0),
    optax.sgd(1e-2))`. Raises ValueError on a `largest` that is not above 0.
    """
    if not largest > 0:
        raise ValueError(f"largest={largest}: give the largest norm, above 0.")

    def shorten(updates, params):
        del params
        norm = jnp.sqrt(sum(jnp.sum(update**2) for update in jax.tree.leaves(updates)))
        share = jnp.minimum(1.0, largest / (norm + 1e-6))
        return jax.tree.map(lambda update: share * update, updates)

    return optax.stateless(shorten)
