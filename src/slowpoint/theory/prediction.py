r"""What does least squares make of a world, and which map has the latent as its code?

A world of S states and B actions is X, rows [e_s ; e_a], and Y, rows e_t. The convention
here: $W = X^+ Y$ is (S + B) x S, so a prediction is a row times W; a network's product is W'.

Ratzon and Barak (2025), arXiv:2511.09290, trains networks on it and looks at W; the
identities, the ring and the latent solution below are ours.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from slowpoint.core.transitions import Transitions


def least_squares_predictor(transitions: Transitions) -> Float[np.ndarray, "input state"]:
    r"""$W = X^+ Y$. X has the null vector [1 ; -1], hence the pseudo-inverse.

    On a line $W c = u$ exactly: c the centred places, u = [c ; lengths of the actions]. So
    the latent is (nearly) a singular vector, of `line_bound` or more.
    """
    return np.linalg.pinv(transitions.one_hot()) @ transitions.targets()


def canonical_correlations(transitions: Transitions) -> Float[np.ndarray, " mode"]:
    """Of X with Y, not centred, falling. On a line the first two are 1: constant, position.

    How far the third lies below says how well the latent is told from the rest.
    """
    left = _basis(transitions.one_hot())
    return np.linalg.svd(left.T @ _basis(transitions.targets()), compute_uv=False)


def _basis(columns: Float[np.ndarray, "row column"]) -> Float[np.ndarray, "row mode"]:
    """Orthonormal, of the space that `columns` span."""
    left, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    return left[:, sizes > 1e-10 * sizes[0]]


def line_bound(size: int, horizon: int) -> float:
    r"""A lower bound on $\sigma_1(X^+ Y)$ on a line: $\sqrt{1 + B(B^2-1) / (S(S^2-1))}$."""
    actions = 2 * horizon + 1
    return float(np.sqrt(1 + actions * (actions**2 - 1) / (size * (size**2 - 1))))


def ring_spectrum(size: int, horizon: int) -> Float[np.ndarray, " mode"]:
    r"""Singular values of $E[e_t | s]$ on a ring, k = 0 ... S-1, not sorted.

    $|\sin(\pi k B / S) / (B \sin(\pi k / S))|$, and 1 at k = 0: the matrix is circulant. Least
    squares learns nothing from actions on a ring, so $X^+ Y$ has the same values but for k = 0,
    $\sqrt{B / (S + B)}$. The informative ones vanish as A nears S/2: a horizon too long.
    """
    actions, k = 2 * horizon + 1, np.arange(1, size)
    rest = np.sin(np.pi * k * actions / size) / (actions * np.sin(np.pi * k / size))
    return np.abs(np.concatenate([[1.0], rest]))


def ring_participation(size: int, horizon: int) -> float:
    r"""$(\sum \sigma^2)^2 / \sum \sigma^4$ of `ring_spectrum`: $3SB / (2B^2 + 1)$.

    Raises ValueError unless 2 (B - 1) < S: further, actions meet around the ring.
    """
    actions = 2 * horizon + 1
    if 2 * (actions - 1) >= size:
        raise ValueError(
            f"A={horizon} on a ring of S={size}: the closed form needs 4 A < S. Use "
            "ring_spectrum."
        )
    return 3 * size * actions / (2 * actions**2 + 1)


def spectral_participation(sizes: Float[np.ndarray, " mode"]) -> float:
    r"""$(\sum \sigma^2)^2 / \sum \sigma^4$: over how many singular values a map is spread."""
    power = np.asarray(sizes) ** 2
    return float(power.sum() ** 2 / (power**2).sum())


def latent_solution(size: int, horizon: int) -> Float[np.ndarray, "state input"]:
    r"""A product of rank 2: its logits are $-(c_k - c_{s+a})^2$ up to a constant of each pair.

    $2 (c u' + q z')$ with $q_t = -(c_t^2 - \overline{c^2})/2$ and $z = [\lambda 1_S ;
    (1-\lambda) 1_B]$, $\lambda = B/(S+B)$: every pair of a line is right, by a margin of 1.
    """
    actions = 2 * horizon + 1
    c = np.arange(size) - (size - 1) / 2
    q = -(c**2 - (c**2).mean()) / 2
    share = actions / (size + actions)
    u = np.concatenate([c, np.arange(-horizon, horizon + 1)])
    z = np.repeat([share, 1 - share], [size, actions])
    return 2 * (np.outer(c, u) + np.outer(q, z))


class LatentSpectrum(NamedTuple):
    """The two singular values of `latent_solution`."""

    first: float
    second: float

    def schatten_cost(self, layers: int) -> float:
        r"""$\sum_i \sigma_i^{2/L}$, at the margin 1 that it has."""
        return self.first ** (2 / layers) + self.second ** (2 / layers)


def latent_solution_spectrum(size: int, horizon: int) -> LatentSpectrum:
    r"""$2\sqrt{C (C + B(B^2-1)/12)}$ with $C = S(S^2-1)/12$, and
    $\sqrt{SB/(S+B) \cdot S(S^2-1)(S^2-4)/180}$."""
    actions, spread = 2 * horizon + 1, size * (size**2 - 1) / 12
    first = 2 * np.sqrt(spread * (spread + actions * (actions**2 - 1) / 12))
    curved = size * (size**2 - 1) * (size**2 - 4) / 180
    second = np.sqrt(size * actions / (size + actions) * curved)
    return LatentSpectrum(float(first), float(second))
