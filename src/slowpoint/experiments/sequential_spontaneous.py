"""Does a network that was taught memories visit them when nothing calls it?

It leans to them. Without input the state wanders, and after learning most of its variance lies
in the span of the targets; the nearest one changes. But it is never near enough to any to count
as recall. While the list is repeated motion shrinks, in part of the networks to a narrow cycle
along a few targets. With the weights of each unit shuffled the lean is gone.

Paper: Kurikawa, Barak and Kaneko 2020, arXiv:1906.11770; constants and numbers are ours.
Takes: 12 s quick, 25 s full
"""

import dataclasses

import equinox as eqx
import jax.random as jr
import numpy as np
import pydantic
from jaxtyping import Float, Int, PRNGKeyArray

from slowpoint.analysis.spontaneous import Spontaneous, spontaneous
from slowpoint.cells.associative import Associative
from slowpoint.core.chance import generator
from slowpoint.core.claim import at_least, at_most, Claim, reported
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.learning.grid import At
from slowpoint.learning.plasticity import learn_sequence, Plasticity
from slowpoint.plots.spontaneous import distributions, from_no_pass, overlaps_in_time
from slowpoint.plots.style import grid
from slowpoint.tasks.recall import InputOutputMaps

MEASURES = (
    "exponent",  # largest, mean over starts
    "error",  # of that mean
    "share",  # of variance in the span of the targets
    "control share",  # of as many random patterns
    "cosine",  # with the best target, mean over time
    "cosine, 99 %",
    "control cosine",
    "control cosine, 99 %",
    "visited",  # targets that are the best match at some time
    "motion",  # rms per unit, about the mean in time
    "size",  # rms per unit, of the state
    "largest overlap",
    "still",  # starts that came to rest; shares, cosines and visits are of the others
)
TOLD = ("share", "control share", "exponent", "visited", "motion", "size", "still")
SHARES = {0: 0.18, 1: 0.55, 5: 0.65, 30: 0.60}  # known from two networks, by passes
WINDOW, EVERY = 100.0, 0.5  # of overlaps that are kept, in units of time
EDGES = np.linspace(0, 1, 51)  # of cosines


class Settings(Base):
    units: int = pydantic.Field(default=100, ge=10, description="N")
    maps: int = pydantic.Field(default=20, ge=2, description="M")
    passes: tuple[int, ...] = pydantic.Field(
        default=(0, 1, 2, 5, 30), min_length=2, description="after which to look"
    )
    others: tuple[int, ...] = pydantic.Field(
        default=(5, 10, 30), description="other M, after the last pass"
    )
    networks: int = pydantic.Field(default=3, ge=1, description="each with its own maps")
    starts: int = pydantic.Field(default=3, ge=1, description="random states")
    duration: float = pydantic.Field(default=1000.0, ge=WINDOW, description="units of time")
    dt: float = pydantic.Field(
        default=0.1, gt=0, lt=1, description="of the steps of free motion; learning takes .1"
    )
    rate: float = pydantic.Field(default=0.03, gt=0, description="eps N, ours")


QUICK = Settings(networks=2, passes=(0, 1, 2, 30), others=(30,), duration=500.0)


class Motion(Result):
    """Without input, by MEASURES."""

    units: int
    maps: int
    passes: Int[np.ndarray, " look"]
    learned: Float[np.ndarray, "network look measure"]
    shuffled: Float[np.ndarray, "network measure"]  # rows of the last weights, off the diagonal
    others: Int[np.ndarray, " load"]  # other numbers of maps
    loads: Float[np.ndarray, "network load measure"]  # after the last pass


class Visits(Result):
    """Overlaps with the targets in time, and how cosines with the best one are distributed."""

    times: Float[np.ndarray, " time"]
    overlaps: Float[np.ndarray, "network look time target"]  # from the first start
    edges: Float[np.ndarray, " edge"]
    best: Float[np.ndarray, "network bin"]  # density after the last pass
    control: Float[np.ndarray, "network bin"]  # of as many random patterns


@dataclasses.dataclass(frozen=True)
class Results:
    motion: Motion
    visits: Visits


def run(settings: Settings) -> Results:
    keys = jr.split(jr.key(settings.seed), (settings.networks, 1 + len(settings.others)))
    found = [_one(settings, row[0]) for row in keys]
    learned, shuffled, times, overlaps, best, control = map(np.stack, zip(*found))
    loads = [[_load(settings, *pair) for pair in zip(settings.others, row[1:])] for row in keys]
    motion = Motion(
        settings.units,
        settings.maps,
        np.unique(settings.passes),
        learned,
        shuffled,
        np.array(settings.others, int),
        np.reshape(loads, (settings.networks, -1, len(MEASURES))),
    )
    return Results(motion, Visits(times[0], overlaps, EDGES, best, control))


