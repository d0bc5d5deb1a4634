"""When did each neuron fire? Spike times, checked once and held in one array."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int, Shaped

from slowpoint.core.result import Result


class Spikes(Result):
    """Spike times of some units, those of one unit after those of the one before, each sorted.

    Made by `spike_trains`, which refuses times that cannot be.
    """

    times: Float[np.ndarray, " spike"]  # seconds
    ends: Int[np.ndarray, " unit"]  # spikes up to and with those of the unit
    units: Shaped[np.ndarray, " unit"]  # names or numbers, as in the file
    source: str

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def number(self) -> Int[np.ndarray, " unit"]:
        """Spikes of every unit."""
        return np.diff(self.ends, prepend=0)

    def of(self, unit: int) -> Float[np.ndarray, " spike"]:
        """The times of the unit in place `unit`. Raises IndexError beyond the last."""
        if not 0 <= unit < len(self.ends):
            raise IndexError(f"There is no unit {unit} among {len(self.ends)}, counted from 0.")
        return self.times[self.ends[unit] - self.number[unit] : self.ends[unit]]

    def active(self) -> "Spikes":
        """The units that fired at all."""
        kept = self.number > 0
        return Spikes(self.times, self.ends[kept], self.units[kept], self.source)


def spike_trains(
    trains: Sequence[Shaped[np.ndarray, " ..."]],
    units: Sequence | Shaped[np.ndarray, " unit"] | None = None,
    *,
    source: str = "",
) -> Spikes:
    """One array of spike times (seconds) per unit, checked; `units` names them, else 0, 1 ...

    Raises ValueError on times that are not numbers, negative or out of order.
    """
    units = np.arange(len(trains)) if units is None else np.asarray(units)
    if len(units) != len(trains):
        raise ValueError(f"{len(trains)} spike trains came with {len(units)} names of units.")
    trains = [_checked(train, unit, source) for train, unit in zip(trains, units)]
    ends = np.cumsum([len(train) for train in trains], dtype=int)
    return Spikes(np.concatenate([np.zeros(0), *trains]), ends, units, source)


def _checked(train, unit, source: str) -> Float[np.ndarray, " spike"]:
    where = f"{source}: unit {unit}" if source else f"unit {unit}"
    try:
        train = np.asarray(train, float)
    except (TypeError, ValueError):
        raise ValueError(f"{where} holds spike times that are no numbers.") from None
    if train.ndim != 1:
        raise ValueError(f"{where} has shape {train.shape}: give its times, one after another.")
    if not np.isfinite(train).all():
        raise ValueError(
            f"{where} has {(~np.isfinite(train)).sum()} times that are not finite."
        )
    if (train < 0).any():
        raise ValueError(f"{where} has the negative time {train.min():g} s. Shift the clock.")
    if (late := np.flatnonzero(np.diff(train) < 0)).size:
        raise ValueError(
            f"{where} has times out of order: {train[late[0]]:g} s comes before "
            f"{train[late[0] + 1]:g} s. Sort them, if they are times of one unit."
        )
    return train
