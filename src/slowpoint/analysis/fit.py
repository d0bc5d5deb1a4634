"""How good is a field as a separatrix? Its loss, its signs, and what simulation says."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from slowpoint.analysis.field import values
from slowpoint.analysis.how import Made
from slowpoint.analysis.koopman import AllPairs, Equation, ratio_loss
from slowpoint.analysis.mountain_pass import Pass
from slowpoint.core.precision import float64, widen
from slowpoint.core.result import Result

GOOD, UNTESTED, ONE_SIGN, DEGENERATE, DISAGREES = range(5)
LEAST_GAP, LEAST_AGREEMENT = 1.5, 0.95


class Fit(Result):
    """Measured on one sample. The ratio is what a fit minimises; it is not accuracy."""

    SAYS: ClassVar[tuple[str, ...]] = (
        "The field has both signs, and simulation agrees with it.",
        "Simulation could not judge the field: a run from the saddle does not come to rest, or "
        "both end at one attractor.",
        "The field has one sign on the sample: it shows no boundary there. Sample around the "
        "saddle, raise the balance weight, or take Pullback().",
        "The best field is hardly better than the next one: many fields solve the equation. "
        "Bring the rate nearer to the saddle's unstable rate, or leave out the attractors.",
        "Simulation contradicts the field on more than a twentieth of the sample. Do not use "
        "it there; pull back for longer, or take another way.",
    )

    ratio: float  # residual ratio, all pairs of decided states: 0 exact, 1 by chance
    negative: int  # states of the sample below zero
    positive: int
    agreement: float  # share of the decided states whose basin is that of their side
    error: float  # its binomial standard error
    decided: int  # states that simulation brought to one of the two attractors
    sampled: int
    gap: float  # loss of the next field over that of this one; NaN: there is only one
    code: int

    @property
    def message(self) -> str:
        """What `code` means."""
        return self.SAYS[self.code]

    @property
    def good(self) -> bool:
        """Whether nothing speaks against the field."""
        return self.code == GOOD


def judged(around: Pass, made: Made, sample: Float[Array | np.ndarray, "sample state"]) -> Fit:
    """The field of `made` on `sample`, against simulation of the system of `around`."""
    side = np.sign(np.nan_to_num(values(made.field, sample))).astype(int)
    labels = np.full(len(sample), -1) if around.judge is None else around.judge(sample)
    decided = labels >= 0
    count = int(decided.sum())
    right = (side > 0) == (labels == 1)
    agreement = float(right[decided].mean()) if count else np.nan
    error = (agreement * (1 - agreement) / count) ** 0.5 if count else np.nan
    signs = int((side < 0).sum()), int((side > 0).sum())
    code = _code(signs, agreement, made.gap)
    ratio = _ratio(around, made, sample[decided] if count else sample)
    return Fit(ratio, *signs, agreement, error, count, len(sample), made.gap, code)


def _code(signs: tuple[int, int], agreement: float, gap: float) -> int:
    if min(signs) == 0:
        return ONE_SIGN
    if gap < LEAST_GAP:
        return DEGENERATE
    if np.isnan(agreement):
        return UNTESTED
    return DISAGREES if agreement < LEAST_AGREEMENT else GOOD


def _ratio(around: Pass, made: Made, sample) -> float:
    with float64():
        equation = Equation(widen(around.system), around.hold, np.asarray(around.rate))
        return float(_loss(made.field, equation, jnp.asarray(sample)))


@eqx.filter_jit
def _loss(field, equation, sample):
    return ratio_loss(field, equation, sample, AllPairs())
