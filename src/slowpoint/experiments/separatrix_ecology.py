"""Where does the gut decide between two communities, and why only on a face?

Eleven genera of bacteria, fitted to mice. The state E is left by Akkermansia and C. difficile
as soon as a few arrive, so in all eleven dimensions nothing parts it from C, and their saddle
has three growing rates. On the invariant face of the seven genera that both states use, both
attract, and the saddle has one growing rate and carries a boundary. In the plane x = a E + b C
the pulled-back hyperplane finds it to 8e-5 in b (the hyperplane: .0115). Koopman nets err by
.13 to .20 there, and in the reduction to two species by .0040 to .0058. The unit of abundance
changes neither, as a net sees states over the widest spread of its samples.

A push may bring no genus below `least`: a floor of exactly 0 sends the one from E to another
face, where two genera grow without bound.

Paper: Dabholkar and Barak 2025, arXiv:2505.15231, the ecological model and its reduction to
two species; parameters of Stein et al. 2013, PLoS Comput. Biol. 9(12), e1003388.
Takes: 20 s quick, 1.5 min full
"""

import dataclasses

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pydantic
from jaxtyping import Float, Shaped

from slowpoint.analysis.edge_state import edge_state
from slowpoint.analysis.field import Field, values
from slowpoint.analysis.learned import Network
from slowpoint.analysis.mountain_pass import mountain_pass, Pass
from slowpoint.analysis.pullback import Pullback
from slowpoint.analysis.push import FOUND, smallest_push
from slowpoint.analysis.separatrix import Separatrix, separatrix
from slowpoint.core.claim import at_least, at_most, Claim, equal, reported
from slowpoint.core.precision import float64
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.core.system import System
from slowpoint.plots.along import along
from slowpoint.plots.style import row
from slowpoint.recordings.gut import Gut, gut
from slowpoint.worlds.lotka_volterra import face, LotkaVolterra, two_species

TIMES = (0.0, 0.25, 0.5, 1.0)  # pulled back, in 1 / lambda_u
UNITS = ("as they are", "over |E - C|")  # of the abundances that a Koopman net sees
VARIANCES = (0.01, 0.1)  # of its samples, in those of `Network`
INNER = 15  # places looked at between two others
NONE = np.zeros(0)


class Settings(Base):
    lines: int = pydantic.Field(default=101, ge=3, description="values of a, from .1 to 1.1")
    most: float = pydantic.Field(default=0.6, gt=0, description="largest b looked at")
    least: float = pydantic.Field(
        default=1e-4, ge=0, description="abundance below which no push may bring a genus"
    )
    learning: int = pydantic.Field(default=2000, ge=0, description="updates of a Koopman net")
    nets: int = pydantic.Field(default=4, ge=1, description="Koopman nets, in each unit")


QUICK = Settings(lines=41, learning=0)


class Whole(Result):
    """All eleven genera. Rates per day."""

    genera: Shaped[np.ndarray, " genus"]
    invasion: Float[np.ndarray, " genus"]  # growth per head at E; of the absent: as it arrives
    absent: Float[np.ndarray, " genus"]  # 1 where E has none


class Boundary(Result):
    """The face of seven genera first, its reduction to two species second. Rates per day."""

    rate: Float[np.ndarray, " model"]  # lambda_u
    slowest: Float[np.ndarray, " model"]  # the slowest decaying one at the saddle
    speed: Float[np.ndarray, " model"]  # of the saddle
    growing: Float[np.ndarray, " model"]  # its growing rates, a count
    crossing: Float[np.ndarray, " model"]  # share of the way from E to C, by simulation
    a: Float[np.ndarray, " line"]
    truth: Float[np.ndarray, "model line"]  # b where the basin changes, by simulation
    zeros: Float[np.ndarray, "model field line"]  # b where each field is zero; NaN: nowhere
    learned: Float[np.ndarray, "model unit net line"]  # the same of Koopman nets; see UNITS
    norm: Float[np.ndarray, "model side"]  # smallest push from C and from E
    lowest: Float[np.ndarray, "model side"]  # abundance after it
    code: Float[np.ndarray, "model side"]  # of the Push


