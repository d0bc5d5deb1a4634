"""Which memory did a memory come from? Its slow point, followed back through the training.

Haviv, Rivkind and Barak (2019), PMLR 97, 2663. A tracked point may fall into another valley:
every jump is kept, and nothing is joined in silence.
"""

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from slowpoint.analysis.class_points import class_slow_points, ClippedAdam, ToTheBottom
from slowpoint.analysis.families import between
from slowpoint.analysis.memory import class_centres, NULL
from slowpoint.core.result import Result
from slowpoint.core.system import System
from slowpoint.tasks.delayed_classification import DelayedClassification

Numbers = Array | np.ndarray
UNKNOWN = -2  # no snapshot was taken before the class was introduced


class Ancestry(Result):
    """One row per class and snapshot, the oldest snapshot first; speeds per unit time."""

    classes: Int[np.ndarray, " snapshot"]  # how many were taught by then
    states: Float[np.ndarray, "class snapshot state"]
    speeds: Float[np.ndarray, "class snapshot"]
    gradients: Float[np.ndarray, "class snapshot"]  # |projected gradient of q|
    named: Int[np.ndarray, "class snapshot"]  # among the classes taught by then; -1: no class
    jumps: Float[np.ndarray, "class snapshot"]  # from the snapshot after it; 0 in the last
    parents: Int[np.ndarray, " class"]  # -1: no class, -2: taught from the first snapshot

    def ratio(self, at: Int[Numbers, " step"]) -> float:
        """Mean jump over the snapshots `at`, over that of all others but the last.

        Raises ValueError when one of the two groups is empty.
        """
        count = len(self.classes) - 1
        chosen = np.isin(np.arange(count), at)
        if chosen.all() or not chosen.any():
            raise ValueError(
                f"Snapshots {np.asarray(at).tolist()} of {count + 1}: name some of the first "
                f"{count}, and leave some."
            )
        jumps = self.jumps[:, :count]
        return float(jumps[:, chosen].mean() / jumps[:, ~chosen].mean())


def track_back(
    snapshots: System,
    task: DelayedClassification,
    points: Float[Numbers, "class state"],
    classes: Int[Numbers, " snapshot"],
    how: ClippedAdam | ToTheBottom | None = None,
) -> Ancestry:
    """The slow point of every class in every snapshot, each begun where the next one's ended.

    `snapshots`: as in Training, the arrays with one more axis, first. `points`: where to begin
    in the last. `classes`: how many were taught up to each snapshot. `how`: the paper's
    descent, `ClippedAdam(4000)`, by default. A class's parent is what its point is read out as
    in the last snapshot before it was taught. Raises ValueError when sizes disagree or the
    number of classes falls.
    """
    how = ClippedAdam(4000) if how is None else how
    classes = np.asarray(classes, int)
    count = between(snapshots).count
    if classes.shape != (count,) or (np.diff(classes) < 0).any():
        raise ValueError(
            f"classes are {classes.tolist()} for {count} snapshots. Give how many classes were "
            "taught up to each: as many numbers, none smaller than the one before."
        )
    found, x = [], np.asarray(points, float)
    for number in reversed(range(count)):
        then = task.taught(int(task.length), int(classes[number]))
        found.append(class_slow_points(snapshot(snapshots, number), then, x, how))
        x = found[-1].states
    found = found[::-1]
    states = np.stack([each.states for each in found], axis=1)
    jumps = np.linalg.norm(np.diff(states, axis=1), axis=2)
    named = np.stack([each.named for each in found], axis=1)
    return Ancestry(
        classes=classes,
        states=states,
        speeds=np.stack([each.speeds for each in found], axis=1),
        gradients=np.stack([each.gradients for each in found], axis=1),
        named=named,
        jumps=np.pad(jumps, np.array([(0, 0), (0, 1)])),
        parents=_before(named, classes),
    )


def likeness(
    snapshots: System, task: DelayedClassification, classes: Int[Numbers, " snapshot"], *, key
) -> Int[np.ndarray, " class"]:
    """The control of `parents`: what the centre of each class is read out as, at that snapshot.

    If seeds agree about it as often, ancestry adds nothing beyond the likeness of images.
    """
    classes = np.asarray(classes, int)
    named = np.full((len(task.examples), len(classes)), NULL)
    for number in sorted({last for last in _last(classes, len(named)) if last >= 0}):
        then = task.taught(int(task.length), int(classes[number]))
        net = snapshot(snapshots, number)
        named[:, number] = class_centres(net, then, key=jax.random.clone(key)).named
    return _before(named, classes)


def snapshot(snapshots: System, number: int) -> System:
    """One of them."""
    return jax.tree.map(lambda a: a[number] if isinstance(a, Numbers) else a, snapshots)


def _last(classes: Int[np.ndarray, " snapshot"], count: int) -> list[int]:
    """The last snapshot before each class was taught; -1: none."""
    return [int(np.flatnonzero(classes <= k).max(initial=-1)) for k in range(count)]


def _before(named: Int[np.ndarray, "class snapshot"], classes) -> Int[np.ndarray, " class"]:
    last = _last(classes, len(named))
    return np.array([named[k, s] if s >= 0 else UNKNOWN for k, s in enumerate(last)])
