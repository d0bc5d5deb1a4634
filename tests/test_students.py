"""Do students of one teacher differ in what the spec of the study says, and in nothing else?"""

import dataclasses

import jax.random as jr
import numpy as np
import pytest

from slowpoint.analysis.students import cohort, decode_all, joined, posteriors, shots
from slowpoint.latents.students import (
    clock_students,
    em_students,
    HELD_IN,
    HELD_OUT,
    NEW,
    record,
    Recording,
    ring_teacher,
    school,
)
from slowpoint.theory.few_shot import clock_divergence, clock_size, effective_readout_size


@pytest.fixture(scope="module")
def study():
    """A teacher, two students of EM from the same start, clocks of 4; and their posteriors."""
    teacher = ring_teacher(key=jr.key(0))
    recording = record(teacher, train=600, test=200, key=jr.key(1))
    taught = em_students(recording, [4], 1, updates=60, key=jr.key(2)) * 2
    students = [teacher, *taught, *clock_students(teacher, [4], [0.0, 0.8, 0.9, 0.95, 1.0])]
    states = [posteriors(student, recording) for student in students]
    return recording, students, states, cohort(students, states, recording, key=jr.key(3))


def test_the_teacher_is_the_ring():
    teacher = ring_teacher(key=jr.key(0)).model
    forward = np.diag(np.roll(teacher.transitions, -1, axis=1))
    np.testing.assert_allclose(forward, 1.01 / 1.04)
    assert teacher.emissions.means.shape == (4, 120)
    assert 0.45 < teacher.emissions.means.mean() < 0.55
    channels = np.concatenate([HELD_IN, HELD_OUT, NEW])
    np.testing.assert_array_equal(channels, np.arange(120))


def test_students_have_not_seen_the_new_channels(study):
    recording, students, states, _ = study
    assert students[1].model.channels == len(HELD_IN) + len(HELD_OUT)
    changed = recording.test.copy()
    changed[..., 20:] = 1 - changed[..., 20:]
    found = students[1].model.smooth(changed[..., :70], HELD_IN).posteriors
    np.testing.assert_array_equal(found, states[1].test)


def test_predictions_are_equal_and_extraneous_dynamics_are_not(study):
    _, _, _, found = study
    clocks = found.kind == "clock"
    np.testing.assert_allclose(
        found.co_smoothing[clocks], found.co_smoothing[0], rtol=0, atol=1e-12
    )
    assert found.near.all()
    assert (found.missing < 0.03).all()  # few trials: the penalty weighs more
    assert (np.diff(found.extraneous[clocks]) > 0.1).all()
    assert found.extraneous[0] < 0.03
    assert found.twin.tolist() == [False, False, True] + [False] * 5


def test_what_a_clock_adds_is_what_theory_says(study):
    _, students, states, found = study
    own = effective_readout_size(states[0].train)
    free = found.extraneous[3]
    for i, student in enumerate(students):
        if student.dose >= 0.9:
            size = effective_readout_size(states[i].train)
            law = own * clock_size(student.hands, student.dose, 10)
            np.testing.assert_allclose(size, law, rtol=0.01)
            told = free + clock_divergence(student.hands, student.dose, 10)
            np.testing.assert_allclose(found.extraneous[i], told, rtol=0.01)


def test_few_shot_scores_fall_with_the_dose(study):
    recording, _, states, _ = study
    scores = np.array(
        [s.mean for s in shots(states, recording, (6, 64), draws=8, key=jr.key(4))]
    )
    assert (np.diff(scores[3:], axis=0) < 0).all()
    masked = [recording.train.copy(), recording.test.copy()]
    for counts in masked:
        counts[..., : NEW[0]] = 0  # what few shots must not depend on
    again = shots(states[:1], Recording(*masked), (6, 64), draws=8, key=jr.key(4))[0]
    np.testing.assert_array_equal(again.mean, scores[0])
    # a spike that was never seen is scored at 1e-9, which magnifies rounding
    np.testing.assert_allclose(scores[0], scores[3], rtol=0, atol=1e-9)


def test_every_model_is_decoded_from_every_other(study):
    _, _, states, found = study
    some = [0, 3, 5]
    matrix = decode_all([states[i] for i in some], key=jr.key(5))
    assert np.isnan(np.diag(matrix)).all()
    assert (matrix[~np.eye(3, dtype=bool)] >= 0).all()
    np.testing.assert_allclose(matrix[0, 1:], found.extraneous[some[1:]], rtol=0.05)


def test_schools_are_told_apart(study):
    recording, students, states, found = study
    other = cohort(students[:4], states[:4], recording, number=3, key=jr.key(3))
    both = joined([found, other])
    assert both.teacher.tolist() == [0] * 8 + [8] * 4
    np.testing.assert_array_equal(both.co_smoothing[8:], found.co_smoothing[:4])
    poor = both.co_smoothing.copy()
    poor[[1, 9]] -= 6e-3
    shifted = poor[8:] + 0.1  # another teacher, another level

    worse = dataclasses.replace(both, co_smoothing=np.concatenate([poor[:8], shifted]))
    assert worse.near.tolist() == [True, False, *[True] * 7, False, True, True]
    assert worse.taught.tolist() == [False, False, True, *[False] * 7, True, False]
    assert worse.pool.sum() == 1 + 4 + 1 + 1
    with pytest.raises(ValueError, match="give the teacher first"):
        cohort(students[1:], states[1:], recording, key=jr.key(3))


@pytest.mark.slow
def test_a_school_has_all_of_its_students():
    recording, students = school([3, 4], 2, [2], [0.5, 1.0], updates=2, key=jr.key(0))
    assert recording.train.shape == (2000, 10, 120)
    assert [s.name for s in students][:3] == ["teacher", "EM, M = 3, 0", "EM, M = 3, 1"]
    assert [s.kind for s in students] == ["teacher"] + ["em"] * 4 + ["clock"] * 2
    means = [s.model.emissions.means for s in students[1:3]]
    assert np.abs(means[0] - means[1]).max() > 0.01
