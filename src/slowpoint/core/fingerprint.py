"""Is this the same system as the one a saved result belongs to?"""

import hashlib
import re

import equinox as eqx
import jax
import numpy as np


def fingerprint(system: eqx.Module) -> str:
    """Equal for systems (or whatever holds them) of one structure with equal numbers."""
    digest = hashlib.sha256()
    leaves, structure = jax.tree.flatten(system)
    digest.update(_words(str(structure)).encode())
    for leaf in leaves:
        array = np.asarray(leaf) if eqx.is_array_like(leaf) else np.array(repr(leaf))
        digest.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return digest.hexdigest()[:16]


def _words(structure: str) -> str:
    """The structure without the addresses that functions are printed with."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", structure)
