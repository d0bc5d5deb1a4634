r"""Does a network learn the same way inside a loop and as an imitator outside of it?

A tanh network of 100 units, all weights trained, learns to bring a double integrator to rest
from its position, with a price on effort. Then a student with the same first weights imitates
it on white noise. Both end alike. The way there differs: put into the loop after each update,
the student gets worse by orders of magnitude before it gets good, since it copies the push
against the position before the damping; in the loop the damping grows on a plateau, and the
loss never does that.

Paper: Ger and Barak 2025, arXiv:2505.13567, figures 1c and 2.
Takes: 28 s quick, 72 s full
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pydantic
from jaxtyping import Array, Float, Int, PRNGKeyArray

from slowpoint.analysis.gain import cost_of_gains, regress_gain
from slowpoint.analysis.stages import find_stages, radii
from slowpoint.cells.vanilla import Vanilla
from slowpoint.core.claim import at_least, at_most, Claim, equal, reported
from slowpoint.core.closed_loop import ClosedLoop
from slowpoint.core.result import Result
from slowpoint.core.rollout import rollout
from slowpoint.core.settings import Settings as Base
from slowpoint.core.with_effort import WithEffort
from slowpoint.learning.clip import clip
from slowpoint.learning.grid import Linear
from slowpoint.learning.train import train
from slowpoint.plots.controllers import gain_plane
from slowpoint.plots.epochs import over_epochs
from slowpoint.plots.gain_paths import gain_paths
from slowpoint.plots.style import row
from slowpoint.tasks.imitate import Imitate, White
from slowpoint.tasks.regulate import Regulate
from slowpoint.theory.loop_spectrum import coupled_matrices
from slowpoint.worlds.double_integrator import DoubleIntegrator

STEPS = 50  # T
# Starts of the test: the middles of a grid over those of learning, U[-1, 1]. The mean of ten
# random ones, as in the paper, differs by a third from draw to draw.
MIDDLES = np.array([-0.75, -0.25, 0.25, 0.75])
STARTS = np.stack(np.meshgrid(MIDDLES, MIDDLES), axis=-1).reshape(-1, 2)
EARLY = 0.1  # gain of W at first
GAINS = (-0.0222, -0.0245)  # when stable
FINAL = ((-0.41, -0.29), (-1.012, -0.81))  # least and most of k1 and k2 in the end


class Settings(Base):
    networks: int = pydantic.Field(default=3, ge=1, description="pairs, each from weights")
    units: int = pydantic.Field(default=100, ge=2, description="N")
    rate: float = pydantic.Field(default=1e-2, gt=0, description="learning rate")
    batch: int = pydantic.Field(default=100, ge=1, description="trials per epoch")
    epochs: int = pydantic.Field(default=1000, ge=10, description="updates, tens")


QUICK = Settings(networks=1)


class Way(Result):
    """Networks while they learn; each epoch they are put into the loop on the same starts."""

    losses: Float[np.ndarray, "*network epoch"]  # of what is trained, before each update
    deployed: Float[np.ndarray, "*network epoch"]  # summed over time, mean of the starts
    gains: Float[np.ndarray, "*network epoch 2"]  # k1, k2 that fit the efforts best


class Spectra(Result):
    """Of the networks taught in the loop, linearised at rest."""

    stable_from: Int[np.ndarray, "*network"]  # first epoch of radius < 1 to the end; -1: none
    memory: Float[np.ndarray, "*network"]  # spectral radius of W then
    regressed_from: Int[np.ndarray, "*network"]  # the same by gains that fit small deviations


class Landscape(Result):
    """The cost of constant gains from (1, 1), below what is drawn."""

    gains: Float[np.ndarray, " gain"]
    costs: Float[np.ndarray, "gain gain"]  # k2, k1


@dataclasses.dataclass(frozen=True)
class Results:
    closed: Way
    opened: Way
    spectra: Spectra
    landscape: Landscape


def run(settings: Settings) -> Results:
    pairs = [_pair(settings, key) for key in jr.split(jr.key(settings.seed), settings.networks)]
    closed, opened, spectra = (jax.tree.map(_stack, *kind) for kind in zip(*pairs))
    grid = np.linspace(-1.2, 0.6, 50)
    plane = np.stack(np.meshgrid(grid, grid), axis=-1)
    return Results(closed, opened, spectra, Landscape(grid, cost_of_gains(plane)))


def _stack(*parts) -> np.ndarray:
    return np.stack(parts)


def network(units: int, key: PRNGKeyArray) -> Vanilla:
    """h' = tanh(W h + m y), u = z h, before it learns."""
    w, m, z = jr.split(key, 3)
    return Vanilla(
        EARLY / units**0.5 * jr.normal(w, (units, units)),
        jr.normal(m, (units, 1)) / units,
        jnp.zeros(units),
        jr.normal(z, (1, units)) / units,
        jnp.zeros(1),
        dt=1.0,
        form="rate",
    )


