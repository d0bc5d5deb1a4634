"""Are runs of equal shapes done in one call, and does every run get what is its own?"""

import csv
import dataclasses
import importlib
import json
import math
import pathlib
import re
import shutil
import sqlite3

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from hypothesis import given, strategies as st
from jaxtyping import Float64
from sweep_functions import all_killed
from test_cli import call, toy  # noqa: F401

import slowpoint.experiments
from slowpoint.core.result import Result
from slowpoint.experiments import flipflop_memory
from slowpoint.sweeps.collect import collect
from slowpoint.sweeps.executors import each, Event
from slowpoint.sweeps.groups import Grouping
from slowpoint.sweeps.local import Local
from slowpoint.sweeps.manifest import NAME, read_sweep
from slowpoint.sweeps.progress import Progress
from slowpoint.sweeps.run import waiting
from slowpoint.sweeps.run_folder import RECORD
from slowpoint.sweeps.sweep import sweep


class Rows:
    """`units + seed` of many seeds, NaN for seed 2, an error while seed 3 is `broken`."""

    def __init__(self):
        self.calls, self.broken = [], False

    def fn(self, seed, units: int = 10):
        self.calls.append((units, seed.tolist()))
        if self.broken and 3 in seed:
            raise RuntimeError("three")
        return {"sum": np.where(seed == 2, math.nan, units + seed)}


@pytest.fixture
def rows():
    return Rows()


@pytest.fixture
def once(rows, tmp_path):
    """Runs a sweep of `rows.fn` here."""

    def once(grid, width=3, **kwargs):
        kwargs = {"together": "seed", "width": width, "quiet": True, **kwargs}
        return sweep(rows.fn, grid, out=tmp_path / "out", **kwargs)

    return once


def test_runs_of_one_shape_go_together_and_each_gets_its_own(rows, once):
    done = once({"units": [10, 20], "seed": range(6)})
    assert [len(seeds) for _, seeds in rows.calls] == [3] * 4
    for units in (10, 20):
        seeds = [s for n, several in rows.calls for s in several if n == units]
        assert sorted(seeds) == list(range(6))
    expected = [math.nan if s == 2 else n + s for n in (10, 20) for s in range(6)]
    np.testing.assert_array_equal(done.column("sum"), expected)
    assert [run.status for run in done.runs] == ["done", "done", "nan", *["done"] * 3] * 2
    assert {run.width for run in done.runs} == {3}


def test_the_width_stands_in_manifest_record_and_table(once, tmp_path):
    done = once({"seed": range(5)}, width=2)
    assert [run.width for run in done.runs] == [2, 2, 2, 2, 1]
    assert [run.width for run in read_sweep(tmp_path / "out").runs] == [2, 2, 2, 2, 1]
    with sqlite3.connect(tmp_path / "out" / NAME) as database:
        assert database.execute("SELECT sum(width) FROM runs").fetchone() == (9,)
    record = json.loads((tmp_path / "out" / done.runs[0].path / RECORD).read_text())
    assert record["width"] == 2
    collect(tmp_path / "out")
    with (tmp_path / "out" / "table.csv").open() as file:
        assert [row["width"] for row in csv.DictReader(file)] == ["2", "2", "2", "2", "1"]


def test_a_run_that_is_missing_is_done_again_at_its_width(rows, once, tmp_path):
    done = once({"seed": range(6)}, width=3)
    before = {run.hash: run for run in done.runs}
    gone = done.runs[4]
    shutil.rmtree(tmp_path / "out" / gone.path)
    rows.calls.clear()
    again = once({"seed": range(6)}, width=1)  # another width is for new runs
    assert rows.calls == [(10, [4, 4, 4])]
    assert again.did == 1
    assert again.runs[4].width == 3
    assert again.runs[4].metrics == before[gone.hash].metrics
    rows.calls.clear()
    more = once({"seed": range(8)}, width=1)
    assert sorted(rows.calls) == [(10, [6]), (10, [7])]
    assert [run.width for run in more.runs] == [3] * 6 + [1] * 2


def test_an_error_is_that_of_its_group(rows, once, tmp_path):
    rows.broken = True
    done = once({"seed": [0, 1, 3, 4]}, width=2)
    failed = [run for run in done.runs if run.status == "failed"]
    assert len(failed) == 2
    assert {run.says for run in failed} == {"RuntimeError: three"}
    for run in failed:
        assert "three" in (tmp_path / "out" / run.path / "traceback.txt").read_text()
    rows.broken = False
    rows.calls.clear()
    again = once({"seed": [0, 1, 3, 4]}, width=2)
    assert again.did == 2
    assert [len(seeds) for _, seeds in rows.calls] == [2]
    assert not again.unfinished
    assert not (tmp_path / "out" / failed[0].path / "traceback.txt").exists()


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    width=st.integers(1, 17),
    at_once=st.integers(1, 9),
    data=st.data(),
)
def test_groups_hold_every_run_once(sizes, width, at_once, data):
    runs = [waiting({"n": n, "seed": s}) for n, size in enumerate(sizes) for s in range(size)]
    grouping = Grouping(("seed",), lambda settings: width)
    planned = grouping.planned(runs, at_once)
    assert [run.hash for run in planned] == [run.hash for run in runs]
    groups = grouping.groups(planned)
    assert sorted(r.hash for g in groups for r in g) == sorted(r.hash for r in runs)
    for group in groups:
        assert len(group) == group[0].width <= width
        assert len({run.settings["n"] for run in group}) == 1
    for n in range(len(sizes)):  # of nearly one size: no group waits for a larger one
        lengths = [len(group) for group in groups if group[0].settings["n"] == n]
        assert max(lengths) - min(lengths) <= 1
        assert len(lengths) >= min(math.ceil(at_once / len(sizes)), sizes[n])
    some = data.draw(st.lists(st.sampled_from(planned), unique_by=lambda run: run.hash))
    for group in grouping.groups(some):
        assert len(group) <= group[0].width
        assert len({(run.width, run.settings["n"]) for run in group}) == 1


