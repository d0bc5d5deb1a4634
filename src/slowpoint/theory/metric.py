r"""How far does each overlap move when the loss asks for another? The metric of learning.

Gradient descent on weights is descent on overlaps with a metric:
$d\sigma_{ab}/ds = -\sum_{c \le d} \bar G_{ab,cd}\, d\ell/d\sigma_{cd}$,
$\bar G_{ab,cd} = \delta_{ac}\sigma_{bd} + \delta_{ad}\sigma_{bc} + \delta_{bc}\sigma_{ad} +
\delta_{bd}\sigma_{ac}$: two overlaps pull each other when they share a column, by the overlap
of the other two. (Ger and Barak 2026, arXiv:2605.04115, figure 11.)
"""

import numpy as np
from jaxtyping import Array, Float

from slowpoint.theory.overlaps import check_overlaps


def metric(
    sigma: Float[np.ndarray | Array, "column column"],
) -> Float[np.ndarray | Array, "overlap overlap"]:
    r"""$\bar G$ at `sigma`, in the order of `vector`; an array of NumPy or of JAX as given.

    It is N times the Gram matrix of the overlaps' gradients in the weights: symmetric, and
    never less than semidefinite. Raises ValueError for a NumPy array that is not symmetric or
    belongs to no network.
    """
    if isinstance(sigma, np.ndarray):
        check_overlaps(sigma)
    a, b = np.triu_indices(len(sigma))

    def share(one, other, rest, last):
        return (one[:, None] == other) * sigma[rest[:, None], last]

    return share(a, a, b, b) + share(a, b, b, a) + share(b, a, a, b) + share(b, b, a, a)
