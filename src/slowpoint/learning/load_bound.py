r"""How many maps can any weights hold, whatever rule learns them?

A unit that rests at $m\,\xi_i$ has the field $\theta\xi_i$, $\theta$ = artanh(m) over the gain.
Asking at least $\theta$ along $\xi_i$ of every unit and map bounds the load M/N at rows of
length 1. (Gardner 1988, J. Phys. A 21, 257; here with a field of strength $\gamma$ added.)
"""

import warnings

import numpy as np
from scipy.special import ndtr


def margin(overlap: float = 0.95, gain: float = 4.0) -> float:
    r"""$\theta = \mathrm{artanh}(m)/\beta$: the field of a unit that rests at m.

    Raises ValueError unless m is in (0, 1) and beta above 0.
    """
    if not (0 < overlap < 1 and gain > 0):
        raise ValueError(f"overlap={overlap}, gain={gain}: give 0 < m < 1 and beta above 0.")
    return float(np.arctanh(overlap) / gain)


def gaussian_excess(threshold: float) -> float:
    r"""$F(k) = (1+k^2)\Phi(k) + k\varphi(k)$: the mean of $\max(k + z, 0)^2$, z standard."""
    density = np.exp(-(threshold**2) / 2) / np.sqrt(2 * np.pi)
    return float((1 + threshold**2) * ndtr(threshold) + threshold * density)


def margin_bound(strength=1.0, theta: float = margin(), overlap=0.95) -> float:
    r"""The largest load at rows of length 1 when every field is at least $\theta$ along $\xi$.

    $\alpha_G = 2 / (F((\theta-\gamma)/m) + F((\theta+\gamma)/m))$: the input is along the
    target at half of the units, and against it at the others.
    """
    along, against = ((theta + sign * strength) / overlap for sign in (-1, 1))
    return 2 / (gaussian_excess(along) + gaussian_excess(against))


def warn_above_bound(maps: int, units: int, strength=1.0, gain=4.0, overlap=0.95) -> None:
    """Warn (UserWarning) that no rows of length 1 hold so many independent maps."""
    if overlap <= 0:
        return  # then any state will do
    bound = margin_bound(strength, margin(overlap, gain), overlap)
    if maps / units > bound:
        warnings.warn(
            f"{maps} maps of {units} units are a load of {maps / units:.3g}, above "
            f"{bound:.3g}: with rows of length 1 no such network exists. Give at most "
            f"{int(bound * units)} maps.",
            stacklevel=3,
        )
