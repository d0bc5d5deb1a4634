r"""How do weights learn while the state runs, one map after another?

A map is shown: its input is held, and each weight changes by what is local to it, the error of
one unit and the state of the other, until the state is near the target. Then the next map is
shown; nothing is reset. (Kurikawa, Barak and Kaneko 2020, Phys. Rev. Research 2, 023307,
arXiv:1906.11770. The constants are ours: the paper may set others.)
"""

import os
import pathlib
import time
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray
from tqdm import tqdm

from slowpoint.cells.associative import Associative
from slowpoint.core.chance import generator
from slowpoint.core.fingerprint import fingerprint
from slowpoint.core.precision import float64, to_numpy, widen
from slowpoint.core.result import Result
from slowpoint.learning.grid import Grid, Linear
from slowpoint.learning.load_bound import warn_above_bound
from slowpoint.tasks.recall import InputOutputMaps

Weights = Float[Array, "unit unit"]
SECONDS = 30.0  # from one writing of the file to the next
Vector = Float[Array, " unit"]
# `(J, error, state, field)` to the change of J per unit of time and rate
Rule = Callable[[Weights, Vector, Vector, Vector], Weights]


def delta_rule(recurrent: Weights, error: Vector, state: Vector, field: Vector) -> Weights:
    r"""$e_i x_j$ (Widrow and Hoff 1960): rows grow."""
    del recurrent, field
    return error[:, None] * state[None, :]


def normalised_delta_rule(
    recurrent: Weights, error: Vector, state: Vector, field: Vector
) -> Weights:
    r"""$e_i (x_j - u_i J_{ij})$, u = J x: rows of length 1 keep it, in continuous time."""
    return error[:, None] * (state[None, :] - field[:, None] * recurrent)


class Plasticity(eqx.Module):
    """How weights follow the state, and when the next map comes. Times in units of the leak.

    Raises ValueError on a rate or a time that is not above 0, and on an overlap to stop at
    that no state can have.
    """

    rule: Rule = eqx.field(static=True, default=normalised_delta_rule)
    rate: float = 3e-4  # epsilon; scale it as 1 / N
    stop: float = 0.95  # m at which a map ends
    longest: float = 300.0  # and the time after which it ends anyway
    renormalise: bool = eqx.field(static=True, default=False)  # rows to length 1, after a map

    def __check_init__(self):
        for name in ("rate", "longest"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)}: give a number above 0.")
        if not self.stop < 1:
            raise ValueError(
                f"stop={self.stop}: tanh stays below 1, so no map would end. Give less, as .95."
            )


class SequentialLearning(Result):
    """A network that was shown all maps, again and again. Maps are numbered as they are listed.

    `finished` is False where a map was ended by its time. From a pass in which numbers were
    not finite on (`diverged`, -1: none) weights stay as they last were.
    """

    passes: Int[np.ndarray, " snapshot"]  # after how many passes
    recurrent: Float[np.ndarray, "snapshot unit unit"]  # J
    states: Float[np.ndarray, "snapshot unit"]  # with which the next pass would begin
    order: Int[np.ndarray, "pass map"]  # which map was shown when
    durations: Float[np.ndarray, "pass map"]  # of each map
    finished: Bool[np.ndarray, "pass map"]
    diverged: int  # pass
    run: str  # fingerprint of network, maps, rule, key and kind of order

    def network(self, like: Associative, snapshot: int = -1) -> Associative:
        """`like` with the weights of a snapshot."""
        return eqx.tree_at(lambda net: net.recurrent, like, self.recurrent[snapshot])


def learn_map(
    network: Associative, how: Plasticity, target: Vector, pattern: Vector, state: Vector
) -> tuple[Weights, Vector, Int[Array, ""]]:
    """`(J, state, steps)` after one map, shown until the overlap is `how.stop` or time is up.

    A step: fields of the old state, the new state, then weights by the error of the new state.
    """
    drive, dt = network.encode(pattern), network.dt
    others = 1 - jnp.eye(len(state), dtype=state.dtype)
    most = jnp.round(how.longest / dt).astype(int)

    def more(carry):
        *_, steps, overlap = carry
        return (overlap < how.stop) & (steps < most)  # not with an overlap of NaN

    def tick(carry):
        recurrent, state, steps, _ = carry
        field = recurrent @ state
        state = state + dt * (jnp.tanh(network.gain * (field + drive)) - state)
        change = how.rule(recurrent, target - state, state, field)
        recurrent = others * (recurrent + dt * how.rate * change)
        return recurrent, state, steps + 1, jnp.mean(target * state)

    begin = jnp.asarray(network.recurrent), state, jnp.zeros((), int), jnp.full((), -jnp.inf)
    recurrent, state, steps, _ = jax.lax.while_loop(more, tick, begin)
    if how.renormalise:
        recurrent = recurrent / jnp.linalg.norm(recurrent, axis=1, keepdims=True)
    return recurrent, state, steps


@eqx.filter_jit
def _one_pass(network, how, targets, inputs, state, order, good):
    """All maps in `order`: `(J, state, steps, end overlaps, whether all was finite)`.

    Nothing is kept from a map on after which numbers were not finite, nor unless `good`.
    """

    def show(carry, row):
        recurrent, state, good = carry
        now = eqx.tree_at(lambda net: net.recurrent, network, recurrent)
        learned, moved, steps = learn_map(now, how, targets[row], inputs[row], state)
        good = good & jnp.isfinite(learned).all() & jnp.isfinite(moved).all()
        kept = jnp.where(good, learned, recurrent), jnp.where(good, moved, state), good
        return kept, (steps, jnp.mean(targets[row] * moved))

    first = jnp.asarray(network.recurrent), state, good
    (recurrent, state, good), (steps, overlaps) = jax.lax.scan(show, first, order)
    return recurrent, state, steps, overlaps, good


