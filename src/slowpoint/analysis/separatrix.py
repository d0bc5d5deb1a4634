"""Where is the surface between two basins, and how well is it known?

Dabholkar and Barak (2025), arXiv:2505.15231: a Koopman eigenfunction of positive rate is zero
on it. The ways to get one are objects; all are judged by the same simulation.
"""

import dataclasses
import os

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from slowpoint.analysis.curves import even_curves
from slowpoint.analysis.field import Field, gradients, values
from slowpoint.analysis.fit import Fit, judged
from slowpoint.analysis.how import How
from slowpoint.analysis.learned import Learned
from slowpoint.analysis.modes import Expanded
from slowpoint.analysis.mountain_pass import mountain_pass, Pass
from slowpoint.analysis.pullback import Pullback, PulledBack
from slowpoint.core.clock import Clock, clock_of
from slowpoint.core.files import replacing
from slowpoint.core.fingerprint import fingerprint
from slowpoint.core.precision import float64
from slowpoint.core.system import System

Numbers = Array | np.ndarray
FORMAT = 1
FIELDS = {kind.__name__: kind for kind in (PulledBack, Expanded, Learned)}
CURVES, POINTS = 32, 32  # of the sample that a fit is judged on by default


class Separatrix(eqx.Module):
    """A field that is zero on the boundary between the basins of two attractors.

    `around` is its saddle with both attractors (number 1 on the positive side), `fit` how well
    the field does. Takes states of shape (..., state), answers NumPy arrays in float64.
    """

    around: Pass
    field: Field
    fit: Fit

    def value(self, states: Float[Numbers, "... state"]) -> Float[np.ndarray, "..."]:
        """The field: 0 on the separatrix. Fields differ in all but their zeros and signs."""
        return values(self.field, self.checked(states))

    def side(self, states: Float[Numbers, "... state"]) -> Int[np.ndarray, "..."]:
        """1 on the side of `attractors[1]`, -1 on that of `attractors[0]`, 0 in between."""
        return np.asarray(np.sign(np.nan_to_num(self.value(states))), int)

    def normal(self, states: Float[Numbers, "... state"]) -> Float[np.ndarray, "... state"]:
        """Unit vectors across the surface, towards the positive side."""
        slopes = gradients(self.field, self.checked(states))
        with np.errstate(invalid="ignore"):
            return slopes / np.linalg.norm(slopes, axis=-1, keepdims=True)

    @property
    def attractors(self) -> Float[np.ndarray, "side state"]:
        """The two ends; NaN where a run from the saddle does not come to rest."""
        return self.around.ends

    @property
    def clock(self) -> str:
        """Whose boundary it is: the steps' ("map") or the flow's ("flow")."""
        return clock_of(self.around.system)

    def checked(self, states: Float[Numbers, "... state"]) -> np.ndarray:
        """`states` as numbers. Raises ValueError when they are not states of this system."""
        states, size = np.asarray(states, np.float64), len(self.around.saddle)
        if states.ndim < 1 or states.shape[-1] != size:
            raise ValueError(
                f"The states have shape {states.shape}, the system has {size} numbers of "
                f"state. Give an array whose last axis is {size} long."
            )
        return states

    def save(self, path: str | os.PathLike) -> None:
        """Write `path` (.npz) whole or not at all; the system is not in it, only its print."""
        parts = {f"fit.{f.name}": getattr(self.fit, f.name) for f in dataclasses.fields(Fit)}
        parts |= {f"field.{name}": array for name, array in self.field.pack().items()}
        with replacing(path) as beside, beside.open("wb") as file:
            np.savez(
                file,
                allow_pickle=False,
                _kind=np.array("Separatrix"),
                _format=np.array(FORMAT),
                system=np.array(fingerprint(self.around.system)),
                field=np.array(type(self.field).__name__),
                saddle=self.around.saddle,
                hold=self.around.hold,
                **parts,
            )

    @classmethod
    def load(cls, path: str | os.PathLike, system: System) -> "Separatrix":
        """What `save` left in `path`, of the same `system` on the same clock.

        Raises ValueError on another system, or a file that holds something else.
        """
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        if str(arrays.get("_kind")) != "Separatrix" or arrays["_format"] > FORMAT:
            raise ValueError(f"{path} holds no Separatrix that this version can read.")
        if str(arrays["system"]) != fingerprint(system):
            raise ValueError(
                f"{path} belongs to another {type(system).__name__}. Give the system that it "
                "was made of, on the clock that it was made for: on_clock(system, 'flow')."
            )
        around = mountain_pass(system, arrays["saddle"], hold=arrays["hold"])
        own = {n.removeprefix("field."): a for n, a in arrays.items() if n.startswith("field.")}
        with float64():
            field = FIELDS[str(arrays["field"])].unpack(around, own)
        fit = {f.name: arrays[f"fit.{f.name}"].item() for f in dataclasses.fields(Fit)}
        return cls(around, field, Fit(**fit))


def separatrix(
    system: System,
    saddle: Float[Numbers, " state"],
    *,
    hold: Float[Numbers, " input"] | None = None,
    how: How = Pullback(),
    clock: Clock | None = None,
    states: Float[Numbers, "sample state"] | None = None,
    key: PRNGKeyArray | None = None,
) -> Separatrix:
    """The boundary that runs through `saddle` under the constant input `hold`.

    `how` says which way to find it: `Pullback()` (no training), `Hyperplane()`, `Modes(...)`,
    `Network(...)`, which needs a `key`. `clock` "map" or "flow" asks for the boundary of the
    steps or of the flow; None: of what the system is. It is judged on `states`; by default on
    1,024 states of 32 curves from attractor to attractor.

    Raises ValueError when there is no saddle of index 1. A field that is poor is a code and a
    sentence in `fit`, not an exception.
    """
    if key is None and how.draws:
        raise ValueError(f"{type(how).__name__} draws numbers. Give key=jax.random.key(0).")
    around = mountain_pass(system, saddle, hold=hold, clock=clock)
    made = how.make(around, key)
    sample = between(around) if states is None else np.asarray(states, float)
    return Separatrix(around, made.field, judged(around, made, sample))


def between(
    around: Pass, curves: int = CURVES, points: int = POINTS
) -> Float[np.ndarray, "sample state"]:
    """States on cubic curves from attractor 0 to 1 that leave in many directions.

    Their tangents are 1.4 (b - a) and 2 D / sqrt(N) times an even set that fills N(0, I), D the
    distance from a to b: nothing is drawn.
    """
    a, b = around.ends if np.isfinite(around.ends).all() else _guessed_ends(around)
    spread = 2 * float(np.linalg.norm(b - a)) / len(a) ** 0.5
    found = even_curves(a, b, count=curves, points=points, spread=spread)
    return found.states.reshape(-1, len(a))


def _guessed_ends(around: Pass) -> np.ndarray:
    """Two states off the saddle, where the attractors are unknown."""
    step = 0.5 * around.distance * around.right
    return around.saddle + np.stack([-step, step])
