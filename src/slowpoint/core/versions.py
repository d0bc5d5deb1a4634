"""Which versions of which packages make the numbers?"""

import importlib.metadata
import platform

PACKAGES = ("slowpoint", "jax", "jaxlib", "equinox", "optax", "numpy")


def versions() -> dict[str, str]:
    """The version of each package that decides numbers, and of Python."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    return found | {"python": platform.python_version()}
