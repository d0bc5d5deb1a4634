"""Does a sweep do each run once, keep what it found, and refuse what makes no sense?"""

import contextlib
import csv
import errno
import fcntl
import json
import math
import os
import pathlib
import shutil
import socket
import sqlite3
import subprocess
import sys

import numpy as np
import pytest
import sweep_functions
from hypothesis import given, settings, strategies as st
from jaxtyping import Float64

from slowpoint.core.result import Result
from slowpoint.sweeps import lock
from slowpoint.sweeps.collect import collect, told
from slowpoint.sweeps.grid import combinations, read_axes
from slowpoint.sweeps.local import Local
from slowpoint.sweeps.lock import holding
from slowpoint.sweeps.manifest import NAME, read_sweep
from slowpoint.sweeps.run_folder import RECORD
from slowpoint.sweeps.sweep import sweep

JOURNAL = f"{NAME}-journal"


class Counted:
    """`x + seed`, NaN at x = 2, an error at x = 3 while `broken`; counts its calls."""

    def __init__(self):
        self.calls, self.broken = [], True

    def fn(self, x: int, seed: int = 0) -> dict[str, float]:
        self.calls.append((x, seed))
        if x == 3 and self.broken:
            raise RuntimeError("three\nis too many")
        return {"sum": math.nan if x == 2 else float(x + seed)}


@pytest.fixture
def counted():
    return Counted()


@pytest.fixture
def once(counted, tmp_path):
    """Runs a sweep of `counted.fn` here."""
    return lambda grid, out=tmp_path / "out": sweep(counted.fn, grid, out=out, quiet=True)


# ---------------------------------------------------------------- the grid


@given(low=st.integers(-50, 50), size=st.integers(1, 20), more=st.lists(st.integers(0, 9)))
def test_ranges_include_both_ends(low, size, more):
    high = low + size - 1
    words = ",".join([f"{low}..{high}", *map(str, more)])
    expected = [str(i) for i in (*range(low, high + 1), *more)]
    assert read_axes([f"seed={words}"]) == {"seed": expected}


def test_a_comma_in_brackets_parts_nothing():
    axes = read_axes(["loads=(1,2),(3,4)", "k=[1, 2], 3", "folder=../nets,a=b"])
    assert axes == {
        "loads": ["(1,2)", "(3,4)"],
        "k": ["[1, 2]", "3"],
        "folder": ["../nets", "a=b"],
    }


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["seed"], "seed=0..49"),
        (["=3"], "KEY=VALUES"),
        (["seed="], "holds no value"),
        (["seed=5..1"], "lower to a higher"),
        (["rate=0.1..0.5"], "whole number"),
        (["seed=1.."], "whole number"),
        (["seed=0..4", "seed=7"], "seed came twice"),
        (["seed=0..99999999"], "100,000,000 runs"),
    ],
)
def test_words_that_are_no_grid_are_refused(words, says):
    with pytest.raises(ValueError, match=says):
        read_axes(words)


def test_the_last_name_varies_first():
    rows = list(combinations({"a": [1, 2], "b": "xy"}))
    assert [(row["a"], row["b"]) for row in rows] == [(1, "x"), (1, "y"), (2, "x"), (2, "y")]
    for axes in ({"a": range(1001), "b": range(1000)}, {"a": []}):
        with pytest.raises(ValueError, match="1 to 1,000,000"):
            combinations(axes)


@pytest.mark.parametrize(
    ("grid", "says"),
    [
        ({"sede": [1], "x": 1}, "Did you mean 'seed'"),
        ({"seed": [1]}, "also needs x"),
        ({"x": [1, 2.5]}, r"x=2.5: .* nearest is x=2"),
        ({"x": ["many"]}, "x='many'"),
        ({"x": 1, "seed": []}, "0 runs"),
    ],
)
def test_nothing_runs_when_a_setting_is_wrong(counted, once, tmp_path, grid, says):
    with pytest.raises(ValueError, match=says):
        once(grid)
    assert not counted.calls
    assert not list(tmp_path.iterdir())


