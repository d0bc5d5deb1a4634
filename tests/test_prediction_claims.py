"""Do the experiments on prediction state what their numbers say?"""

import dataclasses

import jax.random as jr
import numpy as np
import pytest

from slowpoint.analysis.geometry import order
from slowpoint.analysis.predictor_codes import Codes, linear_codes, near_states, product
from slowpoint.core.networks import joined, mean_of
from slowpoint.core.precision import float64, to_numpy
from slowpoint.experiments import predict_depth_horizon, predict_held_out, predict_path
from slowpoint.experiments.predict_depth_horizon import (
    LUCK_HORIZONS,
    MARGINS,
    RANKS,
    RISING,
    SPREADS,
    TANGLED,
)
from slowpoint.learning.predictors import clipped_rate, linear_predictors, Teaching
from slowpoint.theory.prediction import latent_solution
from slowpoint.worlds.corridor import corridor


def failing(claims):
    return [claim.says for claim in claims if claim.verdict("full") == "fails"]


def cell(depth, horizon, count=3, **known):
    """`count` networks of one depth and horizon, as the paper has them."""
    far = horizon >= 4
    order = RISING.get(horizon, 0.9995) if depth == 9 else 0.995 if far else 0.9
    values = {
        "loss": 1e-6,
        "accuracy": 1.0,
        "order": TANGLED[depth] if horizon == 1 else order,
        "nc1": 8.8e-2 if depth == 1 else 1e-4 if far else 0.57,
        "participation": SPREADS.get((depth, horizon), 1.0),
        "margin": MARGINS.get(horizon, 1e-3),
        "near_margin": 1e-3,
        "rank": RANKS.get((depth, horizon), 2.0),
        "cost": 33.0,
        **known,
    }
    names = {name: np.full(count, float(value)) for name, value in values.items()}
    return Codes(np.full(count, depth), np.full(count, horizon), np.arange(count), **names)


def published():
    cells = [cell(nh, far) for nh in TANGLED for far in (1, 2, 3, 4, 5, 7, 10, 19)]
    known = {1: (0.61, 5), 5: (2.0e-3, 2), 10: (1.5e-4, 2), 19: (1e-5, 2)}
    luck = [
        cell(
            9,
            far,
            5,
            order=0.564 if far == 1 else 0.9999,
            nc1=known[far][0],
            rank=known[far][1],
        )
        for far in LUCK_HORIZONS
    ]
    return predict_depth_horizon.Results(joined(cells), joined(luck))


def test_what_the_paper_has_holds():
    assert failing(predict_depth_horizon.claims(published())) == []


@pytest.mark.parametrize(
    ("where", "measure", "value", "says"),
    [
        ((4, 1), "order", 0.9, "the same"),
        ((2, 10), "order", 0.98, "nh = 2, A = 10: order"),
        ((1, 10), "nc1", 1e-3, "nh = 1, A = 10: NC1"),
        ((9, 10), "nc1", 1e-2, "nh = 9, A = 10: NC1"),
        ((4, 10), "rank", 3.0, "nh = 4, A = 10: minimal rank, least"),
        ((4, 10), "participation", 1.2, "nh = 4, A = 10: participation ratio"),
        ((9, 3), "order", 0.8, "nh = 9: smallest rise of order from A to A"),
        ((9, 19), "margin", 4e-4, "nh = 9, A = 19: margin off 0.00024, share"),
        ((6, 7), "loss", np.nan, "networks that diverged"),
    ],
)
def test_another_number_is_seen(where, measure, value, says):
    codes = published().codes
    at = (codes.depth == where[0]) & (codes.horizon == where[1])
    changed = np.where(at, value, getattr(codes, measure))
    other = dataclasses.replace(codes, **{measure: changed})
    results = dataclasses.replace(published(), codes=other)
    assert says in [said.strip() for said in failing(predict_depth_horizon.claims(results))]


def test_one_unlucky_seed_is_seen():
    luck = published().luck
    order = luck.order.copy()
    order[-1] = 0.95
    results = dataclasses.replace(published(), luck=dataclasses.replace(luck, order=order))
    assert failing(predict_depth_horizon.claims(results)) == ["seeds, A = 19: order, least"]


def held(unseen):
    """Networks of one and nine layers at A = 1 and 10; what they name of pairs not seen."""
    depth, horizon = np.array([9, 9, 1, 1]), np.array([1, 10, 1, 10])
    order = np.array([0.56, 0.999, 0.49, 0.99])
    pairs, ones = np.array([11, 62, 11, 62]), np.ones(4)
    return predict_held_out.Results(
        predict_held_out.Held(depth, horizon, pairs, ones, np.array(unseen), order, 1 - order)
    )


def test_held_out_pairs_tell_depth():
    assert failing(predict_held_out.claims(held([0.0, 1.0, 0.0, 0.0]))) == []
    assert failing(predict_held_out.claims(held([0.0, 1.0, 0.0, 0.7]))) == [
        "  at most",
        "A = 10: nine layers above one",
    ]
    assert "  off 1" in failing(predict_held_out.claims(held([0.0, 0.6, 0.0, 0.0])))


def test_the_start_is_the_latent_solution_in_balanced_layers():
    settings = predict_path.Settings(size=8, depth=3)
    with float64():
        net = to_numpy(predict_path.balanced(settings, 2, 0.0, jr.key(0)))
        shaken = to_numpy(predict_path.balanced(settings, 2, 0.1, jr.key(0)))
    np.testing.assert_allclose(
        product(net), predict_path.SCALE * latent_solution(8, 2), atol=1e-9
    )
    grams = [
        (np.asarray(above.T @ above), np.asarray(below @ below.T))
        for below, above in zip(net.layers, net.layers[1:])
    ]
    for above, below in grams:
        np.testing.assert_allclose(above, below, atol=1e-9)
    off = [np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(shaken.layers, net.layers)]
    np.testing.assert_allclose(off, 0.1, atol=1e-9)


def test_codes_of_a_trained_network():
    """One short training: what it says of itself is what its product says."""
    world = corridor(8, 3)
    how = Teaching(1, 12, clipped_rate(1, 3), 300)
    trained = linear_predictors(world, how, jr.split(jr.key(0), 2))
    codes = linear_codes(trained, world, 3)
    assert codes.horizon.tolist() == [3, 3]
    for number in (0, 1):
        net = trained.replicate(number).system
        whole, near = product(net), world.rows(world.near)
        code = near.one_hot() @ np.asarray(net.layers[0], float).T
        np.testing.assert_allclose(near_states(net, world), code, atol=1e-9)
        assert codes.order[number] == pytest.approx(order(code, near.latent))
        logits = world.one_hot() @ whole.T
        right = (logits.argmax(axis=1) == world.target).mean()
        assert codes.accuracy[number] == pytest.approx(right)
    assert (codes.accuracy > 0.5).all()
    assert np.isnan(mean_of(codes, "order", depth=2, horizon=3))
    assert codes.table("order").shape == (1, 1)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Teaching(-1, 5, 0.1, 10), "depth=-1"),
        (lambda: Teaching(1, 5, 0.1, 0), "updates=0"),
        (lambda: joined([]), "No networks"),
    ],
)
def test_misuse_is_said(make, says):
    with pytest.raises(ValueError, match=says):
        make()
