"""Are the borders of the stages where the spectra put them?"""

import jax.numpy as jnp
import numpy as np
import pytest

from slowpoint.analysis.stages import find_stages, radii
from slowpoint.core.precision import float64
from slowpoint.worlds.duffing import Duffing

GAIN = np.array([0.1, 0.0, -0.01, -0.02, -0.03, -0.01, -0.03, -0.05])
RADIUS = np.array([1.2, 0.9, 1.3, 1.1, 0.99, 1.0, 0.98, 0.7])


def test_borders_of_a_history_written_by_hand():
    found = find_stages(GAIN, RADIUS)
    assert (found.first_end, found.second_end, found.diverged) == (3, 6, -1)
    assert found.stage.tolist() == [1, 1, 1, 2, 2, 2, 3, 3]
    assert "stable from epoch 6 on" in found.reason


def test_stability_must_last_and_a_radius_of_one_is_not_stable():
    """Neither epoch 1 (lost again) nor epoch 4 (1.0 follows) ends stage 2."""
    assert find_stages(GAIN[:6], RADIUS[:6]).second_end == -1
    assert find_stages(GAIN, np.where(RADIUS == 1.0, 0.999, RADIUS)).second_end == 4


def test_the_threshold_is_passed_below_it():
    assert find_stages(GAIN, RADIUS, threshold=-0.02).first_end == 4
    assert find_stages(GAIN, RADIUS, threshold=-1.0).first_end == -1


def test_epochs_of_snapshots_name_the_borders():
    found = find_stages(GAIN, RADIUS, epochs=10 * np.arange(8) + 5)
    assert (found.first_end, found.second_end) == (35, 65)


def test_a_loop_that_is_stable_from_the_start_is_in_stage_three():
    found = find_stages(np.full(3, -0.2), np.full(3, 0.5))
    assert (found.first_end, found.second_end) == (0, 0)
    assert found.stage.tolist() == [3, 3, 3]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_run_that_diverged_has_no_end_of_stage_two(bad):
    """Although every radius that was measured last is below 1."""
    radius = np.append(RADIUS[:7], bad)
    found = find_stages(GAIN, radius)
    assert (found.first_end, found.second_end, found.diverged) == (3, -1, 7)
    assert "diverged at epoch 7" in found.reason
    gain = np.append(GAIN[:7], bad)
    assert find_stages(gain, RADIUS).second_end == -1
    assert find_stages(gain, RADIUS).diverged == 7


def test_a_run_that_did_not_get_there_says_so():
    assert "does not push" in find_stages(np.zeros(2), np.ones(2)).reason
    assert "not stable yet" in find_stages(-np.ones(2), np.ones(2)).reason


@pytest.mark.parametrize(
    ("gain", "radius", "options", "says"),
    [
        (GAIN, RADIUS[:7], {}, "8 gains, 7 radii, 8 epochs"),
        (GAIN[:0], RADIUS[:0], {}, "1 or more"),
        (GAIN, -RADIUS, {}, "largest .eigenvalue"),
        (GAIN, RADIUS, {"epochs": np.zeros(8, int)}, "must rise"),
        (GAIN, RADIUS, {"epochs": np.arange(7)}, "7 epochs"),
    ],
)
def test_histories_that_cannot_be_read_are_told(gain, radius, options, says):
    with pytest.raises(ValueError, match=says):
        find_stages(gain, radius, **options)


def test_radii_of_many_snapshots_in_one_call():
    """Block-diagonal matrices in a random basis: eigenvalues known."""
    draw = np.random.default_rng(0)
    sizes = draw.uniform(0.1, 2.0, 1000)
    turns = draw.uniform(0, np.pi, 1000)
    basis = draw.normal(size=(1000, 3, 3))
    blocks = np.zeros((1000, 3, 3))
    blocks[:, 0, 0] = blocks[:, 1, 1] = sizes * np.cos(turns)
    blocks[:, 1, 0], blocks[:, 0, 1] = sizes * np.sin(turns), -sizes * np.sin(turns)
    blocks[:, 2, 2] = -0.05
    found = radii(basis @ blocks @ np.linalg.inv(basis))
    assert np.allclose(found, sizes, rtol=1e-8)


def test_radii_of_a_plant_that_is_not_linear():
    """Euler steps of the Duffing oscillator at a well: 1 + dt (-1 +- i sqrt 7) / 2."""
    with float64():
        world = Duffing(1.0, dt=0.1)
        well = jnp.array([1.0, 0.0])
        step = np.eye(2) + 0.1 * np.asarray(world.jacobian(well, jnp.zeros(0)))
    assert radii(step[None]) == pytest.approx([abs(1 + 0.05 * (-1 + 1j * np.sqrt(7)))])


def test_a_jacobian_that_overflowed_has_no_radius():
    stack = np.stack([np.eye(2), np.full((2, 2), np.nan), 2 * np.eye(2)])
    assert np.array_equal(radii(stack), [1.0, np.nan, 2.0], equal_nan=True)
    with pytest.raises(ValueError, match=r"shape \(2, 3\)"):
        radii(np.zeros((2, 3)))
