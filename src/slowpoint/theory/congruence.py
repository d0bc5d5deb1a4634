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
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray

Gram = Float[Array, "column column"]
# `(loss, W)` at a Gram matrix: the gradient of the columns P is P W; the key draws a batch
Direction = Callable[[Gram, PRNGKeyArray | None], tuple[Float[Array, ""], Gram]]

# losses (step,), Gram matrices and factors (record, column, column)
History = tuple[Float[Array, " step"], Float[Array, "record ..."], Float[Array, "record ..."]]


def carry(gram: Gram, mixing: Gram) -> Gram:
    r"""The Gram matrix of $P T$: $T^\top G T$, symmetric and never less than semidefinite."""
    carried = mixing.T @ gram @ mixing
    return (carried + carried.T) / 2


def gradient_norm(gram: Gram, gradient: Gram) -> Float[Array, ""]:
    r"""The Frobenius norm of $P W$, in the scale of the Gram: the root of tr W'GW."""
    return jnp.sqrt(jnp.maximum(jnp.sum(gradient * (gram @ gradient)), 0.0))


def _is_negative(numbers) -> bool:
    """Whether some number is below 0, or none at all; not asked of what JAX traces."""
    known = numbers is not None and not isinstance(numbers, Tracer)
    return known and not bool((np.asarray(numbers) >= 0).all())


class Rule(eqx.Module):
    """How a gradient becomes an update of the columns.

    `rates` are relative learning rates, one a column: 0 freezes it. `clip` bounds the norm of
    the gradient of all columns that are not frozen, to which `slack` is added first (PyTorch:
    1e-6). `decay` times a column is added to it.
    """

    rates: Float[Array, " column"] | Float[np.ndarray, " column"] | None = None  # None: all 1
    decay: float | Float[Array, ""] = 0.0
    clip: float | Float[Array, ""] | None = None
    slack: float = eqx.field(static=True, default=0.0, kw_only=True)

    def __check_init__(self):
        if _is_negative(self.rates):
            raise ValueError(f"rates={self.rates}: give each column 0 (frozen) or more.")
        if _is_negative(self.clip):
            raise ValueError(f"clip={self.clip}: give the largest norm, 0 or more.")

    def relative(self, size: int) -> Float[Array, "1 column"]:
        """The relative rates of `size` columns, a row."""
        if self.rates is None:
            return jnp.ones((1, size))
        if len(self.rates) != size:
            raise ValueError(f"{len(self.rates)} rates for {size} columns. Give {size}.")
        return jnp.asarray(self.rates)[None]

    def held(self, gram: Gram, gradient: Gram) -> Gram:
        """`gradient` without frozen columns, clipped, with the decay."""
        gradient = gradient * (self.relative(len(gram)) != 0)
        if self.clip is not None:
            norm = gradient_norm(gram, gradient) + self.slack
            gradient = gradient * jnp.minimum(1.0, self.clip / jnp.where(norm > 0, norm, 1.0))
        return gradient + self.decay * jnp.eye(len(gram))

    @abc.abstractmethod
    def run(
        self, direction: Direction, first: Gram, rate, steps: int, every: int, key
    ) -> History:
        """`(losses, grams, factors)` of the columns whose Gram is `first`.

        Losses of all steps and the end; grams and factors every `every` steps, the first too.
        `every` divides `steps`.
        """


class Stepwise(Rule):
    """A rule in finite steps; it may remember, in a buffer."""

    @abc.abstractmethod
    def update(self, first: Gram, gradient: Gram, buffer: Gram) -> tuple[Gram, Gram]:
        """`(update, buffer)`, all right factors of the first columns, whose Gram is `first`."""

    def run(self, direction, first, rate, steps, every, key):
        relative = rate * self.relative(len(first))

        def tick(carried, step):
            factor, buffer = carried
            gram = carry(first, factor)
            loss, gradient = direction(gram, of_step(key, step))
            update, buffer = self.update(first, factor @ self.held(gram, gradient), buffer)
            return (factor - update * relative, buffer), loss

        def stretch(carried, begin):
            carried, losses = jax.lax.scan(tick, carried, begin + jnp.arange(every))
            return carried, (losses, carried[0])

        one = jnp.eye(len(first), dtype=first.dtype)
        begins = every * jnp.arange(steps // every)
        (last, _), (losses, factors) = jax.lax.scan(stretch, (one, jnp.zeros_like(one)), begins)
        final, _ = direction(carry(first, last), of_step(key, steps))
        factors = jnp.concatenate([one[None], factors])
        grams = jax.vmap(carry, (None, 0))(first, factors)
        return jnp.append(losses.reshape(-1), final), grams, factors


class GradientDescent(Stepwise):
    """Against the gradient."""

    def update(self, first, gradient, buffer):
        return gradient, buffer


class HeavyBall(Stepwise):
    """Momentum (Polyak 1964): the buffer is `momentum` times itself plus the gradient."""

    momentum: float | Float[Array, ""] = 0.9

    def update(self, first, gradient, buffer):
        buffer = self.momentum * buffer + gradient
        return buffer, buffer


class Nesterov(Stepwise):
    """Nesterov's momentum as optimisers write it: the gradient plus `momentum` x the buffer."""

    momentum: float | Float[Array, ""] = 0.9

    def update(self, first, gradient, buffer):
        buffer = self.momentum * buffer + gradient
        return gradient + self.momentum * buffer, buffer


class NormalisedDescent(Stepwise):
    """Each column moves by its gradient, scaled to length 1 (in the scale of the Gram)."""

    def update(self, first, gradient, buffer):
        squares = jnp.sum(gradient * (first @ gradient), axis=0, keepdims=True)
        flat = squares <= 0
        return jnp.where(flat, 0.0, gradient) / jnp.sqrt(jnp.where(flat, 1.0, squares)), buffer


class Flow(Rule):
    r"""$\dot A = -A W$: the limit of small steps, by an adaptive Runge-Kutta method."""

    tolerance: float = eqx.field(static=True, default=1e-10)  # relative and absolute
    max_steps: int = eqx.field(static=True, default=100_000)

    def run(self, direction, first, rate, steps, every, key):
        times = rate * jnp.arange(steps + 1)

        def velocity(time, factor, _):
            gram = carry(first, factor)
            _, gradient = direction(gram, key)
            return -(factor @ self.held(gram, gradient)) * self.relative(len(first))

        factors = diffrax.diffeqsolve(
            diffrax.ODETerm(velocity),
            diffrax.Tsit5(),
            times[0],
            times[-1],
            None,
            jnp.eye(len(first), dtype=first.dtype),
            saveat=diffrax.SaveAt(ts=times),
            stepsize_controller=diffrax.PIDController(rtol=self.tolerance, atol=self.tolerance),
            max_steps=self.max_steps,
            throw=False,  # what was not reached is infinite
        ).ys
        assert isinstance(factors, jax.Array)
        grams = jax.vmap(carry, (None, 0))(first, factors)
        losses = jax.lax.map(lambda gram: direction(gram, key)[0], grams)
        return losses, grams[::every], factors[::every]


def descend_columns(
    direction: Direction, first: Gram, rule: Rule, rate, steps: int, every: int, key
) -> History:
    """What `rule.run` gives: pure, so that it can be mapped over `first` and `key`."""
    return rule.run(direction, first, rate, steps, every, key)


def of_step(key: PRNGKeyArray | None, step) -> PRNGKeyArray | None:
    """The key of a step; None where the loss draws nothing."""
    return None if key is None else jr.fold_in(key, step)
