"""What does the network in a file remember? From a file to a folder with its page."""

import dataclasses
import os
import pathlib
from typing import TypedDict

import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from slowpoint.report.explain import explain
from slowpoint.report.explanation import write
from slowpoint.report.folder import replacing_folder
from slowpoint.weights.load import read


class Reading(TypedDict):
    """What a file may not say of its network: the arguments of `load`."""

    nonlinearity: str | None
    dt: float | None


def explain_file(
    network: str | os.PathLike,
    out: str | os.PathLike,
    *,
    key: PRNGKeyArray,
    reading: Reading,
    states: Float[np.ndarray, "... state"] | None = None,
    hold: Float[np.ndarray, " input"] | None = None,
    units: Int[np.ndarray, " unit"] | None = None,
    noise: Float[np.ndarray, "..."] | None = None,
) -> pathlib.Path:
    """Explain the network in the file `network`; Results and report.html go into `out`.

    Returns the page, which also says what the file did not and was assumed. The folder appears
    when all is done. Raises ValueError and OSError as `load` and `explain` do.
    """
    system, source = read(network, **reading)
    with replacing_folder(out) as folder:
        found = explain(system, key=key, hold=hold, states=states, units=units, noise=noise)
        notes = (source.summary(), *source.assumed, *found.notes)
        found = dataclasses.replace(found, notes=notes)
        page = write(found, folder, title=pathlib.Path(network).name)
    return pathlib.Path(out) / page.name
