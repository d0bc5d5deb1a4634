"""When did neurons of a rat's hippocampus fire while it ran up and down a track?"""

from importlib.resources import files

import numpy as np
import scipy.io

from slowpoint.recordings.spikes import spike_trains, Spikes

SOURCE = "linear track, rat hippocampus, 13 tetrodes: example data of nelpy (MIT)"
SPAN = (4396.9975, 6365.2707)  # seconds of the recording


def hippocampus() -> Spikes:
    """37 units, of which 31 fired: 28,829 spikes between 4396.9975 and 6365.2707 s."""
    with files("slowpoint.recordings").joinpath("data", "rat_linear_track.mat").open("rb") as f:
        cells = scipy.io.loadmat(f, squeeze_me=True, struct_as_record=False)["spikes"]
    found = [
        (f"{tetrode}.{place}", np.atleast_1d(unit.time).astype(float))
        for tetrode, units in enumerate(cells)
        for place, unit in enumerate(np.atleast_1d(units).ravel())
        if np.size(unit)  # a number that was not given to a unit is an empty array
    ]
    names, trains = zip(*found, strict=True)
    return spike_trains(trains, names, source=SOURCE)
