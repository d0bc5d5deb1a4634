"""Where does a memory come from? Its slow point, followed back through the training.

Networks learn to name digits some frames after they were seen, with a vocabulary or with delays
that grow. From the last snapshot backwards each class's slow point is sought again from where
it was in the snapshot after it, by the paper's descent and to the true bottom of its valley:
how far it moves at the steps of a curriculum, which memory a new one comes off, and when a
bottom is born. For that the weights between two snapshots are interpolated, and the bottom is
followed until it is lost.

Paper: Haviv, Rivkind and Barak 2019, Proceedings of Machine Learning Research 97, 2663, the
ancestry of slow points. Digits of 8 x 8 pixels and fewer updates than the paper's.
Takes: 30 s quick, 17 min full
"""

import dataclasses

import jax.random as jr
import numpy as np
import optax
import pydantic
from jaxtyping import Bool, Float, Int, Shaped

from slowpoint.analysis.ancestry import Ancestry, likeness, track_back
from slowpoint.analysis.class_points import class_slow_points, ClippedAdam, ToTheBottom
from slowpoint.analysis.families import between
from slowpoint.analysis.memory import class_centres
from slowpoint.analysis.tracking import track
from slowpoint.cells.gru import GRU
from slowpoint.core.claim import at_least, at_most, Claim, reported
from slowpoint.core.result import Result
from slowpoint.core.settings import Settings as Base
from slowpoint.learning.fan_in import fan_in
from slowpoint.learning.grid import At, Linear
from slowpoint.learning.train import train
from slowpoint.learning.training import Training
from slowpoint.plots.ancestry import jumps_in_time, parents_by_seed
from slowpoint.plots.style import row
from slowpoint.recordings.images import digits
from slowpoint.tasks.delayed_classification import curriculum, DelayedClassification

CURRICULA = ("vocabulary", "delay")
FIRST = 3  # the first class whose parents are compared: before it there are but two or three
SAME = 1e-5  # bottoms nearer than this are one


class Settings(Base):
    networks: int = pydantic.Field(default=6, ge=1, description="every second one by delays")
    units: int = pydantic.Field(default=100, ge=4, description="neurons, N")
    updates: int = pydantic.Field(default=5000, ge=18, description="gradient steps")
    batch: int = pydantic.Field(default=64, ge=1, description="trials per update")
    rate: float = pydantic.Field(default=1e-3, gt=0, description="Adam's")
    looks: int = pydantic.Field(
        default=48, ge=3, description="even snapshots; each stage's end is one more"
    )
    search: int = pydantic.Field(default=20_000, ge=10, description="steps of Adam at the end")
    follow: int = pydantic.Field(default=4000, ge=10, description="steps of Adam per snapshot")
    dated: int = pydantic.Field(
        default=4, ge=0, description="largest moves looked at, a network"
    )
    parts: int = pydantic.Field(
        default=16, ge=1, description="of the way between two snapshots"
    )


QUICK = Settings(
    networks=2, units=24, updates=600, looks=8, search=1000, follow=500, dated=1, parts=4
)


class Lines(Result):
    """One row per network; snapshots from the oldest. Jumps are distances per snapshot."""

    curriculum: Shaped[np.ndarray, " network"]
    updates: Float[np.ndarray, "network snapshot"]  # NaN past the last
    at_step: Float[np.ndarray, " network"]  # mean jump over the end of a stage
    elsewhere: Float[np.ndarray, " network"]
    later: Float[np.ndarray, " network"]  # elsewhere, once the first stage is over
    bottom_at_step: Float[np.ndarray, " network"]  # the same of the true bottoms
    bottom_elsewhere: Float[np.ndarray, " network"]
    named: Float[np.ndarray, " network"]  # share of points read out as their class at the end
    bottom_named: Float[np.ndarray, " network"]
    parents: Int[np.ndarray, "network class"]  # -1: no class, -2: taught from the first
    bottom_parents: Int[np.ndarray, "network class"]
    likeness: Int[np.ndarray, "network class"]  # the control: what the centre is read out as
    shared: Int[np.ndarray, "network class"]  # last update with the bottom of another; -1: none
    other: Int[np.ndarray, "network class"]  # the lowest class it was shared with; -1: none
    jumps: Float[np.ndarray, "network snapshot"]  # mean over classes; NaN past the last


class Births(Result):
    """One row per move looked at between two snapshots, followed back in time."""

    network: Int[np.ndarray, " birth"]
    point: Int[np.ndarray, " birth"]  # class
    moved: Float[np.ndarray, " birth"]  # distance between the bottoms of the two snapshots
    born: Bool[np.ndarray, " birth"]  # no continuous way leads back: the bottom was born here
    update: Float[np.ndarray, " birth"]  # when; NaN: it was not
    within: Float[np.ndarray, " birth"]  # known to so many updates
    folds: Int[np.ndarray, " birth"]  # folds of fixed points met on the way
    step: Bool[np.ndarray, " birth"]  # just after the end of a stage


