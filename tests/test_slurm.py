"""Does a cluster do what processes of this machine do, and are lost tasks told?

Everywhere by submitit's own executor of this machine; by a real SLURM in a slow test, where
one answers.
"""

import concurrent.futures
import dataclasses
import functools
import os
import shutil
import subprocess
import sys
import time
import types

import pytest
from sweep_functions import all_killed, cheap, kills_itself, long_at_first

from slowpoint.report.sweep_experiment import executor_named
from slowpoint.sweeps import slurm as module
from slowpoint.sweeps.calls import Calls
from slowpoint.sweeps.executors import Event, Executor, Inline
from slowpoint.sweeps.run import waiting
from slowpoint.sweeps.run_folder import read_record, Work
from slowpoint.sweeps.slurm import Slurm
from slowpoint.sweeps.sweep import sweep

NONE = "no SLURM answers here: sinfo shows no node that is free"
HERE = Slurm(cluster="local")


class Dies:
    """A task whose node goes down."""

    def __init__(self, work):
        self.work = work

    def __call__(self, group):
        os._exit(1)


def work_in(folder, does=cheap):
    (folder / "runs").mkdir()
    return Work("cheap", Calls(does), folder)


def gone(executor, work, groups):
    """Tasks that are no longer there when one looks."""
    for i, group in enumerate(groups):
        paths = types.SimpleNamespace(stderr=f"{i}_log.err")
        yield types.SimpleNamespace(job_id=f"7_{i}", paths=paths, done=lambda: True), group


