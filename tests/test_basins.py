"""Basins and neighbours where symmetry gives the answer."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from slowpoint.analysis.basins import basin_fractions, basins, ELSEWHERE, UNDECIDED
from slowpoint.analysis.fixed_points import fixed_points
from slowpoint.analysis.methods import Forward
from slowpoint.analysis.topology import topology
from slowpoint.core.system import Flow
from slowpoint.worlds.bistable import Bistable
from slowpoint.worlds.duffing import Duffing

NONE = np.zeros(0)
ENDS = np.array([[-1.0, 0.0], [1.0, 0.0]])


class Square(Flow):
    """Two independent double wells: four attractors, four saddles of index 1, one of 2."""

    state_size: int = eqx.field(static=True, default=2)
    input_size: int = eqx.field(static=True, default=0)
    output_size: int = eqx.field(static=True, default=2)
    dt: float = eqx.field(static=True, default=0.1)

    def velocity(self, x, u):
        return x - x**3

    def output(self, x):
        return x


def cloud(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1.5, 1.5, (count, 2))


def test_bistable_is_halved_at_zero():
    starts = cloud(200)
    found = basins(Bistable(), starts, ENDS, NONE)
    assert np.array_equal(found.labels, (starts[:, 0] > 0).astype(int))
    assert found.fractions.sum() == pytest.approx(1)
    assert found.fractions[0] == pytest.approx((starts[:, 0] < 0).mean())
    half = found.fractions[0]
    assert found.errors[0] == pytest.approx(np.sqrt(half * (1 - half) / 200))


def test_duffing_is_symmetric():
    starts = cloud(100)
    one, other = (basins(Duffing(), s, ENDS, NONE).labels for s in (starts, -starts))
    assert np.array_equal(one, 1 - other)


def test_undecided_and_elsewhere_are_classes_of_their_own():
    starts = np.array([[0.5, 0.0], [-0.5, 0.0], [0.0, 1.0]])
    found = basins(Bistable(), starts, ENDS[1:], NONE)
    assert found.labels.tolist() == [0, ELSEWHERE, ELSEWHERE]
    short = basins(Bistable(), starts, ENDS, NONE, until=Forward(max_steps=2))
    assert (short.labels == UNDECIDED).all()
    assert short.fractions[-2] == 1


def test_any_rule_may_label():
    starts = cloud(50)
    fractions, _ = basin_fractions(lambda s: (s[:, 0] > 0).astype(int), starts, 2)
    assert fractions[:2].sum() == pytest.approx(1)


def test_a_saddle_joins_its_two_attractors():
    points = fixed_points(Bistable(), cloud(30), hold=NONE)
    graph = topology(Bistable(), points, NONE, key=jr.key(0))
    assert len(graph.neighbours) == 1
    a, b, saddle = graph.neighbours[0]
    assert np.allclose(np.sort(points.states[[a, b], 0]), [-1, 1])
    assert np.allclose(points.states[saddle], 0)
    assert graph.reached(saddle) == sorted([a, b])


def test_the_square_has_four_edges_and_its_centre_reaches_every_corner():
    points = fixed_points(Square(), cloud(120, 1), hold=NONE)
    assert np.bincount(points.n_unstable).tolist() == [4, 4, 1]
    graph = topology(Square(), points, NONE, key=jr.key(1))
    assert len(graph.neighbours) == 4
    for a, b, _ in graph.neighbours:
        assert (points.states[a] * points.states[b] > 0).sum() == 1  # one bit flips
    centre = int(np.flatnonzero(points.n_unstable == 2)[0])
    assert len(graph.reached(centre)) == 4


def test_without_saddles_there_is_nothing_to_join():
    points = fixed_points(Bistable(), jnp.array([[0.9, 0.0]]), hold=NONE)
    graph = topology(Bistable(), points, NONE, key=jr.key(0))
    assert graph.neighbours.shape == (0, 3)
    assert graph.attractors.tolist() == [0]
