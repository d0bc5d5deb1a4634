"""Do the experiments on many networks that remember pictures state what their numbers say?"""

import dataclasses

import numpy as np
import pytest

from slowpoint.analysis.picture_memory import DELAYS, FLIP, Memories, Remembered
from slowpoint.experiments import curricula, retention_and_speed

ARMS = [(cell, name) for cell in ("gru", "lstm") for name in ("delay", "vocabulary")]
HUNDRED = DELAYS.index(100)
PREDICTORS = ("descent, 20 steps", "bottom", "centre", "free path", FLIP)


def networks(right, **changes):
    """Three networks of each arm; `right` (network, class) at 100, the rest all right."""
    count, classes = right.shape
    shares = np.ones((count, classes, len(DELAYS)))
    shares[:, :, HUNDRED] = right
    chance = np.random.default_rng(0)
    values = np.exp(chance.normal(size=(count, len(PREDICTORS), classes)))
    values[:, 0] = np.exp(-right)  # slow where it lasts
    values[:, -1] = np.exp(4 * right)
    own = np.tile(np.arange(classes), (count, 1))
    fields = {
        "data": "digits",
        "cell": np.repeat([cell for cell, _ in ARMS], 3),
        "curriculum": np.repeat([name for _, name in ARMS], 3),
        "delays": np.array(DELAYS),
        "predictor": np.array(PREDICTORS),
        "search": np.array(PREDICTORS[:2]),
        "stopped": np.full(count, -1),
        "accuracy": shares.mean(axis=1),
        "right": shares,
        "informed": shares,
        "values": values,
        "reads": np.stack([own, own], axis=1),
        "fallback": np.zeros((count, classes), bool),
        "gradients": np.full((count, classes), 1e-12),
        "bottoms": own,
        "turned": np.full((count, classes), 3),
        "ends": np.zeros((count, classes), int),
        "final": np.zeros((count, classes), int),
    }
    return Memories(**(fields | changes))


def stated(found, settings):
    results = retention_and_speed.Results(found, retention_and_speed._foretold(found, settings))
    return {claim.says: claim for claim in retention_and_speed.claims(results)}


@pytest.fixture(scope="module")
def settings():
    return retention_and_speed.Settings(draws=40)


@pytest.fixture(scope="module")
def right():
    return np.random.default_rng(1).uniform(0.1, 1, size=(12, 10))


FLIP_RANK = "flip time and accuracy at 100, ranks within networks"


def only(claims, words):
    chosen = [claim for says, claim in claims.items() if all(w in says for w in words)]
    chosen = [claim for claim in chosen if claim.says in words] or chosen
    assert len(chosen) == 1, [claim.says for claim in chosen]
    return chosen[0]


def test_what_foretells_best_is_said_and_a_tie_is_none(right, settings):
    found = stated(networks(right), settings)
    paper = only(found, ("gru: descent", "ranks"))
    assert paper.value == pytest.approx(-1, abs=0.05)
    assert paper.verdict("full") == "holds"
    assert only(found, ("all: descent", "ranks")).verdict("full") == "reported"
    assert only(found, ("lstm: descent", "ranks")).verdict("full") == "reported"
    told = retention_and_speed._foretold(networks(right), settings)
    row = told.outcome.tolist().index("accuracy at 100")
    for name in ("bottom", "centre", "free path"):
        ahead = only(found, ("ahead of", name))
        assert ahead.verdict("full") == "holds"
        lead = told.lead_ranges[row, 0, -1, PREDICTORS.index(name)]
        assert ahead.value == lead.min() < lead.max()
    assert only(found, ("ahead of", "descent")).value < 0.1
    assert only(found, (FLIP_RANK,)).value > 0.9


def test_a_predictor_of_the_wrong_sign_fails_the_papers_claim(right, settings):
    plain = networks(right)
    turned = np.array(plain.values)
    turned[:, 0] = 1 / turned[:, 0]
    found = stated(networks(right, values=turned), settings)
    assert only(found, ("gru: descent", "ranks")).verdict("full") == "fails"
    weak = np.array(plain.values)
    weak[:, 0] = weak[:, 1]  # by chance
    found = stated(networks(right, values=weak), settings)
    assert only(found, ("gru: descent", "ranks")).verdict("full") == "fails"
    blind = np.array(plain.values)
    blind[:, -1] = 1 / blind[:, -1]
    found = stated(networks(right, values=blind), settings)
    assert only(found, (FLIP_RANK,)).verdict("quick") == "fails"


