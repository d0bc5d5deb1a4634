"""What does the network in a file remember? As `explain`, from file to folder."""

import dataclasses
import os
import pathlib

import jax.random as jr
import numpy as np

from slowpoint.report.explain import explain, write
from slowpoint.report.folder import replacing_folder
from slowpoint.weights.load import read


def explain_file(
    network: str | os.PathLike,
    out: str | os.PathLike,
    *,
    seed: int,
    states: np.ndarray | None = None,
    hold: np.ndarray | None = None,
    nonlinearity: str | None = None,
    dt: float | None = None,
) -> pathlib.Path:
    """Explain the network in the file `network`; Results and report.html go to the folder `out`.

    Returns the page, which also says what the file did not and was assumed. The folder appears
    when all is done. Raises ValueError and OSError as `read` and `explain` do.
    """
    system, source = read(network, nonlinearity=nonlinearity, dt=dt)
    with replacing_folder(out) as folder:
        found = explain(system, key=jr.key(seed), hold=hold, states=states)
        said = (source.summary(), *source.assumed)
        found = dataclasses.replace(found, notes=(*said, *found.notes))
        page = write(found, folder, title=pathlib.Path(network).name)
    return pathlib.Path(out) / page.name
