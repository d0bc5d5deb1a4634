"""How well does a linear predictor separate its answers, and with how much weight?

W is the product of the layers (classes, inputs), z = W x the logits. Ratzon and Barak (2025).
"""

import math

import numpy as np
from jaxtyping import Bool, Float

from slowpoint.analysis.tables import Given, same_length, table, whole


def raw_margin(logits: Given, target: Given) -> float:
    r"""$\min (z_t - \max_{k \ne t} z_k)$ over all pairs; above 0 when all are classified.

    `logits` (pairs, classes), `target` (pairs,) from 0. Raises ValueError on one class, a
    target that is none, other shapes or values that are not finite.
    """
    z, t = _pairs(logits, target)
    return float(_margins(z, t).min())


def margin(W: Given, logits: Given, target: Given) -> float:
    r"""Raw margin over $\lVert W \rVert_F$; NaN where W is zero.

    The same for kW with its logits, k > 0: a cross-entropy has no minimum and its norms grow
    for ever, so only this can be compared. Raises ValueError as `raw_margin` does.
    """
    norm = np.linalg.norm(table(W, "W", "inputs", 1))
    return float(raw_margin(logits, target) / norm) if norm else math.nan


def accuracy(logits: Given, target: Given) -> float:
    """Share of pairs whose target has the highest logit alone: a tie is wrong.

    Raises ValueError as `raw_margin` does.
    """
    z, t = _pairs(logits, target)
    return float((_margins(z, t) > 0).mean())


def minimal_rank(W: Given, inputs: Given, target: Given) -> int | None:
    """Least r at which the rank-r truncated SVD of W classifies every pair; None if none does.

    `W` (classes, inputs), `inputs` (pairs, inputs), `target` (pairs,). Where singular values
    tie at the r-th, the truncation is one of many. Raises ValueError as `raw_margin` does, and
    when W and the inputs don't fit.
    """
    weights, x = table(W, "W", "inputs", 1), table(inputs, "inputs", "inputs", 1)
    if weights.shape[1] != x.shape[1]:
        raise ValueError(
            f"W has shape {weights.shape} and inputs {x.shape}; expected (classes, inputs) and "
            "(pairs, inputs). Type W.T if W is (inputs, classes)."
        )
    left, sizes, right = np.linalg.svd(weights, full_matrices=False)
    parts = x @ right.T * sizes  # each pair along each mode
    z, t = _pairs(np.zeros((len(x), len(weights))), target)
    for r in range(_rank(sizes, weights.shape)):
        z += np.outer(parts[:, r], left[:, r])
        if (_margins(z, t) > 0).all():
            return r + 1
    return None


def schatten_cost(W: Given, raw: float, layers: int) -> float:
    r"""$\sum_i \sigma_i^{2/L} / m^{2/L}$ of W with raw margin m in L layers; NaN where m <= 0.

    For balanced layers it is $\frac1L \sum_l \lVert W_l \rVert^2$ once the margin is 1: what
    the code costs. Singular values that are rounding count as zero. Raises ValueError when
    there is no layer.
    """
    if layers < 1:
        raise ValueError(
            f"layers is {layers}; expected the number of weight matrices, 1 or more."
        )
    weights = table(W, "W", "inputs", 1)
    if not raw > 0:
        return math.nan
    sizes = np.linalg.svd(weights, compute_uv=False)
    return float(((sizes[: _rank(sizes, weights.shape)] / raw) ** (2 / layers)).sum())


def rank_in_words(rank: int | None) -> str:
    """A minimal rank for a table: "none" where no rank classifies all pairs."""
    return "none" if rank is None else str(rank)


def cost_in_words(cost: float) -> str:
    """A Schatten cost for a table: "not separated" where the margin is not above 0."""
    return "not separated" if math.isnan(cost) else f"{cost:.4g}"


def _rank(sizes: Float[np.ndarray, " mode"], shape: tuple[int, ...]) -> int:
    return int((sizes > sizes[0] * max(shape) * np.finfo(float).eps).sum())


def _margins(z: Float[np.ndarray, "pair class"], t: np.ndarray) -> Float[np.ndarray, " pair"]:
    rows = np.arange(len(z))
    others: Bool[np.ndarray, "pair class"] = np.ones(z.shape, bool)
    others[rows, t] = False
    return z[rows, t] - np.where(others, z, -np.inf).max(axis=1)


def _pairs(logits: Given, target: Given) -> tuple[np.ndarray, np.ndarray]:
    z = table(logits, "logits", "classes", 1)
    t = whole(target, "target", len(np.atleast_1d(target)))
    same_length(z, t, "logits and target")
    classes = z.shape[1]
    if classes < 2:
        raise ValueError(
            "There is one class: a margin needs two. Give logits (pairs, classes)."
        )
    beyond = np.flatnonzero((t < 0) | (t >= classes))
    if len(beyond):
        raise ValueError(
            f"target[{beyond[0]}] is {t[beyond[0]]}; expected 0 to {classes - 1}, the columns "
            "of the logits."
        )
    return z, t
