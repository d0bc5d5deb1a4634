"""Do the experiments on few shots measure what they claim, and can their claims fail?"""

import dataclasses

import numpy as np
import pytest

from slowpoint.experiments import few_shot_m1, few_shot_theory
from slowpoint.theory.few_shot import coin_log_likelihood, prototype_error


@pytest.fixture(scope="module")
def theory():
    settings = few_shot_theory.Settings(repeats=200, states=(1, 4), spreads=(1.0, 2.0))
    return few_shot_theory.run(settings)


@pytest.fixture(scope="module")
def recordings():
    settings = few_shot_m1.Settings(splits=1, dims=(8, 20), extra=(5, 40), k=(16,), draws=2)
    return few_shot_m1.run(settings)


def verdicts(claims, scale="quick"):
    return {claim.says: claim.verdict(scale) for claim in claims}


def test_simulated_costs_stand_beside_their_laws(theory):
    coins, means = theory.coins, theory.prototypes
    lost = coin_log_likelihood(0.5, 4, coins.samples) - coin_log_likelihood(0.5, 0, np.array(1))
    assert np.allclose(coins.law[1], lost)
    far = coins.samples >= 480
    gap = np.abs(coins.mean[1] - coins.law[1])[far]
    assert (gap < 5 * coins.sem[1][far] + 0.1 * np.abs(lost[far])).all()
    assert np.allclose(means.law[1], prototype_error(means.samples, 20, 5.0))
    assert np.abs(means.mean - means.law).max() < 0.06
    assert theory.least_squares.peak == 51


def test_claims_about_costs_can_fail(theory):
    sound = verdicts(few_shot_theory.claims(theory), "full")
    assert sound["prototypes: off the law"] == "holds"
    squares = theory.least_squares
    moved = dataclasses.replace(squares, mean=np.roll(squares.mean, 3, axis=1))
    coins = dataclasses.replace(theory.coins, mean=1.2 * theory.coins.law)
    means = dataclasses.replace(theory.prototypes, mean=theory.prototypes.law + 0.04)
    wrong = few_shot_theory.Results(coins, moved, means)
    for says, verdict in verdicts(few_shot_theory.claims(wrong), "full").items():
        assert verdict in ("fails", "reported"), says


def test_noise_is_shared_or_own(recordings):
    shared, own = recordings.monkey, recordings.own
    assert shared.model.tolist() == ["8", "20", "8+5", "8+40"]
    assert np.array_equal(shared.q_co[0, :2], own.q_co[0, :2])  # no noise: the same models
    assert np.array_equal(shared.q_k[0, :2], own.q_k[0, :2])
    five = shared.model.tolist().index("8+5")
    # of its sources 8+40 holds its noise when it is shared, and no model does when it is not
    assert own.column[0, five] > shared.column[0, five] + 0.05
    assert np.isclose(own.column[0, five], 5 / 13, atol=0.02)


def test_few_shots_see_the_noise_and_all_trials_hardly(recordings):
    family = recordings.monkey
    assert family.q_co[0, 3] > 0.9 * family.q_co[0, 0]
    assert family.q_k[0, 3, 0] < family.q_k[0, 2, 0] < family.q_k[0, 0, 0]
    assert (family.law[..., 0] < family.q_co).all()
    assert recordings.rat.k.tolist() == [64]


def test_claims_about_recordings_can_fail(recordings):
    sound = verdicts(few_shot_m1.claims(recordings))
    judged = [verdict for verdict in sound.values() if verdict != "reported"]
    assert judged.count("holds") == len(judged)
    turned = {
        name: dataclasses.replace(
            getattr(recordings, name),
            column=-getattr(recordings, name).column,
            q_co=getattr(recordings, name).q_co[:, [3, 2, 1, 0]] * [2, 1.5, 1, 0.5],
            q_k=-getattr(recordings, name).q_k[:, [0, 1, 2, 3]],
        )
        for name in ("monkey", "own", "rat")
    }
    wrong = verdicts(few_shot_m1.claims(few_shot_m1.Results(**turned)))
    judged = {says: verdict for says, verdict in wrong.items() if verdict != "reported"}
    assert set(judged) == {says for says, verdict in sound.items() if verdict != "reported"}
    flipped = {says: verdict for says, verdict in judged.items() if "r(" in says}
    assert set(flipped.values()) == {"holds"}  # both turned: the correlation stays
    others = {says: verdict for says, verdict in judged.items() if says not in flipped}
    assert set(others.values()) == {"fails"}
    apart = dataclasses.replace(recordings.monkey, column=-recordings.monkey.column)
    again = dataclasses.replace(recordings, monkey=apart)
    says = next(s for s in flipped if s.startswith("monkey"))
    assert verdicts(few_shot_m1.claims(again))[says] == "fails"


def test_figures_are_drawn(theory, recordings):
    assert len(few_shot_theory.draw(theory).axes) == 3
    assert len(few_shot_m1.draw(recordings).axes) == 3
