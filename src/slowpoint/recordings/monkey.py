"""What did 87 neurons of a monkey do while they moved a cursor? (Hennig et al. 2018.)"""

from importlib.resources import files

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from slowpoint.core.result import Result

SOURCE = (
    "Hennig, Golub, Lund, Sadtler, Oby, Quick, Ryu, Tyler-Kabara, Batista, Yu and Chase "
    "(2018), Constraints on neural redundancy, eLife 7, e36774; session 2013-12-18 (MIT)"
)


class Monkey(Result):
    """One block of a session of brain-computer interface control, in bins of `dt` seconds."""

    counts: UInt8[np.ndarray, "bin neuron"]  # spikes
    angles: Float[np.ndarray, " bin"]  # from the cursor to its target, degrees
    velocity: Float[np.ndarray, "bin 2"]  # of the cursor, as published
    frozen: Bool[np.ndarray, " bin"]  # the cursor is held still: a trial begins
    dt: float
    source: str

    @property
    def begins(self) -> Int[np.ndarray, " trial"]:
        """The first bin of every trial."""
        before = np.concatenate([[False], self.frozen[:-1]])
        return np.flatnonzero(self.frozen & ~before)


def monkey(block: int = 1) -> Monkey:
    """Block 1 (4,788 bins) or 2 (7,446 bins; another map from neurons to cursor).

    Hennig et al. (2018), eLife 7, e36774. Raises ValueError on another number.
    """
    if block not in (1, 2):
        raise ValueError(f"There is no block {block}. Type: monkey(1) or monkey(2)")
    file = files("slowpoint.recordings").joinpath("data", "m1_hennig2018_counts.npz")
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
        part = {
            name: arrays[f"block{block}_{name}"]
            for name in ("spikes", "thetas", "vel", "isFreezePeriod")
        }
    return Monkey(
        counts=part["spikes"],
        angles=part["thetas"],
        velocity=part["vel"],
        frozen=part["isFreezePeriod"].astype(bool),
        dt=0.045,
        source=SOURCE,
    )
