"""Around the smallest push nothing shorter crosses; around a longer one, most do."""

import dataclasses

import jax.random as jr
import numpy as np
import pytest

from slowpoint.analysis.push import smallest_push
from slowpoint.analysis.push_cone import crossing_nearby
from slowpoint.analysis.separatrix import separatrix
from slowpoint.worlds.bistable import Bistable


@pytest.fixture(scope="module")
def pushed():
    flow = Bistable(3, 0)
    surface = separatrix(flow, np.zeros(3))
    return surface.around, smallest_push(flow, surface.attractors[1], surface, key=jr.key(0))


def test_nothing_crosses_below_the_norm(pushed):
    around, push = pushed
    assert crossing_nearby(around, push, directions=200, key=jr.key(1)) == 0


@pytest.mark.parametrize("share", [1.02, 1.05])
def test_above_it_those_cross_whose_part_along_it_is_long_enough(pushed, share):
    around, push = pushed
    inside = np.rad2deg(np.arccos(1 / share)) / 20  # of the angles, which are drawn evenly
    found = crossing_nearby(around, push, directions=2000, share=share, key=jr.key(2)) / 2000
    assert found == pytest.approx(inside, abs=4 * (inside * (1 - inside) / 2000) ** 0.5)


def test_no_push_no_cone(pushed):
    around, push = pushed
    with pytest.raises(ValueError, match="There is no push"):
        crossing_nearby(around, dataclasses.replace(push, norm=float("nan")), key=jr.key(3))
