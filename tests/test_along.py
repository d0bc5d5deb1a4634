"""Does the basin change along a direction where the closed form says?"""

import numpy as np
import pytest

from slowpoint.analysis.along import crossing_distances
from slowpoint.analysis.mountain_pass import mountain_pass
from slowpoint.worlds.bistable import Bistable
from slowpoint.worlds.hypercube import Hypercube

PLANE = mountain_pass(Bistable(3, 1), np.zeros(3))  # the boundary is x_1 = 0


def test_distances_to_a_plane_are_those_of_geometry():
    start = np.array([0.5, 0.8, -0.3])
    ways = np.array([[0, -2.0, 0], [1.0, -1.0, 0], [0.3, -0.1, 0.7], [1.0, 0, 0], [0, 1.0, 0]])
    found = crossing_distances(PLANE, start, ways, reach=20.0)
    cosines = -ways[:3, 1] / np.linalg.norm(ways[:3], axis=1)
    assert found[:3] == pytest.approx(0.8 / cosines, abs=2e-9)
    assert np.isinf(found[3:]).all()  # parallel to it, and away from it


def test_every_direction_may_have_its_own_start():
    starts = np.array([[0.0, 0.5, 0.0], [0.0, -0.25, 0.0]])
    ways = np.array([[0.0, -1.0, 0.0], [0.0, 1.0, 0.0]])
    assert crossing_distances(PLANE, starts, ways, reach=2.0) == pytest.approx([0.5, 0.25])


def test_what_lies_past_the_reach_is_not_found():
    way = np.array([[0.0, -1.0, 0.0]])
    near = crossing_distances(PLANE, np.array([0.0, 1.0, 0.0]), way, reach=0.99)
    assert np.isinf(near).all()


def test_the_far_end_of_a_bracket_no_wider_than_asked_is_returned():
    start, way = np.array([0.1, 0.7123, 0.0]), np.array([[0.0, -1.0, 0.0]])
    for width in (1e-2, 1e-4):
        found = crossing_distances(PLANE, start, way, reach=3.0, width=width)[0]
        assert 0 <= found - 0.7123 <= width


def test_another_basin_on_the_way_is_not_the_other_attractor():
    """From (1, 1) over x_0 = 0 to (-1, 1) is the boundary of this saddle; over x_1 = 0, not."""
    corner = mountain_pass(Hypercube(2), np.array([0.0, 1.0]))
    ways = np.array([[-1.0, 0.0], [0.0, -1.0]])
    found = crossing_distances(corner, np.array([1.0, 0.9]), ways, reach=3.0)
    assert found[0] == pytest.approx(1.0)
    assert np.isinf(found[1])


def test_what_cannot_cross_is_refused():
    way = np.array([[0.0, -1.0, 0.0]])
    with pytest.raises(ValueError, match="run to neither attractor"):
        crossing_distances(PLANE, np.zeros(3), way, reach=1.0)
    for ways, reach in ((0 * way, 1.0), (way, 0.0)):
        with pytest.raises(ValueError, match="give both > 0"):
            crossing_distances(PLANE, np.array([0.0, 1.0, 0.0]), ways, reach=reach)
