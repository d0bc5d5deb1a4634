"""Do the experiments on students measure what they say, and can their claims fail?"""

import jax.random as jr
import numpy as np
import pytest

from slowpoint.analysis.students import Cohort, Posteriors
from slowpoint.experiments import (
    cross_decoding_students as cross,
    few_shot_students as few,
    good_and_bad_students as good,
    students_cloud as cloud,
)


def failing(claims):
    return [claim.says for claim in claims if claim.verdict("full") == "fails"]


def students(extraneous, kind, school=0, **columns):
    """A cohort by hand: a teacher, then as many models as there are numbers."""
    n = len(kind) + 1
    given = {
        "school": np.full(n, school),
        "name": np.arange(n).astype(str),
        "kind": np.array(["teacher", *kind]),
        "states": np.full(n, 4),
        "hands": np.ones(n, int),
        "dose": np.zeros(n),
        "co_smoothing": np.full(n, 0.43),
        "missing": np.full(n, 0.006),
        "extraneous": np.array([0.006, *extraneous], float),
        "twin": np.zeros(n, bool),
    }
    return Cohort(**given | columns)


# ---------------------------------------------------------------- the good and the bad


def good_results(turn=0.0, apart=1e-15, bad_q=0.43, bad_d=0.47, size=5.59, loss=0.035):
    """Teacher, student and the clocks of 4; `turn` lets the scores rise again with the dose."""
    dose = np.array([0, 0, 0, 0.8, 0.9, 0.95, 1])
    told = np.array([0.006, 0.007, 0.008, 0.22, 0.47, 0.74, 1.37])
    cohort = students(
        [0.007, 0.008, 0.22, bad_d, 0.74, 1.37],
        ["em", *["clock"] * 5],
        hands=np.array([1, 1, 4, 4, 4, 4, 4]),
        dose=dose,
        co_smoothing=np.array([0.43, 0.4299, 0.43, 0.43, bad_q, 0.43, 0.43]),
    )
    losses = np.array(
        [[0, 0, 0, 0.0075, loss, 0.1, 2.9], [0, 0, 0, 0.001, 0.004, 0.01, 0.048]]
    ).T
    sizes = np.array([3.97, 3.97, 3.97, 4.34, 5.59, 8.08, 15.9])
    return good.Results(
        cohort,
        good.Shots(
            readout=np.array(["one step"]),
            k=np.array([6, 64]),
            scores=0.24 - (losses - turn * dose[:, None] ** 9 * losses)[None],
            loss=losses[None],
            loss_sem=np.full((1, 7, 2), 1e-3),
            size=np.where(dose == 0.9, size, sizes),
            size_law=sizes,
            extraneous_law=np.where(np.arange(7) > 1, told, np.nan),
            apart=np.where(dose == 0.9, apart, 0.0),
        ),
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"bad_q": 0.4285}, "Q_co of the good and the bad student"),
        ({"bad_d": 0.2}, "D_T->S of the bad over that"),
        ({"bad_d": 0.48}, "off its law"),
        ({"apart": 1e-10}, "a rate of a clock"),
        ({"size": 5.7}, "M_eff of a clock"),
        ({"size": 5.7}, "M_eff of dose 0.9"),
        ({"loss": 0.041}, "6-shot loss at dose 0.9"),
        ({"loss": 0.029}, "6-shot loss at dose 0.9"),
        ({"turn": 1.0}, "scores fall with the dose"),
    ],
)
def test_a_claim_on_the_bad_student_can_fail(change, says):
    assert not failing(good.claims(good_results()))
    assert any(says in claim for claim in failing(good.claims(good_results(**change))))


def test_losses_are_paired():
    mean, sem = good._loss(np.array([[1.0, 5.0, 3.0]]), np.array([[0.9, 4.8, 2.9]]))
    np.testing.assert_allclose(mean, [0.4 / 3])
    np.testing.assert_allclose(sem, np.std([0.1, 0.2, 0.1], ddof=1) / np.sqrt(3))


def test_what_misses_a_range():
    found = good._outside(np.array([0.5, 1.0, 1.5, 2.0, 2.5]), 1.0, 2.0)
    np.testing.assert_allclose(found, [0.5, 0, 0, 0, 0.5])


# ---------------------------------------------------------------- the cloud


def cloud_results(**columns):
    given = {
        "missing": np.array([0.006, 0.4, 0.007, 0.007, 0.007]),
        "states": np.array([4, 3, 4, 15, 4]),
        "co_smoothing": np.array([0.43, 0.3, 0.43, 0.429, 0.43]),
    }
    extraneous = columns.pop("extraneous", [0.02, 0.007, 0.08, 0.75])
    cohort = students(extraneous, ["em", "em", "em", "clock"], **given | columns)
    blind = cloud.Blindness(np.array([0.3]), np.array([[-0.1, 0.6]]), np.array([-0.9]))
    return cloud.Results(cohort, blind)


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"missing": np.array([0.006, 0.4, 0.007, 0.02, 0.007])}, "near-optimal student, most"),
        ({"missing": np.array([0.006, 0.05, 0.007, 0.007, 0.007])}, "D_S->T of those, least"),
        ({"extraneous": [0.02, 0.007, 0.03, 0.75]}, "the most"),
        ({"extraneous": [0.02, 0.007, 0.08, 0.5]}, "with clocks"),
        ({"co_smoothing": np.array([0.43, 0.427, 0.43, 0.43, 0.43])}, "students of 3 states"),
    ],
)
def test_a_claim_on_the_cloud_can_fail(columns, says):
    assert not failing(cloud.claims(cloud_results()))
    assert any(says in claim for claim in failing(cloud.claims(cloud_results(**columns))))


