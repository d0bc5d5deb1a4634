"""Do 21 overlaps predict how a network of rank 2 learns to oscillate?

A linear network learns a response that rings and dies out, which takes two complex modes, from
the paper's kind of random weights. Its 21 overlaps follow by the exact step and by Euler steps
of the equations. From every other draw of the weights the recurrence V'U/N ends at the same two
eigenvalues, those whose Euler steps are the target's: the function is learned, whatever else
the overlaps become. When differs: small overlaps wait near a saddle, longer in larger networks,
and of those with 500 units about half are still on the way at the paper's last epoch.

Paper: Ger and Barak 2026, arXiv:2605.04115, figure 12.
Takes: 15 s quick, 50 s full
"""

import dataclasses

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pydantic
from jaxtyping import Complex, Float, Int, PRNGKeyArray

from slowpoint.core.chance import generator
from slowpoint.core.claim import at_most, Claim, equal, reported
from slowpoint.core.precision import float64
from slowpoint.core.result import Result
from slowpoint.core.rollout import rollout
from slowpoint.core.settings import Settings as Base
from slowpoint.plots.along import along
from slowpoint.plots.epochs import over_epochs
from slowpoint.plots.style import grid
from slowpoint.tasks.filter import Filter
from slowpoint.theory.network_learning import apart, learn_network, OfOverlaps
from slowpoint.theory.overlap_learning import learn, OverlapFlow
from slowpoint.theory.overlaps import as_network, Dims, matrix, vector

TASK = Filter(rate=0.3, frequency=2.0)
DIMS = Dims(rank=2)
WAYS = ("network", "exact steps", "Euler steps")
EVERY = 100  # epochs from record to record
LEARNED = 1e-6  # a loss below it is none
PAPER = 10_000  # epochs


class Settings(Base):
    units: int = pydantic.Field(default=500, ge=6, description="N")
    eta: float = pydantic.Field(default=5e-3, gt=0, description="learning rate, times N")
    epochs: int = pydantic.Field(
        default=2 * PAPER, ge=PAPER, multiple_of=EVERY, description="updates"
    )
    draws: int = pydantic.Field(default=12, ge=1, description="of weights; the first also runs")


QUICK = Settings(units=50, epochs=PAPER)


class Paths(Result):
    """From the first draw, each of WAYS."""

    losses: Float[np.ndarray, "way step"]  # before each step, and after the last
    epochs: Int[np.ndarray, " record"]
    overlaps: Float[np.ndarray, "way record 6 6"]  # Sigma


class Draws(Result):
    """From every draw, by exact steps."""

    losses: Float[np.ndarray, "draw step"]
    overlaps: Float[np.ndarray, "draw record 6 6"]

    @property
    def poles(self) -> Complex[np.ndarray, "draw record 2"]:
        """Eigenvalues of V'U/N."""
        return poles(self.overlaps)


@dataclasses.dataclass(frozen=True)
class Results:
    paths: Paths
    draws: Draws


def poles(sigmas: Float[np.ndarray, "*many 6 6"]) -> Complex[np.ndarray, "*many 2"]:
    """Eigenvalues of V'U/N, the lower imaginary part first."""
    found = np.asarray(np.linalg.eigvals(sigmas[..., DIMS.v, DIMS.u]), complex)
    order = np.argsort(np.imag(found), axis=-1)
    return np.take_along_axis(found, order, axis=-1)


def wanted(task: Filter) -> complex:
    r"""The eigenvalue whose Euler steps ring as the target does, on its own time axis."""
    spacing = task.dt * task.steps / (task.steps - 1)
    factor = np.exp((-task.rate + 1j * task.frequency) * spacing)
    return complex((factor - (1 - task.dt)) / task.dt)


def run(settings: Settings) -> Results:
    weights, descent = jr.split(jr.key(settings.seed))
    first = columns(settings, weights)
    sigmas = first.swapaxes(1, 2) @ first / settings.units
    loss = OfOverlaps(TASK.mark, DIMS, dt=TASK.dt)
    eta, epochs = settings.eta, settings.epochs
    found = learn(loss, sigmas, eta=eta, steps=epochs, every=EVERY)
    with float64():
        network = as_network(first[0], DIMS, TASK.dt)
    optimiser = optax.sgd(eta * settings.units)
    whole = learn_network(
        TASK.mark, network, optimiser, updates=epochs, every=EVERY, key=descent
    )
    euler, euler_losses = _euler(loss, sigmas[0], eta, epochs)
    paths = Paths(
        np.array([whole.losses, found.losses[0], euler_losses]),
        found.epochs,
        np.array([whole.overlaps, found.overlaps[0], euler[::EVERY]]),
    )
    return Results(paths, Draws(found.losses, found.overlaps))


