"""Random numbers on the host, from the same front door: one key."""

import jax.random as jr
import numpy as np
from jaxtyping import PRNGKeyArray


def generator(key: PRNGKeyArray) -> np.random.Generator:
    """A NumPy generator seeded by `key`. Draws on the host compile nothing."""
    return np.random.default_rng(np.asarray(jr.key_data(key)).ravel())
