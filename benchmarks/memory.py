"""What do slow points cost, and the training of what has them?

The bottom of a class's valley against the descent of the paper; ten points followed through
snapshots against searching anew; an update of a GRU on delayed pictures against PyTorch. One
thread on one core, compiled before, in turns (A B A B). Prints ratios, judges nothing: the
exit code is 0.
"""

import time
from collections.abc import Callable

import _one_thread  # noqa: F401  # isort: split
import jax
import jax.random as jr
import numpy as np
import optax

from slowpoint.analysis.ancestry import snapshot, track_back
from slowpoint.analysis.class_points import class_slow_points, ClippedAdam, ToTheBottom
from slowpoint.analysis.memory import class_centres
from slowpoint.cells.gru import GRU
from slowpoint.learning.fan_in import fan_in
from slowpoint.learning.grid import Linear
from slowpoint.learning.train import train
from slowpoint.recordings.images import digits, mnist
from slowpoint.tasks.delayed_classification import curriculum, DelayedClassification

UNITS, UPDATES, ROUNDS, SNAPSHOTS = 100, 2000, 2, 11


def network(task: DelayedClassification) -> GRU:
    """Trained on growing delays, long enough to remember."""
    make, draw, learn = jr.split(jr.key(0), 3)
    sizes = UNITS, task.input_size, task.output_size
    start = fan_in(GRU.random(*sizes, reset_after=False, key=make), draw)
    lessons = task.lessons(curriculum("delay", UPDATES))
    options = {"batch": 64, "optimiser": optax.adam(1e-3)}
    return train(start, lessons, updates=UPDATES, key=learn, **options).system


def bottoms() -> None:
    """Both ways from the same centres."""
    data = digits().train
    task = DelayedClassification.of(data.images, data.labels)
    net = network(task)
    centres = class_centres(net, task, key=jr.key(1)).states
    ways = {"to the bottom": ToTheBottom(), "Adam, 100,000 steps": ClippedAdam()}
    seconds, found = {name: [] for name in ways}, {}
    for turn in range(ROUNDS + 1):
        for name, how in ways.items():
            begun = time.process_time()
            found[name] = class_slow_points(net, task, centres, how)
            if turn:  # the first compiles
                seconds[name].append(time.process_time() - begun)
    ours, theirs = (float(np.median(seconds[name])) for name in ways)
    for name, points in found.items():
        steep = points.gradients
        print(
            f"{name:20} {np.median(seconds[name]):5.2f} s  gradient <= 1e-10 of "
            f"{(steep <= 1e-10).sum()} of {len(steep)}, median {np.median(steep):.1e}; "
            f"median speed {np.median(points.speeds):.1e}; "
            f"{(points.named == np.arange(len(steep))).sum()} named as their class"
        )
    steeper = np.median(found["Adam, 100,000 steps"].gradients)
    smaller = steeper / np.median(found["to the bottom"].gradients)
    print(f"CPU {theirs / ours:.2f} x less, gradient {smaller:.1e} x smaller")


def following() -> None:
    """Ten points through snapshots, begun where the next one's ended, or at their centres."""
    data = digits().train
    task = DelayedClassification.of(data.images, data.labels)
    make, draw, learn = jr.split(jr.key(0), 3)
    sizes = UNITS, task.input_size, task.output_size
    net = fan_in(GRU.random(*sizes, reset_after=False, key=make), draw)
    trained = train(
        net,
        task.lessons(curriculum("delay", UPDATES)),
        updates=UPDATES,
        batch=64,
        key=learn,
        optimiser=optax.adam(1e-3),
        snapshots=Linear(101),
    )
    last = 101 - SNAPSHOTS
    looked = [snapshot(trained.snapshots, i) for i in range(last, 101)]
    some = jax.tree.map(lambda a: a[last:], trained.snapshots)
    everything = np.full(SNAPSHOTS, 10)
    ways = {
        "4,000 steps of Adam, anew 100,000": (ClippedAdam(), ClippedAdam(4000)),
        "4,000 steps of Adam, anew 20,000": (ClippedAdam(20_000), ClippedAdam(4000)),
        "to the bottom": (ToTheBottom(), ToTheBottom()),
    }
    for name, (anew, near) in ways.items():
        centres = class_centres(looked[-1], task, key=jr.key(1)).states
        points = class_slow_points(looked[-1], task, centres, anew).states  # compiles
        track_back(jax.tree.map(lambda a: a[-2:], some), task, points, everything[-2:], near)
        begun = time.process_time()
        line = track_back(some, task, points, everything, near)
        ours = time.process_time() - begun
        begun, speeds = time.process_time(), []
        for one in looked:
            centres = class_centres(one, task, key=jr.key(1)).states
            speeds.append(class_slow_points(one, task, centres, anew).speeds)
        theirs = time.process_time() - begun
        print(
            f"following 10 points through {SNAPSHOTS} of 101 snapshots, {name}: {ours:.1f} s, "
            f"anew {theirs:.1f} s: {theirs / ours:.1f} x less; median speed "
            f"{np.median(line.speeds):.1e} against {np.median(speeds):.1e}"
        )


