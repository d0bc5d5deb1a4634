r"""Which overlaps does the function see, which combinations does learning keep, what is left?

All is read from the Jacobian of a given function of the overlaps. An overlap that moves no
answer is invisible: in a linear network those among M and U and those among V and Z, in a
nonlinear one of zero-mean Gaussian weights only the latter. (Ger and Barak 2026,
arXiv:2605.04115; conserved quantities and the counts are ours.)
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Shaped

from slowpoint.core.nonlinearity import identity, Nonlinearity
from slowpoint.core.precision import float64, widen
from slowpoint.core.result import Result
from slowpoint.theory.metric import metric
from slowpoint.theory.overlaps import Dims, vector
from slowpoint.theory.tangent import by_overlaps, NOTHING, Numbers, Outputs


class Visibility(Result):
    """What the function sees of the overlaps, in the order of `vector`."""

    names: Shaped[np.ndarray, " overlap"]  # zm, vu, ...
    seen: Bool[np.ndarray, " overlap"]
    effect: Float[np.ndarray, " overlap"]  # length of the column of the normalised Jacobian
    functional: int  # dimensions of the function: the rank of that Jacobian
    last: float  # singular value that counts as the last of them, over the largest
    next: float  # the first that doesn't: near 1e-8 the rank is in doubt

    @property
    def visible(self) -> list[str]:
        """Names of those that move some answer."""
        return [str(name) for name in self.names[self.seen]]

    @property
    def invisible(self) -> list[str]:
        """Names of those that move none."""
        return [str(name) for name in self.names[~self.seen]]


class MemoryDims(Result):
    """How many numbers what can hold. Each is a dimension at one Sigma."""

    overlaps: int
    invariants: int  # that descent conserves, whatever it learns
    functional: int  # that fix the function
    joint: int  # of both: their sum where Sigma has full rank, as what is kept is not learnt
    memory: int  # the rest: free to differ between networks of one function and one origin


def visible(outputs: Outputs, sigma: Numbers, dims: Dims = Dims()) -> Visibility:
    """Which overlaps move `outputs`, the answers of a network to whatever it may be given.

    Give answers rich enough: an impulse shows all of a linear network, a nonlinear one needs
    inputs of several sizes. Computed in float64: build constants with NumPy. Raises ValueError
    when no network of `dims` has the overlaps `sigma`.
    """
    slopes = normalised(slopes_of(outputs, sigma, dims))
    effect, count = np.linalg.norm(slopes, axis=0), rank(slopes)
    values = np.append(np.linalg.svd(slopes, compute_uv=False), 0.0)
    largest = max(values[0], 1e-300)
    return Visibility(
        np.array(dims.names),
        effect > NOTHING * largest,
        effect,
        count,
        float(values[max(count - 1, 0)] / largest),
        float(values[count] / largest),
    )


def memory_dims(outputs: Outputs, sigma: Numbers, dims: Dims = Dims()) -> MemoryDims:
    """Count what can be remembered besides the function, at `sigma`.

    An invariant counts when no loss of these `outputs` can move it, here and at a place near
    by, in gradient flow with equal rates of all columns. Raises ValueError like `visible`.
    """
    sigma = np.asarray(sigma, float)
    kept = np.ones(len(invariants(sigma, dims)), bool)
    for place in (sigma, _near(sigma)):
        moves = normalised(slopes_of(outputs, place, dims)) @ metric(place)
        change = _slopes_of_invariants(place, dims) @ moves.T
        kept &= np.abs(change).max(axis=1, initial=0.0) <= NOTHING * np.abs(moves).max()
    fixed = _slopes_of_invariants(sigma, dims)[kept]
    function = normalised(slopes_of(outputs, sigma, dims))
    joint = rank(np.concatenate([fixed, function]))
    return MemoryDims(dims.count, rank(fixed), rank(function), joint, dims.count - joint)


def _slopes_of_invariants(sigma: np.ndarray, dims: Dims):
    return normalised(slopes_of(eqx.Partial(invariants, dims=dims), sigma, dims))


def invariants(
    sigma: Numbers, dims: Dims = Dims(), nonlinearity: Nonlinearity = identity
) -> Float[Numbers, " invariant"]:
    r"""What gradient flow with equal rates conserves, whatever the loss.

    The entries of $(U^\top U - V^\top V)/N$. Linear networks also keep
    $\mathrm{tr}(M^\top M - Z^\top Z)/N$ and $\mathrm{tr}(J\Sigma)^k$, k = 1 ... K, J being
    -1 on M and U, 1 on V and Z: then some depend on others. An array of NumPy or JAX, as given.
    Raises ValueError when no network of `dims` has overlaps `sigma` (of NumPy).
    """
    kind = _kind(sigma, dims)
    rows, columns = np.triu_indices(dims.rank)
    entries = (sigma[dims.u, dims.u] - sigma[dims.v, dims.v])[rows, columns]
    if nonlinearity is not identity:
        return entries
    ends = [kind.trace(sigma[dims.m, dims.m]) - kind.trace(sigma[dims.z, dims.z])]
    signed = sides(dims).astype(sigma.dtype)[:, None] * sigma
    power = signed
    for _ in range(dims.size):
        ends.append(kind.trace(power))
        power = power @ signed
    return kind.concatenate([entries, kind.stack(ends)])


def _kind(sigma: Numbers, dims: Dims):
    """The module that computes with `sigma`; NumPy's arrays are checked first."""
    if isinstance(sigma, np.ndarray):
        dims.check(sigma)
        return np
    return jnp