def test_students_that_predict_badly_are_out():
    cohort = cloud_results().students
    assert cohort.near.tolist() == [True, False, True, True, True]
    assert cohort.taught.tolist() == [False, False, True, True, False]
    assert cohort.pool.tolist() == [False, False, True, True, True]


# ---------------------------------------------------------------- few shots


def few_results(spread=0.0, off=0.0):
    extraneous = np.linspace(0.01, 0.5, 40)
    cohort = students(extraneous, ["em"] * 20 + ["clock"] * 20)
    scores = 0.43 - 0.1 * cohort.extraneous[:, None] ** np.array([1.0, 1.0])
    scores = scores + spread * np.random.default_rng(0).normal(size=scores.shape)
    found = few._correlations(cohort, scores, jr.key(0))
    shots = few.Shots(
        k=np.array([6, 64]),
        scores=scores,
        sem=np.full_like(scores, 1e-3),
        full=np.full(41, 0.44),
        size=np.full(41, 4.0),
        predicted=scores + off,
    )
    return few.Results(
        cohort, shots, few.Correlations(**{n: v[None] for n, v in found.items()})
    )


def test_a_claim_on_few_shots_can_fail():
    assert not failing(few.claims(few_results()))
    noisy = failing(few.claims(few_results(spread=0.1)))
    assert len([says for says in noisy if says.startswith("r of")]) == 4
    assert ["law off" in says for says in failing(few.claims(few_results(off=1e-3)))] == [True]


def test_those_that_repeat_another_can_be_left_out():
    cohort = students([0.1, 0.2, 0.4, 0.4], ["em"] * 4, twin=np.arange(5) == 4)
    scores = np.array([0.0, 0.3, 0.2, 0.1, 0.35])[:, None]
    found = few._correlations(cohort, scores, jr.key(0))
    known = np.corrcoef(scores[1:4, 0], cohort.extraneous[1:4])[0, 1]
    np.testing.assert_allclose(found["alone"], known)
    assert found["taught"] > found["alone"]


# ---------------------------------------------------------------- cross-decoding


def test_a_uniform_mean_counts_every_dimension_alike():
    rng = np.random.default_rng(1)
    train, test = rng.normal(size=(2, 200, 10, 2))
    noise = 0.1 * rng.normal(size=(2, 200, 10, 1))
    other = [np.concatenate([z[..., :1], n], axis=-1) for z, n in zip((train, test), noise)]
    found = cross._uniform([Posteriors(train, test), Posteriors(*other)])
    np.testing.assert_allclose(found, [0.5, 0.5], atol=0.01)


def cross_results(turn=1.0):
    extraneous = np.linspace(0.01, 0.5, 8)
    cohort = students(extraneous, ["em"] * 5 + ["clock"] * 3)
    by_all = extraneous + 0.05 * np.array([1, -1] * 4) * (1 - turn)
    own = {
        "by_taught": np.where(np.arange(8) < 5, by_all, np.nan),
        "by_all": by_all,
        "weighted": extraneous,
        "uniform": extraneous,
        "scores": (0.4 - turn * extraneous)[:, None],
    }
    found = cross._correlations(extraneous, own, jr.key(0))
    columns = cross.Columns(row=np.arange(1, 9), k=np.array([64]), **own)
    kept = {name: np.array([value]) for name, value in found.items()}
    return cross.Results(cohort, columns, cross.Correlations(**kept))


def test_a_claim_on_cross_decoding_can_fail():
    assert not failing(cross.claims(cross_results()))
    assert len(failing(cross.claims(cross_results(turn=-1.0)))) >= 2


@pytest.mark.parametrize(
    ("experiment", "results"),
    [(good, good_results), (cloud, cloud_results), (few, few_results), (cross, cross_results)],
    ids=["good", "cloud", "few", "cross"],
)
def test_the_figures_can_be_drawn(experiment, results):
    figure = experiment.draw(results())
    figure.canvas.draw()
    assert all(ax.has_data() for ax in figure.axes)


@pytest.mark.slow
@pytest.mark.parametrize("experiment", [cloud, few, cross], ids=["cloud", "few", "cross"])
def test_a_small_run_is_whole(experiment):
    small = {"sizes": (4, 5), "starts": 2, "updates": 40, "hands": (2,), "doses": (0.5, 0.9)}
    if "draws" in experiment.Settings.model_fields:
        small |= {"draws": 4, "k": (6, 64)}
    results = experiment.run(experiment.Settings(teachers=2, **small))
    assert results.students.school.tolist() == [0] * 7 + [1] * 7
    assert all(np.isfinite(results.students.extraneous))
    assert experiment.claims(results)
    assert experiment.draw(results).axes
