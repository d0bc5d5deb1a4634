"""Does learning end where paper says it must, and leave alone what it must?"""

import io
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from slowpoint.cells.gru import GRU
from slowpoint.cells.linear import Linear as LinearNetwork
from slowpoint.core.closed_loop import ClosedLoop
from slowpoint.core.rollout import rollout
from slowpoint.core.trial import Task, Trial, weighted_mse
from slowpoint.core.wrap import Delayed, Noisy
from slowpoint.learning.descend import descend
from slowpoint.learning.grid import At, Linear, Logarithmic
from slowpoint.learning.train import TaskLoss, train

TRACES = []  # one entry for each time that Integrate is traced


class Integrate(Task):
    """Add up the inputs; `gain` is a field of arrays, so stages may differ in it."""

    gain: jax.Array
    input_size: int = eqx.field(static=True, default=2)
    output_size: int = eqx.field(static=True, default=2)
    steps: int = eqx.field(static=True, default=7)

    def trial(self, key):
        inputs = self.gain * jr.normal(key, (self.steps, self.input_size))
        targets = jnp.cumsum(inputs, axis=0)[:, : self.output_size]
        return Trial(jnp.zeros(0), inputs, targets, jnp.ones(self.steps))

    def loss(self, trial, trajectory):
        TRACES.append(1)
        return weighted_mse(trial, trajectory)


def integrate(gain=0.3, **sizes):
    return Integrate(jnp.array(gain), **sizes)


def nets(keys):
    return eqx.filter_vmap(lambda key: GRU.random(4, 2, 2, key=key))(keys)


def bowl(x, key):
    """Half the squared distance from (1, -2): the gradient is that distance."""
    del key
    return 0.5 * ((x - jnp.array([1.0, -2.0])) ** 2).sum()


def test_gradient_descent_in_a_bowl_is_a_geometric_series():
    rate, updates = 0.1, 40
    done = descend(
        jnp.zeros(2),
        bowl,
        updates=updates,
        key=jr.key(0),
        optimiser=optax.sgd(rate),
        snapshots=Linear(5),
    )
    left = (1 - rate) ** np.arange(updates)
    np.testing.assert_allclose(done.losses, 2.5 * left**2, rtol=1e-5)
    left = (1 - rate) ** np.array([0, 10, 20, 30, 40])
    expected = (1 - left)[:, None] * np.array([1.0, -2.0])
    np.testing.assert_allclose(done.snapshots, expected, atol=1e-6)
    np.testing.assert_allclose(done.system, expected[-1], atol=1e-6)
    assert done.snapshot_updates.tolist() == [0, 10, 20, 30, 40]
    assert done.stopped == -1


def test_each_update_has_a_key_of_its_own():
    done = descend(
        jnp.zeros(()),
        lambda x, key: jr.uniform(key) + 0 * x,
        updates=3000,
        key=jr.key(0),
    )
    assert len(np.unique(done.losses)) == 3000
    assert abs(done.losses.mean() - 0.5) < 4 * np.sqrt(1 / 12 / 3000)


@pytest.mark.parametrize(
    ("grid", "expected"),
    [
        (Linear(2), [0, 1000]),
        (Linear(5), [0, 250, 500, 750, 1000]),
        (Logarithmic(5), [0, 1, 10, 100, 1000]),
        (At((7, 3)), [3, 7]),
    ],
)
def test_grids(grid, expected):
    assert grid.updates(1000).tolist() == expected


def test_a_logarithmic_grid_keeps_both_ends_where_counts_round_alike():
    chosen = Logarithmic(30).updates(10)
    assert chosen.tolist() == list(range(11))


def test_an_ensemble_learns_what_each_replicate_learns_alone():
    start = nets(jr.split(jr.key(1), 3))
    options = {"updates": 30, "batch": 4, "optimiser": optax.adam(1e-2)}
    together = train(
        start, integrate(), key=jr.split(jr.key(0), 3), snapshots=Linear(3), **options
    )
    assert together.losses.shape == (3, 30)
    assert together.snapshots.recurrent.shape == (3, 3, 12, 4)
    for i in range(3):
        net = GRU.random(4, 2, 2, key=jr.split(jr.key(1), 3)[i])
        alone = train(net, integrate(), key=jr.split(jr.key(0), 3)[i], **options)
        one = together.replicate(i)
        np.testing.assert_allclose(one.losses, alone.losses, atol=1e-6)
        np.testing.assert_allclose(one.system.recurrent, alone.system.recurrent, atol=1e-6)
        np.testing.assert_array_equal(
            one.snapshot(2).recurrent, together.snapshot(2).recurrent[i]
        )
    assert np.ptp(together.losses[:, -1]) > 0


