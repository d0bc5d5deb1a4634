"""How much CPU does an update need? Against PyTorch, as an ensemble, with a bar, with remat.

One thread on one core, everything compiled before, in turns (A B A B), so that whatever else
the machine does meets all. Ours goes through `train` and draws fresh trials for each update;
PyTorch gets the same numbers every time. Prints ratios, judges nothing: the exit code is 0.
"""

import io
import subprocess
import sys
import time
from collections.abc import Callable

import _one_thread  # noqa: F401  # isort: split
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from _memory import highest

from slowpoint.cells.gru import GRU
from slowpoint.cells.vanilla import Vanilla
from slowpoint.core.trial import Task, Trial, weighted_mse
from slowpoint.learning.descend import LONGEST
from slowpoint.learning.train import TaskLoss, train
from slowpoint.learning.update import begin, Rule, stretch

CHANNELS, BATCH, STEPS, ROUNDS = 3, 64, 200, 7
ADAM = optax.adam(1e-3)
Run = Callable[[int], object]  # makes that many updates
LONG = {"units": 128, "batch": 32, "steps": 8000}  # of the memory row


class Noise(Task):
    """White noise in, other white noise out: nothing to learn, so nothing but the cost."""

    input_size: int = eqx.field(static=True, default=CHANNELS)
    output_size: int = eqx.field(static=True, default=CHANNELS)
    steps: int = eqx.field(static=True, default=STEPS)

    def trial(self, key):
        shape = (self.steps, CHANNELS)
        inputs, targets = (jr.normal(k, shape) for k in jr.split(key))
        return Trial(jnp.zeros(0), inputs, targets, jnp.ones(self.steps))

    def loss(self, trial, trajectory):
        return weighted_mse(trial, trajectory)


def vanilla(units: int, key) -> Vanilla:
    """What nn.RNN is."""
    return Vanilla.random(units, CHANNELS, CHANNELS, dt=1.0, form="rate", key=key)


def gru(units: int, key) -> GRU:
    return GRU.random(units, CHANNELS, CHANNELS, key=key)


def alone(make, units: int, batch: int = BATCH) -> Run:
    """A function that trains one network for some updates."""
    net, key = make(units, jr.key(0)), jr.key(1)
    return lambda updates: train(
        net, Noise(), updates=updates, key=key, batch=batch, optimiser=ADAM
    )


def together(make, units: int, count: int, batch: int) -> Run:
    """The same for `count` networks as one ensemble."""
    nets = eqx.filter_vmap(lambda key: make(units, key))(jr.split(jr.key(0), count))
    keys = jr.split(jr.key(1), count)
    return lambda updates: train(
        nets, Noise(), updates=updates, key=keys, batch=batch, optimiser=ADAM
    )


def bare(make, units: int) -> Run:
    """The compiled loop without `train` around it."""
    weights, rest = eqx.partition(make(units, jr.key(0)), eqx.is_inexact_array)
    rule = Rule(rest, TaskLoss(Noise(), BATCH), ADAM)
    state, key = begin(weights, ADAM), jr.key(1)

    def run(updates):
        span = np.array([0, updates], np.int32)
        jax.block_until_ready(stretch(state, rule, key, span, LONGEST))

    return run


class Terminal(io.StringIO):
    """A terminal that nobody looks at."""

    def isatty(self):
        return True


def watched(run: Run) -> Run:
    """`run` with the progress bar drawn."""

    def seen(updates):
        stderr, sys.stderr = sys.stderr, Terminal()
        try:
            run(updates)
        finally:
            sys.stderr = stderr

    return seen


