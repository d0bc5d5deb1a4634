"""Can two networks do the same and yet learn differently?

Two linear networks of rank 1 whose function is equal to rounding: only overlaps that no output
shows, uu and mu, differ. Taught the same filter by the same rule, one falls to 1 % of its first
loss in 98 epochs, the other in 246, and on the way they do different things. A third, that
differs in mu alone, shows that mu does most of it. Noise on every neuron is no way to tell
them apart beforehand: it reaches the output through the overlaps of V and Z (G_A) only, which
are the same; a network of other V and Z and the same function gives itself away.

Paper: Ger and Barak 2026, arXiv:2605.04115, figure 2; how noise enters is ours.
Takes: 9 s quick, 25 s full
"""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pydantic
from jaxtyping import Float, Int, PRNGKeyArray

from slowpoint.cells.low_rank import LowRank
from slowpoint.core.chance import generator
from slowpoint.core.claim import at_least, at_most, Claim, reported
from slowpoint.core.precision import float64
from slowpoint.core.result import Result
from slowpoint.core.rollout import rollout
from slowpoint.core.settings import Settings as Base
from slowpoint.core.wrap import Noisy
from slowpoint.plots.style import grid
from slowpoint.plots.two_networks import two_answers, two_learners
from slowpoint.tasks.filter import Filter
from slowpoint.theory.filter_start import DRAWN, THETA_1, THETA_2
from slowpoint.theory.network_learning import learn_network, NetworkHistory, OfOverlaps
from slowpoint.theory.overlap_learning import learn
from slowpoint.theory.overlaps import as_network, Dims, rank_one, realise

NETWORKS = {"A": THETA_1, "B": THETA_2, "mu alone": rank_one(**(DRAWN | {"mu": 0.8}))}
OTHER = rank_one(**(DRAWN | {"zv": 0.8}), vv=1.5, zz=2.0)  # A, G_A changed
EVERY = 100  # epochs from record to record
LOOK = 300  # the epoch at which their answers are compared


class Settings(Base):
    units: int = pydantic.Field(default=500, ge=4, description="N")
    eta: float = pydantic.Field(default=5e-3, gt=0, description="learning rate, times N")
    epochs: int = pydantic.Field(
        default=2000, ge=LOOK, multiple_of=EVERY, description="updates"
    )
    noise: float = pydantic.Field(default=0.5, gt=0, description="sd of each neuron's, a step")
    trials: int = pydantic.Field(
        default=400, ge=50, description="with noise, each of 400 steps"
    )


QUICK = Settings(units=100, trials=200)


class Learning(Result):
    """NETWORKS, taught. Predicted: by their overlaps."""

    epochs: Int[np.ndarray, " record"]
    losses: Float[np.ndarray, "network step"]
    predicted: Float[np.ndarray, "network step"]
    overlaps: Float[np.ndarray, "network record 4 4"]


class Answers(Result):
    """Outputs of A and B."""

    target: Float[np.ndarray, " time"]
    inputs: Float[np.ndarray, " time"]  # standard normal numbers
    before: Float[np.ndarray, "input network time"]  # to the impulse, to the random input
    after: Float[np.ndarray, "input network time"]  # at epoch LOOK


class Noise(Result):
    """Outputs of A, B and OTHER before learning, each neuron kicked, no input."""

    predicted: Float[np.ndarray, "network time"]  # variance
    squares: Float[np.ndarray, "network time"]  # the mean over trials
    shares: Float[np.ndarray, "network trial"]  # squares over predicted, mean over time


@dataclasses.dataclass(frozen=True)
class Results:
    learning: Learning
    answers: Answers
    noise: Noise


