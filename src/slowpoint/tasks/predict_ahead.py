"""Seen a place and told what will be done: what will be seen then?

Ratzon and Barak (2025), Multi-step predictive coding leads to simplicity bias,
arXiv:2511.09290.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int, PRNGKeyArray

from slowpoint.core.transitions import Transitions
from slowpoint.core.trial import Task, Trial, weighted_cross_entropy, weighted_mse

Table = Float[Array, "state seen"] | Float[np.ndarray, "state seen"]
Numbers = Int[Array, " pair"] | Int[np.ndarray, " pair"]


class PredictAhead(Task):
    """Each frame shows a place beside an action (one-hot); the target is the view from the
    place it leads to.

    A trial has `steps` frames, pairs drawn with equal chance: a network that forgets takes
    them one by one. mark="cross_entropy": minus the log of the share that softmax gives the
    right place (one-hot views); "squared": the mean square over outputs.
    """

    views: Table  # what is seen at each place
    state: Numbers
    action: Numbers
    target: Numbers
    n_actions: int = eqx.field(static=True)
    mark: str = eqx.field(static=True, default="cross_entropy")
    steps: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        if self.mark not in ("cross_entropy", "squared"):
            raise ValueError(f"mark={self.mark!r}: give 'cross_entropy' or 'squared'.")
        if isinstance(self.views, Tracer) or self.mark == "squared":
            return
        if not np.array_equal(self.views, np.eye(len(self.views))):
            raise ValueError("Views that are not one-hot have no classes: give mark='squared'.")

    @classmethod
    def one_hot(cls, transitions: Transitions, mark: str = "cross_entropy", steps: int = 1):
        """Each place is seen as itself: $e_s$. Raises ValueError if one is never a target."""
        return cls.seen_as(np.eye(transitions.n_states), transitions, mark, steps)

    @classmethod
    def random(cls, transitions: Transitions, *, width: int = 100, key: PRNGKeyArray):
        """Each place is seen as a vector $O_s$ drawn once from N(0, I), the loss is squared."""
        views = jr.normal(key, (transitions.n_states, width))
        return cls.seen_as(views, transitions, "squared")

    @classmethod
    def seen_as(cls, views: Table, transitions: Transitions, mark: str, steps: int = 1):
        """Views of your own, a row for each place; errors as for `one_hot`."""
        transitions.refuse_unseen()
        if len(views) != transitions.n_states:
            raise ValueError(f"{len(views)} views of {transitions.n_states} places: give each.")
        t = transitions
        state, action, target = map(jnp.asarray, (t.state, t.action, t.target))
        return cls(jnp.asarray(views, float), state, action, target, t.n_actions, mark, steps)

    @property
    def input_size(self):
        return self.views.shape[1] + self.n_actions

    @property
    def output_size(self):
        return self.views.shape[1]

    def trial(self, key):
        return self._shown(jr.randint(key, (self.steps,), 0, len(self.state)))

    def every(self) -> Trial:
        """Each pair once, a trial of one frame: the exact loss, with `GivenTrials`."""
        return jax.vmap(lambda pair: self._shown(pair[None]))(jnp.arange(len(self.state)))

    def _shown(self, pairs) -> Trial:
        views = jnp.asarray(self.views)
        acts = jax.nn.one_hot(jnp.asarray(self.action)[pairs], self.n_actions)
        seen = views[jnp.asarray(self.state)[pairs]]
        inputs = jnp.concatenate([seen, acts.astype(views.dtype)], axis=1)
        targets = views[jnp.asarray(self.target)[pairs]]
        return Trial(jnp.zeros(0), inputs, targets, jnp.ones(len(pairs)))

    def loss(self, trial, trajectory):
        if self.mark == "squared":
            return weighted_mse(trial, trajectory)
        return weighted_cross_entropy(trial, trajectory)

    def accuracy(self, trial, trajectory):
        """Share of frames whose answer lies nearest to the right view."""
        views = jnp.asarray(self.views)
        length = (views**2).sum(axis=1)[None] / 2
        named = lambda shown: (shown @ views.T - length).argmax(axis=1)
        right = named(trajectory.outputs) == named(trial.targets)
        return (trial.weights * right).sum() / jnp.maximum(trial.weights.sum(), 1.0)


class EveryPair(eqx.Module):
    """The exact loss of a linear network over all pairs of one-hot views, for `descend`.

    Its product P = W' is read row by row, z = P[s] + P[S + a]: no input is built or multiplied.
    The network needs `product()`, (S, S + B). `mark` as in `PredictAhead`.
    """

    state: Numbers
    action: Numbers
    target: Numbers
    mark: str = eqx.field(static=True, default="cross_entropy")

    @classmethod
    def of(cls, transitions: Transitions, mark: str = "cross_entropy") -> "EveryPair":
        """Raises ValueError on another loss, and if a place is never a target."""
        task = PredictAhead.one_hot(transitions, mark)
        return cls(task.state, task.action, task.target, mark)

    def logits(self, network) -> Float[Array, "pair state"]:
        """What the network answers to each pair."""
        table = network.product().T
        return table[self.state] + table[table.shape[1] + self.action]

    def __call__(self, network, key: PRNGKeyArray | None) -> Float[Array, ""]:
        """The key is ignored."""
        logits = self.logits(network)
        if self.mark == "squared":
            return ((logits - jax.nn.one_hot(self.target, logits.shape[1])) ** 2).mean()
        right = jnp.take_along_axis(logits, jnp.asarray(self.target)[:, None], axis=1)[:, 0]
        return (jax.nn.logsumexp(logits, axis=1) - right).mean()


def example(key: PRNGKeyArray) -> PredictAhead:
    """Three places in a row, one step at most, six pairs a trial; nothing is drawn."""
    del key
    state, action, target = np.array(
        [[0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1], [0, 1, 0, 2, 1, 2]]
    )
    places = np.arange(3.0)[:, None]
    line = Transitions(state, action, target, np.abs(target - state), places, 3)
    return PredictAhead.one_hot(line, steps=6)
