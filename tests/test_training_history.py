"""Is the loss that of a network, and do the distances see what they should?"""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from slowpoint.core.precision import float64
from slowpoint.core.rollout import rollout
from slowpoint.experiments.training_history import (
    DT,
    functional,
    impulse,
    invisible,
    returns,
    START,
    TICKS,
)
from slowpoint.theory.latent import Latent
from slowpoint.theory.overlaps import Dims


def test_the_loss_is_that_of_the_latent_rollout():
    sigma = START + 0.2 * np.eye(4)
    sigma[2, 1] = sigma[1, 2] = 0.7
    pulse = np.zeros((TICKS, 1))
    pulse[0] = 1 / DT
    wanted = np.exp(-0.3 * np.linspace(0, TICKS, TICKS) * DT)
    with float64():
        answers = rollout(Latent(jnp.asarray(sigma), Dims(), dt=DT), jnp.zeros(2), pulse)
        error = np.asarray(answers.outputs)[:, 0] - wanted
        found = float(impulse(0.3)(jnp.asarray(sigma), None))
    np.testing.assert_allclose(found, DT * np.sum(error**2), rtol=1e-12)


def test_noise_adds_its_variance():
    with float64():
        quiet = impulse(0.2)(jnp.asarray(START), None)
        noisy = impulse(0.2, 0.1)
        losses = jax.vmap(noisy, (None, 0))(jnp.asarray(START), jr.split(jr.key(0), 2000))
    added = np.asarray(losses) - float(quiet)
    expected = 0.1**2 * DT * TICKS
    assert abs(added.mean() - expected) < 4 * added.std() / np.sqrt(2000)
    assert added.std() > 0.1 * expected


def test_distances_see_what_their_names_say():
    scale = np.diag([1, 2, 0.5, 1])  # (u, v) to (2 u, v / 2): another basis, the same function
    other = scale @ START @ scale
    assert functional(other, START) < 1e-15
    np.testing.assert_allclose(
        invisible(other, START),
        np.linalg.norm([0.8, -0.5 * START[3, 2], 3 * START[1, 1], -0.75]),
    )
    faster = START.copy()
    faster[2, 1] = faster[1, 2] = START[2, 1] + 0.25
    assert invisible(faster, START) == 0
    np.testing.assert_allclose(functional(faster, START), 0.25)


def test_returns_compare_the_ends_of_the_first_third_and_fifth_phase():
    records = np.repeat(START[None, None], 11, axis=1)
    records[0, :, 0, 0] = np.arange(11.0)
    np.testing.assert_array_equal(returns(records), [[4.0, 8.0]])
