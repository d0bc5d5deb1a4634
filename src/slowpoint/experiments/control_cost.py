r"""What does a price on control change in the last stage of learning?

Linear networks of rank one learn without a price until their loops are stable, then go on for
1000 epochs with the price beta on $u^2$: .5, 2 or 5, or none. The exact law of the Gram matrix
says where they get: with a price within 2 % of the best of rank one, without one 18 % above
it. The paper's reduced model, descent on the four overlaps, gets there a little later. Neither
can be below the bound of all causal controllers.

Paper: Ger and Barak 2025, arXiv:2505.13567, figure 5d; the law and both bounds are ours.
Takes: 8 s quick, 16 s full
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.random as jr
import numpy as np
import pydantic
from jaxtyping import Float, Int

from slowpoint.core.claim import at_least, at_most, Claim, equal, reported
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.plots.controllers import losses_by
from slowpoint.plots.epochs import over_epochs
from slowpoint.plots.style import row
from slowpoint.theory.gram import learn_gram
from slowpoint.theory.loop_loss import expected_loss
from slowpoint.theory.loop_start import stabilised, start_grams
from slowpoint.theory.optimal import best_rank_one, lqg_bound
from slowpoint.theory.reduced_learning import learn_overlaps

PENALTIES = (0.0, 0.5, 2.0, 5.0)  # beta
LEARNED = (0.2732, 1.1056, 2.2564, 3.8148)  # after 1000 epochs
REDUCED = (0.2759, 1.1124, 2.2859, 3.8421)
WITHIN = (0.05, 0.02, 0.02, 0.02)
STEPS, VARIANCE = 50, 4 / 3  # T; of each coordinate of the start, U[-2, 2]


class Settings(Base):
    networks: int = pydantic.Field(default=50, ge=3, description="each from weights of its own")
    units: int = pydantic.Field(default=100, ge=4, description="N")
    rate: float = pydantic.Field(default=1e-2, gt=0, description="learning rate")
    before: int = pydantic.Field(default=1000, ge=1, description="epochs without a price")
    after: int = pydantic.Field(default=1000, ge=10, description="epochs with it, tens")


QUICK = Settings(networks=24)


class Prices(Result):
    """Networks that learn on at each price."""

    stable_from: Int[np.ndarray, " network"]  # e2; -1: never
    epochs: Int[np.ndarray, " record"]  # since then
    learned: Float[np.ndarray, "penalty network record"]  # exact expected losses
    reduced: Float[np.ndarray, "penalty network record"]
    best: Float[np.ndarray, " penalty"]  # of rank one
    bound: Float[np.ndarray, " penalty"]  # of all causal controllers


@dataclasses.dataclass(frozen=True)
class Results:
    prices: Prices


def run(settings: Settings) -> Results:
    key = jr.key(settings.seed)
    how = {"rate": settings.rate, "steps": settings.after, "every": settings.after}
    first = learn_gram(
        start_grams(key, settings.networks, settings.units),
        _loss(0.0),
        rate=settings.rate,
        steps=settings.before,
    )
    stable = stabilised(first)
    learned = [learn_gram(stable.grams, _loss(beta), **how).losses for beta in PENALTIES]
    reduced = [learn_overlaps(stable.overlaps, _loss(beta), **how).losses for beta in PENALTIES]
    return Results(
        Prices(
            stable.epochs,
            np.arange(0, settings.after + 1, 10),
            np.stack(learned)[..., ::10],
            np.stack(reduced)[..., ::10],
            np.array([best_rank_one(STEPS, VARIANCE, beta).loss for beta in PENALTIES]),
            np.array([lqg_bound(None, STEPS, VARIANCE, beta).loss for beta in PENALTIES]),
        )
    )


def _loss(penalty: float) -> Callable[..., Any]:
    """As an array the price is compiled once for all."""
    return eqx.Partial(expected_loss, steps=STEPS, variance=VARIANCE, penalty=np.array(penalty))


def claims(results: Results) -> list[Claim]:
    prices = results.prices
    found = [equal("networks never stable", (prices.stable_from < 0).sum(), 0)]
    rows = zip(PENALTIES, prices.learned, prices.reduced, LEARNED, REDUCED, WITHIN)
    for i, (beta, learned, reduced, known, known_reduced, within) in enumerate(rows):
        last, says = learned[:, -1], f"beta = {beta:g}, median loss in the end"
        found += [
            at_most(f"{says}, off {known}", abs(np.median(last) / known - 1), within),
            at_most(
                f"{says}, reduced model, off {known_reduced}",
                abs(np.median(reduced[:, -1]) / known_reduced - 1),
                within,
            ),
            at_least("least loss in the end, over the bound", last.min() / prices.bound[i], 1),
            reported("median over the best of rank one", np.median(last) / prices.best[i]),
        ]
    return found


def draw(results: Results):
    prices = results.prices
    figure, axes = row(2, width=7.0, height=2.8)
    lines = {f"beta = {b:g}": v for b, v in zip(PENALTIES, prices.learned)}
    over_epochs(axes[0], prices.epochs, lines)
    axes[0].set(ylabel="loss", xlabel="epoch since the loop is stable")
    rows = {
        "all controllers": prices.bound,
        "rank one": prices.best,
        "learned": prices.learned[..., -1],
        "reduced model": prices.reduced[..., -1],
    }
    rows = {name: (row.T / prices.bound).T for name, row in rows.items()}
    losses_by(axes[1], [f"{beta:g}" for beta in PENALTIES], rows)
    axes[1].set(xlabel="beta", yscale="linear", ylabel="loss / least of all controllers")
    return figure
