"""How is a network taught to be a Koopman eigenfunction? (Dabholkar and Barak 2025.)

By descent on the ratio loss, as the paper does, or, for a small one, by least squares.
"""

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key

from slowpoint.analysis.koopman import (
    Absolute,
    balance,
    Equation,
    Normaliser,
    Numbers,
    Permuted,
    Psi,
    ratio,
    residual,
)
from slowpoint.analysis.samplers import Sampler
from slowpoint.core.precision import float64, to_numpy, widen
from slowpoint.learning.checkpoint import Checkpoint
from slowpoint.learning.descend import descend, Keys
from slowpoint.learning.grid import Grid, Linear
from slowpoint.learning.training import Training

N = TypeVar("N")
ADAMW = optax.adamw(1e-4, weight_decay=1e-5)  # the paper's
LARGEST = 1500  # parameters of a least-squares fit
SMALL = 1e-8  # its last step, over the size of the weights


def _floats(value) -> Numbers:
    return value if isinstance(value, jax.Array) else np.asarray(value, float)


class Anchors(eqx.Module):
    """States whose psi is known, such as attractors and saddle of the squashed equation."""

    states: Float[Numbers, "anchor state"] = eqx.field(converter=_floats)
    values: Float[Numbers, " anchor"] = eqx.field(converter=_floats)
    weight: Float[Numbers, ""] = eqx.field(converter=_floats, default=1.0)

    def errors(self, psi: Psi) -> Float[Array, " anchor"]:
        """What psi lacks at them, times the root of `weight`."""
        found = jax.vmap(psi)(jnp.asarray(self.states))
        return jnp.sqrt(self.weight) * (found - self.values)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How to descend. The defaults are the paper's."""

    batch: int = 1000  # states per distribution and update
    normaliser: Normaliser = dataclasses.field(default_factory=Permuted)
    balance: float = 1e-2  # weight of |mean psi / std psi|
    optimiser: optax.GradientTransformation = ADAMW
    anchors: Anchors | None = None

    def __post_init__(self):
        if self.batch < 2:
            raise ValueError(f"batch={self.batch}: a ratio needs 2 states or more.")
        if isinstance(self.normaliser, Absolute) and self.anchors is None:
            raise ValueError(
                "With Absolute() psi = 0 is the answer. Give anchors=Anchors(...)."
            )


class KoopmanLoss(eqx.Module):
    """Sum over distributions of ratio + balance, on fresh states: a loss for `descend`."""

    equation: Equation
    samplers: tuple[Sampler, ...]
    normaliser: Normaliser
    balance: float
    anchors: Anchors | None
    batch: int = eqx.field(static=True)

    def __call__(self, psi: Psi, key: Key[Array, ""]) -> Float[Array, ""]:
        draw, order = jr.split(key)
        draws = zip(self.samplers, jr.split(draw, len(self.samplers)), strict=True)
        states = jnp.stack([one.draw(key, self.batch) for one, key in draws])

        @jax.checkpoint  # one distribution after the other: memory holds the insides of one
        def one(given):
            states, data = given
            value, grown = jax.vmap(lambda x: self.equation.growth(psi, x))(states)
            due, order = self.equation.due(value), jr.wrap_key_data(data)
            loss = ratio(grown, due, self.normaliser, order)
            return loss + self.balance * balance(value) if self.balance else loss

        # as numbers: what is computed twice would use a key twice
        orders = jr.key_data(jr.split(order, len(states)))
        loss = jax.lax.map(one, (states, orders)).sum()
        return loss if self.anchors is None else loss + (self.anchors.errors(psi) ** 2).sum()


def fit_koopman(
    net: N,
    equation: Equation,
    samplers: Sequence[Sampler],
    *,
    updates: int,
    key: Keys,
    recipe: Recipe = Recipe(),
    snapshots: Grid = Linear(2),
    checkpoint: Checkpoint | str | os.PathLike | None = None,
) -> Training[N]:
    """Teach `net` by gradient descent to obey `equation` where `samplers` draw.

    A row of keys trains an ensemble, `net` then having its replicates as the first axis. A
    small loss does not say that the zeros are right: simulate. See `descend` for the rest.
    Raises ValueError when the samplers draw states of another size, or none is given.
    """
    if not samplers:
        raise ValueError("No distribution came. Give samplers=[Gaussian(saddle, 1.0)].")
    for one in samplers:
        equation.check(np.asarray(one.draw(jr.key(0), 2)))
    loss = KoopmanLoss(
        equation,
        tuple(samplers),
        recipe.normaliser,
        recipe.balance,
        recipe.anchors,
        recipe.batch,
    )
    options = {"optimiser": recipe.optimiser, "snapshots": snapshots, "checkpoint": checkpoint}
    return descend(net, loss, updates=updates, key=key, **options)


