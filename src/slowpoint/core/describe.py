"""How is a System told in words and numbers, so that no code need be kept? (No pickle.)"""

import dataclasses
import importlib
import re
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from slowpoint.core.nonlinearity import BY_NAME, Nonlinearity

CLASS = re.compile(r"(slowpoint\.(?:cells|worlds|core)(?:\.\w+)+):(\w+)")


def describe(
    value: object, arrays: dict[str, np.ndarray], where: tuple[str, ...] = ()
) -> object:
    """`value` as JSON; its arrays go to `arrays` under the names of their fields.

    Raises ValueError for code (a class or a nonlinearity that is not of this package) and for
    complex numbers.
    """
    if isinstance(value, eqx.Module):
        fields = [f.name for f in dataclasses.fields(value) if f.init]
        return {
            "class": _class_name(type(value)),
            "fields": {n: describe(getattr(value, n), arrays, (*where, n)) for n in fields},
        }
    if isinstance(value, jax.Array | np.ndarray) and _are_real(value):
        arrays[".".join(where)] = np.array(value, order="C")
        return {"array": ".".join(where)}
    if isinstance(value, Nonlinearity) and BY_NAME.get(value.name) is value:
        return {"nonlinearity": value.name}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple):
        return {"tuple": [describe(v, arrays, (*where, str(i))) for i, v in enumerate(value)]}
    raise ValueError(
        f"{'.'.join(where)}={value!r} cannot be written: a file holds numbers, never code. "
        f"Nonlinearities it can name: {', '.join(BY_NAME)} (slowpoint.core.nonlinearity)."
    )


def _are_real(array: jax.Array | np.ndarray) -> bool:
    """Whether these are numbers that a file can hold; a typed key is none."""
    if jnp.issubdtype(array.dtype, jax.dtypes.extended):
        return False
    return not jnp.issubdtype(array.dtype, jnp.complexfloating)


def _class_name(cls: type) -> str:
    name = f"{cls.__module__}:{cls.__qualname__}"
    if not CLASS.fullmatch(name):
        raise ValueError(
            f"{cls.__name__} cannot be written by name: a file names only classes of "
            "slowpoint.cells, slowpoint.worlds and slowpoint.core. Keep the numbers of others "
            "with equinox.tree_serialise_leaves."
        )
    return name


def rebuild(tree: object, read: Callable[[str], np.ndarray]) -> object:
    """What `describe` told; `read` gives the array of a name.

    Imports nothing but the modules of this package that hold Systems.
    """
    if not isinstance(tree, dict):
        return tree
    if "array" in tree:
        return jnp.asarray(read(tree["array"]))
    if "nonlinearity" in tree:
        return BY_NAME[tree["nonlinearity"]]
    if "tuple" in tree:
        return tuple(rebuild(part, read) for part in tree["tuple"])
    cls = _class(tree["class"])
    return cls(**{name: rebuild(part, read) for name, part in tree["fields"].items()})


def _class(name: str) -> type:
    """The class called `name`, if it is one of this package's."""
    if not (match := CLASS.fullmatch(name)):
        raise ValueError(f"names {name!r}; a file may name only Systems of this package.")
    try:
        cls = getattr(importlib.import_module(match[1]), match[2])
    except (ImportError, AttributeError):
        raise ValueError(
            f"names {name}, which this version does not have. "
            "Type: pip install --upgrade slowpoint"
        ) from None
    if not (isinstance(cls, type) and issubclass(cls, eqx.Module)):
        raise ValueError(f"names {name}, which is no System.")
    return cls