def test_points_are_counted_for_their_own_cell(right, settings):
    plain = networks(right)
    reads = np.array(plain.reads)
    reads[:3, 0, 0] = 7  # 3 of the 60 classes of the GRU, by the descent
    reads[:, 1] = 0
    gradients = np.array(plain.gradients)
    gradients[6:] = 1.0  # of the LSTM
    ends, final, bottoms = (np.array(a) for a in (plain.ends, plain.final, plain.bottoms))
    ends[0], ends[1, :4], final[0], bottoms[:] = np.arange(10), -1, np.arange(10), 0
    changes = {"reads": reads, "gradients": gradients, "bottoms": bottoms}
    found = stated(networks(right, ends=ends, final=final, **changes), settings)
    value = lambda *words: only(found, words).value
    assert value("gru, descent", "read out") == pytest.approx(0.95)
    assert only(found, ("gru, descent", "read out")).verdict("full") == "holds"
    assert value("lstm, descent", "read out") == 1
    assert value("gru, bottom", "read out") == pytest.approx(0.1)
    assert only(found, ("gru: bottoms with a gradient",)).verdict("full") == "holds"
    assert value("lstm: bottoms with a gradient") == 0
    assert value("gru: bottoms of a network") == 1
    assert value("gru: places where its free paths rest") == pytest.approx(15 / 6)
    assert value("gru: places where they rest, most") == 10
    assert value("gru: classes read out at their ends") == pytest.approx(15 / 6)
    assert value("gru: free paths that still move") == pytest.approx(4 / 60)


def test_the_undefined_is_counted_and_left_out(right, settings):
    shares = np.ones((12, 10, len(DELAYS)))
    shares[:, :, HUNDRED] = right
    shares[4, 2] = np.nan
    holed = dataclasses.replace(networks(right), right=shares, informed=shares)
    found = stated(holed, settings)
    assert only(found, ("never named",)).value == 1
    assert np.isfinite(only(found, ("all: descent", "ranks")).value)
    whole, alone = networks(right), [0, 3, 6, 9]
    names = set(vars(whole)) - {"data", "delays", "predictor", "search"}
    parts = {name: getattr(whole, name)[alone] for name in names}
    found = stated(dataclasses.replace(whole, **parts), settings)
    assert np.isnan(only(found, ("ahead of", "bottom")).value)
    assert only(found, ("ahead of", "bottom")).verdict("full") == "fails"
    assert "no interval" in only(found, ("gru: bottom and", "ranks")).says


def test_zeros_are_numbers_and_bottoms_not_reached_are_none(right, settings):
    values = np.array(networks(right).values)
    values[0, :, 0] = 0.0
    found = retention_and_speed._foretold(networks(right, values=values), settings)
    assert np.isfinite(found.ranks[found.outcome == "accuracy at 100"]).all()
    assert (found.used == np.where(found.group == "all", 120, 60)[:, None]).all()
    gradients = np.array(networks(right).gradients)
    gradients[0, 1:4] = 1e-9  # bottoms that were not reached
    told = retention_and_speed._foretold(networks(right, gradients=gradients), settings)
    assert told.used[0].tolist() == [120, 117, 120, 120, 120]
    assert found.group.tolist() == ["all"] * 4 + ["gru"] * 4 + ["lstm"] * 4


def left(**changes):
    """Three networks of each arm; every class lasts to 50, then all are called 3."""
    whole = networks(np.zeros((12, 10)))
    late = np.array(DELAYS) > 50
    right = np.where(late, (np.arange(10) == 3)[:, None], 1.0) * np.ones((12, 1, 1))
    informed = np.where(late, 0.0, 1.0) * np.ones((12, 10, 1))
    values = np.full(whole.values.shape, 0.01)
    values[:, -1] = 70
    fields = {
        "accuracy": np.where(late, 0.1, 0.97) * np.ones((12, 1)),
        "right": right,
        "informed": informed,
        "values": values,
        "final": np.full((12, 10), 3),
    }
    return curricula.Results(dataclasses.replace(whole, **(fields | changes)))


def said(results):
    return {claim.says: claim for claim in curricula.claims(results)}


