"""How long does the front door take to open?

`slowpoint --help` and `slowpoint list` against `python -c "import numpy"`, wall time, in turns.
Prints what was measured, judges nothing: the exit code is 0.
"""

import os
import pathlib
import statistics
import subprocess
import sys
import time

ROUNDS, BAR = 15, 0.5
SLOWPOINT = str(pathlib.Path(sys.executable).with_name("slowpoint"))
NUMPY = "import numpy"
COMMANDS = {
    f'python -c "{NUMPY}"': [sys.executable, "-c", NUMPY],
    "slowpoint --help": [SLOWPOINT, "--help"],
    "slowpoint list": [SLOWPOINT, "list"],
}


def wall(command: list[str]) -> float:
    """Seconds until `command` is done."""
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def imports_jax(command: list[str]) -> bool:
    """Whether Python's own list of imports names jax."""
    told = os.environ | {"PYTHONPROFILEIMPORTTIME": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=told)
    names = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    if "site" not in names:
        raise RuntimeError("Python did not list its imports: nothing can be said of jax.")
    return "jax" in names


def main() -> None:
    for command in COMMANDS.values():  # files into memory, bytecode onto disk
        wall(command)
    seconds = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, command in COMMANDS.items():
            seconds[name].append(wall(command))
    base = next(iter(COMMANDS))
    print(f"Wall seconds, median of {ROUNDS} (least to most), with Python's own start")
    for name, took in seconds.items():
        low, high = min(took), max(took)
        print(f"  {name:28} {statistics.median(took):5.2f} ({low:.2f} to {high:.2f})")
    print(f"\n  {'against ' + base:38} {'measured':>9}  {'at most':>8}")
    for name, command in list(COMMANDS.items())[1:]:
        more = statistics.median(a - b for a, b in zip(seconds[name], seconds[base]))
        met = "met" if more <= BAR else "NOT MET"
        print(f"  {name + ', seconds more':38} {more:9.2f}  {BAR:8}  {met}")
        jax = imports_jax(command)
        met = "NOT MET" if jax else "met"
        print(f"  {name + ', imports jax':38} {'yes' if jax else 'no':>9}  {'no':>8}  {met}")


if __name__ == "__main__":
    main()
