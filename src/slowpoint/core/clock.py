"""Does a network live in steps, or in the flow that its steps follow?

A trained network iterates a map. Its boundaries are often computed for the flow with the same
fixed points, and those of the map lie elsewhere (Dabholkar and Barak 2025 take the flow).
"""

from typing import Literal

import equinox as eqx
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float

from slowpoint.core.system import Flow, Map, System
from slowpoint.core.wrap import Held, Sampled

Clock = Literal["map", "flow"]


class Continuous(Flow):
    r"""The flow whose Euler steps are those of `inside`: $\dot x = (step(x) - x) / dt$.

    Same fixed points. Rates agree where dt is small against them.
    """

    inside: System

    def __check_init__(self):
        if not self.inside.discrete:
            raise ValueError(
                f"{type(self.inside).__name__} is a flow already. Give it as it is, or a Map."
            )

    @property
    def state_size(self):
        return self.inside.state_size

    @property
    def input_size(self):
        return self.inside.input_size

    @property
    def output_size(self):
        return self.inside.output_size

    @property
    def dt(self):
        return self.inside.dt

    @property
    def initial(self):
        return self.inside.initial

    def step(self, x, u):
        return self.inside.step(x, u)

    def velocity(self, x, u):
        return self.inside.velocity(x, u)

    def output(self, x):
        return self.inside.output(x)

    def encode(self, u):
        return self.inside.encode(u)

    def advance(self, x, drive):
        return self.inside.advance(x, drive)

    def box(self, u):
        return self.inside.box(u)  # velocities on its faces point inside, as steps do


def _array(value: ArrayLike) -> Float[Array | np.ndarray, ""]:
    """A number of Python's as an array in double precision; an array as it is."""
    return np.asarray(value, float) if isinstance(value, int | float) else value  # pyright: ignore


class RungeKutta(Map):
    """`flow` seen every `tick`, moved there by the classical method of fourth order.

    A Map with the flow's fixed points and, to an error of (rate * tick)^4 / 120, its rates:
    what asks where a flow goes asks this one.
    """

    flow: System
    # an array: what is compiled for one tick serves every other
    tick: Float[Array | np.ndarray, ""] = eqx.field(converter=_array)  # h, in time of the flow

    def __check_init__(self):
        if self.flow.discrete or self.tick <= 0:
            raise ValueError(
                f"tick={self.tick:g} of {type(self.flow).__name__}: give a Flow and a tick > 0."
            )

    @property
    def state_size(self):
        return self.flow.state_size

    @property
    def input_size(self):
        return self.flow.input_size

    @property
    def output_size(self):
        return self.flow.output_size

    @property
    def dt(self):
        return self.tick if isinstance(self.tick, Tracer) else float(self.tick)

    @property
    def initial(self):
        return self.flow.initial

    def step(self, x, u):
        h, f = self.tick.astype(x.dtype), lambda x: self.flow.velocity(x, u)
        a = f(x)
        b = f(x + h / 2 * a)
        c = f(x + h / 2 * b)
        d = f(x + h * c)
        return x + h / 6 * (a + 2 * (b + c) + d)

    def output(self, x):
        return self.flow.output(x)


def on_clock(system: System, clock: Clock | str | None) -> System:
    """`system` as a Map, as a Flow, or (None) as what it is.

    A Flow's map is its Euler steps; a Map's flow is `Continuous`, that of `Sampled(flow)` the
    flow itself. Raises ValueError on another word.
    """
    if clock not in (None, "map", "flow"):
        raise ValueError(f"clock={clock!r}: type 'map', 'flow' or None (the system's own).")
    if clock is None or system.discrete == (clock == "map"):
        return system
    if isinstance(system, Held):
        return Held(on_clock(system.inside, clock), system.hold)
    if isinstance(system, Flow):
        return Sampled(system)
    if isinstance(system, Sampled) and system.tick is None:
        return system.flow
    return Continuous(system)


def clock_of(system: System) -> Clock:
    """Which of the two `system` is by itself."""
    return "map" if system.discrete else "flow"