def test_settings_that_no_file_can_hold_are_refused(tmp_path):
    with pytest.raises(ValueError, match="build what is larger inside the function"):
        sweep(lambda x: 0, {"x": [object()]}, out=tmp_path / "out")


# ---------------------------------------------------------------- what a run leaves behind


class Pair(Result):
    best: float
    values: Float64[np.ndarray, " value"]


def answers(kind: str):
    if kind == "result":
        return Pair(2.5, np.arange(3.0))
    return {"number": 3, "numpy": np.float32(0.5), "bool": True, "none": None}[kind]


def test_a_run_leaves_what_the_function_returned(tmp_path):
    kinds = ["number", "numpy", "bool", "result", "none"]
    done = sweep(answers, {"kind": kinds}, out=tmp_path, quiet=True)
    *good, wrong = done.runs
    assert [run.metrics for run in good] == [
        {"value": 3.0},
        {"value": 0.5},
        {"value": 1.0},
        {"best": 2.5},
    ]
    assert Pair.load(tmp_path / good[-1].path / "result.npz").values.tolist() == [0, 1, 2]
    assert wrong.status == "failed"
    assert "returned a NoneType" in wrong.says


def test_the_record_holds_all_that_is_known(once, tmp_path):
    done = once({"x": [1, 2, 3], "seed": 7})
    one, nan, failed = done.runs
    assert [run.status for run in done.runs] == ["done", "nan", "failed"]
    assert one.settings == {"x": 1, "seed": 7}
    assert (one.seed, one.metrics) == (7, {"sum": 8.0})
    assert one.versions["numpy"] == np.__version__
    assert failed.says == "RuntimeError: three"
    assert "is too many" in (tmp_path / "out" / failed.path / "traceback.txt").read_text()
    record = json.loads((tmp_path / "out" / nan.path / RECORD).read_text())
    assert record["metrics"] == {"sum": "nan"}  # no reader of JSON stumbles
    assert [run.status for run in read_sweep(tmp_path / "out").runs] == [
        "done",
        "nan",
        "failed",
    ]
    with sqlite3.connect(tmp_path / "out" / NAME) as database:  # for those who know SQL
        rows = database.execute("SELECT seed, status, path FROM runs").fetchall()
    assert rows == [(7, run.status, f"runs/{run.hash}") for run in done.runs]


def test_columns_are_numbers(once):
    done = once({"x": [1, 2, 3], "seed": [0, 1]})
    assert done.column("x").tolist() == [1, 1, 2, 2, 3, 3]
    assert done.column("sum")[:2].tolist() == [1, 2]
    assert np.isnan(done.column("sum")[2:]).all()
    with pytest.raises(ValueError, match="There is: seed, sum, x"):
        done.column("some")
    assert "6 runs: 2 done, 2 nan, 2 failed; 6 run now." in str(done)
    assert "failed: x=3, seed=1: RuntimeError: three" in str(done)


# ---------------------------------------------------------------- again


def test_again_does_only_what_is_missing_or_failed(counted, once):
    grid = {"x": [1, 2, 3], "seed": range(3)}
    first = once(grid)
    assert sorted(counted.calls) == [(x, seed) for x in (1, 2, 3) for seed in range(3)]
    counted.calls.clear()
    counted.broken = False
    second = once(grid)
    assert sorted(counted.calls) == [(3, 0), (3, 1), (3, 2)]
    assert second.did == 3
    assert not second.unfinished
    assert [run.hash for run in second.runs] == [run.hash for run in first.runs]
    counted.calls.clear()
    assert "nothing to do" in str(once(grid))
    assert not counted.calls


