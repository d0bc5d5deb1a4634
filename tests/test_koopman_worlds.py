"""Do the worlds with known separatrices rest, grow and part where their equations say?"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from slowpoint.core.precision import float64
from slowpoint.core.rollout import rollout
from slowpoint.core.wrap import Held
from slowpoint.recordings.gut import gut
from slowpoint.worlds import data_fitted_rnn
from slowpoint.worlds.affine_bistable import AffineBistable
from slowpoint.worlds.bistable import Bistable
from slowpoint.worlds.data_fitted_rnn import DataFittedRNN, DELAY
from slowpoint.worlds.hypercube import Hypercube
from slowpoint.worlds.limit_cycles import LimitCycles
from slowpoint.worlds.lotka_volterra import face, LotkaVolterra, two_species
from slowpoint.worlds.nonnormal_bistable import NonnormalBistable
from slowpoint.worlds.quad_stable import QuadStable
from slowpoint.worlds.radial_bistable import RadialBistable
from slowpoint.worlds.sine import Sine

NONE = jnp.zeros(0)
TURN = 0.6**0.5 * 1j
RESTS = [  # (world, where, rates per unit time)
    (Sine(), [np.pi], [-1]),
    (Sine(), [2 * np.pi], [1]),
    (AffineBistable(), [1, 0], [-2, -1]),
    (AffineBistable(), [0, 0], [-1, 1]),
    (Hypercube(3), [1, -1, 1], [-2, -2, -2]),
    (Hypercube(3), [1, 0, -1], [-2, -2, 1]),
    (NonnormalBistable(), [-1, 0, 0, 0], [-2, -2, -1, -1]),
    (NonnormalBistable(), [0, 0, 0, 0], [-2, -1, -1, 1]),
    (QuadStable(), [2 / 5**0.5, 1 / 5**0.5], [-1 - TURN, -1 + TURN]),
    (QuadStable(), [-2 / 5**0.5, 1 / 5**0.5], [-1 - TURN, -1 + TURN]),
    (QuadStable(), [0, 0], [-1, 1]),
    (QuadStable(), [-1, 0], [-2, 0.5]),
    (RadialBistable(), [1, 0], [-2, -1]),
    (RadialBistable(), [3, 0], [-2, -1]),
    (RadialBistable(), [2, 0], [-1, 1]),
    (RadialBistable(), [-1, 0], [-2, 1]),
    (RadialBistable(), [-3, 0], [-2, 1]),
    (RadialBistable(), [-2, 0], [1, 1]),
]


@pytest.mark.parametrize(("world", "where", "rates"), RESTS)
def test_a_world_rests_where_it_says_and_at_the_rates_it_says(world, where, rates):
    with float64():
        x = jnp.asarray(where, float)
        assert np.allclose(world.velocity(x, NONE), 0, atol=1e-14)
        found = np.sort_complex(np.asarray(world.rates(x, NONE)))
    assert np.allclose(found, np.sort_complex(np.array(rates, complex)), atol=1e-7)


def ends(world, starts, time=20.0):
    """Where Euler steps take a batch of starts."""
    inputs = jnp.zeros((round(time / world.dt), 0))
    run = eqx.filter_jit(jax.vmap(lambda x: rollout(world, x, inputs).states[-1]))
    return np.asarray(run(jnp.asarray(starts, jnp.float32)))


NEAR = 1e-2
PARTED = [  # (world, a state on the separatrix, across it, the attractor on the + side, - side)
    (Sine(), [2 * np.pi], [1], [3 * np.pi], [np.pi]),
    (AffineBistable(), [1.7, -1.7], [1, 1], [1, 0], [-1, 0]),
    (Hypercube(2), [0, 0.5], [1, 0], [1, 1], [-1, 1]),
    (NonnormalBistable(), [0, 1, 5, -5], [1, 0, 0, 0], [1, 0, 0, 0], [-1, 0, 0, 0]),
    (QuadStable(), [0, 0.7], [1, 0], np.array([2, 1]) / 5**0.5, np.array([-2, 1]) / 5**0.5),
    (QuadStable(), [1.3, 0], [0, 1], np.array([2, 1]) / 5**0.5, np.array([2, -1]) / 5**0.5),
    (RadialBistable(dt=2e-3), [-1.2, 1.6], [-0.6, 0.8], [3, 0], [1, 0]),
]


@pytest.mark.parametrize(("world", "on", "across", "more", "less"), PARTED)
def test_the_two_sides_of_a_separatrix_end_apart(world, on, across, more, less):
    step = NEAR * np.array(across)
    assert np.allclose(ends(world, [on + step, on - step]), [more, less], atol=1e-3)


@settings(max_examples=20, deadline=None)
@given(slant=st.floats(-3, 3))
def test_the_separatrix_of_affine_bistable_is_invariant(slant):
    with float64():
        moves = np.asarray(AffineBistable().velocity(jnp.array([slant, -slant]), NONE))
    assert abs(moves.sum()) < 1e-300  # subnormal numbers are flushed


def test_a_detour_is_amplified_before_it_decays():
    """x_4 = 1 makes x_3 peak at 10 (e^-t - e^-2t) = 2.5, at t = ln 2."""
    world = NonnormalBistable(dt=1e-3)
    run = rollout(world, jnp.array([0.0, 0.0, 0.0, 1.0]), jnp.zeros((2000, 0))).states[:, 2]
    assert run.max() == pytest.approx(2.5, abs=5e-3)
    assert (run.argmax() + 1) * world.dt == pytest.approx(np.log(2), abs=5e-3)


POLAR = [(RadialBistable(), lambda a: -jnp.sin(a)), (LimitCycles(), lambda a: 1.0)]


@pytest.mark.parametrize(("world", "turn"), POLAR)
def test_a_polar_world_moves_as_its_polar_equation(world, turn):
    """The chain rule through (r, theta) -> (x, y), at random states."""
    place = lambda p: p[0] * jnp.stack([jnp.cos(p[1]), jnp.sin(p[1])])

    def by_hand(p):
        speed = jnp.stack([(p[0] - 2) - (p[0] - 2) ** 3, turn(p[1])])
        return jax.jvp(place, (p,), (speed,))[1]

    with float64():
        p = jnp.asarray(np.random.default_rng(0).uniform([0.01, -4], [4, 4], (50, 2)))
        found = jax.vmap(lambda p: world.velocity(place(p), NONE))(p)
        assert np.allclose(found, jax.vmap(by_hand)(p), atol=1e-12)


@pytest.mark.parametrize("world", [RadialBistable(), LimitCycles()])
@pytest.mark.parametrize("tiny", [0.0, 1e-300, 1e-30, 1e-12, 1e-6])
def test_nothing_breaks_at_the_origin_and_nothing_rests_there(world, tiny):
    with float64():
        x = jnp.array([0.0, tiny])
        velocity, jacobian = world.velocity(x, NONE), world.jacobian(x, NONE)
    assert np.linalg.norm(velocity) == pytest.approx(6, abs=1e-4)
    assert np.isfinite(jacobian).all()
    x = jnp.array([0.0, tiny], jnp.float32)  # where the square of a small state is 0
    assert np.linalg.norm(world.velocity(x, NONE)) == pytest.approx(6, abs=1e-4)
    assert np.isfinite(world.jacobian(x, NONE)).all()


def test_limit_cycles_turn_at_speed_one_and_the_ring_between_them_parts_them():
    world = LimitCycles(dt=0.01)
    assert np.linalg.norm(ends(world, [[2.01, 0], [1.99, 0]]), axis=1) == pytest.approx(
        [3, 1], abs=0.05
    )
    with float64():
        for radius, growth in ((1.0, -2.0), (2.0, 1.0), (3.0, -2.0)):
            x = jnp.array([radius, 0.0])
            assert np.allclose(world.velocity(x, NONE), [0, radius], atol=1e-14)
            assert world.jacobian(x, NONE)[0, 0] == pytest.approx(growth)  # across the cycle


@pytest.mark.parametrize(
    "world",
    [AffineBistable(dt=0.2), Hypercube(dt=0.2), NonnormalBistable(dt=0.2), QuadStable(dt=0.2)],
)
def test_a_coarse_step_has_no_box(world):
    assert world.box(NONE) is None
    assert type(world)().box(NONE) is not None


@pytest.mark.parametrize(
    "world",
    [AffineBistable(), Hypercube(3), NonnormalBistable(), QuadStable()],
    ids=lambda world: type(world).__name__,
)
def test_no_step_leaves_a_box_from_its_faces_and_corners(world):
    with float64():
        low, high = map(np.asarray, world.box(NONE))
        axes = [np.linspace(a, b, 7) for a, b in zip(low, high)]
        grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, len(axes))
        moved = np.asarray(jax.vmap(lambda x: world.step(x, NONE))(jnp.asarray(grid)))
    assert np.all((moved >= low) & (moved <= high))


def test_a_cube_without_dimensions_is_refused():
    with pytest.raises(ValueError, match=r"A cube of 0 dimensions. Give size=1 or more"):
        Hypercube(0)


# ---------------------------------------------------------------- a fitted network


def test_a_data_fitted_network_takes_the_steps_of_its_equation():
    network = data_fitted_rnn.example(jr.key(3))
    m, h = np.asarray(network.weights), np.asarray(network.bias)
    x, u = np.linspace(-1, 2, 6), np.array(DELAY)
    rates = network.most / (1 + np.exp(-network.slope * (x - network.threshold)))
    expected = x + network.share * (-x + m @ np.concatenate([rates, u]) + h)
    x, u = jnp.asarray(x, jnp.float32), jnp.asarray(u, jnp.float32)
    assert np.allclose(network.step(x, u), expected, atol=1e-5)
    assert np.allclose(network.output(x), rates, atol=1e-6)
    assert np.allclose(network.velocity(x, u), 60 * (expected - x), atol=1e-3)
    assert np.allclose(Held(network, u).velocity(x, NONE), network.velocity(x, u))


def test_rows_of_the_inputs_are_refused():
    with pytest.raises(ValueError, match=r"shape \(9, 9\), expected .* Type: weights\[:6\]"):
        DataFittedRNN(jnp.zeros((9, 9)), jnp.zeros(9), 0.1, 1.0, 1.0, 0.0)


def test_a_network_that_overshoots_has_no_box():
    network = data_fitted_rnn.example(jr.key(3))
    wild = eqx.tree_at(lambda n: n.share, network, 1.5)
    assert network.box(jnp.zeros(3)) is not None
    assert wild.box(jnp.zeros(3)) is None


# ---------------------------------------------------------------- the gut


def community():
    data = gut()
    return data, LotkaVolterra(jnp.asarray(data.growth), jnp.asarray(data.interactions))


def test_the_face_of_two_states_is_invariant_and_holds_their_saddle():
    """Spec: saddle speed < 1e-12, one unstable rate, .0768924 per day; the next -.15197."""
    with float64():
        data, world = community()
        small, absent = face(world, data.face), np.delete(np.arange(11), data.face)
        draw = np.random.default_rng(0).uniform(0, 3, (20, 7))
        inside = np.zeros((20, 11))
        inside[:, data.face] = draw
        moves = np.asarray(jax.vmap(lambda x: world.velocity(x, NONE))(jnp.asarray(inside)))
        alone = jax.vmap(lambda x: small.velocity(x, NONE))(jnp.asarray(draw))
        saddle = jnp.asarray(data.saddle[data.face])
        speed = np.linalg.norm(small.velocity(saddle, NONE))
        rates = np.sort(np.asarray(small.rates(saddle, NONE)).real)
    assert absent.tolist() == [1, 6, 8, 9]
    assert np.all(moves[:, absent] == 0)
    assert np.allclose(moves[:, data.face], alone, rtol=0, atol=1e-13)
    assert speed < 1e-12
    assert (rates > 0).sum() == 1
    assert rates[-2:] == pytest.approx([-0.15197, 0.0768924], abs=1e-5)


def test_growth_per_head_names_who_could_invade():
    with float64():
        data, world = community()
        invasion = np.asarray(world.per_head(jnp.asarray(data.steady("E"))))
    growing = {str(data.genera[i]): float(invasion[i]) for i in np.flatnonzero(invasion > 1e-9)}
    assert growing == pytest.approx(
        {"Akkermansia": 0.4822, "Clostridium difficile": 0.2819}, abs=1e-4
    )


@pytest.mark.parametrize("members", [[0, 0], [11], [-1], []])
def test_a_face_of_other_species_is_refused(members):
    _, world = community()
    with pytest.raises(ValueError, match="expected different numbers from 0 to 10"):
        face(world, members)


def test_two_species_stand_for_two_states_of_the_gut():
    """The numbers were computed from the same parameters, apart from this code."""
    with float64():
        data, world = community()
        pair = two_species(world, data.steady("E"), data.steady("C"))
        assert pair.growth == pytest.approx([0.5094462353202661, 0.3676944451736364], rel=1e-9)
        assert pair.interactions == pytest.approx(
            np.array(
                [
                    [-0.5094462353202662, -1.4239292134793975],
                    [-0.4698122040237813, -0.367694445173636],
                ]
            ),
            rel=1e-9,
        )
        saddle = jnp.array([0.6981089752725589, 0.10800905309651297])
        assert np.abs(pair.velocity(saddle, NONE)).max() < 1e-12
        rates = np.sort(np.asarray(pair.rates(saddle, NONE)).real)
        assert rates == pytest.approx([-0.472265191097389, 0.07690187294944298], rel=1e-9)
        for corner in ([1.0, 0.0], [0.0, 1.0]):
            x = jnp.array(corner)
            assert np.abs(pair.velocity(x, NONE)).max() < 1e-12
            assert np.asarray(pair.rates(x, NONE)).real.max() < 0


def test_the_reduction_is_exact_along_each_state():
    """From z_1 a alone, z_1 follows the least-squares share of the full velocity along a."""
    with float64():
        data, world = community()
        for names in ("EC", "CE", "AD"):
            a, b = (data.steady(name) for name in names)
            pair = two_species(world, a, b)
            full = np.asarray(world.velocity(jnp.asarray(0.4 * a), NONE))
            alone = pair.velocity(jnp.array([0.4, 0.0]), NONE)
            assert np.allclose(alone, [a @ full / (a @ a), 0], rtol=1e-9, atol=1e-12)


def test_two_of_two_species_are_themselves():
    k = np.array([[-1.0, -1.7], [-1.4, -0.8]])
    with float64():
        world = LotkaVolterra(jnp.array([1.0, 0.9]), jnp.asarray(k))
        a, b = np.array([1.0, 0.0]), np.array([0.0, 0.9 / 0.8])
        pair = two_species(world, a, b)
        scaled = k * np.array([a[0], b[1]])  # z = x / (size of a, size of b)
        assert np.allclose(pair.interactions, scaled, atol=1e-14)
        assert np.allclose(pair.growth, world.growth, atol=1e-14)


def test_states_that_move_or_coincide_are_refused():
    data, world = community()
    e = data.steady("E")
    with pytest.raises(ValueError, match=r"b moves at speed .* no steady state"):
        two_species(world, e, 1.1 * data.steady("C"))
    with pytest.raises(ValueError, match="a and b lie on one line"):
        two_species(world, e, e)
    with pytest.raises(ValueError, match="a and b lie on one line"):
        two_species(world, e, 0 * e)


def test_bistable_of_one_coordinate_is_the_cube_of_one():
    x = jnp.array([0.3])
    assert Hypercube(1).velocity(x, NONE) == Bistable(1).velocity(x, NONE)
