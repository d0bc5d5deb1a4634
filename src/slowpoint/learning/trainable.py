"""Which part of a model learns?"""

from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax

from slowpoint.core.closed_loop import ClosedLoop

M = TypeVar("M")


def split(model: M, trainable: Callable[[M], Any] | None) -> tuple[M, M]:
    """`(what learns, the rest)`; each is `model` with None where the other has its part.

    Raises ValueError when no array learns.
    """
    if trainable is None:
        mask = default(model)
    else:
        part = jax.tree.map(eqx.is_inexact_array, trainable(model))
        mask = eqx.tree_at(trainable, jax.tree.map(lambda _: False, model), part)
    if not any(jax.tree.leaves(mask)):
        raise ValueError(
            f"Nothing in {type(model).__name__} learns: trainable picks no array of floats. "
            "Give for example trainable=lambda model: model.recurrent"
        )
    return eqx.partition(model, mask)


def default(model: Any) -> Any:
    """True at every inexact array, but in the world of a ClosedLoop: a plant stays."""

    def one(node):
        if not isinstance(node, ClosedLoop):
            return eqx.is_inexact_array(node)
        mask = jax.tree.map(lambda _: False, node)
        return eqx.tree_at(lambda loop: loop.agent, mask, default(node.agent))

    return jax.tree.map(one, model, is_leaf=lambda node: isinstance(node, ClosedLoop))
