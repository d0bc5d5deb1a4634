"""Are overlaps those of a network, and does a network with given overlaps have them?"""

import jax.numpy as jnp
import jax.random as jr
import jaxtyping
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from slowpoint.cells.low_rank import LowRank
from slowpoint.core.nonlinearity import erf
from slowpoint.core.precision import float64
from slowpoint.theory.overlaps import (
    as_network,
    check_overlaps,
    columns_of,
    Dims,
    dims_of,
    is_realisable,
    matrix,
    overlaps,
    rank_one,
    realise,
    smallest_eigenvalue,
    vector,
)

SEEDS = st.integers(0, 2**31)
SIZES = st.integers(1, 4)


def semidefinite(seed, size, rank=None):
    """A random Sigma of that rank."""
    root = np.random.default_rng(seed).normal(size=(size, rank or size))
    return root @ root.T / len(root.T)


def columns_in_float64(columns):
    with float64():
        return np.asarray(overlaps(columns))


@given(SEEDS, SIZES, st.sampled_from([1, 2]), SIZES, st.sampled_from([0, 1, 40]), st.booleans())
@settings(max_examples=15, deadline=None)
def test_realised_columns_have_the_overlaps(seed, rank, inputs, outputs, more, drawn):
    size = Dims(rank, inputs, outputs).size
    sigma = semidefinite(seed, size)
    columns = realise(sigma, size + more, jr.key(seed) if drawn else None)
    assert columns.shape == (size + more, size)
    assert columns.dtype == np.float64
    assert np.abs(columns_in_float64(columns) - sigma).max() <= 1e-10 * np.abs(sigma).max()


@pytest.mark.parametrize("rank", [1, 3])
def test_dependent_columns_are_realised_too(rank):
    sigma = semidefinite(0, 5, rank)
    columns = realise(sigma, 9, jr.key(0))
    assert np.abs(columns_in_float64(columns) - sigma).max() < 1e-10
    assert np.linalg.matrix_rank(columns, 1e-6) == rank


def test_a_key_turns_the_columns_and_leaves_their_overlaps():
    sigma = semidefinite(1, 4)
    one, other = (realise(sigma, 30, jr.key(i)) for i in range(2))
    assert np.abs(one - other).max() > 0.1
    assert np.allclose(columns_in_float64(one), columns_in_float64(other), atol=1e-12)
    assert np.array_equal(one, realise(sigma, 30, jr.key(0)))


def test_the_smallest_network_is_the_root_of_sigma():
    sigma = semidefinite(2, 4)
    root = realise(sigma, 4) / 2
    assert np.allclose(root, root.T)
    assert np.allclose(root @ root, sigma)


@given(SEEDS, st.integers(3, 12))
@settings(max_examples=20, deadline=None)
def test_rotating_all_columns_leaves_the_overlaps(seed, units):
    generator = np.random.default_rng(seed)
    columns = generator.normal(size=(units, 4))
    turn, _ = np.linalg.qr(generator.normal(size=(units, units)))
    assert np.allclose(columns_in_float64(turn @ columns), columns_in_float64(columns))


# ---------------------------------------------------------------- names and places


@given(SIZES, SIZES, SIZES)
@settings(max_examples=30, deadline=None)
def test_slices_part_the_columns(rank, inputs, outputs):
    dims = Dims(rank, inputs, outputs)
    everything = list(range(dims.size))
    assert [i for part in (dims.m, dims.u, dims.v, dims.z) for i in everything[part]] == (
        everything
    )
    assert everything[dims.makes] + everything[dims.reads] == everything
    assert len(everything[dims.makes]) == inputs + rank
    assert [name[0] for name in dims.columns] == [
        letter
        for letter, many in zip("muvz", (inputs, rank, rank, outputs))
        for _ in [0] * many
    ]
    assert len(dims.names) == len(set(dims.names)) == dims.count


@pytest.mark.parametrize(
    ("dims", "count", "visible"),
    [((1, 1, 1), 10, 4), ((2, 1, 1), 21, 9), ((3, 1, 1), 36, 16), ((2, 2, 2), 36, 16)],
)
def test_the_counts_of_the_paper(dims, count, visible):
    dims = Dims(*dims)
    sigma = np.zeros((dims.size, dims.size))
    assert dims.count == len(vector(sigma)) == count
    assert sigma[dims.reads, dims.makes].size == visible


