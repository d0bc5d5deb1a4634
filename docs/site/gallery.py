"""What does each experiment ask, claim and show? A page of all, read from their files.

A picture is there for those whose figure is in docs/images, or whose run is at hand: a full one
in runs/NAME, or the quick one that `make quick` left.
"""

import ast
import html
import itertools
import json
import pathlib
import re
import shutil

from slowpoint.report.catalogue import Entry, files, read
from slowpoint.report.cite import named_in

RUNS = ("runs", ".cache/quick")
RELATIONS = {"at_least": ">=", "at_most": "<=", "equal": "==", "reported": ""}
TOP = """# Gallery

Every experiment is one file and one figure: what it asks, the paper behind it, what it claims.
`slowpoint run NAME` makes it, figure and report included; `--quick` takes the smaller time.
"""


def page(root: pathlib.Path, folder: pathlib.Path) -> str:
    """The gallery of the repository at `root`; its pictures are copied below `folder`."""
    entries = sorted(((_paper(e := read(f)), e, f) for f in files()), key=lambda row: row[0])
    parts = [TOP]
    for paper, rows in itertools.groupby(entries, key=lambda row: row[0]):
        parts.append(f"## {paper}\n")
        parts += [_card(entry, file, root, folder) for _, entry, file in rows]
    return "\n".join(parts)


def _paper(entry: Entry) -> str:
    found = named_in(entry.paper)
    return found[0].called[0] if found else "Textbooks and ours"


def _card(entry: Entry, file: pathlib.Path, root: pathlib.Path, folder: pathlib.Path) -> str:
    runs = [root / at / entry.name for at in RUNS]
    run = next((run for run in runs if (run / "claims.json").exists()), None)
    quick = run and json.loads((run / "about.json").read_text())["scale"] == "quick"
    of = " of a quick run" if quick else ""
    claims = _found(run) if run else _stated(file)
    rows = "".join(f"<li>{html.escape(claim)}</li>" for claim in claims)
    lines = [f"### {entry.name}\n", f"**{entry.question}**\n"]
    if (root / "docs" / "images" / f"{entry.name}.png").exists():  # chosen for the docs
        lines.append(f"![The figure of {entry.name}](images/{entry.name}.png)\n")
    elif run and (run / "figure.png").exists():
        (folder / "runs").mkdir(exist_ok=True)
        shutil.copy(run / "figure.png", folder / "runs" / f"{entry.name}.png")
        lines.append(f"![The figure of {entry.name}](runs/{entry.name}.png)\n")
        lines += ["*The figure of a quick run.*\n"] * bool(quick)
    lines.append(f"{entry.paper} *Takes {entry.takes.rstrip('.')}.*\n")
    if claims:
        summary = f"<summary>Claims{of}</summary>"
        lines.append(f"<details>{summary}<ul>{rows}</ul></details>\n")
    return "\n".join(lines)


def _found(run: pathlib.Path) -> list[str]:
    """What a finished run says of its claims."""
    return [
        f"{c['says']}: {float(c['value']):.4g}"
        + (f" ({c['relation']} {float(c['bar']):.4g})" if c["relation"] != "is" else "")
        + f", {c['verdict']}"
        for c in json.loads((run / "claims.json").read_text())
    ]


def _stated(file: pathlib.Path) -> list[str]:
    """The claims that stand in the file in so many words, "..." for what a run fills in."""
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        called = isinstance(node, ast.Call) and ast.unparse(node.func)
        if called in RELATIONS and node.args and (says := _words(node.args[0])):
            bar = node.args[2] if len(node.args) > 2 else None
            known = isinstance(bar, ast.Constant)
            found.append(f"{says} {RELATIONS[called]} {bar.value}" if known else says)
    return list(dict.fromkeys(found))


def _words(node: ast.expr) -> str:
    """The text of a literal or of a formatted string; empty where nothing is written out."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if not isinstance(node, ast.JoinedStr):
        return ""
    parts = [str(p.value) if isinstance(p, ast.Constant) else "..." for p in node.values]
    return "".join(parts) if re.search(r"[a-z]{3}.*[a-z]{3}", " ".join(parts)) else ""
