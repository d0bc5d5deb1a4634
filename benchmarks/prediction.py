"""What do networks that predict cost to train?

An update of a deep linear network on all pairs of a corridor, by one product and two look-ups,
against layer by layer in PyTorch; the map of depth and horizon on two cores, from the time of
an update of each; the memory that full MNIST takes. One thread on one core, compiled before,
in turns (A B A B). Prints ratios, judges nothing: the exit code is 0.
"""

import itertools
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable

import _one_thread  # noqa: F401  # isort: split
import jax.random as jr
import numpy as np

from slowpoint.experiments.predict_depth_horizon import Settings
from slowpoint.learning.predictors import clipped_rate, linear_predictors, Teaching
from slowpoint.worlds.corridor import corridor

SIZE, UNITS, HIDDEN, HORIZON, ROUNDS = 20, 59, 9, 10, 5
Run = Callable[[int], object]  # makes that many updates


def ours(depth: int, horizon: int) -> Run:
    """Through `descend`, as the experiments do."""
    world, rate = corridor(SIZE, horizon), clipped_rate(depth, horizon)
    keys = jr.split(jr.key(0), 1)
    return lambda updates: linear_predictors(world, Teaching(depth, UNITS, rate, updates), keys)


def of_torch(depth: int, horizon: int) -> Run:
    """The same network, inputs and loss, a layer at a time."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    world, rate = corridor(SIZE, horizon), clipped_rate(depth, horizon)
    inputs, target = torch.tensor(world.one_hot()), torch.tensor(world.target)
    sizes = [inputs.shape[1], *[UNITS] * depth, SIZE]
    layers = [torch.nn.Linear(a, b, bias=False) for a, b in itertools.pairwise(sizes)]
    for layer in layers:
        torch.nn.init.xavier_normal_(layer.weight)
    net = torch.nn.Sequential(*layers)
    optimiser = torch.optim.Adam(net.parameters(), rate)

    def run(updates):
        for _ in range(updates):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(net(inputs), target).backward()
            optimiser.step()

    return run


def seconds(run: Run, updates: int) -> float:
    """CPU, per update."""
    begun = time.process_time()
    run(updates)
    return (time.process_time() - begun) / updates


def against_torch() -> None:
    """Updates per second."""
    try:
        import torch  # noqa: F401
    except ImportError:
        print("PyTorch is not there. Type: pip install 'slowpoint[bench]'")
        return
    one, other = ours(HIDDEN, HORIZON), of_torch(HIDDEN, HORIZON)
    one(2000)  # compiles
    rounds = [(seconds(one, 2000), seconds(other, 500)) for _ in range(ROUNDS)]
    mine, theirs = np.array(rounds).T
    ratios = theirs / mine
    print(
        f"deep linear, nh={HIDDEN}, S={SIZE}, A={HORIZON}: {np.median(mine) * 1e3:.2f} ms an "
        f"update, PyTorch {np.median(theirs) * 1e3:.2f} ms: {np.median(ratios):.1f}x "
        f"({ratios.min():.1f} to {ratios.max():.1f}; asked 2)",
        flush=True,
    )


def whole_map() -> None:
    """All depths and horizons of the experiment, one network each."""
    full, total = Settings(), 0.0
    for depth in full.depths:
        for horizon in (full.horizons[0], full.horizons[-1]):
            run = ours(depth, horizon)
            begun = time.process_time()
            run(2000)
            compiling = time.process_time() - begun
            each = seconds(run, 2000)
            cost = max(compiling - 2000 * each, 0) + full.updates * each
            total += cost * len(full.horizons) / 2
    print(
        f"{len(full.depths)} x {len(full.horizons)} networks of {full.updates} updates: "
        f"{total / 60:.1f} min of one core, {total / 120:.1f} min on two (asked 10)",
        flush=True,
    )


def peak(code: str) -> float:
    """The most MB that a process of its own holds."""
    tail = "; print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    command = [sys.executable, "-c", code + tail]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1]) / 1024


def memory() -> None:
    """Of one network on full MNIST, above a bare `import jax`."""
    if not pathlib.Path("/proc/self/status").exists():
        print("memory: this system does not say. Use Linux.")
        return
    train = (
        "from slowpoint.experiments import predict_digits as p; "
        "p.run(p.Settings(horizons=(5,), depths=(3,), seeds=1, updates=200, processes=1))"
    )
    idle, held = peak("import jax"), peak(train)
    print(
        f"MNIST, one network: {held - idle:.0f} MB above `import jax` (asked 800)", flush=True
    )


if __name__ == "__main__":
    against_torch()
    whole_map()
    memory()
