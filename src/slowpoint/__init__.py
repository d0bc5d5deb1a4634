"""What a recurrent network remembers, how it came to, and how to change it."""

import importlib
from typing import Any, TYPE_CHECKING

if TYPE_CHECKING:
    from slowpoint.core.rollout import rollout

_HOME = {  # each word and the file it lives in; imported when first used
    "rollout": "slowpoint.core.rollout",
}
__all__ = ["rollout"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"slowpoint has no {name!r}. It has: {', '.join(__all__)}.")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
