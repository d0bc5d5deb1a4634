"""How much faster do scalar products learn to control than the network they stand for?

And eight references than a hundred, and how long do all spectra of a training take? One thread
on one core, everything compiled before; sides that are compared are jitted scans over steps, in
the same process. Prints, judges nothing: the exit code is 0. Takes about two minutes.
"""

import time

import _one_thread  # noqa: F401  # isort: split
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax

from slowpoint.cells.low_rank import LowRank
from slowpoint.core.closed_loop import ClosedLoop
from slowpoint.core.nonlinearity import identity
from slowpoint.core.precision import float64
from slowpoint.core.with_effort import WithEffort
from slowpoint.experiments import tracking
from slowpoint.learning.given_trials import GivenTrials
from slowpoint.learning.train import TaskLoss
from slowpoint.tasks.regulate import Axes, Regulate
from slowpoint.theory.gram import gram, learn_gram, seen_history
from slowpoint.theory.loop_loss import expected_loss
from slowpoint.theory.loop_spectrum import coupled_matrices, effective_matrix, spectrum
from slowpoint.theory.loop_start import start_columns, start_grams
from slowpoint.worlds.double_integrator import DoubleIntegrator

STEPS, VARIANCE, RATE = 50, 4 / 3, 1e-2
LOSS = eqx.Partial(expected_loss, steps=STEPS, variance=VARIANCE)
TASK = Regulate.averaged(steps=STEPS)
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


def loop_of(columns) -> ClosedLoop:
    """The network of columns m, u, v, z in control of the double integrator."""
    parts = (columns[:, i : i + 1] for i in range(4))
    agent = LowRank(*parts, dt=1.0, scale=1.0, nonlinearity=identity)
    return ClosedLoop(DoubleIntegrator(), agent)


def of_network(loss, units: int, steps: int) -> float:
    """CPU seconds a step of a network that learns by `loss`, its gradient clipped."""
    columns = jnp.asarray(start_columns(jr.key(0), 1, units)[0])
    mark = jax.value_and_grad(lambda columns, key: loss(WithEffort(loop_of(columns)), key))
    free = jnp.array([0.0, 1.0, 1.0, 1.0])

    @jax.jit
    def descend(columns):
        def tick(columns, step):
            value, slope = mark(columns, jr.fold_in(jr.key(1), step))
            slope = slope * free
            share = jnp.minimum(1.0, 1 / (jnp.linalg.norm(slope) + 1e-6))
            return columns - RATE * share * slope, value

        return jax.lax.scan(tick, columns, jnp.arange(steps))

    return best(lambda: jax.block_until_ready(descend(columns))) / steps


def row(what: str, value: str, bar: str, met: bool) -> None:
    print(f"  {what:60} {value:>10}  {bar:>9}  {'met' if met else 'NOT MET'}", flush=True)


def ratio(what: str, slow: float, fast: float, bar: float) -> None:
    print(f"    {1e3 * fast:.3f} against {1e3 * slow:.3f} ms a step")
    row(what, f"{slow / fast:.1f}", f">= {bar:g}", slow / fast >= bar)


def learning() -> None:
    """One network at a time; the network sees 100 new starts each epoch, as in the paper."""
    grams = start_grams(jr.key(0), 50)
    fast = best(lambda: learn_gram(grams[0], LOSS, rate=RATE, steps=1000)) / 1000
    sampled = TaskLoss(TASK, batch=100)
    ratio("N = 100: network / scalar products", of_network(sampled, 100, 200), fast, 5)
    ratio("N = 400: network / scalar products", of_network(sampled, 400, 50), fast, 5)
    few = Regulate.averaged(Axes(variance=VARIANCE), steps=STEPS)
    exact = of_network(GivenTrials(few, few.every()), 100, 200)
    print(f"    {1e3 * exact:.3f} ms a step of N = 100 from the four starts that stand for all")
    spent = best(lambda: learn_gram(grams, LOSS, rate=RATE, steps=1000))
    row("50 networks x 1000 epochs by theory: CPU s", f"{spent:.2f}", "<= 15", spent <= 15)


def follow(loss, steps: int) -> float:
    """CPU seconds a step of a network that learns to track, by Adam."""
    agent = tracking.network(jr.key(0), tracking.Settings())
    loop = ClosedLoop(tracking.WORLD, agent, first="agent")
    optimiser = optax.adam(1e-3)
    learns = lambda loop: (loop.agent.recurrent, loop.agent.readout)

    def mark(weights, key):
        return loss(eqx.tree_at(learns, loop, weights), key)

    @jax.jit
    def descend(weights):
        def tick(carried, step):
            weights, memory = carried
            value, slope = jax.value_and_grad(mark)(weights, jr.fold_in(jr.key(1), step))
            change, memory = optimiser.update(slope, memory)
            return (optax.apply_updates(weights, change), memory), value

        return jax.lax.scan(tick, (weights, optimiser.init(weights)), jnp.arange(steps))

    return best(lambda: jax.block_until_ready(descend(learns(loop)))) / steps


def references() -> None:
    """The eight that stand for all against a hundred of random phases."""
    exact = follow(tracking.tracked(), 100)
    sampled = follow(TaskLoss(tracking.TASK, batch=100), 20)
    ratio("tracking: 100 references / 8", sampled, exact, 5)


def spectra() -> None:
    """A thousand networks of 100 units in control, as one batch."""
    columns = start_columns(jr.key(0), 1000)
    matrices = coupled_matrices(jax.vmap(loop_of)(jnp.asarray(columns)))
    whole = best(lambda: spectrum(matrices))
    print(f"    {1e3 * whole:.0f} ms: eigenvalues of 1000 matrices of {matrices.shape[1]} rows")
    overlaps = seen_history(gram(columns))
    small = best(lambda: spectrum(effective_matrix(overlaps)))
    print(f"    {1e3 * small:.1f} ms: of the matrices of 4 rows that move the same loops")


def main() -> None:
    print("Learning in a closed loop")
    with float64():
        learning()
    references()  # float32, as networks learn
    spectra()


if __name__ == "__main__":
    main()
