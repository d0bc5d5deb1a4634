"""How does a control come to be: loss, spectra, gains and stages along a training in a loop?"""

import numpy as np
from jaxtyping import Complex, Float, Int

from slowpoint.analysis.eigenvalue_paths import eigenvalue_paths
from slowpoint.analysis.gain import regress_gain
from slowpoint.analysis.loop_goal import find_goals, Goals, loop_in, Near, near, push
from slowpoint.analysis.stages import find_stages
from slowpoint.core.result import Result
from slowpoint.core.trial import Trial
from slowpoint.learning.training import Training

GOALS = 3  # at which the loop is linearised
BORDER, TICKS = -0.015, 50  # Ger and Barak 2025: the border of stage 1, in runs of this length


class LoopHistory(Result):
    """A training of a closed loop. All spectra are of the Jacobian of the joint step.

    Borders are updates of snapshots, -1 where one was not reached. They lie anywhere between
    that snapshot and the one before.
    """

    losses: Float[np.ndarray, " update"]  # before each update; NaN after it was stopped
    updates: Int[np.ndarray, " snapshot"]
    radius: Float[np.ndarray, " snapshot"]  # the largest |eigenvalue|, at the worst goal
    eigenvalues: Complex[np.ndarray, "snapshot mode"]  # at the first goal; a column is a path
    gain: Float[
        np.ndarray, "snapshot effort world"
    ]  # K: effort over displacement from the goal
    unexplained: Float[np.ndarray, "snapshot effort"]  # share of the squares that K leaves
    push: Float[np.ndarray, " snapshot"]  # per tick and tick, see analysis.loop_goal.push
    effort: Float[
        np.ndarray, " snapshot"
    ]  # at the first goal, over the rms on the way to the goals
    stage: Int[np.ndarray, " snapshot"]  # 1, 2 or 3
    first_end: int  # the loop pushes back: push < border
    second_end: int  # it is stable, and stays so to the last snapshot
    diverged: int
    border: float
    goal: Float[np.ndarray, " world"]  # the first goal: the world's state
    miss: float  # how far the worst goal is from rest and from its target
    dt: float  # time of a tick
    reason: str  # a sentence

    @property
    def decisive(self) -> Complex[np.ndarray, " snapshot"]:
        """The largest eigenvalue at the first goal, from above the real axis."""
        where = np.nan_to_num(np.abs(self.eigenvalues)).argmax(axis=1)
        largest = np.take_along_axis(self.eigenvalues, where[:, None], axis=1)[:, 0]
        return np.where(np.imag(largest) < 0, np.conj(largest), largest)


def loop_history(
    training: Training,
    trials: Trial | None = None,
    *,
    border: float | None = None,
    modes: int = 24,
) -> LoopHistory:
    r"""Loss, spectra, effective gains and stages of a training of a ClosedLoop.

    `trials`: some of the task, stacked; they say where the goal is (`find_goals`) and how long
    a run lasts. The gain: $u_t - u^* \approx K (x_t - x^*)$ by `regress_gain` on runs towards
    goals that are held, from t = 1. Where a run leaves the numbers or hides a direction, its
    first half is taken, or the half of that.
    `border` ends stage 1 (`find_stages`, of the push); None: -0.015 in runs of up to 50 ticks,
    of longer ones less, as their square, so that a swing takes about a run. `modes`: how many
    of the largest eigenvalues are kept.
    Raises ValueError on an ensemble (take training.replicate(0)) or a model without a loop.
    """
    if training.stopped.ndim:
        raise ValueError(
            f"This training is of {len(training.stopped)} replicates. Type "
            "loop_history(training.replicate(0), trials)"
        )
    updates = training.snapshot_updates
    loop, goals = loop_in(training.system), find_goals(training.system, trials)
    at = _that_differ(goals)
    looks = [near(loop_in(training.snapshot(i)), goals, at) for i in range(len(updates))]
    if border is None:
        border = BORDER * min(1.0, TICKS * (TICKS - 1) / (goals.steps * (goals.steps - 1)))
    spectra = np.stack([_spectrum(np.asarray(look.jacobians)) for look in looks])
    gone = (training.stopped >= 0) & (updates > training.stopped)
    radius = np.where(gone, np.nan, np.abs(spectra).max(axis=(1, 2), initial=0))
    gains, left = (np.stack(parts) for parts in zip(*map(_gain, looks)))
    pushes = np.array([push(loop.world, goals.states[0], gain, goals.steps) for gain in gains])
    stages = find_stages(_known(pushes, border), radius, threshold=border, epochs=updates)
    return LoopHistory(
        losses=np.asarray(training.losses, float),
        updates=updates,
        radius=radius,
        eigenvalues=eigenvalue_paths(_largest(spectra[:, 0], modes)),
        gain=gains,
        unexplained=left,
        push=pushes,
        effort=np.array([_effort_at_rest(look) for look in looks]),
        stage=stages.stage,
        first_end=stages.first_end,
        second_end=stages.second_end,
        diverged=stages.diverged,
        border=float(border),
        goal=goals.states[0],
        miss=float(goals.misses.max()),
        dt=float(loop.dt),
        reason=stages.reason,
    )


def _that_differ(goals: Goals) -> tuple[int, ...]:
    """The numbers of the first goals that are not one."""
    both = np.concatenate([goals.states, goals.holds], axis=1)
    _, first = np.unique(both.round(9), axis=0, return_index=True)
    return tuple(int(number) for number in np.sort(first)[:GOALS])


def _spectrum(
    jacobians: Float[np.ndarray, "goal state state"],
) -> Complex[np.ndarray, "goal state"]:
    """Eigenvalues; NaN where a matrix is not finite."""
    finite = np.asarray(np.isfinite(jacobians).all(axis=(1, 2), keepdims=True))
    values = np.linalg.eigvals(np.where(finite, jacobians, 0)).astype(complex)
    return np.where(finite[:, 0], values, np.nan)


def _largest(
    values: Complex[np.ndarray, "snapshot state"], modes: int
) -> Complex[np.ndarray, "snapshot mode"]:
    order = np.argsort(-np.abs(values), axis=1, kind="stable")[:, :modes]
    return np.take_along_axis(values, order, axis=1)


def _gain(
    look: Near,
) -> tuple[Float[np.ndarray, "effort world"], Float[np.ndarray, " effort"]]:
    """`(K, share left)` from the longest part of the runs that tells it; NaN: none does."""
    steps = look.states.shape[1]
    while True:
        with np.errstate(over="ignore", invalid="ignore"):
            found = regress_gain(look.states[:, 1:steps], look.actions[:, 1:steps])
        if steps <= 3 or np.isfinite([*found.gain.ravel(), *found.residual]).all():
            return found.gain, found.residual
        steps = max(3, steps // 2)


def _effort_at_rest(look: Near) -> float:
    """What the agent does at the goal, where nothing is to be done, over what it does else."""
    size, done = np.linalg.norm(look.efforts), np.asarray(look.actions)[:, 1:] + look.efforts
    with np.errstate(over="ignore", invalid="ignore"):
        usual = np.sqrt((done**2).sum(axis=2).mean())
    return float(size / usual) if usual > 0 else 0.0


def _known(pushes: Float[np.ndarray, " snapshot"], border: float) -> np.ndarray:
    """What is not known pushes nothing; a world that returns by itself needs no push."""
    pushes = np.where(np.isneginf(pushes), border - 1, pushes)
    return np.nan_to_num(pushes, nan=0.0)
