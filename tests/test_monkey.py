"""Is the recording whole, and does its experiment take weights that are given?"""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from slowpoint.experiments import separatrix_data_rnn as experiment
from slowpoint.recordings.monkey import monkey
from slowpoint.tasks.recorded import Recorded


@pytest.mark.parametrize(("block", "bins"), [(1, 4788), (2, 7446)])
def test_a_block_has_its_bins(block, bins):
    data = monkey(block)
    assert data.counts.shape == (bins, 87)
    assert data.velocity.shape == (bins, 2)
    assert data.angles.shape == data.frozen.shape == (bins,)
    assert ((data.angles >= 0) & (data.angles < 360)).all()
    assert 0.5 < data.counts.mean() < 5
    assert data.counts.any(axis=0).all()


def test_a_trial_begins_frozen_with_the_target_in_one_of_the_known_places():
    data = monkey()
    assert data.begins[0] == 0
    assert data.frozen[data.begins].all()
    assert not data.frozen[data.begins[1:] - 1].any()
    assert set(data.angles[data.begins]) == {0, 90, 180, 270}


def test_another_block_is_refused():
    with pytest.raises(ValueError, match=r"monkey\(2\)"):
        monkey(3)


@pytest.fixture
def two_answers(tmp_path):
    """Weights of two units: the first excites itself and keeps either of two rates."""
    weights, bias = np.zeros((3, 5)), np.array([-2.0, 3.0, 9.0])
    weights[0, 0] = 4.0  # x = -2 + 4 r(x), symmetric about x = 0
    path = tmp_path / "weights.npz"
    np.savez(path, weights=weights, bias=bias, share=0.2, most=1.0, slope=2.0, threshold=0.0)
    return path


@pytest.mark.slow
def test_given_weights_are_pushed_across_their_boundary(two_answers):
    settings = experiment.Settings(weights=str(two_answers), directions=6)
    results = experiment.run(settings)
    pushes, rest = results.pushes, results.rest
    assert rest.attractors.tolist() == [2]
    assert rest.saddles.tolist() == [1]
    assert "several under 1 of 1" in rest.says
    # the boundary is x0 = 0; 2 tanh(x) = x at the attractors
    away = 1.9150080481545
    np.testing.assert_allclose(pushes.smallest, away, rtol=1e-4)
    np.testing.assert_allclose(pushes.across, away, rtol=1e-4)
    assert pushes.proved.all()
    assert (pushes.random > 0.999 * away).all()
    assert np.isfinite(pushes.random).any()
    said = experiment.claims(results)
    assert all(claim.verdict("full") != "fails" for claim in said)
    assert any("weights given" in claim.says for claim in said)
    assert experiment.draw(results).axes


def test_a_file_without_an_array_says_which(two_answers):
    with np.load(two_answers) as file:
        arrays = {name: file[name] for name in file if name != "slope"}
    np.savez(two_answers, **arrays)
    with pytest.raises(ValueError, match=r"lacks slope\. Save"):
        experiment.run(experiment.Settings(weights=str(two_answers)))


def test_what_the_counts_of_attractors_say():
    moving = np.array([False, True, False, True])
    said = experiment._says(np.array([1, 0, 2, 1]), moving)
    assert said.endswith("beside a cycle or chaos under 1 of 4")
    assert "several under 1" in said
    assert experiment._says(np.array([1, 1]), moving[:1].repeat(2)) == (
        "one attractor under 2 of 2; so no separatrix"
    )
    assert "a cycle or chaos under 1" in experiment._says(np.array([1, 0]), moving[:2])


def test_windows_are_cut_from_the_recording():
    rows = jnp.arange(20.0)[:, None]
    task = Recorded(rows, -rows, steps=8, warm=3)
    trial = jax.vmap(task.trial)(jr.split(jr.key(0), 200))
    begins = np.asarray(trial.inputs[:, 0, 0])
    assert set(begins) == set(range(13))
    np.testing.assert_array_equal(trial.inputs[..., 0], begins[:, None] + np.arange(8))
    np.testing.assert_array_equal(trial.targets, -trial.inputs)
    assert np.asarray(trial.weights[0]).tolist() == [0] * 3 + [1] * 5


def test_windows_longer_than_the_recording_are_refused():
    with pytest.raises(ValueError, match="steps=60"):
        Recorded(jnp.zeros((30, 1)), jnp.zeros((30, 1)))
