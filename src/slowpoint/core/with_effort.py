"""What moved the world, and from where? A closed loop that shows both, for a task to mark."""

from typing import Literal

import equinox as eqx
import jax.numpy as jnp

from slowpoint.core.closed_loop import ClosedLoop
from slowpoint.core.system import Map


class WithEffort(Map):
    """`loop`, which shows of each tick where the world began it, and the agent's output.

    Output: `[world state, effort]`, or with `shows="output"` `[world output, effort]`. Row t of
    a rollout holds x_t and the u_t that leads to x_{t+1}, in either order of the loop; the
    first row is the start. State: `[loop, what is shown]`.
    """

    loop: ClosedLoop
    shows: Literal["state", "output"] = eqx.field(static=True, default="state")

    def __check_init__(self):
        if self.shows not in ("state", "output"):
            raise ValueError(f'shows={self.shows!r}: type shows="state" or shows="output".')

    @property
    def state_size(self):
        return self.loop.state_size + self.output_size

    @property
    def input_size(self):
        return self.loop.input_size

    @property
    def output_size(self):
        world = self.loop.world
        seen = world.state_size if self.shows == "state" else world.output_size
        return seen + self.loop.agent.output_size

    @property
    def dt(self):
        return self.loop.dt

    @property
    def initial(self):
        return jnp.concatenate([self.loop.initial, jnp.zeros(self.output_size)])

    def step(self, x, u):
        before = x[: self.loop.state_size]
        after = self.loop.step(before, u)
        world, agent = self.loop.split(before)
        if self.loop.first == "agent":  # it answers before the world moves
            _, agent = self.loop.split(after)
        seen = world if self.shows == "state" else self.loop.world.output(world)
        return jnp.concatenate([after, seen, self.loop.agent.output(agent)])

    def output(self, x):
        return x[self.loop.state_size :]
