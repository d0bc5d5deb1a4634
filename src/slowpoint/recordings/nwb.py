"""Which spikes does an NWB file hold? Its `units` table, read with h5py alone."""

import os

import h5py
import numpy as np

from slowpoint.recordings.spikes import spike_trains, Spikes


def nwb_spikes(path: str | os.PathLike) -> Spikes:
    """The spike times (seconds) of every unit of the `units` table of an NWB 2 file.

    Raises FileNotFoundError when there is no file, ValueError when it is damaged, has no spike
    times, or has times that cannot be.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        with h5py.File(path) as file:
            ends, times, names = _table(path, file)
    except (OSError, RuntimeError, KeyError) as error:
        reason = str(error).strip("'\"").splitlines()[0]
        raise ValueError(f"{path} is no NWB file, or is truncated: {reason}.") from None
    starts = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
    if (wrong := np.flatnonzero((ends < starts) | (ends > len(times)))).size:
        raise ValueError(
            f"{path}: unit {names[wrong[0]]} ends at spike {ends[wrong[0]]} of {len(times)}, "
            f"begins at {starts[wrong[0]]}: spike_times_index is damaged."
        )
    trains = [times[a:b] for a, b in zip(starts, ends)]
    return spike_trains(trains, names, source=str(path))


def _table(path, file: h5py.File) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where each unit's spikes end, all spike times, names of units."""
    table = file.get("units")
    if not isinstance(table, h5py.Group):
        raise ValueError(f"{path} has no spike times; tables found: {_tables(file)}.")
    columns = {name: table.get(name) for name in ("spike_times_index", "spike_times", "id")}
    lacking = [name for name, one in columns.items() if not isinstance(one, h5py.Dataset)]
    if lacking:
        raise ValueError(
            f"{path} has no spike times: its units table lacks {', '.join(lacking)}; "
            f"columns found: {', '.join(table) or 'none'}."
        )
    ends, times, names = (np.asarray(one[()]) for one in columns.values())  # pyright: ignore
    if names.shape != ends.shape or ends.ndim != 1 or times.ndim != 1:
        raise ValueError(
            f"{path}: {names.shape} units have index {ends.shape} into times {times.shape}."
        )
    return ends.astype(int), times.astype(float), names


def _tables(file: h5py.File) -> str:
    """The names of all tables of an NWB file, for the message."""
    found = []

    def look(name, thing):
        if isinstance(thing, h5py.Group) and "colnames" in thing.attrs:
            found.append(name)

    file.visititems(look)
    return ", ".join(found) or "none"
