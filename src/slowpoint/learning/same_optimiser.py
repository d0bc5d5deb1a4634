"""Which optimisers are the same, so that a training that makes its own is compiled once?

JAX knows a function by its object, and `optax.adam(1e-3)` makes new ones at every call.
"""

import functools
import types
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer

KEPT = 64  # optimisers; each keeps alive what was compiled with it
PLAIN = (bool, int, float, complex, str, bytes, type(None), type, np.dtype)
_known: OrderedDict[Hashable, optax.GradientTransformation] = OrderedDict()


def same_optimiser(optimiser: optax.GradientTransformation) -> optax.GradientTransformation:
    """The first one that was made of the same functions of optax and the same numbers.

    Whatever else it holds, such as a schedule of one's own, must be the same object.
    """
    key = _content(optimiser, frozenset())
    first = _known.setdefault(key, optimiser)
    _known.move_to_end(key)
    while len(_known) > KEPT:
        _known.popitem(last=False)
    return first


def _content(thing: Any, within: frozenset[int]) -> Hashable:
    """What `thing` is made of; an id where that cannot be told, good while it is alive."""
    if isinstance(thing, PLAIN):
        return type(thing), repr(thing) if isinstance(thing, float) else thing
    if id(thing) in within:
        return "itself"
    inside = functools.partial(_content, within=within | {id(thing)})
    if isinstance(thing, types.FunctionType) and _of_optax(thing):
        cells = [_held(cell) for cell in thing.__closure__ or ()]
        parts = (thing.__defaults__, thing.__kwdefaults__, cells)
        return thing.__code__, *map(inside, parts)
    if isinstance(thing, functools.partial):
        return "partial", *map(inside, (thing.func, thing.args, thing.keywords))
    if isinstance(thing, tuple | list):
        return type(thing), *map(inside, thing)
    if isinstance(thing, Mapping):
        return type(thing), *((inside(k), inside(v)) for k, v in thing.items())
    if isinstance(thing, np.ndarray | np.generic | jax.Array) and _readable(thing):
        array = np.asarray(thing)
        return "array", str(array.dtype), array.shape, array.tobytes()
    return "object", id(thing)


def _of_optax(function: types.FunctionType) -> bool:
    return (function.__module__ or "").partition(".")[0] == "optax"


def _readable(array: np.ndarray | np.generic | jax.Array) -> bool:
    """Whether its numbers are there: it is not traced, and no key."""
    return not isinstance(array, Tracer) and not jnp.issubdtype(
        array.dtype, jax.dtypes.prng_key
    )


def _held(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing yet
        return types.CellType