@dataclasses.dataclass(frozen=True)
class Results:
    lines: Lines
    births: Births


def run(settings: Settings) -> Results:
    data = digits().train
    task = DelayedClassification.of(data.images, data.labels)
    keys = jr.split(jr.key(settings.seed), settings.networks)
    found = [
        measure(taught(task, CURRICULA[i % 2], settings, key), task, i, settings)
        for i, key in enumerate(keys)
    ]
    return gathered(found)


def taught(task: DelayedClassification, name: str, settings: Settings, key) -> Training[GRU]:
    """A network and its snapshots, among them one at the end of each stage."""
    draw, weights, learn, _ = jr.split(key, 4)
    sizes = settings.units, task.input_size, task.output_size
    net = GRU.random(*sizes, reset_after=False, key=draw)
    stages = curriculum(name, settings.updates)
    even = Linear(settings.looks).updates(settings.updates).tolist()
    return train(
        fan_in(net, weights),
        task.lessons(stages),
        updates=settings.updates,
        batch=settings.batch,
        key=learn,
        optimiser=optax.adam(settings.rate),
        snapshots=At(tuple(sorted({*even, *(stage.until for stage in stages[:-1])}))),
    )


def measure(training: Training[GRU], task, number: int, settings: Settings) -> dict:
    """All rows of one network."""
    name, updates = CURRICULA[number % 2], training.snapshot_updates
    stages = curriculum(name, settings.updates)
    classes = np.array([next(s.classes for s in stages if u <= s.until) for u in updates])
    steps = np.flatnonzero(np.isin(updates, [stage.until for stage in stages[:-1]]))
    noise = jr.key(settings.seed)  # the same frames for all
    centres = class_centres(training.system, task, key=jr.clone(noise)).states
    ways = (ClippedAdam(settings.search), ClippedAdam(settings.follow)), (ToTheBottom(),) * 2
    lines = []
    for at_end, before in ways:
        points = class_slow_points(training.system, task, centres, at_end)
        lines.append(track_back(training.snapshots, task, points.states, classes, before))
    paper, bottom = lines
    own = np.arange(len(centres))
    shared, other = _splits(bottom, updates)
    return {
        "shared": shared,
        "other": other,
        "curriculum": name,
        "updates": updates,
        "at_step": _jump(paper, steps, True),
        "elsewhere": _jump(paper, steps, False),
        "later": _jump(paper, steps, False, int(steps[0])),
        "bottom_at_step": _jump(bottom, steps, True),
        "bottom_elsewhere": _jump(bottom, steps, False),
        "named": (paper.named[:, -1] == own).mean(),
        "bottom_named": (bottom.named[:, -1] == own).mean(),
        "parents": paper.parents,
        "bottom_parents": bottom.parents,
        "likeness": likeness(training.snapshots, task, classes, key=jr.clone(noise)),
        "jumps": paper.jumps.mean(axis=0),
        "births": _births(training, task, bottom, steps, settings, number),
    }


def _jump(line: Ancestry, steps: np.ndarray, at_step: bool, begin: int = 0) -> float:
    """The mean over snapshots from `begin` on that are, or are not, the end of a stage."""
    number = np.arange(line.jumps.shape[1] - 1)
    chosen = (np.isin(number, steps) == at_step) & (number >= begin)
    return float(line.jumps[:, :-1][:, chosen].mean())


def _births(training, task, bottom: Ancestry, steps, settings: Settings, number: int) -> list:
    """The largest moves of a bottom, looked at between their two snapshots."""
    rows, updates = [], training.snapshot_updates
    moves = bottom.jumps[:, :-1]
    family = between(training.snapshots)
    for point, snapshot in _largest(bottom, settings.dated):
        values = snapshot + np.linspace(1, 0, settings.parts + 1)
        start = bottom.states[point, snapshot + 1]
        path = track(family, start, values, hold=np.asarray(task.quiet), seek="slow")
        lost = np.flatnonzero(path.jumped)
        gap = updates[snapshot + 1] - updates[snapshot]
        when = np.nan
        if len(lost):
            when = updates[snapshot] + gap * (path.values[lost[0]] - snapshot)
        folds = int((path.event_kinds == 0).sum())
        near = gap / settings.parts
        moved = float(moves[point, snapshot])
        known = (when, near, folds, snapshot in steps)
        rows.append((number, int(point), moved, bool(len(lost)), *known))
    return rows


