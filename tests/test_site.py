"""Does the site say what the files say? Links, the table of contents, the API, the gallery."""

import importlib
import pathlib
import re
import sys

import pytest

from slowpoint.core.claim import equal, reported, save_claims

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site():
    """The builder's modules, which live beside the pages and not in the package."""
    sys.path.insert(0, str(ROOT / "docs" / "site"))
    try:
        yield importlib.import_module("assemble")
    finally:
        sys.path.pop(0)


@pytest.mark.parametrize(
    ("page", "link", "turned"),
    [
        ("README.md", "docs/low_rank.md#a-b", "low_rank.md#a-b"),
        ("README.md", "docs/images/a.png", "images/a.png"),
        ("README.md", "src/slowpoint/cells", "api/cells.md"),
        ("docs/faq.md", "../README.md", "index.md"),
        ("docs/faq.md", "../src/slowpoint/theory/gram.py", "api/theory.md"),
        ("docs/faq.md", "low_rank.md", "low_rank.md"),
        ("docs/faq.md", "https://example.org/docs/a.md", "https://example.org/docs/a.md"),
        ("docs/faq.md", "#here", "#here"),
    ],
)
def test_links_lead_to_where_pages_are_on_the_site(site, page, link, turned):
    text = f"[a]({link})\n\n```text\n[a]({link})\n```\n[b]({link})\n"
    expected = f"[a]({turned})\n\n```text\n[a]({link})\n```\n[b]({turned})\n"
    assert site.turned(text, pathlib.Path(page)) == expected


def test_every_page_is_once_in_the_table_of_contents(site):
    pages = [path.stem for path in (ROOT / "docs").glob("*.md")]
    pages += ["gallery", "api/index", "contributing", "changelog", "a_new_page"]
    lines = site.tree(pages).splitlines()
    assert sorted(line for line in lines if line in pages) == sorted(pages)
    assert "a_new_page" in lines[lines.index(":caption: Findings") :]


SOURCE = '''"""What is *this*?"""

from slowpoint.core.system import System

Rows = dict[str, float]


class Net(System):
    """x' = W x <b>."""

    weights: float  # W: how x_1 moves x_2
    _hidden: int

    @property
    def size(self) -> int:
        """How many."""

    @classmethod
    def random(cls, *, key) -> "Net":
        """A small one."""

    def bare(self):
        return 0


def ask(net: System, rows: Rows = None, /, *, n=1) -> Net | None:
    """`net` in, $x_1$ out."""


def _quiet():
    """Not shown."""
'''


def test_the_api_shows_what_is_public(site, tmp_path):
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "file.py").write_text(SOURCE)
    text = "\n\n".join(site.api._files(tmp_path / "room"))
    full = "slowpoint.room.file"
    for shown in (
        r"What is \*this\*?",
        r"x' = W x \<b\>.",
        r"- `weights: float`: W: how x\_1 moves x\_2",
        "{py:property} size",
        f"{{py:method}} random(*, key) -> {full}.Net\n:classmethod:",
        f"ask(net: slowpoint.core.system.System, rows: {full}.Rows=None, /, *, n=1)"
        f" -> {full}.Net | None",
        "`net` in, $x_1$ out.",
        "`Rows = dict[str, float]`",
    ):
        assert shown in text
    assert not re.search("_hidden|_quiet|bare|Not shown", text)
    assert "\n````{py:class} Net\n" in text, "a fence is longer than those inside it"


def test_the_gallery_states_claims_as_their_file_does(site, tmp_path):
    file = tmp_path / "a.py"
    file.write_text(
        'at_least("share of runs", value, 0.75)\n'
        'equal(f"points of {name}, stable", n, expected)\n'
        'reported("a number", 1)\n'
        'other("no claim", 1)\n'
        'at_most(f"{name}: {what}", 2, 3)\n'
    )
    assert site.gallery._stated(file) == [
        "share of runs >= 0.75",
        "points of ..., stable",
        "a number",
    ]


def test_a_finished_run_says_what_it_found(site, tmp_path):
    claims = [equal("points", 3, 3), reported("time", float("nan"))]
    save_claims(tmp_path / "claims.json", claims, "quick")
    assert site.gallery._found(tmp_path) == ["points: 3 (== 3), holds", "time: nan, reported"]


def test_the_picture_of_a_quick_run_is_called_so(site, tmp_path):
    root, pages = tmp_path / "house", tmp_path / "pages"
    pages.mkdir()

    def left(run, scale):
        run.mkdir(parents=True)
        save_claims(run / "claims.json", [equal("points", 3, 3)], scale)
        (run / "about.json").write_text(f'{{"scale": "{scale}"}}')
        (run / "figure.png").write_text(scale)

    card = lambda text: text.partition("### bistable_points\n")[2].partition("### ")[0]
    alone = card(site.gallery.page(root, pages))  # no run at hand: what the file states
    assert "<summary>Claims</summary>" in alone
    assert "![" not in alone
    left(root / ".cache/quick/bistable_points", "quick")
    text = site.gallery.page(root, pages)
    picture = "![The figure of bistable_points](runs/bistable_points.png)"
    assert text.count(f"{picture}\n\n*The figure of a quick run.*") == 1
    assert text.count("<summary>Claims of a quick run</summary>") == 1
    left(root / "runs/bistable_points", "full")  # this comes first
    text = site.gallery.page(root, pages)
    assert "quick run" not in text
    assert picture in text
    assert (pages / "runs/bistable_points.png").read_text() == "full"


def test_every_experiment_is_in_the_gallery(site, tmp_path):
    text = site.gallery.page(ROOT, tmp_path)
    names = {path.stem for path in (ROOT / "src/slowpoint/experiments").glob("[a-z]*.py")}
    assert names == set(re.findall(r"^### (\w+)$", text, re.M))
    for picture in re.findall(r"\]\((images/\w+\.png)\)", text):
        assert (ROOT / "docs" / picture).exists()
    assert "images/flipflop_memory.png" in text
