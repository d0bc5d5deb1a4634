"""Along which directions do these states spread, and how like their latent are they?

States h (samples, units), latent y (samples, d) or (samples,), classes c (samples,). How a code
is judged: Ratzon and Barak (2025).
"""

import math

import numpy as np
import scipy.spatial.distance
from jaxtyping import Array, Float, Int

from slowpoint.analysis.tables import Given, same_length, table, whole
from slowpoint.core.result import Result

Numbers = Array | np.ndarray


class PCA(Result):
    """Principal components of a cloud of states, the widest first."""

    mean: Float[np.ndarray, " state"]
    components: Float[np.ndarray, "component state"]  # orthonormal rows
    variances: Float[np.ndarray, " component"]
    total: float  # variance over all directions

    @property
    def shares(self) -> Float[np.ndarray, " component"]:
        """Share of the total variance along each component."""
        return self.variances / self.total if self.total else np.zeros_like(self.variances)

    def project(
        self, states: Float[Numbers, "... state"]
    ) -> Float[np.ndarray, "... component"]:
        """Coordinates of `states` along the components."""
        return (np.asarray(states, float) - self.mean) @ self.components.T


def pca(states: Float[Numbers, "... state"], count: int = 3) -> PCA:
    """The `count` widest directions of `states` (all leading axes are samples).

    Raises ValueError when there are fewer than two states or one is not finite.
    """
    cloud = np.asarray(states, float).reshape(-1, np.shape(states)[-1])
    if len(cloud) < 2 or not np.isfinite(cloud).all():
        raise ValueError(
            f"{len(cloud)} states came, all finite: {bool(np.isfinite(cloud).all())}. "
            "Give at least two states of finite numbers."
        )
    mean = cloud.mean(axis=0)
    _, sizes, rows = np.linalg.svd(cloud - mean, full_matrices=False)
    variances = sizes**2 / (len(cloud) - 1)
    count = min(count, len(rows))
    return PCA(mean, rows[:count], variances[:count], float(variances.sum()))


def participation_ratio(states: Float[Numbers, "... state"]) -> float:
    r"""$(\sum \lambda)^2 / \sum \lambda^2$ of the covariance: an effective dimension.

    Rajan, Abbott and Sompolinsky (2010); between 1 and the number of units, 0 for one point.
    """
    cloud = np.asarray(states, float).reshape(-1, np.shape(states)[-1])
    variances = np.linalg.svd(_centred(cloud), compute_uv=False) ** 2
    return float(variances.sum() ** 2 / (variances**2).sum()) if variances.any() else 0.0


def order(h: Given, y: Given) -> float:
    """R² of the linear regression of y on the first d principal components of h.

    Of all columns of y together: 1 - residual over total squares. Where the variances of the
    d-th component and the next tie, it depends on which comes first. Raises ValueError when y
    is constant, and on samples that don't fit, are fewer than two or not finite.
    """
    states, latent = table(h, "h"), table(y, "y", "d")
    same_length(states, latent, "h and y")
    return _explained(_directions(states, latent.shape[1]), latent)


def class_means(
    h: Given, c: Given
) -> tuple[Float[np.ndarray, "class state"], Int[np.ndarray, " class"]]:
    """Mean of h in each class, and the labels of the classes, rising.

    Raises ValueError where c is not one whole number for each sample.
    """
    states = table(h, "h")
    labels, index = np.unique(whole(c, "c", len(states)), return_inverse=True)
    sums = np.zeros((len(labels), states.shape[1]))
    np.add.at(sums, index.ravel(), states)
    return sums / np.bincount(index.ravel())[:, None], labels


def nc1(h: Given, c: Given) -> float:
    r"""$\mathrm{tr}\,S_W / \mathrm{tr}\,S_B$: scatter within classes over that of their means.

    Classes weigh by their samples. 0 when h tells the class and nothing else; NaN with a single
    class or when all classes have one mean. Raises ValueError as `class_means` does.
    """
    states = _centred(table(h, "h"))
    means, labels = class_means(states, c)
    index = np.searchsorted(labels, whole(c, "c", len(states)))
    within = ((states - means[index]) ** 2).sum()
    between = (means[index] ** 2).sum()
    return float(within / between) if between > TINY * (states**2).sum() else math.nan


def cka(X: Given, Y: Given) -> float:
    r"""Linear $\lVert X'Y \rVert^2 / (\lVert X'X \rVert \lVert Y'Y \rVert)$ of centred X, Y.

    Kornblith et al. (2019). 1 for the same code up to rotation and scale; NaN when X or Y is
    constant. Raises ValueError when their samples don't fit.
    """
    x, y = _both(X, Y)
    size = np.linalg.norm(_gram(x)) * np.linalg.norm(_gram(y))
    return float(np.linalg.norm(x.T @ y) ** 2 / size) if size else math.nan


