"""Does the arm obey mechanics, and is it the one in the table?"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from slowpoint.cells.linear import Linear
from slowpoint.core.closed_loop import ClosedLoop
from slowpoint.core.precision import float64
from slowpoint.core.rollout import rollout, Trajectory
from slowpoint.core.with_effort import WithEffort
from slowpoint.learning.given_trials import GivenTrials
from slowpoint.tasks.reach import Reach
from slowpoint.worlds.two_joint_arm import TwoJointArm

SMOOTH = ((0.0, 0.0), (0.0, 0.0))  # friction


def test_inertias_are_those_computed_by_hand():
    """a1 = .025 + .045 + 1.0 .3^2 = .16, a2 = 1.0 .3 .16 = .048, a3 = .045."""
    arm = TwoJointArm()
    assert arm.coefficients == pytest.approx((0.16, 0.048, 0.045))
    with float64():
        bent, straight, folded = (
            np.asarray(arm.inertia(jnp.array([0.4, elbow])))
            for elbow in (np.pi / 2, 0.0, np.pi)
        )
    assert np.allclose(bent, [[0.16, 0.045], [0.045, 0.045]])
    assert np.allclose(straight, [[0.256, 0.093], [0.093, 0.045]])
    assert np.allclose(folded, [[0.064, -0.003], [-0.003, 0.045]])


def test_the_inertia_is_symmetric_and_positive_at_every_elbow():
    angles = jnp.stack([jnp.zeros(721), jnp.linspace(-np.pi, np.pi, 721)], axis=1)
    matrices = np.asarray(jax.vmap(TwoJointArm().inertia)(angles))
    assert np.array_equal(matrices, matrices.swapaxes(1, 2))
    assert np.linalg.eigvalsh(matrices).min() > 0.002871 / 0.301  # determinant over trace


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99))
def test_power_is_torque_times_speed_less_friction(seed):
    """dE/dt = u . w - w . B w: the equations of motion, up to a constant of motion."""
    draw = np.random.default_rng(seed).normal
    with float64():
        arm, x, u = TwoJointArm(), jnp.asarray(draw(size=4)), jnp.asarray(draw(size=2))
        power = float(jax.grad(arm.energy)(x) @ arm.velocity(x, u))
        speed = np.asarray(x[2:])
    expected = speed @ np.asarray(u) - speed @ np.array(arm.friction) @ speed
    assert power == pytest.approx(expected, rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("friction", [SMOOTH, TwoJointArm().friction], ids=["smooth", "rough"])
def test_what_the_torques_do_becomes_motion_or_heat(friction):
    """In fine steps, over a second of varying torques."""
    steps = 10_000
    time = np.linspace(0, 1, steps)
    torques = np.stack([0.4 * np.sin(7 * time), 0.2 * np.cos(5 * time)], axis=1)
    with float64():
        arm = TwoJointArm(friction=friction, dt=1 / steps)
        start = jnp.array([0.5, 1.2, 0.4, -0.3])
        path = jnp.concatenate([start[None], rollout(arm, start, jnp.asarray(torques)).states])
        gained = float(arm.energy(path[-1]) - arm.energy(path[0]))
    middle = np.asarray(path[1:, 2:] + path[:-1, 2:]) / 2
    work = ((torques - middle @ np.array(friction)) * middle).sum() / steps
    assert gained == pytest.approx(work, rel=2e-3)
    assert abs(gained) > 0.01


def test_angular_momentum_about_the_shoulder_stays_without_torque():
    """The second constant of motion: row 1 of M times the speeds (theta_1 is cyclic)."""
    with float64():
        arm = TwoJointArm(friction=SMOOTH, dt=1e-4)
        start = jnp.array([0.2, 0.9, 1.0, -2.0])
        end = rollout(arm, start, jnp.zeros((5000, 2))).states[-1]
        momentum = lambda x: float(arm.inertia(x[:2])[0] @ x[2:])
        assert momentum(end) == pytest.approx(momentum(start), rel=2e-3)
        assert abs(float(end[3] - start[3])) > 0.3  # while the speeds did change


def test_the_hand_moves_as_geometry_says():
    with float64():
        angles, arm = jnp.array([0.3, 1.1]), TwoJointArm(shows_velocity=True)
        assert np.allclose(arm.hand(jnp.array([0.0, np.pi / 2])), [0.30, 0.33])
        assert np.allclose(arm.hand(jnp.array([np.pi / 2, 0.0])), [0.0, 0.63])
        x, y = np.asarray(arm.hand(angles))
        jacobian = np.asarray(jax.jacfwd(arm.hand)(angles))
        reach = 0.33 * np.array([-np.sin(1.4), np.cos(1.4)])
        assert np.allclose(jacobian, np.stack([[-y, x], reach], axis=1))
        shown = arm.output(jnp.array([0.3, 1.1, 0.5, -0.2]))
        assert np.allclose(shown, [x, y, *(jacobian @ [0.5, -0.2])])
        assert np.allclose(TwoJointArm().output(jnp.array([0.3, 1.1, 0.5, -0.2])), [x, y])


def test_a_posture_brings_the_hand_there():
    with float64():
        arm = TwoJointArm()
        for place in ([-0.02, 0.44], [0.3, 0.3], [0.1, -0.2]):
            angles = arm.posture(jnp.array(place))
            assert np.allclose(arm.hand(angles), place)
            assert 0 < float(angles[1]) < np.pi
        assert np.isnan(arm.posture(jnp.array([0.7, 0.0]))[1])


def test_the_arm_rests_anywhere_and_friction_slows_it():
    """Two rates are 0, two are those of M^-1 B."""
    with float64():
        arm, x = TwoJointArm(), jnp.array([0.7, 1.4, 0.0, 0.0])
        assert np.array_equal(arm.velocity(x, jnp.zeros(2)), np.zeros(4))
        rates = np.sort(np.asarray(arm.rates(x, jnp.zeros(2))).real)
        known = np.linalg.eigvals(np.linalg.solve(arm.inertia(x[:2]), arm.friction))
    assert np.allclose(rates, np.sort([*-known, 0, 0]), atol=1e-9)


# ---------------------------------------------------------------- reaching


def test_the_default_start_has_the_hand_at_the_centre():
    task = Reach()
    hand = np.asarray(TwoJointArm().hand(jnp.array(task.start[:2])))
    assert np.allclose(hand, task.centre, atol=1e-4)
    goals = np.asarray(task.every(8).inputs)
    assert np.allclose(np.linalg.norm(goals[:, 0] - hand, axis=1), 0.1, atol=1e-4)
    assert np.array_equal(goals[:, 0], goals[:, -1])


def test_the_loss_of_a_movement_written_by_hand():
    """Two ticks to move, two to hold: off by (1, 0) and (0, 0), a step of 1 m in .5 s."""
    task = Reach(steps=4, dt=0.5, movement=1.0, speed_cost=0.1, effort_cost=0.01)
    with float64():
        trial = task.towards(jnp.zeros(()))
        off = jnp.array([[9.0, 9], [3, 0], [1, 0], [0, 0]])
        effort = jnp.array([[1.0, 0], [0, 2], [0, 0], [0, 1]])
        outputs = jnp.concatenate([trial.targets[:, :2] + off, effort], axis=1)
        loss = float(task.loss(trial, Trajectory(jnp.zeros((4, 1)), outputs)))
    held = (1 + 0.1 * (2 / 0.5) ** 2 + 0 + 0.1 * (1 / 0.5) ** 2) / 2
    assert loss == pytest.approx(held + 0.01 * (1 + 4 + 0 + 1) / 4)


def arm_loop(gain=1.0):
    """An arm with an agent without memory: torques from the hand, its velocity and the goal."""
    stiff, viscous = gain * 6.0 * np.eye(2), gain * 1.0 * np.eye(2)
    task = Reach()
    arm = TwoJointArm(shows_velocity=True, dt=0.02)
    jacobian = np.asarray(jax.jacfwd(arm.hand)(jnp.array(task.start[:2])))
    feedback = jacobian.T @ np.hstack([-stiff, -viscous, stiff])
    agent = Linear(jnp.zeros((6, 6)), jnp.eye(6), jnp.zeros(6), jnp.asarray(feedback), dt=1.0)
    return WithEffort(ClosedLoop(arm, agent, first="agent"), shows="output")


def test_an_arm_on_springs_reaches_and_its_gradient_helps():
    task = Reach(seen=4, steps=40, dt=0.02)
    trials = GivenTrials(task, task.every(2))
    loop, limp = arm_loop(), arm_loop(0.0)
    mark = eqx.filter_jit(eqx.filter_value_and_grad(lambda loop: trials(loop, None)))
    before, slope = mark(loop)
    nothing = float(mark(limp)[0])
    assert nothing == pytest.approx(0.01, rel=1e-3)  # it stays, 0.1 m off
    assert float(before) < 0.5 * nothing
    readout = lambda loop: loop.loop.agent.readout
    down = readout(slope)
    better = eqx.tree_at(readout, loop, readout(loop) - 0.5 * down)
    gained = float(before - mark(better)[0])
    assert gained == pytest.approx(0.5 * float((down**2).sum()), rel=0.1)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"movement": 0.9}, "leave some to hold"),
        ({"dt": 0.0}, "dt=0.0"),
        ({"effort_cost": -1.0}, "effort_cost=-1.0"),
        ({"distance": -0.1}, "distance=-0.1"),
        ({"seen": 1}, "seen=1"),
    ],
    ids=str,
)
def test_what_cannot_be_reached_is_told(options, says):
    with pytest.raises(ValueError, match=says):
        Reach(**options)
