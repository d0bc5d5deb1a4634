"""Does a sweep say how long it will take, and which of its runs are in trouble?"""

import dataclasses
import heapq
import io

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from slowpoint.sweeps import progress as module
from slowpoint.sweeps.executors import Event
from slowpoint.sweeps.progress import in_words, Progress, time_left
from slowpoint.sweeps.run import waiting


def at_a_tenth(seconds, at_once):
    """`(guess, truth)` of the time left when a tenth of the runs is done."""
    hands, ends = [0.0] * at_once, []
    for taken in seconds:
        begun = heapq.heappop(hands)
        heapq.heappush(hands, begun + taken)
        ends.append((begun, begun + taken))
    now = sorted(end for _, end in ends)[len(ends) // 10 - 1]
    done = [end - begun for begun, end in ends if end <= now]
    running = [now - begun for begun, end in ends if begun <= now < end]
    left = len(ends) - len(done) - len(running)
    return time_left(done, running, left, at_once), max(hands) - now


@settings(deadline=None, max_examples=60)
@given(chance=st.integers(0, 10_000), at_once=st.integers(1, 8), longer=st.floats(1, 6))
def test_the_time_left_is_right_to_a_factor_of_two_after_a_tenth(chance, at_once, longer):
    seconds = np.repeat([1.0, longer], 200)  # a setting makes half of them longer
    np.random.default_rng(chance).shuffle(seconds)  # runs come in no order of the grid
    guess, truth = at_a_tenth(seconds.tolist(), at_once)
    assert truth / 2 <= guess <= 2 * truth


@given(st.lists(st.floats(0.1, 9), min_size=1), st.integers(0, 50), st.integers(1, 8))
def test_equal_runs_leave_no_doubt(ages, waves, at_once):
    mean = 10.0
    alone = time_left([mean], [], waves * at_once, at_once)
    assert alone == pytest.approx(waves * mean)
    assert time_left([mean], ages, 0, len(ages)) == pytest.approx(mean - min(ages))
    assert time_left([], ages, waves, at_once) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.04 s"), (61.0, "61 s"), (200.0, "3 min"), (9000.0, "2.5 h")],
)
def test_times_are_said_as_people_say_them(seconds, words):
    assert in_words(seconds) == words


def test_failed_and_slow_runs_are_named_once(monkeypatch, capsys):
    runs = [waiting({"seed": seed, "units": 8}) for seed in range(10)]
    clock = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    shown = Progress(runs, ["seed"], 2, quiet=True)

    def tell(kind, run, status="waiting", after=0.0, **own):
        clock[0] += after
        says = "its process ended" if status == "lost" else ""
        shown.hear(Event(kind, dataclasses.replace(run, status=status, says=says, **own)))

    tell("began", runs[9])
    for run in runs[:6]:
        tell("began", run)
        tell("ended", run, "lost" if run is runs[2] else "done", after=2.0)
    shown.hear(None)
    shown.hear(None)
    tell("ended", runs[9], "done")
    shown.close()
    said = capsys.readouterr().err.splitlines()
    assert said == ["lost: seed=2: its process ended", "slow: seed=9: 10 s, others 2 s"]
    assert shown.words(clock[0]) == "about 5 s left, 1 failed"


def test_a_run_is_as_long_as_it_says_when_news_come_late(capsys):
    runs = [waiting({"seed": seed}) for seed in range(10)]
    shown = Progress(runs, ["seed"], 2, quiet=True)
    for run in runs:  # told of only when it had ended
        shown.hear(Event("began", run))
        seconds = 50.0 if run is runs[8] else 5.0
        shown.hear(Event("ended", dataclasses.replace(run, status="done", seconds=seconds)))
        if run is runs[4]:
            assert shown.words(0.0) == "about 12 s left"
    shown.close()
    assert capsys.readouterr().err.splitlines() == ["slow: seed=8: 50 s, others 5 s"]


@pytest.mark.parametrize("quiet", [True, False])
def test_the_bar_is_for_people_who_look_on(monkeypatch, quiet):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    run = waiting({"seed": 0})
    shown = Progress([run], ["seed"], 1, quiet=quiet)
    shown.hear(Event("began", run))
    shown.hear(Event("ended", dataclasses.replace(run, status="done")))
    shown.close()
    assert ("1/1" in screen.getvalue()) != quiet
