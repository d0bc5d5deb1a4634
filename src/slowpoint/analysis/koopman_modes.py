"""Which sum of given features is most nearly a Koopman eigenfunction?

The ratio loss of `koopman` over psi = sum_j c_j phi_j is a Rayleigh quotient, so its minimum is
an eigenvector: no training, no chance, and the next ones say whether there is a second answer.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jaxtyping import Array, Float
from scipy.linalg.blas import dsyrk  # pyright: ignore[reportAttributeAccessIssue]

from slowpoint.analysis.even import even_box, even_normal
from slowpoint.analysis.koopman import Equation, Numbers, Psi
from slowpoint.core.precision import float64, to_numpy, widen
from slowpoint.core.result import Result

FEATURES = 625  # of a grid: 25 x 25
FLOOR = 1e-11  # of a feature's mean square, added to both sides: what is no more than that is
# noise and shows ratio 1. Added to B alone, such modes would hide those worse than FLOOR's own.
PIECE = 512  # states whose features are held twice at once


class Gaussians(Result):
    """Features exp(-|(x - c) / h|^2 / 2), one per centre."""

    centres: Float[Numbers, "feature state"]  # c
    widths: Float[Numbers, " state"]  # h, per coordinate

    def __call__(self, x: Float[Numbers, " state"]) -> Float[Array, " feature"]:
        return jnp.exp(-0.5 * (((x[None] - self.centres) / self.widths[None]) ** 2).sum(axis=1))


class Mode(eqx.Module):
    """psi(x), the sum of `features` with `coefficients`."""

    features: Psi  # one state in, (feature,) out
    coefficients: Float[Numbers, " feature"]

    def __call__(self, x: Float[Numbers, " state"]) -> Float[Array, ""]:
        return self.features(x) @ self.coefficients


class Modes(Result):
    """Eigenfunctions among sums of features, the most exact first.

    `ratios` are their ratio losses (all pairs) on the samples; `gap`, the second over the
    first, is near 1 where the answer is not unique. Neither proves a mode right: simulate.
    """

    rate: float
    coefficients: Float[np.ndarray, "mode feature"]
    ratios: Float[np.ndarray, " mode"]
    gap: float
    samples: int

    def psi(self, features: Psi, index: int = 0) -> Mode:
        """Mode `index` as a function of one state, through the features it was fitted with."""
        return Mode(features, self.coefficients[index])


def gaussian_grid(
    low: Float[Numbers, " state"],
    high: Float[Numbers, " state"],
    count: int | None = None,
    *,
    reach: float = 1.15,
    overlap: float = 1.6,
) -> Gaussians:
    """Gaussians on a grid of `count` centres a side over `reach` times the box.

    `overlap` is their width in spacings. 25 a side in one or two dimensions, 9 in three; a
    grid fills no more: ValueError.
    """
    low, high = np.asarray(low, float), np.asarray(high, float)
    if (size := len(low)) > 3:
        raise ValueError(
            f"A grid in {size} dimensions has too many centres. Project the states to 3 or "
            "fewer, give features of your own, or pull the saddle's hyperplane back."
        )
    count = min(25, round(FEATURES ** (1 / size))) if count is None else count
    if count < 2 or not (low < high).all():
        raise ValueError(f"count={count}, low={low}, high={high}: give 2 or more, low < high.")
    middle, half = (low + high) / 2, reach * (high - low) / 2
    lines = [np.linspace(m - h, m + h, count) for m, h in zip(middle, half)]
    centres = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1).reshape(-1, size)
    return Gaussians(centres, overlap * 2 * half / (count - 1))


def mode_states(
    low: Float[Numbers, " state"],
    high: Float[Numbers, " state"],
    saddle: Float[Numbers, " state"],
    attractors: Float[Numbers, "attractor state"],
    *,
    exclude: float = 0.5,
    counts: tuple[int, int] = (4000, 800),
    deviation: float = 0.3,
) -> Float[np.ndarray, "sample state"]:
    """`counts` states that fill the box, and N(saddle, deviation^2) evenly; the same each time.

    Those within `exclude` of an attractor are left out: there an eigenfunction has a pole, and
    with it in the samples a wrong one fits best.
    """
    low, high, saddle = (np.asarray(a, float) for a in (low, high, saddle))
    inside = low + (high - low) * even_box(counts[0], len(low))
    near = saddle + deviation * even_normal(counts[1], len(low))
    states = np.concatenate([inside, near])
    gaps = np.linalg.norm(states[:, None] - np.asarray(attractors, float)[None], axis=2)
    return states[gaps.min(axis=1, initial=np.inf) > exclude]


def koopman_modes(
    features: Psi,
    equation: Equation,
    states: Float[Numbers, "sample state"],
    *,
    count: int = 6,
    saddle: Float[Numbers, " state"] | None = None,
    direction: Float[Numbers, " state"] | None = None,
) -> Modes:
    """The `count` sums of `features` with the smallest ratio loss on `states`, in float64.

    With E = phi(x_i) and L = (grad phi . f)(x_i) / lambda, the smallest rho of A c = rho B c,
    A = (L - E)'(L - E) / n, B = (L'L + E'E) / n - (mean L)(mean E)' - (mean E)(mean L)'.
    Each mode has mean square 1 on the states; with `saddle` and `direction` it grows along
    `direction` at the saddle. Raises ValueError on a squashed equation (not linear in psi) and
    on fewer states than features.
    """
    if equation.squashed:
        raise ValueError(
            "The squashed equation is not linear in psi. Give Equation(system, hold, rate); "
            "psi / sqrt(1 + psi^2) of its modes solves the squashed one."
        )
    states = np.asarray(states, float)
    equation.check(states)
    with float64():
        features, equation = widen((features, equation))
        made = to_numpy(_both_sides(features, equation, jnp.asarray(states)))
        towards = None
        if saddle is not None and direction is not None:
            at, along = (jnp.asarray(a, jnp.float64) for a in (saddle, direction))
            towards = np.asarray(jax.jvp(features, (at,), (along,))[1])
    grown, expected = made
    if len(states) < expected.shape[1]:
        raise ValueError(
            f"{len(states)} states cannot settle {expected.shape[1]} features. Give more "
            "states, about five per feature, or fewer features."
        )
    ratios, coefficients = _smallest(grown, expected, min(count, expected.shape[1]))
    coefficients /= np.sqrt(((expected @ coefficients.T) ** 2).mean(axis=0))[:, None]
    if towards is not None:
        coefficients *= np.where(coefficients @ towards < 0, -1.0, 1.0)[:, None]
    gap = float(ratios[1] / ratios[0]) if len(ratios) > 1 else float("nan")
    return Modes(float(equation.rate), coefficients, ratios, gap, len(states))


@eqx.filter_jit
def _both_sides(features: Psi, equation: Equation, states):
    """`(L, E)`, each (sample, feature)."""
    one = lambda x: equation.sides(features, x)
    return jax.lax.map(one, states, batch_size=PIECE)


def _smallest(grown: np.ndarray, expected: np.ndarray, count: int):
    """`(rho, modes as rows)` of A c = rho B c."""
    n, size = expected.shape
    a = _gram(grown - expected) / n
    b = (_gram(grown + expected) / n + a) / 2  # L'L + E'E without a product of its own
    both = np.outer(grown.mean(axis=0), expected.mean(axis=0))
    b -= both + both.T
    floor = FLOOR * np.trace(b) / size
    for side in (a, b):
        side[np.diag_indices(size)] += floor
    ratios, modes = scipy.linalg.eigh(
        a, b, subset_by_index=[0, count - 1], overwrite_a=True, overwrite_b=True
    )
    return ratios, np.ascontiguousarray(modes.T)


def _gram(rows: np.ndarray) -> np.ndarray:
    """rows' rows, at half the cost of a product."""
    half = dsyrk(1.0, rows.T)  # the upper triangle
    return half + np.triu(half, 1).T
