"""Is the closed form of the impulse response that of the network, and noise that of labels?"""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from slowpoint.core.precision import float64
from slowpoint.core.rollout import rollout
from slowpoint.theory.impulse import decaying
from slowpoint.theory.latent import Latent
from slowpoint.theory.overlaps import Dims, rank_one

SIGMA = rank_one(zm=0.3, zu=0.4, vm=0.2, vu=0.5, mu=0.8, uu=2.0)


@pytest.mark.parametrize("vu", [-0.6, 0.01, 0.7, 1.1])
def test_the_response_and_the_loss_are_those_of_the_latent_rollout(vu):
    sigma = SIGMA.copy()
    sigma[2, 1] = sigma[1, 2] = vu
    pulse = np.zeros((60, 1))
    pulse[0] = 1 / 0.1
    wanted = np.exp(-0.3 * np.linspace(0, 60, 60) * 0.1)
    loss = decaying(0.3, steps=60, dt=0.1)
    with float64():
        answers = rollout(Latent(jnp.asarray(sigma), Dims(), dt=0.1), jnp.zeros(2), pulse)
        outputs = np.asarray(answers.outputs)[:, 0]
        response = np.asarray(loss.response(jnp.asarray(sigma)))
        found = float(loss(jnp.asarray(sigma), None))
    np.testing.assert_allclose(response, outputs, rtol=0, atol=1e-13)
    np.testing.assert_allclose(found, 0.1 * np.sum((outputs - wanted) ** 2), rtol=1e-12)


def test_noise_adds_its_variance():
    with float64():
        quiet = decaying(0.2)(jnp.asarray(SIGMA), None)
        noisy = decaying(0.2, noise=0.1)
        losses = jax.vmap(noisy, (None, 0))(jnp.asarray(SIGMA), jr.split(jr.key(0), 2000))
    added = np.asarray(losses) - float(quiet)
    expected = 0.1**2 * 0.05 * 400
    assert abs(added.mean() - expected) < 4 * added.std() / np.sqrt(2000)
    assert added.std() > 0.1 * expected
