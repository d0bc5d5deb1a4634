"""How is work on many states packed, so that only two shapes are ever compiled?"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np


def largest_batch(n: int) -> int:
    """How many n x n matrices to hold at once: 256, fewer past 128 MiB."""
    return int(min(256, max(1, 2**24 // n**2)))


def buckets(index: np.ndarray, n: int, most: int = 256) -> list[tuple[np.ndarray, int]]:
    """`index` in pieces of two sizes: `(piece, how many of it count)`.

    A piece is as large as memory and `most` allow, or an eighth of that for what is left over;
    the last is filled up with its last entry.
    """
    large = min(most, largest_batch(n))
    small = max(min(4, large), large // 8)
    whole = len(index) - len(index) % large
    if len(index) - whole > large // 2:
        whole = len(index)  # one large piece costs less than many small ones
    cuts = [*range(0, whole, large), *range(whole, len(index), small)]
    sizes = [large if cut < whole else small for cut in cuts]
    pieces = [index[cut : cut + size] for cut, size in zip(cuts, sizes)]
    return [
        (np.pad(piece, (0, size - len(piece)), mode="edge"), len(piece))
        for piece, size in zip(pieces, sizes)
    ]


def over_rows(one: Callable) -> Callable:
    """`one(problem, x, u)` for a single state, made a function of rows of states.

    Rows go in and come out as NumPy arrays, with the pytree that `one` returns.
    """

    @eqx.filter_jit
    def many(problem, x, u):
        return jax.vmap(lambda x, u: one(problem, x, u))(x, u)

    def apply(problem, x, u):
        x, u = np.asarray(x), np.asarray(u)
        rows = np.arange(len(x)) if len(x) else np.zeros(1, int)
        states, inputs = (
            (x, u) if len(x) else (np.zeros((1, x.shape[1])), np.zeros((1, u.shape[1])))
        )
        parts = [
            jax.tree.map(
                lambda a, count=count: np.asarray(a)[:count],
                many(problem, jnp.asarray(states[piece]), jnp.asarray(inputs[piece])),
            )
            for piece, count in buckets(rows, x.shape[1])
        ]
        return jax.tree.map(lambda *a: np.concatenate(a)[: len(x)], *parts)

    return apply
