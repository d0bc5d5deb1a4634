r"""Is the zig-zag of a network that learns to stabilise its loop a matter of step size?

On the plateau $s_{zm}$ jumps to and fro with every update. At a tenth of the learning rate the
jumps are far less than a tenth, and the plateau is over sooner, counted in rate x epochs: it is
learning across a valley, not the conflict of objectives, which is there at any rate. Adam with
its gradient clipped hardly turns back; without a clip the first losses, up to 1e8, spoil its
memory where $s_{zm} > 0$ at first.

Paper: Ger and Barak 2025, arXiv:2505.13567, figure 4b; rates and Adam are ours.
Takes: 11 s quick, 25 s full
"""

import dataclasses

import equinox as eqx
import jax.random as jr
import numpy as np
import optax
import pydantic
from jaxtyping import Float, Int, PRNGKeyArray

from slowpoint.core.claim import at_least, at_most, Claim, equal, reported
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.plots.along import along
from slowpoint.plots.style import row
from slowpoint.theory.column_learning import learn_columns
from slowpoint.theory.gram import gram, learn_gram, OfGram, seen_history
from slowpoint.theory.loop_loss import expected_loss
from slowpoint.theory.loop_stability import is_stable
from slowpoint.theory.loop_start import stabilised, start_columns

STEPS, VARIANCE = 50, 4 / 3  # T; of each coordinate of the start, U[-2, 2]
BORDER, AFTER = -0.015, 2  # the plateau begins so many epochs after s_zm falls below
RATE, BEST = 1e-2, 0.23102  # the paper's; the least loss of rank one

Overlaps = Float[np.ndarray, "*many 4"]


class Settings(Base):
    networks: int = pydantic.Field(default=24, ge=4, description="by their scalar products")
    units: int = pydantic.Field(default=100, ge=4, description="N")
    rates: tuple[float, ...] = pydantic.Field(
        default=(3e-2, 1e-2, 3e-3, 1e-3), min_length=2, description="falling; .01 is one"
    )
    epochs: int = pydantic.Field(default=2000, ge=10, description="from the plateau on")
    adam: tuple[float, ...] = pydantic.Field(
        default=(1e-3, 1e-2), min_length=1, description="rates of Adam, from the start on"
    )
    frames: int = pydantic.Field(default=6, ge=1, description="networks of Adam, all weights")
    updates: int = pydantic.Field(default=3000, ge=10, description="of Adam")


QUICK = Settings(networks=12, epochs=800, adam=(1e-3,), frames=4)


class Descent(Result):
    """The plateau, clipped gradient descent. NaN: it was too short, or had no end."""

    rates: Float[np.ndarray, " rate"]
    step: Float[np.ndarray, "rate network"]  # median change of s_zm, without its sign
    turned: Float[np.ndarray, "rate network"]  # share of the changes that turn back
    length: Float[np.ndarray, "rate network"]  # rate x epochs
    s_zm: Float[np.ndarray, "rate epoch"]  # of the first network


class Adam(Result):
    """Networks whose weights learn by Adam, M frozen."""

    rates: Float[np.ndarray, " rate"]
    turned: Float[np.ndarray, "rate network"]  # as above, until the loop is stable
    stable_from: Int[np.ndarray, "rate network"]  # updates; -1: never
    losses: Float[np.ndarray, "rate network"]  # in the end
    unclipped: Float[np.ndarray, " network"]  # the same from s_zm > 0, the first rate


@dataclasses.dataclass(frozen=True)
class Results:
    descent: Descent
    adam: Adam


def run(settings: Settings) -> Results:
    first, second = jr.split(jr.key(settings.seed))
    columns = start_columns(first, settings.networks, settings.units)
    return Results(_descent(settings, gram(columns)), _adam(settings, columns, second))


LOSS = eqx.Partial(expected_loss, steps=STEPS, variance=VARIANCE)


def _descent(settings: Settings, grams: Float[np.ndarray, "network 4 4"]) -> Descent:
    before = learn_gram(grams, LOSS, rate=RATE, steps=40)
    crossed = (before.overlaps[..., 0] < BORDER).argmax(axis=1)
    begun = before.grams[np.arange(len(grams)), crossed + AFTER]
    paths, ends = [], []
    for rate in settings.rates:
        found = learn_gram(begun, LOSS, rate=rate, steps=settings.epochs)
        paths.append(found.overlaps[..., 0])
        ends.append(stabilised(found).epochs)
    each = lambda measure: np.array(
        [[measure(p[:e]) for p, e in zip(*row)] for row in zip(paths, np.maximum(ends, 0))]
    )
    length = each(lambda path: len(path) or np.nan)
    rates = np.array(settings.rates)
    path = np.stack(paths)[:, 0]
    return Descent(rates, each(jump), each(turning), rates[:, None] * length, path)


def jump(gain: Float[np.ndarray, " epoch"]) -> float:
    """Its median change, without its sign; NaN if it has none."""
    return float(np.median(np.abs(np.diff(gain)))) if len(gain) > 1 else np.nan


def turning(gain: Float[np.ndarray, " epoch"]) -> float:
    """The share of its changes that turn back; NaN if there are fewer than two."""
    signs = np.sign(np.diff(gain))
    return float((signs[1:] != signs[:-1]).mean()) if len(signs) > 1 else np.nan


