"""In how many places do these states lie?"""

import numpy as np
from jaxtyping import Float, Int
from scipy.cluster.hierarchy import fcluster, linkage


def places(
    states: Float[np.ndarray, "row state"], same: float = 1e-3
) -> Int[np.ndarray, " row"]:
    """A number per row, from 0: equal for rows that lie in one place.

    Rows nearer than `same` do, and what is near to one of a place belongs to it (single
    linkage). Raises ValueError on a state that is not finite.
    """
    if not np.isfinite(states).all():
        bad = int(np.flatnonzero(~np.isfinite(states).all(axis=1))[0])
        raise ValueError(f"Row {bad} of the states is not finite. Leave it out.")
    if len(states) < 2:
        return np.zeros(len(states), int)
    label = fcluster(linkage(states, "single"), same, "distance")
    return np.unique(label, return_inverse=True)[1].astype(int)
