"""What does a sweep cost beside its runs, and how fast does it find that nothing is left?

200 runs of one second (they sleep) in eight processes, against `concurrent.futures` with the
same processes, in turns; then 10,000 finished runs: the same sweep again, its table, and the
page of 1,000; then 32 small networks one by one and as ensembles of 8 and 16, in two
processes, in turns, with starting and compiling. Wall time. Prints, judges nothing: the exit
code is 0. Takes about ten minutes.
"""

import concurrent.futures
import contextlib
import functools
import io
import multiprocessing
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np

from slowpoint.sweeps.collect import told
from slowpoint.sweeps.local import Local
from slowpoint.sweeps.manifest import opened
from slowpoint.sweeps.run import Run, waiting
from slowpoint.sweeps.sweep import sweep

ROUNDS, RUNS, AT_ONCE, ROWS, PAGE = 2, 200, 8, 10_000, 1000
NETWORKS, UNITS, WIDTHS = 32, 32, (8, 16)


def nap(seed: int, seconds: float = 1.0) -> float:
    """A run of one second."""
    time.sleep(seconds)
    return float(seed)


def bare() -> None:
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(AT_ONCE, spawn) as pool:
        assert len(list(pool.map(nap, range(RUNS)))) == RUNS


def ours() -> None:
    with tempfile.TemporaryDirectory() as out:
        grid = {"seed": range(RUNS)}
        done = sweep(nap, grid, out=out, executor=Local(AT_ONCE), quiet=True)
    assert done.did == RUNS
    assert not done.unfinished


def wall(work) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def row(what: str, value: float, bar: float, relation: str = "<=") -> None:
    met = "met" if (value <= bar) == (relation == "<=") else "NOT MET"
    print(f"  {what:52} {value:9.3f}  {relation} {bar:g}  {met}", flush=True)


def finished(out: pathlib.Path, count: int) -> None:
    """A sweep of many rows as it stands when all are done."""
    rows = [waiting({"seed": seed, "seconds": 1.0}) for seed in range(count)]
    numbers = {f"metric {i}": i / 7 for i in range(6)}
    for run in rows:
        (out / run.path).mkdir(parents=True)
    with opened(out, f"{nap.__module__}.nap") as (manifest, _):
        manifest.write(Run(r.hash, r.settings, "done", numbers, seconds=1.0) for r in rows)


def again(out: pathlib.Path) -> None:
    done = sweep(nap, {"seed": range(ROWS)}, out=out, quiet=True)
    assert done.did == 0
    assert len(done.runs) == ROWS


def table(out: pathlib.Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        print("\n".join(told(out, "")))


def page(out: pathlib.Path) -> tuple[float, float]:
    """Seconds and MB of a process that makes the page of a sweep."""
    words = (
        "import sys; from slowpoint.report.report_folder import report; report(sys.argv[1]); "
        "from _memory import highest; print(highest())"
    )
    begun = time.perf_counter()
    told = subprocess.run(
        [sys.executable, "-c", words, out],
        cwd=pathlib.Path(__file__).parent,
        check=True,
        capture_output=True,
        text=True,
    )
    return time.perf_counter() - begun, float(told.stdout)


def learned(seed: Any, batch: int, updates: int) -> Any:
    """The last losses of networks that learn two bits: of one seed, or of a row of them."""
    import jax
    import jax.random as jr
    import optax

    from slowpoint.cells.vanilla import Vanilla
    from slowpoint.learning.train import train
    from slowpoint.tasks.flipflop import FlipFlop

    def start(seed):
        first, then = jr.split(jr.key(seed))
        return Vanilla.random(UNITS, 2, 2, dt=0.3, key=first), then

    net, key = jax.vmap(start)(seed) if np.ndim(seed) else start(seed)
    how = {"updates": updates, "batch": batch, "optimiser": optax.adam(1e-3)}
    return train(net, FlipFlop(bits=2), key=key, **how).losses[..., -1]


def networks(batch: int, updates: int, **how: Any) -> None:
    with tempfile.TemporaryDirectory() as out:
        grid = {"seed": range(NETWORKS), "batch": batch, "updates": updates}
        done = sweep(learned, grid, out=out, executor=Local(2), quiet=True, **how)
    assert not done.unfinished


def gains(batch: int, updates: int) -> list[float]:
    """Time of one by one over that of each of WIDTHS together."""
    ways = [{}, *({"together": "seed", "width": width} for width in WIDTHS)]
    turns = []
    for _ in range(ROUNDS):
        turns.append([wall(functools.partial(networks, batch, updates, **how)) for how in ways])
        words = zip(("one by one", *(f"{width} together" for width in WIDTHS)), turns[-1])
        print("   ", ", ".join(f"{who} {took:.1f}" for who, took in words), flush=True)
    alone, *together = map(min, zip(*turns))
    return [alone / took for took in together]


def main() -> None:
    print(f"{RUNS} runs of one second in {AT_ONCE} processes, wall seconds")
    pairs = [(wall(bare), wall(ours)) for _ in range(ROUNDS)]
    for a, b in pairs:
        print(f"    bare pool {a:.2f}, sweep {b:.2f}")
    pool, swept = map(min, zip(*pairs))
    row("share that the sweep takes on top of the pool's", swept / pool - 1, 0.05)
    print(f"{ROWS:,} finished runs, seconds")
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder)
        finished(out, ROWS)
        row(
            "the same sweep again: nothing to do",
            min(wall(lambda: again(out)) for _ in "ab"),
            2,
        )
        row("a line a run, and the table", min(wall(lambda: table(out)) for _ in "ab"), 5)
    with tempfile.TemporaryDirectory() as folder:
        finished(pathlib.Path(folder), PAGE)
        seconds, memory = page(pathlib.Path(folder))
    row(f"the page of {PAGE:,} runs, seconds", seconds, 10)
    row("its memory, MB", memory, 300)
    print(f"{NETWORKS} networks of {UNITS} units, two processes, seconds", flush=True)
    for width, found in zip(WIDTHS, gains(8, 6000)):
        row(f"one by one / {width} together, batches of 8", found, 1.3, ">=")
    for width, found in zip(WIDTHS, gains(64, 600)):
        print(
            f"  {f'one by one / {width} together, batches of 64':52} {found:9.3f}", flush=True
        )


if __name__ == "__main__":
    main()
