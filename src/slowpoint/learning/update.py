"""How do weights change in one update, and what if a number stops being finite?"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

Loss = Callable[[Any, Key[Array, ""]], Float[Array, ""]]


class State(eqx.Module):
    """All that an update hands to the next one."""

    weights: PyTree
    good: PyTree  # the last weights whose loss and gradient were finite
    memory: PyTree  # of the optimiser
    stopped: Int[Array, "*replicate"]  # the update that was not finite, or -1


class Rule(eqx.Module):
    """What stays the same from update to update."""

    rest: PyTree  # the part of the model that does not learn
    loss: Loss
    optimiser: optax.GradientTransformation


def begin(weights: PyTree, optimiser: optax.GradientTransformation) -> State:
    """The state before the first update."""
    return State(weights, weights, optimiser.init(weights), jnp.full((), -1, jnp.int32))


def update(state: State, rule: Rule, key: Key[Array, ""], number: Int[Array, ""]):
    """`(state after one update, loss before it)`.

    When the loss, the gradient or the new weights are not finite, the weights go back to the
    last good ones and stay there; later losses are NaN.
    """

    def objective(weights):
        return rule.loss(eqx.combine(weights, rule.rest), key)

    value, gradient = jax.value_and_grad(objective)(state.weights)
    optimiser = optax.with_extra_args_support(rule.optimiser)
    change, memory = optimiser.update(
        gradient, state.memory, state.weights, value=value, grad=gradient, value_fn=objective
    )
    weights = optax.apply_updates(state.weights, change)
    running = state.stopped < 0
    measured = running & _finite((value, gradient))
    whole = measured & _finite(weights)
    good = _pick(measured, state.weights, state.good)
    after = State(
        weights=_pick(whole, weights, good),
        good=good,
        memory=_pick(whole, memory, state.memory),
        stopped=jnp.where(running & ~whole, number, state.stopped),
    )
    return after, jnp.where(running, value, jnp.nan)


def _finite(tree: PyTree):
    return jnp.stack([jnp.isfinite(a).all() for a in jax.tree.leaves(tree)]).all()


def _pick(condition, yes: PyTree, no: PyTree) -> PyTree:
    def one(a, b):
        # the old key of an optimiser that draws is used up, whatever became of the weights
        return a if jnp.issubdtype(a.dtype, jax.dtypes.prng_key) else jnp.where(condition, a, b)

    return jax.tree.map(one, yes, no)


@eqx.filter_jit
def stretch(state: State, rule: Rule, keys: Key[Array, "*replicate"], span, length: int):
    """Updates `span[0]` up to `span[1]` in one compiled loop: `(state, length losses)`.

    Losses beyond the span are NaN. An ensemble (`keys` in a row) runs as one.
    """

    def one(state, rest, key):
        own = Rule(rest, rule.loss, rule.optimiser)

        def body(number, carry):
            state, losses = carry
            state, value = update(state, own, jr.fold_in(key, number), number)
            return state, losses.at[number - span[0]].set(value)

        return jax.lax.fori_loop(span[0], span[1], body, (state, jnp.full(length, jnp.nan)))

    run = eqx.filter_vmap(one) if keys.ndim else one
    return run(state, rule.rest, keys)
