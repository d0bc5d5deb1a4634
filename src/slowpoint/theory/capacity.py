r"""Which weights hold many input-output maps, and how many maps can any weights hold?

Unit i of a network $\dot x = \tanh\beta(Jx + \gamma\eta) - x$ rests at $m\,\xi_i$ when its
field $\sum_j J_{ij} m \xi_j + \gamma\eta_i$ is $\theta\xi_i$, where $\theta$ is artanh(m) over
$\beta$. Asking that of every unit and map (equality), or only a margin $\theta$ on the right
side (inequality), bounds the load $\alpha = M/N$ at rows of length 1. (The network: Kurikawa,
Barak and Kaneko 2020, Phys. Rev. Research 2, 023307; the inequality is Gardner's, 1988, J.
Phys. A 21, 257, with a field added; designs that repel from the input and both bounds: ours.)
"""

import numpy as np
from jaxtyping import Array, Float

from slowpoint.learning.load_bound import (
    gaussian_excess as gaussian_excess,
    margin as margin,
    margin_bound as margin_bound,
)

Patterns = Float[Array, "_ _"] | Float[np.ndarray, "_ _"]  # (map, unit), checked in words
Weights = Float[np.ndarray, "unit unit"]


def _without_own(weights: np.ndarray) -> Weights:
    weights = weights.copy()
    np.fill_diagonal(weights, 0.0)
    return weights


def _pair(targets: Patterns, inputs: Patterns) -> tuple[np.ndarray, np.ndarray]:
    if targets.shape != inputs.shape:
        raise ValueError(
            f"targets have shape {targets.shape}, inputs {inputs.shape}. Give both (map, unit)."
        )
    return np.asarray(targets, float), np.asarray(inputs, float)


def wanted(
    targets: Patterns, inputs: Patterns, strength: float, theta: float
) -> Float[np.ndarray, "map unit"]:
    r"""$\theta\xi - \gamma\eta$: what the recurrent weights must add at the targets."""
    xi, eta = _pair(targets, inputs)
    return theta * xi - strength * eta


def hebbian(
    targets: Patterns, inputs: Patterns, strength=1.0, overlap=0.95, gain=4.0
) -> Weights:
    r"""$(\theta\xi - \gamma\eta)^\top \xi / (m N)$ without its diagonal."""
    added = wanted(targets, inputs, strength, margin(overlap, gain))
    xi = np.asarray(targets, float)
    return _without_own(added.T @ xi / (overlap * xi.shape[1]))


def pseudo_inverse(
    targets: Patterns, inputs: Patterns, strength=1.0, overlap=0.95, gain=4.0
) -> Weights:
    r"""The shortest rows without own unit for which $J m \xi = \theta\xi - \gamma\eta$.

    All N rows come from one inverse: leaving out unit i takes $\xi_i \xi_i^\top$ from
    $\xi\xi^\top$, a change of rank one. Raises ValueError for N - 1 maps or more: then a row
    has more equations than weights.
    """
    added = wanted(targets, inputs, strength, margin(overlap, gain)) / overlap
    xi = np.asarray(targets, float)
    maps, units = xi.shape
    if maps >= units - 1:
        raise ValueError(
            f"{maps} maps of {units} units: a row has {units - 1} weights. Give fewer than "
            f"{units - 1} maps."
        )
    inverse = np.linalg.inv(xi @ xi.T)
    solved, towards = inverse @ added, inverse @ xi  # (map, unit) each
    left = 1 - (xi * towards).sum(axis=0)  # of what a unit takes out
    solved += towards * ((xi * solved).sum(axis=0) / left)
    return _without_own(solved.T @ xi)


def sum_difference(
    targets: Patterns, inputs: Patterns, scale=2.0, *, decorrelated: bool = False
) -> Weights:
    r"""$c\,(\xi-\eta)^\top(\xi+\eta)/2N$: towards each target, away from each input.

    At c = 2 both $J\xi$ and $J\eta$ are $\xi - \eta$ but for crosstalk. `decorrelated` replaces
    $(\xi+\eta)/2N$ by the pseudo-inverse: $J(\xi+\eta) = c\,(\xi - \eta)$ then holds exactly,
    before the diagonal is taken out.
    """
    xi, eta = _pair(targets, inputs)
    both = xi + eta
    reads = np.linalg.pinv(both.T) if decorrelated else both / (2 * xi.shape[1])
    return _without_own(scale * (xi - eta).T @ reads)


def two_block(
    targets: Patterns, inputs: Patterns, strength=1.0, overlap=0.95, gain=4.0
) -> Weights:
    r"""$J m\xi = \theta\xi - \gamma\eta$ and $J\eta = \xi - \eta$ for all maps at once.

    Least norm, before its diagonal is taken out. Raises ValueError when 2 M is not below N.
    """
    xi, eta = _pair(targets, inputs)
    maps, units = xi.shape
    if 2 * maps >= units:
        raise ValueError(
            f"{maps} maps of {units} units: {2 * maps} equations for a row of {units} weights. "
            f"Give fewer than {units / 2:g} maps."
        )
    added = wanted(targets, inputs, strength, margin(overlap, gain))
    states = np.concatenate([overlap * xi, eta])
    return _without_own(np.linalg.lstsq(states, np.concatenate([added, xi - eta]))[0].T)


def row_norm(load, strength=1.0, theta: float = margin(), overlap=0.95) -> float:
    r"""The length of the rows of `pseudo_inverse` for many units at load $\alpha$.

    $|J_i|^2 = \alpha(\gamma^2+\theta^2) / (m^2(1-\alpha))$; infinite from $\alpha = 1$ on.
    """
    if load >= 1:
        return float("inf")
    return float(np.sqrt(load * (strength**2 + theta**2) / (1 - load)) / overlap)


def equality_bound(strength=1.0, theta: float = margin(), overlap=0.95) -> float:
    r"""The largest load at rows of length 1 when every field is $\theta\xi$.

    $\alpha_{eq} = 1 / (1 + (\gamma^2+\theta^2)/m^2)$.
    """
    return float(1 / (1 + (strength**2 + theta**2) / overlap**2))
