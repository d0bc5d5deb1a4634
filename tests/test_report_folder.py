"""Does any run or sweep become one page that opens offline and that everybody can read?"""

import html
import re
import sys

import numpy as np
import pytest
from test_cli import call, run, toy  # noqa: F401
from test_explain import Reader

from slowpoint.report import sweep_page as sweep_page_module
from slowpoint.report.parts import Part
from slowpoint.report.report_folder import report
from slowpoint.report.sortable import Sortable
from slowpoint.report.sweep_page import sweep_page
from slowpoint.sweeps.manifest import opened
from slowpoint.sweeps.run import Run, waiting
from slowpoint.sweeps.sweep import sweep


def trained(units: int, rank: int = 1, seed: int = 0, folder: str = "nets"):
    if units == 4 and seed == 1:
        raise RuntimeError("the loss is <not> finite")
    size = np.sin(seed + rank) / units
    return {"loss & more": size, "always one": 1, "rate": np.nan if seed == 2 else seed}


GRID = {"units": [2, 4], "rank": [1, 3], "seed": range(3)}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    out = tmp_path_factory.mktemp("swept")
    sweep(trained, GRID, out=out, quiet=True)
    return report(out)


def read(page):
    """The page's text, after what every page must keep."""
    text = page.read_text()
    reader = Reader()
    reader.feed(text)
    assert not reader.open
    assert not reader.outside, "it opens offline"
    assert not reader.unnamed, "every picture has words"
    assert text.startswith("<!doctype html>\n<html lang=")
    assert page.stat().st_size < 6e6
    for table in re.findall(r"<table.*?</table>", text, re.S):
        heads = len(re.findall('<th scope="col"[^>]*>', table))
        assert heads == len(re.findall("<th[ >]", table))
        rows = re.findall(r"<tr>(?:<td.*?)</tr>", table, re.S)
        assert {row.count("<td") for row in rows} <= {heads}
    return text


def table_of(text, caption):
    """The cells of the table so called, row by row."""
    found = re.search(rf'aria-label="{caption}".*?</table>', text, re.S)[0]
    rows = re.findall(r"<tr>(.*?)</tr>", found, re.S)
    cells = [re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row) for row in rows]
    return [[html.unescape(re.sub("<.*?>", "", cell)) for cell in row] for row in cells]


def test_a_sweep_becomes_one_page(swept):
    text = read(swept)
    assert "12 runs: 6 done, 4 nan, 2 failed." in text
    head, *rows = table_of(text, "Runs")
    names = ["loss & more", "always one", "rate"]
    assert head == ["run", "units", "rank", "seed", "status", *names, "seconds"]
    assert [row[1:4] for row in rows] == [
        [str(units), str(rank), str(seed)]
        for units in GRID["units"]
        for rank in GRID["rank"]
        for seed in GRID["seed"]
    ]
    assert rows[1][5] == f"{np.sin(2) / 2:.6g}"
    assert rows[2][4:8] == ["nan", f"{np.sin(3) / 2:.6g}", "1", "nan"]
    assert rows[7][4:8] == ["failed", "", "", ""]
    numbers = {name: cells for name, *cells in table_of(text, "Numbers")[1:]}
    known = [np.sin(s + r) / u for u in (2, 4) for r in (1, 3) for s in range(3)]
    known = [v for i, v in enumerate(known) if i not in (7, 10)]
    expected = [f"{f(known):.6g}" for f in (np.median, np.min, np.max)]
    assert numbers["loss & more"] == ["10", *expected]
    assert table_of(text, "Settings of all runs")[1:] == [["folder", "nets"]]
    assert "units=4, rank=3, seed=1: RuntimeError: the loss is &lt;not&gt; finite" in text
    assert "Seeds: 3, 0 to 2." in text
    assert f"numpy {np.__version__}" in text
    alt = re.search('<img alt="(.*?)"', text)[1]
    assert html.unescape(alt).startswith("2 panels: loss & more; rate, each against units.")


