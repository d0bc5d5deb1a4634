r"""Do weights hold patterns as Hebb would, or with their correlations removed?

With $t = \xi - \gamma\eta$ (rows), any weights are nearly $t^\top A\,\xi / N$ for
$A = N\,\mathrm{pinv}(t^\top)\,J\,\mathrm{pinv}(\xi)$: Hebb's have A = 1, those without
correlations $A = C^{-1}$, $C = \xi\xi^\top/N$. (After Kurikawa, Barak and Kaneko 2020, Phys.
Rev. Research 2, 023307; the measures are ours.)
"""

import numpy as np
from jaxtyping import Array, Float

from slowpoint.core.result import Result

Matrix = Float[Array, "_ _"] | Float[np.ndarray, "_ _"]  # shapes are checked in words


class Decorrelation(Result):
    """How weights hold patterns.

    `blocks` are the mean diagonals of the four M x M blocks of G, the least-squares fit of
    $J \\approx Z^\\top G Z / N$ with Z the targets above the inputs.
    """

    correlation: float  # r_off: of the off-diagonals of A and of the inverse of C
    slope: float  # of the regression of the former on the latter
    crosstalk: float  # rms off the diagonal of pinv(t') J xi' over the mean size on it
    blocks: Float[np.ndarray, "2 2"]  # rows: what is added (target, input); columns: what reads
    alignment: Float[np.ndarray, "map unit"]  # h_i xi_i at the targets; > 0: the right sign
    repulsion: float  # (J eta + gamma eta) . xi / N: the input drives the state to its target

    @property
    def right(self) -> float:
        """The share of units and maps whose sign is right."""
        return float((self.alignment > 0).mean())


def decorrelation(
    recurrent: Matrix, targets: Matrix, inputs: Matrix, strength: float = 1.0
) -> Decorrelation:
    """Measure weights J against targets xi and inputs eta of +1 and -1, in float64.

    Raises ValueError on shapes that do not fit, and for one map, where nothing correlates.
    """
    xi, eta = np.asarray(targets, float), np.asarray(inputs, float)
    weights = np.asarray(recurrent, float)
    maps, units = xi.shape
    if eta.shape != xi.shape or weights.shape != (units, units):
        raise ValueError(
            f"targets {xi.shape}, inputs {eta.shape}, weights {weights.shape}: give "
            "(map, unit) twice, and (unit, unit)."
        )
    if maps < 2:
        raise ValueError("One map has nothing to be correlated with. Give 2 or more.")
    added = xi - strength * eta
    form = units * np.linalg.pinv(added.T) @ weights @ np.linalg.pinv(xi)
    ideal = np.linalg.pinv(xi @ xi.T / units)
    off = ~np.eye(maps, dtype=bool)
    talk = np.linalg.pinv(added.T) @ weights @ xi.T
    fields = xi @ weights.T + strength * eta
    kicked = eta @ weights.T + strength * eta
    return Decorrelation(
        float(np.corrcoef(form[off], ideal[off])[0, 1]),
        float(np.polyfit(ideal[off], form[off], 1)[0]),
        float(np.sqrt((talk[off] ** 2).mean()) / np.abs(np.diagonal(talk)).mean()),
        _blocks(weights, xi, eta),
        xi * fields,
        float((kicked * xi).mean()),
    )


def _blocks(weights: np.ndarray, xi: np.ndarray, eta: np.ndarray) -> np.ndarray:
    maps, units = xi.shape
    both = np.concatenate([xi, eta])
    inverse = np.linalg.pinv(both)  # Z is (2 map, unit)
    fitted = units * inverse.T @ weights @ inverse
    blocks = fitted.reshape(2, maps, 2, maps)
    return np.einsum("aibi->ab", blocks) / maps
