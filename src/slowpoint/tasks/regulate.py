r"""Bring a plant from a random start to rest at 0, with little effort.

Ger and Barak (2025), arXiv:2505.13567. The system is a loop that shows the plant's state and
the agent's output: `WithEffort(ClosedLoop(world, agent))`.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.rollout import Trajectory
from slowpoint.core.trial import Task, Trial

Starts = Callable[[PRNGKeyArray], Float[Array, " given"]]


def _check_starts(size: int, name: str, width: float | Array) -> None:
    """Raise ValueError unless there is a coordinate, and a width of 0 or more."""
    if size < 1:
        raise ValueError(f"size={size}: give the number of states of the plant, 1 or more.")
    if not isinstance(width, jax.Array) and not width >= 0:
        raise ValueError(f"{name}={width}: give 0 or more.")


class Box(eqx.Module):
    """Starts anywhere in a box: `size` numbers from U(-half_width, half_width)."""

    size: int = eqx.field(static=True, default=2)
    half_width: float | Float[Array, ""] = 2.0

    def __check_init__(self):
        _check_starts(self.size, "half_width", self.half_width)

    @property
    def variance(self) -> float | Float[Array, ""]:
        """Of each coordinate."""
        return self.half_width**2 / 3

    def __call__(self, key):
        return self.half_width * jr.uniform(key, (self.size,), minval=-1.0, maxval=1.0)


class Axes(eqx.Module):
    r"""The 2n starts $\pm \sqrt{n v} e_i$, all equally likely: mean 0, covariance v times 1.

    A linear loop has on them the mean cost of any starts with that mean and covariance, so
    `Regulate.every` replaces a batch of random ones.
    """

    size: int = eqx.field(static=True, default=2)  # n
    variance: float | Float[Array, ""] = 4 / 3  # v

    def __check_init__(self):
        _check_starts(self.size, "variance", self.variance)

    def every(self) -> Float[Array, "start given"]:
        """All of them."""
        one = jnp.sqrt(self.size * jnp.asarray(self.variance)) * jnp.eye(self.size)
        return jnp.concatenate([one, -one])

    def __call__(self, key):
        return self.every()[jr.randint(key, (), 0, 2 * self.size)]


class Regulate(Task):
    r"""The loss is $\sum_{t<T} (q |x_t|^2 + r |u_t|^2)$, with $x_0$ the start.

    `starts` says where: Box, Axes, or any function of a key. `Regulate.mean_square` and
    `Regulate.averaged` set the two costs as the paper's figures do. Outputs are
    `[state, effort]`. Raises ValueError on fewer than 2 steps or a cost below 0.
    """

    starts: Starts = Box()
    state_cost: float | Float[Array, ""] = 0.01  # q
    effort_cost: float | Float[Array, ""] = 0.0  # r
    steps: int = eqx.field(static=True, default=50)  # T
    effort_size: int = eqx.field(static=True, default=1)
    input_size: int = eqx.field(static=True, default=0)  # of the loop: its goal, if it has one

    def __check_init__(self):
        if self.steps < 2:
            raise ValueError(f"steps={self.steps}: no effort acts on step 1. Give 2 or more.")
        if self.effort_size < 1:
            raise ValueError(
                f"effort_size={self.effort_size}: give what the agent sends, 1 or more."
            )
        for name in ("state_cost", "effort_cost"):
            cost = getattr(self, name)
            if not isinstance(cost, jax.Array) and not cost >= 0:
                raise ValueError(f"{name}={cost} rewards going astray. Give 0 or more.")

    @classmethod
    def mean_square(cls, starts: Starts = Box(half_width=1.0), effort_cost=0.5, **options):
        """Sums over time of the mean square of the states, and `effort_cost` |u|^2.

        Figures 1 and 2: with two states an LQR cost with Q = R = 1, halved.
        """
        return cls(starts, 1 / _size(starts), effort_cost, **options)

    @classmethod
    def averaged(cls, starts: Starts = Box(), penalty=0.0, *, steps: int = 50, **options):
        r"""$\frac{1}{2T} \sum_t |x_t|^2 + \beta \sum_t |u_t|^2$ with `penalty` beta.

        Figures 3 to 5.
        """
        return cls(starts, 1 / (2 * max(steps, 1)), penalty, steps=steps, **options)

    @property
    def output_size(self):
        return _size(self.starts) + self.effort_size

    def trial(self, key):
        return self.begin(self.starts(key))

    def begin(self, start: Float[Array, " given"]) -> Trial:
        """The trial from `start`."""
        targets = jnp.zeros((self.steps, self.output_size))
        return Trial(
            start, jnp.zeros((self.steps, self.input_size)), targets, jnp.ones(self.steps)
        )

    def every(self) -> Trial:
        """The trials from all starts, where `starts` has finitely many (Axes), stacked."""
        if not isinstance(self.starts, Axes):
            raise ValueError(
                f"{type(self.starts).__name__} has no list of its starts. Type "
                "Regulate(Axes(size=2, variance=4 / 3))"
            )
        return jax.vmap(self.begin)(self.starts.every())

    def loss(self, trial, trajectory):
        return self.costs(trial, trajectory).sum()

    def costs(self, trial: Trial, trajectory: Trajectory) -> Float[Array, " time"]:
        """The part of each tick in the loss."""
        squares = (trajectory.outputs - trial.targets) ** 2
        states = squares[:, : -self.effort_size].sum(axis=1)
        efforts = squares[:, -self.effort_size :].sum(axis=1)
        return trial.weights * (self.state_cost * states + self.effort_cost * efforts)


def _size(starts: Starts) -> int:
    """How many numbers a start has."""
    return jax.eval_shape(starts, jr.key(0)).shape[0]


def example(key: PRNGKeyArray) -> Regulate:
    """A short one with effort; nothing is drawn."""
    del key
    return Regulate.averaged(Box(size=2, half_width=2.0), penalty=0.5, steps=12)
