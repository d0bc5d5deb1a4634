"""Spike times in plain files: `.npz` and `.csv`, in and out of any program."""

import csv
import os
import pathlib
import zipfile
import zlib

import numpy as np

from slowpoint.recordings.spikes import spike_trains, Spikes


def read_spikes(path: str | os.PathLike) -> Spikes:
    """The spikes of a plain file.

    `.csv`: a line of the names `unit,time` (more columns do not harm), then one line a spike,
    seconds, in any order of units. `.npz`: `units` and `times`, one entry a spike, likewise;
    or one array of times per unit, by name. Raises FileNotFoundError when there is no file,
    ValueError when it holds something else or times that cannot be.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    if path.suffix == ".csv":
        return _grouped(*_from_csv(path), path)
    if path.suffix == ".npz":
        return _from_npz(path)
    raise ValueError(f"{path} is neither .csv nor .npz. NWB files: nwb_spikes({str(path)!r}).")


def _from_csv(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    with path.open(newline="") as file:
        rows = csv.DictReader(file)
        if rows.fieldnames is None or {"unit", "time"} - set(rows.fieldnames):
            raise ValueError(
                f"{path} begins with {rows.fieldnames}: its first line must name unit and time."
            )
        units, times = [], []
        for row in rows:
            try:
                times.append(float(row["time"]))
            except (TypeError, ValueError):
                raise ValueError(
                    f"{path}, line {rows.line_num}: time is {row['time']!r}, no number."
                ) from None
            units.append(row["unit"])
    whole = all(unit.isdecimal() for unit in units)
    return np.array(units, int if whole else str), np.array(times, float)


def _from_npz(path: pathlib.Path) -> Spikes:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is damaged or no .npz of plain arrays: {error}.") from None
    if arrays.keys() == {"units", "times"}:
        return _grouped(arrays["units"], arrays["times"], path)
    if not arrays:
        raise ValueError(f"{path} holds no array.")
    return spike_trains(list(arrays.values()), list(arrays), source=str(path))


def _grouped(units, times, path) -> Spikes:
    """One train per unit, in the file's order within the unit."""
    if units.shape != times.shape or units.ndim != 1:
        raise ValueError(f"{path}: units have shape {units.shape}, times {times.shape}.")
    names = np.unique(units)
    return spike_trains([times[units == name] for name in names], names, source=str(path))
