"""Do the experiments on memory state what their numbers say?"""

import equinox as eqx
import jax.random as jr
import numpy as np
import pytest

from slowpoint.cells.gru import GRU
from slowpoint.experiments import speed_penalty
from slowpoint.experiments.speed_penalty import ARMS, Arms, DELAYS, Results
from slowpoint.learning.fan_in import fan_in


def made(gain, cost=0.0):
    """Four networks whose penalised arms gain `gain` at delay 100."""
    informed = np.zeros((4, 4, len(DELAYS))) + 0.4
    informed[:, 2:, DELAYS.index(100)] += np.asarray(gain)[:, None]
    right = informed.copy()
    right[:, 2:, DELAYS.index(19)] -= cost
    speeds = 1 / right[:, :, DELAYS.index(100)]
    nothing = np.zeros((4, 4))
    names = np.array(["delay"] * 4)
    delays = np.array(DELAYS, float)
    return Results(
        Arms(names, np.array(ARMS), delays, right, informed, nothing, speeds, nothing - 1)
    )


def verdicts(results):
    return {claim.says: claim.verdict("full") for claim in speed_penalty.claims(results)}


def test_a_gain_of_all_networks_holds_and_one_that_loses_is_seen():
    good = verdicts(made([0.3, 0.2, 0.4, 0.25]))
    assert "fails" not in good.values()
    one_loses = verdicts(made([0.5, 0.5, 0.5, -0.1]))
    assert one_loses["centres: networks that gain on control at 100"] == "fails"
    assert one_loses["centres: informedness gained at 100, mean"] == "holds"
    small = verdicts(made([0.1, 0.1, 0.1, 0.1], cost=0.02))
    assert small["slow points: informedness gained at 100, mean"] == "fails"
    assert small["slow points: accuracy lost at 19, mean"] == "fails"


def test_the_paired_p_is_that_of_signed_ranks():
    values = {
        claim.says: claim.value for claim in speed_penalty.claims(made([0.1, 0.2, 0.3, 0.4]))
    }
    assert values["centres: p of the paired gain at 100"] == pytest.approx(2 / 16)
    assert values["speed against accuracy at 100 over all arms, ranks"] == pytest.approx(-1)


def test_weights_start_as_large_as_their_fan_in_says():
    net = fan_in(GRU.random(120, 200, 11, key=jr.key(0)), jr.key(1))
    assert np.std(net.recurrent) == pytest.approx(120**-0.5, rel=0.02)
    assert np.std(net.encoder) == pytest.approx(200**-0.5, rel=0.02)
    assert np.std(net.bias) == pytest.approx(0.01, rel=0.2)
    assert np.corrcoef(net.recurrent[:, 0], net.recurrent[:, 1])[0, 1] < 0.3
    assert net.reset_after
    both = eqx.filter_vmap(lambda key: GRU.random(3, 2, 2, key=key))(jr.split(jr.key(0)))
    with pytest.raises(ValueError, match="filter_vmap"):
        fan_in(both, jr.key(0))


@pytest.mark.slow
def test_a_tiny_run_from_end_to_end(tmp_path):
    tiny = speed_penalty.Settings(networks=2, units=8, updates=18, longer=2, search=20)
    results = speed_penalty.run(tiny)
    assert results.arms.accuracy.shape == (2, 4, len(DELAYS))
    assert results.arms.curriculum.tolist() == ["delay", "vocabulary"]
    assert np.isfinite(results.arms.speeds).all()
    assert speed_penalty.claims(results)
    speed_penalty.draw(results)
