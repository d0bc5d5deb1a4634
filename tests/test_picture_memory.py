"""Are many networks trained, kept and compared as they should be?"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.stats

from slowpoint.analysis.agreement import agreement, LEVELS, spearman
from slowpoint.analysis.places import places
from slowpoint.cells.gru import GRU
from slowpoint.cells.lstm import LSTM
from slowpoint.cells.vanilla import Vanilla
from slowpoint.core.kept import kept
from slowpoint.core.result import Result
from slowpoint.learning.picture_nets import blank, CELLS, CURRICULA, Recipe, taught
from slowpoint.learning.picture_study import album, over_networks, Settings
from slowpoint.tasks.delayed_classification import DelayedClassification, example

ARMS = np.array(["a", "a", "a", "b", "b", "b"])


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def ranked(predictors, outcome, arms=ARMS, draws=20, seed=0):
    return agreement(predictors, outcome, arms, key=jr.key(seed), draws=draws)


def known(one, other):
    """SciPy's."""
    return scipy.stats.spearmanr(np.ravel(one), np.ravel(other))[0]  # pyright: ignore


def test_what_orders_as_the_outcome_does_has_rank_one_and_its_opposite_minus_one():
    outcome = draw(6, 5)
    found = ranked(np.stack([3 * outcome + 1, -outcome]), outcome)
    assert np.allclose(found.ranks, np.array([[1, -1]] * 3))
    assert np.allclose(found.ranges, found.ranks[..., None])
    assert found.level.tolist() == list(LEVELS)


def test_each_level_by_hand():
    predictor, outcome = draw(6, 5, seed=1), draw(6, 5, seed=2)
    found = ranked(predictor[None], outcome).ranks[:, 0]
    centred = [side - side.mean(axis=1, keepdims=True) for side in (predictor, outcome)]
    assert found[0] == pytest.approx(known(*centred))
    means = [side.mean(axis=1) for side in (predictor, outcome)]
    assert found[2] == pytest.approx(known(*means))
    inside = [np.concatenate([m[:3] - m[:3].mean(), m[3:] - m[3:].mean()]) for m in means]
    assert found[1] == pytest.approx(known(*inside))


def test_classes_siblings_and_networks_may_say_opposite_things():
    classes = np.array([-0.1, 0.0, 0.1])
    siblings = np.tile([-1.0, 0.0, 1.0], 2)[:, None]
    between = np.repeat([-50.0, 50.0], 3)[:, None]
    outcome = classes + siblings + between
    found = ranked(
        np.stack([classes - siblings + between, -classes + siblings - between]), outcome
    )
    assert np.allclose(found.ranks[0], [1, -1])
    assert np.allclose(found.ranks[1], [-1, 1])
    assert found.ranks[2] == pytest.approx([19 / 35, -19 / 35])  # six networks, by hand


def test_the_unknown_is_left_out_and_counted():
    predictor, outcome = draw(6, 5, seed=1), draw(6, 5, seed=2)
    holed = outcome.copy()
    holed[:, 4] = np.nan
    found = ranked(np.stack([predictor, predictor]), holed)
    assert found.used.tolist() == [24, 24]
    assert np.allclose(
        found.ranks[:, 0], ranked(predictor[None, :, :4], outcome[:, :4]).ranks[:, 0]
    )
    gone = outcome.copy()
    gone[2] = np.nan  # a network that never names a class
    assert np.isfinite(ranked(predictor[None], gone).ranks).all()


def test_what_does_not_vary_has_no_rank():
    assert np.isnan(spearman(np.ones(4), np.arange(4.0)))
    assert np.isnan(ranked(np.ones((1, 6, 5)), draw(6, 5)).ranks).all()
    assert np.isnan(ranked(np.ones((1, 6, 5)), draw(6, 5)).ranges).all()


