"""Is a training in a closed loop seen as it is, from its folder, also while it runs?"""

import dataclasses
import json
import shutil

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from typer.testing import CliRunner

import slowpoint.learning.descend as descend_module
from slowpoint.analysis.eigenvalue_paths import eigenvalue_paths
from slowpoint.analysis.loop_goal import find_goals, near, push
from slowpoint.analysis.loop_history import loop_history, LoopHistory
from slowpoint.cells.gru import GRU
from slowpoint.cells.linear import Linear as LinearNet
from slowpoint.cells.low_rank import LowRank
from slowpoint.cells.vanilla import Vanilla
from slowpoint.cli import app
from slowpoint.core.closed_loop import ClosedLoop
from slowpoint.core.nonlinearity import identity
from slowpoint.core.precision import float64
from slowpoint.core.rollout import rollout
from slowpoint.core.system import Map
from slowpoint.core.with_effort import WithEffort
from slowpoint.learning.checkpoint import Checkpoint, opened
from slowpoint.learning.descend import descend
from slowpoint.learning.grid import Linear
from slowpoint.learning.reopen import reopen
from slowpoint.learning.train import TaskLoss, train
from slowpoint.learning.training import Interrupted, Training
from slowpoint.report.monitor import monitor
from slowpoint.tasks.flipflop import FlipFlop
from slowpoint.tasks.reach import Reach
from slowpoint.tasks.regulate import Box, Regulate
from slowpoint.theory.loop_spectrum import (
    command,
    coupled_matrices,
    effective_matrix,
    loop_overlaps,
)
from slowpoint.worlds.double_integrator import DoubleIntegrator
from slowpoint.worlds.integrator_chain import IntegratorChain
from slowpoint.worlds.linear_plant import LinearPlant
from slowpoint.worlds.two_joint_arm import TwoJointArm

CLIPPED = optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(1e-2))
TASK = Regulate.mean_square(Box(half_width=1.0), steps=30)
UPDATES, LOOKS = 60, Linear(21)


def agent(units=12, seed=0):
    return Vanilla.random(units, 1, 1, gain=0.3, dt=1.0, key=jr.key(seed))


LOOP = WithEffort(ClosedLoop(DoubleIntegrator(), agent()))


def learn(folder, model=LOOP, **changes):
    """The same call every time, but for `changes`."""
    options = {"updates": UPDATES, "batch": 8, "optimiser": CLIPPED, "snapshots": LOOKS}
    return train(model, TASK, key=jr.key(1), checkpoint=folder, **(options | changes))


def same(a, b):
    leaves = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(x, y, equal_nan=True) for x, y in leaves)


def interrupt_at(monkeypatch, update):
    """Ctrl-C as soon as the training is that far."""
    stretch = descend_module.stretch

    def stop(state, rule, keys, span, length):
        if span[0] >= update:
            raise KeyboardInterrupt
        return stretch(state, rule, keys, span, length)

    stop.lower = stretch.lower
    monkeypatch.setattr(descend_module, "stretch", stop)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """`(folder, training)` of a training that was left alone."""
    folder = tmp_path_factory.mktemp("runs") / "control"
    return folder, learn(folder)


# ---------------------------------------------------------------- the folder


def test_a_finished_training_is_read_back(finished):
    folder, training = finished
    found = reopen(folder)
    assert (found.done, found.updates) == (UPDATES, UPDATES)
    assert same(found.training, training)
    assert found.trials.start.shape == (10, 2)
    assert np.unique(found.trials.start).size == 20