def cliff(model, key):
    """A bowl, with a random number in it, that ends at `edge`: beyond it the loss is NaN."""
    x, edge = model
    inside = jnp.where(x < edge, 1.0, jnp.nan)
    return inside * (0.5 * (x - 1) ** 2 + 0 * jr.uniform(key))


def test_a_replicate_that_falls_off_a_cliff_keeps_its_last_good_weights():
    edges = jnp.array([2.0, 0.5, 2.0])

    def run(edges):
        return descend(
            (jnp.zeros(len(edges)), edges),
            cliff,
            updates=12,
            key=jr.split(jr.key(0), 3),
            optimiser=optax.sgd(0.1),
            trainable=lambda model: model[0],
            snapshots=Linear(13),
        )

    done, undisturbed = run(edges), run(jnp.full(3, 2.0))
    path = 1 - 0.9 ** np.arange(13)
    last = np.flatnonzero(path < 0.5)[-1]  # the last update that was measured inside
    assert done.stopped.tolist() == [-1, last + 1, -1]
    np.testing.assert_allclose(done.system[0][1], path[last], rtol=1e-5)
    np.testing.assert_allclose(done.snapshots[0][1, last + 2 :], path[last], rtol=1e-5)
    assert np.isfinite(done.losses[1, : last + 1]).all()
    assert np.isnan(done.losses[1, last + 1 :]).all()
    for i in (0, 2):
        np.testing.assert_array_equal(done.losses[i], undisturbed.losses[i])
        np.testing.assert_array_equal(done.snapshots[0][i], undisturbed.snapshots[0][i])


@pytest.mark.parametrize("rate", [1e30, float("inf")])
def test_weights_that_overflow_are_not_kept(rate):
    done = descend(
        jnp.ones(2),
        lambda x, key: (x**4).sum(),
        updates=5,
        key=jr.key(0),
        optimiser=optax.sgd(rate),
    )
    assert done.stopped == (1 if rate < float("inf") else 0)
    np.testing.assert_array_equal(done.system, jnp.ones(2))
    assert done.losses[0] == 2
    assert np.isnan(done.losses[2:]).all()


def test_of_a_closed_loop_the_agent_learns_and_the_plant_stays():
    plant = LinearNetwork.random(3, 2, 2, key=jr.key(0))
    agent = GRU.random(4, 2, 2, key=jr.key(1))
    inner = ClosedLoop(plant, agent)
    for loop in (inner, Delayed(inner, 0), Noisy(inner, 0.0)):
        model = jax.tree.map(lambda a: a, loop)
        done = descend(
            model,
            lambda model, key: sum(
                (a**2).sum() for a in jax.tree.leaves(model) if eqx.is_array(a)
            ),
            updates=2,
            key=jr.key(2),
        ).system
        after = done if isinstance(done, ClosedLoop) else done.inside
        assert eqx.tree_equal(after.world, plant)
        moved = jax.tree.map(lambda a, b: (a != b).any(), after.agent, agent)
        assert all(jax.tree.leaves(moved))


def test_trainable_picks_a_part():
    net = GRU.random(4, 2, 2, key=jr.key(0))
    done = train(
        net,
        integrate(),
        updates=2,
        key=jr.key(1),
        batch=2,
        trainable=lambda net: (net.recurrent, net.bias),
        snapshots=Linear(3),
    )
    assert (done.system.recurrent != net.recurrent).any()
    assert (done.system.bias != net.bias).any()
    for name in ("encoder", "candidate_bias", "readout", "readout_bias"):
        kept = getattr(net, name)
        np.testing.assert_array_equal(getattr(done.system, name), kept)
        np.testing.assert_array_equal(getattr(done.snapshots, name), np.stack([kept] * 3))