def test_the_names_of_rank_one():
    sigma = rank_one(zm=1.5, zu=2.0, vm=3.0, vu=4.0, mu=5.0, zv=6.0, mm=7.0)
    m, u, v, z = range(4)
    places = {(z, m): 1.5, (z, u): 2, (v, m): 3, (v, u): 4, (m, u): 5, (z, v): 6, (m, m): 7}
    for (i, j), value in (places | {(u, u): 1, (v, v): 1, (z, z): 1}).items():
        assert sigma[i, j] == sigma[j, i] == value
    named = dict(zip(Dims().names, np.asarray(vector(sigma))))
    assert named["zm"] == 1.5
    assert named["zv"] == 6
    assert Dims(2).names[:3] == ["mm", "mu1", "mu2"]


@given(SEEDS, st.sampled_from([1, 4, 7]))
@settings(max_examples=10, deadline=None)
def test_a_matrix_and_its_vector(seed, size):
    sigma = semidefinite(seed, size)
    with float64():
        assert np.array_equal(matrix(vector(sigma)), sigma)


def test_columns_become_a_network_and_come_back():
    dims = Dims(3, 2, 1)
    columns = np.random.default_rng(0).normal(size=(11, dims.size)).astype(np.float32)
    network = as_network(columns, dims, 0.2, erf)
    assert np.array_equal(columns_of(network), columns)
    assert dims_of(network) == dims
    assert (network.dt, network.nonlinearity, network.strength) == (0.2, erf, 1 / 11)
    assert np.array_equal(network.left, columns[:, 2:5])
    assert dims_of(LowRank.random(9, 1, 3, rank=2, key=jr.key(0))) == Dims(2, 1, 3)


# ---------------------------------------------------------------- what belongs to no network


def test_one_in_seven_draws_of_overlaps_belongs_to_no_network():
    generator = np.random.default_rng(0)
    sigma = np.zeros((5_000, 4, 4))
    rows, columns = np.triu_indices(4, 1)
    sigma[:, rows, columns] = np.abs(generator.normal(0, 0.4, (5_000, 6)))
    sigma += np.swapaxes(sigma, 1, 2)
    sigma[:, range(4), range(4)] = generator.uniform(0.5, 2, (5_000, 4))
    alien = np.mean([not is_realisable(one) for one in sigma])
    assert alien == pytest.approx(0.135, abs=0.02)  # 4 standard errors; the spec's, by us
    assert smallest_eigenvalue(sigma) == min(map(smallest_eigenvalue, sigma)) < -0.5


def test_a_margin_asks_for_more():
    sigma = np.diag([1.0, 1e-4])
    assert is_realisable(sigma)
    assert not is_realisable(sigma, margin=1e-3)
    assert is_realisable(np.diag([1.0, -1e-12]))  # rounding
    assert not is_realisable(np.diag([1.0, -1e-6]))


ALIEN = rank_one(zm=1.2)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: realise(ALIEN, 9), "no network has these overlaps: smallest eigenvalue -0.2"),
        (lambda: realise(ALIEN, 9), "see is_realisable"),
        (lambda: realise(rank_one(), 3), "3 units: overlaps of K = 4 columns"),
        (lambda: realise(np.ones((3, 4)), 9), r"shape \(3, 4\); give a square"),
        (lambda: realise(np.ones(4), 9), r"shape \(4,\); give a square"),
        (lambda: realise(np.triu(np.ones((3, 3))), 9), "differs from its transpose by 1"),
        (lambda: check_overlaps(np.full((2, 2), np.nan)), "differs from its transpose by nan"),
        (
            lambda: Dims(2).check(np.eye(4)),
            r"\(4, 4\); Dims\(.*\) has 6 columns. Give \(6, 6\)",
        ),
        (lambda: Dims().check(ALIEN), "no network"),
        (lambda: Dims(0), "give 1 or more"),
        (lambda: rank_one(zq=1.0), "zq: the overlaps are mm, mu, vm, zm"),
        (lambda: rank_one(mz=1.0), "mz: the overlaps are"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_misuse_is_said(call, says, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as a user has it
    with pytest.raises(ValueError, match=says):
        call()


def test_one_alien_among_many_is_refused():
    many = np.stack([rank_one(), ALIEN])
    check_overlaps(many[:1])
    with pytest.raises(ValueError, match="no network"):
        check_overlaps(many)


def test_columns_keep_their_precision():
    assert overlaps(np.ones((4, 2), np.float32)).dtype == jnp.float32
