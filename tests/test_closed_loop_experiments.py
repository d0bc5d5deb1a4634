"""Do the experiments on loops measure what they say?"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from slowpoint.core.rollout import rollout
from slowpoint.experiments import closed_loop_stages as stages, closed_vs_open as versus
from slowpoint.learning.clip import clip
from slowpoint.theory.gram import gram, learn_gram
from slowpoint.theory.loop_objectives import real_root
from slowpoint.theory.loop_plateau import pair, plateaus
from slowpoint.theory.loop_spectrum import coupled_matrix, effective_matrix, spectrum
from slowpoint.theory.loop_stability import effective_gain
from slowpoint.theory.loop_start import start_columns

RATE, SMALL = 1e-2, stages.Settings(networks=3, theory=4, epochs=50, batch=100, units=20)


# ---------------------------------------------------------------- the clip


def shortened(updates, largest):
    optimiser = clip(largest)
    found: Any = optimiser.update(updates, optimiser.init(updates))[0]
    return found


def test_a_long_gradient_keeps_its_direction_and_a_short_one_stays():
    long = {"a": jnp.array([3.0, 0.0]), "b": jnp.array([[4.0]]), "frozen": None}
    found = shortened(long, 2.0)
    np.testing.assert_allclose(found["a"], [1.2, 0.0], rtol=1e-6)
    np.testing.assert_allclose(found["b"], [[1.6]], rtol=1e-6)
    assert found["frozen"] is None
    assert (
        np.sqrt((found["a"] ** 2).sum() + (found["b"] ** 2).sum()) < 2.0
    )  # by the 1e-6 beside the norm
    np.testing.assert_array_equal(shortened(long, 5.1)["a"], long["a"])


def test_the_clip_is_that_of_pytorch_just_below_the_largest_norm():
    found = shortened(jnp.array([1.0 - 4e-7]), 1.0)
    assert found[0] < 1.0 - 4e-7  # 1 / (norm + 1e-6) < 1


def test_a_clip_that_is_not_above_zero_is_refused():
    with pytest.raises(ValueError, match=r"largest=0\.0"):
        clip(0.0)


# ---------------------------------------------------------------- plateaus


def test_the_pair_and_the_real_root_are_the_eigenvalues_of_the_loop():
    draw = np.random.default_rng(0)
    overlaps = draw.normal(size=(50, 4)) * [0.0, 0.1, 0.1, 0.3] - [0.03, 0, 0, 0]
    overlaps[::2, 3] += 2.5  # the real root is the largest
    values = spectrum(effective_matrix(overlaps))
    found = pair(overlaps)
    assert (found[:, 1] > 0).all()
    for value in (found[:, 0] + 1j * found[:, 1], found[:, 0] - 1j * found[:, 1]):
        assert np.abs(values - value[:, None]).min(axis=1).max() < 1e-7
    assert np.abs(values - real_root(overlaps)[:, None]).min(axis=1).max() < 1e-7


def zigzag():
    """s_zm falls by .01 a step to -.02, then jumps to and fro by .004; p grows."""
    s_zm = np.array([0.0, -0.01, -0.02, -0.024, -0.02, -0.024, -0.02, -0.024])
    p = 0.002 * np.arange(8)
    return np.stack([s_zm, p, np.ones(8), np.full(8, 0.05)], axis=-1)


def test_a_plateau_written_by_hand():
    path, losses = zigzag(), np.array([9.0, 8.0, 5.0, 7.0, 6.0, 4.0, 3.0, 1.0])
    found = plateaus(
        np.stack([path] * 3),
        np.stack([losses] * 3),
        np.array([(2, 6), (1, 4), (2, -1)]),
        np.full(3, 0.008),
        soon=1,
    )
    np.testing.assert_allclose(found.loss[:2], [5.0, 6.5])
    # moves of the second: -.01, -.004, .004
    np.testing.assert_allclose(found.flips[:2], [1.0, 0.5])
    np.testing.assert_allclose(found.step[:2], [0.5, 0.75])
    np.testing.assert_allclose(found.gains[0], effective_gain(path[6], 50))
    np.testing.assert_allclose(found.pair[0], pair(path[3]))
    assert all(np.isnan(getattr(found, field)[2]).all() for field in ("pair", "flips", "gains"))


def test_first_order_is_exact_without_a_velocity_estimate():
    path = zigzag() * [1, 0, 1, 1]
    found = plateaus(path[None], np.ones((1, 8)), np.array([(1, 7)]), np.ones(1))
    assert found.slow_error[0] < 1e-12
    assert found.pair_error[0] < 1e-12
    off = plateaus(zigzag()[None], np.ones((1, 8)), np.array([(1, 7)]), np.ones(1))
    assert off.slow_error[0] > 1e-5


# ---------------------------------------------------------------- stages


def test_the_network_of_the_columns_is_the_loop_of_their_overlaps():
    columns = start_columns(jr.key(0), 1, 9)[0]
    values = spectrum(coupled_matrix(stages.loop(columns).loop))[:4]
    m, u, v, z = columns.T
    overlaps = np.array([z @ m, z @ u, v @ m, v @ u])
    np.testing.assert_allclose(
        np.sort(np.abs(values)),
        np.sort(np.abs(spectrum(effective_matrix(overlaps)))),
        atol=1e-3,
    )


@pytest.mark.slow
def test_both_kinds_begin_with_the_same_networks_and_learn_alike():
    found = stages.run(SMALL)
    np.testing.assert_allclose(
        found.networks.overlaps[:, 0], found.theory.overlaps[:3, 0], atol=1e-6
    )
    apart = np.abs(np.log10(found.networks.losses / found.theory.losses[:3]))
    assert np.median(apart) < 0.1
    other = np.abs(np.log10(found.networks.losses / found.theory.losses[[1, 2, 3]]))
    assert np.median(other) > 2 * np.median(apart)  # another network is not as near


def test_the_reduced_model_begins_where_the_loop_is_stable():
    columns = start_columns(jr.key(1), 4)
    path = learn_gram(gram(columns), stages.LOSS, rate=RATE, steps=250).overlaps
    path[-1] = path[-1, :1]  # one that does not learn
    lengths = np.linalg.norm(columns[..., 0], axis=1)
    paths, flat, ends = stages.follow(path, RATE, lengths)
    stable = ends.borders[:, 1]
    assert (stable >= 0).tolist() == [True] * 3 + [False]
    for reduced, losses, end, error in zip(
        paths.reduced, paths.losses, stable, ends.reduced_error, strict=True
    ):
        if end < 0:
            assert np.isnan(reduced).all()
            assert np.isnan(error).all()
        else:
            assert np.isnan(reduced[:end]).all()
            np.testing.assert_allclose(reduced[end], losses[end], rtol=1e-12)
            assert 0 < error[0] <= error[1]
    assert (flat.step[stable >= 0] <= 1 + 1e-9).all()  # no clipped step is longer


# ---------------------------------------------------------------- inside and outside


def test_first_weights_are_as_small_as_the_paper_draws_them():
    agent = versus.network(200, jr.key(0))
    for part, sd in ((agent.recurrent, 0.1 / 200**0.5), (agent.encoder, 1 / 200)):
        assert abs(np.std(part) / sd - 1) < 0.15
    assert abs(np.std(agent.readout) * 200 - 1) < 0.15
    assert not agent.bias.any()
    assert not agent.readout_bias.any()


@pytest.fixture
def agents():
    """A tanh network at three epochs, its readout stronger each time."""
    agent = versus.network(12, jr.key(1))
    scaled = [eqx.tree_at(lambda a: a.readout, agent, k * 40 * agent.readout) for k in range(3)]
    return jax.tree.map(lambda *parts: jnp.stack(parts), *scaled)


def test_deployment_is_the_mean_over_the_starts_and_the_sum_over_time(agents):
    starts = np.array([[0.5, -0.2], [0.1, 0.3], [-1.0, 0.0]])
    losses, gains = versus.deploy(agents, starts)
    at = lambda k: jax.tree.map(lambda a: a[k], agents)
    for k in range(3):
        total, nothing = 0.0, jnp.zeros((versus.STEPS, 0))
        for start in starts:
            shown = np.asarray(rollout(versus.looped(at(k)), start, nothing).outputs)
            np.testing.assert_allclose(shown[0], [*start, 0.0], atol=1e-7)
            total += (shown[:, :2] ** 2).sum() / len(starts)
        np.testing.assert_allclose(losses[k], total, rtol=1e-5)
    # a silent agent: the free mass, x_t = x + t v
    t, free = np.arange(versus.STEPS), 0.0
    for x, v in starts:
        free += (((x + t * v) ** 2).sum() + versus.STEPS * v**2) / 3
    np.testing.assert_allclose(losses[0], free, rtol=1e-5)
    np.testing.assert_allclose(gains[0], 0, atol=1e-7)


def test_borders_are_those_of_the_triangle():
    gains = np.array([(0.01, 0), (-0.02, 0), (-0.02, -0.03), (-0.02, -0.01), (-0.2, -0.5)])
    assert versus.borders(gains) == (1, 4)
    assert versus.borders(gains[:4]) == (1, -1)


def damped(damping):
    """A push of -.1 on the position and of `damping` on its change, as loops and matrices."""
    m, w = np.array([[1.0], [0.0]]), np.array([[0.05, 0.0], [1.0, 0.05]])
    z = np.stack([-0.1 - damping, damping], axis=-1)[:, None]
    one = versus.network(2, jr.key(2))
    many = jax.tree.map(lambda a: jnp.stack([a] * len(damping)), one)
    weights = [np.broadcast_to(part, (len(damping), *part.shape)) for part in (w, m)]
    where = lambda a: (a.recurrent, a.encoder, a.readout)
    many = eqx.tree_at(where, many, [jnp.asarray(a, jnp.float32) for a in (*weights, z)])
    loop = versus.looped(one).loop
    a, b = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[0.0], [1.0]])
    matrices = [np.block([[a, b @ k], [m @ a[:1], w]]) for k in z]
    return eqx.tree_at(lambda c: c.agent, loop, many, is_leaf=lambda x: x is one), matrices


def test_the_linearised_loop_is_looked_at_around_the_border():
    loops, matrices = damped(np.linspace(0, 0.4, 81))
    size = np.abs(np.linalg.eigvals(np.stack(matrices))).max(axis=-1)
    known = np.flatnonzero(size >= 1)[-1] + 1
    assert 0 < known < 80
    assert known % 10  # only a look at each epoch near it finds it
    found = versus.linearised(loops, int(known) + 3)
    assert found.stable_from == known
    np.testing.assert_allclose(found.memory, 0.05, rtol=1e-3)


def test_a_loop_that_is_never_stable_has_no_border():
    found = versus.linearised(damped(np.zeros(25))[0], -1)
    assert found.stable_from == -1
    assert np.isnan(found.memory)
