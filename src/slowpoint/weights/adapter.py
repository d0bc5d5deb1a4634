"""How does a stranger's cell become a System? (Any `(state, input) -> state` on pytrees.)"""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from slowpoint.core.system import Map

State = PyTree  # of arrays, as the stranger's cell keeps it


class Adapter(Map):
    """A cell of another library as a Map; its state pytree is one vector here.

    `pack` and `unpack` go between the two. Build it with `from_function`.
    """

    cell: Callable[[State, Float[Array, " input"]], State]
    readout: Callable[[State], PyTree]
    initial_state: Float[Array, " state"]
    layout: Any = eqx.field(static=True)  # structure and shapes of the state pytree
    input_size: int = eqx.field(static=True)
    output_size: int = eqx.field(static=True)
    dt: float = eqx.field(static=True)

    @property
    def state_size(self):
        return self.initial_state.shape[0]

    @property
    def initial(self):
        return jnp.asarray(self.initial_state)

    def pack(self, state: State) -> Float[Array, " state"]:
        """The vector of a state pytree."""
        return ravel_pytree(state)[0]

    def unpack(self, x: Float[Array, " state"]) -> State:
        """The state pytree of a vector, in the vector's precision."""
        structure, shapes = self.layout
        ends = np.cumsum([math.prod(shape) for shape in shapes])
        parts = jnp.split(x, ends[:-1]) if shapes else []
        leaves = [part.reshape(shape) for part, shape in zip(parts, shapes)]
        return jax.tree.unflatten(structure, leaves)

    def step(self, x, u):
        return self.pack(self.cell(self.unpack(x), u))

    def output(self, x):
        return ravel_pytree(self.readout(self.unpack(x)))[0]


def from_function(
    step: Callable[[State, Float[Array, " input"]], State],
    state: State,
    input_size: int,
    *,
    output: Callable[[State], PyTree] | None = None,
    dt: float = 1.0,
) -> Adapter:
    """`step(state, input) -> state` as a System that starts in `state`.

    `output` reads a state (the whole of it when None); `dt` is the time one step stands for.
    Weights inside a function are constants. To have them widened and trained, give a pytree
    that can be called, an equinox Module or `jax.tree_util.Partial(function, weights)`.
    Raises ValueError when `step` gives back another kind of state than it takes.
    """
    leaves, structure = jax.tree.flatten(state)
    types = [jnp.asarray(leaf).dtype for leaf in leaves]
    if wrong := [t for t in types if not jnp.issubdtype(t, jnp.floating)]:
        raise ValueError(
            f"The state holds {wrong[0]} numbers; a System's state is real. Keep "
            "counters and keys outside of it, or give them as input."
        )
    layout = (structure, tuple(jnp.shape(leaf) for leaf in leaves))
    signal = jax.ShapeDtypeStruct((input_size,), jnp.result_type(float))
    after = jax.eval_shape(step, state, signal)
    found = (jax.tree.structure(after), tuple(a.shape for a in jax.tree.leaves(after)))
    if found != layout:
        raise ValueError(
            f"step takes a state of {layout[0]} with shapes {list(layout[1])} and gives back "
            f"{found[0]} with shapes {list(found[1])}. Give a step(state, input) -> state."
        )
    readout = _same if output is None else output
    seen = jax.eval_shape(readout, state)
    return Adapter(
        _tree(step),
        _tree(readout),
        ravel_pytree(state)[0],
        layout,
        input_size,
        sum(a.size for a in jax.tree.leaves(seen)),
        dt,
    )


def _same(state: State) -> State:
    return state


def _tree(function: Callable) -> Callable:
    """`function` as a pytree: as it is when it has leaves of its own, else a constant."""
    bare = jax.tree_util.all_leaves([function])
    return jax.tree_util.Partial(function) if bare else function
