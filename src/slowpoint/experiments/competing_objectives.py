r"""Which two objectives hold a loop on its plateau, and what does their weight decide?

Before the loop is stable a better policy for the next steps (L_0) and a smaller growth for all
time ($L_\infty = |l_1|^2$, by perturbation theory of the slow eigenvalue) ask for opposite
changes of the overlaps. How the two are weighed, or over how many steps T a loss sums, sets how
fast the loop oscillates when it becomes stable.

Paper: Ger and Barak 2025, arXiv:2505.13567, figures 4c-e.
Takes: 9 s quick, 30 s full
"""

import dataclasses
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pydantic
import scipy.stats
from jaxtyping import Array, Float, Int

from slowpoint.core.claim import at_most, Claim, equal, reported
from slowpoint.core.precision import float64
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.plots.along import along
from slowpoint.plots.style import row
from slowpoint.theory.gram import learn_gram
from slowpoint.theory.loop_loss import expected_loss
from slowpoint.theory.loop_objectives import long_term, real_root, short_term, slow_root
from slowpoint.theory.loop_stability import characteristic, roots
from slowpoint.theory.loop_start import stabilised, start_grams
from slowpoint.theory.reduced_learning import learn_overlaps

STEPS, VARIANCE = 50, 4 / 3  # T; of each coordinate of the start, U[-2, 2]
BORDER, AFTER = -0.015, 2  # the plateau begins so many epochs after s_zm falls below
RATE = 1e-2
START = np.array([-0.026874, 0.088547, 0.030903, -0.012441])  # of the weighted objectives
POWER, BLENDED, READ = 20, 400, 380  # of L_inf; updates; when |Im l1| below was read
ALPHAS = np.array([0.0, 0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.8, 1.0])
IMAGINARY = np.array([0.286, 0.241, 0.218, 0.193, 0.165, 0.132, 0.089])  # alpha .2 to .55
SIZES = np.array([1.18, 1.46])  # |l1| in the end at alpha .8 and 1

Overlaps = Float[np.ndarray, "*many 4"]
Loss = Callable[..., float | Float[np.ndarray | Array, "*many"]]


class Settings(Base):
    networks: int = pydantic.Field(default=24, ge=4, description="by their scalar products")
    units: int = pydantic.Field(default=100, ge=4, description="N")
    horizons: tuple[int, ...] = pydantic.Field(
        default=(3, 5, 10, 20, 30, 40, 50, 75, 100, 150, 200), min_length=3, description="T"
    )
    epochs: int = pydantic.Field(default=600, ge=10, description="from the plateau on, each T")


QUICK = Settings(networks=12, horizons=(3, 5, 20, 50, 200))


class Plateau(Result):
    """Moments between the first stage and a stable loop, of all networks in a row."""

    network: Int[np.ndarray, " moment"]
    cosine: Float[np.ndarray, " moment"]  # of the gradients of L_0 and L_inf
    horizons: Float[np.ndarray, " some"]  # of the losses of 10 and of 200 steps, now and then
    root_error: Float[np.ndarray, " moment"]  # first order in p, off the real eigenvalue
    pair_error: Float[np.ndarray, " moment"]  # L_inf with it, off |l1|^2


class Blends(Result):
    """alpha L_inf^20 + (1 - alpha) L_0 descends on the overlaps themselves."""

    imaginary: Float[np.ndarray, "alpha update"]  # |Im l1|
    size: Float[np.ndarray, "alpha update"]  # |l1|, the largest


class Horizons(Result):
    """Networks that go on from the plateau with losses over other numbers of steps."""

    steps: Int[np.ndarray, " horizon"]  # T
    stable_from: Int[np.ndarray, "horizon network"]  # -1: never
    imaginary: Float[np.ndarray, "horizon network"]  # |Im l1| then; NaN: never


@dataclasses.dataclass(frozen=True)
class Results:
    plateau: Plateau
    blends: Blends
    horizons: Horizons


def run(settings: Settings) -> Results:
    grams = start_grams(jr.key(settings.seed), settings.networks, settings.units)
    first = learn_gram(grams, loss_over(STEPS), rate=RATE, steps=40)
    crossed = (first.overlaps[..., 0] < BORDER).argmax(axis=1)
    begun = first.grams[np.arange(settings.networks), crossed + AFTER]
    found = learn_gram(begun, loss_over(STEPS), rate=RATE, steps=settings.epochs)
    ends = stabilised(found).epochs
    plateau = plateau_of([path[: max(end, 0)] for path, end in zip(found.overlaps, ends)])
    return Results(plateau, _blends(), _horizons(settings, begun))


def loss_over(steps: int) -> eqx.Partial:
    """The expected loss of `steps` steps, of overlaps."""
    return eqx.Partial(expected_loss, steps=steps, variance=VARIANCE)


def plateau_of(paths: list[Float[np.ndarray, "_ 4"]]) -> Plateau:
    """How the two objectives pull along paths of overlaps, and how good L_inf is."""
    network = np.repeat(np.arange(len(paths)), [len(path) for path in paths])
    overlaps = np.concatenate(paths)
    slow = real_root(overlaps)
    return Plateau(
        network,
        cosine(short_term, long_term, overlaps),
        cosine(loss_over(10), loss_over(200), overlaps[::10]),
        np.abs(np.asarray(slow_root(overlaps)) - slow),
        np.abs(np.asarray(long_term(overlaps)) - np.asarray(long_term(overlaps, slow))),
    )