class LeastSquares(eqx.Module, Generic[N]):
    """A net with NumPy weights in float64, and what it lacks."""

    net: N
    residual: float  # root mean square of grad psi . f - lambda g(psi) on the states
    errors: Float[np.ndarray, " anchor"]  # psi minus its known value at the anchors
    steps: int
    converged: bool


def levenberg_marquardt(
    net: N,
    equation: Equation,
    states: Float[Numbers, "sample state"],
    anchors: Anchors,
    *,
    steps: int = 80,
) -> LeastSquares[N]:
    """The net of least mean square residual on `states` plus squares at `anchors`, in float64.

    The residual is lambda (a - b), in the unit of a rate. Deterministic: it starts from the
    net's own weights. Raises ValueError past 1500 parameters (a step costs their square).
    """
    states = np.asarray(states, float)
    equation.check(states)
    with float64():
        wide, equation, anchors = widen((net, equation, anchors))
        weights, rest = eqx.partition(wide, eqx.is_inexact_array)
        start, unravel = ravel_pytree(weights)
        if len(start) > LARGEST:
            raise ValueError(
                f"The net has {len(start)} parameters, least squares takes up to {LARGEST}: "
                "a step costs their square. Use fit_koopman, or a smaller net."
            )
        squares = _Squares(equation, anchors, jnp.asarray(states), rest, unravel)
        found, taken, converged = _least(squares, start, steps)
        rows = np.asarray(squares.rows(found))
        fitted = to_numpy(eqx.combine(unravel(found), rest))
        weight = float(anchors.weight) ** 0.5
    cut = len(states)
    size = float(np.sqrt((rows[:cut] ** 2).sum()))
    return LeastSquares(fitted, size, rows[cut:] / weight, int(taken), bool(converged))


class _Squares(eqx.Module):
    """The numbers whose squares are added up. Each needs one state only, so the Jacobian is
    a gradient per row, far cheaper than that of a function of all."""

    equation: Equation
    anchors: Anchors
    states: Float[Array, "sample state"]
    rest: Any
    unravel: Callable = eqx.field(static=True)

    def lack(self, weights, x):
        psi = eqx.combine(self.unravel(weights), self.rest)
        root = len(self.states) ** -0.5
        return self.equation.rate * root * residual(psi, self.equation, x)

    def miss(self, weights, x, value):
        psi = eqx.combine(self.unravel(weights), self.rest)
        return jnp.sqrt(self.anchors.weight) * (psi(x) - value)

    def over(self, lack, miss):
        """Both, over all that they are asked of."""
        known = jax.vmap(miss)(
            jnp.asarray(self.anchors.states), jnp.asarray(self.anchors.values)
        )
        return jnp.concatenate([jax.vmap(lack)(self.states), known])

    def rows(self, weights):
        return self.over(
            lambda x: self.lack(weights, x), lambda x, value: self.miss(weights, x, value)
        )

    def slopes(self, weights):
        lack, miss = jax.grad(self.lack), jax.grad(self.miss)
        return self.over(lambda x: lack(weights, x), lambda x, value: miss(weights, x, value))


@eqx.filter_jit
def _least(squares: _Squares, start, steps: int):
    """Levenberg and Marquardt, the damping as Nielsen (1999): `(weights, steps, converged)`."""

    def normal(x):
        slopes, rows = squares.slopes(x), squares.rows(x)
        return slopes.T @ slopes, slopes.T @ rows, rows @ rows

    def step(carry):
        x, (curve, down, cost), damping, growth, number, _ = carry
        curve_there = curve + damping * jnp.eye(len(x))
        move = -jax.scipy.linalg.solve(curve_there, down, assume_a="pos")
        rows = squares.rows(x + move)
        gain = (cost - rows @ rows) / (move @ (damping * move - down))
        better = gain > 0
        x = jnp.where(better, x + move, x)
        system = jax.lax.cond(better, normal, lambda _: (curve, down, cost), x)
        eased = damping * jnp.maximum(1 / 3, 1 - (2 * gain - 1) ** 3)
        damping = jnp.where(better, eased, damping * growth)
        small = jnp.linalg.norm(move) <= SMALL * (jnp.linalg.norm(x) + SMALL)
        return x, system, damping, jnp.where(better, 2.0, 2 * growth), number + 1, small

    def going(carry):
        return (carry[4] < steps) & ~carry[5]

    first = normal(start)
    damping = 1e-3 * jnp.diag(first[0]).max()
    carry = (start, first, damping, jnp.asarray(2.0), jnp.asarray(0), jnp.asarray(False))
    x, _, _, _, number, small = jax.lax.while_loop(going, step, carry)
    return x, number, small
