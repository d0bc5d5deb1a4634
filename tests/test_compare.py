"""Are two files compared as theory and the networks themselves say?"""

import dataclasses

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from typer.testing import CliRunner

from slowpoint.cells.gru import GRU
from slowpoint.cells.low_rank import LowRank
from slowpoint.cells.vanilla import Vanilla
from slowpoint.cli import app
from slowpoint.core.nonlinearity import erf, identity, relu, tanh
from slowpoint.core.precision import float64, to_numpy, widen
from slowpoint.core.rollout import rollout
from slowpoint.core.wrap import Sampled
from slowpoint.report.asked import settings_of, task_named
from slowpoint.report.compare_file import compare_files
from slowpoint.report.compared import Comparison
from slowpoint.report.comparison import compare, matched, Plan
from slowpoint.report.comparison_page import doubts_of, not_gaussian, said
from slowpoint.tasks.decide import Decide
from slowpoint.tasks.flipflop import FlipFlop, Intervals
from slowpoint.theory.overlaps import as_network, Dims, overlaps, rank_one, realise
from slowpoint.weights.cut import as_low_rank
from slowpoint.weights.save import save

TASK = Decide(fixation=0.5, stimulus=2.0, delay=0.5, response=1.0, dt=0.25)
ONE = rank_one(zm=0.3, zu=0.2, vm=0.4, vu=0.4, mu=0.2, zv=0.1)
TWIN = rank_one(zm=0.3, zu=0.2, vm=0.4, vu=0.4, mu=0.8, zv=0.1, uu=2.0)  # same function
PLAN = Plan(eta=0.02, steps=40, trials=4)


def network(sigma, units=60, seed=0, phi=identity, dt=0.25):
    with float64():
        columns = realise(sigma, units, jr.key(seed))
        return to_numpy(as_network(columns, Dims(), dt, phi))


def bare():
    """A network with a nonlinearity of which nothing is known."""
    made = LowRank.random(9, 1, 1, dt=0.25, key=jr.key(0))
    return dataclasses.replace(made, nonlinearity=jnp.sin)


def answers(system, inputs):
    with float64():
        return np.asarray(rollout(widen(system), jnp.zeros(0), jnp.asarray(inputs)).outputs)


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape)


@pytest.fixture(scope="module")
def twins():
    return compare(network(ONE), network(TWIN, 60, 1), TASK, key=jr.key(0), plan=PLAN)


# ---------------------------------------------------------------- the cut


def low_rank_matrix(units, *values):
    left, right = (np.linalg.qr(draw(units, len(values)) + i)[0] for i in range(2))
    return left * np.array(values) @ right.T


def vanilla(w, form="current", dt=0.25, phi=tanh, **changes):
    units = len(w)
    with float64():
        made = Vanilla(
            jnp.asarray(w),
            jnp.asarray(draw(units, 2)),
            jnp.zeros(units),
            jnp.asarray(draw(3, units) / units),
            jnp.zeros(3),
            dt=dt,
            form=form,
            nonlinearity=phi,
        )
        wide = {name: jnp.asarray(value) for name, value in changes.items()}
        return to_numpy(dataclasses.replace(made, **wide))


def test_a_cut_that_leaves_nothing_out_answers_alike():
    inputs, w = draw(30, 2), low_rank_matrix(12, 2.0, 0.7)
    for system in (vanilla(w), Sampled(vanilla(w, "rate", 1.0), tick=0.1)):
        cut = as_low_rank(system, 2)
        assert cut.rest < 1e-28
        assert cut.network.scale is None
        assert np.abs(answers(cut.network, inputs) - answers(system, inputs)).max() < 1e-13
        norms = [np.linalg.norm(a, axis=0) for a in (cut.network.left, cut.network.right)]
        assert np.allclose(*norms)
    assert np.abs(answers(as_low_rank(vanilla(w), 1).network, inputs)).max() > 0


def test_a_cut_is_the_nearest_and_says_what_is_left_out():
    w = low_rank_matrix(12, 3.0, 2.0, 1.0)
    cut = as_low_rank(vanilla(w), 2)
    assert cut.rest == pytest.approx(1 / 14)
    kept = cut.network.left @ cut.network.right.T / 12
    assert np.linalg.norm(w - kept) == pytest.approx(1.0)
    with float64():
        m, z = jnp.asarray(draw(12, 2)), jnp.asarray(draw(12, 1))
        wide = LowRank(m, jnp.asarray(cut.network.left), jnp.asarray(cut.network.right), z)
        wide = to_numpy(wide)
    again = as_low_rank(wide, 1)
    assert again.rest == pytest.approx(4 / 13)
    assert as_low_rank(wide).rest == 0