@dataclasses.dataclass(frozen=True)
class Results:
    whole: Whole
    boundary: Boundary


def run(settings: Settings) -> Results:
    data = gut()
    rich, poor = data.steady("E"), data.steady("C")
    with float64():
        world = LotkaVolterra(jnp.asarray(data.growth), jnp.asarray(data.interactions))
        small, pair = face(world, data.face), two_species(world, rich, poor)
    ends = [(rich[data.face], poor[data.face]), (np.array([1.0, 0.0]), np.array([0.0, 1.0]))]
    keys = jr.split(jr.key(settings.seed), 2)
    rows = [
        _model(settings, system, *end, key)
        for system, end, key in zip((small, pair), ends, keys)
    ]
    columns = {name: np.array([r[name] for r in rows], float) for name in rows[0]}
    return Results(_whole(data, rich), Boundary(a=_lines(settings), **columns))


def _whole(data: Gut, rich: np.ndarray) -> Whole:
    invasion = data.growth + data.interactions @ rich
    return Whole(data.genera, invasion, (rich == 0).astype(float))


def _lines(settings: Settings) -> np.ndarray:
    return np.linspace(0.1, 1.1, settings.lines)


def _model(settings: Settings, system: System, rich, poor, key) -> dict[str, object]:
    """The boundary between `rich` (E) and `poor` (C) in one model."""
    edge = edge_state(system, rich, poor)
    rates = np.real(edge.rates)
    boundary = separatrix(system, edge.state, how=Pullback(TIMES[-1] / float(rates[0])))
    around = boundary.around
    fields = [Pullback(time / float(rates[0])).make(around, None).field for time in TIMES]
    judge = around.judge
    assert judge is not None, "both ends attract"
    _, at_poor = judge(np.stack([rich, poor])).tolist()
    up = 2 * at_poor - 1  # the sign of a field on the side of C
    plane = lambda b: _lines(settings)[:, None, None] * rich + b[..., None] * poor
    most = np.full(settings.lines, settings.most)
    truth = _first(lambda x: judge(x) == at_poor, plane, most)
    zeros = [
        _first(lambda x, field=field: up * values(field, x) > 0, plane, most)
        for field in fields
    ]
    segment = lambda b: (1 - b[..., None]) * rich + b[..., None] * poor
    crossing = _first(lambda x: judge(x) == at_poor, segment, np.ones(1))[0]
    learn, push = jr.split(key)
    nets = [
        _first(lambda x, field=field, unit=unit: up * values(field, x / unit) > 0, plane, most)
        for unit in (1.0, around.distance)
        for field in _taught(settings, around, unit, learn)
    ]
    return {
        "rate": rates[0],
        "slowest": rates[1:].max(),
        "speed": edge.speed,
        "growing": (rates > 0).sum(),
        "crossing": crossing,
        "truth": truth,
        "zeros": np.array(zeros),
        "learned": np.reshape(nets, (len(UNITS), -1, settings.lines)),
        **_pushes(settings, system, boundary, push),
    }


def _taught(settings: Settings, around: Pass, unit: float, key) -> list[Field]:
    """Koopman nets that see abundances over `unit`, the same draws for every unit."""
    if not settings.learning:
        return []
    world, how = around.system, Network(updates=settings.learning, variances=VARIANCES)
    assert isinstance(world, LotkaVolterra), "both models are"
    with float64():
        world = LotkaVolterra(world.growth, world.interactions * unit, dt=world.dt)
    near = mountain_pass(world, around.saddle / unit)
    return [how.make(near, one).field for one in jr.split(key, settings.nets)]