def _largest(bottom: Ancestry, count: int) -> list[tuple[int, int]]:
    """`(class, snapshot)` of the largest moves; a bottom that classes share counts once."""
    moves, found = bottom.jumps[:, :-1], []
    for point, snapshot in zip(*np.unravel_index(np.argsort(-moves, axis=None), moves.shape)):
        if len(found) == count:
            break
        here = bottom.states[point, snapshot + 1]
        same = (bottom.states[k, s + 1] for k, s in found if s == snapshot)
        if not any(np.linalg.norm(here - other) < SAME for other in same):
            found.append((int(point), int(snapshot)))
    return found


def _splits(bottom: Ancestry, updates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`(last update with a shared bottom, the other class)` of each class."""
    apart = np.linalg.norm(bottom.states[:, None] - bottom.states[None], axis=3)
    one = (apart < SAME) & ~np.eye(len(apart), dtype=bool)[:, :, None]
    last = [np.flatnonzero(row.any(axis=0)).max(initial=-1) for row in one]
    when = np.array([updates[s] if s >= 0 else -1 for s in last])
    other = [np.argmax(one[k, :, s]) if s >= 0 else -1 for k, s in enumerate(last)]
    return when.astype(int), np.array(other, int)


def gathered(found: list[dict]) -> Results:
    """The rows of all networks."""
    longest = max(len(row["updates"]) for row in found)
    filled = ("updates", "jumps")
    columns = {
        field.name: np.array([row[field.name] for row in found])
        for field in dataclasses.fields(Lines)
        if field.name not in filled
    }
    for name in filled:
        pads = [(row[name], longest - len(row[name])) for row in found]
        ends = [np.pad(r.astype(float), (0, n), constant_values=np.nan) for r, n in pads]
        columns[name] = np.stack(ends)
    rows = [birth for row in found for birth in row["births"]]
    kinds = (int, int, float, bool, float, float, int, bool)
    table = [np.array([row[i] for row in rows], kind) for i, kind in enumerate(kinds)]
    return Results(Lines(**columns), Births(*table))


def claims(results: Results) -> list[Claim]:
    lines, births = results.lines, results.births
    growing = lines.curriculum == "vocabulary"
    ratio = lines.at_step / lines.elsewhere
    bottoms = lines.bottom_at_step / lines.bottom_elsewhere
    found = [
        at_least(
            "points read out as their class at the end, share", lines.named.mean(), 0.95, "full"
        ),
        reported("true bottoms read out as their class, share", lines.bottom_named.mean()),
        at_least(
            "jump at steps over elsewhere, vocabulary, least", ratio[growing].min(), 2, "full"
        ),
        reported(
            "the same without the first stage", (lines.at_step / lines.later)[growing].min()
        ),
        reported("the same of true bottoms, mean", bottoms[growing].mean()),
    ]
    if not growing.all():
        most = ratio[~growing].max()
        found += [
            at_most("jump at steps over elsewhere, delays, most", most, 1.5, "full"),
            reported("the same of true bottoms, mean", bottoms[~growing].mean()),
        ]
    kinds = ("parents", "bottom_parents", "likeness")
    agree = {name: agreement(getattr(lines, name)[growing]) for name in kinds}
    alike, new = lines.parents == lines.likeness, lines.parents.shape[1] - FIRST
    says = f"new classes of {new} with one parent in all {int(growing.sum())} networks"
    return [
        *found,
        at_least(says, agree["parents"], 4, "full"),
        reported("the same of true bottoms", agree["bottom_parents"]),
        reported("the control, likeness of images", agree["likeness"]),
        reported("parents that likeness names too, share", alike[growing][:, FIRST:].mean()),
        reported("largest moves of a bottom looked at", len(births.born)),
        reported("of them births: no continuous way leads back", births.born.sum()),
        reported("of them with a fold of fixed points", (births.folds > 0).sum()),
        reported("bottoms once shared with another class, share", (lines.shared >= 0).mean()),
    ]


def agreement(parents: Int[np.ndarray, "network class"]) -> int:
    """How many classes from the fourth on have one and the same parent in all networks."""
    new = parents[:, FIRST:]
    return int(((new == new[0]) & (new >= 0)).all(axis=0).sum())


def draw(results: Results):
    lines = results.lines
    figure, axes = row(2, width=8.0, height=2.8)
    jumps_in_time(axes[0], lines.updates, lines.jumps, lines.curriculum.tolist())
    growing = lines.curriculum == "vocabulary"
    parents_by_seed(axes[1], lines.parents[growing], lines.likeness[growing])
    return figure
