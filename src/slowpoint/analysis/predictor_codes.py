"""What does a network that predicts hold in its last hidden layer, and how well does it tell?

The measures of `analysis.geometry` and `analysis.margins`, on pairs that go one step at most:
else the cloud itself changes with the horizon. Ratzon and Barak (2025), arXiv:2511.09290.
"""

import functools
import math

import jax
import numpy as np
from jaxtyping import Float, Int

from slowpoint.analysis.geometry import nc1, order, participation_ratio
from slowpoint.analysis.margins import accuracy, margin, minimal_rank, raw_margin, schatten_cost
from slowpoint.cells.feedforward import DeepLinear, Mlp
from slowpoint.core.networks import mean_of
from slowpoint.core.precision import float64, to_numpy, widen
from slowpoint.core.result import Result
from slowpoint.core.transitions import Transitions
from slowpoint.learning.training import Training
from slowpoint.tasks.predict_ahead import PredictAhead

Whole = int | np.integer


class Codes(Result):
    """One row a network."""

    depth: Int[np.ndarray, " network"]  # nh
    horizon: Int[np.ndarray, " network"]  # A
    replicate: Int[np.ndarray, " network"]
    loss: Float[np.ndarray, " network"]  # at the last update; NaN: diverged
    accuracy: Float[np.ndarray, " network"]  # on all pairs
    order: Float[np.ndarray, " network"]
    nc1: Float[np.ndarray, " network"]
    participation: Float[np.ndarray, " network"]
    margin: Float[np.ndarray, " network"]  # of all pairs, over the norm; linear networks
    near_margin: Float[np.ndarray, " network"]  # of pairs one step apart, as published
    rank: Float[np.ndarray, " network"]  # minimal; NaN: none
    cost: Float[np.ndarray, " network"]  # Schatten; NaN: not separated

    def table(self, measure: str) -> Float[np.ndarray, "depth horizon"]:
        """Means, a row for each depth and a column for each horizon there is, rising."""
        rows, columns = np.unique(self.depth), np.unique(self.horizon)
        return np.array(
            [[mean_of(self, measure, depth=r, horizon=c) for c in columns] for r in rows]
        )


def linear_codes(trained: Training[DeepLinear], world: Transitions, horizon: int) -> Codes:
    """Of an ensemble that predicts one-hot places of `world`."""
    inputs, near, rows = world.one_hot(), world.rows(world.near), []
    for number in range(len(trained.losses)):
        net = trained.replicate(number).system
        state, whole = near_states(net, world), product(net)
        logits = inputs @ whole.T
        raw = raw_margin(logits, world.target)
        rank = minimal_rank(whole, inputs, world.target)
        rows.append(
            {
                **_of_states(state, near),
                "accuracy": accuracy(logits, world.target),
                "margin": margin(whole, logits, world.target),
                "near_margin": margin(whole, logits[world.near], near.target),
                "rank": math.nan if rank is None else float(rank),
                "cost": schatten_cost(whole, raw, len(net.layers)),
            }
        )
    return _codes(rows, trained, len(trained.system.layers) - 1, horizon)


def product(net: DeepLinear) -> Float[np.ndarray, "output input"]:
    """The whole map of a trained network, in float64."""
    return np.asarray(functools.reduce(lambda below, layer: layer @ below, net.layers), float)


def near_states(net: DeepLinear, world: Transitions) -> Float[np.ndarray, "pair state"]:
    """The last hidden layer on the pairs of `world` that go one step at most."""
    below = world.rows(world.near).one_hot()
    return functools.reduce(lambda state, layer: state @ layer.T, net.layers[:-1], below)


def relu_codes(
    trained: Training[Mlp], task: PredictAhead, world: Transitions, horizon: int
) -> Codes:
    """Of an ensemble that was taught `task` on `world`; margins and ranks are not defined."""
    rows, every = [], task.every()
    for number in range(len(trained.losses)):
        net = trained.replicate(number).system
        with float64():
            wide, trials = widen(net), widen(every)
            states = jax.vmap(wide.encode)(trials.inputs[:, 0])
            states, outputs = to_numpy((states, jax.vmap(wide.output)(states)))
        right = _nearest(outputs, np.asarray(task.views, float)) == world.target
        lacking = dict.fromkeys(("margin", "near_margin", "rank", "cost"), math.nan)
        known = _of_states(states[world.near], world.rows(world.near))
        rows.append({**known, "accuracy": float(right.mean()), **lacking})
    return _codes(rows, trained, len(trained.system.layers) - 1, horizon)


def _of_states(states, near: Transitions) -> dict[str, float]:
    return {
        "order": order(states, near.latent),
        "nc1": nc1(states, near.target),
        "participation": participation_ratio(states),
    }


def _nearest(outputs, views) -> Int[np.ndarray, " pair"]:
    """The place whose view each output is closest to."""
    return (outputs @ views.T - (views**2).sum(axis=1) / 2).argmax(axis=1)


def _codes(
    rows: list[dict[str, float]], trained: Training, depth: Whole, horizon: Whole
) -> Codes:
    count = len(rows)
    return Codes(
        depth=np.full(count, depth),
        horizon=np.full(count, horizon),
        replicate=np.arange(count),
        loss=np.asarray(trained.losses[:, -1], float),
        **{name: np.array([row[name] for row in rows], float) for name in rows[0]},
    )
