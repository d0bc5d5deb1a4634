"""How does one run a function of one's own on every choice of a grid?"""

import inspect
import os
import pathlib
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pydantic

from slowpoint.core.settings import nearest, refusal
from slowpoint.sweeps.calls import Calls
from slowpoint.sweeps.conduct import conduct, Sweep
from slowpoint.sweeps.executors import Executor, Inline
from slowpoint.sweeps.grid import combinations
from slowpoint.sweeps.groups import Grouping, WIDTH

PLAIN = (bool, int, float, str, type(None))


def sweep(
    fn: Callable[..., Any],
    grid: Mapping[str, Any],
    *,
    out: str | os.PathLike | None = None,
    executor: Executor = Inline(),
    together: str | Sequence[str] = (),
    width: int = WIDTH,
    quiet: bool = False,
) -> Sweep:
    """Call `fn(**settings)` for every choice of settings in `grid`; keep what it returns.

    `grid` names arguments of `fn`, each with its values: `{"units": [32, 64], "seed":
    range(50)}`. `fn` returns a number, a dict of numbers, or a Result, which is saved. Every
    run has a folder in `out` (runs/NAME_sweep), and the same call again does only what is
    missing or failed: after a change of `fn` give another folder. With `executor=Local()` in
    processes; `fn` must then be a function of a file.

    `together="seed"`: runs that differ only there are done in one call of `fn`, at most `width`
    of them, which gets `seed` as an array and returns one entry for each. Small networks train
    faster so, as an ensemble. Raises ValueError, before anything runs, on names and values that
    `fn` does not take.
    """
    over = (together,) if isinstance(together, str) else tuple(together)
    asked = combinations(axes_of(fn, grid, over))
    if width < 1:
        raise ValueError(f"width={width}: give 1 or more runs.")
    rest = _defaults(fn)
    name = getattr(fn, "__qualname__", type(fn).__qualname__)
    what = f"{getattr(fn, '__module__', '')}.{name}"
    folder = pathlib.Path("runs") / f"{getattr(fn, '__name__', name)}_sweep"
    rows = ({**rest, **chosen} for chosen in asked)
    does, grouping = Calls(fn, over), Grouping(over, lambda _: width)
    return conduct(what, does, rows, out or folder, executor, grouping=grouping, quiet=quiet)


def axes_of(
    fn: Callable[..., Any], grid: Mapping[str, Any], over: Sequence[str] = ()
) -> dict[str, list[Any]]:
    """The values in `grid`, checked against the arguments that `fn` declares.

    Those of `over` come to it in rows, so that its hints say nothing of one value.

    Raises ValueError on a name or value that it does not take, or an argument that is missing.
    """
    arguments = _arguments(fn)
    names = [p.name for p in arguments if p.kind is not p.VAR_KEYWORD]
    free = len(names) < len(arguments)
    for key in (*grid, *over):
        if key not in names and not free:
            raise ValueError(f"No setting {key!r}. {nearest(key, names)}")
    missing = [
        p.name for p in arguments if p.default is p.empty and p.kind is not p.VAR_KEYWORD
    ]
    missing = [name for name in missing if name not in grid]
    if missing:
        raise ValueError(
            f"The function also needs {', '.join(missing)}. Put it into the grid, with one "
            f"value or several: {{{missing[0]!r}: [...]}}"
        )
    hints = typing.get_type_hints(fn, include_extras=True) if inspect.isroutine(fn) else {}
    hints |= dict.fromkeys(over, Any)
    return {key: _checked(key, hints.get(key, Any), several) for key, several in grid.items()}


def _arguments(fn: Callable[..., Any]) -> list[inspect.Parameter]:
    """The arguments that can be given by name."""
    every = inspect.signature(fn).parameters.values()
    return [p for p in every if p.kind not in (p.VAR_POSITIONAL, p.POSITIONAL_ONLY)]


def _defaults(fn: Callable[..., Any]) -> dict[str, Any]:
    """Every argument in its order; what nobody names is part of a run as the rest is."""
    named = [p for p in _arguments(fn) if p.kind is not p.VAR_KEYWORD]
    return {p.name: None if p.default is p.empty else _plain(p.default) for p in named}


def _checked(key: str, hint: Any, values: Any) -> list[Any]:
    several = [values] if isinstance(values, PLAIN) else list(values)
    try:
        check = pydantic.TypeAdapter(hint, config={"arbitrary_types_allowed": True})
    except pydantic.errors.PydanticUserError:
        check = pydantic.TypeAdapter(Any)
    found = []
    for value in map(_plain, several):
        try:
            found.append(check.validate_python(value))
        except pydantic.ValidationError as error:
            raise ValueError(refusal(error, key)) from None
    return found


def _plain(value: Any) -> Any:
    """A number of NumPy's as one of Python's."""
    return value.item() if isinstance(value, np.generic) else value
