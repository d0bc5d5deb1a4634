"""Pushes whose length is on paper: a biased square of memories, and an oblique line."""

import dataclasses

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.optimize import brentq

from slowpoint.analysis.fit import Fit, GOOD
from slowpoint.analysis.fixed_points import fixed_points
from slowpoint.analysis.flips import Flips, flips, NO_SURFACE, NO_TIME
from slowpoint.analysis.push import FOUND, OUT_OF_REACH
from slowpoint.analysis.topology import Topology, topology
from slowpoint.cells.vanilla import Vanilla
from slowpoint.core.wrap import Sampled
from slowpoint.report.flipping import flip_doubts, flip_summary, flipping
from slowpoint.report.parts import Items, Table
from slowpoint.report.units import as_mask, read_units, words_for
from slowpoint.worlds.affine_bistable import AffineBistable

DT = 0.5
BIAS = 0.2  # on the first unit: its two memories lie at different distances from the saddle
LOW, MIDDLE, HIGH = np.array(
    [
        brentq(lambda x: np.tanh(2 * x + BIAS) - x, *ends)
        for ends in ((-1.0, -0.6), (-0.5, 0.0), (0.5, 1.1))
    ]
)
SIDE = 0.957504024079384  # x = tanh 2x


def square() -> Sampled:
    weights, zeros = 2 * jnp.eye(2), jnp.zeros(2)
    bias = jnp.array([BIAS, 0.0])
    return Sampled(Vanilla(weights, jnp.eye(2), bias, jnp.eye(2), zeros, dt=DT, form="rate"))


@pytest.fixture(scope="module")
def asked():
    system, hold = square(), np.zeros(2)
    sides = np.array([[x, y] for x in (LOW, MIDDLE, HIGH) for y in (-SIDE, 0, SIDE)])
    points = fixed_points(system, sides, hold=hold)
    return system, points, topology(system, points, hold, key=jr.key(0)), hold


@pytest.fixture(scope="module")
def found(asked):
    return flips(*asked, mask=np.array([True, False]), key=jr.key(1))


def along(found, points, axis):
    """Rows whose saddle lies between memories that differ in this coordinate."""
    apart = points.states[found.origin] - points.states[found.target]
    return np.flatnonzero(np.abs(apart[:, axis]) > 0.1)


def test_every_pair_has_a_row_each_way(asked, found):
    pairs = set(zip(found.origin.tolist(), found.target.tolist(), strict=True))
    assert len(found) == len(pairs) == 8
    assert all((b, a) in pairs for a, b in pairs)
    assert (asked[1].n_unstable[found.saddle] == 1).all()
    assert (found.saddle[::2] == found.saddle[1::2]).all()


def test_pushes_of_the_square_are_those_on_paper(asked, found):
    points = asked[1]
    first = points.states[found.origin, 0]
    sideways = along(found, points, 0)
    exact = np.full(8, SIDE)
    exact[sideways] = np.abs(first[sideways] - MIDDLE)
    assert np.allclose(found.norm, exact, rtol=1e-4)
    assert np.allclose(found.to_saddle, exact)
    assert np.allclose(found.straight, exact, rtol=1e-5)
    assert np.allclose(found.share[along(found, points, 1)], 0.5, rtol=1e-4)
    ways = points.states[found.target] - points.states[found.origin]
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    assert np.allclose(found.vector, exact[:, None] * ways, atol=1e-3)
    assert found.proved.all()
    assert found.crosses.all()
    assert found.holds.all()
    assert found.other_clock.all()  # both surfaces are straight lines here


def test_edges_are_left_at_the_rate_of_the_steps(asked, found):
    slope = np.where(np.isin(np.arange(8), along(found, asked[1], 0)), 1 - MIDDLE**2, 1.0)
    rate = np.log(1 + DT * (2 * slope - 1)) / DT
    assert np.allclose(found.rate, rate)
    assert np.allclose(found.leaving, 1 / rate)
    assert (found.agreement == 1).all()
    assert (found.fit == GOOD).all()
    assert found.clock == "map"


def test_a_unit_that_may_not_move_puts_the_others_out_of_reach(asked, found):
    sideways = along(found, asked[1], 0)
    other = along(found, asked[1], 1)
    assert np.allclose(found.within_norm[sideways], found.norm[sideways], rtol=1e-6)
    assert (found.within_vector[sideways, 1] == 0).all()
    assert (found.within_code[sideways] == FOUND).all()
    assert found.within_crosses[sideways].all()
    assert (found.within_code[other] == OUT_OF_REACH).all()
    assert np.isnan(found.within_norm[other]).all()


def test_the_easiest_comes_first_and_the_unknown_last(found):
    norm = np.where(np.arange(8) == found.easiest[0], np.nan, found.norm)
    assert found.easiest[-1] == dataclasses.replace(found, norm=norm).easiest[-2]
    assert np.isnan(norm[dataclasses.replace(found, norm=norm).easiest[-1]])
    assert (np.diff(found.norm[found.easiest]) >= 0).all()
    assert np.allclose(found.norm[found.easiest[:2]], MIDDLE - LOW, rtol=1e-4)


