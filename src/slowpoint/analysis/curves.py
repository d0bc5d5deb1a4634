"""Which curves lead from one state to another, every way round? Cubics with random tangents.

The curves of Dabholkar and Barak (2025), arXiv:2505.15231.
"""

import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from slowpoint.analysis.even import even_normal
from slowpoint.core.chance import generator
from slowpoint.core.result import Result

Numbers = Array | np.ndarray
ALONG = 1.4  # of the way from a to b in the tangents
# from (start, end, first tangent, last tangent) to the powers of alpha
HERMITE = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [-3, 3, -2, -1], [2, -2, 1, 1]], float)


class Curves(Result):
    r"""Cubics $P(\alpha) = \sum_k c_k \alpha^k$, $\alpha$ from 0 to 1, seen at `alphas`."""

    coefficients: Float[np.ndarray, "curve power state"]
    alphas: Float[np.ndarray, " point"]

    @property
    def states(self) -> Float[np.ndarray, "curve point state"]:
        """All curves at `alphas`."""
        powers = self.alphas[:, None] ** np.arange(4)
        return np.einsum("pk,cks->cps", powers, self.coefficients)

    def at(
        self, curve: Int[np.ndarray, " place"], alpha: Float[np.ndarray, " place"]
    ) -> Float[np.ndarray, "place state"]:
        """States on those curves (row numbers) at those alphas, on the cubic itself."""
        return np.einsum("nk,nks->ns", alpha[:, None] ** np.arange(4), self.coefficients[curve])

    def lengths(
        self,
        curve: Int[np.ndarray, " place"],
        low: Float[np.ndarray, " place"],
        high: Float[np.ndarray, " place"],
    ) -> Float[np.ndarray, " place"]:
        """Arc length of short pieces, by Simpson's rule."""
        speeds = [self._speed(curve, alpha) for alpha in (low, (low + high) / 2, high)]
        return (high - low) * (speeds[0] + 4 * speeds[1] + speeds[2]) / 6

    def _speed(self, curve: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        slopes = alpha[:, None] ** np.arange(3) * np.arange(1, 4)
        tangents = np.einsum("nk,nks->ns", slopes, self.coefficients[curve, 1:])
        return np.linalg.norm(tangents, axis=1)


def hermite_curves(
    a: Float[Numbers, " state"],
    b: Float[Numbers, " state"],
    *,
    count: int = 100,
    points: int = 100,
    spread: float,
    key: PRNGKeyArray,
) -> Curves:
    r"""`count` cubic Hermite curves from `a` to `b`, each to be seen at `points` places.

    Both tangents are $1.4(b - a) + spread \cdot N(0, I)$; the paper's `spread`: 5 for 64 units
    and more, 2 in the plane. Raises ValueError when a = b.
    """
    draws = generator(key).standard_normal((count, 2, len(a)))
    return _hermite(a, b, spread * draws, points)


def even_curves(
    a: Float[Numbers, " state"],
    b: Float[Numbers, " state"],
    *,
    count: int = 64,
    points: int = 100,
    spread: float,
) -> Curves:
    """`hermite_curves` without chance: the tangents fill their normal distribution evenly."""
    # the first point of the sequence is a far corner in every direction at once
    draws = even_normal(count + 1, 2 * len(a))[1:].reshape(count, 2, len(a))
    return _hermite(a, b, spread * draws, points)


def _hermite(a, b, scatter: np.ndarray, points: int) -> Curves:
    start, end = np.asarray(a, float), np.asarray(b, float)
    if points < 2 or not len(scatter) or np.array_equal(start, end):
        raise ValueError(
            f"{len(scatter)} curves of {points} points over a distance of "
            f"{np.linalg.norm(end - start):.3g}. Give two different states, count=1 or more "
            "and points=2 or more."
        )
    ends = np.broadcast_to(np.stack([start, end]), scatter.shape)
    given = np.concatenate([ends, ALONG * (end - start) + scatter], axis=1)
    return Curves(np.einsum("kg,cgs->cks", HERMITE, given), np.linspace(0, 1, points))