def test_alone_every_run_is_a_group_of_one(rows, tmp_path):
    assert [len(g) for g in Grouping().groups([waiting({"seed": s}) for s in range(3)])] == [
        1,
        1,
        1,
    ]
    done = sweep(lambda seed: seed, {"seed": range(3)}, out=tmp_path, quiet=True)
    assert [run.width for run in done.runs] == [1, 1, 1]


class Pair(Result):
    best: float
    values: Float64[np.ndarray, " value"]


@pytest.mark.parametrize("kind", ["array", "jax", "results"])
def test_answers_may_be_numbers_or_results(tmp_path, kind):
    def fn(seed):
        pairs = [Pair(float(s), np.arange(s + 1.0)) for s in seed]
        return {"array": seed * 1.0, "jax": jnp.asarray(seed), "results": pairs}[kind]

    done = sweep(fn, {"seed": range(3)}, out=tmp_path, together="seed", quiet=True)
    name = "best" if kind == "results" else "value"
    assert done.column(name).tolist() == [0, 1, 2]
    if kind == "results":
        for run in done.runs:
            values = Pair.load(tmp_path / run.path / "result.npz").values
            assert values.tolist() == list(range(run.settings["seed"] + 1))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"loss": 1.0}, r"loss: shape \(\) for 2 runs at once. Return one number for each"),
        ({"loss": [1.0] * 3}, r"loss: shape \(3,\) for 2 runs"),
        (1.0, r"returned shape \(\) for 2 runs"),
        ([1.0], "returned 1 answers for 2 runs"),
        ([1.0, None], "returned a NoneType"),
    ],
)
def test_an_answer_of_another_width_is_refused(tmp_path, answer, says):
    def fn(seed):
        return answer

    done = sweep(fn, {"seed": [1, 2]}, out=tmp_path, together="seed", quiet=True)
    assert [run.status for run in done.runs] == ["failed"] * 2
    assert re.search(says, done.runs[0].says)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"together": "sed"}, "No setting 'sed'. Did you mean 'seed'"),
        ({"width": 0}, "width=0: give 1 or more"),
    ],
)
def test_nothing_runs_when_the_grouping_is_wrong(rows, once, tmp_path, how, says):
    with pytest.raises(ValueError, match=says):
        once({"seed": [1, 2]}, **how)
    assert not rows.calls
    assert not (tmp_path / "out").exists()


def test_a_killed_process_costs_its_group_alone(tmp_path):
    grid = {"seed": range(6), "there": str(tmp_path / "mark")}
    how = {"out": tmp_path / "out", "together": "seed", "width": 3, "executor": Local(2)}
    done = sweep(all_killed, grid, quiet=True, **how)
    lost = [run for run in done.runs if run.status == "lost"]
    assert len(lost) == 3
    assert {run.says for run in lost} == {"its process ended by SIGKILL"}
    assert 3 in [run.settings["seed"] for run in lost]
    again = sweep(all_killed, grid, quiet=True, **how)
    assert again.did == 3
    assert again.column("square").tolist() == [0, 1, 4, 9, 16, 25]
    assert again.column("width").tolist() == [3] * 6
    printed = [(tmp_path / "out" / run.path / "output.txt").read_text() for run in lost]
    assert len(set(printed)) == 1
    assert printed[0].startswith("seeds [")


def test_a_manifest_without_widths_is_read_and_goes_on(once, rows, tmp_path):
    once({"seed": range(4)}, width=1)
    with sqlite3.connect(tmp_path / "out" / NAME) as database:  # as it was before
        database.execute("ALTER TABLE runs DROP COLUMN width")
        database.execute("UPDATE about SET format = 1")
    assert [run.width for run in read_sweep(tmp_path / "out").runs] == [1] * 4
    rows.calls.clear()
    more = once({"seed": range(6)}, width=2)
    assert [len(seeds) for _, seeds in rows.calls] == [2]
    assert [run.width for run in more.runs] == [1] * 4 + [2] * 2
    assert [run.width for run in read_sweep(tmp_path / "out").runs] == [1] * 4 + [2] * 2


