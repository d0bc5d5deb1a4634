"""Does a training that was stopped, at any moment, end with the numbers of one left alone?"""

import itertools
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

import slowpoint.learning.checkpoint as checkpoint_module
import slowpoint.learning.descend as descend_module
from slowpoint.learning.checkpoint import Checkpoint
from slowpoint.learning.descend import descend
from slowpoint.learning.grid import Linear
from slowpoint.learning.training import Interrupted

UPDATES = 60_000
ADAM = optax.adam(1e-3)  # one object: compiled once


class Scatter(eqx.Module):
    """A random lesson: pull the weights to a random point."""

    spread: jax.Array
    pull: float = 1.0

    def __call__(self, model, key):
        goal = self.spread * jr.normal(key, model["w"].shape)
        return self.pull * ((jnp.tanh(model["w"] @ model["w"]) - goal) ** 2).mean()


def pick_w(model):
    return model["w"]


def learn(folder=None, *, width=2, seconds=0.0, **changes):
    """The same call every time, but for `changes`."""
    shape = (width, 8, 8) if width else (8, 8)
    settings = {
        "model": {"w": jr.normal(jr.key(7), shape), "constant": jnp.zeros(width)},
        "loss": Scatter(jnp.array(0.5)),
        "updates": UPDATES,
        "key": jr.split(jr.key(0), width) if width else jr.key(0),
        "optimiser": ADAM,
        "snapshots": Linear(7),
        "trainable": pick_w,
    } | changes
    folder = folder and Checkpoint(folder, seconds)
    return descend(settings.pop("model"), settings.pop("loss"), checkpoint=folder, **settings)


def constant(value):
    return {"w": jr.normal(jr.key(7), (2, 8, 8)), "constant": jnp.full(2, value)}


def done_in(path):
    with np.load(path) as file:
        return int(file["done"])


def same(a, b):
    """Whether two trainings agree in every bit."""
    leaves = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(x, y, equal_nan=True) for x, y in leaves)


@pytest.fixture(scope="module")
def undisturbed():
    return learn()


def kill_and_resume(folder, seed):
    """Kill -9 a process that learns, at a moment drawn from `seed`; go on in this one."""
    path = pathlib.Path(folder) / "training.npz"
    child = subprocess.Popen(
        [sys.executable, __file__, str(folder)], env=os.environ, stderr=subprocess.PIPE
    )
    try:
        until = time.monotonic() + 60
        enough = random.Random(seed).uniform(0, 0.7) * UPDATES
        while not (path.exists() and done_in(path) > enough):
            assert child.poll() is None, child.stderr and child.stderr.read().decode()
            assert time.monotonic() < until, "the child never wrote a checkpoint"
            time.sleep(0.003)
    finally:
        child.send_signal(signal.SIGKILL)
        child.communicate()
    assert 0 < done_in(path) < UPDATES  # in the middle, or the test would show nothing
    return learn(folder)


