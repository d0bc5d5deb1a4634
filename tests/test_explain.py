"""An explanation of a network whose points are on paper: two tanh units, each with gain 2."""

import dataclasses
import html.parser
import re

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from slowpoint.analysis.points import FixedPoints
from slowpoint.cells.gru import GRU
from slowpoint.cells.vanilla import Vanilla
from slowpoint.report.explain import explain
from slowpoint.report.explanation import summary, write
from slowpoint.report.parts import Items, Table, Words


def square(dt: float = 0.5) -> Vanilla:
    """Four memories at the corners of a square, a saddle on each edge, a hill in the middle."""
    weights, zeros = 2 * jnp.eye(2), jnp.zeros(2)
    return Vanilla(weights, jnp.eye(2), zeros, jnp.eye(2), zeros, dt=dt, form="rate")


@pytest.fixture(scope="module")
def found():
    return explain(square(), key=jr.key(0), units=np.array([0]), quiet=True)


@pytest.fixture(scope="module")
def page(found, tmp_path_factory):
    return write(found, tmp_path_factory.mktemp("page"), "a <square> & more")


class Reader(html.parser.HTMLParser):
    """Every tag must be closed, and nothing may come from elsewhere."""

    EMPTY = ("meta", "img", "link", "br", "input")

    def __init__(self):
        html.parser.HTMLParser.__init__(self)
        self.open, self.outside, self.unnamed = [], [], 0

    def handle_starttag(self, tag, attrs):
        words = dict(attrs)
        if tag not in self.EMPTY:
            self.open.append(tag)
        links = [v or "" for k, v in attrs if k in ("src", "href")]
        self.outside += [v for v in links if not v.startswith("data:")]
        self.unnamed += tag == "img" and not words.get("alt")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_square_is_found_whole(found):
    points, graph = found.findings.points, found.findings.topology
    assert np.bincount(points.fixed.n_unstable).tolist() == [4, 4, 1]
    assert len(graph.neighbours) == 4
    assert found.findings.coverage.index_sum == 1
    assert not found.stopped
    corner = 0.957504024079384  # x = tanh 2x
    assert np.allclose(np.abs(points.stable.states), corner, atol=1e-10)


def test_rates_are_those_of_the_steps_it_was_trained_with(found):
    slope = 2 * (1 - 0.957504024079384**2)  # of tanh(2x) at a corner
    step = 1 + 0.5 * (slope - 1)
    assert np.allclose(found.findings.points.stable.rates, np.log(step) / 0.5)
    assert any("its steps" in note for note in found.notes)


def test_basins_of_the_square_are_equal(found):
    shares, errors = found.findings.basins.fractions, found.findings.basins.errors
    assert shares[:4].sum() == pytest.approx(1)
    assert (np.abs(shares[:4] - 0.25) < 4 * errors[:4] + 0.1).all()


def test_the_page_says_what_was_found_and_stands_alone(page, found):
    text = page.read_text()
    reader = Reader()
    reader.feed(re.sub(r"<script.*?</script>", "", text, flags=re.S))
    assert reader.open == []
    assert reader.outside == []
    assert reader.unnamed == 0
    assert "a &lt;square&gt; &amp; more" in text
    assert "4 stable fixed points" in text
    assert "of the variance" in text
    assert "Nothing speaks against" in text
    assert "Changing its mind" in text
    assert "8 of 8 smallest pushes are proved by simulation" in text
    assert len(text) < 6e6


def test_the_results_lie_beside_the_page(page, found):
    back = FixedPoints.load(page.with_name("points.npz"))
    assert np.array_equal(back.states, found.findings.points.states)
    names = {"points", "coverage", "topology", "basins", "flips", "frame", "visited"}
    assert names == {path.stem for path in page.parent.glob("*.npz")}


def test_every_corner_flips_by_its_distance_to_the_axis(found):
    ways = found.findings.flips
    assert np.allclose(ways.norm, 0.957504024079384, rtol=1e-4)
    assert np.isfinite(ways.within_norm).sum() == 4  # unit 1 may not move
    assert ways.clock == "map"


def test_a_poor_separatrix_is_named_on_top(found, tmp_path):
    ways = found.findings.flips
    poor = dataclasses.replace(ways, fit=np.full(len(ways), 4))
    findings = dataclasses.replace(found.findings, flips=poor)
    text = write(
        dataclasses.replace(found, findings=findings), tmp_path, "a network"
    ).read_text()
    doubt = f"the separatrix over saddle {ways.saddle[0]} is poor"
    assert 0 < text.index(doubt) < text.index("The state space")


def test_units_outside_the_network_say_what_to_type():
    with pytest.raises(ValueError, match="--units 0-1"):
        explain(square(), key=jr.key(0), units=np.array([2]), quiet=True)


def test_doubts_come_first(tmp_path):
    net = GRU.random(12, 1, 1, key=jr.key(0))
    short = explain(net, key=jr.key(0), seconds=0.0, quiet=True)
    assert short.stopped
    text = write(short, tmp_path, "a network").read_text()
    assert "Perhaps incomplete: the search was stopped by the clock" in text
    assert any("stable fixed points" in sentence for sentence in summary(short))


@pytest.mark.parametrize(
    ("states", "says"),
    [
        (np.ones((4, 3)), "last axis is 2 long"),
        (np.ones((4, 2)), "all of them the same"),
        (np.zeros((0, 2)), "0 states came"),
        (np.array([[0.0, 1.0], [np.nan, 0.0]]), "State 1 is not finite"),
    ],
)
def test_states_that_cannot_be_used(states, says):
    with pytest.raises(ValueError, match=says):
        explain(square(), key=jr.key(0), states=states, quiet=True)


def test_a_hold_of_wrong_size_says_what_to_type():
    with pytest.raises(ValueError, match="--hold 0,0"):
        explain(square(), key=jr.key(0), hold=np.zeros(3), quiet=True)


@pytest.mark.parametrize(
    "part", [Words("<b>"), Items(["<b>"]), Table("<b>", ["<b>"], [["<b>"]])]
)
def test_foreign_words_are_escaped(part):
    assert "<b>" not in part.html()