def test_a_group_under_way_is_not_called_slow(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("slowpoint.sweeps.progress.time.monotonic", lambda: clock[0])
    planned = Grouping(("seed",)).planned([waiting({"seed": i}) for i in range(16)], 1)
    shown = Progress(planned, ["seed"], 1, quiet=True)
    shown.total += 5
    lines = []
    monkeypatch.setattr(shown, "say", lines.append)
    shown.done = [2.0] * 5  # seconds, each its share of a group
    for told in each("began", planned):
        shown.hear(told)
    clock[0] = 20.0
    shown.hear(None)
    assert not lines
    assert shown.words(20.0) == "about 12 s left"  # of 16 times 2
    clock[0] = 100.0
    shown.hear(None)
    assert len(lines) == 16


def test_what_fills_a_group_does_not_share_its_time(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("slowpoint.sweeps.progress.time.monotonic", lambda: clock[0])
    alone = dataclasses.replace(waiting({"seed": 1}), width=16)  # done again, the rest is there
    (told,) = each("began", (alone,))
    shown = Progress([alone], ["seed"], 1, quiet=True)
    shown.hear(told)
    clock[0] = 32.0
    shown.hear(Event("ended", dataclasses.replace(alone, status="lost")))
    assert shown.done == [32.0]


def test_without_together_what_is_missing_is_done_alone(rows, once, tmp_path):
    done = once({"seed": range(4)}, width=2)
    shutil.rmtree(tmp_path / "out" / done.runs[0].path)

    def fn(seed: int, units: int = 10):
        return float(units + seed)

    fn.__module__, fn.__qualname__ = rows.fn.__module__, rows.fn.__qualname__
    again = sweep(fn, {"seed": range(4)}, out=tmp_path / "out", quiet=True)
    assert again.did == 1
    assert [run.width for run in again.runs] == [1, 2, 2, 2]
    assert [run.width for run in read_sweep(tmp_path / "out").runs] == [1, 2, 2, 2]


# ---------------------------------------------------------------- experiments


@pytest.fixture
def grouped(toy):  # noqa: F811
    """The toy experiment, with a way to do several seeds at once that says how many."""
    path = pathlib.Path(slowpoint.experiments.__path__[-1]) / "toy_numbers.py"
    path.write_text(
        path.read_text()
        + """

TOGETHER = ("seed",)


def width(settings):
    return 4 if settings.count < 8 else 1


def run_together(rows):
    print(len(rows), "together")
    return [run(row) for row in rows]
"""
    )


def test_an_experiment_that_can_does_its_seeds_together(grouped):
    words = ["toy_numbers", "--executor", "inline", "--quiet"]
    done = call("sweep", *words, "--grid", "count=4,8", "--grid", "seed=0..5")
    assert done.exit_code == 0, done.output
    assert "12 runs: 12 done; 12 run now." in done.output
    assert done.output.count("3 together") == 2
    folder = pathlib.Path("runs/toy_numbers_sweep")
    runs = read_sweep(folder).runs
    assert [(run.settings["count"], run.width) for run in runs] == [(4, 3)] * 6 + [(8, 1)] * 6
    abouts = [json.loads((folder / run.path / "about.json").read_text()) for run in runs]
    assert [about.get("width") for about in abouts] == [3] * 6 + [None] * 6
    assert [about["seed"] for about in abouts] == [*range(6)] * 2
    call("run", "toy_numbers", "--set", "seed=4", "--set", "count=4")
    kind = importlib.import_module("slowpoint.experiments.toy_numbers").Numbers
    alone = kind.load("runs/toy_numbers/numbers.npz")
    same = kind.load(folder / runs[4].path / "numbers.npz")
    np.testing.assert_array_equal(alone.values, same.values)


def test_networks_go_together_where_that_pays():
    small = flipflop_memory.Settings(networks=3, units=32, batch=8)
    assert flipflop_memory.width(small) == 5
    assert flipflop_memory.width(small.model_copy(update={"networks": 40})) == 1
    assert flipflop_memory.width(flipflop_memory.QUICK) == 1


def test_networks_learn_the_same_together_and_alone(monkeypatch):
    """What is measured of each run is that of its own seed."""
    seen = []

    def measured(settings, task, trainings, keys):
        seen.append((trainings, keys))
        return object.__new__(flipflop_memory.Results)

    monkeypatch.setattr(flipflop_memory, "_measured", measured)
    small = flipflop_memory.Settings(bits=1, networks=2, units=4, updates=20, batch=4)
    rows = [small.model_copy(update={"seed": seed}) for seed in (1, 3)]
    flipflop_memory.run_together(rows)
    flipflop_memory.run(rows[1])
    _, (together, keys), (alone, own) = seen
    assert len(together) == len(alone) == 2
    for a, b in zip(together, alone):
        np.testing.assert_allclose(a.losses, b.losses, rtol=1e-6)
        np.testing.assert_allclose(a.system.recurrent, b.system.recurrent, atol=1e-6)
    assert [jr.key_data(k).tolist() for k in keys] == [jr.key_data(k).tolist() for k in own]
