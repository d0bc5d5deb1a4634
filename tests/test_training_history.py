"""Do the distances of the histories see what they should?"""

import numpy as np

from slowpoint.experiments.training_history import (
    functional,
    INVISIBLE,
    invisible,
    returns,
)
from slowpoint.theory.filter_start import THETA_2
from slowpoint.theory.impulse import decaying
from slowpoint.theory.overlaps import Dims
from slowpoint.theory.visibility import visible


def test_the_invisible_are_those_that_the_response_does_not_see():
    names = visible(decaying(0.2).response, THETA_2).invisible
    pairs = {tuple(sorted(pair)) for pair in zip(*INVISIBLE, strict=True)}
    places = dict(zip(Dims().names, zip(*np.triu_indices(4)), strict=True))
    assert pairs == {tuple(map(int, places[name])) for name in names}


def test_distances_see_what_their_names_say():
    scale = np.diag([1, 2, 0.5, 1])  # (u, v) to (2 u, v / 2): another basis, the same function
    other = scale @ THETA_2 @ scale
    assert functional(other, THETA_2) < 1e-15
    np.testing.assert_allclose(
        invisible(other, THETA_2),
        np.linalg.norm([0.8, -0.5 * THETA_2[3, 2], 3 * THETA_2[1, 1], -0.75]),
    )
    steps = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]  # of mu, zv, mm, uu, vv, zz
    moved = THETA_2.copy()
    for (i, j), step in zip(
        ((0, 1), (2, 3), (0, 0), (1, 1), (2, 2), (3, 3)), steps, strict=True
    ):
        moved[i, j] = moved[j, i] = THETA_2[i, j] + step
    np.testing.assert_allclose(invisible(moved, THETA_2), np.linalg.norm(steps))
    assert functional(moved, THETA_2) == 0
    faster = THETA_2.copy()
    faster[2, 1] = faster[1, 2] = THETA_2[2, 1] + 0.25
    assert invisible(faster, THETA_2) == 0
    np.testing.assert_allclose(functional(faster, THETA_2), 0.25)


def test_returns_compare_the_ends_of_the_first_third_and_fifth_phase():
    records = np.repeat(THETA_2[None, None], 11, axis=1)
    records[0, :, 0, 0] = np.arange(11.0) ** 2
    np.testing.assert_array_equal(returns(records), [[32.0, 96.0]])