@pytest.mark.parametrize("scale", [1.0, -0.3])
def test_another_scale_is_rewritten(scale):
    with float64():
        parts = [jnp.asarray(draw(9, k) / 3) for k in (1, 2, 2, 1)]
        given = to_numpy(LowRank(*parts, scale=scale))
    cut = as_low_rank(given)
    inputs = draw(20, 1)
    assert np.abs(answers(given, inputs) - answers(cut.network, inputs)).max() < 1e-12
    assert "1/N" in cut.notes[0]


def test_what_is_dropped_is_said():
    w = low_rank_matrix(8, 1.0)
    changes = {"bias": np.full(8, 0.5), "initial_state": np.ones(8)}
    lost = as_low_rank(vanilla(w, **changes), 1).lost
    share = np.linalg.norm(np.full(8, 0.5)) / np.hypot(1.0, np.linalg.norm(draw(8, 2)))
    assert f"norm 1.41, {share:.2%}" in lost[0]
    assert "initial state" in lost[1]
    assert as_low_rank(vanilla(w), 1).lost == ()


@pytest.mark.parametrize(
    ("system", "rank", "says"),
    [
        (vanilla(low_rank_matrix(8, 2.0, 1.0)), None, r"begin 2, 1, .*--rank 1"),
        (vanilla(low_rank_matrix(8, 2.0)), 9, "ranks 1 to 8"),
        (vanilla(low_rank_matrix(8, 2.0), "rate"), 1, "in rates with steps of 0.25"),
        (GRU.random(4, 1, 1, key=jr.key(0)), 1, "GRU: overlaps describe"),
    ],
    ids=["rank", "high", "rates", "gru"],
)
def test_what_has_no_cut_is_refused(system, rank, says):
    with pytest.raises(ValueError, match=says):
        as_low_rank(system, rank)


# ---------------------------------------------------------------- the comparison


def test_twins_answer_alike_and_learn_apart(twins):
    found = twins.comparison
    assert found.equal
    assert max(found.outputs_apart, found.coordinates_apart) < 1e-12
    assert set(found.names[found.differ]) == {"mu", "uu"}
    assert set(found.names[found.seen]) == {"zm", "zu", "vm", "vu"}
    assert found.losses[0, 0] == pytest.approx(found.losses[1, 0], rel=1e-12)
    assert found.losses[1, -1] < 0.99 * found.losses[0, -1]


def test_overlaps_predict_the_networks(twins):
    found = twins.comparison
    assert found.simulated.shape == found.losses.shape == (2, 41)
    assert found.learning_errors.max() < 1e-11
    assert found.theory_errors.max() < 1e-12
    assert found.cut_errors.max() == 0
    assert doubts_of(twins) == []


def test_halves_are_counted():
    losses = np.array([[1.0, 0.6, 0.4], [2.0, 1.0, 0.9]])
    empty = np.zeros((2, 0))
    nothing = {f.name: empty for f in dataclasses.fields(Comparison)}
    flat = {"names": np.array([]), "seen": np.zeros(0, bool), "sizes": np.zeros(0)}
    cubes = dict.fromkeys(("given", "answers", "theory"), np.zeros((2, 0, 0, 0)))
    others = {"targets": np.zeros((0, 0, 0)), "rest": np.zeros(2), "tolerance": 0.1}
    made = Comparison(**nothing | flat | cubes | others | {"losses": losses})
    assert made.updates_to(0.5).tolist()[0] == 2
    assert np.isnan(made.updates_to(0.5)[1])


def test_signs_and_order_of_ranks_do_not_count():
    dims = Dims(3, 2, 1)
    columns = draw(50, dims.size)
    turned = columns.copy()
    turn = np.linalg.qr(draw(3, 3))[0]
    turned[:, dims.u], turned[:, dims.v] = columns[:, dims.u] @ turn, columns[:, dims.v] @ turn
    with float64():
        one, other = (np.asarray(overlaps(c)) for c in (columns, turned))
    assert np.abs(one - other).max() > 0.1
    assert np.allclose(matched(other, one, dims), one)
    assert np.array_equal(matched(one, one, dims), one)


def test_a_nonlinear_pair_differs_where_a_linear_one_does_not():
    plan = dataclasses.replace(PLAN, steps=5)
    pair = network(ONE, 60, 0, erf), network(TWIN, 60, 1, erf)
    shown = compare(*pair, TASK, key=jr.key(0), plan=plan).comparison
    assert not shown.equal  # mu and uu are part of the function here
    assert set(shown.names[~shown.seen]) == {"vv", "zv", "zz"}
    assert shown.learning_errors.max() < 0.1


