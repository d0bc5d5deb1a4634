"""How much faster do weights learn while the state runs than in a loop of NumPy?

And recall of all maps and starts at once than one by one; and what memory does both take? One
thread on one core, everything compiled before, in turns (A B A B); CPU seconds in the same
run. Prints, judges nothing: the exit code is 0. Takes about a minute.
"""

import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable

import _one_thread  # noqa: F401  # isort: split
import jax.random as jr
import numpy as np

from slowpoint.analysis.capacity import recall
from slowpoint.cells.associative import Associative
from slowpoint.learning.plasticity import learn_sequence, Plasticity, SequentialLearning
from slowpoint.tasks.recall import InputOutputMaps

ROUNDS, MAPS, STARTS = 5, 20, 3


def parts(units: int, maps: int = MAPS):
    """A network, its maps, and how it learns: the constants of the experiments."""
    begin, draw = jr.split(jr.key(0))
    network = Associative.random(units, key=begin)
    rule = Plasticity(rate=0.03 / units)
    return network, InputOutputMaps.random(maps, units, key=draw), rule


def show(weights, state, target, pattern, network: Associative, how: Plasticity) -> int:
    """One map by the normalised rule, in place and in whole arrays; the steps it took."""
    units, dt, fresh = len(state), network.dt, np.empty_like(weights)
    drive = network.strength * pattern
    for step in range(1, round(how.longest / dt) + 1):
        field = weights @ state
        state += dt * (np.tanh(network.gain * (field + drive)) - state)
        error = dt * how.rate * (target - state)
        np.multiply(error[:, None], state, out=fresh)
        weights *= (1 - error * field)[:, None]
        weights += fresh
        weights.flat[:: units + 1] = 0
        if target @ state / units >= how.stop:
            return step
    return step


def by_numpy(network, maps, how, passes: int) -> tuple[int, np.ndarray]:
    """`(steps, J)` after all maps, so often, each pass in a new order."""
    chance = np.random.default_rng(0)
    weights = np.array(network.recurrent, float)
    state = chance.uniform(-1, 1, len(weights))
    xi, eta = np.asarray(maps.targets, float), np.asarray(maps.inputs, float)
    steps = 0
    for _ in range(passes):
        for row in chance.permutation(len(xi)):
            steps += show(weights, state, xi[row], eta[row], network, how)
    return steps, weights


def by_house(network, maps, how, passes: int) -> tuple[int, SequentialLearning]:
    """The same by `learn_sequence`."""
    done = learn_sequence(network, maps, how, passes=passes, key=jr.key(1))
    return round(done.durations.sum() / network.dt), done


def cpu(work: Callable):
    """`(CPU seconds, result)`."""
    begun = time.process_time()
    result = work()
    return time.process_time() - begun, result


def row(what: str, ratios: np.ndarray, bar: float) -> None:
    middle, low, high = np.median(ratios), ratios.min(), ratios.max()
    value = f"{middle:.1f} ({low:.1f} to {high:.1f})"
    asked = f">= {bar:g}  {'met' if middle >= bar else 'NOT MET'}" if bar else ""
    print(f"  {what:52} {value:>22}  {asked}", flush=True)


def learning(units: int, passes: int, bar: float) -> None:
    network, maps, how = parts(units)
    check(network, maps, how)
    seconds = []
    for _ in range(ROUNDS):
        each = [cpu(lambda make=make: make(network, maps, how, passes)) for make in MAKERS]
        seconds.append([spent / steps for spent, (steps, _) in each])
    theirs, ours = 1e6 * np.array(seconds).T
    print(f"    {np.median(ours):.1f} against {np.median(theirs):.1f} us a step")
    row(f"N = {units}: NumPy / learn_sequence, a step", theirs / ours, bar)


MAKERS = (by_numpy, by_house)


def check(network, maps, how) -> None:
    """Both are the same rule: they give the same weights after one map. Compiles, too."""
    by_house(network, maps, how, 1)
    first = InputOutputMaps(maps.targets[:1], maps.inputs[:1])
    steps, done = by_house(network, first, how, 1)
    weights, state = done.recurrent[0].copy(), done.states[0].copy()
    xi, eta = np.asarray(maps.targets[0], float), np.asarray(maps.inputs[0], float)
    took = show(weights, state, xi, eta, network, how)
    apart = np.abs(weights - done.recurrent[-1]).max()
    print(f"    one map: {took} and {steps} steps, weights apart by {apart:.1e}")


def recalling() -> None:
    """20 maps from 3 starts: at once, and each as a call of its own, all compiled."""
    network, maps, how = parts(100)
    _, done = by_house(network, maps, how, 10)
    network = done.network(network)
    pairs = zip(np.asarray(maps.targets), np.asarray(maps.inputs))
    single = [InputOutputMaps(xi[None], eta[None]) for xi, eta in pairs]
    keys = jr.split(jr.key(2), STARTS)

    def apart():
        return [recall(network, one, key=key, starts=1) for one in single for key in keys]

    def at_once():
        return recall(network, maps, key=jr.key(2), starts=STARTS)

    apart(), at_once()
    seconds = np.array([[cpu(apart)[0], cpu(at_once)[0]] for _ in range(ROUNDS)])
    slow, fast = 1e3 * np.median(seconds, axis=0)
    print(f"    {fast:.0f} against {slow:.0f} ms")
    row(
        f"recall, {MAPS} maps x {STARTS} starts: one by one / at once", np.divide(*seconds.T), 0
    )


PEAK = "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"


def memory() -> None:
    """Peaks of fresh processes, compilation included."""
    if not pathlib.Path("/proc/self/status").exists():
        print("  Memory is read from /proc, which is not there.")
        return
    bare = peak(["-c", f"import jax; jax.numpy.zeros(1); {PEAK}"])
    more = peak([__file__, "learn"]) - bare
    met = "met" if more <= 0.3 else "NOT MET"
    what = f"GB above import jax ({bare:.2f}): 40 maps, 30 passes"
    print(f"  {what:52} {more:>22.2f}  <= 0.3  {met}")


def peak(words: list[str]) -> float:
    """The most memory that Python with these `words` holds, in GB; it prints that in kB."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("JAX_COMPILATION")}
    command = [sys.executable, *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=kept)
    return int(done.stdout) / 2**20


def learn_and_recall() -> None:
    network, maps, how = parts(100, 40)
    _, done = by_house(network, maps, how, 30)
    recall(done.network(network), maps, key=jr.key(2))
    exec(PEAK)


def main() -> None:
    print("Learning while the state runs, one thread; CPU seconds")
    learning(100, 10, 5)
    learning(200, 3, 0)
    recalling()
    memory()


if __name__ == "__main__":
    learn_and_recall() if sys.argv[1:] == ["learn"] else main()
