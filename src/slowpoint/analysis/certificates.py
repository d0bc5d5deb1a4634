"""Is there a root beside this state, and only one? (Newton-Kantorovich.)

Kantorovich (1948); Ortega (1968), The Newton-Kantorovich theorem, Amer. Math. Monthly 75.
The rounding term is an allowance and not interval arithmetic: the points are *numerically*
certified.
"""

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float

from slowpoint.analysis.problem import RADIUS, rounding


class Certificate(eqx.Module):
    """One row a state. NaN where the cell knows no Lipschitz bound."""

    beta: Float[np.ndarray, " point"]  # |J^-1|
    newton: Float[np.ndarray, " point"]  # |J^-1 r|: how far Newton's next step would go
    alpha: Float[np.ndarray, " point"]  # beta L eta; below 1/2 there is a root
    radius: Float[np.ndarray, " point"]  # t-: the root lies within
    unique: Float[np.ndarray, " point"]  # min(rho, t+): no other root lies within
    certified: Bool[np.ndarray, " point"]


def certify(
    residuals: Float[np.ndarray, "point state"],
    jacobians: Float[np.ndarray, "point state state"],
    lipschitz: Float[np.ndarray, " point"],
) -> Certificate:
    r"""With $\beta = 1/\sigma_{min}(J)$, $\eta = \beta(|r| + 50\epsilon\sqrt N)$ and
    $\alpha = \beta L \eta < 1/2$: one root within $t_-$, no other within $\min(\rho, t_+)$,
    $t_\pm = (1 \pm \sqrt{1 - 2\alpha}) / (\beta L)$.
    """
    n = residuals.shape[1]
    smallest = np.linalg.svd(jacobians, compute_uv=False)[:, -1] if len(jacobians) else 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        beta = 1 / (smallest * np.ones(len(residuals)))
        size = np.linalg.norm(residuals, axis=1)
        eta = beta * (size + rounding(n))
        alpha = beta * lipschitz * eta
        root = np.sqrt(np.maximum(1 - 2 * alpha, 0))
        radius = np.where(alpha < 0.5, 2 * eta / (1 + root), np.nan)
        unique = np.where(alpha < 0.5, np.minimum(RADIUS, (1 + root) / (beta * lipschitz)), 0.0)
    certified = (alpha < 0.5) & (radius < RADIUS)
    return Certificate(
        beta,
        _newton_lengths(jacobians, residuals),
        alpha,
        np.where(certified, radius, np.nan),
        np.where(certified, unique, 0.0),
        certified,
    )


def _newton_lengths(jacobians: np.ndarray, residuals: np.ndarray) -> np.ndarray:
    """|J^-1 r|, infinite where J is singular."""
    lengths = np.full(len(residuals), np.inf)
    for i, (slope, r) in enumerate(zip(jacobians, residuals)):
        try:
            lengths[i] = np.linalg.norm(np.linalg.solve(slope, r))
        except np.linalg.LinAlgError:
            continue
    return lengths
