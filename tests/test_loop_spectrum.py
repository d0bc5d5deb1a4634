"""Is the small matrix of overlaps the loop, and do its modes tell when the loop is stable?"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from slowpoint.cells.linear import Linear
from slowpoint.cells.low_rank import LowRank
from slowpoint.cells.vanilla import Vanilla
from slowpoint.core.closed_loop import ClosedLoop
from slowpoint.core.nonlinearity import identity
from slowpoint.core.precision import float64
from slowpoint.core.rollout import rollout
from slowpoint.core.wrap import Delayed
from slowpoint.theory.loop_objectives import long_term, real_root, short_term, slow_root
from slowpoint.theory.loop_spectrum import (
    command,
    coupled_matrices,
    coupled_matrix,
    effective_matrix,
    loop_overlaps,
    LoopOverlaps,
    radius,
    spectrum,
)
from slowpoint.theory.loop_stability import (
    characteristic,
    effective_gain,
    gain_of,
    is_stable,
    is_stable_gain,
    roots,
    stability_window,
)
from slowpoint.worlds.double_integrator import DoubleIntegrator
from slowpoint.worlds.integrator_chain import IntegratorChain
from slowpoint.worlds.linear_plant import LinearPlant, matrices

SEEDS = st.integers(0, 2**31)


def draw_overlaps(seed, many=1000, spread=0.5):
    return spread * np.random.default_rng(seed).normal(size=(many, 4))


def network(seed, units, rank, leak, outputs=1, controls=1):
    """Linear and of low rank, its products not divided by N."""
    normal = np.random.default_rng(seed).normal
    shapes = ((units, outputs), (units, rank), (units, rank), (units, controls))
    m, u, v, z = (normal(size=shape) / units**0.5 for shape in shapes)
    with float64():
        return LowRank(
            *(jnp.asarray(part) for part in (m, u, v, z)),
            dt=leak,
            scale=1.0,
            nonlinearity=identity,
        )


def plants(seed):
    """One of each kind: the mass, a chain seen at once, both late, and two in and two out."""
    a, b, c = (
        0.4 * np.random.default_rng(seed).normal(size=s) for s in ((3, 3), (3, 2), (2, 3))
    )
    return (
        DoubleIntegrator(),
        IntegratorChain(3, dt=0.5),
        Delayed(IntegratorChain(2), 2),
        LinearPlant(a, b, c, delay=1),
    )


def powers(matrix, state, steps):
    path = []
    for _ in range(steps):
        state = matrix @ state
        path.append(state)
    return np.array(path)


@pytest.mark.parametrize("first", ["world", "agent"])
@pytest.mark.parametrize("kind", range(4), ids=["mass", "chain", "late", "two"])
def test_two_matrices_move_the_plant_alike(kind, first):
    seed = 2 * kind + (first == "agent")
    rank, leak, world = 1 + seed % 3, (1.0, 0.3, 0.6, 0.1)[seed % 4], plants(seed)[kind]
    agent = network(seed, 8, rank, leak, world.output_size, world.input_size)
    with float64():
        full = coupled_matrix(ClosedLoop(world, agent, first=first))
        overlaps = jax.tree.map(np.asarray, loop_overlaps(agent))
    plant, size = matrices(world), world.state_size
    small = effective_matrix(overlaps, plant, leak=leak, first=first)
    assert len(small) == size + world.output_size + rank
    start = np.random.default_rng(seed).normal(size=size)
    begin = lambda matrix: np.concatenate([start, np.zeros(len(matrix) - size)])
    whole, part = powers(full, begin(full), 12), powers(small, begin(small), 12)
    scale = 1 + np.abs(whole).max()
    assert np.abs(part[:, :size] - whole[:, :size]).max() < 1e-12 * scale
    sent = whole[:, size:] @ np.asarray(agent.readout)
    assert np.abs(part @ command(overlaps, plant).T - sent).max() < 1e-12 * scale
    assert np.abs(sent[-1]).max() > 1e-6


def test_the_loop_itself_moves_by_its_matrix():
    world, agent = Delayed(IntegratorChain(2), 2), network(0, 8, 2, 0.3)
    with float64():
        loop, start = ClosedLoop(world, agent), np.array([0.3, -1.0, 0.2, 0.7])
        run = np.asarray(rollout(loop, start, jnp.zeros((10, 0))).states)
    known = powers(coupled_matrix(loop), np.concatenate([start, np.zeros(8)]), 10)
    assert np.abs(run - known).max() < 1e-12 * np.abs(known).max()


def test_the_matrix_of_rank_one_as_printed():
    zm, zu, vm, vu = s = np.array([-0.3, 0.5, 0.7, 0.2])
    known = [[1, 1, 0, 0], [0, 1, zm, zu], [1, 1, 0, 0], [0, 0, vm, vu]]
    np.testing.assert_allclose(effective_matrix(s), known, rtol=1e-15)
    parts = LoopOverlaps(*s.reshape(4, 1, 1))
    np.testing.assert_array_equal(effective_matrix(parts), effective_matrix(s))
    many = effective_matrix(np.stack([[s, 2 * s]] * 3))
    assert many.shape == (3, 2, 4, 4)
    np.testing.assert_array_equal(many[1, 1], effective_matrix(2 * s))


def test_a_full_rank_leaky_network_as_printed():
    """[[A, BZ], [aMCA, (1-a) + a(W + MCBZ)]], and the same with the agent first."""
    normal, a = np.random.default_rng(3).normal, 0.2
    w, m, z = normal(size=(5, 5)), normal(size=(5, 1)), normal(size=(1, 5))
    world = IntegratorChain(2)
    transition, control, sensor = matrices(world)
    with float64():
        agent = Linear(*map(jnp.asarray, (w, m, np.zeros(5), z)), dt=a)
        found = coupled_matrix(ClosedLoop(world, agent))
        other = coupled_matrix(ClosedLoop(world, agent, first="agent"))
    inside = (1 - a) * np.eye(5) + a * w
    known = np.block(
        [
            [transition, control @ z],
            [a * m @ sensor @ transition, inside + a * m @ sensor @ control @ z],
        ]
    )
    np.testing.assert_allclose(found, known, atol=1e-13)
    seen = a * m @ sensor
    known = np.block([[transition + control @ z @ seen, control @ z @ inside], [seen, inside]])
    np.testing.assert_allclose(other, known, atol=1e-13)


def test_a_network_that_bends_is_linearised_at_rest():
    normal = np.random.default_rng(0).normal
    with float64():
        w, m, z = (jnp.asarray(normal(size=size)) for size in ((4, 4), (4, 1), (1, 4)))
        nothing = jnp.zeros(4)
        agent = Vanilla(w, m, nothing, z, jnp.zeros(1), dt=1.0)
        line = Linear(w, m, nothing, z)
        loop = ClosedLoop(DoubleIntegrator(), agent)
    known = coupled_matrix(ClosedLoop(DoubleIntegrator(), line))
    np.testing.assert_allclose(coupled_matrix(loop), known, atol=1e-12)
    elsewhere = coupled_matrix(loop, np.full(6, 0.7))
    assert np.abs(elsewhere - known).max() > 0.01


def test_snapshots_give_their_matrices_in_one_call():
    loops = [ClosedLoop(DoubleIntegrator(), network(seed, 4, 1, 1.0)) for seed in range(3)]
    with float64():
        snapshots = jax.tree.map(lambda *parts: jnp.stack(parts), *loops)
    found = coupled_matrices(snapshots)
    for one, loop in zip(found, loops, strict=True):
        np.testing.assert_array_equal(one, coupled_matrix(loop))


# ---------------------------------------------------------------- modes


@given(SEEDS, st.sampled_from([4, 30]))
@settings(max_examples=10, deadline=None)
def test_the_modes_of_the_loop_are_the_roots_of_chi_and_zeros(seed, units):
    agent = network(seed, units, 1, 1.0)
    with float64():
        found = spectrum(coupled_matrix(ClosedLoop(DoubleIntegrator(), agent)))
        s = np.array(
            [np.asarray(part).item() for part in jax.tree.leaves(loop_overlaps(agent))]
        )
    known = np.concatenate([roots(characteristic(s)), np.zeros(units - 1)])
    apart = np.abs(found[:, None] - known[None])
    assert max(apart.min(axis=0).max(), apart.min(axis=1).max()) < 1e-10
    assert (np.abs(found) < 1e-10).sum() == units - 1
    np.testing.assert_allclose(characteristic(s), np.poly(known[:3]).real, atol=1e-12)


def test_a_loop_that_is_not_finite_has_no_modes():
    matrix = np.stack([np.eye(2) / 2, np.full((2, 2), np.inf)])
    assert radius(matrix)[0] == 0.5
    assert np.isnan(radius(matrix)[1])
    assert np.isnan(roots(np.array([1.0, np.nan, 0.0, 0.0]))).all()


def test_a_thousand_snapshots_in_one_call():
    found = spectrum(effective_matrix(draw_overlaps(4)))
    assert found.shape == (1000, 4)
    assert (np.diff(np.abs(found), axis=1) <= 0).all()


@pytest.mark.parametrize("spread", [0.1, 0.5, 1.0])
def test_jury_is_the_spectral_radius(spread):
    s = draw_overlaps(5, 4000, spread) - np.array([0.1, 0, 0, 0])
    largest = radius(effective_matrix(s))
    clear = np.abs(largest - 1) > 1e-7
    assert clear.mean() > 0.99
    np.testing.assert_array_equal(is_stable(s)[clear], largest[clear] < 1)
    assert 0.005 < is_stable(s).mean() < 0.995


@pytest.mark.parametrize(("reach", "memory"), [(0.3, 0.5), (6.0, 4.0)])
def test_the_window_ends_where_a_mode_stops_decaying(reach, memory):
    """In the range of learning, and anywhere else."""
    uniform = np.random.default_rng(6).uniform
    s_zm, s_vu = (
        -uniform(-reach / 2 if reach > 1 else 0, reach, 3000),
        uniform(-memory, memory, 3000),
    )
    window = stability_window(s_zm, s_vu)
    at = lambda p: np.stack([s_zm, p, np.ones_like(p), s_vu], axis=-1)[window.exists]
    for edge, inwards in ((window.low, 1), (window.high, -1)):
        # a double root on the circle is known to half the digits
        assert np.abs(radius(effective_matrix(at(edge))) - 1).max() < (
            1e-9 if reach < 1 else 1e-6
        )
        width = window.high - window.low
        assert is_stable(at(edge + inwards * 1e-6 * width)).all()
        assert not is_stable(at(edge - inwards * 1e-6 * width)).any()
    some = uniform(-9, 9, 3000)
    assert not is_stable(np.stack([s_zm, some, np.ones(3000), s_vu], -1)[~window.exists]).any()
    assert window.exists.all() == (reach < 1)
    if reach < 1:
        root = np.sqrt((2 - s_vu) ** 2 + 4 * s_zm)
        np.testing.assert_allclose(window.low, (2 + s_vu - root) / 2 - s_vu * (1 - s_zm))
        np.testing.assert_allclose(window.high, -s_zm * (1 - s_vu))


def test_the_window_at_the_plateau_and_where_there_is_none():
    window = stability_window(-0.03, 0.0)
    assert (window.low, window.high) == pytest.approx((0.01511, 0.03), abs=1e-5)
    none = stability_window(np.array([-2.0, -0.03]), 0.0)  # 4 - 8 < 0
    assert none.exists.tolist() == [False, True]
    assert np.isnan([none.low[0], none.high[0]]).all()


# ---------------------------------------------------------------- objectives


def test_the_pair_by_its_real_companion():
    s = draw_overlaps(7, 2000)
    values = roots(characteristic(s))
    pair = np.abs(np.imag(values)).max(axis=1) > 1e-3
    largest = np.abs(values[np.arange(len(s)), np.abs(np.imag(values)).argmax(axis=1)])
    found = long_term(s, real_root(s))
    np.testing.assert_allclose(np.asarray(found)[pair], largest[pair] ** 2, rtol=1e-10)
    assert 0.2 < pair.mean() < 0.99
    real = real_root(s)[~pair]  # of three real ones any will do
    assert np.abs(np.real(values[~pair]) - np.asarray(real)[:, None]).min(axis=1).max() < 1e-10


def test_the_real_mode_to_first_order_in_p():
    s, errors = np.array([-0.03, 0.1, 0.0, 0.05]), []
    for vm in (0.01, 0.005):
        s[2] = vm
        errors.append(abs(real_root(s) - slow_root(s)))
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.05)
    assert long_term(s) == pytest.approx(long_term(s, real_root(s)), abs=1e-5)


def test_the_short_term_is_three_steps_of_the_plant():
    s = draw_overlaps(8, 50)
    cube = np.linalg.matrix_power(effective_matrix(s), 3)[:, :2, :2]
    np.testing.assert_allclose(short_term(s), (cube**2).sum(axis=(1, 2)), rtol=1e-12)
    with float64():
        slope = jax.grad(lambda s: short_term(s) + long_term(s))(jnp.asarray(s[0]))
    assert np.isfinite(slope).all()


# ---------------------------------------------------------------- gains


def test_the_gain_is_what_a_regression_finds_in_many_trials():
    s = np.array([-0.02, 0.1, 0.2, 0.05])
    matrix, steps = effective_matrix(s), 50
    start = np.random.default_rng(9).normal(size=(2, 20))
    start = np.linalg.qr(start.T)[0].T  # white, to the digit
    path = powers(matrix, np.vstack([start, np.zeros((2, 20))]), steps - 1)
    x, u = (
        path[:, :2].transpose(0, 2, 1).reshape(-1, 2),
        (path[:, 2:].transpose(0, 2, 1) @ s[:2]),
    )
    known = np.linalg.lstsq(x, u.reshape(-1), rcond=None)[0]
    np.testing.assert_allclose(effective_gain(s, steps), known, rtol=1e-9)
    both = effective_gain(np.stack([s, 2 * s]), steps)
    np.testing.assert_allclose(both, [known, effective_gain(2 * s, steps)], rtol=1e-9)


def test_the_gain_of_slow_motion():
    """s_zm + p / (1 - s_vu), -p / (1 - s_vu)^2."""
    s = np.array([-1e-4, 1e-4, 0.6, 0.2])
    k1, k2 = effective_gain(s, 50)
    p = s[1] * s[2]
    assert (k1, k2) == pytest.approx((s[0] + p / 0.8, -p / 0.64), rel=0.1)


def test_the_gain_of_a_whole_network_is_that_of_its_overlaps():
    agent = network(10, 12, 1, 1.0)
    with float64():
        s = np.array(
            [np.asarray(part).item() for part in jax.tree.leaves(loop_overlaps(agent))]
        )
        matrix = coupled_matrix(ClosedLoop(DoubleIntegrator(), agent))
        rows = np.concatenate([np.zeros((1, 2)), np.asarray(agent.readout).T], axis=1)
    np.testing.assert_allclose(gain_of(matrix, rows, 20)[0], effective_gain(s, 20), rtol=1e-9)


def test_the_triangle_of_gains_is_the_spectral_radius():
    k1, k2 = np.random.default_rng(11).uniform(-5, 1, (2, 4000))
    ones = np.ones_like(k1)
    loop = np.stack([np.stack([ones, ones], -1), np.stack([k1, 1 + k2], -1)], axis=-2)
    largest = radius(loop)
    np.testing.assert_array_equal(is_stable_gain(k1, k2), largest < 1)
    assert 0.02 < (largest < 1).mean() < 0.5


# ---------------------------------------------------------------- misuse


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"plant": (np.eye(2, 3), np.ones((2, 1)), np.ones((1, 2)))}, r"A has shape \(2, 3\)"),
        ({"plant": (np.eye(2), np.ones((3, 1)), np.ones((1, 2)))}, r"B \(3, 1\)"),
        ({"plant": (np.eye(2), np.ones((2, 1)), np.ones((1, 3)))}, r"C \(1, 3\)"),
        ({"plant": (np.eye(2), np.ones((2, 2)), np.ones((1, 2)))}, r"sends 1; .* takes 2"),
        ({"plant": (np.eye(2), np.ones((2, 1)), np.ones((2, 2)))}, r"shows 2 and takes 1"),
        ({"leak": 0.0}, r"leak=0\.0: give dt / tau, above 0 and at most 1"),
        ({"leak": 1.5}, r"leak=1\.5"),
    ],
    ids=["A", "B", "C", "controls", "outputs", "no leak", "much leak"],
)
def test_what_does_not_fit_is_refused(more, says):
    with pytest.raises(ValueError, match=says):
        effective_matrix(np.zeros(4), **more)


def test_a_gain_needs_three_steps():
    with pytest.raises(ValueError, match="steps=2: a gain shows in 3 steps or more"):
        effective_gain(np.zeros(4), 2)