def test_a_training_is_read_while_it_is_interrupted_and_goes_on_unharmed(
    finished, tmp_path, monkeypatch
):
    """Half way: all snapshots so far, and the weights as they are, between two of them."""
    with monkeypatch.context() as patch:
        patch.setattr(descend_module, "PAUSE", 0.0)  # a look at the clock at every update
        interrupt_at(patch, 31)
        with pytest.raises(Interrupted) as stopped:
            learn(Checkpoint(tmp_path / "it", 0.0))
    found = reopen(tmp_path / "it")
    done = found.done
    assert done == 31
    assert found.training.snapshot_updates.tolist() == [*range(0, done, 3), done]
    assert np.array_equal(found.training.losses, finished[1].losses[:done])
    assert same(found.training.system, stopped.value.training.system)
    assert same(found.training.snapshot(-1), found.training.system)
    before = {p.name: p.read_bytes() for p in (tmp_path / "it").iterdir()}
    _, lines = monitor(tmp_path / "it", tmp_path / "page")
    assert f"{done} of {UPDATES} updates." in lines
    assert {p.name: p.read_bytes() for p in (tmp_path / "it").iterdir()} == before
    assert same(learn(tmp_path / "it"), finished[1])
    assert reopen(tmp_path / "it").done == UPDATES


def test_what_is_read_stays_whole_when_the_training_writes_on(tmp_path):
    """Arrays come from one file, although another takes its place while they are read."""
    learn(tmp_path, updates=6)
    file, _ = opened(tmp_path / "training.npz")
    shutil.copy(tmp_path / "training.npz", tmp_path / "next")
    with (tmp_path / "next").open("r+b") as other:
        other.truncate(100)
    (tmp_path / "next").replace(tmp_path / "training.npz")
    with file:
        assert all(np.isfinite(file["losses"]))


@pytest.mark.slow
def test_an_ensemble_is_read_back(tmp_path):
    many = eqx.filter_vmap(lambda key: ClosedLoop(DoubleIntegrator(), net(key)))
    loops = WithEffort(many(jr.split(jr.key(0), 2)))
    options = {"updates": 6, "batch": 4, "snapshots": Linear(3), "checkpoint": tmp_path}
    training = train(loops, TASK, key=jr.split(jr.key(1), 2), **options)
    assert same(reopen(tmp_path).training, training)
    _, lines = monitor(tmp_path, tmp_path / "page", replicate=1)
    assert "Of 2 replicates this is 1." in lines
    with pytest.raises(ValueError, match="there are 2, 0 to 1"):
        monitor(tmp_path, tmp_path / "page", replicate=2)
    with pytest.raises(ValueError, match="replicate"):
        loop_history(training)


def net(key):
    return Vanilla.random(6, 1, 1, gain=0.3, dt=1.0, key=key)


class Foreign(Map):
    """A cell of somebody else."""

    gain: jax.Array
    state_size: int = eqx.field(static=True, default=1)
    input_size: int = eqx.field(static=True, default=1)
    output_size: int = eqx.field(static=True, default=1)
    dt: float = eqx.field(static=True, default=1.0)

    def step(self, x, u):
        return self.gain * u

    def output(self, x):
        return x


def test_a_model_without_a_name_is_given_in_python(tmp_path):
    loop = WithEffort(ClosedLoop(DoubleIntegrator(), Foreign(jnp.array([-0.05]))))
    training = learn(tmp_path, loop, updates=6, snapshots=Linear(3))
    with pytest.raises(ValueError, match=r"Foreign cannot .*In Python give it"):
        reopen(tmp_path)
    assert same(reopen(tmp_path, loop).training, training)
    assert monitor(tmp_path, tmp_path / "page", model=loop)[0].exists()
    with pytest.raises(ValueError, match=r"is of another model: loop\.agent\.gain learns"):
        reopen(tmp_path, LOOP)


def test_another_shape_is_told(finished):
    other = WithEffort(ClosedLoop(DoubleIntegrator(), agent(5)))
    with pytest.raises(ValueError, match=r"has shape \(12, 12\), here \(5, 5\)"):
        reopen(finished[0], other)


# ---------------------------------------------------------------- what to type


def refusal(*words):
    done = CliRunner().invoke(app, ["monitor", *map(str, words)])
    assert done.exit_code == 2
    return done.output


def test_a_folder_that_is_no_training_is_told(finished, tmp_path):
    assert 'checkpoint="' in refusal(tmp_path)
    assert f"one in {finished[0]}" in refusal(finished[0].parent)
    (tmp_path / "training.npz").write_bytes(b"nonsense")
    assert "no checkpoint of a training" in refusal(tmp_path)


