"""Does the paper's recipe walk to where a field is small, and say when it got nowhere?"""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from slowpoint.analysis.modes import Modes
from slowpoint.analysis.push_by_descent import push_by_descent
from slowpoint.analysis.separatrix import separatrix
from slowpoint.worlds.bistable import Bistable

START = np.array([1.0, 0.0])


@pytest.fixture(scope="module")
def fitted():
    """The plane x_0 = 0, or nearly."""
    return separatrix(Bistable(2, 0), np.zeros(2), how=Modes(count=11))


def test_the_recipe_walks_to_where_the_field_is_small(fitted):
    """That is the plane; where q < 0.1 counts, some of the way may be left."""
    found = push_by_descent(START, fitted, key=jr.key(0))
    assert found.arrived == (found.q < 0.1).sum() == 5
    assert abs((START + found.vector)[0]) < 0.2
    assert found.norm == found.norms.min()
    assert found.norm == pytest.approx(np.linalg.norm(found.vector))
    assert found.crosses == ((START + found.vector)[0] < 0)


def test_a_recipe_that_is_stopped_early_arrives_nowhere(fitted):
    found = push_by_descent(START, fitted, updates=10, key=jr.key(0))
    assert found.arrived == 0
    assert np.isnan(found.norm)
    assert not found.crosses


def test_a_pulled_back_plane_is_not_descended_on():
    pulled = separatrix(Bistable(2, 0), np.zeros(2))
    with pytest.raises(ValueError, match="Give a fitted field"):
        push_by_descent(jnp.ones(2), pulled, key=jr.key(0))