@settings(max_examples=15, deadline=None)
@given(
    parts=st.lists(st.lists(st.integers(4, 9), min_size=1, max_size=4), min_size=1, max_size=4)
)
def test_in_whatever_parts_it_is_asked_every_run_is_done_once(tmp_path_factory, parts):
    counted, out = Counted(), tmp_path_factory.mktemp("parts")
    for part in parts:
        done = sweep(counted.fn, {"x": part}, out=out, quiet=True)
        assert [run.settings["x"] for run in done.runs] == list(dict.fromkeys(part))
    wanted = list(dict.fromkeys(x for part in parts for x in part))
    assert sorted(x for x, _ in counted.calls) == sorted(wanted)
    assert [run.settings["x"] for run in read_sweep(out).runs] == wanted


def test_runs_come_in_no_order_of_the_grid(counted, once):
    once({"x": range(10, 40)})  # else the first would not tell how long the others take
    called = [x for x, _ in counted.calls]
    assert abs(np.corrcoef(called, range(30))[0, 1]) < 0.5


def test_a_run_whose_folder_is_gone_is_done_again(counted, once, tmp_path):
    done = once({"x": [1, 4]})
    shutil.rmtree(tmp_path / "out" / done.runs[0].path)
    (tmp_path / "out" / "runs" / ".half-a-run").mkdir()
    counted.calls.clear()
    once({"x": [1, 4]})
    assert counted.calls == [(1, 0)]
    assert sorted(os.listdir(tmp_path / "out" / "runs")) == sorted(r.hash for r in done.runs)


def forget(path):
    """What a parent leaves that was killed before it could write."""
    with sqlite3.connect(path) as database:
        database.execute("UPDATE runs SET status='waiting', metrics='{}'")


def test_what_the_manifest_missed_is_read_from_the_folders(counted, once, tmp_path):
    first = once({"x": [1, 2, 4]})
    forget(tmp_path / "out" / NAME)
    counted.calls.clear()
    again = once({"x": [1, 2, 4]})
    assert not counted.calls
    assert again.column("sum")[[0, 2]].tolist() == [1, 4]
    assert repr(again.runs) == repr(first.runs)
    assert repr(read_sweep(tmp_path / "out").runs) == repr(first.runs)


@pytest.mark.parametrize(
    "damage", ["cut", "zeros", "index", "words", "columns", "settings", "gone"]
)
def test_a_damaged_manifest_is_made_again(counted, once, tmp_path, damage):
    first = once({"x": range(4, 40)})
    path = tmp_path / "out" / NAME
    whole = path.read_bytes()
    if damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "zeros":
        path.write_bytes(whole[:4096] + bytes(len(whole) - 4096))
    elif damage == "index":  # reading all rows does not meet it
        with contextlib.closing(sqlite3.connect(path)) as database:
            find = "SELECT rootpage FROM sqlite_master WHERE type='index'"
            page = 4096 * (database.execute(find).fetchone()[0] - 1)
        path.write_bytes(whole[:page] + bytes(4096) + whole[page + 4096 :])
    elif damage == "words":
        path.write_text("runs: all\n")
    elif damage == "gone":
        path.unlink()
    else:
        with sqlite3.connect(path) as database:
            damages = {
                "columns": "ALTER TABLE runs RENAME COLUMN says TO said",
                "settings": "UPDATE runs SET settings='{' WHERE number=7",
            }
            database.execute(damages[damage])
    counted.calls.clear()
    again = once({"x": range(4, 40)})
    assert not counted.calls
    assert again.column("sum").tolist() == first.column("sum").tolist()
    assert "36 runs were read from their folders" in str(again)
    assert path.with_name(f"{NAME}.damaged").exists() == (damage != "gone")
    assert "read from" not in str(once({"x": range(4, 40)}))


def test_a_record_that_cannot_be_read_is_made_again(counted, once, tmp_path):
    done = once({"x": [1, 4]})
    (tmp_path / "out" / NAME).unlink()
    (tmp_path / "out" / done.runs[1].path / RECORD).write_text("{")
    counted.calls.clear()
    assert "1 could not be read" in str(once({"x": [1, 4]}))
    assert counted.calls == [(4, 0)]


