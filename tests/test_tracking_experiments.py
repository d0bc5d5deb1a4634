"""Do the experiments on objectives, zig-zags and tracking measure what they say?"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from slowpoint.core.closed_loop import ClosedLoop
from slowpoint.core.rollout import rollout
from slowpoint.experiments import competing_objectives, loop_zigzag, tracking
from slowpoint.theory.loop_objectives import long_term, short_term

# ---------------------------------------------------------------- two objectives


def test_the_angle_between_two_losses_is_that_of_their_gradients():
    overlaps = np.random.default_rng(0).normal(size=(7, 4))
    push = np.array([1.0, 2.0, -1.0, 0.5])
    linear = lambda s: s @ push
    square = lambda s: (s**2).sum(axis=-1)
    found = competing_objectives.cosine(linear, square, overlaps)
    lengths = np.linalg.norm(push) * np.linalg.norm(overlaps, axis=1)
    np.testing.assert_allclose(found, overlaps @ push / lengths, rtol=1e-13)
    same = competing_objectives.cosine(short_term, short_term, overlaps)
    np.testing.assert_allclose(same, 1, rtol=1e-13)


def test_a_blend_goes_from_one_objective_to_the_other():
    s = np.array([-0.03, 0.1, 0.2, -0.1])
    assert competing_objectives.blend(s, 0.0) == short_term(s)
    assert competing_objectives.blend(s, 1.0) == pytest.approx(long_term(s) ** 20)


def test_moments_keep_the_network_they_belong_to():
    path = np.array([-0.03, 0.1, 0.2, -0.1]) + 1e-3 * np.arange(12)[:, None]
    found = competing_objectives.plateau_of([path, path[:0], path[:5]])
    np.testing.assert_array_equal(found.network, [0] * 12 + [2] * 5)
    np.testing.assert_array_equal(found.cosine[:5], found.cosine[12:])
    assert found.horizons.shape == (2,)
    assert (found.root_error > 0).all()
    largest = competing_objectives._largest(found.root_error, found.network)
    assert largest.tolist() == [found.root_error[:12].max(), found.root_error[12:].max()]


# ---------------------------------------------------------------- zig-zag


def test_a_path_that_jumps_to_and_fro_is_told_from_a_smooth_one():
    to_and_fro = 0.1 * (-1.0) ** np.arange(20)
    assert loop_zigzag.turning(to_and_fro) == 1
    assert loop_zigzag.turning(np.arange(20.0)) == 0
    assert loop_zigzag.turning(np.array([0.0, 1.0, 2.0, 1.0, 2.0])) == pytest.approx(2 / 3)
    assert loop_zigzag.jump(to_and_fro) == pytest.approx(0.2)
    assert np.isnan([loop_zigzag.turning(np.zeros(2)), loop_zigzag.jump(np.zeros(1))]).all()


def test_a_loop_is_stable_from_after_the_last_epoch_that_is_not():
    good, bad = [-0.6, 1.0, 0.45, -0.2], [0.1, 0.0, 0.0, 0.0]
    path = lambda *which: np.array(which)
    assert loop_zigzag.stable_from(path(bad, good, bad, good, good)) == 3
    assert loop_zigzag.stable_from(path(good, good)) == 0
    assert loop_zigzag.stable_from(path(good, bad)) == -1


# ---------------------------------------------------------------- tracking

TASK = tracking.TASK
SMALL = tracking.Settings(networks=1, units=6, epochs=200, every=50, copied=3)


@pytest.fixture(scope="module")
def loop():
    agent = tracking.network(jr.key(0), SMALL)
    return ClosedLoop(tracking.WORLD, agent, first="agent")


@pytest.fixture(scope="module")
def training(loop):
    return tracking.taught(loop, SMALL, jr.key(0))


def test_networks_begin_as_in_the_paper():
    net = tracking.network(jr.key(1), tracking.Settings(units=400))
    assert float(jnp.std(net.recurrent)) * 20 == pytest.approx(0.2, rel=0.02)
    assert float(jnp.abs(net.encoder).max()) * 20 == pytest.approx(1, abs=0.02)
    assert float(jnp.std(net.readout)) * 20 == pytest.approx(3**-0.5, rel=0.06)
    assert not net.bias.any()
    assert (net.input_size, net.output_size, net.dt) == (4, 2, 0.1)


def test_only_what_recurs_and_is_read_learns(loop, training):
    first, last = loop.agent, training.system.agent
    for name, learns in (("recurrent", 1), ("encoder", 0), ("bias", 0), ("readout", 1)):
        moved = float(jnp.abs(getattr(last, name) - getattr(first, name)).max())
        assert (moved > 1e-3) == bool(learns), name
    np.testing.assert_array_equal(training.snapshot_updates, [0, 50, 100, 150, 200])
    errors = np.asarray(tracking.errors_along(training.snapshots))
    assert errors.shape == (5, 4)
    whole = 0.1 * errors.sum(axis=1)
    np.testing.assert_allclose(whole[:4], training.losses[::50], rtol=1e-4)


def loops(**changed):
    """Two networks, five records, one of them without the last frequency."""
    losses = np.array([[9.0, 0.8, 0.82, 0.6, 0.3], [9.0, 0.81, 0.6, 0.36, 0.14]])
    known = {
        "omegas": TASK.omegas,
        "epochs": 1000 * np.arange(5),
        "losses": losses,
        "errors": np.ones((2, 5, 4)),
        "learned": np.array([[1000, 3000, 4000, -1], [1000, 2000, 3000, 3000]]),
        "modes": np.full((2, 4), np.nan + 0j),
        "before": np.ones(2),
        "peak": np.ones(2),
        "response": np.ones((2, 4)),
        "radius": np.full(2, 0.98),
    }
    return tracking.Loops(**known | changed)


def verdicts(some, results):
    return {claim.says: claim.verdict("full") for claim in some(results)}


def test_networks_out_of_order_fail_their_claim():
    says = "networks that did not learn the slowest first"
    assert verdicts(tracking._of_order, loops())[says] == "fails"  # w3 and w4 at once
    fine = np.array([[1000, 3000, 4000, -1], [1000, 2000, 3000, 4000]])
    found = verdicts(tracking._of_order, loops(learned=fine))
    assert found[says] == "holds"
    assert found["networks that never learn w4"] == "reported"
    skipped = np.array([[1000, -1, 3000, 4000]] * 2)
    assert verdicts(tracking._of_order, loops(learned=skipped))[says] == "fails"


def test_the_response_is_that_of_a_long_sinusoid(loop):
    """A controller by hand: units that forget in 1 step and in 2 give place and speed."""
    w, m, z = np.zeros((6, 6)), np.zeros((6, 4)), np.zeros((2, 6))
    for axis in range(2):
        fast, slow = 2 * axis, 2 * axis + 1
        w[fast, fast], w[slow, slow] = -9.0, -4.0
        m[[fast, slow], axis], m[[fast, slow], 2 + axis] = 1.0, -1.0
        z[axis, [fast, slow]] = [-440.0, 200.0]
    parts = lambda loop: (loop.agent.recurrent, loop.agent.encoder, loop.agent.readout)
    damped = eqx.tree_at(parts, loop, [jnp.asarray(a, jnp.float32) for a in (w, m, z)])
    response, radius = tracking._response(damped)
    assert radius < 0.91
    when = 0.1 * np.arange(1000)
    for (frequency, axis), known in zip(TASK.components, response):
        turns = 2 * np.pi * frequency * when
        reference = np.zeros((1000, 2), np.float32)
        reference[:, axis] = np.cos(turns)
        path = np.asarray(rollout(damped, np.zeros(0, np.float32), reference).outputs)
        waves = np.stack([np.cos(turns), np.sin(turns)], axis=1)[300:]
        size = np.linalg.norm(np.linalg.lstsq(waves, path[300:, axis])[0])
        assert size == pytest.approx(known, rel=1e-4)


@pytest.mark.slow
def test_a_student_that_is_its_teacher_has_no_loss(loop):
    loss = tracking.copying(loop)
    assert float(loss(loop.agent, None)) == 0
    other = tracking.network(jr.key(9), SMALL)
    alone = loss.each(other)
    assert alone.shape == (8,)
    trial = jax.tree.map(lambda a: a[3], TASK.every())
    path = rollout(loop, trial.start, trial.inputs).states
    before = jnp.concatenate([jnp.zeros((1, path.shape[1])), path[:-1]])
    inputs = jnp.concatenate([before[:, [0, 2]], trial.inputs], axis=1)
    apart = [rollout(a, jnp.zeros(0), inputs).outputs for a in (other, loop.agent)]
    expected = 4 * 0.1 / 300 * ((apart[0] - apart[1]) ** 2).sum()
    assert float(alone[3]) == pytest.approx(float(expected), rel=1e-4)


def test_students_are_judged_in_the_loop(training):
    """Before it learns a copy of its teacher has its loss."""
    agent = training.system.agent
    found = tracking._students([agent], [training], SMALL, jr.key(0))
    assert found.epochs.tolist() == [0, 1, 2, 3]
    own = 0.1 * float(TASK.frequency_errors(tracking.tracked().each(training.system)).sum())
    assert found.imitation[0, 0] < 1e-12
    assert found.deployed[0, 0] == pytest.approx(own, rel=1e-5)
    none = tracking._students([agent] * 2, [], tracking.Settings(copied=0), jr.key(0))
    assert none.deployed.shape == (2, 0)


def test_a_student_that_never_gets_worse_fails_its_claim():
    flat = tracking.Students(np.arange(4), np.ones((2, 4)), np.full((2, 4), 0.5))
    claims = tracking._of_students(flat, np.array([0.5, 0.52]))
    found = [claim.verdict("full") for claim in claims[:4]]
    assert found == ["fails", "fails", "holds", "holds"]
