"""Rates in the files of the Neural Latents Benchmark, in and out. (Pei et al. 2021.)

Such a file holds a group per data set, and in it four arrays (trials, bins, units) of expected
spikes per bin; arrays of other names, as of the forward prediction, are left alone.
"""

import dataclasses
import os
from collections.abc import Mapping

import h5py
import numpy as np
from jaxtyping import Float

from slowpoint.core.files import replacing
from slowpoint.core.result import Result


class BenchmarkRates(Result):
    """What a model says each unit fires per bin, in trials it learned from and in others."""

    train_rates_heldin: Float[np.ndarray, "train bin held_in"]
    train_rates_heldout: Float[np.ndarray, "train bin held_out"]
    eval_rates_heldin: Float[np.ndarray, "eval bin held_in"]
    eval_rates_heldout: Float[np.ndarray, "eval bin held_out"]


KEYS = tuple(field.name for field in dataclasses.fields(BenchmarkRates))


def benchmark_rates(arrays: Mapping, *, source: str = "the dictionary") -> BenchmarkRates:
    """The four arrays of a submission's dictionary. Raises ValueError on what does not fit."""
    if lacking := [key for key in KEYS if key not in arrays]:
        found = ", ".join(map(str, arrays)) or "nothing"
        raise ValueError(f"{source} lacks {', '.join(lacking)}; found: {found}.")
    rates = {key: np.asarray(arrays[key][()], float) for key in KEYS}
    for key, array in rates.items():
        if array.ndim != 3 or not np.isfinite(array).all() or (array < 0).any():
            least = np.min(array, initial=np.inf)
            raise ValueError(
                f"{source}: {key} has shape {array.shape}, smallest value {least:g}: rates are "
                "(trials, bins, units), finite, 0 or more."
            )
    pairs = [(f"{part}_rates_heldin", f"{part}_rates_heldout", 2) for part in ("train", "eval")]
    pairs += [
        (f"train_rates_{side}", f"eval_rates_{side}", 0) for side in ("heldin", "heldout")
    ]
    for one, other, agree in pairs:
        a, b = rates[one].shape, rates[other].shape
        if (a[:agree] if agree else a[2:]) != (b[:agree] if agree else b[2:]):
            what = "trials and bins" if agree else "units"
            raise ValueError(f"{source}: {one} {a} and {other} {b} disagree in {what}.")
    return BenchmarkRates(**rates)


def read_benchmark(path: str | os.PathLike, data_set: str | None = None) -> BenchmarkRates:
    """The rates for `data_set` in a submission's .h5 file; its name may be left out if alone.

    Raises FileNotFoundError when there is no file, ValueError when it does not hold them.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        with h5py.File(path) as file:
            group = file if KEYS[0] in file and data_set is None else _group(file, data_set)
            return benchmark_rates(group, source=str(path))
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path} is no .h5 file, or is truncated: {reason}.") from None


def _group(file: h5py.File, data_set: str | None) -> Mapping:
    groups = [name for name, thing in file.items() if isinstance(thing, h5py.Group)]
    if data_set is None and len(groups) == 1:
        data_set = groups[0]
    if data_set not in groups:
        raise ValueError(
            f"{file.filename} has no data set {data_set!r}; found: "
            f"{', '.join(groups) or 'none'}. Name one of them."
        )
    return file[data_set]  # pyright: ignore


def write_benchmark(
    path: str | os.PathLike, rates: BenchmarkRates, data_set: str = "recording"
) -> None:
    """Write `rates` under the name `data_set`, whole or not at all."""
    with replacing(path) as beside, h5py.File(beside, "w") as file:
        group = file.create_group(data_set)
        for key in KEYS:
            group.create_dataset(key, data=getattr(rates, key))
