"""Is the expected loss of a loop the mean over its trials, and its closed forms the same?"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from slowpoint.core.precision import float64
from slowpoint.theory.loop_loss import (
    expected_loss,
    Noise,
    open_loop_loss,
    power_sums,
    responses,
    stage_one_loss,
    stationary_loss,
)
from slowpoint.theory.loop_spectrum import DOUBLE_INTEGRATOR, LoopOverlaps
from slowpoint.worlds.double_integrator import DoubleIntegrator
from slowpoint.worlds.integrator_chain import IntegratorChain
from slowpoint.worlds.linear_plant import LinearPlant, matrices

SEEDS = st.integers(0, 2**31)
START = 4 / 3  # variance of each coordinate
STABLE = np.array([-0.6, 1.0, 0.45, -0.2])
GOLDEN = (1 + 5**0.5) / 2
QUIET, LOUD = 0.05, 0.1  # standard deviations of process and observation noise


def vectors(seed, units=6, outputs=1, rank=1, controls=1):
    """m, u, v, z of a network, rather small."""
    normal = np.random.default_rng(seed).normal
    shapes = ((units, outputs), (units, rank), (units, rank), (units, controls))
    return [0.7 * normal(size=shape) / units**0.5 for shape in shapes]


def overlaps_of(m, u, v, z):
    return LoopOverlaps(z.T @ m, z.T @ u, v.T @ m, v.T @ u)


def numbers(parts):
    return np.array([part.item() for part in jax.tree.leaves(parts)])


def simulate(columns, start, steps, plant=DOUBLE_INTEGRATOR, leak=1.0, kicks=None):
    """`(states, controls)` of trials (trial, time, ...), the network unit by unit, by hand."""
    (a, b, c), (m, u, v, z) = plant, columns
    x, h, seen, sent = start, np.zeros((len(start), len(m))), [], []
    for t in range(steps):
        seen.append(x)
        sent.append(h @ z)
        x = x @ a.T + sent[-1] @ b.T
        read = x @ c.T
        if kicks is not None:
            x = x + kicks[0][:, t]
            read = x @ c.T + kicks[1][:, t]
        h = (1 - leak) * h + leak * (h @ v @ u.T + read @ m.T)
    return np.stack(seen, 1), np.stack(sent, 1)


def costs(seen, sent, penalty=0.0, counted=None):
    """The loss of each trial."""
    square = lambda a: (a**2).sum(axis=(1, 2))
    return square(seen[..., :counted]) / (2 * seen.shape[1]) + penalty * square(sent)


def axes(size, counted, variance):
    """The starts +- sqrt(counted variance) e_i: their covariance is `variance` times 1."""
    root = (counted * variance) ** 0.5 * np.eye(counted, size)
    return np.concatenate([root, -root])


CHAIN = matrices(IntegratorChain(3, dt=0.5))
LATE = matrices(LinearPlant(*matrices(DoubleIntegrator(0.5)), delay=2))
WIDE = tuple(
    0.4 * np.random.default_rng(3).normal(size=shape) for shape in ((3, 3), (3, 2), (2, 3))
)


@pytest.mark.parametrize(
    ("plant", "counted", "rank", "leak", "steps"),
    [
        (DOUBLE_INTEGRATOR, 2, 1, 1.0, 50),
        (DOUBLE_INTEGRATOR, 2, 2, 0.3, 7),
        (CHAIN, 3, 1, 1.0, 13),
        (LATE, 2, 1, 1.0, 20),
        (WIDE, 3, 2, 0.6, 2),
    ],
    ids=["mass", "leaky", "chain", "late", "two"],
)
def test_the_expected_loss_is_the_mean_over_the_axes(plant, counted, rank, leak, steps):
    size, controls, outputs = len(plant[0]), plant[1].shape[1], len(plant[2])
    columns = vectors(steps, 6, outputs, rank, controls)
    run = simulate(columns, axes(size, counted, START), steps, plant, leak)
    known = costs(*run, 0.5, counted).mean()
    how = {"plant": plant, "leak": leak, "counted": counted}
    found = expected_loss(overlaps_of(*columns), steps, START, 0.5, **how)
    assert found == pytest.approx(known, rel=1e-12)
    if counted < size:
        assert expected_loss(overlaps_of(*columns), steps, START, 0.5, plant) > found


@pytest.mark.parametrize("penalty", [0.0, 2.0])
def test_the_expected_loss_is_the_mean_over_many_trials(penalty):
    s, trials = STABLE, 20_000
    columns = (*np.eye(4)[:, :, None][[0, 1]], *as_columns(s))
    start = np.random.default_rng(0).uniform(-2, 2, (trials, 2))  # variance 4/3
    found = costs(*simulate(columns, start, 50), penalty)
    error = found.std() / trials**0.5
    assert abs(found.mean() - expected_loss(s, 50, START, penalty)) < 3 * error


def as_columns(s):
    """v and z of four units whose m and u are the first two axes."""
    return np.array([[s[2]], [s[3]], [0], [0]]), np.array([[s[0]], [s[1]], [0], [0]])


def test_noise_adds_what_many_trials_show():
    s, trials, steps = STABLE, 20_000, 50
    normal = np.random.default_rng(1).normal
    kicks = QUIET * normal(size=(trials, steps, 2)), LOUD * normal(size=(trials, steps, 1))
    start = np.random.default_rng(2).uniform(-2, 2, (trials, 2))
    columns = (*np.eye(4)[:, :, None][[0, 1]], *as_columns(s))
    shown = costs(*simulate(columns, start, steps, kicks=kicks), 0.3)
    silent = costs(*simulate(columns, start, steps), 0.3)
    noise = Noise(QUIET**2 * np.eye(2), LOUD**2 * np.eye(1))
    found = expected_loss(s, steps, START, 0.3, noise=noise) - expected_loss(
        s, steps, START, 0.3
    )
    rise = shown - silent
    assert abs(rise.mean() - found) < 3 * rise.std() / trials**0.5
    assert expected_loss(s, steps, START, noise=noise) == pytest.approx(2.2826, abs=5e-5)


@pytest.mark.parametrize("leak", [1.0, 0.4])
def test_noise_is_a_recursion_of_covariances(leak):
    """One kick at a time, through the network unit by unit."""
    columns, steps = vectors(5, 5), 9
    process, observation = np.array([[0.3, 0.1], [0.1, 0.2]]), np.array([[0.7]])
    roots = np.linalg.cholesky(process), np.linalg.cholesky(observation)
    kicks = [np.zeros((3 * (steps - 1), steps, size)) for size in (2, 1)]
    for t in range(steps - 1):
        kicks[0][3 * t, t], kicks[0][3 * t + 1, t] = roots[0].T
        kicks[1][3 * t + 2, t] = roots[1][0]
    still = np.zeros((3 * (steps - 1), 2))
    known = costs(*simulate(columns, still, steps, leak=leak, kicks=kicks), 0.4).sum()
    noise = Noise(process, observation)
    s = overlaps_of(*columns)
    found = expected_loss(s, steps, 0.0, 0.4, leak=leak, noise=noise)
    assert found == pytest.approx(known, rel=1e-12)
    halves = [
        expected_loss(s, steps, 0.0, 0.4, leak=leak, noise=n)
        for n in (Noise(process), Noise(observation=observation))
    ]
    assert sum(halves) == pytest.approx(known, rel=1e-12)


def test_long_after_the_start_the_loss_is_stationary():
    noise = Noise(QUIET**2 * np.eye(2), LOUD**2 * np.eye(1))
    steps, penalty = 100_000, 0.7
    long = expected_loss(STABLE, steps, 0.0, penalty / steps, noise=noise)
    found = stationary_loss(np.stack([STABLE, [-0.1, 0.0, 0.0, 0.0]]), noise, penalty)
    assert found[0] == pytest.approx(long, rel=1e-3)
    assert np.isinf(found[1])


@given(SEEDS, st.integers(1, 33))
@settings(max_examples=10, deadline=None)
def test_sums_of_powers_by_doubling(seed, steps):
    normal = np.random.default_rng(seed).normal
    matrix, cost = 0.6 * normal(size=(3, 3)), normal(size=(3, 3))
    power, total, later = np.eye(3), np.zeros((3, 3)), np.zeros((3, 3))
    for _ in range(steps):
        later = later + total
        total = total + power.T @ cost @ power
        power = power @ matrix
    with float64():
        found = power_sums(jnp.asarray(matrix), jnp.asarray(cost), steps)
    for one, known in zip(found, (total, later), strict=True):
        np.testing.assert_allclose(one, known, rtol=1e-10, atol=1e-12 * np.abs(known).max())


def test_only_what_the_plant_feels_is_charged():
    """s_zu and s_vm count by their product alone."""
    for factor in (-3.0, 1e-3, 1e3):
        other = STABLE * np.array([1, factor, 1 / factor, 1])
        found = expected_loss(other, 50, START, 0.5)
        assert found == pytest.approx(expected_loss(STABLE, 50, START, 0.5), rel=1e-9)


def test_the_golden_controller_is_the_best():
    """s_zm = -phi, p = 2 phi, s_vu = -2/phi: flat, and worth v0 (6 + 7 phi) / 2T."""
    s = np.array([-GOLDEN, 2 * GOLDEN, 1.0, -2 / GOLDEN])
    for steps in (25, 50):
        known = START / (2 * steps) * (6 + 7 * GOLDEN)
        assert expected_loss(s, steps, START) == pytest.approx(known, rel=1e-6)
    assert expected_loss(s, 50, START) == pytest.approx(0.2310165, abs=5e-8)
    with float64():
        loss = lambda s: expected_loss(s, 50, START)
        slopes = jax.jit(lambda s: (jax.grad(loss)(s), jax.jacfwd(jax.grad(loss))(s)))
        slope, bend = slopes(jnp.asarray(s))
    assert np.abs(slope).max() < 1e-13
    assert np.linalg.eigvalsh(bend)[1] > 0.01  # one direction is the gauge
    assert expected_loss(s + 0.05, 50, START) > expected_loss(s, 50, START)


def test_the_gradient_is_that_of_differences():
    with float64():
        slope = np.asarray(
            jax.jit(jax.grad(lambda s: expected_loss(s, 9, 1.0, 0.2)))(jnp.asarray(STABLE))
        )
    for i, step in enumerate(1e-6 * np.eye(4)):
        rise = expected_loss(STABLE + step, 9, 1.0, 0.2) - expected_loss(
            STABLE - step, 9, 1.0, 0.2
        )
        assert slope[i] == pytest.approx(rise / 2e-6, rel=1e-6, abs=1e-9)


def test_many_overlaps_at_once():
    many = STABLE * np.linspace(0.1, 1, 6).reshape(2, 3, 1)
    found = expected_loss(many, 50, START)
    assert found.shape == (2, 3)
    assert found.dtype == float
    assert found[1, 2] == pytest.approx(float(expected_loss(STABLE, 50, START)), rel=1e-14)


def test_a_loss_that_overflows_is_a_value():
    assert np.isinf(expected_loss(np.array([1e200, 0.0, 0.0, 0.0]), 50, START)) or np.isnan(
        expected_loss(np.array([1e200, 0.0, 0.0, 0.0]), 50, START)
    )


# ---------------------------------------------------------------- stage one


@pytest.mark.parametrize("steps", [2, 3, 50])
def test_position_alone_in_closed_form(steps):
    s_zm = np.array(
        [-3.0, -0.3, -0.02168, -1e-9, -1e-18, 0.0, 1e-18, 1e-9, 0.02, 0.2, 1.0, 3.0]
    )
    s = np.pad(s_zm[:, None], ((0, 0), (0, 3)))
    known = expected_loss(s, steps, START)
    np.testing.assert_allclose(stage_one_loss(s_zm, steps, START), known, rtol=1e-12)


def test_the_valleys_of_stage_one():
    gains = np.linspace(-0.06, -0.005, 5501)
    loss = stage_one_loss(gains, 50, START)
    inner = loss[1:-1]
    valleys = np.flatnonzero((inner < loss[:-2]) & (inner < loss[2:])) + 1
    assert gains[valleys] == pytest.approx([-0.04172, -0.02168], abs=1.1e-5)
    assert loss[valleys] == pytest.approx([25.255, 25.713], abs=1e-3)
    between = loss[valleys[0] : valleys[1]]
    assert between.max() == pytest.approx(29.14, abs=5e-3)
    assert gains[valleys[0] + between.argmax()] == pytest.approx(-0.0306, abs=1e-4)


# ---------------------------------------------------------------- open loop


def test_what_a_network_answers():
    zm, zu, vm, vu = s = np.array([0.3, -0.7, 0.4, 0.5])
    known = [zm, *(zu * vm * vu ** np.arange(5))]
    np.testing.assert_allclose(responses(s, 6)[:, 0, 0], known, rtol=1e-14)
    columns = vectors(6, 5, 2, 2, 2)
    m, u, v, z = columns
    found = responses(overlaps_of(*columns), 4, 0.3)
    inside = 0.7 * np.eye(5) + 0.3 * u @ v.T
    for k in range(4):
        whole = z.T @ np.linalg.matrix_power(inside, k) @ (0.3 * m)
        np.testing.assert_allclose(found[k], whole, atol=1e-14)


def test_imitation_is_perfect_at_the_teacher_and_in_its_gauge():
    other = STABLE * np.array([1, 2, 0.5, 1])
    assert open_loop_loss(STABLE, STABLE, 50) == 0
    assert open_loop_loss(other, STABLE, 50) < 1e-30
    with float64():
        slope = jax.jit(jax.grad(lambda s: open_loop_loss(s, jnp.asarray(STABLE), 50)))
        assert np.abs(slope(jnp.asarray(STABLE))).max() == 0
        assert np.isfinite(slope(jnp.zeros(4))).all()


@pytest.mark.parametrize("leak", [1.0, 0.3])
def test_imitation_is_the_mean_over_white_inputs(leak):
    """Unit impulses at each time in turn span all inputs."""
    student, teacher, steps = vectors(7, 5, 1, 2), vectors(8, 5, 1, 2), 11

    def answers(columns, inputs):
        m, u, v, z = columns
        h, sent = np.zeros((len(inputs), 5)), []
        for t in range(steps):
            h = (1 - leak) * h + leak * (h @ v @ u.T + inputs[:, t, None] @ m.T)
            sent.append(h @ z)
        return np.stack(sent, 1)[..., 0]

    apart = answers(student, np.eye(steps)) - answers(teacher, np.eye(steps))
    known = 0.7 * (apart**2).sum() / steps
    found = open_loop_loss(overlaps_of(*student), overlaps_of(*teacher), steps, 0.7, leak)
    assert found == pytest.approx(known, rel=1e-12)
    white = 0.7**0.5 * np.random.default_rng(9).normal(size=(20_000, steps))
    sampled = ((answers(student, white) - answers(teacher, white)) ** 2).mean(axis=1)
    assert abs(sampled.mean() - found) < 3 * sampled.std() / 20_000**0.5


# ---------------------------------------------------------------- misuse


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"steps": 1}, "steps=1: a loop closes in 2 steps or more"),
        ({"variance": -1.0}, r"variance=-1\.0: give 0 or more"),
        ({"penalty": -0.5}, r"penalty=-0\.5: give 0 or more"),
        ({"leak": 0.0}, r"leak=0\.0"),
        ({"counted": 3}, r"counted=3: the plant has 2 coordinates\. Give 1 to 2"),
        ({"plant": WIDE}, r"The network takes 1 numbers and sends 1; the plant shows 2"),
        ({"noise": Noise(np.eye(3))}, r"process noise has shape \(3, 3\)\. Give \(2, 2\)"),
        ({"noise": Noise(None, np.eye(2))}, r"observation noise .* Give \(1, 1\)"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_makes_no_loss_is_refused(change, says):
    given = {"overlaps": STABLE, "steps": 50, "variance": START} | change
    with pytest.raises(ValueError, match=says):
        expected_loss(**given)


def test_other_losses_refuse_as_well():
    with pytest.raises(ValueError, match="steps=1"):
        stage_one_loss(-0.1, 1, START)
    with pytest.raises(ValueError, match="steps=1"):
        open_loop_loss(STABLE, STABLE, 1)
    with pytest.raises(ValueError, match=r"penalty=-1\.0"):
        stationary_loss(STABLE, Noise(np.eye(2)), -1.0)
