"""Does a sweep that is killed anywhere come to the same end?"""

import contextlib
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest
import sweep_functions
from sweep_functions import cheap

from slowpoint.sweeps.local import Local
from slowpoint.sweeps.manifest import NAME, read_sweep
from slowpoint.sweeps.sweep import sweep

PROGRAM = sweep_functions.__file__


def begin(out, runs, nap):
    words = [sys.executable, PROGRAM, out, runs, nap]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(
        [str(word) for word in words], env=environment, start_new_session=True, **quiet
    )


def workers(process):
    """The processes that do the runs of the sweep `process`."""
    found = []
    for place in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            words = (place / "cmdline").read_text()
        except OSError:
            continue
        if parent == process.pid and "spawn_main" in words:
            found.append(int(place.name))
    return found


def finished(out):
    return len(list(out.glob("runs/[!.]*")))


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.005)


def facts(runs):
    """Everything of the runs that must not depend on what happened to the sweep."""
    return [(run.hash, run.settings, run.status, run.metrics) for run in runs]


def kill(process):
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def check_kills(out, runs, nap, kills, chance):
    """Kill it so often: the parent, before it a worker, or all. Then let it go on."""
    hits = 0
    for number in range(kills):
        process = begin(out, runs, nap)
        aim = min(finished(out) + chance.randint(0, runs // kills), runs - 1)
        live = lambda p=process, a=aim: workers(p) and finished(out) >= a
        wait_for(lambda p=process, live=live: p.poll() is not None or live())
        time.sleep(chance.uniform(0, 2 * nap))
        hands = workers(process)
        if number % 3:
            for hand in hands[: number % 3]:
                kill(hand)
            time.sleep(chance.uniform(0, 4 * nap) * (number % 3 == 1))
        hits += process.poll() is None
        kill(process.pid)
        process.wait(60)
    assert hits > kills // 3, "the kills should have hit live sweeps"
    if begin(out, runs, nap).wait(120):  # runs that an earlier try had as lost are done now
        pytest.fail("nothing killed this one")
    grid = {"seed": range(runs), "nap": nap}
    calm = sweep(cheap, grid, out=out.with_name("calm"), executor=Local(2), quiet=True)
    contents = read_sweep(out)
    assert not contents.notes
    assert facts(contents.runs) == facts(calm.runs)
    assert all(run.status == "done" for run in contents.runs)
    assert sorted(os.listdir(out / "runs")) == sorted(run.hash for run in calm.runs)


needs_proc = pytest.mark.skipif(
    not os.path.isdir("/proc/self"), reason="finds its victims in /proc"
)


@needs_proc
def test_kills_at_random_cost_nothing(tmp_path):
    check_kills(tmp_path / "out", 40, 0.1, 3, random.Random(0))


@needs_proc
@pytest.mark.slow
def test_twenty_kills_cost_nothing(tmp_path):
    check_kills(tmp_path / "out", 100, 0.05, 20, random.Random(1))


@needs_proc
def test_ctrl_c_keeps_what_was_finished_and_leaves_no_process(tmp_path):
    process = begin(tmp_path, 200, 0.05)
    wait_for(lambda: (tmp_path / NAME).exists() and finished(tmp_path) >= 5)
    hands = workers(process)
    os.killpg(process.pid, signal.SIGINT)
    process.wait(30)
    assert len(hands) == 2
    assert not any(os.path.exists(f"/proc/{one}") for one in hands)
    runs = read_sweep(tmp_path).runs
    assert len(runs) == 200
    assert 5 <= sum(run.status == "done" for run in runs) <= finished(tmp_path) < 200


@needs_proc
def test_nobody_works_for_a_dead_parent(tmp_path):
    process = begin(tmp_path, 2, 60.0)
    wait_for(lambda: len(list(tmp_path.glob("runs/.*"))) == 2)
    hands = workers(process)
    kill(process.pid)
    process.wait(30)
    assert len(hands) == 2
    wait_for(lambda: not any(os.path.exists(f"/proc/{one}/exe") for one in hands), 20)
    assert finished(tmp_path) == 0


def test_a_killed_process_costs_the_run_in_it(tmp_path):
    grid = {"seed": range(8), "there": str(tmp_path / "mark")}
    call = lambda: sweep(
        sweep_functions.kills_itself, grid, out=tmp_path / "out", executor=Local(2), quiet=True
    )
    done = call()
    assert [run.seed for run in done.unfinished] == [3]
    assert done.unfinished[0].status == "lost"
    assert "SIGKILL" in done.unfinished[0].says
    assert "1 lost" in str(done)
    again = call()
    assert (again.did, again.unfinished) == (1, [])
    assert again.column("square").tolist() == [seed**2 for seed in range(8)]
    said = (tmp_path / "out" / again.runs[5].path / "output.txt").read_text()
    assert said == "seed 5\n"
