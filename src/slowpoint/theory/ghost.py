r"""How long does a state stay where a fixed point has just ceased to exist?

The normal form of a fold, $\dot y = b + a y^2$: Strogatz (1994), Nonlinear Dynamics and Chaos,
section 4.3. Near a fold b grows in proportion to the distance beyond it.
"""

import numpy as np
from jaxtyping import Float

Numbers = Float[np.ndarray, "*shape"] | float


def ghost_time(a: Numbers, b: Numbers) -> Float[np.ndarray, "*shape"]:
    r"""$\pi / \sqrt{ab}$: the time from $y = -\infty$ to $\infty$; inf where $ab \le 0$.

    There the pair of fixed points still exists, and nothing passes.
    """
    product = np.asarray(a, float) * np.asarray(b, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(product > 0, np.pi / np.sqrt(product), np.inf)


def passage_time(a: Numbers, b: Numbers, reach: Numbers) -> Float[np.ndarray, "*shape"]:
    r"""$\frac{2}{\sqrt{ab}} \arctan(r \sqrt{a/b})$: the time from $y = -r$ to $r$."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        turned = np.arctan(np.asarray(reach) * np.sqrt(a / b))
        return np.where(a * b > 0, 2 / np.sqrt(a * b) * turned, np.inf)