def looped(agent: Vanilla) -> WithEffort:
    """`agent` with its mass."""
    return WithEffort(ClosedLoop(DoubleIntegrator(), agent))


def learns(agent: Any) -> tuple[Any, Any, Any]:
    """W, m and z; no bias."""
    return agent.recurrent, agent.encoder, agent.readout


def _pair(settings: Settings, key: PRNGKeyArray) -> tuple[Way, Way, Spectra]:
    """One network taught in the loop, and one from the same weights that imitates it."""
    draw, ask, listen = jr.split(key, 3)
    start, task = network(settings.units, draw), Regulate.mean_square(steps=STEPS)
    how: Any = {
        "updates": settings.epochs,
        "batch": settings.batch,
        "optimiser": optax.chain(clip(1.0), optax.sgd(settings.rate)),
        "snapshots": Linear(settings.epochs + 1),
    }
    inside: Any = train(
        looped(start), task, key=ask, trainable=lambda s: learns(s.loop.agent), **how
    )
    teacher, agents = inside.system.loop.agent, inside.snapshots.loop.agent
    copying = Imitate(teacher, White(STEPS), step_cost=1.0)
    outside = train(start, copying, key=listen, trainable=learns, **how)
    closed = Way(inside.losses, *deploy(agents, STARTS))
    opened = Way(outside.losses, *deploy(outside.snapshots, STARTS))
    _, small = deploy(agents, STARTS / 100)  # tanh weakens what large deviations are answered
    return closed, opened, linearised(inside.snapshots.loop, borders(small)[1])


@eqx.filter_jit
def _paths(agents: Vanilla, starts: Float[Array, "trial 2"]) -> Float[Array, "_ trial time 3"]:
    def one(agent):
        system, nothing = looped(agent), jnp.zeros((STEPS, 0))
        return jax.vmap(lambda start: rollout(system, start, nothing).outputs)(starts)

    return jax.lax.map(one, agents)  # one by one: all states of all epochs are too many


def deploy(
    agents: Vanilla, starts: Float[np.ndarray, "trial 2"]
) -> tuple[Float[np.ndarray, " epoch"], Float[np.ndarray, "epoch 2"]]:
    """`(losses, gains)` in the loop; every array of `agents` has the epochs as first axis."""
    shown = np.asarray(_paths(agents, jnp.asarray(starts, jnp.float32)), float)
    states, efforts = shown[..., :2], shown[..., 2:]
    losses = (states**2).sum(axis=-1).mean(axis=1).sum(axis=1)
    late = zip(states[:, :, 1:], efforts[:, :, 1:], strict=True)  # u_0 is 0, whatever x_0
    return losses, np.stack([regress_gain(x, u).gain[0] for x, u in late])


def borders(gains: Float[np.ndarray, "epoch 2"]) -> tuple[int, int]:
    """Where the first two stages end if u = k1 x + k2 v; -1: not reached."""
    loops = np.zeros((len(gains), 2, 2)) + np.array([[1.0, 1.0], [0.0, 1.0]])[None]
    loops[:, 1] += gains
    found = find_stages(gains[:, 0], radii(loops))
    return found.first_end, found.second_end


def linearised(loops: ClosedLoop, around: int) -> Spectra:
    """Look every ten epochs, and at each of twenty to both sides of `around`."""
    agent: Any = loops.agent
    epoch = np.arange(len(agent.recurrent))
    looks = epoch[(epoch % 10 == 0) | (np.abs(epoch - around) <= 20)]
    matrices = coupled_matrices(jax.tree.map(lambda a: a[looks], loops))
    found = find_stages(np.zeros(len(looks)), radii(matrices), epochs=looks).second_end
    memory = radii(np.asarray(agent.recurrent[found], float))
    memory = memory if found >= 0 else np.array(np.nan)
    return Spectra(np.array(found), memory, np.array(around))


