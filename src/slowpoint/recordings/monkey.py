"""What did 87 neurons of a monkey do while they moved a cursor? (Hennig et al. 2018.)"""

import os
from importlib.resources import files

import numpy as np
import scipy.io
from jaxtyping import Bool, Float, Int, UInt8

from slowpoint.core.result import Result
from slowpoint.recordings.binned import windows

SOURCE = (
    "Hennig, Golub, Lund, Sadtler, Oby, Quick, Ryu, Tyler-Kabara, Batista, Yu and Chase "
    "(2018), Constraints on neural redundancy, eLife 7, e36774; session 2013-12-18 (MIT)"
)
NAMES = ("spikes", "thetas", "vel", "isFreezePeriod")  # of the published arrays


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
        return _block({name: arrays[f"block{block}_{name}"] for name in NAMES})


def m1(bins: int = 20) -> UInt8[np.ndarray, "window bin neuron"]:
    """Spike counts of both blocks in windows of `bins` bins of 45 ms: of 20, 239 + 372 windows.

    What is left over at the end of a block is dropped. Raises ValueError when a block is
    shorter than a window.
    """
    return np.concatenate([windows(monkey(block).counts, bins) for block in (1, 2)])


def read_published(path: str | os.PathLike, block: int = 1) -> Monkey:
    """The same of a session's .mat file as published. Raises ValueError on another number."""
    if block not in (1, 2):
        raise ValueError(f"There is no block {block}. Type: read_published(path, 1) or 2.")
    session = scipy.io.loadmat(path, squeeze_me=True, struct_as_record=False)["D"]
    part = session.blocks[block - 1]
    return _block({name: getattr(part, name) for name in NAMES})


def _block(part: dict[str, np.ndarray]) -> Monkey:
    return Monkey(
        counts=part["spikes"],
        angles=part["thetas"],
        velocity=part["vel"],
        frozen=part["isFreezePeriod"].astype(bool),
        dt=0.045,
        source=SOURCE,
    )
