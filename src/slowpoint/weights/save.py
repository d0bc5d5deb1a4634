"""How does a System become a file, and the file a System again? (safetensors, no pickle.)"""

import dataclasses
import importlib
import json
import os
import pathlib
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import save_file

from slowpoint.core.files import replacing
from slowpoint.core.nonlinearity import BY_NAME, Nonlinearity
from slowpoint.core.precision import float64
from slowpoint.core.system import System
from slowpoint.weights.tensors import finite, Tensors

FORMAT = 1  # of the file; raised when an old reader could misread a new file
CLASS = re.compile(r"(slowpoint\.(?:cells|worlds|core)(?:\.\w+)+):(\w+)")
SIZES = ("state_size", "input_size", "output_size")


def save(system: System, path: str | os.PathLike) -> None:
    """Write `system` to `path` (.safetensors), whole or not at all, every bit kept.

    The header says its class, its sizes and the tree of systems it is made of. Raises
    ValueError for what a file cannot hold: code (a class or a nonlinearity that is not of
    this package), an ensemble, complex numbers.
    """
    path = pathlib.Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"{path.name}: type a name that ends in .safetensors")
    arrays: Tensors = {}
    tree = _describe(system, (), arrays)
    check_one(system)
    header = {name: str(getattr(system, name)) for name in SIZES}
    header |= {"slowpoint": str(FORMAT), "class": type(system).__name__}
    with replacing(path) as beside:
        save_file(arrays, beside, metadata=header | {"system": json.dumps(tree)})


def _describe(value: object, where: tuple[str, ...], arrays: Tensors) -> object:
    """`value` as JSON; its arrays go to `arrays` under the names of their fields."""
    if isinstance(value, eqx.Module):
        fields = [f.name for f in dataclasses.fields(value) if f.init]
        return {
            "class": _class_name(type(value)),
            "fields": {n: _describe(getattr(value, n), (*where, n), arrays) for n in fields},
        }
    if isinstance(value, jax.Array | np.ndarray) and value.dtype.kind != "c":
        arrays[".".join(where)] = np.array(value, order="C")
        return {"array": ".".join(where)}
    if isinstance(value, Nonlinearity) and BY_NAME.get(value.name) is value:
        return {"nonlinearity": value.name}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple):
        return {"tuple": [_describe(v, (*where, str(i)), arrays) for i, v in enumerate(value)]}
    raise ValueError(
        f"{'.'.join(where)}={value!r} cannot be written: a file holds numbers, never code. "
        f"Nonlinearities it can name: {', '.join(BY_NAME)} (slowpoint.core.nonlinearity)."
    )


def _class_name(cls: type) -> str:
    name = f"{cls.__module__}:{cls.__qualname__}"
    if not CLASS.fullmatch(name):
        raise ValueError(
            f"{cls.__name__} cannot be written by name: a file names only classes of "
            "slowpoint.cells, slowpoint.worlds and slowpoint.core. Keep the numbers of others "
            "with equinox.tree_serialise_leaves."
        )
    return name


def restore(metadata: dict[str, str], arrays: Tensors) -> System:
    """The System that `save` described. Call it inside `float64`.

    Imports nothing but the modules of this package that hold Systems. Raises ValueError when
    the description or the arrays are not as `save` wrote them.
    """
    if metadata["slowpoint"] != str(FORMAT):
        raise ValueError(
            f"has format {metadata['slowpoint']}, this version reads {FORMAT}. "
            "Type: pip install --upgrade slowpoint"
        )
    try:
        system = _rebuild(json.loads(metadata["system"]), arrays)
    except (KeyError, TypeError, AttributeError, RecursionError, json.JSONDecodeError) as error:
        raise ValueError(f"its header is damaged ({type(error).__name__}: {error}).") from None
    if not isinstance(system, System):
        raise ValueError("its header is damaged (it describes no System).")
    check_one(system)
    wrong = [n for n in SIZES if metadata.get(n) != str(getattr(system, n))]
    if wrong:
        raise ValueError(
            f"its header says {wrong[0]}={metadata.get(wrong[0])}, its arrays make "
            f"{getattr(system, wrong[0])}."
        )
    return system


def _rebuild(tree: object, arrays: Tensors) -> object:
    if not isinstance(tree, dict):
        return tree
    if "array" in tree:
        return jnp.asarray(finite(tree["array"], arrays[tree["array"]]))
    if "nonlinearity" in tree:
        return BY_NAME[tree["nonlinearity"]]
    if "tuple" in tree:
        return tuple(_rebuild(part, arrays) for part in tree["tuple"])
    cls = _class(tree["class"])
    return cls(**{name: _rebuild(part, arrays) for name, part in tree["fields"].items()})


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


def check_one(system: System) -> None:
    """Raise ValueError unless `system` takes one state to one state, of the sizes it says."""
    try:
        sizes = [(getattr(system, name),) for name in SIZES]
        given = [jax.ShapeDtypeStruct(size, jnp.float32) for size in sizes[:2]]
        with float64():
            x, y = jax.eval_shape(lambda x, u: (system.step(x, u), system.output(x)), *given)
        if (x.shape, y.shape) == (sizes[0], sizes[2]):
            return
        why = f"step gives {x.shape} from {sizes[0]}, output {y.shape} instead of {sizes[2]}"
    except Exception as error:  # whatever a cell may raise whose arrays have odd shapes
        why = str(error).partition("\n")[0]
    raise ValueError(
        f"the arrays of this {type(system).__name__} do not fit each other: {why}. Of an "
        "ensemble take one: jax.tree.map(lambda a: a[0], ensemble)"
    )
