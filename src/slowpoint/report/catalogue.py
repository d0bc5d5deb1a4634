"""Which experiments are there, what does each ask, and how long does it take?

They are read, not imported: it is fast, and a broken file does not hide the others.
"""

import ast
import dataclasses
import importlib
import pathlib
import re
import types

import slowpoint.experiments
from slowpoint.core.settings import nearest

SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}


@dataclasses.dataclass(frozen=True)
class Entry:
    """What the docstring of an experiment says: its first line, `Paper:` and `Takes:`."""

    name: str
    question: str
    paper: str
    takes: str

    @property
    def quick_seconds(self) -> float | None:
        """CPU seconds that QUICK takes; None where the docstring does not say so."""
        found = re.search(r"([\d.]+) (s|min|h) quick\b", self.takes)
        return float(found[1]) * SECONDS[found[2]] if found else None


def entries() -> list[Entry]:
    """Every experiment, by name."""
    return [read(path) for path in files()]


def files() -> list[pathlib.Path]:
    """The file of every experiment."""
    folders = [pathlib.Path(folder) for folder in slowpoint.experiments.__path__]
    found = [path for folder in folders for path in folder.glob("[a-z]*.py")]
    return sorted(found, key=lambda path: path.stem)


def read(path: pathlib.Path) -> Entry:
    """What the file at `path` says of itself."""
    try:
        doc = ast.get_docstring(ast.parse(_head(path.read_text()))) or ""
    except SyntaxError as error:
        doc = f"(cannot be read: {error.msg}, line {error.lineno})"
    return Entry(path.stem, doc.partition("\n")[0], _after("Paper", doc), _after("Takes", doc))


def _head(source: str) -> str:
    """The first statement where that is a docstring in three quotes: the rest takes long."""
    opened, *rest = source.split('"""', 2)
    return (
        f'{opened}"""{rest[0]}"""' if len(rest) == 2 and opened.strip() in ("", "r") else source
    )


def find(name: str) -> types.ModuleType:
    """The experiment called `name`. Raises ValueError, with the nearest name, on any other."""
    names = [path.stem for path in files()]
    if name not in names:
        raise ValueError(f"No experiment {name!r}. {nearest(name, names)}")
    return importlib.import_module(f"slowpoint.experiments.{name}")


def _after(word: str, doc: str) -> str:
    """The words after "`word`: ", up to an empty line or the next such word."""
    found = re.search(rf"^{word}: (.+?)(?=\n\n|\n[A-Z][a-z]+: |\Z)", doc, re.M | re.S)
    return " ".join(found[1].split()) if found else ""
