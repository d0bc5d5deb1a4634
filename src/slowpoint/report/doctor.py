"""Does this installation work?"""

import importlib.metadata
import re
from collections.abc import Iterator

import jax.numpy as jnp

from slowpoint.core.precision import float64
from slowpoint.report.about import device, versions


def checks() -> Iterator[tuple[str, str]]:
    """What was looked at, and what was found."""
    yield from versions().items()
    yield "device", device()
    yield "float64", "works" if has_float64() else "MISSING: analyses would be imprecise"
    for extra, lacking in extras().items():
        advice = f"lacks {', '.join(lacking)}: pip install 'slowpoint[{extra}]'"
        yield f"[{extra}]", advice if lacking else "there"


def has_float64() -> bool:
    """Whether a sum inside `float64` keeps more than seven digits."""
    with float64():
        return float(jnp.asarray(1.0) + 1e-12) != 1.0


def extras() -> dict[str, list[str]]:
    """The packages that are not installed of each extra, as the package's own metadata says."""
    lacking: dict[str, list[str]] = {}
    for line in importlib.metadata.requires("slowpoint") or []:
        if found := re.match(r"([\w.-]+).*extra == ['\"](\w+)['\"]", line):
            package, extra = found.groups()
            lacking.setdefault(extra, [])
            if not _installed(package):
                lacking[extra].append(package)
    return lacking


def _installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
