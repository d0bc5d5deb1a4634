"""What does the bottom of a class's valley cost, against the descent of the paper?

Ten classes of digits in a GRU of 100 units that is trained first; one thread on one core,
compiled before, in turns (A B A B). Prints ratios, judges nothing: the exit code is 0.
"""

import time

import _one_thread  # noqa: F401  # isort: split
import jax.random as jr
import numpy as np
import optax

from slowpoint.analysis.class_points import class_slow_points, ClippedAdam, ToTheBottom
from slowpoint.analysis.memory import class_centres
from slowpoint.cells.gru import GRU
from slowpoint.learning.fan_in import fan_in
from slowpoint.learning.train import train
from slowpoint.recordings.images import digits
from slowpoint.tasks.delayed_classification import curriculum, DelayedClassification

UNITS, UPDATES, ROUNDS = 100, 2000, 2


def network(task: DelayedClassification) -> GRU:
    """Trained on growing delays, long enough to remember."""
    make, draw, learn = jr.split(jr.key(0), 3)
    sizes = UNITS, task.input_size, task.output_size
    start = fan_in(GRU.random(*sizes, reset_after=False, key=make), draw)
    lessons = task.lessons(curriculum("delay", UPDATES))
    options = {"batch": 64, "optimiser": optax.adam(1e-3)}
    return train(start, lessons, updates=UPDATES, key=learn, **options).system


def main() -> None:
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


if __name__ == "__main__":
    main()