def test_a_curriculum_changes_the_task_at_the_stated_update_and_compiles_once():
    net = GRU.random(4, 2, 2, key=jr.key(0))
    options = {"batch": 2, "optimiser": optax.sgd(0.0), "updates": 9}  # the net stays
    TRACES.clear()
    train(net, integrate(), key=jr.key(1), **options)
    once = len(TRACES)
    TRACES.clear()
    gains = [0.3, 0.0, 9.0]
    stages = [(until, integrate(gain)) for until, gain in zip([2, 5, 9], gains)]
    losses = train(net, stages, key=jr.key(1), **options).losses
    assert once > 0
    assert len(TRACES) in (0, once)  # 0: what was compiled for one task serves three
    measure = eqx.filter_jit(lambda task, update: TaskLoss(task, 2)(net, own_key(update)))

    def own_key(update):
        return jr.fold_in(jr.key(1), update)

    for update, stage in enumerate([0, 0, 1, 1, 1, 2, 2, 2, 2]):
        expected = measure(integrate(gains[stage]), jnp.array(update))
        np.testing.assert_allclose(losses[update], expected, rtol=1e-5)


def by_hand(net, key, task, batch):
    """The loss of a batch, trial by trial and step by step, in plain Python."""
    losses = []
    for one in jr.split(key, batch):
        trial, x, outputs = task.trial(one), net.initial, []
        for u in trial.inputs:
            x = net.step(x, u)
            outputs.append(net.output(x))
        losses.append(((jnp.stack(outputs) - trial.targets) ** 2).mean())
    return jnp.stack(losses).mean()


@pytest.mark.parametrize("units", [4, 11])  # 11: wide enough to encode inside the loop
@pytest.mark.parametrize("remat", [False, True])
def test_the_gradient_is_that_of_a_loop_by_hand(units, remat):
    net = GRU.random(units, 2, 2, key=jr.key(0))
    task = integrate(steps=5)
    plain = eqx.filter_jit(eqx.filter_grad(by_hand))(net, jr.key(1), task, 2)
    ours = eqx.filter_jit(eqx.filter_grad(TaskLoss(task, 2, remat)))(net, jr.key(1))
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("remat", [False, True])
def test_forward_mode_goes_through_a_rollout_too(remat):
    net = GRU.random(3, 2, 1, key=jr.key(0))
    inputs = jr.normal(jr.key(1), (5, 2))

    def last(start):
        return rollout(net, start, inputs, remat=remat).states[-1]

    forward, reverse = jax.jacfwd(last)(jnp.zeros(3)), jax.jacrev(last)(jnp.zeros(3))
    np.testing.assert_allclose(forward, reverse, atol=1e-6)
    assert jnp.abs(forward).max() > 0.01


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_on_a_terminal_and_nothing_elsewhere(capfd, monkeypatch):
    def learn():
        descend(jnp.zeros(2), bowl, updates=3000, key=jr.key(0), optimiser=optax.sgd(1e-3))

    learn()
    assert capfd.readouterr() == ("", "")
    monkeypatch.setattr(sys, "stderr", Terminal())
    learn()
    shown = sys.stderr.getvalue().split("\r")[-1]
    assert "3000/3000" in shown
    assert "updates/s" in shown
    assert "loss=0.00" in shown


def test_misuse_says_what_to_type():
    net, key = GRU.random(4, 2, 2, key=jr.key(0)), jr.key(1)
    with pytest.raises(ValueError, match="Build the GRU with output_size=1"):
        train(net, integrate(output_size=1), updates=1, key=key)
    with pytest.raises(ValueError, match="Build the GRU with input_size=3"):
        train(net, integrate(input_size=3), updates=1, key=key)
    with pytest.raises(ValueError, match="updates=20"):
        train(net, [(10, integrate()), (20, integrate())], updates=30, key=key)
    with pytest.raises(ValueError, match="increase"):
        train(net, [(10, integrate()), (10, integrate())], updates=10, key=key)
    with pytest.raises(ValueError, match="ensemble of 3"):
        train(net, integrate(), updates=1, key=jr.split(key, 3))
    with pytest.raises(ValueError, match="Nothing in Array"):
        descend(jnp.zeros(2, int), bowl, updates=1, key=key)
    with pytest.raises(ValueError, match="updates=0"):
        descend(jnp.zeros(2), bowl, updates=0, key=key)
    with pytest.raises(ValueError, match="give 2"):
        Linear(1)