def run(settings: Settings) -> Results:
    task, (frames, descent, draw, kicks) = Filter(), jr.split(jr.key(settings.seed), 4)
    sigmas = np.array(list(NETWORKS.values()))
    first = [_network(s, settings, k) for s, k in zip(sigmas, jr.split(frames, len(sigmas)))]
    optimiser = optax.sgd(settings.eta * settings.units)
    histories = [
        learn_network(
            task.mark, one, optimiser, updates=settings.epochs, every=EVERY, key=descent
        )
        for one in first
    ]
    loss = OfOverlaps(task.mark, dt=task.dt)
    theory = learn(loss, sigmas, eta=settings.eta, steps=settings.epochs, every=EVERY)
    learning = Learning(
        theory.epochs,
        np.array([history.losses for history in histories]),
        theory.losses,
        np.array([history.overlaps for history in histories]),
    )
    return Results(learning, _answers(task, histories[:2], draw), _noise(settings, task, kicks))


def _network(sigma, settings: Settings, key: PRNGKeyArray) -> LowRank:
    """A network of these overlaps, in a frame of its own."""
    with float64():
        return as_network(realise(sigma, settings.units, key), Dims(), Filter().dt)


@eqx.filter_jit
def _outputs(network: LowRank, inputs) -> Float[jax.Array, "input time"]:
    run = lambda u: jnp.asarray(rollout(network, np.zeros(0), u).outputs)[:, 0]
    return jax.vmap(run)(inputs)


