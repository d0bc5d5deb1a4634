"""Is a load that no weights can hold told, and only such a load?"""

import warnings

import jax.random as jr
import numpy as np
import pytest

from slowpoint.cells.associative import Associative
from slowpoint.learning.load_bound import margin_bound, warn_above_bound
from slowpoint.learning.plasticity import learn_sequence, Plasticity
from slowpoint.tasks.recall import InputOutputMaps

SHORT = Plasticity(rate=3e-3, longest=0.2)  # two steps a map


def learn(maps, units, strength=1.0, how=SHORT):
    begin, draw, show = jr.split(jr.key(0), 3)
    network = Associative.random(units, strength=strength, key=begin)
    task = InputOutputMaps.random(maps, units, key=draw)
    return learn_sequence(network, task, how, passes=1, key=show)


def test_learning_warns_of_a_load_above_the_bound_and_says_what_fits():
    with pytest.warns(UserWarning, match=r"load of 0.6, above 0.569.*at most 11 maps"):
        done = learn(12, 20)
    assert done.diverged == -1  # and learns what can be learned
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learn(11, 20)


@pytest.mark.parametrize("strength", [0.5, 1.0, 1.5])
def test_the_number_that_is_advised_is_the_largest_without_a_warning(strength):
    most = int(100 * margin_bound(strength))
    assert most / 100 <= margin_bound(strength) < (most + 1) / 100
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_above_bound(most, 100, strength)
    with pytest.warns(UserWarning, match=f"at most {most} maps"):
        warn_above_bound(most + 1, 100, strength)


def test_strength_gain_and_overlap_of_the_network_decide():
    """Where no input pushes against a target and no margin is asked, twice as many as units."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learn(19, 20, strength=0.1)
        warn_above_bound(199, 100, 0.0, 1e9, 1 - 1e-12)
        warn_above_bound(10**6, 100, overlap=0.0)  # any state will do
    with pytest.warns(UserWarning, match="at most 199 maps"):
        warn_above_bound(200, 100, 0.0, 1e5, 1 - 1e-12)
    loads = [margin_bound(1.0, theta) for theta in np.linspace(0, 2, 9)]
    assert (np.diff(loads) < 0).all()