@pytest.mark.slow
def test_the_oblique_line_of_a_flow():
    system, hold = AffineBistable(), np.zeros(0)
    points = fixed_points(system, np.array([[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]]), hold=hold)
    graph = topology(system, points, hold, key=jr.key(0))
    found = flips(system, points, graph, hold, key=jr.key(1))
    assert np.allclose(found.norm, 0.5**0.5, rtol=1e-4)  # from (1, 0) to x_1 + x_2 = 0
    assert np.allclose(found.straight, 1, rtol=1e-5)
    assert np.allclose(found.to_saddle, 1)
    assert np.allclose(found.rate, 1)
    assert found.clock == "flow"
    assert found.units is None
    assert (found.within_code == NO_TIME).all()


def test_what_there_was_no_time_for_is_listed(asked):
    late = flips(*asked, seconds=0.0, key=jr.key(0))
    assert len(late) == 8
    assert (late.code == NO_TIME).all()
    assert np.isnan(late.norm).all()
    assert np.isfinite(late.distance).all()
    assert any("8 of 8 pushes were not looked for" in doubt for doubt in flip_doubts(late))
    assert flip_summary(late) == []
    (items,) = [
        p for p in flipping(late, asked[2].attractors, DT).parts if isinstance(p, Items)
    ]
    assert "the time was over" in items.sentences[0]


def test_a_point_that_is_no_saddle_has_no_surface(asked):
    system, points, graph, hold = asked
    a, b, _ = graph.neighbours[0]
    wrong = dataclasses.replace(graph, neighbours=np.array([[a, b, a], *graph.neighbours[:1]]))
    found = flips(system, points, wrong, hold, key=jr.key(0))
    assert found.code.tolist() == [NO_SURFACE, NO_SURFACE, FOUND, FOUND]
    assert found.fit.tolist() == [-1, -1, GOOD, GOOD]
    assert flip_doubts(found) == ["2 of 4 pushes are missing or not proved"]


def test_no_neighbours_no_rows(asked, tmp_path):
    system, points, graph, hold = asked
    nobody = Topology(graph.attractors, graph.saddle, graph.attractor, np.zeros((0, 3), int))
    none = flips(system, points, nobody, hold, key=jr.key(0))
    assert len(none) == 0
    none.save(tmp_path / "flips.npz")
    assert Flips.load(tmp_path / "flips.npz").vector.shape == (0, 2)
    assert "nothing to cross" in flipping(none, graph.attractors, DT).parts[0].html()


def test_a_mask_of_wrong_size_says_what_to_give(asked):
    with pytest.raises(ValueError, match=r"mask has shape \(3,\).*\(2,\)"):
        flips(*asked, mask=np.ones(3, bool), key=jr.key(0))


# ---------------------------------------------------------------- the section of the page


def test_the_section_lists_the_easiest_first(asked, found):
    parts = flipping(found, asked[2].attractors, DT).parts
    (table,) = [part for part in parts if isinstance(part, Table)]
    assert len(table.rows) == 8
    assert all(len(row) == len(table.head) for row in table.rows)
    shown = [float(row[2]) for row in table.rows]
    assert shown == sorted(shown)
    first = found.easiest[0]
    assert table.rows[0][0] == f"{found.origin[first]} to {found.target[first]}"
    assert f"{MIDDLE - LOW:.3g}" in flip_summary(found)[0]
    assert "changes only 0." in "".join(part.html() for part in parts)
    (items,) = [part for part in parts if isinstance(part, Items)]
    assert "Some units: No crossing within reach" in items.sentences[0]
    assert flip_doubts(found) == []


def test_a_poor_fit_is_a_doubt_and_has_its_sentence(asked, found):
    fit = np.where(found.saddle == found.saddle[0], 4, found.fit)
    poor = dataclasses.replace(found, fit=fit, units=None)
    assert flip_doubts(poor) == [
        f"the separatrix over saddle {found.saddle[0]} is poor (1.000 of its sample agrees "
        "with simulation)"
    ]
    (items,) = [
        p for p in flipping(poor, asked[2].attractors, DT).parts if isinstance(p, Items)
    ]
    assert Fit.SAYS[4] in items.sentences[0]


# ---------------------------------------------------------------- which units


@pytest.mark.parametrize(
    ("words", "units"),
    [("0,3,5-9", [0, 3, 5, 6, 7, 8, 9]), ("7", [7]), ("4-4, 2,2", [2, 4])],
)
def test_units_from_words(words, units):
    assert read_units(words).tolist() == units


@pytest.mark.parametrize("words", ["", "a", "3-1", "-1", "1.5", "0,,1"])
def test_words_that_are_no_units(words):
    with pytest.raises(ValueError, match="--units 0,3,5-9"):
        read_units(words)


def test_units_from_a_file(tmp_path):
    path = tmp_path / "units.npy"
    for kept in (np.array([5, 0, 3]), np.array([True, False, False, True, False, True])):
        np.save(path, kept)
        assert read_units(str(path)).tolist() == [0, 3, 5]
    np.save(path, np.array([0.5, 1.0]))
    with pytest.raises(ValueError, match="no numbers of units"):
        read_units(str(path))


def test_units_as_a_mask_and_as_words():
    assert as_mask(np.array([0, 2]), 4).tolist() == [True, False, True, False]
    assert words_for(np.array([0, 3, 5, 6, 7, 9])) == "0, 3, 5-7, 9"
    for wrong in ([4], [-1, 2], []):
        with pytest.raises(ValueError, match="0 to 3, for example --units 0-3"):
            as_mask(np.array(wrong, int), 4)
