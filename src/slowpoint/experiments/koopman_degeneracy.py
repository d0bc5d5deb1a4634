"""How many scalars grow at one rate and vanish on one circle, and which does a fit find?

Two wells on a ray, parted by the circle r = 2. For any mu the product of a function of r, of
rate mu, and one of the angle, of rate 1 - mu, grows at rate 1: exact, and as unlike as one
likes. Above mu = 1 it is zero on the ray to the saddle too. Any of them times the indicator of
a basin is another, zero on the whole other basin. So the equation alone has no one answer. A
fit of smooth functions finds the plain one, mu = 1, with a gap of ten to the next, if the rate
is the saddle's. At other rates many are alike, and at twice it the best answer is the square of
the plain one, which has no second sign.

Paper: Dabholkar and Barak 2025, arXiv:2505.15231, degeneracy of eigenfunctions.
Takes: 6 s quick, 7 s full
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pydantic
from jaxtyping import Float

from slowpoint.analysis.even import even_box
from slowpoint.analysis.field import values
from slowpoint.analysis.koopman import Equation, Psi, residual
from slowpoint.analysis.koopman_modes import gaussian_grid, koopman_modes
from slowpoint.core.claim import at_least, at_most, Claim, equal
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.plots.along import along
from slowpoint.plots.plane import heights
from slowpoint.plots.style import grid
from slowpoint.theory.koopman_exact import power, product, radial_phi, radial_psi
from slowpoint.worlds.radial_bistable import RadialBistable

LOW, HIGH = np.array([0.5, -2.0]), np.array([3.5, 2.0])  # where fits are made
OFF = 0.75  # from r = 2 to where samples end: at 1 all have a pole


class Settings(Base):
    mu: tuple[float, ...] = pydantic.Field(
        default=(0.5, 1.0, 1.5, 2.0, 3.0), min_length=2, description="members of the family"
    )
    rates: tuple[float, ...] = pydantic.Field(
        default=(0.25, 0.5, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0),
        description="lambdas of the fits; the saddle's is 1",
    )
    samples: int = pydantic.Field(default=8000, ge=2000, description="states, in the box")


QUICK = Settings(rates=(0.5, 0.8, 1.0, 1.25, 2.0), samples=4000)


class Family(Result):
    """Members of rate 1 that share a zero. States are those of the sample."""

    mu: Float[np.ndarray, " mu"]
    residual: Float[np.ndarray, " mu"]  # largest, of grad phi . f - phi
    doubled: float  # the same, of products of two members, at rate 2
    halved: float  # of the power 1/2 of mu = 1, at rate 1/2
    one_sided: float  # of mu = 1 times the indicator of the outer basin
    silent: float  # share of the inner basin where that one is exactly 0
    cosine: Float[np.ndarray, "mu mu"]  # between members, squashed
    ray: Float[np.ndarray, " mu"]  # largest |psi| on theta = 0
    height: Float[np.ndarray, "mu y x"]  # psi, squashed, in the box of +-4


class Fits(Result):
    """The best smooth answer for each lambda."""

    rate: Float[np.ndarray, " rate"]
    first: Float[np.ndarray, " rate"]  # its loss
    gap: Float[np.ndarray, " rate"]  # loss of the next over it
    plain: Float[np.ndarray, " rate"]  # |cosine| with the function of r alone, of that rate
    square: Float[np.ndarray, " rate"]  # with its size, which has one sign
    other: Float[np.ndarray, " rate"]  # share of the sample with the rarer sign


@dataclasses.dataclass(frozen=True)
class Results:
    family: Family
    fits: Fits


def run(settings: Settings) -> Results:
    states = LOW + (HIGH - LOW) * even_box(settings.samples, 2)
    radius, angle = np.linalg.norm(states, axis=1), np.arctan2(states[:, 1], states[:, 0])
    near = np.abs(radius - 2) < OFF
    off_ray = states[near & (np.abs(angle) > 0.05)]  # below mu = 2 the slope jumps there
    fits = zip(*(_fit(rate, states[near]) for rate in settings.rates), strict=True)
    return Results(
        _family(settings, off_ray), Fits(np.array(settings.rates), *map(np.array, fits))
    )


def _family(settings: Settings, states: np.ndarray) -> Family:
    members = [lambda x, mu=mu: radial_phi(x, mu) for mu in settings.mu]
    squashed = [lambda x, mu=mu: radial_psi(x, mu) for mu in settings.mu]
    plain = lambda x: radial_phi(x, 1.0)
    outer = lambda x: jnp.where(jnp.linalg.norm(x) > 2, plain(x), 0.0)
    inside = states[np.linalg.norm(states, axis=1) < 2]
    seen = np.stack([values(psi, states) for psi in squashed])
    seen = seen / np.linalg.norm(seen, axis=1, keepdims=True)
    ray = np.stack([np.linspace(1.2, 2.8, 64), np.zeros(64)], axis=1)
    line = np.linspace(-4, 4, 200)
    return Family(
        np.array(settings.mu),
        np.array([_largest(phi, 1.0, states) for phi in members]),
        max(_largest(product(plain, phi), 2.0, states) for phi in members),
        _largest(power(plain, 0.5), 0.5, states),
        _largest(outer, 1.0, states),
        float((values(outer, inside) == 0).mean()),
        seen @ seen.T,
        np.array([np.abs(values(psi, ray)).max() for psi in squashed]),
        np.stack([values(psi, np.stack(np.meshgrid(line, line), -1)) for psi in squashed]),
    )


def _largest(phi: Psi, rate: float, states: np.ndarray) -> float:
    equation = Equation(RadialBistable(), np.zeros(0), np.asarray(rate))
    return rate * float(np.abs(values(lambda x: residual(phi, equation, x), states)).max())


def _fit(rate: float, states: np.ndarray) -> tuple[float, ...]:
    """A row of `Fits`, without the rate."""
    equation = Equation(RadialBistable(), np.zeros(0), np.asarray(rate))
    features = gaussian_grid(LOW, HIGH)
    modes = koopman_modes(features, equation, states)
    found = values(modes.psi(features), states)
    plain = values(power(lambda x: radial_phi(x, 1.0), rate), states)
    cosines = (_cosine(found, plain), _cosine(found, np.abs(plain)))
    rarer = min((found > 0).mean(), (found < 0).mean())
    return (float(modes.ratios[0]), modes.gap, *cosines, float(rarer))


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(abs(one @ other) / np.linalg.norm(one) / np.linalg.norm(other))


def claims(results: Results) -> list[Claim]:
    family, fits = results.family, results.fits
    apart = family.cosine[~np.eye(len(family.mu), dtype=bool)]
    right, twice = fits.rate == 1, fits.rate == 2
    return [
        at_most("residual of the members at rate 1", family.residual.max(), 1e-8),
        at_most("residual of products of two, at rate 2", family.doubled, 1e-8),
        at_most("residual of a square root, at rate 1/2", family.halved, 1e-8),
        at_most("residual of the one-sided member, at rate 1", family.one_sided, 1e-8),
        equal("share of the other basin where that is zero", family.silent, 1),
        at_most("cosine of the two members most unlike", np.abs(apart).min(), 0.8),
        at_most("mu > 1: largest value on the ray", family.ray[family.mu > 1].max(), 1e-12),
        at_least("mu <= 1: the same", family.ray[family.mu <= 1].min(), 0.1),
        at_most(
            "largest gap of a fit at another rate, over that at the saddle's",
            fits.gap[~right].max() / fits.gap[right].max(),
            0.5,
        ),
        at_least(
            "cosine of the fit at the saddle's rate with mu = 1", fits.plain[right][0], 0.9
        ),
        at_least("at twice it: cosine with the square of that", fits.square[twice][0], 0.9),
        at_most("share of the rarer sign there", fits.other[twice][0], 0.1),
    ]


def draw(results: Results):
    family, fits = results.family, results.fits
    figure, axes = grid(2, 2, width=6.4, height=6.0)
    for i, ax in zip((0, 1, 3), axes.flat[:3]):
        heights(ax, family.height[i], 4.0)
        ax.set_title(f"psi, mu = {family.mu[i]:g}")
    along(axes[1, 1], fits.rate[None], fits.gap[None], [""])
    axes[1, 1].set(
        xlabel="rate of the fit (saddle: 1)", ylabel="loss of the next / of the best"
    )
    return figure