class _OfColumns(eqx.Module):
    """The loss of the overlaps of `units` units, which come divided by their number."""

    units: int = eqx.field(static=True)

    def __call__(self, sigma, key):
        return OfGram(LOSS)(self.units * sigma, key)


def _frozen(updates, _):
    """M stays."""
    return updates.at[:, 0].set(0.0)


def _adam(settings: Settings, columns, key: PRNGKeyArray) -> Adam:
    plan = [(_OfColumns(settings.units), settings.updates)]

    def learn(columns, rate, *clip) -> Overlaps:
        optimiser = optax.chain(optax.stateless(_frozen), *clip, optax.adam(rate))
        return seen_history(gram(learn_columns(plan, columns, optimiser, every=1, key=key)))

    clip = optax.clip_by_global_norm(1.0)
    paths = np.stack([learn(columns[: settings.frames], rate, clip) for rate in settings.adam])
    uphill = columns[seen_history(gram(columns))[:, 0] > 0][: settings.frames]
    unclipped = learn(uphill, settings.adam[0])
    ends = np.array([[stable_from(path) for path in row] for row in paths])
    turned = [[turning(_plateau(p, e)) for p, e in zip(*row)] for row in zip(paths, ends)]
    last = (np.asarray(LOSS(now[..., -1, :])) for now in (paths, unclipped))
    return Adam(np.array(settings.adam), np.array(turned), ends, *last)


def stable_from(path: Float[np.ndarray, "epoch 4"]) -> int:
    """The first epoch from which the loop is stable to the end; -1: none."""
    unstable = np.flatnonzero(~is_stable(path))
    begin = unstable[-1] + 1 if len(unstable) else 0
    return int(begin) if begin < len(path) else -1


def _plateau(path: Float[np.ndarray, "epoch 4"], end: int) -> Float[np.ndarray, " epoch"]:
    """s_zm from the border until `end`, or (-1) for good."""
    begin = int((path[:, 0] < BORDER).argmax()) + AFTER
    return path[begin : end if end >= 0 else len(path), 0]


def claims(results: Results) -> list[Claim]:
    return [*_of_descent(results.descent), *_of_adam(results.adam)]


def _of_descent(descent: Descent) -> list[Claim]:
    rows = (descent.step, descent.turned, descent.length)
    step, turned, length = (np.nanmedian(each, axis=1) for each in rows)
    usual = descent.rates == RATE
    found = [
        at_least("rate .01: share of steps of s_zm that turn back", turned[usual].min(), 0.95),
        at_most("last rate: step over that of .01, per rate", _fall(step, descent), 1.0),
        at_most(
            "length of the plateau at a lower rate, over the next higher's, largest",
            (length[1:] / length[:-1]).max(),
            1,
            "full",
        ),
        reported("plateau of the last rate over that of .01", length[-1] / length[usual][0]),
    ]
    for rate, one, size, share in zip(descent.rates, step, length, turned):
        found += [
            reported(f"rate {rate:g}: step of s_zm", one),
            reported(f"rate {rate:g}: length of the plateau, rate x epochs", size),
            reported(f"rate {rate:g}: share that turns back", share),
        ]
    return found


def _fall(step: Float[np.ndarray, " rate"], descent: Descent) -> float:
    """How far the last step is below that of .01, in proportion to the rates."""
    usual = int((descent.rates == RATE).argmax())
    return float(step[-1] / step[usual] * descent.rates[usual] / descent.rates[-1])


def _of_adam(adam: Adam) -> list[Claim]:
    off = np.abs(np.median(adam.losses, axis=1) / BEST - 1).max()
    found = [
        equal("Adam with a clip: never stable", (adam.stable_from < 0).sum(), 0),
        at_most("its share of steps that turn back", np.median(adam.turned[0]), 0.2),
        at_most("its loss in the end, off the best of rank one", off, 0.01),
        at_least(
            "without a clip, s_zm > 0 at first: least loss in the end",
            adam.unclipped.min(),
            1.0,
            "full",
        ),
        reported("median", np.median(adam.unclipped)),
        reported("largest", adam.unclipped.max()),
    ]
    for rate, ends, losses in zip(adam.rates, adam.stable_from, adam.losses):
        found += [
            reported(f"Adam at {rate:g}: stable from, median", np.median(ends)),
            reported(f"Adam at {rate:g}: loss in the end, median", np.median(losses)),
        ]
    return found


def draw(results: Results):
    figure, axes = row(2, width=7.0, height=2.8)
    descent = results.descent
    shown = descent.s_zm[:, :60]
    epochs = np.broadcast_to(np.arange(shown.shape[1]), shown.shape)
    along(axes[0], epochs, shown, [f"rate {rate:g}" for rate in descent.rates])
    axes[0].set(xlabel="epoch of the plateau", ylabel="s_zm")
    axes[0].legend(fontsize=6)
    where = np.broadcast_to(descent.rates[:, None], descent.step.shape).T
    along(axes[1], where, descent.step.T, [""] * len(where), "o")
    axes[1].set(xscale="log", yscale="log", xlabel="learning rate", ylabel="step of s_zm")
    return figure
