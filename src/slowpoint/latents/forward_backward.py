"""What do counts say of a hidden state, before and after each bin? (Rabiner 1989, scaled.)

Rabiner (1989), A tutorial on hidden Markov models, Proc. IEEE 77, 257, section V.A.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from slowpoint.latents.emissions import Emissions


class Counts(NamedTuple):
    """Counts with zeros where missing; `seen` is 1 where there is one, None: everywhere."""

    x: Float[Array, "bin trial channel"]
    seen: Float[Array, "bin trial channel"] | None


class Expected(NamedTuple):
    """What is expected of the states, given all bins of a trial."""

    posteriors: Float[Array, "bin trial state"]  # p(z_t | x)
    moves: Float[Array, "state state"]  # transitions from row to column, over bins and trials
    log_likelihood: Float[Array, " trial"]


def expected(
    start: Float[Array, " state"],
    transitions: Float[Array, "state state"],
    emissions: Emissions,
    counts: Counts,
) -> Expected:
    """Forwards and backwards through all trials at once."""
    a, b = emissions.weights()
    nothing = b.sum(axis=1)[None, None] if counts.seen is None else counts.seen @ b.T
    fit = counts.x @ a.T + nothing  # log P(x_t | state), but for what no state changes

    def forward(before, fit):
        # states that cannot be reached set no scale, and never come back
        open_to = before > 0
        top = jnp.where(open_to, fit, -jnp.inf).max(axis=1, keepdims=True)
        likely = jnp.where(open_to, jnp.exp(jnp.minimum(fit - top, 0.0)), 0.0)
        joint = before * likely
        scale = joint.sum(axis=1, keepdims=True)
        alpha = joint / scale
        return alpha @ transitions, (alpha, likely / scale, jnp.log(scale[:, 0]) + top[:, 0])

    trials = counts.x.shape[1]
    first = jnp.broadcast_to(start, (trials, len(start)))
    _, (alphas, likely, scales) = jax.lax.scan(forward, first, fit)

    def backward(beta, likely):
        later = likely * beta
        return later @ transitions.T, (beta, later)

    _, (betas, later) = jax.lax.scan(backward, jnp.ones_like(first), likely, reverse=True)
    flow = jnp.einsum("tri,trj->ij", alphas[:-1], later[1:])
    constant = emissions.constant(counts.x)
    return Expected(alphas * betas, transitions * flow, (scales + constant).sum(axis=0))
