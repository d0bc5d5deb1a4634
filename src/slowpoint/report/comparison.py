"""Do two networks do the same, and will they learn alike? Overlaps and a task tell.

What the function sees of the overlaps decides what the networks do, the rest how they learn.
(Ger and Barak 2026, arXiv:2605.04115.)
"""

import dataclasses
import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.cells.low_rank import LowRank
from slowpoint.core.chance import generator
from slowpoint.core.nonlinearity import Nonlinearity
from slowpoint.core.precision import float64, to_numpy, widen
from slowpoint.core.rollout import rollout
from slowpoint.core.system import System
from slowpoint.core.trial import Task, Trial
from slowpoint.learning.descend import descend
from slowpoint.report.compared import Comparison
from slowpoint.theory.latent import gain, Latent
from slowpoint.theory.overlap_learning import learn
from slowpoint.theory.overlaps import columns_of, Dims, dims_of, overlaps
from slowpoint.theory.visibility import functional_coords, visible
from slowpoint.weights.cut import as_low_rank, Cut

WORK = 4e9  # multiplications, about, that full networks may take; at least FEWEST updates
FEWEST = 5
TRIED = (0.3, 1.0, 3.0)  # sizes of random inputs that show what the function sees


@dataclasses.dataclass(frozen=True)
class Plan:
    """How learning is followed, and what counts as equal."""

    eta: float = 5e-3  # each column moves by eta N times its gradient
    steps: int = 200  # updates
    trials: int = 16  # in the one batch that all updates see
    tolerance: float = 0.01  # of answers and of functional coordinates, relative


@dataclasses.dataclass(frozen=True)
class Compared:
    """A comparison and the networks that it is about."""

    comparison: Comparison
    cuts: tuple[Cut, Cut]
    dims: Dims
    plan: Plan


class OverlapLoss(eqx.Module):
    """The mean loss of `trials`, of a network that has the overlaps given."""

    trials: Trial
    task: Task
    dims: Dims = eqx.field(static=True)
    nonlinearity: Nonlinearity = eqx.field(static=True)
    dt: float = eqx.field(static=True)

    def __call__(self, sigma: Float[Array, "column column"], key: PRNGKeyArray | None):
        latent = Latent(sigma, self.dims, self.nonlinearity, self.dt)
        return loss_of(latent, self.task, self.trials)


class NetworkLoss(eqx.Module):
    """The mean loss of `trials`, of a network."""

    trials: Trial
    task: Task

    def __call__(self, system: System, key: PRNGKeyArray):
        return loss_of(system, self.task, self.trials)


def loss_of(system: System, task: Task, trials: Trial) -> Float[Array, ""]:
    """The mean loss of `system` on `trials`."""
    one = lambda trial: task.loss(trial, rollout(system, trial.start, trial.inputs))
    return jax.vmap(one)(trials).mean()


def compare(
    a: System,
    b: System,
    task: Task,
    *,
    key: PRNGKeyArray,
    rank: int | None = None,
    plan: Plan = Plan(),
) -> Compared:
    """Answers, overlaps and predicted learning of `a` and `b` on `task`, in float64.

    Each is a LowRank, or a Vanilla or nn.RNN that is cut at `rank`. One batch of trials is
    drawn; theory and networks learn it by plain gradient descent at the rate eta N. Raises
    ValueError where theory has nothing to say: another kind of network, a nonlinearity without
    a gain, sizes, ranks or steps that differ.
    """
    cuts = _cut(a, "A", rank), _cut(b, "B", rank)
    one, other = (cut.network for cut in cuts)
    _refuse(one, other, task, plan)
    draw, tried, taught = jr.split(key, 3)
    with float64():
        trials = to_numpy(jax.jit(jax.vmap(task.trial))(jr.split(draw, plan.trials)))
        sigmas = [np.asarray(overlaps(columns_of(network))) for network in (one, other)]
    if trials.start.size:
        raise ValueError(
            "this task sets the state that a trial starts from; overlaps start from rest. Give "
            "a task whose trials begin at the initial state."
        )
    dims = dims_of(one)
    sigmas[1] = matched(sigmas[1], sigmas[0], dims)
    kinds = [phi_of(network) for network in (one, other)]
    seen = [_seen(s, dims, phi, key=tried) for s, phi in zip(sigmas, kinds)]
    latents = [_latent(s, dims, n) for s, n in zip(sigmas, (one, other))]
    losses = [_predict(s, n, dims, task, trials, plan) for s, n in zip(sigmas, (one, other))]
    upper = np.triu_indices(dims.size)
    comparison = Comparison(
        np.array(dims.names),
        np.any(seen, axis=0),
        np.array([sigma[upper] for sigma in sigmas]),
        np.max([_sizes(sigma)[upper] for sigma in sigmas], axis=0),
        np.array([functional_coords(s, dims, phi) for s, phi in zip(sigmas, kinds)]),
        np.array([_answers(system, trials) for system in (a, b)]),
        np.array([_answers(network, trials) for network in (one, other)]),
        np.array([_answers(latent, trials) for latent in latents]),
        np.asarray(trials.targets),
        np.array(losses),
        np.array([_simulate(n, task, trials, plan, key=taught) for n in (one, other)]),
        np.array([cut.rest for cut in cuts]),
        plan.tolerance,
    )
    return Compared(comparison, cuts, dims, plan)


def _cut(system: System, name: str, rank: int | None) -> Cut:
    """As a low-rank network whose theory is known; every refusal says which network it is."""
    try:
        cut = as_low_rank(system, rank)
        gain(phi_of(cut.network))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    return cut


