"""What do extra latents cost a readout that few samples teach? Three models with an answer.

A coin read out of states that don't matter, least squares through latents of pure noise, and
two classes told apart by their means. Each is simulated with the errors that remain given its
readout worked out exactly, so that chance enters only through the samples that taught it. The
claim about least squares outside .8 to 1.25 dims a sample fails in the full run, by 8.6 % at 64
samples: the law is one of many dims, and 51 at 64 samples cost 51/(64 - 51 - 1), not 51/13.

Paper: Dabholkar and Barak 2024, arXiv 2405.14425, the three analytic panels.
Takes: 15 s quick, 66 s full
"""

import dataclasses

import jax.random as jr
import numpy as np
import pydantic
import scipy.special
from jaxtyping import Float

from slowpoint.core.chance import generator
from slowpoint.core.claim import at_most, Claim, equal, reported
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.latents.readout import BernoulliReadout
from slowpoint.plots.few_shot import over_samples
from slowpoint.plots.style import row
from slowpoint.theory.few_shot import (
    coin_log_likelihood,
    least_squares_error,
    prototype_error,
)

COINS = 200  # of one draw of the states
AT_ONCE = 200  # regressions in one product
ENOUGH = 30  # samples a state, from where the first order is claimed


class Settings(Base):
    rate: float = pydantic.Field(default=0.5, gt=0, lt=1, description="of the coin, B*")
    states: tuple[int, ...] = pydantic.Field(
        default=(1, 2, 4, 8, 16), description="that don't matter, M"
    )
    extra: int = pydantic.Field(default=50, ge=1, description="latents of pure noise, M")
    noise: float = pydantic.Field(default=0.3, gt=0, description="of the target, sigma")
    spreads: tuple[float, ...] = pydantic.Field(
        default=(0.1, 1.0, 2.0), description="SD of the noise latents, sigma_e"
    )
    dims: int = pydantic.Field(default=20, ge=1, description="noise of a class, M")
    distances: tuple[float, ...] = pydantic.Field(
        default=(3.0, 5.0, 10.0), description="SD of the noise of a class, sigma_e"
    )
    repeats: int = pydantic.Field(default=4000, ge=20, description="draws of the samples")


QUICK = Settings(repeats=1000)


class Costs(Result):
    """Means over repeats with their standard errors; first axis: what is varied."""

    samples: Float[np.ndarray, " k"]
    mean: Float[np.ndarray, "case k"]
    sem: Float[np.ndarray, "case k"]
    law: Float[np.ndarray, "case k"]
    case: Float[np.ndarray, " case"]  # M states, or sigma_e
    peak: float  # k at which the law has no bound; NaN: there is none


@dataclasses.dataclass(frozen=True)
class Results:
    coins: Costs  # nats a sample below those of the true rate
    least_squares: Costs  # squared error beyond the noise
    prototypes: Costs  # share of wrong answers


def run(settings: Settings) -> Results:
    coins, squares, means = jr.split(jr.key(settings.seed), 3)
    return Results(
        coins=_coins(settings, generator(coins)),
        least_squares=_least_squares(settings, generator(squares)),
        prototypes=_prototypes(settings, generator(means)),
    )


def _costs(samples, cases, draw, law, peak=np.nan) -> Costs:
    """`draw(case, k)` gives one number per repetition."""
    found = [[draw(case, k) for k in samples] for case in cases]
    summary = lambda of: np.array([[of(drawn) for drawn in line] for line in found])
    return Costs(
        samples=np.array(samples, float),
        mean=summary(np.mean),
        sem=summary(lambda drawn: drawn.std(ddof=1) / np.sqrt(len(drawn))),
        law=np.stack([law(case, np.array(samples)) for case in cases]),
        case=np.array(cases, float),
        peak=float(peak),
    )