def _one(settings: Settings, key: PRNGKeyArray) -> tuple[np.ndarray, ...]:
    """Rows of Motion and Visits of one network."""
    teach, mix, watch, again = jr.split(key, 4)
    networks, targets = _taught(settings, settings.maps, settings.passes, teach)
    looks = [_watch(settings, network, targets, watch) for network in networks]
    mixed = _watch(settings, _shuffled(networks[-1], mix), targets, again)
    last = looks[-1]
    kept = slice(-round(WINDOW / settings.dt), None, max(1, round(EVERY / settings.dt)))
    return (
        np.array([_measures(look) for look in looks]),
        np.array(_measures(mixed)),
        last.times[kept],
        np.stack([look.overlaps[0, kept] for look in looks]),
        _density(last.best[last.moving]),
        _density(last.control_best[last.moving]),
    )


def _taught(settings: Settings, count: int, passes: tuple[int, ...], key: PRNGKeyArray):
    """`(networks after each of passes, targets)`."""
    begin, draw, show = jr.split(key, 3)
    network = Associative.random(settings.units, key=begin)
    maps = InputOutputMaps.random(count, settings.units, key=draw)
    how = Plasticity(rate=settings.rate / settings.units)
    done = learn_sequence(
        network, maps, how, passes=max(passes), key=show, snapshots=At(passes)
    )
    networks = [done.network(network, i) for i in range(len(done.passes))]
    return networks, np.asarray(maps.targets)


def _shuffled(network: Associative, key: PRNGKeyArray) -> Associative:
    """The weights of each unit on other units, in a random order."""
    weights = np.asarray(network.recurrent)
    off = ~np.eye(len(weights), dtype=bool)
    rows = generator(key).permuted(weights[off].reshape(len(weights), -1), axis=1)
    mixed = np.zeros_like(weights)
    mixed[off] = rows.ravel()
    return eqx.tree_at(lambda net: net.recurrent, network, mixed)


def _load(settings: Settings, count: int, key: PRNGKeyArray) -> list[float]:
    """MEASURES of a network of `count` maps after the last pass."""
    teach, watch = jr.split(key)
    networks, targets = _taught(settings, count, (max(settings.passes),), teach)
    return _measures(_watch(settings, networks[-1], targets, watch))


def _watch(settings: Settings, like: Associative, targets: np.ndarray, key: PRNGKeyArray):
    network = Associative(like.recurrent, like.gain, like.strength, settings.dt)
    options = {"starts": settings.starts, "duration": settings.duration}
    return spontaneous(network, targets, key=key, **options)


def _measures(found: Spontaneous) -> list[float]:
    """In the order of MEASURES; NaN where no start moves."""
    moving = found.moving
    some = lambda rows: rows[moving].mean() if moving.any() else np.nan
    high = lambda rows: np.quantile(rows[moving], 0.99) if moving.any() else np.nan
    numbers = (
        found.exponents.mean(),
        np.sqrt((found.errors**2).sum()) / len(moving),
        some(found.share),
        some(found.control_share),
        some(found.best),
        high(found.best),
        some(found.control_best),
        high(found.control_best),
        found.visited.sum(),
        found.motion.mean(),
        np.sqrt((found.size**2).mean(axis=1)).mean(),
        np.abs(found.overlaps).max(),
        (~moving).sum(),
    )
    return [float(number) for number in numbers]


def _density(cosines: np.ndarray) -> np.ndarray:
    counts = np.histogram(cosines, EDGES)[0]
    return counts / max(1, counts.sum()) / np.diff(EDGES)


