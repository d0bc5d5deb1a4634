"""Are the networks picked that were asked for, and is nothing lost when results are joined?"""

import numpy as np
import pytest
from jaxtyping import Float, Int, Shaped

from slowpoint.core.networks import entries, joined, mean_of, one_row, only, where
from slowpoint.core.result import Result


class Taught(Result):
    """One row a network."""

    depth: Int[np.ndarray, " network"]
    kind: Shaped[np.ndarray, " network"]
    order: Float[np.ndarray, " network"]
    means: Float[np.ndarray, "network 2"]


@pytest.fixture
def found():
    depth, kind = np.array([1, 2, 1, 2]), np.array(["gru", "gru", "lstm", "gru"])
    return Taught(depth, kind, np.array([0.1, 0.2, 0.3, 0.6]), np.arange(8.0).reshape(4, 2))


def test_all_that_is_told_must_hold(found):
    assert where(found).tolist() == [True] * 4
    assert where(found, depth=2, kind="gru").tolist() == [False, True, False, True]
    assert entries(found, "order", depth=1).tolist() == [0.1, 0.3]
    assert entries(found, "means", kind="lstm").tolist() == [[4.0, 5.0]]
    assert mean_of(found, "order", depth=2) == pytest.approx(0.4)


def test_the_mean_of_nobody_is_unknown(found):
    assert np.isnan(mean_of(found, "order", depth=3))
    assert len(entries(found, "order", depth=1, kind="vanilla")) == 0


def test_a_field_that_is_not_there_is_refused(found):
    with pytest.raises(AttributeError, match="width"):
        entries(found, "order", width=3)


def test_rows_are_joined_in_order_and_taken_apart_again(found):
    parts = [only(found, np.arange(4) == number) for number in range(4)]
    again = joined(parts)
    for name in ("depth", "kind", "order", "means"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
    one = one_row(Taught, (2, "gru", 0.6, np.array([6.0, 7.0])))
    np.testing.assert_array_equal(one.means, parts[3].means)
    assert (one.depth, one.kind, one.order) == (2, "gru", 0.6)
    assert len(only(found, np.zeros(4, bool)).order) == 0


def test_nothing_cannot_be_joined():
    with pytest.raises(ValueError, match="one result or more"):
        joined([])