def test_networks_are_drawn_and_not_classes():
    """All classes of a network alike: the interval is that of 24 numbers, not of 2400."""
    ones = np.ones(100)
    outcome = draw(24, 1, seed=4)
    predictor = outcome + 2 * draw(24, 1, seed=3)
    arms = np.array(["a"] * 24)
    found = ranked((predictor * ones)[None], outcome * ones, arms, draws=400).ranges[2, 0]
    chance = np.random.default_rng(5)
    again = [chance.integers(0, 24, 24) for _ in range(400)]
    ranks = [spearman(predictor[i, 0], outcome[i, 0]) for i in again]
    assert found == pytest.approx(np.percentile(ranks, [2.5, 97.5]), abs=0.08)
    assert found[1] - found[0] > 0.5


def test_every_sample_has_the_design_of_the_whole():
    """Two arms far apart, reversed inside: three networks of each rank 19/35 at the least."""
    far = np.repeat([0.0, 100.0], 3)[:, None] + np.zeros((6, 2))
    inside = np.tile([-1.0, 0.0, 1.0], 2)[:, None]
    found = ranked((far + inside)[None], far - inside, draws=300)
    assert found.ranks[2, 0] == pytest.approx(19 / 35)
    assert found.ranges[2, 0, 0] >= 0.5
    one = np.array(["a", "b", "c", "d", "e", "f"])
    alone = ranked(far[None], far, one)
    assert np.isnan(alone.ranges).all()
    assert np.isnan(alone.lead_ranges).all()
    assert np.isnan(alone.ranks[1]).all()


def test_a_lead_is_the_difference_in_strength_whatever_the_sign():
    outcome = draw(6, 5)
    weak = outcome + 2 * draw(6, 5, seed=9)
    found = ranked(np.stack([-outcome, weak]), outcome, draws=100)
    assert found.lead[0, 0, 1] == pytest.approx(1 - found.ranks[0, 1])
    assert np.allclose(found.lead, -np.swapaxes(found.lead, 1, 2))
    low, high = found.lead_ranges[0, 0, 1]
    assert 0 < low < found.lead[0, 0, 1] < high
    again = ranked(np.stack([-outcome, weak]), outcome, draws=100)
    assert np.array_equal(found.ranges, again.ranges)
    other = ranked(np.stack([-outcome, weak]), outcome, draws=100, seed=1)
    assert not np.array_equal(found.ranges, other.ranges)


def test_sizes_that_disagree_are_refused():
    with pytest.raises(ValueError, match=r"\(6, 4\)"):
        ranked(draw(1, 6, 5), draw(6, 4))
    with pytest.raises(ValueError, match=r"\(5,\)"):
        ranked(draw(1, 6, 5), draw(6, 5), ARMS[:5])


def test_states_are_in_one_place_when_a_chain_of_near_ones_joins_them():
    states = np.array([[0.0, 0], [5, 5], [0, 8e-4], [0, 16e-4], [5, 5.01]])
    assert len(set(places(states))) == 3
    first, far, second, third, other = places(states)
    assert first == second == third
    assert len({first, far, other}) == 3
    assert len(set(places(states, same=0.1))) == 2
    assert places(states[:1]).tolist() == [0]
    with pytest.raises(ValueError, match="Row 1"):
        places(np.array([[0.0], [np.nan]]))


class Number(Result):
    number: float


def test_what_was_computed_is_read_and_another_identity_computed_anew(tmp_path):
    calls = []

    def make(number):
        calls.append(number)
        return Number(number)

    path = tmp_path / "deep" / "number.npz"
    get = lambda words, number: kept(path, Number, words, lambda: make(number)).number
    assert [get("one", 1.0), get("one", 7.0), get("two", 2.0), get("two", 7.0)] == [1, 1, 2, 2]
    assert calls == [1.0, 2.0]
    path.with_suffix(".txt").unlink()  # killed between the two files
    assert get("two", 3.0) == 3
    assert kept(None, Number, "two", lambda: make(4.0)).number == 4


def recipe(**changes):
    fields = {"cell": "gru", "curriculum": "delay", "number": 0, "units": 5}
    return Recipe(**(fields | {"updates": 18, "batch": 2, "rate": 1e-3} | changes))