def ours_at(task: DelayedClassification, units: int, batch: int) -> Callable[[int], object]:
    """A function that trains one network for some updates, on fresh trials."""
    sizes = units, task.input_size, task.output_size
    net = fan_in(GRU.random(*sizes, key=jr.key(0)), jr.key(1))
    options = {"batch": batch, "optimiser": optax.adam(1e-3), "key": jr.key(2)}
    return lambda updates: train(net, task, updates=updates, **options)


def of_torch(task: DelayedClassification, units: int, batch: int) -> Callable[[int], object]:
    """The same in PyTorch, pictures and targets that stay, noise drawn anew."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = torch.nn.GRU(task.input_size, units, batch_first=True)
    readout = torch.nn.Linear(units, task.output_size)
    optimiser = torch.optim.Adam([*net.parameters(), *readout.parameters()], 1e-3)
    trials = [task.trial(key) for key in jr.split(jr.key(3), batch)]
    stack = lambda name: torch.tensor(np.stack([getattr(t, name) for t in trials]))
    targets, weights, shown = stack("targets"), stack("weights"), stack("inputs")
    mean, sd, steps = float(task.mean), float(task.sd), int(task.length)

    def run(updates):
        for _ in range(updates):
            noise = mean + sd * torch.randn(batch, steps, task.input_size - 1)
            inputs = torch.cat([noise, shown[:, :, -1:]], dim=2)
            inputs[:, 0] = shown[:, 0]
            log = torch.log(torch.softmax(readout(net(inputs)[0]), dim=2) + 1e-4)
            loss = -(weights[:, :, None] * targets * log).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    return run


def training() -> None:
    """CPU of an update; 8 seeds run in two processes, whichever program."""
    try:
        import torch  # noqa: F401
    except ImportError:
        print("PyTorch is not there. Type: pip install 'slowpoint[bench]'")
        return
    for name, data, units, batch, whole, what in (
        ("digits", digits(), 100, 64, 8 * 5000, "8 seeds; in two processes half of it"),
        ("MNIST", mnist(), 200, 128, 140_000, "the paper's schedule, one network"),
    ):
        task = DelayedClassification.of(data.train.images, data.train.labels)
        runs = {"ours": ours_at(task, units, batch), "PyTorch": of_torch(task, units, batch)}
        took = {who: [] for who in runs}
        for turn in range(ROUNDS + 2):
            for who, run in runs.items():
                begun = time.process_time()
                run(25)
                if turn:  # the first compiles
                    took[who].append((time.process_time() - begun) / 25)
        middle = {who: float(np.median(each)) for who, each in took.items()}
        ratios = np.array(took["PyTorch"]) / np.array(took["ours"])
        pace = ", ".join(f"{who} {1 / each:.1f}" for who, each in middle.items())
        hours = ", ".join(f"{who} {whole * each / 3600:.2f} h" for who, each in middle.items())
        print(
            f"{name}, GRU({units}), batch {batch}, updates per second: {pace}; "
            f"{np.median(ratios):.2f} x ({ratios.min():.2f} to {ratios.max():.2f})\n"
            f"  {what}, {whole:,} updates on one core: {hours}"
        )


def main() -> None:
    """All of them."""
    bottoms()
    following()
    training()


if __name__ == "__main__":
    main()
