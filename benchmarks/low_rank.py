"""How much faster do overlaps learn than the network whose learning they predict?

Steps of gradient descent in float64, one thread on one core, everything compiled before; both
sides are jitted scans over steps, in the same process. Prints, judges nothing: the exit code
is 0. Takes about a minute.
"""

import multiprocessing
import resource
import time

import _one_thread  # noqa: F401  # isort: split
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from slowpoint.core.nonlinearity import erf, identity
from slowpoint.core.precision import float64
from slowpoint.experiments import overlap_rank_two
from slowpoint.learning.fixed_trials import fixed_trials
from slowpoint.tasks.filter import Filter
from slowpoint.tasks.flipflop import FlipFlop, Intervals
from slowpoint.theory.filter_loss import exponential, FilterLoss
from slowpoint.theory.network_learning import OfOverlaps
from slowpoint.theory.overlap_learning import learn
from slowpoint.theory.overlaps import as_network, Dims, overlaps, rank_one, realise

THETA = rank_one(zm=0.052, zu=0.016, vm=0.081, vu=0.064, mu=0.076, zv=0.012)
THETA_ERF = rank_one(zm=0.3, zu=0.4, vm=0.4, vu=0.6, mu=0.2, zv=0.2)
ROUNDS = 3


def best(work) -> float:
    """The least CPU seconds of a few runs after one that compiles."""
    work()
    spent = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        work()
        spent.append(time.process_time() - begun)
    return min(spent)


def of_overlaps(loss, sigma, eta: float, steps: int) -> float:
    """CPU seconds a step."""
    return best(lambda: learn(loss, sigma, eta=eta, steps=steps)) / steps


def of_network(loss: OfOverlaps, sigma, units: int, eta: float, steps: int) -> float:
    """CPU seconds a step of plain gradient descent on all weights, on the same task."""
    columns = jnp.asarray(realise(sigma, units, jr.key(1)))
    make = lambda p: as_network(p, loss.dims, loss.dt, loss.nonlinearity)
    mark = jax.value_and_grad(lambda p: loss.loss(make(p), None))

    @jax.jit
    def descend(columns):
        def tick(columns, _):
            value, slope = mark(columns)
            return columns - eta * units * slope, value

        return jax.lax.scan(tick, columns, None, length=steps)

    return best(lambda: jax.block_until_ready(descend(columns))) / steps


def row(what: str, value: str, bar: str, met: bool) -> None:
    print(f"  {what:60} {value:>18}  {bar:>9}  {'met' if met else 'NOT MET'}", flush=True)


def ratio(what: str, slow: float, fast: float, bar: float) -> None:
    print(f"    {1e3 * fast:.4f} against {1e3 * slow:.3f} ms a step")
    row(what, f"{slow / fast:.0f}", f">= {bar:g}", slow / fast >= bar)


def linear() -> None:
    """The filter of 400 steps."""
    task = Filter(rate=0.2)
    rolled = OfOverlaps(task.mark, Dims(), identity, task.dt)
    network = of_network(rolled, THETA, 500, 5e-3, 50)
    fast = of_overlaps(rolled, THETA, 5e-3, 2000)
    ratio("linear, N = 500: network / overlaps", network, fast, 30)
    solved = of_overlaps(FilterLoss(exponential(0.2)), THETA, 5e-3, 20_000)
    ratio("  the same, Lyapunov form", network, solved, 100)


def bent() -> None:
    """The flip-flop of 800 steps, ten trials."""
    asked = FlipFlop(bits=1, steps=800, timing=Intervals(dt=0.025), target=0.5)
    loss = OfOverlaps(fixed_trials(asked, 10, jr.key(0)), Dims(), erf, 0.025)
    network = of_network(loss, THETA_ERF, 600, 0.05, 5)
    fast = of_overlaps(loss, THETA_ERF, 0.05, 50)
    ratio("erf, N = 600, ten trials: network / overlaps", network, fast, 15)


def rank_two() -> None:
    """Twelve runs of 10,000 epochs together."""
    settings = overlap_rank_two.Settings()
    columns = overlap_rank_two.columns(settings, jr.key(0))
    sigmas = np.stack([overlaps(p) for p in columns])
    task = overlap_rank_two.TASK
    loss = OfOverlaps(task.mark, Dims(rank=2), identity, task.dt)
    spent = of_overlaps(loss, sigmas, 5e-3, 10_000) * 10_000
    row("twelve runs of rank 2, 10,000 epochs: CPU s", f"{spent:.1f}", "<= 60", spent <= 60)


def _peak(units: int) -> float:
    """The most memory, in MB, of a process that learns the overlaps of `units` units."""
    with float64():
        columns = realise(THETA, units, jr.key(1))
        sigma = np.asarray(overlaps(columns))
        del columns
        learn(FilterLoss(exponential(0.2)), sigma, eta=5e-3, steps=5000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def memory() -> None:
    """The theory of 100 and of 10,000 units, each in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        small, large = pool.map(_peak, [100, 10_000], chunksize=1)
    print(f"    {small:.0f} and {large:.0f} MB, Python and JAX included")
    row(
        "memory, N = 10,000 over N = 100",
        f"{large / small:.2f}",
        "<= 1.05",
        large <= 1.05 * small,
    )


def main() -> None:
    print("Learning in low-rank networks")
    with float64():
        linear()
        bent()
        rank_two()
    memory()


if __name__ == "__main__":
    main()