def claims(results: Results) -> list[Claim]:
    motion = results.motion
    after = lambda name: _named(name, motion.learned)  # (network, look)
    last, share = f"after {motion.passes[-1]} passes", after("share")
    exponent, visited = after("exponent"), after("visited")[:, -1].min()
    times = after("cosine")[:, -1] / after("control cosine")[:, -1]
    high = after("cosine, 99 %")[:, -1] / after("control cosine, 99 %")[:, -1]
    overlap, every = after("largest overlap").max(), 0.75 * motion.maps
    return [
        at_least("largest exponent before learning, the least", exponent[:, 0].min(), 0),
        at_least(f"largest exponent {last}, the least", exponent[:, -1].min(), 0, "full"),
        at_least(f"share of variance {last}, the least", share[:, -1].min(), 0.45),
        at_least("best cosine over that of random patterns, mean", times.mean(), 1.5),
        at_least("  the least of a network", times.min(), 1.5, "full"),
        at_least("  of their 99 % over time, mean", high.mean(), 1.5),
        at_least("  the least of a network", high.min(), 1.5, "full"),
        reported("  best cosine, mean", after("cosine")[:, -1].mean()),
        reported("  its 99 %", after("cosine, 99 %")[:, -1].mean()),
        at_least(f"best matches among targets {last}, the least", visited, every, "full"),
        at_most("largest overlap at any time", overlap, 0.62, "full"),
        at_most("  so nothing is recalled", overlap, 0.85),
        *_of_shuffled(_named("share", motion.shuffled), motion.maps / motion.units),
        *_over_passes(motion),
        *_of_loads(motion),
    ]


def _of_shuffled(shares: Float[np.ndarray, " network"], load: float) -> list[Claim]:
    """The share in the span of random directions is M / N; so it should be here."""
    moving = shares[np.isfinite(shares)]
    most = moving.max() if len(moving) else np.nan
    return [
        at_most("share with shuffled weights, the most", most, load + 0.1),
        reported("  networks that come to rest with them", len(shares) - len(moving)),
    ]


def _over_passes(motion: Motion) -> list[Claim]:
    """What repeating the list does to the motion."""
    after = lambda name: _named(name, motion.learned)
    irregular = (after("exponent") > 3 * after("error")).sum(axis=0)
    size, passes, found = after("motion"), motion.passes.tolist(), []
    for i, count in enumerate(passes):
        known = f" (share known: {SHARES[count]:g})" if count in SHARES else ""
        found += _told(f"after {count}{known}", motion.learned[:, i])
        found.append(reported("  exponents above 3 standard errors", irregular[i]))
    if 2 in passes[:-1]:
        shrunk = size[:, -1] / size[:, passes.index(2)]
        says = f"motion after {passes[-1]} over that after 2, the most"
        found.append(at_most(says, shrunk.max(), 1))
    return found


def _of_loads(motion: Motion) -> list[Claim]:
    """What other numbers of maps leave to be seen."""
    if not len(motion.others):
        return []
    most = _named("largest overlap", motion.loads).max()
    found = [at_most("other numbers of maps: largest overlap", most, 0.62, "full")]
    for i, count in enumerate(motion.others):
        found += _told(f"{count} maps", motion.loads[:, i])
    return found


def _told(when: str, measures: Float[np.ndarray, "network measure"]) -> list[Claim]:
    return [reported(f"{when}: {name}, mean", _mean(_named(name, measures))) for name in TOLD]


def _named(name: str, measures: np.ndarray) -> np.ndarray:
    return measures[..., MEASURES.index(name)]


def _mean(numbers: Float[np.ndarray, " network"]) -> float:
    """Of the networks that move; NaN: none does."""
    known = numbers[np.isfinite(numbers)]
    return float(known.mean()) if len(known) else float("nan")


def draw(results: Results):
    motion, visits = results.motion, results.visits
    figure, axes = grid(2, 3, width=10.0, height=5.4)
    after = lambda name: _named(name, motion.learned)
    liveliest = int(after("exponent").min(axis=1).argmax())  # at any look
    for ax, look in zip(axes[0], (0, -2, -1), strict=True):
        overlaps_in_time(ax, visits.times, visits.overlaps[liveliest, look])
        ax.set(title=f"passes: {motion.passes[look]}")
    figure.colorbar(axes[0, 2].images[0], ax=axes[0, 2], label="overlap with the target")
    cosines = {"targets": visits.best, "random patterns": visits.control}
    distributions(axes[1, 0], visits.edges, cosines)
    axes[1, 0].set(xlabel=f"best absolute cosine, passes: {motion.passes[-1]}")
    mixed = _named("share", motion.shuffled)
    last = np.full(len(mixed), motion.passes[-1])
    axes[1, 1].plot(last, mixed, "kx", label="shuffled weights")
    shares = {"targets": after("share"), "random patterns": after("control share")}
    from_no_pass(axes[1, 1], motion.passes, shares)
    axes[1, 1].set(ylabel="share of variance", ylim=(0, 1))
    sizes = {"motion, rms": after("motion"), "exponent": after("exponent")}
    from_no_pass(axes[1, 2], motion.passes, sizes)
    axes[1, 2].axhline(0, lw=0.8, ls=":", color="black")
    return figure
