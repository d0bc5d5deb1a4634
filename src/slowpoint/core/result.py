"""What a computation found: named arrays that can be saved, reloaded and drawn."""

import dataclasses
import html
import os
import pathlib
import types
import typing
from typing import TypeVar

import equinox as eqx
import jax
import numpy as np

from slowpoint.core.files import replacing

FORMAT = 1  # of the file; raised when an old reader could misread a new file
FEW = 6  # values that a notebook shows one by one
R = TypeVar("R", bound="Result")
D = TypeVar("D")  # a dataclass of Results


class Result(eqx.Module):
    """Base of every result. Fields are arrays, numbers or words, or None where unknown.

    The file is a plain `.npz`, readable with numpy alone in twenty years.
    """

    def save(self, path: str | os.PathLike) -> None:
        """Write `path` (.npz) whole or not at all."""
        arrays = {
            field.name: np.asarray(value)
            for field in dataclasses.fields(self)
            if (value := getattr(self, field.name)) is not None
        }
        if wrong := [name for name, array in arrays.items() if array.dtype.hasobject]:
            raise TypeError(
                f"{type(self).__name__}: {', '.join(wrong)} cannot be saved as arrays."
            )
        with replacing(path) as beside, beside.open("wb") as file:
            np.savez(
                file,
                allow_pickle=False,
                _kind=np.array(type(self).__name__),
                _format=np.array(FORMAT),
                **arrays,
            )

    @classmethod
    def load(cls: type[R], path: str | os.PathLike) -> R:
        """The result that `save` left in `path`, as NumPy arrays.

        Raises ValueError when the file holds something else, or a newer format.
        """
        with np.load(path, allow_pickle=False) as file:
            kind = str(file["_kind"]) if "_kind" in file else "file of another program"
            if kind != cls.__name__:
                raise ValueError(
                    f"{path} holds a {kind}, not a {cls.__name__}. Read it with {kind}.load."
                )
            if file["_format"] > FORMAT:
                raise ValueError(
                    f"{path} has format {file['_format']}, this version reads up to {FORMAT}. "
                    "Type: pip install --upgrade slowpoint"
                )
            return cls(
                **{
                    field.name: _restored(file, field, hints)
                    for hints in [typing.get_type_hints(cls)]
                    for field in dataclasses.fields(cls)
                }
            )

    def to_xarray(self):
        """An `xarray.Dataset`; its dimensions are the axes that the fields' types name."""
        import xarray

        hints = typing.get_type_hints(type(self))
        variables = {}
        for field in dataclasses.fields(self):
            if (value := getattr(self, field.name)) is not None:
                array = np.asarray(value)
                variables[field.name] = (_axes(hints[field.name], field.name, array), array)
        return xarray.Dataset(variables)

    def __repr__(self) -> str:
        rows = [f"{f.name}: {_short(getattr(self, f.name))}" for f in dataclasses.fields(self)]
        return f"{type(self).__name__}(" + ", ".join(rows) + ")"

    def _repr_html_(self) -> str:
        """A table for notebooks: what is in it, of which shape, and its values or range."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        rows = [(name, _short(value), _inside(value)) for name, value in values.items()]
        cells = ["".join(f"<td>{html.escape(word)}</td>" for word in row) for row in rows]
        head = f"<caption>{type(self).__name__}</caption>"
        return f"<table>{head}" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>"


def _restored(file, field: dataclasses.Field, hints: dict[str, object]):
    if field.name not in file:
        return None
    array = file[field.name]
    plain = {int, float, bool, str} & set(_choices(hints[field.name]))
    return array.item() if plain and array.ndim == 0 else array


def _choices(hint: object) -> tuple:
    """The members of a union, or the one type itself."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return typing.get_args(hint)
    return (hint,)


def _axes(hint: object, name: str, array: np.ndarray) -> tuple[str, ...]:
    for choice in _choices(hint):
        dims = getattr(choice, "dim_str", "").split()
        if len(dims) == array.ndim and all(d.isidentifier() for d in dims):
            seen = [f"{d}_{i}" if d in dims[:i] else d for i, d in enumerate(dims)]
            return tuple(seen)
    return tuple(f"{name}_{i}" for i in range(array.ndim))


def _short(value: object) -> str:
    if isinstance(value, jax.Array | np.ndarray) and value.ndim:
        return f"{value.dtype}[{','.join(map(str, value.shape))}]"
    return repr(value)


def _inside(value: object) -> str:
    """The values of an array if they are few, the range of real ones if many, else nothing."""
    if not isinstance(value, jax.Array | np.ndarray) or not value.ndim or not value.size:
        return ""
    array = np.asarray(value)
    if array.size <= FEW:
        return " ".join(np.array2string(array, precision=4).split())
    if array.dtype.kind not in "iuf":
        return ""
    finite = array[np.isfinite(array)]
    lacking = f", {array.size - finite.size} not finite" if finite.size < array.size else ""
    return (f"{finite.min():.4g} to {finite.max():.4g}" if finite.size else "none") + lacking


def save_all(folder: str | os.PathLike, results) -> None:
    """Save a dataclass of Results, one file per field."""
    for field in dataclasses.fields(results):
        getattr(results, field.name).save(pathlib.Path(folder) / f"{field.name}.npz")


def load_all(folder: str | os.PathLike, cls: type[D]) -> D:
    """The dataclass `cls` of Results that `save_all` left in `folder`."""
    kinds = typing.get_type_hints(cls)
    return cls(
        **{
            name: kind.load(pathlib.Path(folder) / f"{name}.npz")
            for name, kind in kinds.items()
        }
    )
