r"""Which stages does a linear network go through while it learns to control a mass?

A network of rank one, seeing the position only, learns to bring a double integrator to rest, by
clipped gradient descent through the loop. First it learns to push back ($s_{zm} < 0$): the pair
of eigenvalues of the loop turns, and does not decay. On a plateau $s_{zm}$ jumps to and fro
while $p = s_{zu} s_{vm}$, an estimate of the velocity, grows until the pair is inside the unit
circle. Then the loop is refined. Networks of 100 units are held against the law of their Gram
matrices and the paper's reduced model, descent on the four overlaps themselves.

Paper: Ger and Barak 2025, arXiv:2505.13567, figures 3a-c, 4a-c and 5a-c; the law is ours.
Takes: 36 s quick, 255 s full
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
from jaxtyping import Float, Int, PRNGKeyArray

from slowpoint.analysis.stages import find_stages
from slowpoint.cells.low_rank import LowRank
from slowpoint.core.claim import at_least, at_most, Claim, equal, reported, Scale
from slowpoint.core.closed_loop import ClosedLoop
from slowpoint.core.nonlinearity import identity
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.core.with_effort import WithEffort
from slowpoint.learning.clip import clip
from slowpoint.learning.grid import Linear
from slowpoint.learning.train import train
from slowpoint.plots.along import along
from slowpoint.plots.epochs import over_epochs
from slowpoint.plots.style import grid
from slowpoint.tasks.regulate import Box, Regulate
from slowpoint.theory.gram import gram, learn_gram
from slowpoint.theory.loop_loss import expected_loss
from slowpoint.theory.loop_objectives import real_root
from slowpoint.theory.loop_plateau import pair, Plateaus, plateaus
from slowpoint.theory.loop_stability import characteristic, roots
from slowpoint.theory.loop_start import start_columns
from slowpoint.theory.reduced_learning import learn_overlaps
from slowpoint.worlds.double_integrator import DoubleIntegrator

STEPS, HALF_WIDTH, VARIANCE = 50, 2.0, 4 / 3  # T; x_0 from U[-2, 2]
LOSS = eqx.Partial(expected_loss, steps=STEPS, variance=VARIANCE)


class Settings(Base):
    networks: int = pydantic.Field(default=50, ge=3, description="trained unit by unit")
    theory: int = pydantic.Field(default=50, ge=3, description="followed by the law")
    units: int = pydantic.Field(default=100, ge=4, description="N")
    rate: float = pydantic.Field(default=1e-2, gt=0, description="learning rate")
    batch: int = pydantic.Field(default=100, ge=1, description="trials per epoch")
    epochs: int = pydantic.Field(default=1000, ge=50, description="updates")


QUICK = Settings(networks=8)


class Paths(Result):
    """Networks while they learn. Both kinds begin with the same weights, in the same order."""

    losses: Float[np.ndarray, "network epoch"]  # expected, exactly
    overlaps: Float[np.ndarray, "network epoch 4"]  # s_zm, s_zu, s_vm, s_vu
    reduced: Float[np.ndarray, "network epoch"]  # the reduced model's, from stage three on


class Ends(Result):
    """Where each network gets."""

    borders: Int[np.ndarray, "network 2"]  # e1, e2: where stages one and two end; -1: nowhere
    pair: Float[np.ndarray, "network 2"]  # real and imaginary part
    root: Float[np.ndarray, " network"]  # l3
    reduced_error: Float[np.ndarray, "network 2"]  # median and largest over stage three


@dataclasses.dataclass(frozen=True)
class Results:
    theory: Paths
    theory_plateaus: Plateaus
    theory_ends: Ends
    networks: Paths
    networks_plateaus: Plateaus
    networks_ends: Ends


def run(settings: Settings) -> Results:
    first, then = jr.split(jr.key(settings.seed))
    followed, taught = settings.theory, settings.networks
    columns = start_columns(first, max(followed, taught), settings.units)
    grams, rate = gram(columns[:followed]), settings.rate
    theory = learn_gram(grams, LOSS, rate=rate, steps=settings.epochs).overlaps
    overlaps = np.concatenate([theory, _teach(settings, columns[:taught], then)])
    lengths = np.linalg.norm(columns[..., 0], axis=1)
    lengths = np.concatenate([lengths[:followed], lengths[:taught]])
    every = follow(overlaps, rate, lengths)
    law = jax.tree.map(lambda a: a[:followed], every)
    return Results(*law, *jax.tree.map(lambda a: a[followed:], every))


def loop(columns: Float[np.ndarray, "unit 4"]) -> WithEffort:
    """The network of these columns, m, u, v and z, with its mass."""
    m, u, v, z = jnp.split(jnp.asarray(columns, jnp.float32), 4, axis=1)
    network = LowRank(m, u, v, z, dt=1.0, scale=1.0, nonlinearity=identity)
    return WithEffort(ClosedLoop(DoubleIntegrator(), network))


def learns(system: Any) -> tuple[Any, Any, Any]:
    """u, v and z; m stays."""
    agent = system.loop.agent
    return agent.left, agent.right, agent.readout


def _teach(
    settings: Settings, columns: Float[np.ndarray, "network unit 4"], key: PRNGKeyArray
) -> Float[np.ndarray, "network epoch 4"]:
    """The overlaps of networks that learn unit by unit, from fresh trials."""
    task = Regulate.averaged(Box(half_width=HALF_WIDTH), steps=STEPS)
    optimiser = optax.chain(clip(1.0), optax.sgd(settings.rate))
    found = []
    for start, one in zip(columns, jr.split(key, len(columns)), strict=True):
        training = train(
            loop(start),
            task,
            updates=settings.epochs,
            key=one,
            batch=settings.batch,
            optimiser=optimiser,
            trainable=learns,
            snapshots=Linear(settings.epochs + 1),
        )
        snapshots: Any = training.snapshots
        m = np.asarray(snapshots.loop.agent.encoder, float)
        u, v, z = (np.asarray(part, float) for part in learns(snapshots))
        parts = [(a * b).sum(axis=(1, 2)) for a, b in ((z, m), (z, u), (v, m), (v, u))]
        found.append(np.stack(parts, axis=-1))
    return np.stack(found)


def borders(overlaps: Float[np.ndarray, "network epoch 4"]) -> Int[np.ndarray, "network 2"]:
    """e1 and e2 of each network."""
    sizes = np.abs(roots(characteristic(overlaps))).max(axis=-1)
    found = [find_stages(path[:, 0], size) for path, size in zip(overlaps, sizes, strict=True)]
    return np.array([(one.first_end, one.second_end) for one in found])


def follow(
    overlaps: Float[np.ndarray, "network epoch 4"],
    rate: float,
    lengths: Float[np.ndarray, " network"],
) -> tuple[Paths, Plateaus, Ends]:
    """What networks with these overlaps go through; `lengths` are their |m|."""
    losses, ends = np.asarray(LOSS(overlaps)), borders(overlaps)
    steps, stable = overlaps.shape[1] - 1, ends[:, 1]
    starts = overlaps[np.arange(len(ends)), stable]
    descents = learn_overlaps(starts, LOSS, rate=rate, steps=steps, every=steps).losses
    reduced, errors = np.full(losses.shape, np.nan), np.full((len(ends), 2), np.nan)
    for i in np.flatnonzero(stable >= 0):
        reduced[i, stable[i] :] = descents[i, : steps + 1 - stable[i]]
        off = np.abs(reduced[i] / losses[i] - 1)[stable[i] :]
        errors[i] = np.median(off), off.max()
    last = overlaps[:, -1]
    return (
        Paths(losses, overlaps, reduced),
        plateaus(overlaps, losses, ends, rate * lengths, steps=STEPS),
        Ends(ends, pair(last), real_root(last), errors),
    )


def claims(results: Results) -> list[Claim]:
    r = results
    return [
        *_of_kind("law", r.theory, r.theory_plateaus, r.theory_ends, "quick"),
        *_of_kind("networks", r.networks, r.networks_plateaus, r.networks_ends, "full"),
        *_of_both(r),
    ]


def _of_kind(who: str, paths: Paths, flat: Plateaus, ends: Ends, scale: Scale) -> list[Claim]:
    found = [
        *_of_borders(ends.borders, scale),
        *_of_plateaus(flat, scale),
        *_of_stage_three(paths, ends, scale),
    ]
    return [claim.model_copy(update={"says": f"{who}: {claim.says}"}) for claim in found]


def _between(says: str, value, low: float, high: float, scale: Scale) -> list[Claim]:
    return [at_least(says, value, low, scale), at_most("the same", value, high, scale)]


def _of_borders(found: Int[np.ndarray, "network 2"], scale: Scale) -> list[Claim]:
    first, second = found.T
    return [
        equal("networks not stable in the end", (second < 0).sum(), 0, scale),
        reported("median end of stage one", np.median(first)),
        *_between("median epoch of stability", np.median(second), 90, 145, scale),
        reported("the first", second.min()),
        reported("the last", second.max()),
    ]


def _of_plateaus(flat: Plateaus, scale: Scale) -> list[Claim]:
    real, turn = flat.pair.T
    off = np.nanquantile(np.abs(real - 1), 0.75)
    low, high = np.nanquantile(turn, [0.25, 0.75])
    gains = np.abs(np.nanmedian(flat.gains, axis=0) - (-0.022, -0.027))
    step = abs(np.nanmedian(flat.step) / 0.967 - 1)
    slow, turning = np.nanmedian(flat.slow_error), np.nanmedian(flat.pair_error)
    return [
        at_most("pair: three quarters have a real part off 1 below", off, 0.003, scale),
        at_least("pair, imaginary part: lower quartile", low, 0.13, scale),
        at_most("upper quartile", high, 0.22, scale),
        *_between("plateau, median loss", np.nanmedian(flat.loss), 22, 28, scale),
        reported("lower quartile", np.nanquantile(flat.loss, 0.25)),
        reported("upper quartile", np.nanquantile(flat.loss, 0.75)),
        at_least("steps of s_zm that turn back, share", np.nanmedian(flat.flips), 0.95, scale),
        at_most("their size over rate x |m|, off .967, share", step, 0.1, scale),
        at_most("gain when stable: k1, off -.0220", gains[0], 0.002, scale),
        at_most("gain when stable: k2, off -.0270", gains[1], 0.003, scale),
        at_most("l3 to first order, median of largest errors", slow, 5e-3, scale),
        at_most("in any network", np.nanmax(flat.slow_error), 5e-3, "full"),
        at_most("|l1|^2 by it, median of largest errors", turning, 5e-3, scale),
        at_most("in any network", np.nanmax(flat.pair_error), 5e-3, "full"),
    ]


def _of_stage_three(paths: Paths, ends: Ends, scale: Scale) -> list[Claim]:
    """Nine of ten networks are in the known range, widened."""
    found = []
    for says, values, least, most in (
        ("final l3", ends.root, 0.686, 0.742),
        ("real part of the final pair", ends.pair[:, 0], 0.40, 0.43),
        ("imaginary part of the final pair", ends.pair[:, 1], 0.50, 0.50),
    ):
        low, high = np.quantile(values, [0.05, 0.95])
        found += [
            at_least(f"{says}, 5 % below", low, least - 0.05, scale),
            at_most(f"{says}, 95 % below", high, most + 0.05, scale),
            at_least(f"{says}, the least", values.min(), least - 0.05, "full"),
            at_most(f"{says}, the most", values.max(), most + 0.05, "full"),
        ]
    last = paths.losses[:, -1]
    median, most = np.nanmedian(ends.reduced_error, axis=0)
    return [
        *found,
        at_most("median final loss, off .283", abs(np.median(last) - 0.283), 0.01, scale),
        at_most("reduced model, median error of its loss", median, 0.1, scale),
        reported("of the worst network", np.nanmax(ends.reduced_error[:, 0])),
        reported("median over networks of the largest error", most),
    ]


def _of_both(results: Results) -> list[Claim]:
    """Networks against the law from the same first weights."""
    pairs = zip(results.theory.losses, results.networks.losses)  # the shorter decides
    law, taught = map(np.array, zip(*pairs))
    apart = np.abs(np.log10(taught / law))
    known, found = results.theory_ends.borders, results.networks_ends.borders
    ratio = found[: len(law), 1] / known[: len(law), 1]
    near = ((ratio >= 0.95) & (ratio <= 1.05)).mean()
    last = np.median(np.abs(taught / law - 1)[:, -1])
    return [
        at_most("law and networks: median |log10 loss ratio|", np.median(apart), 0.01, "full"),
        reported("95 % are below", np.quantile(apart, 0.95)),
        at_least("networks stable within 5 % of the law's epoch, share", near, 0.9, "full"),
        reported("median ratio of those epochs", np.median(ratio)),
        reported("median difference of final losses, share", last),
    ]


def draw(results: Results):
    figure, axes = grid(2, 2, width=7.0, height=5.4)
    law, taught = results.theory, results.networks
    shown = min(4, len(law.losses), len(taught.losses))
    epochs = np.arange(law.losses.shape[1])
    lines = {"networks": taught.losses[:shown], "law": law.losses[:shown]}
    over_epochs(axes[0, 0], epochs, lines)
    axes[0, 0].set(ylabel="expected loss")
    o = law.overlaps[:shown]
    values = np.concatenate([o[..., 0], o[..., 1] * o[..., 2], o[..., 3]])
    names = [name for name in ("s_zm", "p", "s_vu") for _ in range(shown)]
    along(axes[0, 1], np.broadcast_to(epochs, values.shape), values, names)
    axes[0, 1].set(xlabel="epoch", ylabel="overlap", xlim=(0, 400), ylim=(-0.8, 0.8))
    turns, angle = pair(o), np.linspace(0, np.pi, 200)
    along(axes[1, 0], turns[..., 0], turns[..., 1], ["loop"] * shown)
    along(axes[1, 0], np.cos(angle)[None], np.sin(angle)[None], ["unit circle"])
    axes[1, 0].set(xlabel="real part of the pair", xlim=(0.3, 1.05))
    axes[1, 0].set(ylabel="imaginary part", ylim=(0, 0.6))
    lines = {"law": law.losses[:shown], "reduced model": law.reduced[:shown]}
    over_epochs(axes[1, 1], epochs, lines)
    axes[1, 1].set(ylabel="expected loss", ylim=(0.2, 40))
    axes[0, 1].legend(fontsize=7)
    return figure
