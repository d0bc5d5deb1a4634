"""Which task did the user name, and with which settings?"""

import ast
import dataclasses
import importlib
import pkgutil
import typing
from collections.abc import Iterable
from typing import Any

import equinox as eqx

import slowpoint.tasks
from slowpoint.core.settings import nearest
from slowpoint.core.trial import Task


def task_named(name: str, changes: Iterable[str] = ()) -> Task:
    """The task of the file `name`, with each "KEY=VALUE" in place of a default.

    A part of a task is named by its class, and set by a dot: "timing=Intervals",
    "timing.dt=0.1". Raises ValueError on other names, keys and values; says what to type.
    """
    names = [module.name for module in pkgutil.iter_modules(slowpoint.tasks.__path__)]
    if name not in names:
        raise ValueError(f"No task {name!r}. {nearest(name, names)}")
    module = importlib.import_module(f"slowpoint.tasks.{name}")
    kind = typing.get_type_hints(module.example)["return"]
    given = {}
    for text in changes:
        key, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"{text!r} is not KEY=VALUE. Type for example: --set steps=100")
        given[key] = value
    return _built(kind, {}, given, "")


def settings_of(task: Task) -> list[str]:
    """What of it can be set, as KEY=VALUE with the values in force."""
    return [text for name, value in _values(task).items() for text in _shown(name, value)]


def _shown(name: str, value: Any) -> list[str]:
    if not isinstance(value, eqx.Module):
        return [f"{name}={value}"]
    inside = [text for n, v in _values(value).items() for text in _shown(f"{name}.{n}", v)]
    return [f"{name}={type(value).__name__}", *inside]


def _values(part: eqx.Module) -> dict[str, Any]:
    return {f.name: getattr(part, f.name) for f in dataclasses.fields(part) if f.init}


def _built(kind: type, values: dict[str, Any], given: dict[str, str], where: str) -> Any:
    """An instance of `kind`: `values`, then `given` words; `where` is the dotted path to it."""
    fields = {f.name: f for f in dataclasses.fields(kind) if f.init}
    heads = {key.partition(".")[0] for key in given}
    if wrong := sorted(heads - set(fields)):
        raise ValueError(f"No setting {where + wrong[0]!r}. {nearest(wrong[0], fields)}")
    made = {}
    for name, field in fields.items():
        value = values.get(name, field.default)
        if value is dataclasses.MISSING:
            raise ValueError(
                f"{kind.__name__} needs {name}, which no word can say: make it in Python, and "
                "type slowpoint.report.comparison.compare(a, b, task, key=key)"
            )
        inside = {k.partition(".")[2]: v for k, v in given.items() if k.startswith(f"{name}.")}
        made[name] = _set(value, given.get(name), inside, where + name)
    return kind(**made)


def _set(value: Any, word: str | None, inside: dict[str, str], where: str) -> Any:
    """`value` changed as the user said."""
    if isinstance(value, eqx.Module):
        kind = type(value) if word is None else _part(type(value), word, where)
        before = _values(value) if kind is type(value) else {}
        return _built(kind, before, inside, f"{where}.")
    if inside:
        raise ValueError(f"{where}={value!r} has no parts. Type: --set {where}=VALUE")
    return value if word is None else _read(value, word, where)


def _part(kind: type, word: str, where: str) -> type:
    """The class `word` beside `kind`, of the same base."""
    module = importlib.import_module(kind.__module__)
    kinds = {k.__name__: k for base in kind.__bases__ for k in base.__subclasses__()}
    kinds = {name: k for name, k in kinds.items() if getattr(module, name, None) is k}
    if word not in kinds:
        raise ValueError(f"{where}={word}: {nearest(word, kinds)}")
    return kinds[word]


def _read(value: Any, word: str, where: str) -> Any:
    """`word` as the type of `value`."""
    try:
        found = ast.literal_eval(word)
    except (ValueError, SyntaxError):
        found = word
    number = isinstance(found, int | float) and not isinstance(found, bool)
    if isinstance(value, bool | str):
        fits = type(found) is type(value)
    elif isinstance(value, int):
        fits = number and found == int(found)
    elif isinstance(value, tuple):
        parts = found if isinstance(found, tuple) else (found,)
        fits = all(isinstance(part, int | float) for part in parts)
        found = tuple(type(value[0])(part) for part in parts) if fits and value else parts
    else:
        fits = number
    if not fits:
        raise ValueError(f"{where}={word}: it takes values like {value!r}.")
    kind: Any = type(value) if isinstance(value, int | float | str | tuple) else float
    return kind(found)
