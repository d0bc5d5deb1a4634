"""Who can decode whom: equal to regressions by hand, right in cases known on paper."""

import jax.random as jr
import numpy as np
import pytest
from scipy.optimize import minimize

from slowpoint.analysis.correlation import correlate
from slowpoint.analysis.cross_decoding import cross_decode, near_optimal
from slowpoint.analysis.posterior_decoding import kl_decode

TRIALS, BINS = 60, 10
SPLIT = np.arange(TRIALS) % 3 > 0


def noise(dims, number=0):
    return np.random.default_rng(number).normal(size=(TRIALS, BINS, dims))


def decode(models, **options):
    return cross_decode(models, split=SPLIT, key=jr.key(0), **options)


def by_hand(source, target):
    a = np.concatenate([source, np.ones((TRIALS, BINS, 1))], axis=2)
    flat = lambda z, part: z[part].reshape(-1, z.shape[2])
    weights = np.linalg.lstsq(flat(a, SPLIT), flat(target, SPLIT), rcond=None)[0]
    wanted, got = flat(target, ~SPLIT), flat(a, ~SPLIT) @ weights
    return ((wanted - got) ** 2).sum() / ((wanted - wanted.mean(axis=0)) ** 2).sum()


def related():
    base = noise(6)
    return [base @ noise(6, i)[0, :6, : i + 2] + 0.3 * noise(i + 2, i + 9) for i in range(4)]


def test_every_pair_is_a_regression_on_other_trials():
    models = related()
    found = decode(models)
    for u in range(4):
        for v in range(4):
            assert np.isclose(found.matrix[u, v], by_hand(models[u], models[v]), rtol=1e-9)
    off = ~np.eye(4, dtype=bool)
    assert np.array_equal(found.used, off)
    for i in range(4):
        assert np.isclose(found.column[i], found.matrix[off[:, i], i].mean())
        assert np.isclose(found.row[i], found.matrix[i, off[i]].mean())
    assert (found.column_range[:, 0] < found.column).all()
    assert (found.column < found.column_range[:, 1]).all()
    assert (found.row_range[:, 0] < found.row).all()
    assert "1 - R²" in str(found)


def test_a_model_decodes_itself():
    assert np.abs(np.diag(decode(related()).matrix)).max() < 1e-12


def test_nested_latents_know_one_way():
    large = np.random.default_rng(0).normal(size=(600, BINS, 8))
    found = cross_decode([large[..., :2], large], split=np.arange(600) % 2 > 0, key=jr.key(0))
    assert found.matrix[1, 0] < 1e-10  # large to small
    assert np.isclose(1 - found.matrix[0, 1], 2 / 8, atol=0.05)


def test_a_shuffled_model_neither_knows_nor_is_known():
    models = related()
    order = np.random.default_rng(1).permutation(TRIALS)
    shuffled = [*models[:3], models[3][order]]
    before, after = decode(models), decode(shuffled)
    assert after.column[3] > before.column[3] + 0.3
    assert after.row[3] > before.row[3] + 0.3


def test_collinear_and_still_dimensions_change_nothing():
    models = related()
    twice = np.concatenate([models[0], models[0][..., :1]], axis=2)
    still = np.concatenate([models[1], np.full((TRIALS, BINS, 1), 2.7)], axis=2)
    found, again = decode(models), decode([twice, still, *models[2:]])
    assert np.allclose(found.matrix[0], again.matrix[0], rtol=1e-8)
    assert np.allclose(found.matrix[:, 1], again.matrix[:, 1], rtol=1e-8)
    assert np.allclose(found.matrix[1, 2:], again.matrix[1, 2:], rtol=1e-8)


def test_large_dimensions_weigh_by_their_variance():
    base = noise(1)
    target = np.concatenate([3 * base, noise(1, 5)], axis=2)
    found = decode([base, target])
    assert np.isclose(found.matrix[0, 1], 1 / (1 + 9), atol=0.03)


def test_runs_of_their_own_are_left_out():
    models = related()
    twin = models[0] + 1e-6 * noise(2, 3)
    found = decode([*models, twin], groups=["a", "b", "c", "d", "a"])
    alone = decode(models)
    assert found.matrix[4, 0] < 1e-6
    assert np.isclose(found.column[0], alone.column[0])
    assert not found.used[0, 4]
    assert not found.used[4, 0]


