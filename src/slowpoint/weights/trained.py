"""Which trained network comes with the package?"""

import importlib.resources

from slowpoint.cells.gru import GRU
from slowpoint.weights.load import load


def flipflop_gru() -> GRU:
    """A GRU of 100 units that remembers 3 bits, the test bed of the finder.

    Three inputs, each +1 or -1 with probability 0.1 per step, else 0, and a pulse on all of
    them at the first of 64 steps; three outputs, each the sign of its input's last pulse.
    Trained by Adam on 512 trials to a mean squared error of 2e-4, its initial state too.
    """
    kept = importlib.resources.files("slowpoint.weights") / "data" / "flipflop_gru.safetensors"
    with importlib.resources.as_file(kept) as path:
        net = load(path)
    assert isinstance(net, GRU)
    return net
