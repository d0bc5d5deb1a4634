"""Is what the documentation says true? It is run, parsed and followed, page by page.

```python blocks of a page are run in order, in one namespace and an empty folder. Where the
line <!-- output --> and a ```text block follow, that is what they print (... stands for
anything). The commands in ```console blocks, after "$ ", must be ones that this version takes.
```text and ```bibtex are free; no other kind of block is allowed, so that none goes unchecked.
"""

import contextlib
import dataclasses
import doctest
import io
import pathlib
import re
import shlex
import subprocess
import textwrap

import pytest
import typer.main

from slowpoint.cli import app
from slowpoint.report.catalogue import find

ROOT = pathlib.Path(__file__).parents[1]
FRONT = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES = [*FRONT, *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(
    r"^(?P<indent> *)(?P<fence>```+)(?P<kind>[^\n`]*)\n"
    r"(?P<text>.*?)"
    r"^(?P=indent)(?P=fence) *$",
    re.M | re.S,
)
OUTPUT = re.compile(r"<!-- output -->\s*\Z")
KINDS = {"python", "console", "text", "bibtex"}
OTHER_TOOLS = {"cd", "git", "head", "pip", "python", "uv"}  # typed as everybody knows


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block, the line it begins at, and what must be printed by it (if said)."""

    kind: str
    text: str
    line: int
    output: str | None = None


def blocks(page):
    """Every fenced block of the text `page`."""
    found, end = [], 0
    for match in BLOCK.finditer(page):
        kind, text = match["kind"].strip(), textwrap.dedent(match["text"])
        if OUTPUT.search(page[end : match.start()]):
            assert kind == "text", f"output in a {kind} block; write ```text"
            assert found[-1].kind == "python", "output of nothing: no python block before it"
            found[-1] = dataclasses.replace(found[-1], output=text)
        else:
            line = page.count("\n", 0, match.start("text"))
            found.append(Block(kind, text, line))
        end = match.end()
    return found


def run_python(page, name):
    """Run the python blocks of the text `page`; compare what they print with what it says."""
    namespace = {"__name__": "__main__"}
    checker, flags = doctest.OutputChecker(), doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    for block in blocks(page):
        if block.kind == "python":
            code = compile("\n" * block.line + block.text, name, "exec")
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(code, namespace)
            if block.output is not None:
                same = checker.check_output(block.output, printed.getvalue(), flags)
                where = f"{name}, line {block.line}"
                assert same, f"{where} printed:\n{printed.getvalue()}not:\n{block.output}"


def commands(page):
    """What is typed in the console blocks of the text `page`, word by word."""
    for block in blocks(page):
        if block.kind == "console":
            joined = block.text.replace("\\\n", " ")
            typed = [line[2:] for line in joined.splitlines() if line.startswith("$ ")]
            assert typed, f'line {block.line}: begin what is typed with "$ "'
            for line in typed:
                for part in re.split(r"&&|\|", line):
                    words = shlex.split(part, comments=True)
                    yield [word for word in words if not re.fullmatch(r"[A-Z_]+=.*", word)]


def check_commands(page):
    """That every command of the text `page` can be typed."""
    for words in commands(page):
        check_command(words)


def check_command(words):
    """That this version takes the command `words`."""
    program = words[0].rpartition("/")[2]
    if program == "slowpoint":
        check_slowpoint(words[1:])
    elif program == "make":
        for target in words[1:]:
            known = target in targets() or "=" in target
            assert known, f"no target {target!r} in the Makefile"
    else:
        assert program in OTHER_TOOLS, f"nobody checks {program!r}"


def check_slowpoint(words):
    group = typer.main.get_command(app)
    if words == ["--help"]:
        return
    assert words[0] in group.commands, f"no command {words[0]!r}"
    command = group.commands[words[0]]
    if "--help" in words:
        return
    options = command.make_context(words[0], list(words[1:])).params  # exits on a wrong word
    if "name" in options:
        experiment = find(options["name"])
        settings = experiment.QUICK if options.get("quick") else experiment.Settings()
        settings.changed(options.get("changes") or [])


def targets():
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))


def prose(page):
    """The text `page` without its blocks."""
    return BLOCK.sub("", page)


def check_links(path):
    """That every relative link of the page at `path` leads somewhere, its heading included."""
    for link in re.findall(r"\]\(<?([^)\s>]+)>?[^)]*\)", prose(path.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, heading = link.partition("#")
        target = path.parent / file if file else path
        assert target.exists(), f"{path.name}: {link} leads nowhere"
        if heading:
            assert heading in headings(target.read_text()), f"{path.name}: no heading {link}"


def headings(page):
    """What the headings of the text `page` are called in a link."""
    found = re.findall(r"^#+ +(.+?) *$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-") for words in found}


def named(page):
    return str(page.relative_to(ROOT))


# ---------------------------------------------------------------- the pages


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_the_code_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_python(page.read_text(), named(page))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_no_block_goes_unchecked(page):
    text = page.read_text()
    assert {block.kind for block in blocks(text)} <= KINDS
    assert "```" not in prose(text), "a block that is never closed"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_the_commands_can_be_typed(page):
    check_commands(page.read_text())
    for word in re.findall(r"`make ([a-z-]+)", prose(page.read_text())):
        assert word in targets(), f"no target {word!r} in the Makefile"
    known = typer.main.get_command(app).commands
    for word in re.findall(r"`slowpoint ([a-z]+)", prose(page.read_text())):
        assert word in known, f"no command {word!r}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_the_links_lead_somewhere(page):
    check_links(page)


def test_the_readme_names_every_command():
    page = (ROOT / "README.md").read_text()
    missing = [w for w in typer.main.get_command(app).commands if f"slowpoint {w}" not in page]
    assert not missing


def test_make_help_names_every_target():
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True).stdout
    assert {line.split()[0] for line in said.splitlines()} == targets()


# ---------------------------------------------------------------- the checks themselves


def page_of(*parts):
    """A page from (kind, text) pairs and lines between them."""
    return "\n\n".join(p if isinstance(p, str) else f"```{p[0]}\n{p[1]}\n```" for p in parts)


def test_blocks_share_a_namespace_and_print_what_is_said():
    said = ["<!-- output -->", ("text", "5 ...")]
    run_python(page_of(("python", "a = 2"), ("python", "print(a + 3, 'x')"), *said), "a page")


def test_a_wrong_output_is_noticed():
    page = page_of(("python", "print(1)"), "<!-- output -->", ("text", "2"))
    with pytest.raises(AssertionError, match=r"line 1 printed:\s+1\s+not:\s+2"):
        run_python(page, "a page")


def test_a_block_that_fails_is_named_with_its_line():
    with pytest.raises(ZeroDivisionError) as caught:
        run_python(page_of("One line.", ("python", "a = 1\n1 / 0")), "a page")
    last = caught.traceback[-1]
    assert (str(last.path).endswith("a page"), last.lineno + 1) == (True, 5)


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("$ slowpoint rnu x", "no command 'rnu'"),
        ("$ slowpoint run", "Missing (argument|parameter)"),
        ("$ slowpoint list --everything", "No such option"),
        ("$ slowpoint explain net.pt --seed one", "valid integer"),
        ("$ slowpoint list && slowpoint run no_such", "No experiment 'no_such'"),
        ("$ slowpoint run bistable_points --set gueses=3", "Did you mean 'guesses'"),
        ("$ make tuor", "no target 'tuor'"),
        ("$ rm -r runs", "nobody checks 'rm'"),
        ("slowpoint list", "begin what is typed"),
    ],
)
def test_a_command_that_cannot_be_typed_is_noticed(typed, says):
    page = page_of(("console", typed))
    # the command line's own error is of a class that differs from version to version
    with pytest.raises(Exception, match=says):
        check_commands(page)


@pytest.mark.parametrize(
    "typed",
    [
        "$ slowpoint explain net.pt --hold 0,0,1 \\\n    --states states.npy\nruns/net",
        "$ slowpoint list | head",
        "$ .venv/bin/slowpoint --help",
        "$ EXTRAS=dev,bench make bench  # with PyTorch",
        "$ make bench EXTRAS=dev,bench",
        "$ pip install 'slowpoint[torch]'",
        "$ slowpoint run bistable_points --quick --set guesses=4",
    ],
)
def test_a_command_that_can_be_typed_passes(typed):
    page = page_of(("console", typed))
    assert list(commands(page))
    check_commands(page)


@pytest.mark.parametrize(
    ("link", "leads"),
    [
        ("[a](other.md)", True),
        ("[a](other.md#the-second-one)", True),
        ("[a](#here)", True),
        ("[a](https://example.org/x)", True),
        ("[a](absent.md)", False),
        ("[a](other.md#the-third-one)", False),
        ("![a](absent.png)", False),
    ],
)
def test_a_link_that_leads_nowhere_is_noticed(tmp_path, link, leads):
    (tmp_path / "other.md").write_text("# Title\n\n## The second one\n")
    (tmp_path / "page.md").write_text(f"# Here\n\n{link}\n")
    with contextlib.nullcontext() if leads else pytest.raises(AssertionError):
        check_links(tmp_path / "page.md")
