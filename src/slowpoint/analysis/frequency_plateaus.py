"""When was each frequency learned, what was the loss in between, and which mode turns at it?

Ger and Barak (2025), arXiv:2505.13567, figure 6: a plateau before each frequency. Epochs are
those of records, some epochs apart.
"""

import numpy as np
from jaxtyping import Complex, Float, Int

from slowpoint.analysis.frequency_response import acquisition


def learned_at(
    errors: Float[np.ndarray, "record frequency"],
    epochs: Int[np.ndarray, " record"],
    *,
    earliest: int = 50,
    hold: int = 50,
) -> Int[np.ndarray, " frequency"]:
    """The epoch of `acquisition` of each frequency, to a record; -1: not learned.

    Records stand equally far apart, from epoch 0; `earliest` and `hold` are in epochs. Raises
    ValueError on other records.
    """
    every = int(epochs[1] - epochs[0]) if len(epochs) > 1 else 0
    if every < 1 or not np.array_equal(epochs, every * np.arange(len(epochs))):
        raise ValueError("epochs must be 0, n, 2 n, ...: give records that are equally spaced.")
    least = lambda span: -(-span // every)
    records = acquisition(errors, earliest=least(earliest), hold=least(hold)).epochs
    return np.where(records < 0, -1, epochs[records])


def plateaus(
    losses: Float[np.ndarray, "network record"],
    epochs: Int[np.ndarray, " record"],
    learned: Int[np.ndarray, "network frequency"],
) -> Float[np.ndarray, "network between"]:
    """The median loss from learning one frequency to learning the next; NaN: not reached."""
    found = np.full((len(learned), learned.shape[1] - 1), np.nan)
    for network, i in np.ndindex(found.shape):
        begin, end = learned[network, i : i + 2]
        if 0 <= begin < end:
            between = (epochs >= begin) & (epochs <= end)
            found[network, i] = np.median(losses[network, between])
    return found


def refined(
    losses: Float[np.ndarray, "network record"],
    epochs: Int[np.ndarray, " record"],
    learned: Int[np.ndarray, "network frequency"],
    after: int = 1000,
) -> Float[np.ndarray, " network"]:
    """The loss `after` epochs from learning the last frequency; NaN: not reached."""
    when = np.where(learned[:, -1] < 0, np.inf, learned[:, -1] + after)
    record = np.searchsorted(epochs, when)
    padded = np.pad(losses, np.array([(0, 0), (0, 1)]), constant_values=np.nan)
    return padded[np.arange(len(record)), record]


def modes_after(
    weights: Float[np.ndarray, "record unit unit"],
    epochs: Int[np.ndarray, " record"],
    learned: Int[np.ndarray, " frequency"],
    omegas: Float[np.ndarray, " frequency"],
    after: int = 100,
) -> Complex[np.ndarray, " frequency"]:
    """The eigenvalue of W nearest to i omega, `after` epochs from learning it; NaN: too late.

    `omegas` in rad per unit of time of the units, as in `cells.linear`.
    """
    found = np.full(len(learned), complex(np.nan, np.nan))
    for at, (when, omega) in enumerate(zip(learned, omegas)):
        if 0 <= when <= epochs[-1] - after:
            record = int(np.searchsorted(epochs, when + after))
            values = np.linalg.eigvals(np.asarray(weights[record], float))
            found[at] = values[np.abs(values - 1j * omega).argmin()]
    return found