@pytest.mark.parametrize("manifest", [True, False])
def test_the_folder_of_another_sweep_is_refused(once, tmp_path, manifest):
    out = tmp_path / "out"
    once({"x": [1]})
    if not manifest:
        (out / NAME).unlink()
    before = sorted(path for path in out.rglob("*"))
    with pytest.raises(ValueError, match=r"holds a sweep of .*Counted\.fn, not of .*answers"):
        sweep(answers, {"kind": "number"}, out=out, quiet=True)
    assert sorted(path for path in out.rglob("*")) == before


# ---------------------------------------------------------------- one at a time


def test_a_folder_in_use_is_refused_by_name(counted, once, tmp_path):
    (tmp_path / "out").mkdir()
    says = f"process {os.getpid()} on {socket.gethostname()}"
    with holding(tmp_path / "out"), pytest.raises(ValueError, match=says):
        once({"x": [1]})
    assert not counted.calls
    assert once({"x": [1]}).did == 1


def no_locks(file, flags):
    raise OSError(errno.ENOLCK, "no locks here")


@pytest.mark.parametrize("locks", [True, False])
def test_the_lock_of_a_dead_process_is_taken_over(once, tmp_path, monkeypatch, locks):
    if not locks:
        monkeypatch.setattr(lock.fcntl, "flock", no_locks)
    (tmp_path / "out").mkdir()
    holder = {"process": 2**22 + 1, "host": socket.gethostname()}
    (tmp_path / "out" / "lock").write_text(json.dumps(holder))
    assert once({"x": [1]}).did == 1
    assert once({"x": [4]}).did == 1


@pytest.mark.parametrize("host", ["another-host", socket.gethostname()])
def test_without_locks_of_the_system_the_words_count(once, tmp_path, monkeypatch, host):
    monkeypatch.setattr(fcntl, "flock", no_locks)
    (tmp_path / "out").mkdir()
    holder = {"process": os.getpid(), "host": host}
    (tmp_path / "out" / "lock").write_text(json.dumps(holder))
    with pytest.raises(ValueError, match=f"process {os.getpid()} on {host}"):
        once({"x": [1]})


# ---------------------------------------------------------------- what ends a sweep


class Stops(Counted):
    """`Counted` that raises `error` at its third call."""

    def __init__(self, error):
        Counted.__init__(self)
        self.error = error

    def fn(self, x: int) -> float:
        self.calls.append(x)
        if len(self.calls) == 3:
            raise self.error
        return float(x)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left"),
        (KeyboardInterrupt(), r"2 of 6 runs are there and stay\. "),
    ],
    ids=["full disk", "Ctrl-C"],
)
def test_what_was_finished_stays(tmp_path, error, says):
    stops = Stops(error)
    grid = {"x": range(6)}
    with pytest.raises(type(error), match=says):
        sweep(stops.fn, grid, out=tmp_path, quiet=True)
    statuses = [run.status for run in read_sweep(tmp_path).runs]
    assert sorted(statuses) == ["done"] * 2 + ["waiting"] * 4
    done = sweep(stops.fn, grid, out=tmp_path, quiet=True)
    assert done.did == 4
    assert len(stops.calls) == 7
    assert done.column("value").tolist() == list(range(6))
    assert len(os.listdir(tmp_path / "runs")) == 6


def test_a_manifest_that_cannot_be_written_is_an_oserror(once, tmp_path, monkeypatch):
    out = tmp_path / "out"
    once({"x": [1]})
    database = sqlite3.connect(out / NAME)
    database.execute("BEGIN EXCLUSIVE")
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **k, timeout=0.01))
    with pytest.raises(OSError, match="manifest"):
        once({"x": [1, 4]})
    database.close()
    assert [run.status for run in once({"x": [1, 4]}).runs] == ["done", "done"]


