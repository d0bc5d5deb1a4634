r"""Columns that learn by mixing themselves, and the scalar products that follow them exactly.

A loss that sees columns P (N x K) only through scalar products has a gradient $P W$ with W of
K x K. Every update that is a right multiple, $P \leftarrow P T$, carries the Gram matrix
$G = P^\top P$ (in any scale) to $T^\top G T$: without approximation, at any step size and N.
So K x K numbers learn what N x K numbers learn. With $P_t = P_0 A_t$ the same holds for rules
with a memory, whose buffer is $P_0 B_t$. (Ger and Barak 2026, arXiv:2605.04115, state the flow;
Ger and Barak 2025, arXiv:2505.13567, need the same step with a frozen column. That finite
steps and their optimisers close exactly is our derivation.)

Adam, RMSprop and sign descent divide entry by entry: no right multiple, so they do not close.
"""

import abc
from collections.abc import Callable

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray

Gram = Float[Array, "column column"]
# `(loss, W)` at a Gram matrix: the gradient of the columns P is P W; the key draws a batch
Direction = Callable[[Gram, PRNGKeyArray | None], tuple[Float[Array, ""], Gram]]


def carry(gram: Gram, mixing: Gram) -> Gram:
    r"""The Gram matrix of $P T$: $T^\top G T$, symmetric and never less than semidefinite."""
    carried = mixing.T @ gram @ mixing
    return (carried + carried.T) / 2


def gradient_norm(gram: Gram, gradient: Gram) -> Float[Array, ""]:
    r"""The Frobenius norm of $P W$, in the scale of `gram`: $\sqrt{\mathrm{tr}\, W^\top G W}$."""
    return jnp.sqrt(jnp.maximum(jnp.sum(gradient * (gram @ gradient)), 0.0))


class Rule(eqx.Module):
    """How a gradient becomes an update. Everything is a right factor of the first columns."""

    @abc.abstractmethod
    def update(self, first: Gram, gradient: Gram, buffer: Gram) -> tuple[Gram, Gram]:
        """`(update, buffer)` from the first Gram matrix, the gradient and the buffer so far."""


class GradientDescent(Rule):
    """Against the gradient."""

    def update(self, first, gradient, buffer):
        return gradient, buffer


class HeavyBall(Rule):
    """Momentum (Polyak 1964): the buffer is `momentum` times itself plus the gradient."""

    momentum: float | Float[Array, ""] = 0.9

    def update(self, first, gradient, buffer):
        buffer = self.momentum * buffer + gradient
        return buffer, buffer


class Nesterov(Rule):
    """Nesterov's momentum as optimisers write it: the gradient plus `momentum` x the buffer."""

    momentum: float | Float[Array, ""] = 0.9

    def update(self, first, gradient, buffer):
        buffer = self.momentum * buffer + gradient
        return gradient + self.momentum * buffer, buffer


class NormalisedDescent(Rule):
    """Each column moves by its gradient, scaled to the length 1 (in the scale of the Gram)."""

    def update(self, first, gradient, buffer):
        squares = jnp.sum(gradient * (first @ gradient), axis=0)
        flat = squares <= 0
        return jnp.where(flat, 0.0, gradient) / jnp.sqrt(jnp.where(flat, 1.0, squares)), buffer


class Flow(eqx.Module):
    r"""$\dot A = -A W$: the limit of small steps, by an adaptive Runge-Kutta method."""

    tolerance: float = eqx.field(static=True, default=1e-10)
    max_steps: int = eqx.field(static=True, default=100_000)


class Descent(eqx.Module):
    """One run: what is learned, by which rule, and what holds it back."""

    direction: Direction
    rule: Rule | Flow
    rate: Float[Array, ""]
    rates: Float[Array, " column"]  # relative, of each column; 0 keeps it as it is
    decay: Float[Array, ""]  # of the columns, added to the gradient
    clip: Float[Array, ""]  # largest norm of a gradient, frozen columns left out

    def gradient(self, gram, key):
        """`(loss, W)`, clipped, with the decay."""
        loss, gradient = self.direction(gram, key)
        gradient = gradient * (self.rates != 0)
        shrink = jnp.minimum(1.0, self.clip / gradient_norm(gram, gradient))
        shrink = jnp.where(jnp.isinf(self.clip), 1.0, shrink)
        return loss, shrink * gradient + self.decay * jnp.eye(len(gram))


def descend_columns(descent: Descent, first: Gram, steps: int, every: int, key):
    """`(losses, grams, factors)`: of each step and the last; each `every` steps, the first too.

    Pure, so that it can be mapped over `first` and `key`. `every` divides `steps`.
    """
    if isinstance(descent.rule, Flow):
        return _flow(descent, descent.rule, first, steps, every, key)
    rule = descent.rule

    def tick(carried, step):
        factor, buffer = carried
        gram = carry(first, factor)
        loss, gradient = descent.gradient(gram, _of_step(key, step))
        update, buffer = rule.update(first, factor @ gradient, buffer)
        return (factor - descent.rate * update * descent.rates, buffer), loss

    def stretch(carried, begins):
        carried, losses = jax.lax.scan(tick, carried, begins + jnp.arange(every))
        return carried, (losses, carried[0])

    one = jnp.eye(len(first), dtype=first.dtype)
    begins = every * jnp.arange(steps // every)
    (last, _), (losses, factors) = jax.lax.scan(stretch, (one, jnp.zeros_like(one)), begins)
    final, _ = descent.direction(carry(first, last), _of_step(key, steps))
    factors = jnp.concatenate([one[None], factors])
    grams = jax.vmap(carry, (None, 0))(first, factors)
    return jnp.append(losses.reshape(-1), final), grams, factors


def _flow(descent, rule, first, steps, every, key):
    """The same at the times `rate` x step; the losses are those of all steps."""

    def velocity(time, factor, _):
        _, gradient = descent.gradient(carry(first, factor), key)
        return -(factor @ gradient) * descent.rates

    times = descent.rate * jnp.arange(steps + 1)
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(velocity),
        diffrax.Tsit5(),
        0.0,
        times[-1],
        None,
        jnp.eye(len(first), dtype=first.dtype),
        saveat=diffrax.SaveAt(ts=times),
        stepsize_controller=diffrax.PIDController(rtol=rule.tolerance, atol=rule.tolerance),
        max_steps=rule.max_steps,
        throw=False,
    )
    grams = jax.vmap(carry, (None, 0))(first, solution.ys)
    losses = jax.lax.map(lambda gram: descent.direction(gram, key)[0], grams)
    return losses, grams[::every], solution.ys[::every]


def _of_step(key, step):
    """The key of a step; None where the loss draws nothing."""
    return None if key is None else jr.fold_in(key, step)
