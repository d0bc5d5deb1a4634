"""When is a frequency learned, and how high is the plateau before it?"""

import numpy as np
import pytest

from slowpoint.analysis.frequency_plateaus import learned_at, modes_after, plateaus, refined

LOSSES = np.array([[9.0, 0.8, 0.82, 0.6, 0.3], [9.0, 0.81, 0.6, 0.36, 0.14]])
EPOCHS = 1000 * np.arange(5)
LEARNED = np.array([[1000, 3000, 4000, -1], [1000, 2000, 3000, 3000]])


def test_a_frequency_is_learned_at_the_record_from_which_its_error_stays_low():
    epochs = 10 * np.arange(30)
    errors = np.full((30, 4), 2.0)
    errors[7:, 0] = 1.0
    errors[9:13, 1] = 1.0  # not for long enough
    errors[20:, 1] = 1.0
    errors[2:, 2] = 1.0  # not before epoch 50
    assert learned_at(errors, epochs).tolist() == [70, 200, 50, -1]
    assert learned_at(errors, epochs, earliest=0, hold=40).tolist() == [70, 90, 20, -1]


def test_records_that_are_not_equally_spaced_are_refused():
    for epochs in (np.array([0, 10, 30]), np.array([10, 20, 30]), np.zeros(3, int)):
        with pytest.raises(ValueError, match="equally spaced"):
            learned_at(np.ones((3, 1)), epochs)


def test_a_plateau_is_the_loss_between_two_frequencies():
    known = [[0.8, 0.45, np.nan], [0.705, 0.48, np.nan]]
    np.testing.assert_allclose(plateaus(LOSSES, EPOCHS, LEARNED), known, rtol=1e-14)


def test_a_loss_is_refined_a_while_after_the_last_frequency():
    np.testing.assert_array_equal(refined(LOSSES, EPOCHS, LEARNED), [np.nan, 0.14])
    np.testing.assert_array_equal(refined(LOSSES, EPOCHS, LEARNED, 1001), [np.nan, np.nan])


def test_an_eigenvalue_is_looked_for_near_its_frequency():
    """A recurrence that turns at the second frequency, and one at none."""
    turn, omegas = np.zeros((6, 6)), np.array([0.6, 1.2, 1.9])
    turn[:2, :2] = [[0.9, -1.25], [1.25, 0.9]]
    turn[3, 3] = 5.0
    weights, epochs = np.stack([0 * turn, 0 * turn, turn]), np.array([0, 100, 200])
    found = modes_after(weights, epochs, np.array([-1, 100, 150]), omegas)
    assert found[1] == pytest.approx(0.9 + 1.25j, rel=1e-12)
    assert np.isnan(np.imag(found[[0, 2]])).all()  # not learned, and learned too late to look
    assert modes_after(weights, epochs, np.array([0]), omegas[:1])[0] == 0
