"""Along how many directions do these states spread, and which?"""

import numpy as np
from jaxtyping import Array, Float

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
    variances = np.linalg.svd(cloud - cloud.mean(axis=0), compute_uv=False) ** 2
    return float(variances.sum() ** 2 / (variances**2).sum()) if variances.any() else 0.0
