"""Do twins start alike, learn what they should, and are they compared by what they share?"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from slowpoint.core.nonlinearity import erf
from slowpoint.core.rollout import rollout
from slowpoint.experiments.overlap_twins import (
    DT,
    functional,
    gaps,
    INVISIBLE,
    pools,
    run,
    Settings,
    starts,
    TEACHER,
    VISIBLE,
)
from slowpoint.theory.latent import Latent
from slowpoint.theory.overlaps import Dims
from slowpoint.theory.visibility import visible

SMALL = Settings(pairs=2, steps=1000, imitation=(500, 1000), pool=2, batch=2, every=250)


@pytest.fixture(scope="module")
def results():
    return run(SMALL)


def test_starts_are_drawn_as_stated_and_belong_to_networks():
    sigmas = starts(3000, jr.key(0))
    assert np.linalg.eigvalsh(sigmas).min() > 1e-3
    assert np.array_equal(sigmas, np.swapaxes(sigmas, 1, 2))
    norms = np.diagonal(sigmas, axis1=1, axis2=2)
    assert 0.5 <= norms.min() < 0.51
    assert 1.99 < norms.max() <= 2.0
    rows, columns = np.triu_indices(4, 1)
    cross = sigmas[:, rows, columns]
    assert cross.min() >= 0
    # of |N(0, .4^2)| the mean is .319; the draws that no network has are the larger ones
    assert np.all((cross.mean(axis=0) > 0.25) & (cross.mean(axis=0) < 0.32))
    assert not np.array_equal(sigmas[:3], starts(3, jr.key(1)))


def test_visible_are_those_that_move_the_answers():
    inputs = 3 * np.random.default_rng(0).normal(size=(30, 1))
    answer = lambda sigma: rollout(Latent(sigma, Dims(), erf, DT), jnp.zeros(0), inputs).outputs
    seen = visible(answer, starts(1, jr.key(2))[0])
    place = dict(zip(seen.names, zip(*np.triu_indices(4)), strict=True))
    listed = lambda pairs: {tuple(sorted(pair)) for pair in zip(*pairs, strict=True)}
    assert listed(VISIBLE) == {tuple(map(int, place[n])) for n in seen.visible}
    assert listed(INVISIBLE) == {tuple(map(int, place[n])) for n in seen.invisible}


def test_the_gauge_moves_visible_overlaps_and_no_function():
    sigma, basis = starts(1, jr.key(3))[0], np.diag([1.0, 2.0, 0.5, 1.0])
    other = basis @ sigma @ basis
    assert functional(other) == pytest.approx(functional(sigma), rel=1e-12)
    assert np.abs((other - sigma)[VISIBLE]).max() > 0.1
    zm, zu, vm, vu, mu, mm, uu = sigma[VISIBLE]
    known = [zm, zu * vm, vu, zu**2 / uu, mu / zu, mm]
    assert functional(sigma) == pytest.approx(known)


@pytest.mark.slow
def test_tasks_are_those_of_the_paper():
    a, b, c = pools(Settings(pool=3, batch=4), jr.key(0))
    for pool in (a, b, c):
        assert pool.trials.inputs.shape == (3, 4, 100, 1)
    assert set(np.unique(a.trials.inputs)) == {-2.0, 0.0, 2.0}
    assert set(np.unique(a.trials.targets)) <= {-1.0, 0.0, 1.0}
    counted = b.trials.weights[0, 0]  # 1 s fixation, 9 s stimulus, 1 s delay, 9 s response
    assert np.array_equal(np.flatnonzero(counted), np.arange(55, 100))
    assert set(np.unique(np.abs(b.trials.targets))) <= {0.125, 0.5, 1.0}
    own, worse, silent = marks(c, np.stack([TEACHER, 0.5 * TEACHER, 0 * TEACHER]))
    assert own < 1e-9  # float32 here
    assert worse > 1e-3
    sums = (c.trials.targets**2).sum(axis=(2, 3)) * DT  # over time, per trial
    assert np.isclose(sums.mean(axis=1), silent, rtol=1e-5).any()


@eqx.filter_jit
def marks(pool, sigmas):
    """The losses of each on the batch of one key."""
    return jax.vmap(lambda sigma: pool(sigma, jr.key(3)))(jnp.asarray(sigmas))


@pytest.mark.slow
def test_twins_start_alike_and_go_apart(results):
    twins = results.twins
    path, taught = twins.overlaps, twins.taught
    assert taught == 4
    assert twins.steps.tolist() == list(range(0, 2501, 250))
    assert path.shape == (2, 2, 11, 4, 4)
    assert twins.losses.shape == (2, 2, 10)
    assert np.array_equal(path[:, 0, 0], path[:, 1, 0])
    assert not np.array_equal(path[0, 0, 0], path[1, 0, 0])  # pairs differ
    assert len(np.unique(path[0, 0].reshape(11, 16), axis=0)) == 11  # and all records
    for kind, gap in gaps(twins).items():
        assert gap[:, 0].max() < 1e-15, kind
        assert gap[:, taught].min() > 0.1, kind
    assert np.linalg.eigvalsh(path).min() > 0


@pytest.mark.slow
def test_phases_teach_what_they_say(results):
    """A and B each do their own better; C falls, both in what it gives and in the path."""
    path, losses = results.twins.overlaps, results.twins.losses
    for own, pool in enumerate(pools(SMALL, jr.split(jr.key(0), 4)[1])[:2]):
        error = marks(pool, path[0, :, 4])
        assert error[own] < 0.6 * error[1 - own]
    assert np.all(losses[:, 0, 3] < losses[:, 0, 0])
    assert np.all(losses[:, :, -1] < losses[:, :, 4])


@pytest.mark.slow
def test_the_gaps_are_distances(results):
    last = results.twins.overlaps[:, :, -1]
    changed = last[:, 1] - last[:, 0]
    found = gaps(results.twins)
    squares = changed[:, 2, 2] ** 2 + changed[:, 2, 3] ** 2 + changed[:, 3, 3] ** 2
    assert found["invisible"][:, -1] == pytest.approx(np.sqrt(squares))
    zu, vm = last[..., 3, 1], last[..., 2, 0]
    product = np.abs((zu * vm)[:, 0] - (zu * vm)[:, 1])
    assert np.all(found["functional"][:, -1] >= product - 1e-12)