def test_many_models_in_blocks_and_from_functions(monkeypatch):
    models = related()
    found = decode(models)
    monkeypatch.setattr("slowpoint.analysis.cross_decoding.BLOCK", 3)
    again = decode([lambda z=z: z for z in models])
    assert np.array_equal(found.matrix, again.matrix)


def test_missing_bins_enter_nothing():
    models = related()
    pad = lambda z: np.concatenate([z, np.full((TRIALS, 3, z.shape[2]), np.nan)], axis=1)
    assert np.allclose(decode(models).matrix, decode(list(map(pad, models))).matrix)


def holed(z):
    z = z.copy()
    z[0, 0, 0] = np.nan
    return z


@pytest.mark.parametrize(
    ("change", "options", "says"),
    [
        (lambda m: m[:1], {}, "1 models"),
        (lambda m: [m[0], m[1][:-1]], {}, r"model 1 have shape \(59, 10, 3\)"),
        (lambda m: [m[0], m[1][:, 1:]], {}, r"model 1 have shape \(60, 9, 3\)"),
        (lambda m: [m[0], holed(m[1])], {}, "model 1 are missing"),
        (lambda m: m, {"groups": ["a"]}, "names 1 models of 4"),
        (lambda m: m, {"groups": ["a"] * 4}, "one group"),
        (lambda m: m, {"split": SPLIT | True}, "60 of 60"),
        (lambda m: m, {"split": SPLIT[1:]}, "one mark per trial"),
    ],
    ids=["one", "trials", "bins", "nan", "groups", "group", "all", "split"],
)
def test_what_cannot_be_compared_is_refused(change, options, says):
    with pytest.raises(ValueError, match=says):
        cross_decode(change(related()), **({"split": SPLIT, "key": jr.key(0)} | options))


# ---------------------------------------------------------------- posteriors


def posteriors(states, number=0, trials=120):
    chance = np.random.default_rng(number)
    return chance.dirichlet(np.full(states, 0.3), (trials, BINS))


def halves(xi):
    return xi[:80], xi[80:]


def test_the_decoder_is_the_one_of_least_loss():
    p, q = posteriors(3), posteriors(4, 1)
    q = 0.5 * q + 0.5 * np.concatenate([p, p[..., :1]], axis=2)
    q /= q.sum(axis=2, keepdims=True)
    x, y = p[:80].reshape(-1, 3), q[:80].reshape(-1, 4)
    a = np.concatenate([x, np.ones((800, 1))], axis=1)

    def logs(w, a=a):
        logits = a @ w.reshape(4, 4)
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))

    def loss(w):
        pull = w.reshape(4, 4).copy()
        pull[-1] = 0
        value = -(y * logs(w)).sum() + 0.5 * (pull**2).sum()
        return value, (a.T @ (np.exp(logs(w)) - y) + pull).ravel()

    best = minimize(loss, np.zeros(16), jac=True, method="BFGS", options={"gtol": 1e-7}).x
    test = np.concatenate([p[80:].reshape(-1, 3), np.ones((400, 1))], axis=1)
    wanted = q[80:].reshape(-1, 4)
    kl = (wanted * (np.log(wanted) - logs(best, test))).sum(axis=1).mean()
    found = kl_decode(halves(p), halves(q), key=jr.key(0))
    assert found.converged
    assert np.isclose(found.divergence, kl, rtol=1e-7)
    assert np.isclose(found.per_trial.mean(), found.divergence)


@pytest.mark.parametrize("states", [4, 16])
def test_from_itself_only_the_penalty_costs(states):
    hot = np.eye(states)[np.random.default_rng(2).integers(states, size=(600, BINS))]
    parts = (hot[:400], hot[400:])
    little = kl_decode(parts, parts, key=jr.key(0)).divergence
    less = kl_decode(parts, parts, key=jr.key(0), penalty=0.01).divergence
    assert 0 < less < little < 0.03


