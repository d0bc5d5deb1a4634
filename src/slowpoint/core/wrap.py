"""Systems made of a System: the same rule kicked by noise, delayed, held or seen in steps."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from slowpoint.core.system import Flow, Map, System


class Noisy(Map):
    """`inside`, kicked by its last `state_size` inputs (unit white noise) times `scale`."""

    inside: System
    scale: float  # standard deviation of the state after one unit of time, without decay

    @property
    def state_size(self):
        return self.inside.state_size

    @property
    def input_size(self):
        return self.inside.input_size + self.inside.state_size

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
        return self.advance(x, self.encode(u))

    def encode(self, u):
        signal, kick = u[: self.inside.input_size], u[self.inside.input_size :]
        return jnp.concatenate([kick * self.scale * self.dt**0.5, self.inside.encode(signal)])

    def advance(self, x, drive):
        kick, signal = drive[: self.state_size], drive[self.state_size :]
        return self.inside.advance(x, signal) + kick

    def output(self, x):
        return self.inside.output(x)


class Delayed(Map):
    """`inside`, reached by each input `ticks` steps after it was sent.

    State: `[inside, inputs on their way]`, the oldest first.
    """

    inside: System
    ticks: int = eqx.field(static=True)

    def __check_init__(self):
        if self.ticks < 0:
            raise ValueError(f"A delay of {self.ticks} ticks is in the future. Give 0 or more.")

    @property
    def state_size(self):
        return self.inside.state_size + self.ticks * self.inside.input_size

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
        on_their_way = jnp.zeros(self.ticks * self.input_size)
        return jnp.concatenate([self.inside.initial, on_their_way])

    def step(self, x, u):
        now, line = x[: self.inside.state_size], x[self.inside.state_size :]
        line = jnp.concatenate([line, u])
        arriving, line = line[: self.input_size], line[self.input_size :]
        return jnp.concatenate([self.inside.step(now, arriving), line])

    def output(self, x):
        return self.inside.output(x[: self.inside.state_size])


class Sampled(Map):
    """`flow` seen every `flow.dt`. Its rates are those of the Euler steps, not of the flow.

    The two agree for small `dt`; where they do not, the network was trained as this one. Give
    `tick` to count time in other units than the flow's.
    """

    flow: Flow
    tick: float | None = eqx.field(static=True, default=None)  # of a step; None: flow.dt

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
        return self.flow.dt if self.tick is None else self.tick

    @property
    def initial(self):
        return self.flow.initial

    def step(self, x, u):
        return self.flow.step(x, u)

    def jacobian(self, x, u):
        return jnp.eye(self.state_size) + self.flow.dt * self.flow.jacobian(x, u)

    def output(self, x):
        return self.flow.output(x)

    def encode(self, u):
        return self.flow.encode(u)

    def advance(self, x, drive):
        return self.flow.advance(x, drive)

    def box(self, u):
        # an Euler step longer than 1 may leave it
        return self.flow.box(u) if self.flow.dt <= 1 else None

    def lipschitz_bound(self, x, u, radius):
        return self.flow.dt * self.flow.lipschitz_bound(x, u, radius)


class Held(System):
    """`inside` under the constant input `hold`: a System without input."""

    inside: System
    hold: Float[Array, " input"]
    input_size: int = eqx.field(static=True, default=0, init=False)

    def __check_init__(self):
        if len(self.hold) != self.inside.input_size:
            raise ValueError(
                f"hold has {len(self.hold)} numbers, {type(self.inside).__name__} takes "
                f"{self.inside.input_size}. Give hold of shape ({self.inside.input_size},)."
            )

    @property
    def state_size(self):
        return self.inside.state_size

    @property
    def output_size(self):
        return self.inside.output_size

    @property
    def dt(self):
        return self.inside.dt

    @property
    def discrete(self):
        return self.inside.discrete

    @property
    def initial(self):
        return self.inside.initial

    def step(self, x, u):
        return self.inside.step(x, self.hold)

    def velocity(self, x, u):
        return self.inside.velocity(x, self.hold)

    def jacobian(self, x, u):
        return self.inside.jacobian(x, self.hold)

    def rates(self, x, u):
        return self.inside.rates(x, self.hold)

    def output(self, x):
        return self.inside.output(x)

    def box(self, u):
        return self.inside.box(self.hold)

    def lipschitz_bound(self, x, u, radius):
        return self.inside.lipschitz_bound(x, self.hold, radius)