def _first(inside, states, most: np.ndarray) -> np.ndarray:
    """The least b of each line at which `inside(states(b))` begins to hold; NaN: none."""
    low, high = np.zeros(len(most)), most
    share, rows = np.linspace(0, 1, INNER + 2), np.arange(len(most))
    for _ in range(6):
        b = low[:, None] + (high - low)[:, None] * share
        x = states(b)
        held = inside(x.reshape(-1, x.shape[-1])).reshape(b.shape)
        first = np.argmax(held, axis=1)
        none = ~held.any(axis=1) | (first == 0)
        low, high = b[rows, np.maximum(first - 1, 0)], b[rows, first]
        low, high = np.where(none, np.nan, low), np.where(none, np.nan, high)
    return (low + high) / 2


def _pushes(settings: Settings, system: System, boundary: Separatrix, key):
    """The smallest pushes that leave no genus below `least` (or what it has, if less)."""
    pushes = []
    for start, part in zip(boundary.attractors, jr.split(key)):
        start = np.maximum(start, 0.0)  # an absent genus may be -1e-20
        low = np.minimum(start, settings.least)
        pushes.append((start, smallest_push(system, start, boundary, lower=low, key=part)))
    return {
        "norm": np.array([push.norm for _, push in pushes]),
        "lowest": np.array([(start + push.vector).min() for start, push in pushes]),
        "code": np.array([push.code for _, push in pushes]),
    }


def claims(results: Results) -> list[Claim]:
    found, whole = results.boundary, results.whole
    invaders = np.where(whole.absent > 0, whole.invasion, -np.inf)
    first, second = np.sort(invaders)[::-1][:2]
    off = np.abs(found.zeros - found.truth[:, None]).max(axis=2)
    nets = np.abs(found.learned - found.truth[:, None, None]).max(axis=3)
    said = [
        at_most("E is invaded by Akkermansia: off .4822 per day", abs(first - 0.4822), 5e-4),
        at_most("and by C. difficile: off .2819 per day", abs(second - 0.2819), 5e-4),
        equal("growing rates of the saddle on the face", found.growing[0], 1),
        at_most("its lambda_u: off .0768924 per day", abs(found.rate[0] - 0.0768924), 1e-6),
        at_most("its speed", found.speed[0], 1e-12),
        at_most("crossing from E to C: off .16232", abs(found.crossing[0] - 0.16232), 1e-4),
        at_most("face: largest error in b, T = 1/lambda_u", off[0, -1], 1e-3),
        at_most("two species: largest error in b, T = 1/lambda_u", off[1, -1], 1e-3),
        at_least("face: error of the hyperplane over ours", off[0, 0] / off[0, -1], 10),
        reported("face: largest error in b of the hyperplane", off[0, 0]),
        equal("two species: pushes proved", (found.code[1] == FOUND).sum(), 2),
        reported("face: pushes proved, of 2", (found.code[0] == FOUND).sum()),
        at_least("lowest abundance after a push", np.nanmin(found.lowest), 0.0),
    ]
    for name, rows in zip(("face", "two species"), nets):
        for unit, errors in zip(UNITS, rows):
            if len(errors):
                says = f"{name}: error in b of Koopman nets, abundances {unit}"
                said += [
                    reported(f"{says}: the least (goal .01)", errors.min()),
                    reported(f"{says}: the largest", errors.max()),
                    reported(f"{says}: nets of {len(errors)} under .01", (errors < 0.01).sum()),
                ]
    return said


def draw(results: Results):
    figure, axes = row(2)
    found = results.boundary
    names = [f"T = {time:g}" for time in TIMES]
    titles = ("seven genera", "two species")
    for axis, truth, zeros, title in zip(axes, found.truth, found.zeros, titles):
        misses = np.maximum(np.abs(zeros - truth), 1e-12)
        along(axis, np.tile(found.a, (len(names), 1)), misses, names)
        axis.set_yscale("log")
        axis.set_xlabel("a")
        axis.set_title(title)
    axes[0].set_ylabel("error in b")
    return figure
