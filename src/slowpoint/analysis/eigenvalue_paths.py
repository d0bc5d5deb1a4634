"""Which eigenvalue is which, from one matrix to the next?"""

import numpy as np
from jaxtyping import Complex
from scipy.optimize import linear_sum_assignment


def eigenvalue_paths(
    values: Complex[np.ndarray, "snapshot mode"],
) -> Complex[np.ndarray, "snapshot mode"]:
    """`values` with each row in the order that moves them least from the row before.

    The sum of the distances is least over all orders. The last row is sorted by size, the
    largest first, and the others follow back from it. Rows that are not finite stay.
    """
    ordered = np.array(values)
    finite = np.flatnonzero(np.isfinite(ordered).all(axis=1))
    if not len(finite):
        return ordered
    last = ordered[finite[-1]]
    ordered[finite[-1]] = last[np.argsort(-np.abs(last), kind="stable")]
    for later, row in zip(finite[:0:-1], finite[-2::-1]):
        apart = np.abs(ordered[later][:, None] - ordered[row][None, :])
        ordered[row] = ordered[row][linear_sum_assignment(apart)[1]]
    return ordered
