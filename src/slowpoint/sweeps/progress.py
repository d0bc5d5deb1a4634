"""How far is the sweep, what went wrong, and how long will it take?"""

import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from slowpoint.sweeps.executors import Event
from slowpoint.sweeps.run import Run

SLOW, ENOUGH, LEAST = 3.0, 5, 1.0  # times the median, of so many runs; seconds


def time_left(
    done: Sequence[float], running: Sequence[float], waiting: int, at_once: int
) -> float | None:
    """Seconds until all is done: those `done` took so long, those `running` run so long.

    Every run is expected to take the mean; None as long as none is done. Right to a factor of
    two where the runs come in an order that has nothing to do with their length.
    """
    if not done:
        return None
    mean = statistics.fmean(done)
    rest = [max(mean - age, 0.0) for age in running]
    together = (sum(rest) + waiting * mean) / at_once
    return max(together, mean if waiting else 0.0, *rest, 0.0)


def in_words(seconds: float) -> str:
    """A time as one says it: 0.04 s, 40 s, 3 min, 2.5 h."""
    if seconds < 1:
        return f"{seconds:.2g} s"
    if seconds < 99:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def shown(settings: Mapping[str, Any], varied: Sequence[str]) -> str:
    """A run in words: the settings in which it differs from the others."""
    return ", ".join(f"{name}={settings[name]}" for name in varied) or "the one run"


class Progress:
    """One bar for a sweep (where a person looks on); failed and slow runs are named."""

    def __init__(self, runs: Sequence[Run], varied: Sequence[str], at_once: int, quiet: bool):
        from tqdm import tqdm

        self.total, self.varied, self.at_once = len(runs), varied, at_once
        self.running: dict[str, tuple[Event, float]] = {}  # and when it was heard
        self.done: list[float] = []
        self.failed, self.named = 0, set()
        form = "{desc}: {n_fmt}/{total_fmt} |{bar}| {elapsed}{postfix}"
        off = True if quiet or not runs else None  # None: off where it is no terminal
        self.bar = tqdm(total=self.total, desc="runs", bar_format=form, disable=off)

    def hear(self, event: Event | None) -> None:
        """Take in what an executor tells."""
        now = time.monotonic()
        if event and event.kind == "began":
            self.running[event.run.hash] = (event, now)
        elif event:
            known = self.running.pop(event.run.hash, (event, now))
            taken = event.run.seconds or _age(*known, now)  # its own clock: news may be late
            self.done.append(taken)
            self._judge(event.run, taken)
            self.bar.update()
        for began, heard in self.running.values():
            self._judge(began.run, _age(began, heard, now))
        if not self.bar.disable:
            self.bar.set_postfix_str(self.words(now))

    def words(self, now: float) -> str:
        """What stands behind the bar."""
        ages = [_age(*known, now) for known in self.running.values()]
        waiting = self.total - len(self.done) - len(ages)
        left = time_left(self.done, ages, waiting, self.at_once)
        words = [] if left is None else [f"about {in_words(left)} left"]
        return ", ".join(words + [f"{self.failed} failed"] * bool(self.failed))

    def _judge(self, run: Run, seconds: float) -> None:
        """Name a run once that failed, or that takes much longer than the others."""
        if run.status in ("failed", "lost"):
            self.failed += 1
            self.say(f"{run.status}: {shown(run.settings, self.varied)}: {run.says}")
        elif seconds > LEAST and len(self.done) >= ENOUGH and run.hash not in self.named:
            usual = statistics.median(self.done)
            if seconds > SLOW * usual:
                self.named.add(run.hash)
                words = shown(run.settings, self.varied)
                self.say(f"slow: {words}: {in_words(seconds)}, others {in_words(usual)}")

    def say(self, words: str) -> None:
        """A line above the bar."""
        self.bar.write(words, file=sys.stderr)

    def close(self) -> None:
        """Leave the bar as it is."""
        self.bar.close()


def _age(began: Event, heard: float, now: float) -> float:
    """Seconds that a run has taken so far: of a group, its share."""
    return (now - heard) / began.together
