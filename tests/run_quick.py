"""Does every experiment hold its QUICK claims, in the time that it states?

Run by `make quick`; pytest does not collect it. The rule:

- The docstring of an experiment states its share, e.g. `Takes: 12 s quick, 3 min full`:
  CPU seconds of `slowpoint run NAME --quick`, from the start of Python to the report.
- A run fails when a claim fails, and when it takes over 1.5 times its share at the pace of this
  machine: the median, over the experiments of one run, of what they took over their shares,
  at least 1. So a slow machine fails nobody, and an experiment that grew alone is seen.
- Importing and compiling weigh the same in a small experiment: nothing fails for less than 20 s
  above its share.
- The shares together are at most BUDGET. It is a sum of what the files state, so no noise can
  fail it; who adds experiments raises it here by what they were granted.

CPU seconds of the process and its children are counted, so that a busy neighbour fails nobody.
A run that hangs is killed after ten minutes. The last line is "N passed, N failed".
The runs stay in .cache/quick, for the gallery of `make site`.
"""

import concurrent.futures
import dataclasses
import math
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from slowpoint.report.catalogue import entries, Entry

FACTOR, ALLOWANCE = 1.5, 20.0  # of the share; CPU seconds on top of it
BUDGET = 1030.0  # CPU seconds, of all shares together
HANGS = 600.0  # seconds
AT_ONCE = 2
KEPT = pathlib.Path(__file__).parents[1] / ".cache" / "quick"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What one run cost, and what it said."""

    name: str
    share: float | None
    cpu: float
    wall: float
    code: int
    output: str

    def limit(self, pace: float) -> float:
        """The most CPU seconds that it may take where the others take `pace` times theirs."""
        share = pace * (self.share or 0.0)
        return max(FACTOR * share, share + ALLOWANCE)

    def trouble(self, pace: float = math.inf) -> str:
        """Why it fails; nothing when it does not. Time is not judged before `pace` is known."""
        if self.code == 1 and "Traceback" not in self.output:
            return "a claim fails"
        if self.code:
            return f"ended with {self.code}"
        if self.share is None:
            return "its docstring lacks: Takes: N s quick, ..."
        if self.cpu > self.limit(pace):
            return f"took more than {self.limit(pace):.0f} s, at a pace of {pace:.2f}"
        return ""

    def row(self) -> str:
        """Its line of the table."""
        share = "?" if self.share is None else f"{self.share:.0f}"
        verdict = f"FAILS: {self.trouble()}" if self.trouble() else "ok"
        return f"{self.name:28} {share:>7} {self.cpu:7.1f} {self.wall:7.1f}  {verdict}"


def pace_of(outcomes: list[Outcome]) -> float:
    """How many seconds this machine needs for one that the docstrings state; at least 1."""
    return max([1.0, statistics.median(o.cpu / o.share if o.share else 1.0 for o in outcomes)])


def quick(entry: Entry, out: pathlib.Path) -> Outcome:
    """Run the experiment of `entry` in a process of its own."""
    command = pathlib.Path(sys.executable).with_name("slowpoint")
    begun = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [command, "run", entry.name, "--quick", "--out", out],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        killer = threading.Timer(HANGS, process.kill)
        killer.start()
        _, status, used = os.wait4(process.pid, 0)
        killer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        wall, cpu = time.perf_counter() - begun, used.ru_utime + used.ru_stime
        share = entry.quick_seconds
        return Outcome(entry.name, share, cpu, wall, process.returncode, output.read())


def over_budget(shares: list[float | None]) -> str:
    """What is wrong with all shares together; nothing when they fit."""
    total = sum(share or 0.0 for share in shares)
    return f"The shares add up to {total:.0f} s, past {BUDGET:.0f}." * (total > BUDGET)


def main() -> int:
    """Run all, print the table; 1 when something fails."""
    print(f"{'CPU seconds':28} {'share':>7} {'took':>7} {'wall':>7}")
    outcomes = []
    shutil.rmtree(KEPT, ignore_errors=True)
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for outcome in pool.map(lambda entry: quick(entry, KEPT), entries()):
            outcomes.append(outcome)
            print(outcome.row(), flush=True)
    print(f"{'together':28} {'':7} {sum(o.cpu for o in outcomes):7.1f}")
    pace = pace_of(outcomes)
    print(f"{'pace of this machine':28} {'':7} {pace:7.2f}")
    failed = [outcome for outcome in outcomes if outcome.trouble(pace)]
    for outcome in failed:
        print(f"\n-- {outcome.name}: {outcome.trouble(pace)}\n{outcome.output}")
    budget = over_budget([outcome.share for outcome in outcomes])
    print(f"\n{budget}" if budget else "")
    bad = len(failed) + bool(budget)
    print(f"{len(outcomes) - len(failed)} passed, {bad} failed")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