def _answers(task: Filter, histories: list[NetworkHistory], key: PRNGKeyArray) -> Answers:
    with float64():
        trial = task.trial(None)
        random = generator(key).standard_normal(trial.inputs.shape)
        inputs = np.stack([np.asarray(trial.inputs), random])
        answers = [
            [_outputs(as_network(h.columns[i], Dims(), task.dt), inputs) for h in histories]
            for i in (0, LOOK // EVERY)
        ]
        before, after = np.swapaxes(np.asarray(answers), 1, 2)
        return Answers(np.asarray(trial.targets)[:, 0], random[:, 0], before, after)


def variances(sigma: np.ndarray, kick: float, dt: float, steps: int) -> np.ndarray:
    r"""Of the output, when every state is kicked by `kick` / sqrt(N) times a normal number.

    $q = (V, Z)^\top h / N$ moves by $q + dt (-q + C_U q_v)$ plus a kick of covariance G_A.
    """
    dims = Dims()
    step = (1 - dt) * np.eye(2)
    step[:, 0] += dt * sigma[dims.reads, dims.u][:, 0]
    spread, found = np.zeros((2, 2)), []
    for _ in range(steps):
        spread = step @ spread @ step.T + kick**2 * sigma[dims.reads, dims.reads]
        found.append(spread[1, 1])
    return np.array(found)


@eqx.filter_jit
def _kicked(network: Noisy, keys, steps: int) -> Float[jax.Array, "trial time"]:
    """Outputs without input but for the noise, trial by trial."""

    def one(key):
        noise = jr.normal(key, (steps, network.inside.state_size), float)
        inputs = jnp.concatenate([jnp.zeros((steps, 1)), noise], axis=1)
        return rollout(network, np.zeros(0), inputs).outputs[:, 0]

    return jax.lax.map(one, keys)


def _noise(settings: Settings, task: Filter, key: PRNGKeyArray) -> Noise:
    kick = settings.noise / settings.units**0.5
    sigmas = [NETWORKS["A"], NETWORKS["B"], OTHER]
    known = np.array([variances(s, kick, task.dt, task.steps) for s in sigmas])
    squares = []
    for sigma, own in zip(sigmas, jr.split(key, len(sigmas))):
        frame, kicks = jr.split(own)
        inside = _network(sigma, settings, frame)
        with float64():
            noisy = Noisy(inside, settings.noise / task.dt**0.5)  # so that a kick is `noise`
            outputs = _kicked(noisy, jr.split(kicks, settings.trials), task.steps)
            squares.append(np.asarray(outputs) ** 2)
    shares = np.array(squares) / known[:, None]
    return Noise(known, np.mean(squares, axis=1), shares.mean(axis=2))


def claims(results: Results) -> list[Claim]:
    learning, answers = results.learning, results.answers
    a, b, alone = learning.losses
    gap, other = np.abs(a - b).max(), np.abs(a - alone).max()
    wrong = np.abs(learning.losses - learning.predicted) / a[0]
    apart = answers.after[1, 0] - answers.after[1, 1]
    return [
        at_most("outputs of A and B before learning, difference", _largest(answers), 1e-12),
        *_epochs(a, "A", (94, 246)),
        *_epochs(b, "B", (64, 98)),
        at_least("largest gap of their losses, over the first loss", gap / a[0], 0.2),
        at_most("the gap over 1.1765, less 1", abs(gap / 1.1765 - 1), 0.01),
        at_most("mu alone: the gap over 1.0865, less 1", abs(other / 1.0865 - 1), 0.01),
        at_most("networks from what overlaps predict, of the first loss", wrong.max(), 1e-11),
        at_least(
            f"random input at epoch {LOOK}: difference of outputs, relative",
            np.linalg.norm(apart) / np.linalg.norm(answers.after[1, 0]),
            0.01,
        ),
        *_of_noise(results.noise),
    ]


def _largest(answers: Answers) -> float:
    """Difference of A and B before learning, on either input."""
    return float(np.abs(answers.before[:, 0] - answers.before[:, 1]).max())


def _epochs(losses: Float[np.ndarray, " step"], name: str, known) -> list[Claim]:
    """To half the first loss and to 1 % of it, within an epoch of `known`."""
    found = [int(np.argmax(losses < share * losses[0])) for share in (0.5, 0.01)]
    return [
        at_most(f"{name}: epochs to {share}, from {at}", abs(epoch - at), 1)
        for share, epoch, at in zip(("50 %", "1 %"), found, known, strict=True)
    ]


def _of_noise(noise: Noise) -> list[Claim]:
    errors = noise.shares.std(axis=1, ddof=1) / noise.shares.shape[1] ** 0.5
    off = np.abs(noise.shares.mean(axis=1) - 1) / errors
    a, b, other = noise.predicted.mean(axis=1) ** 0.5
    return [
        at_most("noise: predicted variance of B over A, less 1", abs((b / a) ** 2 - 1), 1e-12),
        at_most("measured from predicted variance, in standard errors", off.max(), 4),
        reported("noise: standard deviation of the output of A", a),
        reported(
            "B, measured over A", (noise.squares[1].mean() / noise.squares[0].mean()) ** 0.5
        ),
        reported("other V and Z, over A", other / a),
    ]


def draw(results: Results):
    learning, answers, noise = results.learning, results.answers, results.noise
    figure, axes = grid(2, 2, width=7.0, height=5.2)
    dt = Filter().dt
    two_answers(axes[0, 0], answers.before[0], answers.target, dt)
    two_learners(axes[0, 1], learning.predicted[:2], learning.losses[:2])
    time = dt * np.arange(1, len(answers.target) + 1)
    for name, row in zip("AB", answers.after[1], strict=True):
        axes[1, 0].plot(time, row, lw=1.0, label=name)
    names = ("A", "B", "other V and Z")
    for name, known, seen in zip(names, noise.predicted, noise.squares, strict=True):
        (line,) = axes[1, 1].plot(time, seen**0.5, lw=0.8, label=name)
        axes[1, 1].plot(time, known**0.5, "--", lw=1.2, color=line.get_color())
    axes[0, 0].set(title="before learning", ylabel="response to an impulse")
    axes[0, 1].set(ylabel="loss")
    axes[1, 0].set(title=f"epoch {LOOK}", xlabel="time", ylabel="response to random input")
    axes[1, 1].set(title="noise on every neuron", xlabel="time", ylabel="sd of the output")
    for ax in axes[1]:
        ax.legend(fontsize=7)
    return figure