def test_after_a_kill_the_same_call_ends_with_the_same_numbers(undisturbed, tmp_path):
    assert same(kill_and_resume(tmp_path, seed=0), undisturbed)
    left = sorted(p.name for p in tmp_path.iterdir())  # nothing torn
    assert left == ["model.npz", "training.npz"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
def test_after_a_kill_at_five_more_moments(undisturbed, tmp_path, seed):
    assert same(kill_and_resume(tmp_path, seed), undisturbed)


def interrupt(monkeypatch, call):
    """Press Ctrl-C while `call` makes its third stretch of updates."""
    stretch, made = descend_module.stretch, itertools.count(1)

    def pressed(*args):
        after = stretch(*args)
        if next(made) == 3:
            signal.raise_signal(signal.SIGINT)
        return after

    with monkeypatch.context() as patch:
        patch.setattr(descend_module, "stretch", pressed)
        with pytest.raises(Interrupted) as caught:
            call()
    return caught.value


def test_ctrl_c_writes_what_is_done_and_says_how_to_go_on(undisturbed, tmp_path, monkeypatch):
    stopped = interrupt(monkeypatch, lambda: learn(tmp_path, seconds=1000.0))
    done = done_in(tmp_path / "training.npz")
    assert 0 < done < UPDATES
    assert str(tmp_path / "training.npz") in str(stopped)
    assert f"{done} of {UPDATES}" in str(stopped)
    np.testing.assert_array_equal(stopped.training.losses, undisturbed.losses[:, :done])
    assert same(learn(tmp_path), undisturbed)


def test_ctrl_c_without_a_folder_hands_over_what_is_done(undisturbed, monkeypatch):
    stopped = interrupt(monkeypatch, learn)
    done = stopped.training.losses.shape[1]
    assert 0 < done < UPDATES
    np.testing.assert_array_equal(stopped.training.losses, undisturbed.losses[:, :done])
    seen = len(stopped.training.snapshot_updates)
    assert seen == 1 + done // (UPDATES // 6)
    kept = stopped.training.snapshots["w"]
    np.testing.assert_array_equal(kept, undisturbed.snapshots["w"][:, :seen])
    assert "checkpoint=" in str(stopped)


def test_a_finished_training_is_not_made_again(tmp_path, monkeypatch):
    first = learn(tmp_path, updates=20)
    monkeypatch.setattr(descend_module, "stretch", None)
    assert same(learn(tmp_path, updates=20), first)


def test_a_stopped_replicate_stays_stopped_after_a_resume(tmp_path, monkeypatch):
    def cliff(model, key):
        w = model["w"]
        return jnp.where(w > 0.5, jnp.nan, 1.0) * ((w - 1) ** 2 + 0 * jr.uniform(key))

    call = {
        "model": {"w": jnp.array([0.0, -99.0])},
        "loss": cliff,
        "updates": 40,
        "optimiser": optax.sgd(0.05),
    }
    alone = learn(**call)
    assert 0 < alone.stopped[0] < 20
    assert alone.stopped[1] == -1
    _stop_after(20, monkeypatch, lambda: learn(tmp_path, **call))
    assert same(learn(tmp_path, **call), alone)


def test_an_optimiser_that_draws_numbers_resumes_too(tmp_path, monkeypatch):
    def noisy(folder=None):
        noise = optax.add_noise(0.1, 0.5, jr.key(3))
        optimiser = optax.chain(noise, optax.sgd(0.1))
        return learn(folder, updates=40, width=0, optimiser=optimiser)

    alone = noisy()
    _stop_after(20, monkeypatch, lambda: noisy(tmp_path))
    assert same(noisy(tmp_path), alone)


def _stop_after(updates, monkeypatch, call):
    """Interrupt `call` between two stretches, when `updates` or more are done."""
    stretch = descend_module.stretch

    def stubborn(state, rule, keys, span, length):
        if span[0] >= updates:
            raise KeyboardInterrupt
        return stretch(state, rule, keys, span, length)

    with monkeypatch.context() as patch:
        patch.setattr(descend_module, "stretch", stubborn)
        patch.setattr(descend_module, "LONGEST", 10)
        with pytest.raises(Interrupted):
            call()


@pytest.mark.parametrize(
    ("differs", "changes"),
    [
        ("updates: 20 there, 30 here", {"updates": 30}),
        ("key", {"key": jr.split(jr.key(1), 2)}),
        ("first weights", {"model": {"w": jnp.ones((2, 8, 8)), "constant": jnp.zeros(2)}}),
        ("sizes", {"model": {"w": jnp.ones((2, 9, 9)), "constant": jnp.zeros(2)}}),
        ("weights that do not learn", {"model": constant(1.0)}),
        ("snapshots", {"snapshots": Linear(3)}),
        ("stages", {"loss": Scatter(jnp.array(0.6))}),
        ("stages", {"loss": Scatter(jnp.array(0.5), pull=2.0)}),
        ("stages", {"loss": lambda model, key: (model["w"] ** 2).sum()}),
        ("program", {"optimiser": optax.adam(2e-3)}),
        ("program", {"optimiser": optax.sgd(1e-3)}),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(twenty, differs, changes):
    folder, before = twenty
    with pytest.raises(ValueError, match="another folder") as refused:
        learn(folder, **({"updates": 20} | changes))
    assert f"What differs is its {differs}" in str(refused.value)
    assert (folder / "training.npz").read_bytes() == before


@pytest.fixture(scope="module")
def twenty(tmp_path_factory):
    folder = tmp_path_factory.mktemp("twenty")
    learn(folder, updates=20)
    return folder, (folder / "training.npz").read_bytes()


def test_files_that_are_no_checkpoint_are_refused(tmp_path):
    path = tmp_path / "training.npz"
    np.savez(path, weights=np.ones(3))
    with pytest.raises(ValueError, match="no checkpoint"):
        learn(tmp_path, updates=20)
    path.write_bytes(b"not a zip file")
    with pytest.raises(ValueError, match="no checkpoint"):
        learn(tmp_path, updates=20)
    np.savez(path, about=np.array(json.dumps({"format": 99, "identity": {}})))
    with pytest.raises(ValueError, match="pip install --upgrade"):
        learn(tmp_path, updates=20)


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    def full(*args, **arrays):
        raise OSError(28, "No space left on device")

    _stop_after(20, monkeypatch, lambda: learn(tmp_path, updates=40))
    before = (tmp_path / "training.npz").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_module.np, "savez", full)
        with pytest.raises(OSError, match="No space"):
            learn(tmp_path, updates=40)
    assert (tmp_path / "training.npz").read_bytes() == before
    assert same(learn(tmp_path, updates=40), learn(updates=40))


if __name__ == "__main__":  # the child that is killed: short stretches, so it writes often
    descend_module.PAUSE = 0.01
    learn(pathlib.Path(sys.argv[1]))
