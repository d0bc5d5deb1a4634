r"""How far from the best controller does learning in a closed loop end?

Three losses at four prices beta of control: the bound of all causal controllers (which know
the plant and estimate its velocity), the best of rank one, and networks of rank one after they
learned: 1000 epochs without a price until the loop is stable, 1000 more with it. Without a
price the best of rank one is golden: $s_{zm} = -\varphi$, $p = 2\varphi$,
$s_{vu} = -2/\varphi$, with loss $(v_0/2T)(6 + 7\varphi)$. A delay between plant and network
costs more than rank one: at three steps its best loop over 50 is not stable beyond them.

And what imitation ends in: a network that hears the position while the optimal regulator
controls the plant copies it better and better, and is a worse and worse controller itself.

Paper: Ger and Barak 2025, arXiv:2505.13567, whose networks these are; all bounds are ours.
Takes: 11 s quick, 21 s full
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pydantic
from jaxtyping import Array, Bool, Float, Int

from slowpoint.core.claim import at_least, at_most, Claim, equal, reported
from slowpoint.core.precision import float64
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.plots.controllers import gain_plane, losses_by
from slowpoint.plots.epochs import over_epochs
from slowpoint.plots.style import grid
from slowpoint.theory.gram import learn_gram
from slowpoint.theory.loop_loss import expected_loss, power_sums
from slowpoint.theory.loop_spectrum import DOUBLE_INTEGRATOR, effective_matrix, radius
from slowpoint.theory.loop_stability import effective_gain
from slowpoint.theory.loop_start import stabilised, start_grams
from slowpoint.theory.optimal import best_rank_one, lqg_bound, lqr

STEPS, VARIANCE = 50, 4 / 3  # T; of each coordinate of the start, U[-2, 2]
PENALTIES, DELAYS = (0.0, 0.5, 2.0, 5.0), (0, 1, 2, 3)
GOLDEN = (1 + 5**0.5) / 2
BOUND = (0.22023, 1.06397, 2.18114, 3.69281)
BEST = (0.23102, 1.10270, 2.24680, 3.78856)
GAINS = ((-0.532, -1.343), (-0.0995, -0.407), (-0.0555, -0.295), (-0.0371, -0.240))
LATE = (0.2310, 0.8010, 1.803, 4.090)
CONTROL_COSTS = (1.0, 0.0)  # R of the regulators that are imitated


class Settings(Base):
    networks: int = pydantic.Field(default=50, ge=3, description="each from weights of its own")
    units: int = pydantic.Field(default=100, ge=4, description="N")
    rate: float = pydantic.Field(default=1e-2, gt=0, description="learning rate")
    before: int = pydantic.Field(default=1000, ge=1, description="epochs without a price")
    after: int = pydantic.Field(default=1000, ge=1, description="epochs with it")
    imitation: int = pydantic.Field(default=4000, ge=10, description="epochs of it, tens")


QUICK = Settings(networks=12)


class Table(Result):
    """The three losses at each price."""

    bound: Float[np.ndarray, " penalty"]
    best: Float[np.ndarray, " penalty"]  # of rank one
    slope: Float[np.ndarray, " penalty"]  # |gradient| there
    found: Bool[np.ndarray, " penalty"]
    gains: Float[np.ndarray, "penalty 2"]  # of the best of rank one
    learned: Float[np.ndarray, "penalty network"]
    learned_gains: Float[np.ndarray, "penalty network 2"]
    golden_loss: float  # of the golden overlaps, no price
    golden_slope: float


class Late(Result):
    """No price; outputs are seen some steps later."""

    bound: Float[np.ndarray, " delay"]
    best: Float[np.ndarray, " delay"]
    radius: Float[np.ndarray, " delay"]  # spectral, of the best loop of rank one


class Imitation(Result):
    """Networks that hear the position and imitate an optimal regulator in control."""

    epochs: Int[np.ndarray, " record"]
    errors: Float[np.ndarray, "cost network record"]  # of imitation, beyond u_0, unseen
    deployed: Float[np.ndarray, "cost network record"]  # loss of the network in control
    radius: Float[np.ndarray, "cost network"]  # spectral, of its loop at the end


@dataclasses.dataclass(frozen=True)
class Results:
    table: Table
    late: Late
    imitation: Imitation


def run(settings: Settings) -> Results:
    start = start_grams(jr.key(settings.seed), settings.networks, settings.units)
    late = [best_rank_one(STEPS, VARIANCE, delay=delay) for delay in DELAYS]
    bounds = [lqg_bound(None, STEPS, VARIANCE, delay=delay).loss for delay in DELAYS]
    return Results(
        _table(settings, start),
        Late(
            np.array(bounds),
            np.array([found.loss for found in late]),
            np.array([found.radius for found in late]),
        ),
        _imitation(settings, start),
    )


def _table(settings: Settings, start: Float[np.ndarray, "network 4 4"]) -> Table:
    first = learn_gram(start, _loss(0.0), rate=settings.rate, steps=settings.before)
    stable = stabilised(first).grams
    how = {"rate": settings.rate, "steps": settings.after, "every": settings.after}
    runs = [learn_gram(stable, _loss(beta), **how) for beta in PENALTIES]
    best = [best_rank_one(STEPS, VARIANCE, beta) for beta in PENALTIES]
    golden = np.array([-GOLDEN, 2 * GOLDEN, 1.0, -2 / GOLDEN])
    with float64():
        found = jax.jit(jax.value_and_grad(_loss(0.0)))(jnp.asarray(golden))
        value, slope = float(found[0]), float(jnp.linalg.norm(found[1]))
    return Table(
        np.array([lqg_bound(None, STEPS, VARIANCE, beta).loss for beta in PENALTIES]),
        np.array([one.loss for one in best]),
        np.array([one.slope for one in best]),
        np.array([one.found for one in best]),
        np.stack([one.gain for one in best]),
        np.stack([run.losses[:, -1] for run in runs]),
        np.stack([effective_gain(run.overlaps[:, -1], STEPS) for run in runs]),
        value,
        slope,
    )


def _loss(penalty: float) -> Callable[..., Any]:
    """As an array the price is compiled once for all."""
    return eqx.Partial(expected_loss, steps=STEPS, variance=VARIANCE, penalty=np.array(penalty))


class _Copying(eqx.Module):
    r"""$\frac1T \sum_{0<t<T} E (u_t + K x_t)^2$ of a network that hears the regulated plant."""

    gain: Float[np.ndarray, "1 2"]  # K

    def __call__(self, overlaps) -> Float[Array, ""]:
        a, b, c = map(jnp.asarray, DOUBLE_INTEGRATOR)
        regulated = a - b @ self.gain
        hears = jnp.concatenate([regulated, c @ regulated])
        own = jnp.concatenate([jnp.zeros(2), overlaps[2:]])
        matrix = jnp.concatenate([jnp.pad(hears, ((0, 0), (0, 2))), own[None]])
        wrong = jnp.concatenate([jnp.asarray(self.gain[0]), overlaps[:2]])[None]
        total, _ = power_sums(matrix, wrong.T @ wrong, STEPS)
        unseen = jnp.sum(jnp.asarray(self.gain) ** 2)
        return VARIANCE / STEPS * (jnp.trace(total[:2, :2]) - unseen)


def _imitation(settings: Settings, start: Float[np.ndarray, "network 4 4"]) -> Imitation:
    how = {"rate": settings.rate, "steps": settings.imitation, "every": 10}
    runs = [
        learn_gram(start, _Copying(lqr(DOUBLE_INTEGRATOR, 1.0, cost).gains), **how)
        for cost in CONTROL_COSTS
    ]
    ends = [run.overlaps[:, -1] for run in runs]
    return Imitation(
        runs[0].epochs,
        np.stack([run.losses[:, ::10] for run in runs]),
        np.stack([np.asarray(_loss(0.0)(run.overlaps)) for run in runs]),
        np.stack([radius(effective_matrix(end)) for end in ends]),
    )


def claims(results: Results) -> list[Claim]:
    return [
        *_of_table(results.table),
        *_of_delays(results.late),
        *_of_imitation(results.imitation),
    ]


def _of_table(table: Table) -> list[Claim]:
    found = []
    for i, beta in enumerate(PENALTIES):
        says = f"beta = {beta:g}"
        ratio = table.learned[i] / table.best[i]
        found += [
            at_most(f"{says}: bound, off {BOUND[i]}", abs(table.bound[i] - BOUND[i]), 1e-5),
            at_most(f"{says}: rank one, off {BEST[i]}", abs(table.best[i] - BEST[i]), 1e-5),
            at_most(f"{says}: gradient there", table.slope[i], 1e-10),
            at_most(f"{says}: its gain, off", np.abs(table.gains[i] - GAINS[i]).max(), 6e-4),
            at_least(f"{says}: rank one over the bound", table.best[i] / table.bound[i], 1),
            at_least(f"{says}: least learned over rank one", ratio.min(), 1),
            reported(f"{says}: median learned over rank one", np.median(ratio)),
        ]
    golden = VARIANCE / (2 * STEPS) * (6 + 7 * GOLDEN)
    return [
        *found,
        at_most("golden optimum: loss off its formula", abs(table.golden_loss - golden), 1e-6),
        at_most("gradient there", table.golden_slope, 1e-6),
        at_most("best of rank one off it", abs(table.best[0] - golden), 1e-6),
        at_least("least rise of the bound with beta", np.diff(table.bound).min(), 0),
    ]


def _of_delays(late: Late) -> list[Claim]:
    off = np.abs(late.best / LATE - 1)
    return [
        *(
            at_most(f"delay {delay}: rank one, off {known}", share, 5e-4)
            for delay, known, share in zip(DELAYS, LATE, off)
        ),
        at_least("delays: least of rank one over the bound", (late.best / late.bound).min(), 1),
        reported("delay 3: spectral radius of the best of rank one", late.radius[-1]),
    ]


def _of_imitation(imitation: Imitation) -> list[Claim]:
    found = []
    for i, cost in enumerate(CONTROL_COSTS):
        errors, deployed = imitation.errors[i], imitation.deployed[i]
        says = f"imitating the regulator of R = {cost:g}"
        first, last = np.median(deployed[:, [0, -1]], axis=0)
        found += [
            at_most(
                f"{says}: worst error over the first", (errors[:, -1] / errors[:, 0]).max(), 1
            ),
            equal(f"{says}: networks stable in the end", (imitation.radius[i] < 1).sum(), 0),
            at_least(f"{says}: median deployed loss over that at first", last / first, 1),
            reported(f"{says}: median radius", np.median(imitation.radius[i])),
            reported(f"{says}: median deployed loss", last),
        ]
    return found


def draw(results: Results):
    figure, axes = grid(2, 2, width=7.0, height=5.4)
    table, late, imitation = results.table, results.late, results.imitation
    rows = {"all controllers": table.bound, "rank one": table.best, "learned": table.learned}
    rows = {name: (row.T / table.bound).T for name, row in rows.items()}
    losses_by(axes[0, 0], [f"{beta:g}" for beta in PENALTIES], rows)
    axes[0, 0].set(xlabel="beta", yscale="linear", ylabel="loss / least of all controllers")
    learned = {f"beta = {b:g}": gains for b, gains in zip(PENALTIES, table.learned_gains)}
    gain_plane(axes[0, 1], learned | {"best of rank one": table.gains})
    rows = {"all controllers": late.bound, "rank one": late.best}
    losses_by(axes[1, 0], [str(delay) for delay in DELAYS], rows)
    axes[1, 0].set(xlabel="delay")
    pairs = zip(CONTROL_COSTS, imitation.errors, imitation.deployed)
    lines = {}
    for cost, errors, deployed in pairs:
        lines |= {f"error, R = {cost:g}": errors, f"in control, R = {cost:g}": deployed}
    over_epochs(axes[1, 1], imitation.epochs, lines)
    axes[1, 1].set(ylabel="loss", title="imitating a regulator")
    return figure
