"""Does `slowpoint sweep` run an experiment on a grid, and say so when it cannot?"""

import csv
import json
import os
import pathlib
import sys

import pytest
from test_cli import call, contents, toy  # noqa: F401

from slowpoint.sweeps.lock import holding
from slowpoint.sweeps.manifest import read_sweep

FOLDER = pathlib.Path("runs/toy_numbers_sweep")
pytestmark = pytest.mark.usefixtures("toy")


def sweep(*words):
    return call("sweep", "toy_numbers", "--executor", "inline", "--quiet", *words)


def test_every_choice_becomes_a_run_with_its_claims():
    done = sweep("--grid", "count=2,8", "--grid", "seed=0..2", "--set", "fault=none")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == ["6 runs: 6 done; 6 run now.", str(FOLDER)]
    runs = read_sweep(FOLDER).runs
    assert [(run.settings["count"], run.seed) for run in runs] == [
        (count, seed) for count in (2, 8) for seed in range(3)
    ]
    assert runs[0].metrics == {"there are some": 2.0, "there are eight": 2.0}
    assert runs[0].broken == ["there are some", "there are eight"]
    assert runs[5].verdicts == {"there are some": "holds", "there are eight": "holds"}
    files = set(os.listdir(FOLDER / runs[0].path))
    assert files >= {"settings.json", "about.json", "claims.json", "numbers.npz", "record.json"}
    settings = json.loads((FOLDER / runs[4].path / "settings.json").read_text())
    assert settings == {"seed": 1, "count": 8, "fault": "none"}
    assert json.loads((FOLDER / runs[4].path / "about.json").read_text())["scale"] == "full"


def test_claims_of_one_name_are_told_apart():
    import slowpoint.experiments

    file = pathlib.Path(slowpoint.experiments.__path__[-1]) / "toy_numbers.py"
    file.write_text(file.read_text().replace("there are eight", "there are some"))
    sweep("--grid", "count=2")
    assert read_sweep(FOLDER).runs[0].metrics == {
        "there are some": 2.0,
        "there are some (2)": 2.0,
    }


def test_again_there_is_nothing_to_do_and_nothing_is_imported():
    words = ["--quick", "--grid", "seed=0..2"]
    sweep(*words)
    before = contents(FOLDER / "runs")
    del sys.modules["slowpoint.experiments.toy_numbers"]
    again = sweep(*words)
    assert again.stdout.splitlines()[0] == "3 runs: 3 done; nothing to do."
    assert "slowpoint.experiments.toy_numbers" not in sys.modules
    assert contents(FOLDER / "runs") == before
    more = sweep("--quick", "--grid", "seed=0..4")
    assert more.stdout.splitlines()[0] == "5 runs: 5 done; 2 run now."
    fewer = sweep(*words)
    assert fewer.stdout.splitlines()[0] == "3 runs: 3 done; nothing to do."


def test_a_changed_experiment_is_asked_again():
    import slowpoint.experiments

    words = ["--grid", "seed=0..2"]
    sweep(*words)
    file = pathlib.Path(slowpoint.experiments.__path__[-1]) / "toy_numbers.py"
    file.write_text(file.read_text().replace("count: int = 8", "count: int = 9"))
    del sys.modules["slowpoint.experiments.toy_numbers"]
    assert sweep(*words).stdout.splitlines()[0] == "3 runs: 3 done; 3 run now."


def test_a_run_that_fails_ends_with_1_and_the_others_stay():
    done = sweep("--grid", "fault=bug,none,misuse")
    assert done.exit_code == 1
    assert "3 runs: 2 failed, 1 done; 3 run now." in done.stdout
    assert "failed: fault=misuse: ValueError: count is odd. Give an even one." in done.stdout
    assert "Traceback" not in done.output


def test_the_table_is_collected_without_a_run():
    sweep("--quick", "--grid", "count=2,4")
    shown = call("sweep", "toy_numbers", "--collect").stdout.splitlines()
    assert shown[0].startswith(
        "done     count=2: 0 of 2 claims hold, fails: there are some (2)"
    )
    assert shown[1].startswith("done     count=4: 1 of 2 claims hold, ")
    assert shown[2] == str(FOLDER / "table.csv")
    with (FOLDER / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["count"], row["there are some"], row["fails"]) for row in rows] == [
        ("2", "2.0", "there are some"),
        ("4", "4.0", ""),
    ]


@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [
        ("full disk", 2, "No space left on device"),
        ("stop", 130, "2 of 4 runs are there and stay. An earlier run is as it was."),
    ],
)
def test_what_ends_a_sweep_is_said(fault, code, says):
    sweep("--grid", "fault=none", "--grid", "seed=0..1")
    done = sweep("--grid", f"fault=none,{fault}", "--grid", "seed=0..1")
    assert done.exit_code == code
    assert says in done.stderr
    if code == 130:
        assert f"slowpoint sweep toy_numbers --grid fault=none,{fault} " in done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "A sweep needs a grid. Type for example: --grid units=32,64"),
        (["--grid", "cuont=1,2"], "Did you mean 'count'?"),
        (["--grid", "seed=-2,1"], "seed='-2': Input should be greater than or equal to 0. The"),
        (["--grid", "seed=1", "--set", "seed=2"], "seed is in --set and in --grid."),
        (["--grid", "seed=1", "--executor", "slurm:minuts=3"], "Did you mean 'minutes'?"),
        (["--grid", "seed=1", "--executor", "lokal"], "Did you mean 'local'?"),
        (["--collect"], "There is no sweep in runs/toy_numbers_sweep."),
    ],
)
def test_bad_words_end_with_2_and_a_sentence(toy, words, says):  # noqa: F811
    done = sweep(*words)
    assert done.exit_code == 2
    assert says in done.stderr
    assert not contents(toy)


def test_folders_of_others_are_refused():
    sweep("--grid", "seed=0")
    quick = sweep("--quick", "--grid", "seed=0")
    assert quick.exit_code == 2
    assert "holds a sweep of toy_numbers, full, not of toy_numbers, quick" in quick.stderr
    other = call("sweep", "bistable_points", "--collect", "--out", FOLDER)
    assert "not of bistable_points" in other.stderr
    with holding(FOLDER):
        busy = sweep("--grid", "seed=1")
    assert f"in use by a sweep: process {os.getpid()}" in busy.stderr
