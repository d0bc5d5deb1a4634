"""Does each task ask what its paper asks?"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from slowpoint.core.precision import to_numpy
from slowpoint.tasks.comparison import DelayedComparison
from slowpoint.tasks.context import ContextualDecision
from slowpoint.tasks.decide import Decide
from slowpoint.tasks.flipflop import FlipFlop, Intervals, PerStep


def trials(task, number, seed=0):
    """A batch of trials, as NumPy."""
    return to_numpy(jax.jit(jax.vmap(task.trial))(jr.split(jr.key(seed), number)))


# ---------------------------------------------------------------- flip-flop


def last_sign(pulses):
    """Sign of the last pulse at every time, the slow way."""
    memory = np.zeros_like(pulses)
    for trial, bit in np.ndindex(pulses.shape[0], pulses.shape[2]):
        held = 0.0
        for time in range(pulses.shape[1]):
            held = pulses[trial, time, bit] or held
            memory[trial, time, bit] = np.sign(held)
    return memory


@pytest.mark.parametrize(
    "timing", [PerStep(0.1), PerStep(0.2, repeats=10), Intervals(dt=0.25)], ids=str
)
def test_the_answer_is_the_sign_of_the_last_pulse(timing):
    asked = trials(FlipFlop(3, 64, timing, amplitude=2.0, target=0.5), 20)
    assert set(np.unique(asked.inputs)) == {-2.0, 0.0, 2.0}
    assert np.array_equal(asked.targets, 0.5 * last_sign(asked.inputs))


def test_pulses_per_step_come_with_their_probability_and_all_at_first():
    asked = trials(FlipFlop(3, 64, PerStep(0.1)), 200)
    assert np.all(asked.inputs[:, 0] != 0)
    assert np.all(asked.weights == 1)
    later = asked.inputs[:, 1:]
    share, n = (later != 0).mean(), later.size
    assert abs(share - 0.1) < 4 * np.sqrt(0.09 / n)
    signs = later[later != 0]
    assert abs(signs.mean()) < 4 / np.sqrt(len(signs))
    across = np.corrcoef((later != 0).reshape(-1, 3).T) - np.eye(3)
    assert np.abs(across).max() < 4 / np.sqrt(n / 3)  # the bits don't know each other


def test_steps_are_held():
    asked = trials(FlipFlop(2, 23, PerStep(0.5, repeats=5)), 10).inputs
    for block in range(0, 23, 5):
        assert np.all(asked[:, block : block + 5] == asked[:, block : block + 1])
    assert np.any(asked[:, 4] != asked[:, 5])


def edges(pulses):
    """`(starts, ends)` of the pulses of one bit."""
    change = np.flatnonzero(np.diff(np.abs(pulses), prepend=0, append=0))
    return change[::2], change[1::2]


@pytest.mark.parametrize("bits", [1, 2])
def test_intervals_are_those_of_the_paper(bits):
    """Ger and Barak (2026): pulse .5, first at .5, grace 2 from its end, then U(4, 10); and
    weights 0 before the first pulse and from one step before a pulse to the end of grace."""
    dt, gaps = 0.025, []
    for pulses, weights in zip(*draws(FlipFlop(bits, 1600, Intervals(dt=dt)), 30), strict=True):
        counts = np.ones((1600, bits))
        for bit in range(bits):
            starts, ends = edges(pulses[:, bit])
            assert starts[0] == 20
            assert np.all((ends - starts)[:-1] == 20)
            counts[: starts[0], bit] = 0
            for start in starts:
                counts[start - 1 : start + 20 + 80, bit] = 0
            gaps.extend(dt * (starts[1:] - starts[:-1] - 100))
        assert np.array_equal(weights, counts.min(axis=1))
    assert min(gaps) >= 4 - dt
    assert max(gaps) <= 10 + dt
    assert np.mean(gaps) == pytest.approx(7, abs=4 * np.sqrt(3 / len(gaps)) + 0.3)


def draws(task, number):
    asked = trials(task, number)
    return asked.inputs, asked.weights


def test_a_curriculum_of_intervals_compiles_once():
    count = 0

    @eqx.filter_jit
    def ask(task):
        nonlocal count
        count += 1
        return task.trial(jr.key(0)).inputs

    for shortest in (1.0, 2.0):
        timing = Intervals(shortest=jnp.array(shortest), longest=jnp.array(9.0), dt=0.25)
        ask(FlipFlop(1, 50, timing, amplitude=jnp.array(shortest)))
    assert count == 1


def test_impossible_flip_flops_are_refused():
    with pytest.raises(ValueError, match=r"bits=0, steps=5: give 1 or more of each"):
        FlipFlop(bits=0, steps=5)
    with pytest.raises(ValueError, match=r"repeats=0: a step lasts 1 tick or more"):
        PerStep(repeats=0)


# ---------------------------------------------------------------- decide


def test_a_decision_is_that_of_the_paper():
    """Ger and Barak (2026), twins B: 1 fixation, 9 stimulus, 1 delay, 9 response."""
    asked = trials(Decide(), 400)
    assert asked.inputs.shape == (400, 400, 1)
    assert np.all(asked.weights[:, :220] == 0)
    assert np.all(asked.weights[:, 220:] == 1)
    level = 16 * asked.targets[:, 0, 0]
    assert np.all(asked.targets == asked.targets[:, :1])
    assert set(np.round(level, 4)) == {-16, -8, -2, 2, 8, 16}
    noise = asked.inputs[..., 0].copy()
    noise[:, 20:200] -= 0.032 * level[:, None]
    for part in (noise[:, :20], noise[:, 20:200], noise[:, 200:]):
        assert abs(part.mean()) < 4 * 0.05 / np.sqrt(part.size)
        assert abs(part.std() / 0.05 - 1) < 4 / np.sqrt(2 * part.size)


def test_a_decision_may_be_a_sign():
    asked = trials(Decide(dt=0.5, noise=0.0, graded=False), 30)
    assert np.array_equal(asked.targets[:, 0], np.sign(asked.inputs[:, 2]))


# ---------------------------------------------------------------- context


def test_only_the_stimulus_in_context_decides():
    task = ContextualDecision(modalities=3, noise=0.0)
    asked = trials(task, 300)
    evidence, cue = np.split(asked.inputs, 2, axis=2)
    assert np.all(cue == cue[:, :1])
    assert np.all(np.sort(cue[:, 0]) == [0, 0, 1])
    assert np.all(evidence[:, :10] == 0)
    assert np.all(evidence[:, 90:] == 0)
    shown = evidence[:, 10]
    assert np.all(evidence[:, 10:90] == shown[:, None])
    assert set(np.unique(np.abs(shown)).tolist()) == set(np.float32([0.05, 0.2, 0.5]).tolist())
    chosen = cue[:, 0].argmax(axis=1)
    assert np.array_equal(asked.targets[:, 0, 0], np.sign(shown[np.arange(300), chosen]))
    ignored = np.sign(shown[np.arange(300), (chosen + 1) % 3])
    assert abs((ignored * asked.targets[:, 0, 0]).mean()) < 4 / np.sqrt(300)
    assert np.all(np.bincount(chosen, minlength=3) > 60)  # expected 100 each, sd 8
    assert np.all(asked.weights.sum(axis=1) == 20)
    assert np.all(asked.weights[:, 100:] == 1)


def test_each_modality_has_its_own_noise():
    noisy = trials(ContextualDecision(noise=0.1), 50)
    before = noisy.inputs[:, :10, :2].reshape(-1, 2)
    assert abs(before.std() / 0.1 - 1) < 4 / np.sqrt(2 * before.size)
    assert abs(np.corrcoef(before.T)[0, 1]) < 4 / np.sqrt(len(before))
    assert set(np.unique(noisy.inputs[:, :, 2:])) == {0.0, 1.0}  # none on the cue


# ---------------------------------------------------------------- delayed comparison


def test_the_second_number_is_compared_with_the_first():
    task = DelayedComparison(levels=4, noise=0.0, amplitude=2.0)
    asked, delays, pairs = trials(task, 300), set(), set()
    for inputs, targets, weights in zip(
        asked.inputs, asked.targets, asked.weights, strict=True
    ):
        (one, two), (off, end) = edges(inputs[:, 0])
        assert (one, off - one, end - two) == (10, 10, 10)
        first, second = inputs[one, 0] / 2, inputs[two, 0] / 2
        assert np.allclose(targets, second - first)
        assert np.flatnonzero(weights).tolist() == list(range(end, end + 20))
        delays.add(int(two - off))
        pairs.add((round(6 * first), round(6 * second)))
    assert delays == set(range(20, 61))
    levels = (-3, -1, 1, 3)
    assert pairs == {(a, b) for a in levels for b in levels if a != b}
    assert asked.inputs.shape[1] == 10 + 10 + 60 + 10 + 20


def test_a_comparison_may_be_a_sign():
    task = DelayedComparison(shortest=2.0, longest=2.0, dt=0.5, noise=0.0, graded=False)
    asked = trials(task, 30)  # the delay has one length, so the second comes at step 8
    assert np.array_equal(asked.targets[:, 0], np.sign(asked.inputs[:, 8] - asked.inputs[:, 2]))


def test_impossible_comparisons_are_refused():
    with pytest.raises(ValueError, match=r"levels=1: it takes 2 numbers"):
        DelayedComparison(levels=1)
    with pytest.raises(
        ValueError, match=r"shortest delay \(5.0\) is above the longest \(4.0\)"
    ):
        DelayedComparison(shortest=5.0, longest=4.0)