@pytest.fixture
def answering(tmp_path, monkeypatch):
    """`answering(name, script)` puts a program of that name before all others."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")

    def put(name, script):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    return put


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(module, "LOOK", 0.05)
    monkeypatch.setattr(module, "LATE", 0.2)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # they import these functions


@functools.cache
def answers():
    """Whether a SLURM takes jobs here."""
    if not shutil.which("sinfo"):
        return False
    told = subprocess.run(["sinfo", "--noheader"], capture_output=True, text=True, timeout=20)
    return told.returncode == 0 and ("idle" in told.stdout or "mix" in told.stdout)


def facts(done):
    return [(run.settings, run.status, run.metrics) for run in done.runs]


def test_tasks_find_what_a_loop_finds(tmp_path):
    grid = {"seed": range(3), "nap": 0.0}
    calm = sweep(cheap, grid, out=tmp_path / "calm", executor=Inline(), quiet=True)
    done = sweep(cheap, grid, out=tmp_path / "out", executor=HERE, quiet=True)
    assert facts(done) == facts(calm)
    assert done.did == 3
    assert sweep(cheap, grid, out=tmp_path / "out", executor=HERE, quiet=True).did == 0


def test_a_lost_task_is_told_and_done_again(tmp_path):
    grid = {"seed": [1, 3], "there": str(tmp_path / "mark")}
    done = sweep(kills_itself, grid, out=tmp_path / "out", executor=HERE, quiet=True)
    assert [run.status for run in done.runs] == ["done", "lost"]
    assert "ended without a result, see " in done.runs[1].says
    again = sweep(kills_itself, grid, out=tmp_path / "out", executor=HERE, quiet=True)
    assert [run.status for run in again.runs] == ["done", "done"]
    assert again.did == 1
    assert (tmp_path / "out" / again.runs[1].path / "output.txt").read_text() == "seed 3\n"


def test_a_group_is_one_task_and_lost_as_one(tmp_path):
    grid = {"seed": range(4), "there": str(tmp_path / "mark")}
    two = dataclasses.replace(HERE, at_once=2)
    how = {"together": "seed", "width": 2, "executor": two, "quiet": True}
    done = sweep(all_killed, grid, out=tmp_path / "out", **how)
    lost = [run for run in done.runs if run.status == "lost"]
    assert len(lost) == 2
    assert 3 in [run.settings["seed"] for run in lost]
    assert lost[0].says == lost[1].says
    again = sweep(all_killed, grid, out=tmp_path / "out", **how)
    assert again.did == 2
    assert again.column("square").tolist() == [0, 1, 4, 9]
    assert again.column("width").tolist() == [2] * 4
    assert len(list((tmp_path / "out" / "slurm").glob("*submitted.pkl"))) == 3


def test_a_failure_of_before_is_not_taken_for_the_new_try(tmp_path, monkeypatch):
    grid = {"seed": [2], "there": str(tmp_path / "no" / "mark")}
    bad = sweep(kills_itself, {**grid, "seed": [3]}, out=tmp_path, executor=HERE, quiet=True)
    assert bad.runs[0].status == "failed"
    assert "FileNotFoundError" in bad.runs[0].says
    monkeypatch.setattr(module, "_Task", Dies)
    lost = sweep(kills_itself, {**grid, "seed": [3]}, out=tmp_path, executor=HERE, quiet=True)
    assert lost.runs[0].status == "lost"


def test_tasks_that_are_lost_together_are_told_together(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LATE", 0.5)
    monkeypatch.setattr(module, "_submit", gone)
    begin = time.monotonic()
    events = HERE.events(work_in(tmp_path), [(waiting({"seed": i}),) for i in range(20)])
    told = [event.run.status for event in events if event and event.kind == "ended"]
    assert told == ["lost"] * 20
    assert 0.5 <= time.monotonic() - begin < 5.0


def test_what_waits_in_the_queue_has_not_begun(tmp_path, monkeypatch):
    looks = iter([{"7_0": "PD"}, {"7_0": "PD"}, {"7_0": "R"}])
    monkeypatch.setattr(module, "_alive", lambda jobs: next(looks, {}))
    monkeypatch.setattr(module, "_submit", gone)
    events = HERE.events(work_in(tmp_path), [(waiting({"seed": 1}),)])
    kinds = [event and event.kind for event in events]
    assert kinds[:4] == [None, None, "began", None]
    assert kinds.count("began") == kinds.count("ended") == 1


def test_a_record_that_is_seen_late_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LATE", 60.0)
    monkeypatch.setattr(module, "_submit", gone)
    work, run = work_in(tmp_path), waiting({"seed": 1})
    events = HERE.events(work, [(run,)])
    assert next(events) == Event("began", run)
    assert next(events) is None
    work((run,))
    ended = next(event for event in events if event)
    assert (ended.kind, ended.run.status) == ("ended", "done")


def test_a_group_waits_for_its_last_record(tmp_path):
    work, group = work_in(tmp_path), (waiting({"seed": 1}), waiting({"seed": 2}))
    job, _ = next(gone(None, work, [group]))
    assert module._ended(work, job, group, late=False) == []
    work(group[:1])
    assert module._ended(work, job, group, late=False) == []
    late = module._ended(work, job, group, late=True)
    assert [run.status for run in late] == ["done", "lost"]
    work(group[1:])
    assert [run.status for run in module._ended(work, job, group, late=False)] == ["done"] * 2


def test_what_is_taken_back_leaves_no_result_and_begins_anew(tmp_path):
    later = []

    def taken_back_once(seed):
        if not later:
            later.append(task.checkpoint((run,)))
            sys.exit(-1)  # as submitit does, in the middle of the run
        return cheap(seed)

    task, run = module._Task(work_in(tmp_path, taken_back_once)), waiting({"seed": 1})
    task((run,))
    assert not list((tmp_path / "runs").iterdir())
    later[0].result()
    record = read_record(tmp_path / run.path)
    assert record
    assert record[1].status == "done"


def test_what_a_killed_process_left_in_the_queue_is_cancelled_first(
    tmp_path, monkeypatch, answering
):
    log, left = tmp_path / "log", tmp_path / "left"
    left.touch()
    answering("sbatch", "")
    answering("srun", "")
    answering("scancel", f'echo scancel "$@" >> {log}')
    answering("squeue", f'echo squeue "$@" >> {log}; if [ -e {left} ]; then echo 7_0; fi')

    def submit(executor, work, groups):
        log.write_text(f"{log.read_text()}submit\n")
        return gone(executor, work, groups)

    monkeypatch.setattr(module, "_submit", submit)
    run = waiting({"seed": 1})
    events = Slurm().events(work_in(tmp_path), [(run,)])
    assert next(events) is None
    assert next(events) is None
    title = module._title(tmp_path)
    assert log.read_text().splitlines()[0] == f"scancel --name={title}"
    assert "submit" not in log.read_text()
    left.unlink()
    assert next(events) == Event("began", run)
    assert log.read_text().count("submit") == 1
    log.write_text("")
    events.close()
    assert f"scancel --name={title}" in log.read_text()


@pytest.mark.parametrize(
    ("script", "there"), [("", False), ("echo 7_0", True), ("exit 1", True)]
)
def test_no_answer_is_not_an_empty_queue(script, there, answering):
    answering("scancel", "exit 1")
    answering("squeue", script)
    assert module._cancel("slowpoint-of-nobody") == there


def test_sweeps_of_other_folders_have_other_names(tmp_path):
    assert module._title(tmp_path / "a") != module._title(tmp_path / "b")


def test_what_slurm_refuses_is_said_in_its_own_words(tmp_path, answering):
    answering("sbatch", "printf 'invalid partition specified: nope\\nfailed\\n' >&2; exit 1")
    answering("srun", "")
    answering("scancel", "")
    answering("squeue", "")
    executor = Slurm(partition="nope")
    with pytest.raises(ValueError, match=r"no tasks: .*specified: nope\. `sinfo`"):
        sweep(cheap, {"seed": [1, 2]}, out=tmp_path / "out", executor=executor, quiet=True)


# submitit does not wait for the processes that it interrupts
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_is_closed_is_cancelled(tmp_path):
    (tmp_path / "runs").mkdir()
    run = waiting({"seed": 1, "nap": 60.0})
    events = HERE.events(Work("cheap", Calls(cheap), tmp_path), [(run,)])
    began = next(events)
    assert began == Event("began", run)
    events.close()
    frame = [line for line in _processes() if str(tmp_path) in line]
    assert not frame


def _processes(seconds=20.0):
    """The command lines of all processes, once those that were interrupted had time to end."""
    import pathlib

    end = time.monotonic() + seconds
    while True:
        lines = []
        for place in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                lines.append((place / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
        ours = [line for line in lines if "submitit" in line]
        if not ours or time.monotonic() > end:
            return lines
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("word", "made"),
    [
        ("slurm", Slurm()),
        ("slurm:partition=short,minutes=30", Slurm(partition="short", minutes=30)),
        ("slurm:memory=1.5,cluster=local", Slurm(memory=1.5, cluster="local")),
    ],
)
def test_the_command_line_asks_for_it(word, made):
    found = executor_named(word)
    assert found == made
    assert isinstance(found, Executor)
    assert executor_named(word, 7).at_once == 7


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("slurm:minuts=3", "Did you mean 'minutes'?"),
        ("slurm:minutes=long", "minutes='long': Input should be a valid integer"),
        ("slurn", "Did you mean 'slurm'?"),
    ],
)
def test_what_there_is_not_is_said(word, says):
    with pytest.raises(ValueError, match=says):
        executor_named(word)


def test_without_slurm_one_is_told_what_to_type(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match=r"no sbatch.*--executor local"):
        sweep(cheap, {"seed": [1], "nap": 0.0}, out=tmp_path, executor=Slurm(), quiet=True)


def test_where_nothing_is_missing_no_slurm_is_needed(tmp_path, monkeypatch):
    grid = {"seed": [1], "nap": 0.0}
    sweep(cheap, grid, out=tmp_path, executor=Inline(), quiet=True)
    monkeypatch.setenv("PATH", "")
    assert sweep(cheap, grid, out=tmp_path, executor=Slurm(), quiet=True).did == 0


def test_without_submitit_one_is_told_what_to_type(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(ValueError, match=r"pip install 'slowpoint\[slurm\]'"):
        sweep(cheap, {"seed": [1], "nap": 0.0}, out=tmp_path, executor=HERE, quiet=True)


@pytest.mark.parametrize(
    ("told", "states"),
    [
        ((0, "7_0 R\n7_1 PD\n", ""), {"7_0": "R", "7_1": "PD"}),
        ((1, "", "slurm_load_jobs error: Invalid job id specified"), {}),
        ((1, "", "Unable to contact slurm controller"), {"7_0": "PD", "7_1": "PD"}),
    ],
)
def test_no_answer_of_the_queue_is_no_news(told, states, monkeypatch):
    answer = subprocess.CompletedProcess([], told[0], told[1], told[2])
    monkeypatch.setattr(module.subprocess, "run", lambda words, **_: answer)
    assert module._queue({"7_0": None, "7_1": None}) == states


@pytest.mark.slow
def test_a_real_slurm_does_the_runs_and_tells_what_is_lost(tmp_path):
    if not answers():
        pytest.skip(NONE)
    grid = {"seed": range(8), "nap": 0.5}
    calm = sweep(cheap, grid, out=tmp_path / "calm", executor=Inline(), quiet=True)
    done = sweep(cheap, grid, out=tmp_path / "out", executor=Slurm(2, minutes=5), quiet=True)
    assert facts(done) == facts(calm)
    grid = {"seed": [1, 3], "there": str(tmp_path / "mark")}
    done = sweep(kills_itself, grid, out=tmp_path / "lost", executor=Slurm(), quiet=True)
    assert [run.status for run in done.runs] == ["done", "lost"]
    grid = {"seed": range(4), "there": str(tmp_path / "mark")}  # which is there now
    how = {"together": "seed", "width": 2, "executor": Slurm(2, minutes=5), "quiet": True}
    done = sweep(all_killed, grid, out=tmp_path / "groups", **how)
    assert done.column("width").tolist() == [2] * 4


@pytest.mark.slow
def test_a_real_slurm_does_again_what_it_took_back(tmp_path):
    if not answers():
        pytest.skip(NONE)
    mark, out = tmp_path / "mark", tmp_path / "out"
    grid = {"seed": [1], "there": str(mark)}
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        soon = pool.submit(sweep, long_at_first, grid, out=out, executor=Slurm(), quiet=True)
        end = time.monotonic() + 60
        while not mark.exists() and time.monotonic() < end:
            time.sleep(0.2)
        (log,) = (out / "slurm").glob("*_log.out")
        task = log.name.removesuffix("_0_log.out")
        subprocess.run(["scancel", "--signal=USR2", task], check=True)
        done = soon.result(300)
    assert [run.status for run in done.runs] == ["done"]
    assert "requeue" in log.with_suffix(".err").read_text().lower()


@pytest.mark.slow
def test_a_real_slurm_is_rid_of_what_a_killed_process_left(tmp_path):
    if not answers():
        pytest.skip(NONE)
    code = (
        "from sweep_functions import cheap; from slowpoint.sweeps.slurm import Slurm; "
        "from slowpoint.sweeps.sweep import sweep; "
        f"sweep(cheap, {{'seed': [1, 2, 3], 'nap': 5.0}}, out={str(tmp_path)!r}, "
        "executor=Slurm(1, minutes=5), quiet=True)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    end = time.monotonic() + 60
    while not list((tmp_path / "runs").glob(".*")) and time.monotonic() < end:
        time.sleep(0.1)
    parent.kill()
    parent.wait()
    grid = {"seed": [1, 2, 3], "nap": 5.0}
    done = sweep(cheap, grid, out=tmp_path, executor=Slurm(1, minutes=5), quiet=True)
    assert [run.status for run in done.runs] == ["done"] * 3
    words = ["squeue", "--noheader", f"--name={module._title(tmp_path)}"]
    assert not subprocess.run(words, capture_output=True, text=True).stdout
    # the tasks of the killed process that waited never began
    logs = [path.name for path in (tmp_path / "slurm").glob("*_log.out")]
    assert len(logs) == 1 + done.did
