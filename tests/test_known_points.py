"""Do the networks with known points stand still there, and nowhere else?"""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from slowpoint.core.precision import float64, widen
from slowpoint.theory.known_points import duffing, hopfield, linear, rank_one

MADE = [linear(20, jr.key(0)), rank_one(64, jr.key(1)), hopfield(8, 2, jr.key(2)), duffing()]


@pytest.mark.parametrize("known", MADE, ids=lambda known: known.name)
def test_the_system_stands_still_at_its_known_points(known):
    with float64():
        system, hold = widen(known.system), jnp.asarray(known.hold)
        still = jax.vmap(lambda x: system.velocity(x, hold))(jnp.asarray(known.points))
        slopes = jax.vmap(lambda x: system.jacobian(x, hold))(jnp.asarray(known.points))
        assert np.abs(np.asarray(still)).max() < 1e-13
        index = np.linalg.slogdet(-np.asarray(slopes))[0]
    assert index.sum() == 1  # of all points of a bounded flow: Poincare and Hopf


def test_a_hopfield_module_has_nine_points_and_four_memories():
    for modules in (1, 2):
        known = hopfield(6, modules, jr.key(0))
        assert len(known.points) == 9**modules
        apart = np.linalg.norm(known.points[:, None] - known.points[None], axis=2)
        assert apart[~np.eye(len(apart), dtype=bool)].min() > 1
        memories = np.abs(known.points).min(axis=1) > 0
        assert memories.sum() == 4**modules
        grid = np.unique(np.abs(known.points))
        assert grid == pytest.approx([0, 1.9150080481545375])  # 2 tanh(a) = a


def test_an_odd_module_is_refused():
    with pytest.raises(ValueError, match="even"):
        hopfield(5, 1, jr.key(0))


def test_rank_one_has_no_other_points():
    """Along the left vector, the only place where points can be, on a grid."""
    known = rank_one(64, jr.key(3))
    left, right = (np.asarray(a, float)[:, 0] for a in (known.system.left, known.system.right))
    latent = np.linspace(-5, 5, 2001)
    off = np.tanh(latent[:, None] * left) @ right / 64 - latent
    assert (np.diff(np.sign(off[off != 0])) != 0).sum() == len(known.points) == 3