def learn_sequence(
    network: Associative,
    maps: InputOutputMaps,
    how: Plasticity = Plasticity(),
    *,
    passes: int,
    key: PRNGKeyArray,
    shuffled: bool = True,
    snapshots: Grid = Linear(2),
    file: str | os.PathLike | None = None,
) -> SequentialLearning:
    """Show `network` all `maps`, `passes` times, while `how` changes its weights.

    `shuffled`: each pass in a new random order, else as listed. The state is random once, at
    the start. `snapshots` counts passes. Computes in float64; early passes are chaotic, so runs
    agree in detail on one machine only. `file` (.npz): written every half minute, at the end
    and at Ctrl-C; the same call made again, also with more passes, goes on from there.

    Warns of more maps than rows of length 1 can hold. Raises ValueError on sizes that differ,
    on no pass, and on a file of another run.
    """
    if maps.input_size != network.state_size:
        raise ValueError(
            f"The maps have {maps.input_size} units, the network {network.state_size}. Build "
            f"it with Associative.random({maps.input_size}, key=key)."
        )
    if passes < 1:
        raise ValueError(f"passes={passes}: give 1 or more.")
    strength, gain = float(network.strength), float(network.gain)
    warn_above_bound(len(maps.targets), maps.input_size, strength, gain, how.stop)
    looks = snapshots.updates(passes).tolist()
    done = _begin(network, maps, how, key, shuffled)
    done = done if file is None else _reopened(pathlib.Path(file), done, passes)
    written = time.monotonic()
    try:
        with tqdm(total=passes, initial=len(done.order), unit=" passes", disable=None) as bar:
            while len(done.order) < passes:
                done = _show_all(network, maps, how, key, shuffled, looks, done)
                bar.set_postfix(time=f"{np.mean(done.durations[-1]):.3g}", refresh=False)
                bar.update()
                if file is not None and time.monotonic() - written > SECONDS:
                    done.save(file)
                    written = time.monotonic()
    except KeyboardInterrupt:
        if file is None:
            raise
        done.save(file)
        raise KeyboardInterrupt(
            f"Stopped after {len(done.order)} of {passes} passes. They are in {file}: the same "
            "call goes on from there."
        ) from None
    if file is not None:
        done.save(file)
    return done


class _Run(eqx.Module):
    """What must be equal for one run to go on from another's file."""

    network: Associative
    maps: InputOutputMaps
    how: Plasticity
    key: Array
    shuffled: bool


def _begin(network, maps, how, key, shuffled) -> SequentialLearning:
    """Before the first pass."""
    units, count = network.state_size, len(maps.targets)
    run = fingerprint(_Run(network, maps, how, jr.key_data(key), shuffled))
    none = np.zeros((0, count))
    return SequentialLearning(
        np.zeros(1, int),
        np.asarray(network.recurrent, float)[None],
        generator(jr.fold_in(key, 0)).uniform(-1, 1, (1, units)),
        none.astype(int),
        none,
        none.astype(bool),
        -1,
        run,
    )


def _reopened(file: pathlib.Path, begun: SequentialLearning, passes: int) -> SequentialLearning:
    """What is in `file`, if it is there: the same run, not farther than `passes`."""
    if not file.exists():
        begun.save(file)  # a folder that cannot be written to is known before the work
        return begun
    found = SequentialLearning.load(file)
    if found.run != begun.run:
        raise ValueError(
            f"{file} is of another run: its network, maps, rule, key or order differ. Make the "
            "call that wrote it, or give another file."
        )
    if len(found.order) > passes:
        raise ValueError(f"{file} holds {len(found.order)} passes. Give as many, or more.")
    return found


def _show_all(network, maps, how, key, shuffled, looks, done) -> SequentialLearning:
    """One more pass; the last snapshot always is the present one."""
    count, before = len(maps.targets), len(done.order)
    order = np.arange(count)
    if shuffled:
        order = generator(jr.fold_in(key, before + 1)).permutation(count)
    with float64():
        now = widen(done.network(network))
        patterns = jnp.asarray(maps.targets, float), jnp.asarray(maps.inputs, float)
        state = jnp.asarray(done.states[-1])
        shown = *patterns, state, jnp.asarray(order), jnp.asarray(done.diverged < 0)
        found = to_numpy(_one_pass(now, widen(how), *shown))
    recurrent, state, steps, overlaps, good = found
    durations, finished = np.empty(count), np.empty(count, bool)
    durations[order], finished[order] = steps * network.dt, overlaps >= how.stop
    kept = slice(None) if done.passes[-1] in looks else slice(-1)
    add = lambda rows, row: np.append(rows, np.asarray(row)[None], axis=0)
    return SequentialLearning(
        add(done.passes[kept], before + 1),
        add(done.recurrent[kept], recurrent),
        add(done.states[kept], state),
        add(done.order, order),
        add(done.durations, durations),
        add(done.finished, finished),
        done.diverged if done.diverged >= 0 or good else before,
        done.run,
    )