@pytest.mark.slow
def test_a_training_of_something_else_is_told(tmp_path):
    task = FlipFlop(bits=1, steps=8)
    system = GRU.random(4, task.input_size, task.output_size, key=jr.key(0))
    train(system, task, updates=2, batch=2, key=jr.key(1), checkpoint=tmp_path)
    assert "This is a GRU, without a closed loop" in refusal(tmp_path)
    loss = lambda model, key: (model["w"] ** 2).sum()
    weights = {"w": jnp.ones(2)}
    descend(weights, loss, updates=2, key=jr.key(1), checkpoint=tmp_path / "other")
    assert "cannot be written" in refusal(tmp_path / "other")


def test_a_folder_of_two_trainings_is_told(finished, tmp_path):
    shutil.copytree(finished[0], tmp_path / "mixed")
    learn(tmp_path / "b", updates=4)
    shutil.copy(tmp_path / "b" / "model.npz", tmp_path / "mixed" / "model.npz")
    assert "of another training" in refusal(tmp_path / "mixed")
    (tmp_path / "mixed" / "model.npz").unlink()
    assert "the model is not known" in refusal(tmp_path / "mixed")


def test_the_training_is_never_replaced_by_the_page(finished):
    for out in (finished[0], finished[0].parent):
        assert "holds the training" in refusal(finished[0], "--out", out)


def test_a_file_of_a_later_version_is_told(finished, tmp_path):
    for name in ("model.npz", "training.npz"):
        folder = tmp_path / name
        shutil.copytree(finished[0], folder)
        with np.load(folder / name) as file:
            arrays = dict(file)
        about = json.loads(str(arrays.pop("about"))) | {"format": 99}
        np.savez(folder / name, about=np.array(json.dumps(about)), **arrays)
        assert "has format 99" in refusal(folder)


def test_the_command_leaves_a_page_a_figure_and_a_result(finished, tmp_path):
    words = ["monitor", str(finished[0]), "--out", str(tmp_path / "page")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0].startswith("Stage ")
    assert lines[-1] == str(tmp_path / "page" / "report.html")
    history = LoopHistory.load(tmp_path / "page" / "history.npz")
    again = loop_history(finished[1], reopen(finished[0]).trials)
    for name in ("losses", "updates", "radius", "eigenvalues", "gain", "push", "stage"):
        assert np.array_equal(getattr(history, name), getattr(again, name)), name
    page = (tmp_path / "page" / "report.html").read_text()
    assert "unit circle" in page
    assert "What is" in page
    assert (tmp_path / "page" / "figure.png").stat().st_size > 10_000


# ---------------------------------------------------------------- what is seen


def test_spectra_are_those_of_theory(finished):
    """A linear loop at rest: the coupled matrix of every snapshot."""
    with float64():
        low = LowRank.random(8, 1, 1, dt=1.0, key=jr.key(3))
        low = dataclasses.replace(low, scale=1.0, nonlinearity=identity)
        loop = ClosedLoop(DoubleIntegrator(), low)
        training = train(
            WithEffort(loop), TASK, updates=6, batch=4, key=jr.key(1), snapshots=Linear(7)
        )
    history = loop_history(training)
    with float64():
        matrices = coupled_matrices(training.snapshots.loop)
    expected = np.linalg.eigvals(matrices)
    assert np.allclose(history.radius, np.abs(expected).max(axis=1), rtol=1e-9)
    for row, known in zip(history.eigenvalues, expected, strict=True):
        assert np.allclose(np.sort(np.abs(row)), np.sort(np.abs(known)), atol=1e-6)


def test_the_gain_is_the_one_of_theory():
    r"""$K = [\sum U M_t (E^T M_t)^T][\sum E^T M_t (E^T M_t)^T]^{-1}$, isotropic starts."""
    with float64():
        low = LowRank.random(8, 1, 1, dt=1.0, key=jr.key(3))
        low = dataclasses.replace(low, scale=0.1, nonlinearity=identity)
        history = loop_history(still(ClosedLoop(DoubleIntegrator(), low)))
        overlaps = loop_overlaps(low)
    matrix, row = effective_matrix(overlaps), command(overlaps)
    powers = [np.linalg.matrix_power(matrix, t)[:, :2] for t in range(1, 50)]
    across = sum(row @ m @ m[:2].T for m in powers)
    square = sum(m[:2] @ m[:2].T for m in powers)
    assert np.allclose(history.gain[0], across @ np.linalg.inv(square), rtol=1e-6)


