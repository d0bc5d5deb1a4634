"""Do the experiments on births, forecasts and foreign files state what their numbers say?"""

import dataclasses
import types

import numpy as np
import pytest

from slowpoint.analysis.ancestry import Ancestry
from slowpoint.analysis.escapes import Escapes, PROVED, UNPROVED
from slowpoint.analysis.residence import Residence
from slowpoint.analysis.topology import Topology
from slowpoint.experiments import any_network, memory_forecast, slow_point_birth
from slowpoint.experiments.memory_forecast import Memories
from slowpoint.experiments.slow_point_birth import agreement, Births, Lines
from slowpoint.theory.escape import escape_time


def verdicts(module, results):
    return {claim.says: claim.verdict("full") for claim in module.claims(results)}


def values(module, results):
    return {claim.says: claim.value for claim in module.claims(results)}


# ---------------------------------------------------------------- forecasts


def forecasts(ratio, goes=None, counted=None):
    """Memories whose forecast is `ratio` times 100 counted steps."""
    ratio = np.asarray(ratio, float)
    count = len(ratio)
    counted = np.full(count, 100.0) if counted is None else np.asarray(counted, float)
    ones, went = np.ones(count, int), np.zeros(count, int)
    return memory_forecast.Results(
        Memories(
            network=ones,
            cell=np.array(["gru"] * count),
            cost=3.0 * ones,
            noise=0.1 * ones,
            memory=ones,
            forecast=100 * ratio,
            counted=counted,
            low=np.full(count, 80.0),
            high=np.where(np.isfinite(counted), 125.0, np.inf),
            left=np.where(np.isfinite(counted), 32, 0),
            goes=went if goes is None else np.asarray(goes),
            went=went,
            runs=32,
        )
    )


FACTOR_2 = "forecast within a factor of 2 of counted, share"
NEXT = "most likely next memory is the one most went to, share"


def test_a_factor_of_two_counts_both_ways():
    good = forecasts([0.51, 1.0, 1.99, 1.1])
    assert verdicts(memory_forecast, good)[FACTOR_2] == "holds"
    assert values(memory_forecast, good)["forecasts inside the interval counted, share"] == 0.5
    for worse in ([0.49, 0.3, 1, 1], [2.1, 3.0, 1, 1]):
        assert verdicts(memory_forecast, forecasts(worse))[FACTOR_2] == "fails"
    assert values(memory_forecast, good)["the least"] == pytest.approx(0.51)


def test_undefined_and_unseen_memories_have_no_ratio():
    some = forecasts([np.nan, 1.0, 1.2, 0.7], counted=[100, 100, 100, np.inf])
    numbers = values(memory_forecast, some)
    assert numbers["forecasts that are defined, share"] == 0.75
    assert numbers[FACTOR_2] == 1
    assert numbers["memories that no run left"] == 1
    assert numbers["of them forecast above the lower end"] == 0  # 70 of 80 or more


def test_a_memory_with_a_way_that_has_no_proof_is_undefined():
    ways = Escapes(
        origin=np.array([0, 1, 1]),
        target=np.array([1, 0, 2]),
        saddle=np.array([3, 3, 4]),
        rate=np.full(3, 0.2),
        barrier=np.array([3.0, 3.0, np.nan]),
        amplitude=np.array([1.0, 1.0, np.nan]),
        cosine=np.ones(3),
        courses=np.zeros((3, 2, 1)),
        code=np.array([PROVED, PROVED, UNPROVED]),
        noise=np.ones(1),
    )
    nothing = np.zeros((0, 3), int)
    graph = Topology(np.array([0, 1]), np.zeros(0, int), np.zeros(0, int), nothing)
    places = np.array([[0.0], [1.0]])
    counted = Residence(places, places, np.full((2, 4), 9), np.array([[1] * 4, [-1] * 4]), 9)
    rows = memory_forecast._rows(ways, graph, counted)
    assert rows[0]["forecast"] == pytest.approx(escape_time(0.2, 1.0, 3.0))
    assert (rows[0]["goes"], rows[0]["went"]) == (1, 1)
    assert np.isnan(rows[1]["forecast"])
    assert (rows[1]["goes"], rows[1]["went"]) == (-1, -1)


def test_a_wrong_place_is_seen():
    wrong = forecasts([1, 1, 1, 1], goes=[0, 0, 1, 1])
    assert verdicts(memory_forecast, wrong)[NEXT] == "fails"
    memory_forecast.draw(wrong)


# ---------------------------------------------------------------- births


