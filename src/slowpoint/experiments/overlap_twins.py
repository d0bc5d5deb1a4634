"""Can one tell, from networks that now do the same, what they were first taught?

Twins are two networks of the same overlaps. One learns to remember pulses (A), the other to
integrate evidence (B); then both learn to imitate one teacher (C), so that they answer alike.
They are erf networks of rank 1 in the limit of many Gaussian units: ten overlaps, which learn
by the exact step of the columns. In the end both have one function. The overlaps that make it
still differ by the gauge: u times a number and v divided by it change zu, vm, mu and uu, and no
answer. Overlaps among v and z, which no answer sees, tell the origin. A decoder without noise
finds differences however small; so each number is observed with noise of a given sd.

Ticks of .2 and pools of 64 batches keep it short; each network draws which batch it sees.

Paper: Ger and Barak 2026, arXiv:2605.04115, figures 4d-f, 9 and 10.
Takes: 46 s quick, 80 s full
"""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pydantic
from jaxtyping import Array, Float, Int, PRNGKeyArray

from slowpoint.analysis.decode import decode
from slowpoint.core.chance import generator
from slowpoint.core.claim import at_least, at_most, Claim, reported
from slowpoint.core.nonlinearity import erf
from slowpoint.core.precision import float64, to_numpy
from slowpoint.core.result import Result
from slowpoint.core.rollout import rollout
from slowpoint.core.settings import Settings as Base
from slowpoint.core.trial import Task, Trial
from slowpoint.plots.epochs import over_epochs
from slowpoint.plots.style import grid
from slowpoint.plots.sweep import against
from slowpoint.tasks.decide import Decide
from slowpoint.tasks.flipflop import FlipFlop, Intervals
from slowpoint.tasks.imitate import Imitate, Noised
from slowpoint.theory.congruence import GradientDescent
from slowpoint.theory.latent import Latent
from slowpoint.theory.overlap_learning import learn
from slowpoint.theory.overlaps import Dims, is_realisable, rank_one
from slowpoint.theory.visibility import functional_coords

DT, TICKS = 0.2, 100
TEACHER = rank_one(zm=0.5, zu=2.3, vm=2.0, vu=1.5, mu=1.6, mm=1.8, uu=2.2)
CROSS, NORMS = ("zm", "zu", "vm", "vu", "mu", "zv"), ("mm", "uu", "vv", "zz")
KINDS = ("visible", "functional", "invisible")
VISIBLE = ([3, 3, 2, 2, 0, 0, 1], [0, 1, 0, 1, 1, 0, 1])  # zm zu vm vu mu mm uu
INVISIBLE = ([2, 2, 3], [3, 2, 3])  # zv vv zz
CLIP = 3.0  # on the norm of the gradient of all columns
MARGIN = 1e-3  # least eigenvalue of a start

Sigmas = Float[np.ndarray, "*many 4 4"]


class Settings(Base):
    pairs: int = pydantic.Field(default=8, ge=2, description="of twins")
    eta: float = pydantic.Field(default=0.01, gt=0, description="learning rate of A and B")
    steps: int = pydantic.Field(default=15_000, ge=1000, description="of A or B")
    imitation: tuple[int, ...] = pydantic.Field(
        default=(10_000, 20_000, 30_000), min_length=1, description="steps of C, at each rate"
    )
    rates: tuple[float, ...] = pydantic.Field(
        default=(5e-4, 2e-3, 4e-3), description="learning rates of C, those that are reached"
    )
    pool: int = pydantic.Field(default=64, ge=1, description="batches of each task")
    batch: int = pydantic.Field(default=8, ge=1, description="trials in one")
    noise: float = pydantic.Field(default=0.3, ge=0, description="sd of an observed overlap")
    repeats: int = pydantic.Field(default=40, ge=1, description="observations")
    noises: tuple[float, ...] = pydantic.Field(
        default=(1e-4, 1e-3, 1e-2, 0.03, 0.1, 0.3, 1.0), description="the same, a range of it"
    )
    every: int = pydantic.Field(default=1000, ge=1, description="steps from record to record")


QUICK = Settings(pairs=4, imitation=(10_000, 20_000))


class Twins(Result):
    """Axes: pair, then origin (A, B)."""

    steps: Int[np.ndarray, " record"]  # since the start
    taught: int  # the record where imitation begins
    overlaps: Float[np.ndarray, "pair 2 record 4 4"]  # Sigma
    losses: Float[np.ndarray, "pair 2 stretch"]  # means over the steps to the next record