def still(model):
    """A training that learned nothing: two equal snapshots."""
    twice = jax.tree.map(lambda a: jnp.stack([a, a]) if eqx.is_array(a) else a, model)
    return Training(model, np.ones(3), twice, np.array([0, 3]), np.array(-1))


def gain_agent(k):
    """An agent that shows K times the world's whole state, one step late."""
    k = jnp.asarray(k, float)
    efforts = len(k)
    return LinearNet(
        jnp.zeros((efforts, efforts)), k, jnp.zeros(efforts), jnp.eye(efforts), dt=1.0
    )


@pytest.mark.parametrize("first", ["world", "agent"])
def test_efforts_belong_to_the_states_they_act_on(first):
    """An agent that copies K x is found as K, in either order; nothing is left."""
    with float64():
        world = LinearPlant(
            jnp.array([[1.0, 1.0], [0.0, 1.0]]), jnp.array([[0.0], [1.0]]), jnp.eye(2)
        )
        loop = ClosedLoop(world, gain_agent([[-0.2, -0.7]]), first=first)
        history = loop_history(still(loop))
    assert np.allclose(history.gain, [[[-0.2, -0.7]]], atol=1e-9)
    assert np.abs(history.unexplained).max() < 1e-12
    known = np.array([[1.0, 1.0], [-0.2, 0.3]])
    assert history.radius == pytest.approx(np.abs(np.linalg.eigvals(known)).max())
    assert history.push == pytest.approx([-0.2, -0.2])
    assert history.stage.tolist() == [3, 3]


def late(delay):
    shift = jnp.array([[1.0, 1.0], [0.0, 1.0]]), jnp.array([[0.0], [1.0]])
    return LinearPlant(*shift, jnp.array([[1.0, 0.0]]), delay=delay)


@pytest.mark.parametrize(
    ("world", "gain", "expected"),
    [
        (DoubleIntegrator(), [[-0.3, 5.0]], -0.3),
        (DoubleIntegrator(dt=0.1), [[-0.3, 5.0]], -0.003),
        (IntegratorChain(3), [[0.2, 1.0, 1.0]], 0.2 * 50**2 / 3 / 49),  # T^3 / 6 from rest
        (late(2), [[-0.3, 0, 0, 0]], -0.3 * 48 * 47 / 50 / 49),
    ],
    ids=["k1", "ticks", "chain", "late"],
)
def test_the_push_is_the_position_gain(world, gain, expected):
    found = push(world, np.zeros(world.state_size), np.array(gain), 50)
    assert found == pytest.approx(expected)


def test_a_world_that_returns_by_itself_needs_no_push():
    plant = LinearPlant(jnp.array([[0.5]]), jnp.array([[1.0]]), jnp.array([[1.0]]))
    with float64():
        history = loop_history(still(ClosedLoop(plant, gain_agent([[0.1]]))))
    assert np.isneginf(history.push).all()
    assert (history.first_end, history.second_end) == (0, 0)


def test_eigenvalues_keep_their_columns():
    """Two that cross and one that turns, shuffled in every row."""
    time = np.linspace(0, 1, 30)
    paths = np.stack([time, 1 - time + 0.2j, 2 * np.exp(1j * time)], axis=1)
    draw = np.random.default_rng(0)
    shuffled = np.stack([row[draw.permutation(3)] for row in paths])
    found = eigenvalue_paths(shuffled)
    order = np.argsort(-np.abs(paths[-1]))
    assert np.array_equal(found, paths[:, order])
    shuffled[4] = np.nan
    assert np.array_equal(eigenvalue_paths(shuffled)[5:], found[5:])


# ---------------------------------------------------------------- the arm


def arm_loop(seed=0, units=8):
    network = GRU.random(units, 4, 2, key=jr.key(seed))
    return WithEffort(ClosedLoop(TwoJointArm(), network), shows="output")


