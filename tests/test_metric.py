"""Is the metric of overlaps the one that weights impose, entry by entry?"""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from hypothesis import given, strategies as st

from slowpoint.core.precision import float64
from slowpoint.theory.metric import metric
from slowpoint.theory.overlaps import Dims, overlaps, rank_one, vector

NAMES = Dims().names
seeds = st.integers(0, 10_000)


def draw(seed, size):
    """A random Sigma, and a random derivative of the loss by each overlap."""
    normal = np.random.default_rng(seed).standard_normal
    columns = normal((size + 2, size))
    return columns.T @ columns / len(columns), normal(size * (size + 1) // 2)


def by_the_flow(sigma, slopes):
    """-2 (S Sigma + Sigma S), as a vector."""
    rows, columns = np.triu_indices(len(sigma))
    s = np.zeros_like(sigma)
    s[rows, columns] = slopes
    s = (s + s.T) / 2
    return (-2 * (s @ sigma + sigma @ s))[rows, columns]


def ten_equations(o, d):
    """Those of the paper, from dictionaries of overlaps and derivatives."""
    mm, uu, vv, zz, zm, zu, vm, vu, mu, zv = (
        o[name] for name in ["mm", "uu", "vv", "zz", "zm", "zu", "vm", "vu", "mu", "zv"]
    )
    d_zm, d_zu, d_vm, d_vu, d_mu, d_mm, d_uu = (
        d[name] for name in ["zm", "zu", "vm", "vu", "mu", "mm", "uu"]
    )
    found = {
        "zm": (mm + zz) * d_zm + mu * d_zu + zv * d_vm + zu * d_mu + 2 * zm * d_mm,
        "zu": mu * d_zm + (uu + zz) * d_zu + zv * d_vu + zm * d_mu + 2 * zu * d_uu,
        "vm": (mm + vv) * d_vm + mu * d_vu + zv * d_zm + vu * d_mu + 2 * vm * d_mm,
        "vu": mu * d_vm + (uu + vv) * d_vu + zv * d_zu + vm * d_mu + 2 * vu * d_uu,
        "mu": zu * d_zm + zm * d_zu + vu * d_vm + vm * d_vu + (mm + uu) * d_mu
        + 2 * mu * (d_mm + d_uu),
        "zv": vm * d_zm + vu * d_zu + zm * d_vm + zu * d_vu,
        "mm": 2 * (zm * d_zm + vm * d_vm + mu * d_mu + 2 * mm * d_mm),
        "uu": 2 * (zu * d_zu + vu * d_vu + mu * d_mu + 2 * uu * d_uu),
        "vv": 2 * (vm * d_vm + vu * d_vu),
        "zz": 2 * (zm * d_zm + zu * d_zu),
    }  # fmt: skip
    return np.array([-found[name] for name in NAMES])


@given(
    seeds, st.sampled_from([("zm", "zu", "vm", "vu"), tuple(set(NAMES) - {"zv", "vv", "zz"})])
)
def test_ten_equations_are_the_flow(seed, visible):
    sigma, slopes = draw(seed, 4)
    slopes = slopes * np.isin(NAMES, visible)
    values = sigma[np.triu_indices(4)]
    known = ten_equations(dict(zip(NAMES, values)), dict(zip(NAMES, slopes)))
    assert np.abs(by_the_flow(sigma, slopes) - known).max() < 1e-12
    assert np.abs(-metric(sigma) @ slopes - known).max() < 1e-12


@given(seeds, st.integers(2, 9))
def test_metric_is_the_flow_of_any_size(seed, size):
    sigma, slopes = draw(seed, size)
    assert np.abs(-metric(sigma) @ slopes - by_the_flow(sigma, slopes)).max() < 1e-11


@pytest.mark.parametrize(("size", "units"), [(4, 6), (4, 30), (6, 9)])
def test_metric_is_the_gram_matrix_of_gradients_in_the_weights(size, units):
    columns = np.random.default_rng(size + units).standard_normal((units, size))
    with float64():
        slopes = jax.jit(jax.jacrev(lambda p: vector(overlaps(p))))(jnp.asarray(columns))
        rows = np.asarray(slopes).reshape(len(slopes), -1)
    sigma = columns.T @ columns / units
    assert np.abs(units * rows @ rows.T - metric(sigma)).max() < 1e-12


def test_metric_takes_arrays_of_either_kind():
    sigma = rank_one(zm=0.3, mu=-0.2)
    assert isinstance(metric(sigma), np.ndarray)
    traced = jax.jit(metric)(jnp.asarray(sigma, jnp.float32))
    assert np.allclose(traced, metric(sigma), atol=1e-6)


@pytest.mark.parametrize(
    ("sigma", "says"),
    [
        (np.eye(4)[:3], "square"),
        (np.triu(np.ones((4, 4))), "transpose"),
        (rank_one(zm=1.5), "no network has these overlaps: smallest eigenvalue -0.5"),
    ],
    ids=["square", "symmetric", "no network"],
)
def test_bad_input(sigma, says, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as a user has it
    with pytest.raises(ValueError, match=says):
        metric(sigma)
