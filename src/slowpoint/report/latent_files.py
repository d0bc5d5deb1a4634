"""Which models of a recording are in a folder, and which counts do they belong to?

A model is one `.npz` or `.h5` with arrays `train` and `test` (trials, bins, dims), and maybe
`rates_test` (trials, bins, held-out channels), its own expected counts per bin. The counts are
one such file with `train`, `test` (trials, bins, channels) and `held_out`, indices of channels.
A file of the Neural Latents Benchmark holds rates, and no latents.
"""

import dataclasses
import os
import pathlib
import zipfile
from collections.abc import Mapping

import h5py
import numpy as np
from jaxtyping import Float

from slowpoint.analysis.selection import Latents
from slowpoint.recordings.benchmark_files import benchmark_rates, BenchmarkRates, KEYS

ENDINGS = (".npz", ".h5", ".hdf5")
FAINT = 1e-4  # counts per bin: the logarithm of less is taken of this


@dataclasses.dataclass(frozen=True)
class Counts:
    """Counts of the channels to be predicted."""

    train: Float[np.ndarray, "train bin channel"]
    test: Float[np.ndarray, "test bin channel"]
    held_out: tuple[int, ...]
    channels: int  # of the recording


@dataclasses.dataclass(frozen=True)
class ModelFile:
    """Where a model is; its arrays are read when they are asked for."""

    name: str  # path below the folder, without the ending
    run: str  # files of one sub-folder are of one run
    path: pathlib.Path
    benchmark: bool

    def latents(self) -> Latents:
        """Raises ValueError where the file does not hold them.

        Of a benchmark file: logarithms of its rates, of held-in and held-out units.
        """
        arrays = _arrays(self.path)
        if self.benchmark:
            rates = _benchmark(arrays, self.path)
            parts = (
                (rates.train_rates_heldin, rates.train_rates_heldout),
                (rates.eval_rates_heldin, rates.eval_rates_heldout),
            )
            train, test = (
                np.log(np.maximum(np.concatenate(part, axis=2), FAINT)) for part in parts
            )
            return Latents(train, test, rates.eval_rates_heldout)
        train, test = (_cube(arrays, name, self.path) for name in ("train", "test"))
        own = "rates_test" in arrays
        return Latents(train, test, _cube(arrays, "rates_test", self.path) if own else None)

    def rates(self) -> Float[np.ndarray, "test bin channel"]:
        """Of the held-out units of a benchmark file, in the test trials."""
        return _benchmark(_arrays(self.path), self.path).eval_rates_heldout


def find_models(folder: str | os.PathLike) -> list[ModelFile]:
    """The models in `folder` and its sub-folders, by name.

    Raises FileNotFoundError when there is no folder, ValueError when there is no model in it.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}.")
    files = sorted(p for p in folder.rglob("*") if p.suffix in ENDINGS and p.is_file())
    if not files:
        raise ValueError(
            f"{folder} holds no .npz and no .h5. Save a model there: "
            "numpy.savez('model.npz', train=z_train, test=z_test)"
        )
    found = []
    for path in files:
        name = path.relative_to(folder).with_suffix("").as_posix()
        run = path.parent.relative_to(folder).as_posix()
        found.append(ModelFile(name, name if run == "." else run, path, _is_benchmark(path)))
    if len({model.name for model in found}) < len(found):
        raise ValueError(f"{folder} holds two files of one name, .npz and .h5: rename one.")
    return found


def read_counts(path: str | os.PathLike) -> Counts:
    """The counts of the held-out channels. Raises ValueError where they are not all there."""
    arrays = _arrays(pathlib.Path(path))
    train, test = (_cube(arrays, name, path) for name in ("train", "test"))
    if "held_out" not in arrays:
        raise ValueError(
            f"{path} lacks held_out, the channels to be predicted: indices from 0."
        )
    held_out = np.asarray(arrays["held_out"]).ravel()
    if train.shape[2] != test.shape[2]:
        raise ValueError(
            f"{path}: train {train.shape} and test {test.shape} disagree in channels, the last."
        )
    channels = train.shape[2]
    if held_out.dtype == bool and len(held_out) == channels:
        held_out = np.flatnonzero(held_out)
    whole = held_out.dtype.kind in "iu"
    if not whole or not len(held_out) or held_out.min() < 0 or held_out.max() >= channels:
        raise ValueError(
            f"{path}: held_out is {held_out.tolist()[:5]}...; give whole numbers from 0 to "
            f"{channels - 1}, the channels that no latent has seen."
        )
    if len(set(held_out.tolist())) < len(held_out):
        raise ValueError(f"{path}: held_out names a channel twice.")
    chosen = tuple(map(int, held_out))
    return Counts(train[..., held_out], test[..., held_out], chosen, channels)


def _is_benchmark(path: pathlib.Path) -> bool:
    arrays = _arrays(path, read=False)
    return "train" not in arrays and set(KEYS) <= set(arrays)


def _benchmark(arrays: Mapping, path) -> BenchmarkRates:
    return benchmark_rates(arrays, source=str(path))


def _arrays(path: pathlib.Path, read: bool = True) -> Mapping:
    """Named arrays, of the one group where an .h5 has only that; or their names alone."""
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        if path.suffix == ".npz":
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                return {name: file[name] if read else None for name in file.files}
        with h5py.File(path) as file:
            group = file
            if len(file) == 1 and isinstance(only := next(iter(file.values())), h5py.Group):
                group = only
            sets = {n: x for n, x in group.items() if isinstance(x, h5py.Dataset)}
            return {name: np.asarray(x[()]) if read else None for name, x in sets.items()}
    except (ValueError, EOFError, OSError, KeyError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{path} can't be read as named arrays: {reason}") from None


def _cube(arrays: Mapping, name: str, path) -> Float[np.ndarray, "trial bin dim"]:
    if name not in arrays:
        found = ", ".join(arrays) or "nothing"
        raise ValueError(
            f"{path} lacks the array {name!r}; found: {found}. Save arrays train and test of "
            "shape (trials, bins, dims)."
        )
    array = np.asarray(arrays[name])
    if array.ndim != 3 or array.dtype.kind not in "fiub" or not array.size:
        raise ValueError(
            f"{path}: {name} has shape {array.shape} and type {array.dtype}; expected real "
            "numbers (trials, bins, dims)."
        )
    return array.astype(float)