def distance_correlation(X: Given, Y: Given) -> float:
    """Distance correlation of X and Y, the square root of dCov² / (dVar dVar).

    Székely, Rizzo and Bakirov (2007). 0 for independence of many samples only: biased upward
    for few. NaN when X or Y is constant. Raises ValueError when their samples don't fit.
    """
    a, b = (_distances(part) for part in _both(X, Y))
    size = np.linalg.norm(a) * np.linalg.norm(b)
    return math.sqrt(max(float((a * b).sum() / size), 0.0)) if size else math.nan


def procrustes_r2(P: Given, Y: Given) -> float:
    r"""$(\sum \sigma(P'Y))^2 / (\lVert P \rVert^2 \lVert Y \rVert^2)$, P cut to d components.

    The share of Y (samples, d) that a rotation, reflection and scale of P explains; for a code
    P are its class means. NaN when P or Y is constant. Raises ValueError when their samples
    don't fit.
    """
    p, y = _both(P, Y)
    rotated = p @ np.linalg.svd(p, full_matrices=False)[2][: y.shape[1]].T
    size = (rotated**2).sum() * (y**2).sum()
    shared = np.linalg.svd(rotated.T @ y, compute_uv=False).sum()
    return float(shared**2 / size) if size else math.nan


def best_frequency(h: Given, positions: Given, size: int) -> tuple[int, float]:
    r"""f in 1..S/2 whose $(\cos, \sin)(2 \pi f t / S)$ two components of h tell best; its R².

    `positions` t (samples,) on a ring of `size` S. A code may be ordered at another f than 1.
    Raises ValueError when S < 2 or the positions never change.
    """
    if size < 2:
        raise ValueError(
            f"size is {size}; expected the number of positions on the ring, 2 or more."
        )
    states, t = table(h, "h"), table(positions, "positions", "1")[:, 0]
    same_length(states, t, "h and positions")
    top = _directions(states, 2)
    found = {}
    for f in range(1, size // 2 + 1):
        wave = on_ring(f * t, size)
        if np.ptp(wave, axis=0).max() > 1e-9:
            found[f] = _explained(top, wave)
    if not found:
        raise ValueError("positions are all the same on the ring. Give states at several.")
    best = max(found, key=lambda f: found[f])
    return best, found[best]


def on_ring(positions: Given, size: int) -> Float[np.ndarray, "sample 2"]:
    """(cos, sin) of 2 pi t / S: the latent of a ring of `size` S."""
    angle = 2 * np.pi * np.mod(np.asarray(positions, float), size) / size
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


TINY = 1e-26  # a share of squares that is rounding


def _centred(x: Float[np.ndarray, "sample column"]) -> Float[np.ndarray, "sample column"]:
    """Mean 0, largest value about 1; exactly 0 where nothing varies."""
    for shift in (0.0, x[0]):  # the scale first: differences of huge numbers overflow
        x = (x - shift) / (np.abs(x - shift).max() or 1.0)
    return x - x.mean(axis=0)


def _both(X: Given, Y: Given) -> tuple[np.ndarray, np.ndarray]:
    x, y = table(X, "X"), table(Y, "Y", "d")
    same_length(x, y, "X and Y")
    return _centred(x), _centred(y)


def _directions(h, d: int) -> Float[np.ndarray, "sample component"]:
    """The first d principal components at unit length; fewer where h has fewer."""
    left, sizes, _ = np.linalg.svd(_centred(h), full_matrices=False)
    there = sizes > sizes[0] * max(h.shape) * np.finfo(float).eps
    return left[:, :d][:, there[:d]]


def _explained(directions, y) -> float:
    """R² of y on orthonormal directions. Raises ValueError when y is constant."""
    latent = _centred(y)
    if not latent.any():
        raise ValueError(
            f"The latent is {y[0]} in all {len(y)} samples: nothing to be ordered by. Give "
            "states at several values."
        )
    return float(((directions.T @ latent) ** 2).sum() / (latent**2).sum())


def _gram(x: np.ndarray) -> np.ndarray:
    """X'X or XX', whichever is smaller: their norms agree."""
    return x.T @ x if x.shape[1] < len(x) else x @ x.T


def _distances(x: np.ndarray) -> Float[np.ndarray, "sample sample"]:
    """Between samples, rows and columns centred."""
    apart = scipy.spatial.distance.squareform(scipy.spatial.distance.pdist(x))
    return apart - apart.mean(axis=0) - apart.mean(axis=1)[:, None] + apart.mean()