def _coins(settings: Settings, chance: np.random.Generator) -> Costs:
    """Nats lost against the true rate, through one-hot posteriors and the one-step readout."""
    b = settings.rate
    best = coin_log_likelihood(b, 0, np.array(1))

    def draw(states, k):
        lost = []
        for _ in range(max(2, settings.repeats // 10)):
            xi = np.eye(states)[chance.integers(states, size=(1, k))]
            x = (chance.uniform(size=(1, k, COINS)) < b).astype(float)
            p = np.clip(BernoulliReadout().fit(xi, x).rates(np.eye(states)), 1e-9, 1 - 1e-9)
            lost.append((b * np.log(p) + (1 - b) * np.log1p(-p) - best).mean())
        return np.array(lost)

    law = lambda states, k: coin_log_likelihood(b, states, k) - best
    return _costs((20, 60, 120, 240, 480, 1000, 2000), settings.states, draw, law)


def _least_squares(settings: Settings, chance: np.random.Generator) -> Costs:
    """(1 - w_x)^2 + sigma_e^2 |w_n|^2 of the shortest solution."""

    def draw(spread, k):
        errors = []
        for _ in range(max(1, settings.repeats // AT_ONCE)):
            z = chance.normal(size=(AT_ONCE, k, settings.extra + 1))
            z[..., 1:] *= spread
            y = z[..., :1] + settings.noise * chance.normal(size=(AT_ONCE, k, 1))
            turned = z.swapaxes(1, 2)
            if k > settings.extra:
                w = np.linalg.solve(turned @ z, turned @ y)[..., 0]
            else:
                w = (turned @ np.linalg.solve(z @ turned, y))[..., 0]
            errors.append((1 - w[:, 0]) ** 2 + spread**2 * (w[:, 1:] ** 2).sum(axis=1))
        return np.concatenate(errors)

    law = lambda spread, k: least_squares_error(k, settings.extra, settings.noise, spread)
    peak = settings.extra + 1
    samples = {10, 16, 26, 34, 40, 64, 100, 214, 464} | {peak + d for d in (-8, -4, 0, 4, 8)}
    return _costs(sorted(samples), settings.spreads, draw, law, peak)


def _prototypes(settings: Settings, chance: np.random.Generator) -> Costs:
    """Half-way between the means of m examples a class; the error of one class, exactly."""

    def draw(spread, k):
        each = spread / np.sqrt(settings.dims)
        shape = (settings.repeats, settings.dims)
        own, other = (each * chance.normal(size=shape) / np.sqrt(k / 2) for _ in range(2))
        own, other = np.sum(own**2, axis=1), np.sum(other**2, axis=1)
        return scipy.special.ndtr((-1 + (own - other) / 2) / (each * np.sqrt(own)))

    law = lambda spread, k: prototype_error(k, settings.dims, spread)
    return _costs((10, 22, 46, 100, 214, 464, 1000), settings.distances, draw, law)


def claims(results: Results) -> list[Claim]:
    coins, squares, means = results.coins, results.least_squares, results.prototypes
    enough = coins.samples >= ENOUGH * coins.case[:, None]
    share = squares.peak / squares.samples
    asked, well = (
        (squares.case[:, None] >= 1) & ~((share > low) & (share < high))
        for low, high in ((0.8, 1.25), (0.6, 1.5))
    )
    off = [np.abs(costs.mean / costs.law - 1) for costs in (coins, squares)]
    tops = squares.samples[squares.mean.argmax(axis=1)]
    found = [
        at_most(f"coin: off the law from {ENOUGH} samples a state", off[0][enough].max(), 0.1),
        at_most(
            "least squares: off the law outside .8 to 1.25 dims a sample",
            off[1][asked].max(),
            0.05,
            "full",
        ),
        at_most("least squares: outside .6 to 1.5", off[1][well].max(), 0.05),
        at_most("prototypes: off the law", np.abs(means.mean - means.law).max(), 0.03),
    ]
    for spread, top in zip(squares.case, tops):
        found.append(equal(f"least squares, noise of {spread:g}: peak at k", top, squares.peak))
    for name, costs, case, k in (
        ("coin, 4 states", coins, 4, 1000),
        ("least squares, noise of 0.1", squares, 0.1, 10),
        ("least squares, noise of 1", squares, 1.0, 10),
        ("least squares, noise of 1", squares, 1.0, 26),
        ("least squares, noise of 1", squares, 1.0, 100),
        ("prototypes, noise of 5", means, 5.0, 10),
        ("prototypes, noise of 5", means, 5.0, 46),
    ):
        place = costs.case == case, costs.samples == k
        if place[0].any() and place[1].any():
            value, law, sem = (
                a[place[0]][0, place[1]][0] for a in (costs.mean, costs.law, costs.sem)
            )
            says = f"{name}, k = {k} (law {law:.5g}, s.e.m. {sem:.1g})"
            found.append(reported(says, value))
    return found


def draw(results: Results):
    figure, axes = row(3, width=8.5, height=2.6)
    panels = (
        (results.coins, "nats lost a sample", lambda case: f"{case:g} states", -1),
        (results.least_squares, "squared error", lambda case: f"noise {case:g}", 1),
        (results.prototypes, "share wrong", lambda case: f"noise {case:g}", 1),
    )
    for ax, (costs, ylabel, name, sign) in zip(axes, panels):
        names = [name(case) for case in costs.case]
        measured = {n: (sign * m, e) for n, m, e in zip(names, costs.mean, costs.sem)}
        laws = {n: (costs.samples, sign * law) for n, law in zip(names, costs.law)}
        over_samples(ax, costs.samples, measured, laws)
        ax.set(ylabel=ylabel)
    axes[0].set(yscale="log")
    axes[1].set(yscale="log")
    return figure