def test_doubts_are_told_with_numbers(twins):
    found = twins.comparison
    rising = dataclasses.replace(found, losses=found.losses[:, ::-1])
    assert sum("--eta 0.002" in w for w in doubts_of(with_(twins, rising))) == 2
    half = found.answers * np.array([1, 0.5])[:, None, None, None]
    off = dataclasses.replace(found, answers=half)
    words = doubts_of(with_(twins, off))
    assert [w.partition(" ")[0] for w in words] == ["B", "B:"]
    assert all("0.5 (relative)" in w for w in words)
    assert not off.equal
    assert said(off)[0].startswith("Overlaps say they answer alike")
    other = found.coordinates * np.array([[1], [2]])
    apart = dataclasses.replace(found, coordinates=other)
    assert apart.coordinates_apart == pytest.approx(0.5)
    assert said(apart)[0].startswith("This task does not tell them apart")


def with_(compared, comparison):
    return dataclasses.replace(compared, comparison=comparison)


def test_weights_that_are_not_gaussian_are_seen():
    with float64():
        parts = [jnp.asarray(draw(400, 4)[:, [i]]) for i in range(4)]
        plain = LowRank(*parts)
        heavy = to_numpy(dataclasses.replace(plain, readout=plain.readout**5))
        shifted = to_numpy(dataclasses.replace(plain, left=plain.left + 1))
    assert not_gaussian(to_numpy(plain)) == []
    assert "kurtosis" in not_gaussian(heavy)[0]
    assert "mean" in not_gaussian(shifted)[0]


@pytest.mark.parametrize(
    ("a", "b", "task", "says"),
    [
        (network(ONE), network(ONE), FlipFlop(bits=2), "A has 1 inputs and 1 outputs"),
        (network(ONE), network(ONE, dt=0.1), TASK, "A takes steps of 0.25, B of 0.1"),
        (network(ONE, phi=relu), network(ONE), TASK, "A: no gain is known for relu"),
        (bare(), network(ONE), TASK, "A: no gain is known"),
        (
            network(ONE),
            LowRank.random(9, 1, 1, rank=2, dt=0.25, key=jr.key(0)),
            TASK,
            "Type: --rank 1",
        ),
    ],
    ids=["sizes", "dt", "gain", "function", "rank"],
)
def test_what_cannot_be_compared_is_refused(a, b, task, says):
    with pytest.raises(ValueError, match=says):
        compare(a, b, task, key=jr.key(0))


# ---------------------------------------------------------------- words


def test_a_task_is_made_of_words():
    words = ["bits=1", "timing=Intervals", "timing.dt=0.1", "amplitude=2"]
    task = task_named("flipflop", words)
    assert isinstance(task, FlipFlop)
    assert isinstance(task.timing, Intervals)
    assert (task.bits, task.timing.dt, task.amplitude, task.steps) == (1, 0.1, 2.0, 64)
    assert {"bits=1", "timing=Intervals", "timing.dt=0.1"} <= set(settings_of(task))
    assert task_named("flipflop", ["timing.repeats=3"]).timing.repeats == 3
    assert task_named("decide", ["levels=1,4", "graded=False"]).levels == (1, 4)


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("flipflp", "bits=1", "Did you mean 'flipflop'"),
        ("flipflop", "bits", "is not KEY=VALUE"),
        ("flipflop", "bit=1", "Did you mean 'bits'"),
        ("flipflop", "bits=1.5", "bits=1.5: it takes values like 3"),
        ("flipflop", "timing=Interval", "Did you mean 'Intervals'"),
        ("flipflop", "timing.probabilty=1", "No setting 'timing.probabilty'"),
        ("flipflop", "bits.dt=1", "has no parts"),
        ("decide", "graded=1", "graded=1: it takes values like True"),
        ("imitate", "x=1", "No setting 'x'"),
        ("imitate", "teacher=1", "needs"),
    ],
)
def test_a_wrong_word_is_answered(name, change, says):
    with pytest.raises(ValueError, match=says):
        task_named(name, [change])


def test_two_files_become_a_page(tmp_path, twins):
    a, b, out = tmp_path / "a.safetensors", tmp_path / "b.safetensors", tmp_path / "out"
    save(network(ONE), a)
    save(network(TWIN, 60, 1), b)
    page, lines = compare_files(a, b, TASK, out, key=jr.key(0), plan=PLAN)
    assert lines[0].startswith("Equal in function")
    assert any("mu 0.2 / 0.8, uu 1 / 2" in line for line in lines)
    assert {f.name for f in out.iterdir()} == {"comparison.npz", "figure.png", "report.html"}
    again = Comparison.load(out / "comparison.npz")
    assert np.allclose(again.losses, twins.comparison.losses, rtol=1e-12)
    text = page.read_text()
    assert "a.safetensors and b.safetensors" in text
    assert all(line in text for line in said(again)[:1])


def test_the_command_says_what_to_type(tmp_path):
    a = tmp_path / "a.safetensors"
    save(vanilla(low_rank_matrix(8, 2.0, 1.0)), a)
    words = ["compare", str(a), str(a), "--task", "decide", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert "A: a full recurrent matrix (8 x 8)" in done.output
    assert "--rank 1" in done.output
    assert not (tmp_path / "out").exists()