def test_curricula_equal_inside_and_unequal_outside():
    accuracy = np.array(left().left.accuracy)
    accuracy[:6, HUNDRED] = [0.8, 0.7, 0.6, 0.5, 0.4, 0.3]
    good = said(left(accuracy=accuracy))
    assert only(good, ("gru, delay: accuracy at 19",)).verdict("full") == "holds"
    spread = only(good, ("gru: accuracy at 100, most",))
    assert spread.value == pytest.approx(0.5)
    assert spread.verdict("full") == "holds"
    assert only(good, ("gru: accuracy at 100, delay less",)).value == pytest.approx(0.3)
    assert only(good, ("lstm: accuracy at 100, most",)).verdict("full") == "reported"
    assert only(good, ("gru: accuracy at 500",)).verdict("full") == "holds"
    accuracy[3:6, 1] = 0.9
    accuracy[:6, -2] = 0.2
    bad = said(left(accuracy=accuracy))
    assert only(bad, ("gru, vocabulary: accuracy at 19",)).verdict("full") == "fails"
    assert only(bad, ("gru, delay: accuracy at 19",)).verdict("full") == "holds"
    assert only(bad, ("gru: accuracy at 500",)).verdict("full") == "fails"
    equal = only(said(left()), ("gru: accuracy at 100, most",))
    assert equal.verdict("full") == "fails"
    other = said(left(data="mnist whole", accuracy=accuracy))
    assert only(other, ("gru, vocabulary: accuracy at 19",)).bar == pytest.approx(0.93)
    assert only(other, ("gru: accuracy at 500",)).verdict("full") == "reported"


def test_where_memories_go_is_counted():
    found = said(left())
    value = lambda *words: only(found, words).value
    assert value("gru, delay", "lower number") == pytest.approx(6 / 9)
    assert value("gru, delay", "given most often") == 1
    assert value("gru, delay", "free paths end") == 1
    assert "most in 3, 3, 3" in only(found, ("gru, delay", "free paths end")).says
    assert value("gru, delay", "log10") == pytest.approx(-2)
    assert value("gru, delay", "flip time") == 70
    turned = np.tile(np.arange(10), (12, 1))
    still = said(left(turned=turned))
    assert np.isnan(only(still, ("gru, delay", "lower number")).value)


def test_earlier_classes_last_longer_only_against_the_other_curriculum():
    informed = np.array(left().left.informed)
    informed[:, :, HUNDRED] = np.linspace(1, 0, 10)  # in all networks: no sign of teaching
    same = said(left(informed=informed))
    assert np.isnan(only(same, ("gru", "taught earlier")).value)
    informed[3:6, :, HUNDRED] *= 0.5  # the vocabulary's: late classes gain, relatively
    found = said(left(informed=informed))
    assert only(found, ("gru", "taught earlier")).value == pytest.approx(-1)
    known = curricula._mean(np.array([[1.0, np.nan, np.nan], [3.0, 5.0, np.nan]]))
    assert known.tolist() == [2, 5, 0]  # of the networks that ever name the class
    informed[3:6, 9] = np.nan
    assert np.isfinite(only(said(left(informed=informed)), ("gru", "taught earlier")).value)


TINY = {"networks": 1, "units": 8, "updates": 18, "cells": ("gru",)}


@pytest.mark.slow
def test_a_tiny_run_of_each_from_end_to_end(tmp_path):
    quick = {"searches": (20,), "walk": 1000, "draws": 3, "folder": str(tmp_path)}
    tiny = retention_and_speed.Settings(**TINY, **quick)
    results = retention_and_speed.run(tiny)
    assert results.networks.right.shape == (2, 10, len(DELAYS))
    assert results.foretold.group.tolist() == ["gru"] * 4
    again = retention_and_speed.run(tiny)
    assert np.array_equal(again.networks.values, results.networks.values)
    assert (tmp_path / "digits" / Remembered.__name__).is_dir()
    retention_and_speed.draw(results)
    assert retention_and_speed.claims(results)
    small = curricula.Settings(**TINY, searches=(20,), walk=1000, folder=str(tmp_path))
    found = curricula.run(small)
    assert np.array_equal(found.left.values, results.networks.values)  # the same networks
    curricula.draw(found)
    assert curricula.claims(found)
