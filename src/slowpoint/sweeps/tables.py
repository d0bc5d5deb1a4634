"""How is a table of named columns written, for whom?"""

import csv
import importlib
import importlib.util
import math
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

from slowpoint.core.files import replacing

Columns = dict[str, list[Any]]


def writers() -> Iterator[Callable[[pathlib.Path, Columns], pathlib.Path]]:
    """Each writes one kind of table into a folder: those whose packages are there."""
    yield write_csv
    if importlib.util.find_spec("pyarrow"):
        yield write_parquet
    if importlib.util.find_spec("xarray") and importlib.util.find_spec("h5netcdf"):
        yield write_netcdf


def write_csv(folder: pathlib.Path, columns: Columns) -> pathlib.Path:
    """Write table.csv."""
    path = folder / "table.csv"
    with replacing(path) as beside, beside.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(columns)
        table.writerows(zip(*columns.values()))
    return path


def write_parquet(folder: pathlib.Path, columns: Columns) -> pathlib.Path:
    """Write table.parquet; needs pyarrow."""
    arrow, parquet = map(importlib.import_module, ("pyarrow", "pyarrow.parquet"))
    path = folder / "table.parquet"
    with replacing(path) as beside:
        parquet.write_table(arrow.table(_of_one_kind(columns)), beside)
    return path


def write_netcdf(folder: pathlib.Path, columns: Columns) -> pathlib.Path:
    """Write table.nc, one variable a column along "run"; needs xarray and h5netcdf."""
    import xarray

    path = folder / "table.nc"
    known = _of_one_kind(columns)
    table = xarray.Dataset({_plain(name): ("run", known[name]) for name in known})
    with replacing(path) as beside:
        table.to_netcdf(beside, engine="h5netcdf")
    return path


def _of_one_kind(columns: Columns) -> Columns:
    """Columns of numbers (NaN where there is none), of true and false, or of words."""
    return {name: _alike(values) for name, values in columns.items()}


def _alike(values: list[Any]) -> list[Any]:
    if all(isinstance(value, bool) for value in values):
        return values
    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return values
    if all(value is None or isinstance(value, int | float) for value in values):
        return [math.nan if value is None else float(value) for value in values]
    return ["" if value is None else str(value) for value in values]


def _plain(name: str) -> str:
    """A name that netCDF takes."""
    return name.replace("/", " per ").strip()