class Origin(Result):
    """Which origin do the overlaps tell? Shares of right answers, by KINDS."""

    noisy: Float[np.ndarray, " kind"]  # at the noise of the settings
    sharp: Float[np.ndarray, " kind"]  # without observation noise
    noises: Float[np.ndarray, " noise"]  # standard deviations
    curves: Float[np.ndarray, "kind noise"]


@dataclasses.dataclass(frozen=True)
class Results:
    twins: Twins
    origin: Origin


class Pool(eqx.Module):
    """Mean loss of `task` on a batch of the pool that the key draws, times `scale`."""

    task: Task
    trials: Trial  # leading axes: batch, trial
    scale: float = eqx.field(static=True, default=1.0)

    def __call__(self, sigma: Float[Array, "4 4"], key: PRNGKeyArray | None):
        assert key is not None, "a batch is drawn: give `learn` a key"
        which = jr.randint(key, (), 0, len(self.trials.inputs))
        network = Latent(sigma, Dims(), erf, DT)

        def mark(trial):
            return self.task.loss(trial, rollout(network, trial.start, trial.inputs))

        return self.scale * jax.vmap(mark)(jax.tree.map(lambda a: a[which], self.trials)).mean()


def pools(settings: Settings, key: PRNGKeyArray) -> tuple[Pool, Pool, Pool]:
    """The losses of A, B and C. That of C is a sum over time, as in the paper."""

    def flipflop(shortest: float, longest: float, amplitude: float) -> FlipFlop:
        timing = Intervals(shortest=shortest, longest=longest, dt=DT)
        return FlipFlop(1, TICKS, timing, amplitude)

    with float64():
        teacher = Latent(jnp.asarray(TEACHER), Dims(), erf, DT)
        imitate = Imitate(teacher, Noised(flipflop(4.0, 10.0, 2.0), noise=1.5))
        keys = [jr.split(one, (settings.pool, settings.batch)) for one in jr.split(key, 3)]
        a, b, c = (
            Pool(to_numpy(task), to_numpy(jax.jit(jax.vmap(jax.vmap(task.trial)))(one)), scale)
            for task, one, scale in zip(
                (flipflop(1.0, 2.0, 2.0), Decide(dt=DT), imitate), keys, (1.0, 1.0, TICKS * DT)
            )
        )
    return a, b, c


def starts(count: int, key: PRNGKeyArray) -> Float[np.ndarray, "pair 4 4"]:
    """|N(0, .4^2)| for overlaps of two columns, U(.5, 2) for norms; those of some network."""
    draw, found = generator(key), []
    while len(found) < count:
        cross, norms = np.abs(0.4 * draw.standard_normal(6)), draw.uniform(0.5, 2.0, 4)
        sigma = rank_one(**dict(zip(CROSS + NORMS, [*cross, *norms])))
        if is_realisable(sigma, MARGIN):
            found.append(sigma)
    return np.stack(found)


def run(settings: Settings) -> Results:
    begin, draw, follow, observe = jr.split(jr.key(settings.seed), 4)
    twins = _twins(settings, starts(settings.pairs, begin), pools(settings, draw), follow)
    return Results(twins, _origin(settings, twins.overlaps[:, :, -1], observe))


def _twins(settings: Settings, first: Sigmas, losses, key: PRNGKeyArray) -> Twins:
    a, b, c = losses
    keys = iter(jr.split(key, 2 + len(settings.imitation)))

    def teach(loss: Pool, sigmas: Sigmas, eta: float, steps: int):
        """`(overlaps, losses)`: records, and the means of the steps that follow each."""
        many, every = sigmas.reshape(-1, 4, 4), settings.every
        rule = GradientDescent(clip=CLIP)
        told = learn(loss, many, rule, eta=eta, steps=steps, every=every, key=next(keys))
        means = told.losses[:, :-1].reshape(len(many), -1, every).mean(axis=2)
        shape = sigmas.shape[:-2]
        return told.overlaps.reshape(*shape, -1, 4, 4), means.reshape(*shape, -1)

    apart = [teach(loss, first, settings.eta, settings.steps) for loss in (a, b)]
    parts = [tuple(np.stack(both, axis=1) for both in zip(*apart))]
    for eta, steps in zip(settings.rates, settings.imitation):
        parts.append(teach(c, parts[-1][0][:, :, -1], eta, steps))
    paths, means = zip(*parts)
    path = np.concatenate([*(one[:, :, :-1] for one in paths), paths[-1][:, :, -1:]], axis=2)
    return Twins(
        settings.every * np.arange(path.shape[2]),
        settings.steps // settings.every,
        path,
        np.concatenate(means, axis=2),
    )