def claims(results: Results) -> list[Claim]:
    ends = [
        np.array([borders(g) for g in way.gains]) for way in (results.closed, results.opened)
    ]
    return [
        *_of_closed(results, *ends[0].T),
        *_of_open(results, ends[1][:, 1]),
        *_of_gains(results, ends[0][:, 1]),
    ]


def _between(says: str, values, low: float, high: float) -> list[Claim]:
    """That all `values` are; what fails names its side."""
    return [
        at_least(f"{says}, the least", np.min(values), low),
        at_most("the most", np.max(values), high),
    ]


def _of_closed(results: Results, first, second) -> list[Claim]:
    losses, linear = results.closed.deployed, results.spectra
    spans = zip(losses, first, second, strict=True)
    flat = [np.median(loss[a:b]) if 0 <= a < b else np.nan for loss, a, b in spans]
    small = np.abs(linear.stable_from - linear.regressed_from).max()
    apart = np.abs(linear.stable_from - second).max()
    return [
        *_between("in the loop: stable from epoch", second, 95, 130),
        *_between("plateau of the test loss", flat, 400, 1000),
        at_most("by the linearised loop and by gains, small starts: epochs apart", small, 1),
        at_most("by gains of the test's starts", apart, 1, "full"),
        at_most("spectral radius of W then, the most", linear.memory.max(), 0.2),
    ]


def _of_open(results: Results, stable) -> list[Claim]:
    inside, outside = results.closed.deployed, results.opened.deployed
    ratio = np.maximum(inside, outside) / np.minimum(inside, outside)
    peaks = outside.argmax(axis=1)
    rise = [loss[at] / loss[: at + 1].min() for loss, at in zip(outside, peaks, strict=True)]
    last = np.abs(outside[:, -1] / inside[:, -1] - 1)
    return [
        *_between("loop and imitator differ by a factor of 2 from", _first(ratio >= 2), 25, 55),
        *_between("imitator: test loss peaks at epoch", peaks, 180, 260),
        reported("median height", np.median(outside.max(axis=1))),
        at_least("over its minimum before, the least", min(rise), 10),
        equal("imitators never stable", (stable < 0).sum(), 0),
        reported("median epoch of stability", np.median(stable)),
        reported("median test loss in the end, in the loop", np.median(inside[:, -1])),
        at_most("final test losses apart, share, the most", last.max(), 0.05),
    ]


def _first(true: np.ndarray) -> np.ndarray:
    return np.where(true.any(axis=1), true.argmax(axis=1), -1)


def _of_gains(results: Results, stable) -> list[Claim]:
    inside, outside = results.closed.gains, results.opened.gains
    then = inside[np.arange(len(inside)), stable]
    found = []
    for i, name in enumerate(("k1", "k2")):
        off = np.abs(then[:, i] - GAINS[i]).max()
        found += [at_most(f"{name} when stable in the loop, off {GAINS[i]}", off, 0.004)]
    for i, name in enumerate(("k1", "k2")):
        found += [
            *_between(f"final {name}, in the loop", inside[:, -1, i], *FINAL[i]),
            *_between(f"final {name}, imitator", outside[:, -1, i], *FINAL[i]),
        ]
    undamped = np.where(np.abs(outside[..., 1]) < 0.04, outside[..., 0], np.inf)
    says = "imitator: least k1 while |k2| < .04, the largest of them"
    return [*found, at_most(says, undamped.min(axis=1).max(), -0.07)]


def draw(results: Results):
    figure, axes = row(3, width=9.0, height=2.8)
    ways = {"in the loop": results.closed, "imitator": results.opened}
    epochs = np.arange(results.closed.deployed.shape[1])
    over_epochs(axes[0], epochs, {name: way.deployed for name, way in ways.items()})
    axes[0].set(ylabel="test loss in the loop")
    paths = {name: way.gains for name, way in ways.items()}
    gain_paths(axes[1], results.landscape.gains, results.landscape.costs, paths)
    gain_plane(axes[2], {name: way.gains[:, -1] for name, way in ways.items()})
    axes[2].set(title="in the end")
    return figure
