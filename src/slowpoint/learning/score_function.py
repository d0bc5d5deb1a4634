r"""How does a controller learn when its plant cannot be differentiated? From chance.

The agent's output is the mean of a Gaussian; actions that cost less than others at the same
tick become more likely (Williams 1992, Mach. Learn. 8, 229).
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.rollout import rollout, Trajectory
from slowpoint.core.system import Map, System
from slowpoint.core.trial import Task, Trial
from slowpoint.core.with_effort import WithEffort
from slowpoint.tasks.imitate import seen_along

Costs = Callable[[Trial, Trajectory], Float[Array, " time"]]


class Explored(Map):
    """`world`, moved by what it is sent plus `scale` times unit noise: `[action, noise]`.

    In a ClosedLoop the noise is world noise, so it comes with the Trial: `WithNoise`.
    """

    world: System
    scale: float  # standard deviation of the action

    def __check_init__(self):
        if not self.scale > 0:
            raise ValueError(f"scale={self.scale}: nothing is explored. Give it above 0.")

    @property
    def state_size(self):
        return self.world.state_size

    @property
    def input_size(self):
        return 2 * self.world.input_size

    @property
    def output_size(self):
        return self.world.output_size

    @property
    def dt(self):
        return self.world.dt

    @property
    def initial(self):
        return self.world.initial

    def step(self, x, u):
        action, noise = u[: self.world.input_size], u[self.world.input_size :]
        return self.world.step(x, action + self.scale * noise)

    def output(self, x):
        return self.world.output(x)


class ScoreFunction(eqx.Module):
    r"""A loss for `descend` whose value is the mean cost of `batch` episodes.

    Its gradient is the mean of $\sum_t \nabla u_t \epsilon_t (Q_t - b_t) / \sigma$, plus that
    of the costs through the efforts themselves: $\sigma \epsilon_t$ is the noise of the action,
    $Q_t = \sum_{s>t} c_s$ the cost still to come, $b_t$ its mean over the other episodes. The
    plant is run, never differentiated. On average it is the gradient of the expected cost.

    `task`: WithNoise(task, channels), its noise that of the action. `costs(trial, trajectory)`:
    what each tick adds to the loss, e.g. `Regulate.costs`; a tick's cost is of the state it
    begins with and the effort that it shows.
    """

    task: Task
    costs: Costs
    batch: int = eqx.field(static=True, default=100)

    def __check_init__(self):
        if self.batch < 2:
            raise ValueError(
                f"batch={self.batch}: one is compared with others. Give 2 or more."
            )

    def __call__(self, system: WithEffort, key: PRNGKeyArray) -> Float[Array, ""]:
        """Raises ValueError unless the world of the loop is Explored."""
        world = system.loop.world
        if not isinstance(world, Explored):
            raise ValueError(
                f"The world is a {type(world).__name__}: its actions have no noise. Type "
                "WithEffort(ClosedLoop(Explored(world, scale=0.3), agent))"
            )
        trials = jax.vmap(self.task.trial)(jr.split(key, self.batch))
        costs, efforts = jax.vmap(lambda trial: self._episode(system, trial))(trials)
        begin = system.loop.goal_size
        noise = trials.inputs[..., begin : begin + efforts.shape[-1]]
        still = jax.lax.stop_gradient(costs)
        to_come = jnp.cumsum(still[:, ::-1], axis=1)[:, ::-1] - still
        others = self.batch / (self.batch - 1)  # the mean without the episode itself
        advantage = others * (to_come - to_come.mean(axis=0, keepdims=True))
        score = (advantage * (noise * efforts).sum(axis=-1)).sum() / world.scale
        surrogate = score - jax.lax.stop_gradient(score)
        return (costs.sum() + surrogate) / self.batch

    def _episode(self, system: WithEffort, trial: Trial):
        """`(costs, efforts)` by tick; differentiable through the agent alone."""
        fixed = jax.tree.map(
            lambda a: jax.lax.stop_gradient(a) if eqx.is_array(a) else a, system
        )
        path = rollout(fixed, trial.start, trial.inputs)
        joint = jnp.asarray(path.states)[:, : fixed.loop.state_size]
        agent = system.loop.agent
        inputs = seen_along(fixed.loop, trial, joint)
        efforts = jnp.asarray(rollout(agent, jnp.zeros(0), inputs).outputs)
        if system.loop.first == "world":  # it moves with what the agent sent a tick before
            first = agent.output(agent.initial)
            efforts = jnp.concatenate([first[None], efforts[:-1]])
        shown = jnp.asarray(path.outputs)[:, : -efforts.shape[1]]
        outputs = jnp.concatenate([shown, efforts], axis=1)
        return self.costs(trial, Trajectory(path.states, outputs)), efforts