def functional(sigmas: Sigmas) -> Float[np.ndarray, "*many 6"]:
    """zm, zu vm, vu, zu^2/uu, mu/zu, mm: what no change of the basis of u and v moves."""
    flat = sigmas.reshape(-1, 4, 4)
    found = np.stack([functional_coords(sigma, Dims(), erf) for sigma in flat])
    return found.reshape(*sigmas.shape[:-2], -1)


def _origin(settings: Settings, last: Sigmas, key: PRNGKeyArray) -> Origin:
    sigmas = last.reshape(-1, 4, 4)
    pairs, origins = np.divmod(np.arange(len(sigmas)), 2)
    kinds = sigmas[:, *VISIBLE], functional(sigmas), sigmas[:, *INVISIBLE]
    noises = (settings.noise, 0.0, *settings.noises)

    def told(features, keys):
        """Shares of right answers, by noise."""
        say = [
            decode(features, origins, pairs, noise=noise, repeats=settings.repeats, key=one)
            for noise, one in zip(noises, keys)
        ]
        return [one.accuracy for one in say]

    keys = jr.split(key, (len(kinds), len(noises)))
    right = np.array([told(*one) for one in zip(kinds, keys)])
    return Origin(right[:, 0], right[:, 1], np.array(settings.noises), right[:, 2:])


def gaps(twins: Twins) -> dict[str, Float[np.ndarray, "pair record"]]:
    """How far twins are apart: the largest functional, the distance of the invisible."""
    a, b = np.moveaxis(twins.overlaps, 1, 0)
    return {
        "visible": np.abs((a - b)[..., *VISIBLE]).max(axis=-1),
        "functional": np.abs(functional(a) - functional(b)).max(axis=-1),
        "invisible": np.asarray(np.linalg.norm((a - b)[..., *INVISIBLE], axis=-1)),
    }


def claims(results: Results) -> list[Claim]:
    twins, origin = results.twins, results.origin
    apart = {kind: gap[:, -1] for kind, gap in gaps(twins).items()}
    before = {kind: gap[:, twins.taught] for kind, gap in gaps(twins).items()}
    visible, coordinates, invisible = origin.noisy
    final = twins.losses[..., -1].mean(axis=0)
    return [
        at_most(
            "after C: d of the function, largest", apart["functional"].max(), 5e-3, scale="full"
        ),
        at_least("d of invisible overlaps, mean", apart["invisible"].mean(), 1),
        reported("d of invisible overlaps, least", apart["invisible"].min()),
        reported("d of visible overlaps (the gauge), largest", apart["visible"].max()),
        reported("before C: d of the function, mean", before["functional"].mean()),
        reported("d of invisible overlaps, mean", before["invisible"].mean()),
        at_most("origin decoded from visible overlaps", visible, 0.65),
        at_most("from functional coordinates", coordinates, 0.65),
        at_least("from invisible overlaps", invisible, 0.85),
        *(
            reported(f"without observation noise: from {kind} ones", value)
            for kind, value in zip(KINDS, origin.sharp)
        ),
        *(
            reported(f"loss at the end of C, first taught {name}", value)
            for name, value in zip("AB", final)
        ),
        reported("least eigenvalue of all on the way", _least(twins.overlaps)),
    ]


def _least(sigmas: Sigmas) -> float:
    return float(np.linalg.eigvalsh(sigmas).min())


def draw(results: Results):
    figure, axes = grid(2, 2, width=7.0, height=5.2)
    twins, origin = results.twins, results.origin
    losses = {f"{name}, then C": twins.losses[:, i] for i, name in enumerate("AB")}
    over_epochs(axes[0, 0], twins.steps[:-1], losses)
    over_epochs(axes[0, 1], twins.steps, gaps(twins))
    a, b = np.moveaxis(twins.overlaps[..., *INVISIBLE], 1, 0)
    for name, ends in (("A", a[:, -1]), ("B", b[:, -1])):
        axes[1, 0].plot(ends[:, 1], ends[:, 2], "o", ms=4, label=f"{name}, then C")
    axes[1, 0].legend(fontsize=7)
    against(axes[1, 1], origin.noises, dict(zip(KINDS, origin.curves)))
    axes[1, 1].axhline(0.5, lw=0.8, color="black", zorder=0)
    axes[0, 0].set(ylabel="loss")
    axes[0, 1].set(ylabel="distance between twins")
    axes[1, 0].set(xlabel="vv", ylabel="zz")
    axes[1, 1].set(yscale="linear", xlabel="observation noise", ylabel="origin decoded")
    for ax in axes[0]:
        ax.axvline(twins.steps[twins.taught], lw=0.8, color="black", zorder=0)
        ax.set(xlabel="step")
    return figure
