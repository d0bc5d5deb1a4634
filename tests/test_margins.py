"""Predictors whose margin, rank and cost are known on paper."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from slowpoint.analysis.margins import (
    accuracy,
    cost_in_words,
    margin,
    minimal_rank,
    rank_in_words,
    raw_margin,
    schatten_cost,
)


def line_code(S, A):
    """Logits -(c_k - c_{s+a})² up to a constant, from one-hot state and action: `(W, x, t)`."""
    B = 2 * A + 1
    pairs = np.array([(s, a) for s in range(S) for a in range(-A, A + 1) if 0 <= s + a < S])
    x = np.array([[*np.eye(S)[s], *np.eye(B)[A + a]] for s, a in pairs])
    c = np.arange(S) - (S - 1) / 2
    quadratic, place = -(c**2 - (c**2).mean()) / 2, np.r_[c, -A : A + 1]
    shared = np.r_[np.full(S, B / (S + B)), np.full(B, S / (S + B))]
    return 2 * (np.outer(c, place) + np.outer(quadratic, shared)), x, pairs.sum(axis=1)


@pytest.mark.parametrize(("far", "cost"), [(1, 26.33), (10, 31.96)])
def test_a_code_of_rank_two_separates_a_line_by_exactly_one(far, cost):
    W, x, t = line_code(20, far)
    z = x @ W.T
    assert raw_margin(z, t) == pytest.approx(1, abs=1e-9)
    assert accuracy(z, t) == 1
    assert minimal_rank(W, x, t) == 2
    assert schatten_cost(W, raw_margin(z, t), 5) == pytest.approx(cost, abs=5e-3)
    two = np.linalg.svd(W, compute_uv=False)[:2]  # the tenth root of rounding is not small
    assert schatten_cost(W, 1.0, 20) == pytest.approx((two**0.1).sum(), rel=1e-9)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    k=st.floats(1e-4, 1e4),
    layers=st.integers(1, 10),
)
def test_weights_times_a_number_change_nothing(seed, k, layers):
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((4, 6))
    x = rng.standard_normal((9, 6))
    t = (x @ W.T).argmax(axis=1)
    z = x @ W.T
    assert margin(W, z, t) == pytest.approx(margin(k * W, k * z, t))
    assert margin(W, z, t) == pytest.approx(raw_margin(z, t) / np.sqrt((W**2).sum()))
    costs = [schatten_cost(f * W, raw_margin(f * z, t), layers) for f in (1, k)]
    assert costs[0] == pytest.approx(costs[1])
    assert minimal_rank(W, x, t) == minimal_rank(k * W, x, t)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_least_rank_classifies_and_none_below_does(seed):
    rng = np.random.default_rng(seed)
    W, x = rng.standard_normal((4, 6)), rng.standard_normal((5, 6))
    t = (x @ W.T).argmax(axis=1)
    left, sizes, right = np.linalg.svd(W, full_matrices=False)
    cut = [accuracy(x @ (left[:, :r] * sizes[:r] @ right[:r]).T, t) for r in range(1, 5)]
    assert minimal_rank(W, x, t) == 1 + next(i for i, share in enumerate(cut) if share == 1)


def test_cost_of_balanced_layers_is_their_mean_squared_norm():
    rng = np.random.default_rng(0)
    left, _ = np.linalg.qr(rng.standard_normal((5, 3)))
    right, _ = np.linalg.qr(rng.standard_normal((6, 3)))
    strengths = np.array([4.0, 2.0, 0.5])
    for layers in (2, 3, 5):
        roots = np.diag(strengths ** (1 / layers))
        chain = [left @ roots, *[roots] * (layers - 2), roots @ right.T]
        W = np.linalg.multi_dot(chain)
        squares = np.mean([(part**2).sum() for part in chain])
        assert schatten_cost(W, 1.0, layers) == pytest.approx(squares)


def test_one_bad_pair_makes_the_margin():
    z = np.array([[3.0, 1.0, 0.0], [0.0, 5.0, 5.5], [1.0, 0.0, 4.0]])
    t = np.array([0, 1, 2])
    assert raw_margin(z, t) == -0.5
    assert accuracy(z, t) == pytest.approx(2 / 3)
    assert accuracy(np.zeros((3, 3)), t) == 0  # a tie is wrong
    assert raw_margin(np.zeros((3, 3)), t) == 0


def test_what_is_not_there_is_said():
    x = np.eye(3)
    W = np.eye(3)[[1, 2, 0]]
    assert minimal_rank(W, x, np.arange(3)) is None
    assert rank_in_words(None) == "none"
    assert rank_in_words(2) == "2"
    assert minimal_rank(np.zeros((3, 3)), x, np.arange(3)) is None
    for raw in (0.0, -1.0, np.nan):
        assert np.isnan(schatten_cost(W, raw, 3))
    assert cost_in_words(schatten_cost(W, -1.0, 3)) == "not separated"
    assert cost_in_words(schatten_cost(W, 1.0, 3)) == "3"
    assert np.isnan(margin(np.zeros((3, 3)), np.zeros((3, 3)), np.arange(3)))


W, T = np.eye(3), np.arange(3)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: raw_margin(W, T + 1), r"target\[2\] is 3; expected 0 to 2"),
        (lambda: raw_margin(W, T - 1), r"target\[0\] is -1"),
        (lambda: raw_margin(W, T / 2), r"target\[1\] is 0.5"),
        (lambda: raw_margin(W, T[:2]), "have 3 and 2 samples"),
        (lambda: raw_margin(W[:, :1], T), "one class"),
        (lambda: accuracy(np.where(W > 0, np.nan, W), T), r"logits\[0, 0\] is nan"),
        (lambda: margin(np.inf * np.ones((3, 3)), W, T), r"W\[0, 0\] is inf"),
        (lambda: minimal_rank(W, np.ones((3, 4)), T), r"Type W\.T"),
        (lambda: minimal_rank(W, W[:2], T), "have 2 and 3 samples"),
        (lambda: schatten_cost(W, 1.0, 0), "layers is 0"),
    ],
)
def test_what_makes_no_sense_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