def cosine(one: Loss, other: Loss, overlaps: Overlaps) -> Float[np.ndarray, "*many"]:
    """Of the angle between the gradients of two losses, in the overlaps."""

    @jax.jit
    def gradients(overlaps):
        return [jax.vmap(jax.grad(loss))(overlaps) for loss in (one, other)]

    with float64():
        a, b = map(np.asarray, gradients(jnp.asarray(overlaps)))
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return np.sum(a * b, axis=-1) / lengths


def blend(overlaps, alpha):
    """alpha L_inf^20 + (1 - alpha) L_0."""
    return alpha * long_term(overlaps) ** POWER + (1 - alpha) * short_term(overlaps)


def _blends() -> Blends:
    learn = lambda alpha: learn_overlaps(
        START, eqx.Partial(blend, alpha=np.array(alpha)), rate=1e-3, steps=BLENDED
    )
    values = roots(characteristic(np.stack([learn(alpha).overlaps for alpha in ALPHAS])))
    return Blends(np.abs(np.imag(values)).max(axis=-1), np.abs(values).max(axis=-1))


def _horizons(settings: Settings, begun: Float[np.ndarray, "network 4 4"]) -> Horizons:
    how = {"rate": RATE, "steps": settings.epochs}
    ends = [
        stabilised(learn_gram(begun, loss_over(steps), **how)) for steps in settings.horizons
    ]
    values = roots(characteristic(np.stack([end.overlaps for end in ends])))
    epochs = np.stack([end.epochs for end in ends])
    turns = np.abs(np.imag(values)).max(axis=-1)
    return Horizons(np.array(settings.horizons), epochs, np.where(epochs < 0, np.nan, turns))


def claims(results: Results) -> list[Claim]:
    return [
        *_of_plateau(results.plateau),
        *_of_blends(results.blends),
        *_of_horizons(results.horizons),
    ]


def _of_plateau(plateau: Plateau) -> list[Claim]:
    opposed, far = plateau.cosine, plateau.horizons
    root = _largest(plateau.root_error, plateau.network)
    pair = _largest(plateau.pair_error, plateau.network)
    return [
        at_most("gradients of L_0 and L_inf: largest cosine", opposed.max(), -0.85),
        reported("median", np.median(opposed)),
        reported("smallest", opposed.min()),
        at_most("gradients of T = 10 and T = 200: median cosine", np.median(far), -0.85),
        at_most("l3 to first order in p: largest error, median", np.median(root), 5e-3),
        at_most("of any network", root.max(), 5e-3, "full"),
        at_most("|l1|^2 with it: largest error, median", np.median(pair), 5e-3),
        at_most("of any network", pair.max(), 5e-3, "full"),
    ]


def _largest(errors: Float[np.ndarray, " moment"], network) -> Float[np.ndarray, " network"]:
    """Of each network."""
    return np.array([errors[network == one].max() for one in np.unique(network)])


def _of_blends(blends: Blends) -> list[Claim]:
    end, middle, outer = blends.imaginary[:, -1], slice(1, -2), slice(-2, None)
    inside = blends.size < 1
    real = (end[outer] == 0) & inside[outer].any(axis=1) & ~inside[outer, -1]
    off = np.abs(blends.imaginary[middle, READ] / IMAGINARY - 1)
    late = np.abs(end[middle] / IMAGINARY - 1)
    return [
        at_most("alpha .2 to .55: |Im l1| after 400 updates, off", late.max(), 0.05, "full"),
        reported("after 380", off.max()),
        at_most("step of |Im l1| from alpha to alpha, largest", np.diff(end[middle]).max(), 0),
        equal("alpha 0: updates with a stable loop", inside[0].sum(), 0),
        equal("alpha .8 and 1: stable, then not, by a real eigenvalue", real.sum(), 2),
        at_most("|l1| then, off", np.abs(blends.size[outer, -1] / SIZES - 1).max(), 0.05),
    ]


def _of_horizons(horizons: Horizons) -> list[Claim]:
    never = horizons.stable_from < 0
    some = ~never.all(axis=1)
    turns = np.nanmedian(horizons.imaginary[some], axis=1)
    ranks = [scipy.stats.rankdata(a) for a in (horizons.steps[some], turns)]
    rank = np.corrcoef(ranks)[0, 1]
    found = [at_most("T and |Im l1| of a loop just stable: Spearman", rank, -0.9)]
    if 3 in horizons.steps:
        stable = (~never[horizons.steps == 3]).sum()
        found.append(equal("T = 3: stable in the end", stable, 0))
    return found + [
        reported(f"T = {steps}: median |Im l1|", turn)
        for steps, turn in zip(horizons.steps[some], turns)
    ]


def draw(results: Results):
    figure, axes = row(2, width=7.0, height=2.8)
    blends, horizons = results.blends, results.horizons
    updates = np.broadcast_to(np.arange(blends.imaginary.shape[1]), blends.imaginary.shape)
    along(axes[0], updates, blends.imaginary, [f"alpha = {alpha:g}" for alpha in ALPHAS])
    axes[0].set(xlabel="update", ylabel="|Im l1|")
    axes[0].legend(fontsize=5)
    where = np.broadcast_to(horizons.steps[:, None], horizons.imaginary.shape)
    names = [""] * where.shape[1]
    along(axes[1], where.T, horizons.imaginary.T, names, "o")
    axes[1].set(xscale="log", xlabel="T of the loss", ylabel="|Im l1| when stable")
    return figure
