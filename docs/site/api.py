"""What can be called? A page a room, from the files' docstrings; nothing is imported.

The files are read, not run: it is fast, needs no extra, and the comment behind a field, where
the house says what the field is, comes along.
"""

import ast
import inspect
import pathlib
import re
from collections.abc import Iterator

ROOMS = {  # in the order of the imports, with what docs/structure.md says of each
    "core": "The nouns: systems, trials, results, claims.",
    "cells": "Systems that learn.",
    "worlds": "Systems that don't.",
    "tasks": "What is asked.",
    "recordings": "Data in, arrays out.",
    "learning": "How a rule is taught.",
    "weights": "Networks in and out of files.",
    "latents": "Models of recordings.",
    "analysis": "Questions to a System or to arrays.",
    "theory": "What a paper predicts in closed form.",
    "plots": "Result to axes.",
    "sweeps": "Many runs of one function.",
    "report": "Results and figures in, one page out.",
}
AS_IS = re.compile(r"(`+[^`]+`+|\$[^$\n]+\$)")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def write(source: pathlib.Path, folder: pathlib.Path) -> None:
    """A page for every room below `source`, and one that lists them."""
    folder.mkdir()
    for room, says in ROOMS.items():
        parts = [f"# {room}", says, *_files(source / room)]
        (folder / f"{room}.md").write_text("\n\n".join(parts) + "\n")
    lines = [f"- [`slowpoint.{room}`]({room}.md): {says}" for room, says in ROOMS.items()]
    top = (
        "# API\n\nEvery public name, by the room it lives in. The words that a newcomer types "
    )
    top += "are at hand as `slowpoint.fixed_points` and so on; `dir(slowpoint)` lists them."
    tree = "\n".join(["```{toctree}", ":hidden:", "", *ROOMS, "```"])
    (folder / "index.md").write_text("\n\n".join([top, "\n".join(lines), tree]) + "\n")


def _files(room: pathlib.Path) -> Iterator[str]:
    for file in sorted(room.glob("[a-z]*.py")):
        source = file.read_text()
        tree = ast.parse(source)
        module = f"slowpoint.{room.name}.{file.stem}"
        yield f"## {file.stem}"
        yield f"```{{py:module}} {module}\n```"
        yield escaped(ast.get_docstring(tree) or "")
        yield from _members(_Full(tree, module).visit(tree).body, source.splitlines(), module)


class _Full(ast.NodeTransformer):
    """Types of the house by their full names, so that each leads to the right page."""

    def __init__(self, tree: ast.Module, module: str):
        self.names = {name: f"{module}.{name}" for node in tree.body for name in _types(node)}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("slowpoint"):
                self.names |= {
                    a.asname or a.name: f"{node.module}.{a.name}" for a in node.names
                }

    def visit_arg(self, node):
        node.annotation = self.full(node.annotation)
        return node

    def visit_FunctionDef(self, node):
        node.returns = self.full(node.returns)
        return self.generic_visit(node)

    def full(self, annotation):
        """The type `annotation` with every name in full."""
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
            annotation = ast.parse(annotation.value, mode="eval").body
        for name in ast.walk(annotation) if annotation else ():
            if isinstance(name, ast.Name):
                name.id = self.names.get(name.id, name.id)
        return annotation


def _types(node: ast.stmt) -> list[str]:
    """Names of classes, and of types that have a name of their own, that `node` defines."""
    if isinstance(node, ast.ClassDef):
        return [node.name]
    names = [ast.unparse(t) for t in node.targets] if isinstance(node, ast.Assign) else []
    return [name for name in names if name[0].isupper() and not name.isupper()]


def _members(body: list[ast.stmt], lines: list[str], module: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield _class(node, lines, module)
        elif isinstance(node, Function) and not node.name.startswith("_"):
            words = node.name + _signature(node)
            yield _object("py:function", words, _doc(node), f":module: {module}")
        elif names := _types(node):
            says = f"`{ast.unparse(node)}`"
            yield from (_object("py:data", name, says, f":module: {module}") for name in names)


def _class(node: ast.ClassDef, lines: list[str], module: str) -> str:
    fields = [f for f in node.body if isinstance(f, ast.AnnAssign)]
    bullets = [_field(f, lines) for f in fields if not ast.unparse(f.target).startswith("_")]
    bases = ", ".join(f"`{ast.unparse(base)}`" for base in node.bases)
    inside = [_doc(node), bases and f"Extends {bases}.", "\n".join(bullets)]
    seen = set()
    for part in node.body:
        said = isinstance(part, Function) and ast.get_docstring(part)
        if said and not part.name.startswith("_") and part.name not in seen:
            seen.add(part.name)
            marks = {ast.unparse(mark) for mark in part.decorator_list}
            kind = "py:property" if "property" in marks else "py:method"
            words = part.name + ("" if kind == "py:property" else _signature(part, marks))
            option = ":classmethod:" if "classmethod" in marks else ""
            inside.append(_object(kind, words, _doc(part), option))
    inside = "\n\n".join(filter(None, inside))
    return _object("py:class", node.name, inside, f":module: {module}")


def _field(field: ast.AnnAssign, lines: list[str]) -> str:
    """A bullet: name, type, and the comment behind it."""
    behind = lines[(field.end_lineno or 1) - 1][field.end_col_offset or 0 :].strip()
    says = f": {escaped(behind.lstrip('# '))}" if behind.startswith("#") else ""
    return f"- `{ast.unparse(field.target)}: {ast.unparse(field.annotation)}`{says}"


def _signature(node: Function, marks: frozenset | set = frozenset()) -> str:
    """Arguments and what comes back, as written, without `self`."""
    own = [*node.args.posonlyargs, *node.args.args][:1]
    words = ast.unparse(node.args)
    if own and own[0].arg in ("self", "cls") and "staticmethod" not in marks:
        words = re.sub(r"^(self|cls)(, )?", "", words)
    return f"({words})" + (f" -> {ast.unparse(node.returns)}" if node.returns else "")


def _doc(node: ast.ClassDef | Function) -> str:
    return escaped(inspect.cleandoc(ast.get_docstring(node) or ""))


def _object(kind: str, words: str, inside: str, option: str = "") -> str:
    """A directive of Sphinx; its fence is longer than any inside it."""
    fence = "`" * (max(map(len, re.findall("`{3,}", inside)), default=2) + 1)
    line = f"{option}\n" if option else ""
    return f"{fence}{{{kind}}} {words}\n{line}\n{inside}\n{fence}"


def escaped(text: str) -> str:
    """Plain words as Markdown that shows them; code and formulas are left as they are."""
    parts = AS_IS.split(text)
    quiet = lambda words: re.sub(r"([\\*_<>\[\]{}#|~^$])", r"\\\1", words)
    return "".join(part if i % 2 else quiet(part) for i, part in enumerate(parts))