def test_a_write_that_was_cut_short_is_undone(once, tmp_path):
    first = once({"x": range(4, 200)})
    path = tmp_path / "out" / NAME
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA cache_size=2")  # pages reach the file before the commit
        database.execute("UPDATE runs SET status='lost', says=hex(randomblob(200))")
        kept = {name: (tmp_path / "out" / name).read_bytes() for name in (NAME, JOURNAL)}
    path.with_name(JOURNAL).write_bytes(kept[JOURNAL])
    path.write_bytes(kept[NAME])
    assert b"lost" in kept[NAME]
    contents = read_sweep(tmp_path / "out")
    assert not contents.notes
    assert contents.runs == first.runs


def test_a_full_disk_in_a_process_ends_the_sweep(tmp_path):
    grid = {"seed": range(50)}
    with pytest.raises(OSError, match="No space left") as caught:
        sweep(sweep_functions.full, grid, out=tmp_path, executor=Local(1), quiet=True)
    assert caught.value.errno == errno.ENOSPC
    assert os.listdir(tmp_path / "runs") == []


def test_processes_leave_nothing_behind(tmp_path):
    words = (
        "from sweep_functions import shows_a_bar; from slowpoint.sweeps.local import Local; "
        "from slowpoint.sweeps.sweep import sweep; "
        f"done = sweep(shows_a_bar, {{'seed': [3]}}, out={str(tmp_path)!r}, executor=Local(1), "
        "quiet=True); print(done.runs[0].status)"
    )
    here = pathlib.Path(__file__).parent
    program = [sys.executable, "-c", words]
    told = subprocess.run(program, cwd=here, capture_output=True, text=True)
    assert (told.stdout, told.stderr) == ("done\n", "")


def test_a_function_that_no_process_can_import_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"executor=Inline\(\)"):
        sweep(lambda x: x, {"x": [1]}, out=tmp_path, executor=Local(1), quiet=True)
    with pytest.raises(ValueError, match="1 or more"):
        sweep(sweep_functions.cheap, {"seed": 1}, out=tmp_path / "b", executor=Local(0))


# ---------------------------------------------------------------- one table


def test_the_table_holds_every_run(once, tmp_path):
    once({"x": [1, 2, 3], "seed": [5, 6]})
    contents, paths = collect(tmp_path / "out")
    with (tmp_path / "out" / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert paths[0] == tmp_path / "out" / "table.csv"
    assert [row["x"] for row in rows] == ["1", "1", "2", "2", "3", "3"]
    assert [row["sum"] for row in rows] == ["6.0", "7.0", "nan", "nan", "", ""]
    assert [row["hash"] for row in rows] == [run.hash for run in contents.runs]
    lines = told(tmp_path / "out", "")
    assert lines[0].startswith("done     x=1, seed=5: sum 6, ")
    assert lines[4].startswith("failed   x=3, seed=5: RuntimeError: three")
    assert lines[6:] == list(map(str, paths))


def test_other_tables_hold_the_same(once, tmp_path):
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    done = once({"x": [1, 3], "seed": [5, 6]})
    collect(tmp_path / "out")
    with xarray.open_dataset(tmp_path / "out" / "table.nc", engine="h5netcdf") as table:
        assert table["seed"].values.tolist() == [5, 6, 5, 6]
        assert np.array_equal(table["sum"].values, done.column("sum"), equal_nan=True)


def test_a_metric_may_be_called_like_a_setting(tmp_path):
    sweep(lambda x: {"x": 2 * x}, {"x": [1, 2]}, out=tmp_path, quiet=True)
    collect(tmp_path)
    head, *rows = (tmp_path / "table.csv").read_text().splitlines()
    assert head == "hash,status,seconds,x,x (found),fails,says"
    assert [row.split(",")[3:5] for row in rows] == [["1", "2.0"], ["2", "4.0"]]


def test_a_folder_without_a_sweep_is_said(tmp_path):
    with pytest.raises(ValueError, match="There is no sweep"):
        collect(pathlib.Path(tmp_path))
