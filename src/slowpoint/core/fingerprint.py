"""Is this the same system as the one a saved result belongs to?"""

import hashlib

import equinox as eqx
import jax
import numpy as np

from slowpoint.core.system import System


def fingerprint(system: System) -> str:
    """Equal for systems of one structure with equal numbers, on any machine."""
    digest = hashlib.sha256()
    leaves, structure = jax.tree.flatten(system)
    digest.update(_words(str(structure)).encode())
    for leaf in leaves:
        array = np.asarray(leaf) if eqx.is_array_like(leaf) else np.array(repr(leaf))
        digest.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return digest.hexdigest()[:16]


def _words(structure: str) -> str:
    """The structure without the addresses that functions are printed with."""
    return structure.partition(" at 0x")[0] if " at 0x" in structure else structure