def phi_of(network: LowRank) -> Nonlinearity:
    """Its nonlinearity. Raises ValueError for a bare function, of which nothing is known."""
    if not isinstance(network.nonlinearity, Nonlinearity):
        raise ValueError(
            f"no gain is known for {network.nonlinearity!r}. Give one of "
            "slowpoint.core.nonlinearity: identity, erf or tanh."
        )
    return network.nonlinearity


def _refuse(one: LowRank, other: LowRank, task: Task, plan: Plan) -> None:
    """Raise ValueError unless the two and the task can be compared."""
    if plan.trials < 1 or plan.steps < 1 or not plan.tolerance > 0:
        raise ValueError(f"{plan}: give 1 or more trials and steps, and a tolerance above 0.")
    for network, name in ((one, "A"), (other, "B")):
        has = (network.input_size, network.output_size)
        if has != (task.input_size, task.output_size):
            raise ValueError(
                f"{name} has {has[0]} inputs and {has[1]} outputs, {type(task).__name__} "
                f"{task.input_size} and {task.output_size}. Change a setting of the task "
                "(--set KEY=VALUE), or take another."
            )
    if (ranks := [n.left.shape[1] for n in (one, other)])[0] != ranks[1]:
        raise ValueError(
            f"A has rank {ranks[0]}, B rank {ranks[1]}; overlaps are compared at one. Type: "
            f"--rank {min(ranks)}"
        )
    if one.dt != other.dt:
        raise ValueError(
            f"A takes steps of {one.dt:g}, B of {other.dt:g}; step by step they can't be "
            "compared. Give two networks of one dt."
        )


def matched(
    sigma: Float[np.ndarray, "column column"],
    like: Float[np.ndarray, "column column"],
    dims: Dims,
) -> Float[np.ndarray, "column column"]:
    """`sigma` with U and V turned or mirrored together, as near to `like` as that can be.

    It changes neither the function nor how it will change: singular vectors of a cut have
    arbitrary signs and order.
    """
    fixed = np.r_[dims.m, dims.z]
    cross = sum(sigma[fixed, part].T @ like[fixed, part] for part in (dims.u, dims.v))
    left, _, right = np.linalg.svd(cross)
    turn = np.eye(dims.size)
    turn[dims.u, dims.u] = turn[dims.v, dims.v] = left @ right
    turned = turn.T @ sigma @ turn
    better = np.linalg.norm(turned - like) < np.linalg.norm(sigma - like)
    return turned if better else sigma


def _sizes(sigma: Float[np.ndarray, "column column"]) -> Float[np.ndarray, "column column"]:
    norms = np.sqrt(np.maximum(np.diag(sigma), 0.0))
    return np.outer(norms, norms)


class Answers(eqx.Module):
    """What networks of overlaps answer to `inputs`, by half steps of the leak."""

    inputs: Float[np.ndarray | Array, "trial time input"]
    dims: Dims = eqx.field(static=True)
    nonlinearity: Nonlinearity = eqx.field(static=True)

    def __call__(self, sigma: Float[Array, "column column"]):
        latent = Latent(sigma, self.dims, self.nonlinearity, dt=0.5)
        return jax.vmap(lambda u: rollout(latent, jnp.zeros(0), u).outputs)(self.inputs)


def _seen(sigma, dims: Dims, nonlinearity: Nonlinearity, *, key: PRNGKeyArray) -> np.ndarray:
    """Which overlaps move some answer to random inputs of several sizes."""
    noise = generator(key).standard_normal((len(TRIED), 6 * dims.size, dims.inputs))
    inputs = np.array(TRIED)[:, None, None] * noise
    return visible(Answers(inputs, dims, nonlinearity), sigma, dims).seen


def _latent(sigma, dims: Dims, network: LowRank) -> Latent:
    with float64():
        latent = Latent(jnp.asarray(sigma), dims, phi_of(network), network.dt)
        return to_numpy(latent)


def _answers(system: System, trials: Trial) -> Float[np.ndarray, "trial time output"]:
    with float64():
        found = _run(widen(system), widen(trials.inputs))
        return np.asarray(found)


@eqx.filter_jit
def _run(system, inputs):
    return jax.vmap(lambda u: rollout(system, jnp.zeros(0), u).outputs)(inputs)


def _predict(sigma, network: LowRank, dims: Dims, task: Task, trials: Trial, plan: Plan):
    """Losses that overlaps predict."""
    loss = OverlapLoss(trials, task, dims, phi_of(network), network.dt)
    return learn(loss, sigma, eta=plan.eta, steps=plan.steps).losses


def _simulate(network: LowRank, task: Task, trials: Trial, plan: Plan, *, key):
    """Losses of the network itself, for as many updates as its size allows."""
    units = network.state_size
    columns = sum(part.shape[1] for part in jax.tree.leaves(network))
    cost = units * columns * trials.inputs.shape[0] * trials.inputs.shape[1]
    updates = int(min(plan.steps, max(FEWEST, WORK // cost)))
    with float64():
        training = descend(
            widen(network),
            widen(NetworkLoss(trials, task)),
            updates=updates + 1,  # losses come before each update: the last is not used
            key=key,
            optimiser=_descent(plan.eta * units),
        )
        return np.asarray(training.losses)


@functools.cache
def _descent(rate: float) -> optax.GradientTransformation:
    """One object for a rate, so that networks of one size are compiled once."""
    return optax.sgd(rate)
