"""Is this a table of numbers, and are these its labels? If not: what came, what to type."""

import numpy as np
from jaxtyping import Array, Float, Int, Shaped

Given = Shaped[Array | np.ndarray, "..."]


def table(
    given: Given, name: str, columns: str = "units", least: int = 2
) -> Float[np.ndarray, "sample column"]:
    """`given` (samples, columns) in float64; a single column may come as (samples,).

    Raises ValueError when it has other axes, fewer than `least` samples, no column, or a value
    that is no finite real number.
    """
    array = np.asarray(given)
    if not np.can_cast(array.dtype, np.float64, "same_kind"):
        raise ValueError(f"{name} holds values of type {array.dtype}; expected real numbers.")
    array = array.astype(np.float64)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or not array.shape[1]:
        raise ValueError(
            f"{name} has shape {np.shape(given)}; expected (samples, {columns}). Type for "
            f"example: {name}.reshape(-1, {name}.shape[-1])"
        )
    if len(array) < least:
        raise ValueError(
            f"{name} has {len(array)} samples; at least {least} are needed. Give one row for "
            "each sample."
        )
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        at = ", ".join(map(str, bad[0]))
        raise ValueError(
            f"{name}[{at}] is {array[tuple(bad[0])]}, the first of {len(bad)} values that are "
            f"not finite. Leave such samples out: np.isfinite({name}).all(axis=1)"
        )
    return array


def whole(given: Given, name: str, samples: int) -> Int[np.ndarray, " sample"]:
    """`given` as whole numbers, one for each of `samples` samples.

    Raises ValueError when there are more or fewer, or one is not whole.
    """
    array = np.asarray(given)
    if array.shape not in ((samples,), (samples, 1)):
        raise ValueError(
            f"{name} has shape {array.shape}; expected ({samples},), one for each sample."
        )
    array = array.reshape(samples)
    if array.dtype.kind not in "iub":
        numbers = np.can_cast(array.dtype, np.float64, "same_kind")
        bad = np.arange(samples)
        if numbers:
            array = array.astype(np.float64)
            bad = np.flatnonzero(~((array == np.round(array)) & (np.abs(array) < 2**53)))
        if len(bad):
            raise ValueError(
                f"{name}[{bad[0]}] is {array[bad[0]]}; expected whole numbers. Type for "
                f"example: np.unique({name}, return_inverse=True)[1]"
            )
    return array.astype(np.int64)


def same_length(one: np.ndarray, other: np.ndarray, names: str) -> None:
    """Raises ValueError when two tables differ in samples; `names` says which they are."""
    if len(one) != len(other):
        raise ValueError(
            f"{names} have {len(one)} and {len(other)} samples; expected one row of each for "
            "every sample."
        )
