"""Identities of the least-squares predictor, the ring, the latent solution and the modes."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from slowpoint.cells.feedforward import DeepLinear
from slowpoint.core.precision import float64
from slowpoint.core.rollout import rollout
from slowpoint.core.transitions import Transitions
from slowpoint.theory.mode_flow import logistic, mode_flow, ModeFlow, rise_time
from slowpoint.theory.prediction import (
    canonical_correlations,
    latent_solution,
    latent_solution_spectrum,
    least_squares_predictor,
    line_bound,
    ring_participation,
    ring_spectrum,
    spectral_participation,
)
from slowpoint.worlds.corridor import corridor
from slowpoint.worlds.ring import ring_world

few = settings(max_examples=20, deadline=None)


@st.composite
def lines(draw, most=30):
    size = draw(st.integers(4, most))
    return size, draw(st.integers(1, size - 1))


def centred(size, horizon):
    c = np.arange(size) - (size - 1) / 2
    return c, np.concatenate([c, np.arange(-horizon, horizon + 1)])


@few
@given(lines())
def test_the_position_is_mapped_exactly(line):
    size, horizon = line
    world = corridor(size, horizon)
    predictor = least_squares_predictor(world)
    c, u = centred(size, horizon)
    np.testing.assert_allclose(predictor @ c, u, atol=1e-10 * size)
    null = np.repeat([1.0, -1.0], [size, world.n_actions])
    assert not (world.one_hot() @ null).any()
    sizes = np.linalg.svd(predictor, compute_uv=False)
    assert sizes[0] >= line_bound(size, horizon) - 1e-12
    assert np.linalg.norm(u) / np.linalg.norm(c) == pytest.approx(line_bound(size, horizon))


@few
@given(lines())
def test_two_canonical_correlations_are_one(line):
    found = canonical_correlations(corridor(*line))
    assert np.allclose(found[:2], 1, atol=1e-9)
    assert found[2] < 1 - 1e-6 or line[1] >= line[0] - 1


def test_numbers_of_the_line():
    thirds = [canonical_correlations(corridor(20, a))[2] for a in (1, 5, 10, 19)]
    np.testing.assert_allclose(thirds, [0.965, 0.500, 0.191, 0.447], atol=5e-4)
    sizes = [
        np.linalg.svd(least_squares_predictor(corridor(20, a)), compute_uv=False)
        for a in (1, 5, 10, 19)
    ]
    np.testing.assert_allclose([s[0] for s in sizes], [1.010, 1.098, 1.489, 2.941], atol=5e-4)


@few
@given(st.integers(5, 30), st.data())
def test_the_ring_in_closed_form(size, data):
    horizon = data.draw(st.integers(1, (size - 1) // 2))
    world = ring_world(size, horizon)
    near, actions = ring_spectrum(size, horizon), 2 * horizon + 1
    mean = np.zeros((size, size))
    np.add.at(mean, (world.state, world.target), 1 / actions)
    falling = lambda sizes: np.sort(sizes)[::-1]
    np.testing.assert_allclose(np.linalg.svd(mean, compute_uv=False), falling(near), atol=1e-12)
    assert (near**2).sum() == pytest.approx(size / actions)
    shared = near.copy()
    shared[0] = np.sqrt(actions / (size + actions))
    whole = np.linalg.svd(least_squares_predictor(world), compute_uv=False)
    np.testing.assert_allclose(whole, falling(shared), atol=1e-10)
    if 2 * (actions - 1) < size:
        assert spectral_participation(near) == pytest.approx(ring_participation(size, horizon))


@few
@given(lines(40))
def test_the_latent_solution(line):
    size, horizon = line
    world, product = corridor(size, horizon), latent_solution(size, horizon)
    logits = world.one_hot() @ product.T
    right = np.take_along_axis(logits, world.target[:, None], 1)[:, 0]
    np.put_along_axis(logits, world.target[:, None], -np.inf, 1)
    # where every target has a neighbour that is a place
    assert (right - logits.max(axis=1)).min() == pytest.approx(1, abs=1e-9 * size**2)
    sizes = np.linalg.svd(product, compute_uv=False)
    assert np.linalg.matrix_rank(product) == 2
    np.testing.assert_allclose(sizes[:2], latent_solution_spectrum(size, horizon), rtol=1e-10)


def test_the_latent_solution_is_cheap():
    costs = [latent_solution_spectrum(20, a).schatten_cost(5) for a in (1, 10)]
    np.testing.assert_allclose(costs, [26.33, 31.96], atol=5e-3)


@few
@given(lines(12), st.integers(0, 99))
def test_names_of_states_do_not_matter(line, seed):
    """Renaming permutes rows and columns of the map, and leaves its spectrum."""
    world = corridor(*line)
    name = np.random.default_rng(seed).permutation(world.n_states)
    places = np.empty_like(world.places)
    places[name] = world.places
    other = Transitions(
        name[world.state],
        world.action,
        name[world.target],
        world.reach,
        places,
        world.n_actions,
    )
    one, two = map(least_squares_predictor, (world, other))
    rows = np.concatenate([name, world.n_states + np.arange(world.n_actions)])
    np.testing.assert_allclose(two[np.ix_(rows, name)], one, atol=1e-10)
    np.testing.assert_allclose(
        world.one_hot() @ one @ world.places, other.one_hot() @ two @ places, atol=1e-9
    )


def test_a_mode_of_two_layers_is_logistic():
    flow = mode_flow(2, [1.0, 0.3], [1.0, 2.0])
    time = np.arange(1, 20001) * 0.001
    with float64():
        fine = ModeFlow(flow.covariance, flow.variance, 2, 0.001)
        path = rollout(fine, jnp.full(2, 0.01), jnp.zeros((20000, 0)))
    known = np.stack([logistic(time, 0.01, 1.0, 1.0), logistic(time, 0.01, 0.3, 2.0)], axis=1)
    np.testing.assert_allclose(path.states, known, atol=1e-3)


def test_rise_times():
    flow = mode_flow(2, [1.0, 0.5], [1.0, 1.0])
    half = rise_time(flow, 0.01)
    for mode, (c, t) in enumerate(zip((1.0, 0.5), half)):
        assert logistic(t, 0.01, c, 1.0) == pytest.approx(c / 2, rel=1e-9), mode
    six = np.linspace(1, 0.2, 6)
    ratios = [np.ptp(np.log(rise_time(mode_flow(n, six, 1.0), 0.01))) for n in (2, 3, 5)]
    np.testing.assert_allclose(np.exp(ratios), [3.2, 4.1, 4.6], atol=0.05)


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_balanced_layers_follow_the_flow(depth):
    """Full matrices by small gradient steps reach half their end when the flow says so."""
    c, start, rate = np.array([1.0, 0.6, 0.4]), 0.01, 4e-3
    with float64():
        turns = [
            np.linalg.qr(np.asarray(jr.normal(jr.key(k), (3, 3))))[0] for k in range(depth + 1)
        ]
        root = start ** (1 / depth) * np.eye(3)
        layers = [turns[k + 1] @ root @ turns[k].T for k in range(depth)]
        aim = turns[-1] @ np.diag(c) @ turns[0].T
    half, expected = np.full(3, np.nan), rise_time(mode_flow(depth, c, 1.0), start)
    for update in range(int(1.2 * expected.max() / rate)):
        product = np.linalg.multi_dot(layers[::-1])
        sizes = np.diag(turns[-1].T @ product @ turns[0])
        half = np.where(np.isnan(half) & (sizes >= c / 2), update * rate, half)
        pull, slopes = aim - product, []
        for k in range(depth):
            above = np.linalg.multi_dot([np.eye(3), np.eye(3), *layers[:k:-1]])
            below = np.linalg.multi_dot([np.eye(3), np.eye(3), *layers[:k][::-1]])
            slopes.append(above.T @ pull @ below.T)
        layers = [w + rate * g for w, g in zip(layers, slopes)]
    np.testing.assert_allclose(half, expected, rtol=5e-3)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: ring_participation(20, 5), "4 A < S"),
        (lambda: mode_flow(0, [1.0], [1.0]), "1 layer"),
        (lambda: mode_flow(2, [-1.0], [1.0]), "above 0"),
        (lambda: rise_time(mode_flow(2, [1.0], [1.0]), 0.7), "start=0.7"),
    ],
)
def test_misuse_is_said(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_a_product_has_the_form_of_the_theory():
    net = DeepLinear.random((11, 7, 6), key=jr.key(0))
    assert net.product().shape == latent_solution(6, 2).shape
