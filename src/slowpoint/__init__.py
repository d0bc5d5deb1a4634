"""What a recurrent network remembers, how it came to, and how to change it."""

import importlib
from typing import Any, TYPE_CHECKING

if TYPE_CHECKING:
    from slowpoint.analysis.basins import basins
    from slowpoint.analysis.edge_state import edge_state
    from slowpoint.analysis.fixed_points import fixed_points
    from slowpoint.analysis.lyapunov import lyapunov
    from slowpoint.analysis.push import smallest_push
    from slowpoint.analysis.separatrix import separatrix
    from slowpoint.analysis.topology import topology
    from slowpoint.analysis.tracking import track
    from slowpoint.core.rollout import rollout
    from slowpoint.learning.descend import descend
    from slowpoint.learning.train import train
    from slowpoint.report.explain import explain
    from slowpoint.sweeps.sweep import sweep
    from slowpoint.weights.load import load
    from slowpoint.weights.save import save

_HOME = {  # each word and the file it lives in; imported when first used
    "basins": "analysis.basins",
    "descend": "learning.descend",
    "edge_state": "analysis.edge_state",
    "explain": "report.explain",
    "fixed_points": "analysis.fixed_points",
    "load": "weights.load",
    "lyapunov": "analysis.lyapunov",
    "rollout": "core.rollout",
    "save": "weights.save",
    "separatrix": "analysis.separatrix",
    "smallest_push": "analysis.push",
    "sweep": "sweeps.sweep",
    "topology": "analysis.topology",
    "track": "analysis.tracking",
    "train": "learning.train",
}
__all__ = [
    "basins",
    "descend",
    "edge_state",
    "explain",
    "fixed_points",
    "load",
    "lyapunov",
    "rollout",
    "save",
    "separatrix",
    "smallest_push",
    "sweep",
    "topology",
    "track",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"slowpoint has no {name!r}. It has: {', '.join(__all__)}.")
    return getattr(importlib.import_module(f"slowpoint.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
