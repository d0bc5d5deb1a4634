r"""Where does learning in a closed loop begin, and when is the loop stable for good?

The linear networks of rank one of Ger and Barak (2025), arXiv:2505.13567, figures 3-5:
entries of m and z uniform in $\pm 1/\sqrt N$, those of u and v $\mathcal N(0, 1/N)$.
"""

import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from slowpoint.core.chance import generator
from slowpoint.core.result import Result
from slowpoint.theory.gram import gram, GramHistory
from slowpoint.theory.loop_stability import is_stable


def start_columns(
    key: PRNGKeyArray, networks: int, units: int = 100
) -> Float[np.ndarray, "network unit 4"]:
    """The columns m, u, v, z of `networks` networks before they learn."""
    draw, size = generator(key), (networks, units)
    m, z = draw.uniform(-1, 1, (2, *size)) / units**0.5
    u, v = draw.normal(size=(2, *size)) / units**0.5
    return np.stack([m, u, v, z], axis=-1)


def start_grams(
    key: PRNGKeyArray, networks: int, units: int = 100
) -> Float[np.ndarray, "network 4 4"]:
    """The scalar products of `start_columns`: all that their learning depends on."""
    return gram(start_columns(key, networks, units))


class Stabilised(Result):
    """Networks when their loops become stable for good: the end of the second stage."""

    epochs: Int[np.ndarray, " network"]  # the first after which it never is unstable; -1: none
    grams: Float[np.ndarray, "network 4 4"]  # then; the last of a network that never was
    overlaps: Float[np.ndarray, "network 4"]


def stabilised(history: GramHistory) -> Stabilised:
    """When the loops of `history`, with the double integrator, became stable to its end.

    Several rank-one networks, seen at each epoch that was recorded.
    """
    unstable = ~is_stable(history.overlaps)
    records = unstable.shape[1]
    first = np.where(
        unstable.any(axis=1), records - unstable[:, ::-1].argmax(axis=1), 0
    )  # one after the last
    here, at = np.arange(len(first)), np.minimum(first, records - 1)
    epochs = np.where(first < records, history.epochs[at], -1)
    return Stabilised(epochs, history.grams[here, at], history.overlaps[here, at])