def sides(dims: Dims) -> Float[np.ndarray, " column"]:
    """The diagonal of J: -1 for columns that make the activity, 1 for those that read it."""
    return np.where(np.arange(dims.size) < dims.makes.stop, -1.0, 1.0)


def balance(
    columns: Float[Numbers, "unit column"], dims: Dims = Dims()
) -> Float[Numbers, "unit unit"]:
    r"""$V V^\top + Z Z^\top - M M^\top - U U^\top$, N x N: kept by the flow of linear networks.

    A step of the rate eta moves it by $4 \eta^2 P J S^2 P^\top$, down.
    """
    return (columns * sides(dims).astype(columns.dtype)) @ columns.T


def functional_coords(
    sigma: Numbers, dims: Dims = Dims(), nonlinearity: Nonlinearity = identity
) -> Float[Numbers, " coordinate"]:
    r"""Numbers that are equal when, and in general only when, two networks answer alike.

    Another basis of U and V (UQ for U, V Q^-T for V) changes visible overlaps and no answer;
    these numbers do not see it. With C the overlaps of V and Z with M and U. Linear, rank 1:
    zm, zu vm, vu; higher rank: $C_{ZM}$ and $C_{ZU} C_{VU}^k C_{VM}$, k < 2 rank. Nonlinear,
    rank 1: also zu zu/uu, mu/zu, mm; higher rank: the overlaps of M, and of M and itself with
    the $U C_{VU}^k C_{VM}$. Infinite or NaN where one divides by 0. An array of NumPy or JAX,
    as given. Raises ValueError when no network of `dims` has overlaps `sigma` (of NumPy).
    """
    kind = _kind(sigma, dims)
    m, u, v, z = dims.m, dims.u, dims.v, dims.z
    linear, zu, mu = nonlinearity is identity, sigma[z, u], sigma[m, u]
    if dims.rank == 1:
        found = [sigma[z, m], zu @ sigma[v, m], sigma[v, u]]
        if not linear:
            with np.errstate(divide="ignore", invalid="ignore"):
                found += [zu @ zu.T / sigma[u, u], mu / zu.T, sigma[m, m]]
    else:
        parts = [sigma[v, m]]
        for _ in range(2 * dims.rank - 1):
            parts.append(sigma[v, u] @ parts[-1])
        reach = kind.concatenate(parts, axis=1)
        found = [sigma[z, m], zu @ reach]
        if not linear:
            found += [mu @ reach, reach.T @ sigma[u, u] @ reach, sigma[m, m]]
    return kind.concatenate([part.ravel() for part in found])


def slopes_of(
    outputs: Outputs, sigma: Numbers, dims: Dims
) -> Float[np.ndarray, "answer overlap"]:
    """The Jacobian of all answers by the overlaps, in float64."""
    dims.check(sigma)
    with float64():
        return np.asarray(_slopes(widen(outputs), vector(jnp.asarray(sigma, float))))


_slopes = eqx.filter_jit(by_overlaps)


def normalised(jacobian: Float[np.ndarray, "row column"]) -> Float[np.ndarray, "row column"]:
    """Each row scaled to length 1; those below 1e-12 of the longest, rounding, stay small."""
    lengths = np.linalg.norm(jacobian, axis=1, keepdims=True)
    longest = lengths.max(initial=0.0) or 1.0
    return jacobian / np.maximum(lengths, 1e-12 * longest)


def rank(rows: Float[np.ndarray, "row column"]) -> int:
    """Singular values above 1e-8 of the largest."""
    values = np.linalg.svd(rows, compute_uv=False)
    return int((values > NOTHING * values.max(initial=0.0)).sum())


def _near(sigma: np.ndarray) -> np.ndarray:
    """Overlaps of another network, of no particular kind."""
    tilt = 0.1 * np.cos(1.0 + np.arange(sigma.size)).reshape(sigma.shape)
    mixing = np.eye(len(sigma)) + tilt
    return mixing.T @ sigma @ mixing