@pytest.mark.slow
def test_the_goal_of_a_reach_is_the_posture_that_shows_it():
    task = Reach(steps=60)
    with float64():
        goals = find_goals(arm_loop(), task.every(8))
        arm = TwoJointArm()
        known = jax.vmap(arm.posture)(jnp.asarray(goals.holds[:8]))
        assert np.allclose(goals.states[:8, :2], known, atol=1e-9)
        assert np.abs(goals.states[:, 2:]).max() < 1e-12
        assert goals.misses.max() < 1e-12
        assert goals.starts.shape == (12, 4)  # 8 reaches, and two for each speed
        assert np.abs(np.asarray(goals.starts - goals.states)[8:, 2:]).max() > 0.1


@pytest.mark.slow
def test_the_joint_step_of_the_arm_is_linearised_where_the_agent_has_settled():
    """Against steps of the loop itself; the arm held still by an agent that is at rest."""
    model = arm_loop()
    with float64():
        goals = find_goals(model, Reach(steps=60).every(3))
        loop = model.loop
        look = near(loop, goals, (0, 2))
        world, hold = jnp.asarray(goals.states[2]), jnp.asarray(goals.holds[2])
        seen = jnp.concatenate([loop.world.output(world), hold])
        h = rollout(loop.agent, jnp.zeros(8), jnp.tile(seen, (2000, 1))).states[-1]
        joint, size = jnp.concatenate([world, h]), 1e-6
        columns = [
            (loop.step(joint + size * e, hold) - loop.step(joint - size * e, hold)) / 2 / size
            for e in jnp.eye(12)
        ]
    assert np.allclose(look.jacobians[1], np.stack(columns, axis=1), atol=1e-7)


@pytest.mark.slow
def test_a_training_of_the_arm_becomes_a_page(tmp_path):
    task = Reach(steps=20, movement=0.1)
    options = {"updates": 4, "batch": 4, "snapshots": Linear(3)}
    train(arm_loop(), task, key=jr.key(1), checkpoint=tmp_path / "arm", **options)
    page, lines = monitor(tmp_path / "arm", tmp_path / "page")
    assert page.exists()
    assert any("3 snapshots" in line for line in lines)
    history = LoopHistory.load(tmp_path / "page" / "history.npz")
    assert history.gain.shape == (3, 2, 4)
    assert np.isfinite(history.radius).all()
    assert history.goal[:2] == pytest.approx([np.pi / 4, np.pi / 2], abs=0.5)


# ---------------------------------------------------------------- trainings that end badly


def test_a_training_that_diverged_is_a_value(tmp_path):
    """The weights stay at their last good values; the history says when they were lost."""

    def loss(model, key):
        value = TaskLoss(TASK, 4)(model, key)
        size = jnp.abs(model.loop.agent.readout_bias).sum()
        return jnp.where(size > 0, jnp.nan, value)

    options = {"updates": 9, "optimiser": CLIPPED, "snapshots": Linear(4)}
    descend(LOOP, loss, key=jr.key(0), checkpoint=tmp_path / "it", **options)
    _, lines = monitor(tmp_path / "it", tmp_path / "page")
    assert lines[0].startswith("Diverged: the snapshot at update 3")
    assert any("the loss has no task" in line for line in lines)
    history = LoopHistory.load(tmp_path / "page" / "history.npz")
    assert (history.diverged, history.second_end) == (3, -1)


def test_runs_that_leave_the_numbers_are_cut_until_they_tell_a_gain():
    """A loop that grows 300-fold a tick: its gain is that of the first ticks."""
    with float64():
        world = LinearPlant(
            jnp.array([[1.0, 1.0], [0.0, 1.0]]), jnp.array([[0.0], [1.0]]), jnp.eye(2)
        )
        trials = jax.vmap(Regulate(Box(), steps=300).trial)(jr.split(jr.key(0), 10))
        loop = WithEffort(ClosedLoop(world, gain_agent([[1e5, -0.7]])))
        history = loop_history(still(loop), trials)
    assert history.radius[0] > 300
    assert np.allclose(history.gain[0], [[1e5, -0.7]], rtol=1e-3)