def lines(ratio, parents):
    """Networks of both curricula whose jumps at steps are `ratio` times those elsewhere."""
    count = 4
    one, tree = np.ones(count), np.tile(parents, (count, 1))
    return slow_point_birth.Results(
        Lines(
            curriculum=np.array(["vocabulary", "delay"] * 2),
            updates=np.tile(np.arange(3.0), (count, 1)),
            at_step=np.array(ratio, float),
            elsewhere=one,
            later=one,
            bottom_at_step=one,
            bottom_elsewhere=one,
            named=one,
            bottom_named=0.5 * one,
            parents=tree,
            bottom_parents=tree,
            likeness=np.full_like(tree, 1),
            shared=np.full_like(tree, -1),
            other=np.full_like(tree, -1),
            jumps=np.tile([1.0, 2.0, 0.0], (count, 1)),
        ),
        Births(
            *(np.zeros(2, int) for _ in range(2)),
            np.ones(2),
            np.array([True, False]),
            np.array([10.0, np.nan]),
            np.ones(2),
            np.array([0, 1]),
            np.zeros(2, bool),
        ),
    )


PARENTS = [-2, -2, 1, 2, 0, 3, 4, 4, 6, 8]


def test_the_worst_network_is_judged():
    good = verdicts(slow_point_birth, lines([2.5, 1.2, 3.0, 1.4], PARENTS))
    assert "fails" not in good.values()
    low = verdicts(slow_point_birth, lines([1.9, 1.2, 3.0, 1.4], PARENTS))
    assert low["jump at steps over elsewhere, vocabulary, least"] == "fails"
    high = verdicts(slow_point_birth, lines([2.5, 1.2, 3.0, 1.6], PARENTS))
    assert high["jump at steps over elsewhere, delays, most"] == "fails"
    slow_point_birth.draw(lines([2.5, 1.2, 3.0, 1.4], PARENTS))


def test_parents_agree_only_where_all_name_one():
    same = np.array([PARENTS, PARENTS, PARENTS])
    assert agreement(same) == 7
    other = same.copy()
    other[1, 3:6] = 9
    other[:, 9] = -1  # all name no class
    assert agreement(other) == 3
    found = lines([2.5, 1.2, 3.0, 1.4], [-2, -2, 1, *[-1] * 7])
    assert (
        verdicts(slow_point_birth, found)["new classes of 7 with one parent in all 2 networks"]
        == "fails"
    )


def test_jumps_are_parted_at_the_ends_of_stages():
    found = ancestry([[0, 1.0, 3.0, 3.5, 3.5], [0] * 5, [0] * 5])
    steps = np.array([1])
    assert slow_point_birth._jump(found, steps, True) == pytest.approx(2 / 3)
    assert slow_point_birth._jump(found, steps, False) == pytest.approx(1.5 / 9)
    assert slow_point_birth._jump(found, steps, False, 1) == pytest.approx(0.5 / 6)


def ancestry(states):
    """Bottoms of three classes in some snapshots, on a line."""
    states = np.asarray(states, float)[:, :, None]
    jumps = np.pad(np.abs(np.diff(states[:, :, 0], axis=1)), [(0, 0), (0, 1)])
    nothing = np.zeros(states.shape[:2])
    return Ancestry(
        np.full(states.shape[1], 3),
        states,
        nothing,
        nothing,
        nothing.astype(int),
        jumps,
        np.zeros(len(states), int),
    )


def test_shared_bottoms_count_once_and_the_last_sharing_is_dated():
    found = ancestry([[0, 5, 5.0], [0, 5, 5.0], [3, 3, 4.0]])
    assert slow_point_birth._largest(found, 3) == [(0, 0), (2, 1), (0, 1)]
    assert slow_point_birth._largest(found, 0) == []
    when, other = slow_point_birth._splits(found, np.array([10, 20, 30]))
    assert when.tolist() == [30, 30, -1]
    assert other.tolist() == [1, 0, -1]


# ---------------------------------------------------------------- a foreign file


@pytest.mark.slow
def test_the_shipped_file_holds_its_two_bits():
    results = any_network.run(any_network.QUICK)
    said = verdicts(any_network, results)
    assert "fails" not in said.values()
    assert "GRU" in results.network.says
    less = dataclasses.replace(results, points=results.points.rows(results.points.kinds > 9))
    assert verdicts(any_network, less)["stable points of the two bits"] == "fails"
    foreign = dataclasses.replace(results.network, shipped=False)
    assert len(any_network.claims(dataclasses.replace(results, network=foreign))) == 7
    any_network.draw(results)


def test_births_are_dated_between_their_snapshots(monkeypatch):
    path = types.SimpleNamespace(
        jumped=np.array([False, False, True, False, False]),
        values=np.linspace(1, 0, 5),
        event_kinds=np.array([0, 1]),
    )
    monkeypatch.setattr(slow_point_birth, "track", lambda *_, **__: path)
    monkeypatch.setattr(slow_point_birth, "between", lambda _: None)
    training = types.SimpleNamespace(snapshots=None, snapshot_updates=np.array([100, 140]))
    settings = slow_point_birth.Settings(dated=1, parts=4)
    task = types.SimpleNamespace(quiet=np.zeros(1))
    found = ancestry([[0, 5.0], [0, 1.0], [0, 2.0]])
    rows = slow_point_birth._births(training, task, found, np.array([0]), settings, 7)
    assert rows == [(7, 0, 5.0, True, 120.0, 10.0, 1, True)]
