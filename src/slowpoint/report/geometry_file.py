"""How map-like are the states in a file? From arrays to a folder with its page."""

import os
import pathlib

from slowpoint.analysis.map_like import geometry
from slowpoint.report.folder import replacing_folder
from slowpoint.report.geometry_page import geometry_page, told
from slowpoint.report.numbers import read_array

File = str | os.PathLike


def geometry_file(
    states: File,
    latent: File,
    out: File,
    *,
    labels: File | None = None,
    ring: int | None = None,
) -> tuple[pathlib.Path, list[str]]:
    """Measure the states (samples, units) against their latent (samples, d); `out` gets a page.

    Files are `.npy` or `.npz`; one `.npz` may hold `states`, `latent` and `labels`. `out` gets
    `geometry.npz` (a Geometry), `figure.png` and `report.html`. Returns the page and what to
    say on a terminal. Raises ValueError and OSError on files that cannot be read, and as
    `geometry` does.
    """
    files = {"states": states, "latent": latent} | (
        {} if labels is None else {"labels": labels}
    )
    ours = (pathlib.Path(out) / "geometry.npz").resolve()
    for name, path in files.items():
        if pathlib.Path(path).resolve() == ours:
            raise ValueError(
                f"The result would take the place of {path}, the {name}: --out DIR"
            )
    given = {name: read_array(path, name) for name, path in files.items()}
    found = geometry(given["states"], given["latent"], given.get("labels"), ring=ring)
    with replacing_folder(out) as folder:
        page = geometry_page(found, folder, pathlib.Path(states).name, labels is not None)
    return pathlib.Path(out) / page.name, told(found)
