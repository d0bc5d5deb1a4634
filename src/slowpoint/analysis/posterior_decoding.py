r"""How far are one model's posteriors from what another model's can tell about them?

Dabholkar and Barak (2024), arXiv 2405.14425: a student decoded from its teacher shows what the
student has that the teacher lacks. Here with the posteriors themselves as targets, where the
paper draws a label in every bin: the same loss on average, with less noise.
"""

import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.chance import generator
from slowpoint.core.result import Result

Numbers = Array | np.ndarray
TOLERANCE = 1e-8  # of a step, relative to the largest weight or 1
MOST, HALVINGS = 100, 40
RIDGE = 1e-9  # of the mean curvature: one number added to all intercepts changes nothing


class KlDecoding(Result):
    """What the target says and the source does not."""

    divergence: float  # mean over bins of KL(target | decoded), nats
    per_trial: Float[np.ndarray, " trial"]
    converged: bool
    steps: int  # of Newton's method


def kl_decode(
    source: tuple[Float[Numbers, "..."], Float[Numbers, "..."]],
    target: tuple[Float[Numbers, "..."], Float[Numbers, "..."]],
    *,
    key: PRNGKeyArray,
    rows: int = 4000,
    penalty: float = 1.0,
) -> KlDecoding:
    r"""$D_{S \to T}$: softmax regression from the posteriors of `source` to those of `target`.

    Both are pairs (train, test) of arrays (trials, bins, states), in each bin 0 or more with
    sum 1. Fitted to `rows` bins of training, drawn at random (a stride would meet the same
    phase of a clock every time), with $\frac12$ `penalty` $|W|^2$ on the loss summed over all
    training bins. The intercept is free. Raises ValueError on other trials or bins, and on
    what are no probabilities.
    """
    p, p_test, q, q_test = map(_probabilities, (*source, *target))
    for one, other in ((p, q), (p_test, q_test)):
        if one.shape[:2] != other.shape[:2]:
            raise ValueError(
                f"source has shape {one.shape}, target {other.shape}: give posteriors of the "
                "same trials and bins."
            )
    x, y = p.reshape(-1, p.shape[2]), q.reshape(-1, q.shape[2])
    if rows < len(x):
        drawn = generator(key).choice(len(x), rows, replace=False)
        share = rows / len(x)
        x, y = x[drawn], y[drawn]
    else:
        share = 1.0
    weights, converged, steps = _softmax_regression(x, y, share * penalty)
    decoded = _log_softmax(_with_one(p_test.reshape(-1, p.shape[2])) @ weights)
    wanted = q_test.reshape(-1, q.shape[2])
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(wanted > 0, wanted * (np.log(wanted) - decoded), 0.0)
    bins = np.maximum(terms.sum(axis=1), 0.0)  # below 0 by rounding only
    each = bins.reshape(p_test.shape[:2]).mean(axis=1)
    return KlDecoding(float(each.mean()), each, converged, steps)


def _softmax_regression(x, y, penalty: float):
    """`(weights, converged, steps)`; the last row holds the intercepts."""
    a = _with_one(x)
    size, states = a.shape[1], y.shape[1]
    pull = np.full((size, 1), penalty / len(a))
    pull[-1] = 0.0
    up, down = np.triu_indices(size)
    products = a[:, up] * a[:, down]
    w = np.zeros((size, states))
    w[-1] = np.log(np.maximum(y.mean(axis=0), 1e-9))

    def at(w):
        logs = _log_softmax(a @ w)
        return logs, -(y * logs).sum() / len(a) + (pull * w**2).sum() / 2

    logs, value = at(w)
    for step in range(1, MOST + 1):
        p = np.exp(logs)
        slope = a.T @ (p - y) / len(a) + pull * w
        curvature = _curvature(products, p, (up, down), pull)
        move = -np.linalg.solve(curvature, slope.ravel()).reshape(size, states)
        move[-1] -= move[-1].mean()  # the direction that changes nothing holds only rounding
        share = 1.0
        for _ in range(HALVINGS):
            tried = w + share * move
            logs, least = at(tried)
            if least <= value + 1e-13 * (1 + abs(value)):
                break
            share /= 2
        else:
            return w, False, step
        w, value = tried, least
        if np.abs(share * move).max() <= TOLERANCE * max(1.0, np.abs(w).max()):
            return w, True, step
    return w, False, MOST


def _curvature(products, p, pairs, pull) -> Float[np.ndarray, "weight weight"]:
    """Second derivatives, weights in the order (latent, state)."""
    up, down = pairs
    states, size = p.shape[1], len(pull)
    one, other = np.triu_indices(states)
    mixed = -p[:, one] * p[:, other]
    mixed[:, one == other] += p
    blocks = products.T @ mixed / len(p)
    full = np.empty((size, size, states, states))
    for i, j in ((up, down), (down, up)):
        full[i[:, None], j[:, None], one, other] = blocks
        full[i[:, None], j[:, None], other, one] = blocks
    flat = full.transpose(0, 2, 1, 3).reshape(size * states, size * states)
    diagonal = np.einsum("ii->i", flat)  # a view
    diagonal += np.repeat(pull[:, 0], states)
    diagonal += RIDGE * diagonal.mean()
    return flat


def _with_one(x):
    return np.concatenate([x, np.ones((len(x), 1))], axis=1)


def _log_softmax(logits):
    logits = logits - logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def _probabilities(xi) -> np.ndarray:
    xi = np.asarray(xi, float)
    if xi.ndim != 3 or not (xi >= -1e-9).all() or np.abs(xi.sum(axis=-1) - 1).max() > 1e-6:
        raise ValueError(
            f"Posteriors of shape {xi.shape}: give (trials, bins, states), in every bin 0 or "
            "more with sum 1."
        )
    xi = np.maximum(xi, 0.0)
    return xi / xi.sum(axis=-1, keepdims=True)
