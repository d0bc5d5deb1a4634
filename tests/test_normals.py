"""Are numbers that are drawn in a hurry as random as the others?"""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.stats

from slowpoint.core.normals import normals, threefry
from slowpoint.core.precision import float64
from slowpoint.tasks.delayed_classification import DelayedClassification

DRAWN = np.asarray(normals(jr.key(0), (200_001,)))


def words(*values):
    return [jnp.array([value], jnp.uint32) for value in values]


@pytest.mark.parametrize(
    ("key", "count", "said"),
    [  # Random123, kat_vectors
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((2**32 - 1,) * 2, (2**32 - 1,) * 2, (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_the_generator_gives_its_published_answers(key, count, said):
    found = threefry(jnp.array(key, jnp.uint32), *words(*count))
    assert tuple(int(word[0]) for word in found) == said


def test_it_is_the_generator_of_jax():
    counts = jnp.arange(1000, dtype=jnp.uint32)
    a, b = threefry(jr.key_data(jr.key(3)), jnp.zeros_like(counts), counts)
    with jax.threefry_partitionable(True):
        assert jnp.array_equal(a ^ b, jr.bits(jr.key(3), (1000,)))


def test_they_are_normal_and_independent():
    assert DRAWN.dtype == np.float32
    assert np.isfinite(DRAWN).all()
    assert scipy.stats.kstest(DRAWN, "norm").pvalue > 1e-3
    assert scipy.stats.kstest(DRAWN**2, "chi2", (1,)).pvalue > 1e-3
    half = len(DRAWN) // 2 + 1
    first, second = DRAWN[:half][:-1], DRAWN[half:]  # the two words of a count
    for one, other in ((first, second), (DRAWN[1:], DRAWN[:-1]), (first**2, second**2)):
        assert abs(np.corrcoef(one, other)[0, 1]) < 4 / np.sqrt(half)
    assert 4 < np.abs(DRAWN).max() < 6
    assert len(np.unique(DRAWN)) > 0.98 * len(DRAWN)


def test_they_depend_on_the_key_and_not_on_company():
    keys = jr.split(jr.key(1), 3)
    together = jax.vmap(lambda key: normals(key, (4, 5)))(keys)
    alone = jnp.stack([normals(key, (4, 5)) for key in keys])
    assert jnp.allclose(together, alone, atol=1e-6)
    assert len(np.unique(alone)) == 60
    assert normals(jr.key(2), ()).shape == ()
    assert normals(jr.key(2), (3, 0)).shape == (3, 0)
    with float64():
        assert normals(jr.key(2), (3,)).dtype == jnp.float32
    with pytest.raises(ValueError, match=r"jax.random.key"):
        normals(jr.key(0, impl="rbg"), (3,))


@pytest.mark.parametrize("pixels", [12, 300])
def test_frames_of_a_task_have_its_noise_narrow_or_wide(pixels):
    images = np.random.default_rng(0).uniform(size=(10, pixels)).astype(np.float32)
    task = DelayedClassification.of(images, np.arange(10))
    frames = np.asarray(task.noise(jr.key(0), 60_000 // pixels))
    assert (frames[:, -1] == 0).all()
    drawn = (frames[:, :-1].ravel() - float(task.mean)) / float(task.sd)
    assert scipy.stats.kstest(drawn, "norm").pvalue > 1e-3
    assert len(np.unique(drawn)) > 50_000