def test_the_table_is_sorted_from_the_keyboard(swept):
    text = swept.read_text()
    heads = re.findall(r'<th scope="col"[^>]*><button type="button">', text)
    assert len(heads) == 9
    assert text.count("<script>") == 1
    assert 'setAttribute("aria-sort"' in text
    assert isinstance(Sortable("a", ["b"], [["c"]]), Part)
    assert "<i>" not in Sortable("<i>", ["<i>"], [["<i>"]]).html()


def test_a_large_sweep_keeps_to_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep_page_module, "CELLS", 1000)
    rows = [waiting({"seed": seed}) for seed in range(300)]
    metrics = {f"number {i}": i / 7 for i in range(7)}
    for one in rows:
        (tmp_path / one.path).mkdir(parents=True)
    with opened(tmp_path, "many") as (manifest, _):
        manifest.write(Run(one.hash, one.settings, "done", metrics) for one in rows)
    text = read(sweep_page(tmp_path))
    shown = len(table_of(text, "Runs")) - 1
    assert shown == 1000 // 11
    assert f"These are the first {shown}." in text
    assert len((tmp_path / "table.csv").read_text().splitlines()) == 301


def test_a_sweep_that_has_just_begun_has_a_page(tmp_path):
    with opened(tmp_path, "new") as (manifest, _):
        manifest.write([waiting({"seed": 0})])
    assert "1 runs: 1 waiting." in read(report(tmp_path))


def test_a_run_of_a_function_becomes_a_page(tmp_path):
    done = sweep(trained, {"units": 4, "seed": [0, 1]}, out=tmp_path, quiet=True)
    good, bad = (read(report(tmp_path / one.path)) for one in done.runs)
    assert table_of(good, "Numbers")[2] == ["always one", "1"]
    assert ["units", "4"] in table_of(good, "Settings")
    assert "failed: RuntimeError: the loss is &lt;not&gt; finite" in bad
    assert "Traceback (most recent call last)" in bad


def test_an_experiment_in_a_sweep_gets_its_figure(toy):  # noqa: F811
    words = ["--quick", "--executor", "inline", "--quiet", "--grid", "count=2,4"]
    call("sweep", "toy_numbers", *words, "--grid", "seed=0..2")
    shown = call("report", "runs/toy_numbers_sweep")
    assert shown.stdout == "runs/toy_numbers_sweep/report.html\n"
    text = read(toy / "runs/toy_numbers_sweep/report.html")
    assert "A claim fails in 3 of 6 runs." in text
    assert "Sweep: How many numbers are there?" in text
    assert table_of(text, "Claims")[1] == ["there are some", "6", "3", "2", "4", "3 of 6"]
    assert table_of(text, "Claims")[2][-1] == "reported"
    assert table_of(text, "Runs")[1][-2] == "there are some"
    one = next((toy / "runs/toy_numbers_sweep/runs").iterdir())
    assert not (one / "figure.png").exists()
    assert call("report", one).exit_code == 0
    assert (one / "figure.png").exists()
    assert "data:image/png" in read(one / "report.html")


def test_a_run_says_how_it_was_made_and_what_to_cite(toy, monkeypatch):  # noqa: F811
    import slowpoint.experiments

    place = slowpoint.experiments.__path__[-1]
    file = f"{place}/toy_numbers.py"
    with open(file) as old:
        text = old.read().replace("Nobody and Noone 2020", "Ger and Barak 2025")
    with open(file, "w") as new:
        new.write(text)
    run("--quick", "--set", "seed=3")
    with monkeypatch.context() as hidden:
        hidden.setitem(sys.modules, "slowpoint.experiments.toy_numbers", None)
        shown = call("report", "runs/toy_numbers")  # reads, imports nothing of it
    assert shown.exit_code == 0
    text = read(toy / "runs/toy_numbers/report.html")
    made = dict(table_of(text, "How it was made")[1:])
    assert made["seed"] == "3"
    assert made["date"].endswith("+00:00")
    assert "arXiv:2505.13567" in text
    assert "slowpoint cite toy_numbers" in text


@pytest.mark.parametrize("name", ["absent", "empty"])
def test_a_folder_that_holds_nothing_is_said(tmp_path, name):
    (tmp_path / "empty").mkdir()
    done = call("report", tmp_path / name)
    assert done.exit_code == 2
    assert "There is no run and no sweep" in done.stderr
    assert not list((tmp_path / "empty").iterdir())