def test_nothing_is_known_of_a_constant_and_nothing_is_missing():
    still = np.broadcast_to(np.array([0.2, 0.3, 0.5]), (120, BINS, 3)).copy()
    found = kl_decode(halves(posteriors(4)), halves(still), key=jr.key(0))
    assert 0 <= found.divergence < 1e-9
    alone = posteriors(3, 4)
    missing = kl_decode(halves(still), halves(alone), key=jr.key(0)).divergence
    mean = alone[:80].mean(axis=(0, 1))
    kl = (alone[80:] * np.log(alone[80:] / mean)).sum(axis=2).mean()
    assert np.isclose(missing, kl, rtol=1e-3)


def test_rows_are_drawn_not_strided():
    """With a clock of 5 phases every fifth bin would always show the same one."""
    clock = np.eye(5)[np.arange(BINS) % 5]
    clock = np.broadcast_to(clock, (120, BINS, 5)).copy()
    found = kl_decode(halves(clock), halves(clock), key=jr.key(0), rows=160)
    assert found.divergence < 0.1


def test_a_share_of_the_rows_takes_a_share_of_the_penalty():
    p = posteriors(3, trials=900)
    parts = (p[:800], p[800:])
    all_rows = kl_decode(parts, parts, key=jr.key(0), rows=10**9, penalty=40.0).divergence
    half = kl_decode(parts, parts, key=jr.key(0), rows=4000, penalty=40.0).divergence
    assert np.isclose(half, all_rows, rtol=0.03)
    unscaled = kl_decode(parts, parts, key=jr.key(0), rows=4000, penalty=80.0).divergence
    assert unscaled > 1.2 * all_rows


@pytest.mark.parametrize(
    ("source", "target", "says"),
    [
        (posteriors(3)[1:], posteriors(3), r"\(79, 10, 3\), target \(80, 10, 3\)"),
        (posteriors(3), 2 * posteriors(3), "sum 1"),
        (posteriors(3) - 0.1, posteriors(3), "sum 1"),
        (np.nan * posteriors(3), posteriors(3), "sum 1"),
    ],
    ids=["trials", "two", "negative", "nan"],
)
def test_what_are_no_posteriors_is_refused(source, target, says):
    pair = lambda xi: (xi[:-40], xi[-40:])
    with pytest.raises(ValueError, match=says):
        kl_decode(pair(source), pair(target), key=jr.key(0))


# ---------------------------------------------------------------- choosing, comparing


def test_near_the_best_is_within_the_margin():
    scores = np.array([0.40, 0.435, 0.44, 0.4351])
    assert near_optimal(scores, 5e-3).tolist() == [False, True, True, True]
    assert near_optimal(scores, 0.0).tolist() == [False, False, True, False]
    for margin, wrong in ((-1.0, scores), (1.0, scores * np.nan), (1.0, scores[:0])):
        with pytest.raises(ValueError, match="margin of 0 or more"):
            near_optimal(wrong, margin)


def test_correlations_and_their_ranges():
    chance = np.random.default_rng(0)
    a = chance.normal(size=30)
    b = np.exp(a) + 0.2 * chance.normal(size=30)
    found = correlate(a, b, key=jr.key(0))
    assert np.isclose(found.pearson, np.corrcoef(a, b)[0, 1])
    ranks = [np.argsort(np.argsort(v)) for v in (a, b)]
    assert np.isclose(found.spearman, np.corrcoef(*ranks)[0, 1])
    low, high = found.pearson_range
    assert low < found.pearson < high < 1
    wide = correlate(a[:6], b[:6], key=jr.key(0)).pearson_range
    assert np.ptp(wide) > np.ptp(found.pearson_range)


def test_what_does_not_vary_has_no_correlation():
    found = correlate(np.ones(5), np.arange(5.0), key=jr.key(0))
    assert np.isnan([found.pearson, found.spearman, *found.pearson_range]).all()
    for lost in (np.nan, -np.inf):
        spoiled = np.array([0.0, 1.0, lost, 3.0])
        assert np.isnan(correlate(spoiled, np.arange(4.0), key=jr.key(0)).spearman)
    with pytest.raises(ValueError, match="3 models"):
        correlate(np.ones(2), np.ones(2), key=jr.key(0))
    with pytest.raises(ValueError, match="one of each"):
        correlate(np.ones(4), np.ones(3), key=jr.key(0))