def of_torch(name: str, units: int) -> Run:
    """The same in PyTorch, on a batch that stays."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    layer = {"vanilla": torch.nn.RNN, "gru": torch.nn.GRU}[name]
    net, readout = layer(CHANNELS, units, batch_first=True), torch.nn.Linear(units, CHANNELS)
    optimiser = torch.optim.Adam([*net.parameters(), *readout.parameters()], 1e-3)
    inputs, targets = torch.randn(2, BATCH, STEPS, CHANNELS)

    def run(updates):
        for _ in range(updates):
            optimiser.zero_grad()
            ((readout(net(inputs)[0]) - targets) ** 2).mean().backward()
            optimiser.step()

    return run


def cpu(run: Run, updates: int) -> float:
    """Seconds of CPU per update."""
    begun = time.process_time()
    run(updates)
    return (time.process_time() - begun) / updates


def in_turns(a: Run, b: Run, seconds: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """CPU seconds per update of both, a round each; a measurement takes about `seconds`."""
    counts = []
    for run in (a, b):
        cpu(run, 8)  # compiles
        counts.append(max(8, round(seconds / cpu(run, 8))))
    rounds = [(cpu(a, counts[0]), cpu(b, counts[1])) for _ in range(ROUNDS)]
    return tuple(np.array(rounds).T)


def row(what: str, ratios: np.ndarray, relation: str, bar: float) -> None:
    middle, low, high = np.median(ratios), ratios.min(), ratios.max()
    met = middle >= bar if relation == ">=" else middle <= bar
    value = f"{middle:.2f} ({low:.2f} to {high:.2f})"
    verdict = "met" if met else "NOT MET"
    print(f"  {what:58} {value:>22}  {relation} {bar:<5g} {verdict}", flush=True)


def against_torch() -> None:
    try:
        import torch  # noqa: F401
    except ImportError:
        print("  PyTorch is not there. Type: pip install 'slowpoint[bench]'")
        return
    makers = {"vanilla": vanilla, "gru": gru}
    for units, bar in ((64, 1.8), (256, 1.3)):
        for name, make in makers.items():
            theirs, ours = in_turns(of_torch(name, units), alone(make, units))
            took = f"{np.median(theirs) * 1e3:.1f} / {np.median(ours) * 1e3:.1f} ms"
            row(f"PyTorch / ours, {name} N={units} ({took})", theirs / ours, ">=", bar)


def ensembles() -> None:
    for make in (vanilla, gru):
        for batch in (BATCH, 8):
            many, one = in_turns(together(make, 32, 8, batch), alone(make, 32, batch))
            what = f"8 together / 8 alone, {make.__name__} N=32, batch {batch}"
            row(what, many / (8 * one), "<=", 0.75)


def loop_and_bar() -> None:
    seen, inside = in_turns(watched(alone(vanilla, 64)), bare(vanilla, 64), seconds=2.0)
    row("train with its bar / the compiled loop, vanilla N=64", seen / inside, "<=", 1.02)


def peak(what: str) -> float:
    """MB that a process of its own takes at most: "idle", "plain" or "remat"."""
    command = [sys.executable, __file__, what]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def memory() -> None:
    idle, plain, remat = peak("idle"), peak("plain"), peak("remat")
    size = "GRU N={units}, batch {batch}, {steps} steps".format(**LONG)
    what = f"remat / without, {size} ({remat - idle:.0f} / {plain - idle:.0f} MB)"
    row(what, np.array([(remat - idle) / (plain - idle)]), "<=", 0.3)


def one_long_update(remat: bool) -> None:
    net = gru(LONG["units"], jr.key(0))
    task, batch = Noise(steps=LONG["steps"]), LONG["batch"]
    train(net, task, updates=1, key=jr.key(1), batch=batch, remat=remat)


def main() -> None:
    if sys.argv[1:]:
        if sys.argv[1] != "idle":
            one_long_update(remat=sys.argv[1] == "remat")
        print(highest())
        return
    print(f"CPU of an update: forward, backward, Adam; batch {BATCH}, {STEPS} steps")
    against_torch()
    print("An ensemble as one, on one core")
    ensembles()
    print("The loop around the updates")
    loop_and_bar()
    print("Peak memory above an idle import")
    memory()


if __name__ == "__main__":
    main()
