"""How does a System become a file, and the file a System again? (safetensors, no pickle.)"""

import json
import os
import pathlib

import jax
import jax.numpy as jnp
from safetensors.numpy import save_file

from slowpoint.core.describe import describe, rebuild
from slowpoint.core.files import replacing
from slowpoint.core.precision import float64
from slowpoint.core.system import System
from slowpoint.weights.tensors import finite, Tensors

FORMAT = 1  # of the file; raised when an old reader could misread a new file
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
    tree = describe(system, arrays)
    check_one(system)
    header = {name: str(getattr(system, name)) for name in SIZES}
    header |= {"slowpoint": str(FORMAT), "class": type(system).__name__}
    with replacing(path) as beside:
        save_file(arrays, beside, metadata=header | {"system": json.dumps(tree)})


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
        system = rebuild(
            json.loads(metadata["system"]), lambda name: finite(name, arrays[name])
        )
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
