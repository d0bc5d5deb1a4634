r"""Bring the hand from rest to a place given as the goal, and hold it there.

The system is a loop that shows where the hand is and what the agent sends:
`WithEffort(ClosedLoop(arm, agent), shows="output")`. (Li and Todorov 2004, ICINCO, 222, ask the
same of joint angles, at one time.)
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.trial import Task, Trial


class Reach(Task):
    r"""Targets g in every direction from `centre`, at `distance`.

    After `movement` seconds the hand p is to be there, at rest. The loss is the mean of
    $|p - g|^2 + r_v |\dot p|^2$ over the ticks after that, plus the mean of $r_u |u|^2$ over
    all; $\dot p$ is the hand's way since the tick before, over dt. Outputs are
    `[what the world shows, effort]`, of which the first two are p. Raises ValueError when no
    tick is left after the movement, or a cost is below 0.
    """

    start: tuple[float, ...] = (math.pi / 4, math.pi / 2, 0.0, 0.0)  # of the world, at rest
    centre: tuple[float, float] = (-0.0212, 0.4455)  # m, where the hand is at that start
    distance: float | Float[Array, ""] = 0.1  # m
    speed_cost: float | Float[Array, ""] = 0.01  # r_v, s^2
    effort_cost: float | Float[Array, ""] = 1e-4  # r_u, m^2 per square of the agent's unit
    movement: float = eqx.field(static=True, default=0.5)  # s
    steps: int = eqx.field(static=True, default=80)
    dt: float = eqx.field(static=True, default=0.01)  # s
    seen: int = eqx.field(static=True, default=2)  # numbers that the world shows
    effort_size: int = eqx.field(static=True, default=2)
    input_size: int = eqx.field(static=True, default=2, init=False)

    def __check_init__(self):
        if not (self.dt > 0 and 1 <= self.moving < self.steps):
            raise ValueError(
                f"steps={self.steps}, dt={self.dt}, movement={self.movement} s: the movement "
                "must take 1 tick or more and leave some to hold. Type Reach(steps=80, dt=0.01)"
            )
        for name in ("speed_cost", "effort_cost", "distance"):
            number = getattr(self, name)
            if not isinstance(number, jax.Array) and not number >= 0:
                raise ValueError(f"{name}={number}: give 0 or more.")
        if self.seen < 2 or self.effort_size < 1:
            raise ValueError(
                f"seen={self.seen}, effort_size={self.effort_size}: the world shows 2 numbers "
                "or more, first the hand's place, and the agent sends 1 or more."
            )

    @property
    def output_size(self):
        return self.seen + self.effort_size

    @property
    def moving(self) -> int:
        """Ticks until the hand is to be there."""
        return round(self.movement / self.dt)

    def trial(self, key):
        return self.towards(jr.uniform(key, maxval=2 * math.pi))

    def towards(self, direction: Float[Array, ""]) -> Trial:
        """The trial whose target lies in this direction (rad) from the centre."""
        arrow = jnp.stack([jnp.cos(direction), jnp.sin(direction)])
        goal = jnp.asarray(self.centre) + self.distance * arrow
        inputs = jnp.tile(goal, (self.steps, 1))
        rest = jnp.zeros((self.steps, self.output_size - 2))
        targets = jnp.concatenate([inputs, rest], axis=1)
        return Trial(jnp.asarray(self.start), inputs, targets, jnp.ones(self.steps))

    def every(self, count: int = 8) -> Trial:
        """Targets in `count` directions, evenly spaced, stacked."""
        return jax.vmap(self.towards)(2 * math.pi / count * jnp.arange(count))

    def loss(self, trial, trajectory):
        hand, effort = trajectory.outputs[:, :2], trajectory.outputs[:, self.seen :]
        holding = trial.weights * (jnp.arange(self.steps) >= self.moving)
        off = ((hand - trial.targets[:, :2]) ** 2).sum(axis=1)
        speed = (jnp.diff(hand, axis=0, prepend=hand[:1]) ** 2).sum(axis=1) / self.dt**2
        held = (holding * (off + self.speed_cost * speed)).sum() / (self.steps - self.moving)
        spent = (trial.weights * (effort**2).sum(axis=1)).sum() / self.steps
        return held + self.effort_cost * spent


def example(key: PRNGKeyArray) -> Reach:
    """A short one; nothing is drawn."""
    del key
    return Reach(steps=12, movement=0.06, effort_cost=1e-2)
