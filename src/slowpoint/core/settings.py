"""The base of every experiment's settings: frozen, checked, and helpful about a wrong name."""

import ast
import difflib
import re
from collections.abc import Iterable
from typing import Any, get_origin, TypeVar

import pydantic

S = TypeVar("S", bound="Settings")


def nearest(word: str, known: Iterable[str]) -> str:
    """A sentence that suggests what `word` was meant to be, and lists what there is."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=1)
    suggestion = f"Did you mean {close[0]!r}? " if close else ""
    return f"{suggestion}There is: {', '.join(known)}."


def refusal(error: pydantic.ValidationError, name: str = "settings") -> str:
    """A sentence on the first value that is refused, with the nearest good one if known.

    `name` is that of the value where the error has none.
    """
    first = error.errors()[0]
    key = str(first["loc"][0]) if first["loc"] else name
    return f"{key}={first['input']!r}: {first['msg']}.{_good(first, key)}"


def _good(first: Any, key: str) -> str:
    """The nearest value that would do, as a sentence; nothing where it is not known."""
    came, bounds = first["input"], first.get("ctx", {})
    if first["type"] == "literal_error":
        words = [word.strip("'") for word in re.split(", | or ", bounds["expected"])]
        close = difflib.get_close_matches(str(came), words, n=1, cutoff=0.0)
        return f" The nearest is {key}={close[0]}." if close else ""
    if first["type"] in ("greater_than_equal", "less_than_equal"):
        return f" The nearest is {key}={bounds.get('ge', bounds.get('le')):g}."
    if first["type"] in ("int_parsing", "int_from_float"):
        try:
            return f" The nearest is {key}={round(float(came))}."
        except (ValueError, OverflowError):
            return ""
    return ""


class Settings(pydantic.BaseModel):
    """Numbers that decide a run. Equal settings, equal results."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")
    seed: int = pydantic.Field(default=0, ge=0, description="all randomness comes from it")

    def changed(self: S, changes: Iterable[str]) -> S:
        """These settings with each "KEY=VALUE" applied and checked.

        Several values: "cells=gru,lstm", "rates=.1,.2"; "loads=(1,2),(3,4)" in rows; "loads="
        for none. Raises ValueError on an unknown key or an impossible value; says what to type.
        """
        values = self.model_dump()
        for text in changes:
            key, equals, value = text.partition("=")
            if not equals:
                raise ValueError(f"{text!r} is not KEY=VALUE. Type for example: --set seed=1")
            if key not in values:
                raise ValueError(f"No setting {key!r}. {nearest(key, values)}")
            several = get_origin(type(self).model_fields[key].annotation) is tuple
            values[key] = _several(value) if several else value
        try:
            return type(self).model_validate(values)
        except pydantic.ValidationError as error:
            raise ValueError(refusal(error)) from None


def _several(text: str) -> tuple[Any, ...]:
    """The values of a list in words, "a,b", or in Python, "(1, 2)" or "[1]"."""
    if not text.strip():
        return ()
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError):  # words
        return tuple(word.strip() for word in text.strip("()[]").split(",") if word.strip())
    return tuple(found) if isinstance(found, tuple | list) else (found,)