def test_every_recipe_has_its_own_draws():
    many = [
        recipe(cell=c, curriculum=k, number=n) for c in CELLS for k in CURRICULA for n in (0, 1)
    ]
    keys = {jr.key_data(one.key(jr.clone(jr.key(0)))).tobytes() for one in many}
    assert len(keys) == len({one.name for one in many}) == 18
    with pytest.raises(ValueError, match=r"'gnu'.*lstm"):
        recipe(cell="gnu")
    with pytest.raises(ValueError, match="vocabulary"):
        recipe(curriculum="words")


def test_the_cells_are_what_they_are_called():
    task = example(jr.key(0))
    for cell, kind in (("gru", GRU), ("lstm", LSTM), ("vanilla", Vanilla)):
        net: Any = blank(recipe(cell=cell), task, key=jr.key(1))
        assert kind is type(net)
        assert (net.input_size, net.output_size) == (task.input_size, task.output_size)
        x = jnp.linspace(-1, 1, net.state_size)
        u = jnp.ones(net.input_size)
        if cell == "vanilla":  # the discrete network
            seen = jnp.tanh(net.recurrent @ x + net.encoder @ u + net.bias)
            assert jnp.allclose(net.step(x, u), seen, atol=1e-6)
        if cell == "gru":
            assert not net.reset_after


@pytest.fixture(scope="module")
def task():
    images = np.random.default_rng(0).uniform(size=(30, 6)).astype(np.float32)
    return DelayedClassification.of(images, np.arange(30) % 10)


@pytest.mark.slow
def test_a_kept_training_is_the_same_and_is_not_done_again(task, tmp_path):
    plain = taught(recipe(), task, key=jr.key(0))
    first = taught(recipe(), task, key=jr.key(0), folder=str(tmp_path))
    file = tmp_path / recipe().name / "training.npz"
    written = file.stat().st_mtime_ns
    second = taught(recipe(), task, key=jr.key(0), folder=str(tmp_path))
    assert file.stat().st_mtime_ns == written
    for other in (first, second):
        pairs = zip(jax.tree.leaves(plain.system), jax.tree.leaves(other.system), strict=True)
        assert all(np.array_equal(a, b) for a, b in pairs)
    with pytest.raises(ValueError, match="another training"):
        taught(recipe(batch=3), task, key=jr.key(0), folder=str(tmp_path))
    sibling = taught(recipe(number=1), task, key=jr.key(0), folder=str(tmp_path))
    assert not np.array_equal(sibling.losses, plain.losses)


def test_networks_are_measured_in_order_once(task, tmp_path, monkeypatch):
    seen = []

    def measure(settings, training, pictures):
        seen.append(training)
        return Number(float(np.abs(training.system.readout).sum()))

    small = Settings(cells=("gru",), networks=2, units=5, updates=18, batch=2)
    monkeypatch.setattr("slowpoint.learning.picture_study.album", lambda data: album("digits"))
    plain = over_networks(small, Number, measure)
    asked = [(one.curriculum, one.number) for one in small.recipes()]
    assert asked == [("delay", 0), ("delay", 1), ("vocabulary", 0), ("vocabulary", 1)]
    assert len({one.number for one in plain}) == 4
    kept_ = small.model_copy(update={"folder": str(tmp_path)})
    for _ in range(2):
        again = over_networks(kept_, Number, measure)
        assert [one.number for one in again] == [one.number for one in plain]
    assert len(seen) == 8  # the second time nothing was measured
    more = kept_.model_copy(update={"networks": 1, "seed": 1})
    with pytest.raises(ValueError, match="another training"):
        over_networks(more, Number, measure)


def test_the_pictures_of_an_experiment():
    pictures = album("digits")
    assert pictures.task.input_size == 65
    assert len(pictures.test.labels) == 360
    assert (pictures.calm, pictures.repeats) == (1, 2)
    small = album("mnist")
    assert small.task.input_size == 785
    assert (small.calm, small.repeats) == (pytest.approx(1 / 3), 1)
    assert small.test.held_out.all()
    fields = {field.name for field in dataclasses.fields(recipe())}
    assert {"units", "updates", "batch", "rate"} <= fields & set(Settings.model_fields)
