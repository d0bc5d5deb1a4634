"""What becomes of a point when a held input, a parameter or the training moves on?

Natural continuation: a tangent step, Newton steps that must contract, halved steps where
they do not, and the folds, Hopf points and flips on the way.
"""

from collections.abc import Callable
from typing import ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float, Int, Real

from slowpoint.analysis.branch import Branch
from slowpoint.analysis.events import Clock, Event
from slowpoint.analysis.solve import check
from slowpoint.analysis.walk import LEADING, Leg, Steps, walk, Walked, Way
from slowpoint.core.precision import float64
from slowpoint.core.result import Result
from slowpoint.core.system import System

Numbers = Array | np.ndarray


class Track(Result):
    """One row per value reached, in the order walked; speeds and rates per unit time.

    Fields named `event_...` have one row per fold, Hopf point or flip; `events` has them as
    objects that say what their two certifying numbers, push and bend, mean.
    """

    ENDS: ClassVar[tuple[str, ...]] = ("last value", "fold", "lost", "never began")

    values: Float[np.ndarray, " step"]
    states: Float[np.ndarray, "step state"]
    outputs: Float[np.ndarray, "step output"]
    kinds: Int[np.ndarray, " step"]  # index into FixedPoints.KINDS
    speeds: Float[np.ndarray, " step"]  # |velocity|
    residuals: Float[np.ndarray, " step"]  # |step - x| (Map) or |velocity| (Flow)
    gradients: Float[np.ndarray, " step"]  # |projected gradient of q|
    radius: Float[np.ndarray, " step"]  # exactly one root within; NaN where not certified
    rates: Complex[np.ndarray, "step rate"]  # the fastest growing first
    n_unstable: Int[np.ndarray, " step"]
    jumps: Float[np.ndarray, " step"]  # distance from the state at the value before; 0 first
    jumped: Bool[np.ndarray, " step"]  # no continuous way was found from the value before
    substeps: Int[np.ndarray, " step"]  # steps taken from the value before
    event_kinds: Int[np.ndarray, " event"]  # index into events.KINDS
    event_values: Float[np.ndarray, " event"]
    event_states: Float[np.ndarray, "event state"]
    event_residuals: Float[np.ndarray, " event"]
    event_frequencies: Float[np.ndarray, " event"]  # radians per unit time
    event_pushes: Float[np.ndarray, " event"]
    event_bends: Float[np.ndarray, " event"]
    event_regular: Bool[np.ndarray, " event"]
    ended: int  # index into ENDS
    says: str  # why, in a sentence

    def __len__(self) -> int:
        return len(self.values)

    @property
    def events(self) -> list[Event]:
        """What happened on the way, in the order met."""
        columns = [getattr(self, column).tolist() for column in _EVENT.values()]
        columns[list(_EVENT).index("state")] = list(self.event_states)
        return [Event(**dict(zip(_EVENT, cells))) for cells in zip(*columns)]


_EVENT = {  # field of an Event: field of a Track
    "kind": "event_kinds",
    "value": "event_values",
    "state": "event_states",
    "residual": "event_residuals",
    "frequency": "event_frequencies",
    "push": "event_pushes",
    "bend": "event_bends",
    "regular": "event_regular",
}


def track(
    family: Callable[..., System],
    point: Float[Numbers, " state"],
    values: Real[Numbers, " value"],
    *,
    hold: Float[Numbers, " input"] | None = None,
    seek: Literal["fixed", "slow"] = "fixed",
    steps: Steps | None = None,
) -> Track:
    """Follow `point` of `family(values[0])` through `values`, in float64.

    `family` maps one number to a System, in a way that JAX can trace: `under_input`, `between`
    or, say, `lambda v: Duffing(damping=v)`. `seek="fixed"` ends at a fold; past a Hopf point or
    a flip it goes on. `seek="slow"` follows the bottom of a valley of q, fixed or not; where
    that bottom is lost the state falls into another valley, and `jumped` says so.

    Raises ValueError when sizes disagree, a number is not finite or `values` turn back;
    TypeError when `family` cannot be traced.
    """
    _check_values(np.asarray(values))
    system = _first(family, float(values[0]))
    hold = _hold(system, hold)
    check(system, np.asarray(point)[None], hold)
    with float64():
        way = Way(
            Branch(family, jnp.asarray(hold, float)),
            Clock(system.discrete, float(system.dt)),
            float(np.ptp(values)) or 1.0,
            seek == "slow",
            Steps() if steps is None else steps,
        )
        walked = walk(way, np.asarray(point, np.float64), np.asarray(values, np.float64))
    return _track(walked, system)


def _check_values(values: np.ndarray) -> None:
    if not len(values) or not np.isfinite(values).all():
        raise ValueError(
            f"values are {values}, where one or more finite numbers were expected. Type for "
            "example: values=np.linspace(0.0, 1.0, 21)"
        )
    turns = np.sign(np.diff(values))
    wrong = np.flatnonzero((turns == 0) | (turns != turns[:1]))
    if len(wrong):
        raise ValueError(
            f"values stand still or turn back after {values[wrong[0]]:g} (index {wrong[0]}), "
            "where a rising or a falling sequence was expected. Track each way on its own."
        )


def _first(family: Callable[..., System], value: float) -> System:
    """The system of the first value, once JAX could trace the way to it."""
    with float64():
        try:
            eqx.filter_eval_shape(family, jnp.asarray(value))
        except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError):
            raise TypeError(
                "family makes a Python or NumPy number of its value, where JAX must see how "
                "the system depends on it. Keep the value as it comes, for example: "
                "lambda v: Duffing(damping=v)"
            ) from None
        return family(jnp.asarray(value))


def _hold(system: System, hold: Numbers | None) -> np.ndarray:
    if hold is None and system.input_size:
        raise ValueError(
            f"{type(system).__name__} takes {system.input_size} inputs and its points "
            f"depend on them. Say which input is held: hold=jnp.zeros({system.input_size})."
        )
    return np.zeros(0) if hold is None else np.asarray(hold)


def _track(walked: Walked, system: System) -> Track:
    return Track(
        **_rows(walked.legs, system),
        **_event_rows(walked.events, system),
        ended=walked.ended,
        says=walked.says,
    )


def _rows(legs: list[Leg], system: System) -> dict[str, np.ndarray]:
    sizes = {"states": system.state_size, "outputs": system.output_size}
    sizes |= {"rates": min(LEADING, system.state_size)}
    ints, complexes = ("kinds", "n_unstable"), ("rates",)
    plain = ("values", "states", "outputs", "speeds", "residuals", "gradients", "radius")
    table = {}
    for names, kind in ((plain, float), (ints, int), (complexes, complex)):
        for name in names:
            column = np.array([leg.end.row[name] for leg in legs], kind)
            table[name] = column.reshape(len(legs), *([sizes[name]] if name in sizes else []))
    moves = np.linalg.norm(np.diff(table["states"], axis=0), axis=1)
    table["jumps"] = np.concatenate([np.zeros(min(1, len(legs))), moves])
    table["jumped"] = np.array([leg.jumped for leg in legs], bool)
    table["substeps"] = np.array([leg.substeps for leg in legs], int)
    return table


def _event_rows(events: list[Event], system: System) -> dict[str, np.ndarray]:
    kinds = {"kind": int, "regular": bool}
    rows = {
        column: np.array([getattr(event, field) for event in events], kinds.get(field, float))
        for field, column in _EVENT.items()
    }
    rows["event_states"] = rows["event_states"].reshape(len(events), system.state_size)
    return rows