def columns(settings: Settings, key: PRNGKeyArray) -> Float[np.ndarray, "draw unit 6"]:
    """Gaussian; m, z, and U and V each as a whole of Frobenius norm sqrt(N)."""
    drawn = generator(key).standard_normal((settings.draws, settings.units, DIMS.size))
    for part in (DIMS.m, DIMS.u, DIMS.v, DIMS.z):
        norms = np.linalg.norm(drawn[..., part], axis=(1, 2), keepdims=True)
        drawn[..., part] *= settings.units**0.5 / norms
    return drawn


def _euler(loss: OfOverlaps, sigma: np.ndarray, eta: float, steps: int):
    """`(overlaps, losses)` by Euler steps of the 21 equations."""

    @jax.jit
    def move(first):
        flow = OverlapFlow(loss, DIMS.size, dt=eta)
        path = rollout(flow, first, np.zeros((steps, 0))).states
        sigmas = jax.vmap(matrix)(jnp.concatenate([first[None], path]))
        return sigmas, jax.lax.map(lambda sigma: loss(sigma, None), sigmas)

    with float64():
        return tuple(map(np.asarray, move(vector(sigma))))


def claims(results: Results) -> list[Claim]:
    paths, draws = results.paths, results.draws
    errors = apart(paths.overlaps[1:], paths.overlaps[0]).max(axis=1)
    best = wanted(TASK)
    ends = np.abs(draws.poles[:, -1] - [best.conjugate(), best]).max(axis=1)
    by_then, learned = (draws.losses[:, [PAPER, -1]] < LEARNED).sum(axis=0)
    return [
        at_most("largest error of the overlaps: exact steps", errors[0], 1e-11),
        at_most("Euler steps of the equations", errors[1], 5e-3, "full"),
        at_most("loss of the network, last", paths.losses[0, -1], LEARNED),
        reported("its first", paths.losses[0, 0]),
        equal(f"draws that learn, of {len(draws.losses)}", learned, len(draws.losses)),
        equal(f"of these by epoch {PAPER}", by_then, len(draws.losses), "full"),
        at_most("loss of the draws, last, the largest", draws.losses[:, -1].max(), LEARNED),
        at_most("wanted eigenvalue from .6026 + 1.9717i", abs(best - 0.6026 - 1.9717j), 1e-4),
        at_most("eigenvalues of V'U/N from those wanted, the network", ends[0], 1e-3),
        at_most("of all draws, largest", ends.max(), 1e-3),
    ]


def draw(results: Results):
    paths, draws = results.paths, results.draws
    figure, axes = grid(2, 2, width=7.0, height=5.2)
    every = {"other draws": draws.losses[1:], "network": paths.losses[:1]}
    over_epochs(axes[0, 0], np.arange(draws.losses.shape[1]), every)
    errors = apart(paths.overlaps[1:], paths.overlaps[0])
    ways = {name: row[None] for name, row in zip(WAYS[1:], errors, strict=True)}
    over_epochs(axes[0, 1], paths.epochs, ways, floor=1e-16)
    upper = np.triu_indices(DIMS.size)
    for way, style in ((0, "-"), (1, ":")):
        rows = paths.overlaps[way][:, *upper].T
        along(axes[1, 0], np.broadcast_to(paths.epochs, rows.shape), rows, DIMS.names, style)
    for path in draws.poles[..., 1]:
        axes[1, 1].plot(path.real, path.imag, lw=0.8, color="black")
    best = wanted(TASK)
    axes[1, 1].plot(best.real, best.imag, "o", mfc="none", color="black")
    axes[0, 0].set(ylabel="loss")
    axes[0, 1].set(ylabel="relative error of the overlaps")
    axes[1, 0].set(xlabel="epoch", ylabel="21 overlaps (dotted: predicted)")
    axes[1, 1].set(xlabel="eigenvalue of V'U/N, real part", ylabel="imaginary part")
    return figure
