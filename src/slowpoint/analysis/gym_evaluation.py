"""How well does a trained agent do in a Gymnasium environment? It is evaluated, not trained."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from slowpoint.core.chance import generator
from slowpoint.core.result import Result
from slowpoint.core.system import System

ENDS = ("time limit", "terminal state", "the agent's output was not finite")


@runtime_checkable
class Environment(Protocol):
    """What is used of `gymnasium.Env`; so anything that answers like one will do."""

    action_space: Any
    reset: Callable[..., tuple[Any, dict]]  # (observation, information); takes seed=

    def step(self, action: Any, /) -> tuple[Any, Any, bool, bool, dict]:
        """`(observation, reward, terminated, truncated, information)`."""
        ...


class Evaluation(Result):
    """One number for each episode."""

    returns: Float[np.ndarray, " episode"]  # sum of the rewards, not discounted
    lengths: Int[np.ndarray, " episode"]  # steps taken
    ends: Int[np.ndarray, " episode"]  # index into ENDS
    seeds: Int[np.ndarray, " episode"]  # that the environment was reset with

    def end(self, episode: int) -> str:
        """Why it ended, in words."""
        return ENDS[self.ends[episode]]


def evaluate(
    agent: System,
    environment: Environment,
    *,
    episodes: int = 10,
    steps: int | None = None,
    read: Callable[[Any], Any] = np.ravel,
    act: Callable[[np.ndarray], Any] | None = None,
    key: PRNGKeyArray,
) -> Evaluation:
    """`episodes` of `agent` in `environment`, e.g. `gymnasium.make("Pendulum-v1")`.

    Each tick the agent reads an observation, steps, and its output is the action, as in
    `ClosedLoop(..., first="agent")`; it begins each episode at its `initial`. `read` turns an
    observation into its input (append a goal here), `act` its output into an action. By
    default a box of actions takes the output clipped to its bounds, a discrete space its
    largest channel. `steps` ends an episode that the environment does not end. An output that
    is not finite ends the episode. The environment stays open. Raises ValueError when sizes
    differ, and without episodes or steps.
    """
    if episodes < 1 or (steps is not None and steps < 1):
        raise ValueError(f"episodes={episodes}, steps={steps}: give 1 or more.")
    act = act or _acting(environment.action_space, agent)
    seeds = generator(key).integers(2**31, size=episodes)
    limit = np.inf if steps is None else steps
    runs = [_episode(agent, environment, int(seed), limit, read, act) for seed in seeds]
    returns, lengths, ends = map(np.array, zip(*runs, strict=True))
    return Evaluation(returns.astype(float), lengths, ends, seeds)


def _episode(agent, environment, number, limit, read, act) -> tuple[float, int, int]:
    """`(return, length, index into ENDS)` of the episode with this number."""
    observation, _ = environment.reset(seed=number)
    state, total, length = jnp.asarray(agent.initial), 0.0, 0
    while length < limit:
        state, output = _tick(agent, state, _checked(read(observation), agent))
        output = np.asarray(output)
        if not np.isfinite(output).all():
            return total, length, 2
        observation, reward, terminated, truncated, _ = environment.step(act(output))
        total, length = total + float(reward), length + 1
        if terminated or truncated:
            return total, length, int(bool(terminated))
    return total, length, 0


@eqx.filter_jit
def _tick(agent: System, state, u):
    state = agent.step(state, u)
    return state, agent.output(state)


def _checked(seen, agent: System):
    """What the agent reads, as an array; raise ValueError when it has another size."""
    u = jnp.asarray(seen, jnp.result_type(float))
    if u.shape != (agent.input_size,):
        raise ValueError(
            f"The observation has shape {u.shape}, the agent reads {agent.input_size} numbers. "
            f"Build the agent with input_size={u.size}, or give read=lambda seen: ..."
        )
    return u


def _acting(space, agent: System) -> Callable[[np.ndarray], Any]:
    """How an output becomes an action in `space`; raise ValueError when it cannot."""
    if hasattr(space, "low") and hasattr(space, "high"):
        needed = int(np.prod(space.shape))
        clip = lambda output: np.clip(output.reshape(space.shape), space.low, space.high)
        act = lambda output: clip(output).astype(space.dtype)
    elif hasattr(space, "n"):
        needed = int(space.n)
        act = lambda output: int(getattr(space, "start", 0)) + int(np.argmax(output))
    else:
        raise ValueError(
            f"Actions of a {type(space).__name__} are not known here. Give act=lambda output: "
            "..., from the agent's output to an action."
        )
    if agent.output_size != needed:
        raise ValueError(
            f"The agent sends {agent.output_size} numbers, {type(space).__name__} takes "
            f"{needed}. Build the agent with output_size={needed}, or give act=lambda out: ..."
        )
    return act
