"""An agent acting on a world, seen as one System."""

from typing import Literal

import equinox as eqx
import jax.numpy as jnp

from slowpoint.core.system import Map, System


class ClosedLoop(Map):
    """Wire `agent` and `world` to each other; what remains is itself a Map.

    So fixed points, rates and separatrices of the coupled system need no new code.
    State: `[world, agent]`. Input: `[goal, world noise, observation noise]`, each as wide as
    its part asks: what the agent reads besides the world, what the world takes besides the
    agent's output, and unit noise scaled by `observation_noise` (none when that is 0).
    With `first="world"` the world moves with the agent's last output, then the agent sees and
    answers; `first="agent"` is the other order.
    """

    world: System
    agent: System
    first: Literal["world", "agent"] = eqx.field(static=True, default="world")
    observation_noise: float = eqx.field(static=True, default=0.0)  # standard deviation

    def __check_init__(self):
        if self.agent.output_size > self.world.input_size:
            raise ValueError(
                f"The agent sends {self.agent.output_size} numbers, the world takes "
                f"{self.world.input_size}. Build the agent with "
                f"output_size={self.world.input_size}."
            )
        if self.agent.input_size < self.world.output_size:
            raise ValueError(
                f"The world shows {self.world.output_size} numbers, the agent reads only "
                f"{self.agent.input_size}. Build the agent with "
                f"input_size={self.world.output_size} or more (the rest is the goal)."
            )
        if self.first not in ("world", "agent"):
            raise ValueError(f'first={self.first!r}: type first="world" or first="agent".')

    @property
    def state_size(self):
        return self.world.state_size + self.agent.state_size

    @property
    def goal_size(self) -> int:
        """Numbers the agent reads besides the world."""
        return self.agent.input_size - self.world.output_size

    @property
    def world_noise_size(self) -> int:
        """Numbers the world takes besides the agent's output."""
        return self.world.input_size - self.agent.output_size

    @property
    def input_size(self):
        seen = self.world.output_size if self.observation_noise else 0
        return self.goal_size + self.world_noise_size + seen

    @property
    def output_size(self):
        return self.world.output_size

    @property
    def dt(self):
        return self.world.dt

    @property
    def initial(self):
        return jnp.concatenate([self.world.initial, self.agent.initial])

    def split(self, x):
        """`(world state, agent state)` of a joint state."""
        return x[..., : self.world.state_size], x[..., self.world.state_size :]

    def step(self, x, u):
        world, agent = self.split(x)
        goal, u = u[: self.goal_size], u[self.goal_size :]
        kick, noise = u[: self.world_noise_size], u[self.world_noise_size :]

        def move(world, agent):
            return self.world.step(world, jnp.concatenate([self.agent.output(agent), kick]))

        def answer(world, agent):
            seen = self.world.output(world)
            if self.observation_noise:
                seen = seen + self.observation_noise * noise
            return self.agent.step(agent, jnp.concatenate([seen, goal]))

        if self.first == "world":
            world = move(world, agent)
            agent = answer(world, agent)
        else:
            agent = answer(world, agent)
            world = move(world, agent)
        return jnp.concatenate([world, agent])

    def output(self, x):
        world, _ = self.split(x)
        return self.world.output(world)
