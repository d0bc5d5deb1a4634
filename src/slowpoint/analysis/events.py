"""What is known of a state where a branch ends or changes its stability?"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float

KINDS = ("fold", "Hopf", "Neimark-Sacker", "flip")
FOLD, HOPF, NEIMARK_SACKER, FLIP = range(4)
CLEAR = 1e-6  # a certifying number smaller than this is as good as zero


class Clock(NamedTuple):
    """How rates follow from eigenvalues of the residual's Jacobian."""

    discrete: bool
    dt: float

    def rates(self, values: np.ndarray) -> np.ndarray:
        """Growth rates per unit time."""
        if not self.discrete:
            return values.astype(complex)
        with np.errstate(divide="ignore"):
            logs = np.log(1 + values.astype(complex))
        return np.real(logs) / self.dt + 1j * (np.imag(logs) / self.dt)  # -inf stays real

    @property
    def tick(self) -> float:
        """The time in which the residual is gone through."""
        return self.dt if self.discrete else 1.0


class Seen(NamedTuple):
    """A state of the branch; eigenvalues of r's Jacobian and their rates, the largest first."""

    x: Float[np.ndarray, " state"]
    value: float
    eigenvalues: Complex[np.ndarray, " state"]
    rates: Complex[np.ndarray, " state"]

    def growth(self, rank: int) -> float:
        """The real part of a rate."""
        return float(np.real(self.rates[rank]))


class Event(NamedTuple):
    """Where a point of the branch is critical, and the two numbers that certify how.

    Fold, its mode w and left vector l with |w| = l w = 1: the state along w obeys
    dy/dt = push (value - event value) + bend y^2, the sign of w chosen so that bend > 0.
    Others: push is d Re(rate) / d value, and the amplitude of the critical mode grows at the
    rate bend amplitude^2, so bend < 0 is a soft (supercritical) loss of stability. Both are
    per unit time; when one of them vanishes the event is degenerate and `regular` is false.
    """

    kind: int  # index into KINDS
    value: float
    state: Float[np.ndarray, " state"]
    residual: float  # of everything that vanishes there: r and the critical eigenvalue
    frequency: float  # radians per unit time
    push: float
    bend: float
    regular: bool

    def sentence(self) -> str:
        """What happens here, in words."""
        name = KINDS[self.kind]
        numbers = f"push {self.push:.3g}, bend {self.bend:.3g}, residual {self.residual:.1e}"
        if not self.regular:
            reason = "the mode is not pushed by the value" if abs(self.push) < CLEAR else ""
            reason = reason or "its two numbers do not certify it"
            return f"degenerate {name} at {self.value:.10g}: {reason} ({numbers})"
        if self.kind == FOLD:
            return f"fold at {self.value:.10g} ({numbers})"
        soft = "soft" if self.bend < 0 else "hard"
        turn = f", frequency {self.frequency:.6g}" if self.kind != FLIP else ""
        return f"{soft} {name} at {self.value:.10g}{turn} ({numbers})"


def see(clock: Clock, x: np.ndarray, value: float, slope: np.ndarray) -> Seen:
    """The state `x`, where r has the Jacobian `slope`. Of a pair the positive one is first."""
    values = np.linalg.eigvals(slope)
    rates = clock.rates(values)
    order = np.lexsort((-np.imag(rates), -np.real(rates)))
    return Seen(x, value, values[order].astype(complex), rates[order])
