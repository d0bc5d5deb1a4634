"""Does the latent flow do what the network does, exactly where it should?"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import jaxtyping
import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings, strategies as st

from slowpoint.core.nonlinearity import erf, identity, relu, tanh
from slowpoint.core.precision import float64
from slowpoint.core.rollout import rollout
from slowpoint.theory.latent import gain, gaussian_average, Latent
from slowpoint.theory.overlaps import as_network, Dims, overlaps, rank_one, realise

NONE = np.zeros(0)
run = eqx.filter_jit(lambda system, inputs: rollout(system, NONE, inputs))


def columns_for(seed, dims, units):
    """Columns whose recurrence stays near 1."""
    return np.random.default_rng(seed).normal(size=(units, dims.size)) / dims.rank**0.5


def run_both(sigma, network, dims, inputs):
    """`(latent trajectory, network's)` in float64."""
    with float64():
        latent = Latent(jnp.asarray(sigma), dims, network.nonlinearity, network.dt)
        small, large = run(latent, inputs), run(network, inputs)
        return [tuple(map(np.asarray, (t.states, t.outputs))) for t in (small, large)]


# ---------------------------------------------------------------- linear: exact at any N


@given(
    st.integers(0, 2**31),
    st.sampled_from(
        [(1, 1, 1, 4, 0.7), (2, 1, 1, 90, 0.05), (3, 2, 2, 50, 0.2), (2, 3, 1, 3, 0.5)]
    ),
)
@settings(max_examples=12, deadline=None)
def test_a_linear_network_is_its_latent_flow(seed, sizes):
    *counts, units, dt = sizes
    dims = Dims(*counts)
    with float64():
        columns = columns_for(seed, dims, units)
        network = as_network(columns, dims, dt)
        inputs = np.random.default_rng(seed).normal(size=(40, dims.inputs))
        sigma = np.asarray(overlaps(columns))
        (kappa, small), (states, large) = run_both(sigma, network, dims, inputs)
    scale = np.abs(large).max()
    assert np.abs(small - large).max() < 1e-12 * scale
    made = kappa @ columns[:, dims.makes].T  # h = [M U] kappa
    assert np.abs(made - states).max() < 1e-12 * np.abs(states).max()


@pytest.mark.parametrize(
    ("nonlinearity", "makers"),
    [(identity, False), (erf, True), (tanh, True)],
    ids=["linear", "erf", "tanh"],
)
def test_which_overlaps_the_output_depends_on(nonlinearity, makers):
    """C always; those of M and U with each other only where units saturate; never G_A."""
    dims = Dims(2, 1, 2)
    sigma = np.eye(dims.size) / 2 + 0.5
    inputs = np.random.default_rng(0).normal(size=(15, 1))

    def outputs(sigma):
        return run(Latent(sigma, dims, nonlinearity, 0.1), inputs).outputs

    with float64():
        slope = np.abs(jax.jacobian(outputs)(jnp.asarray(sigma))).max(axis=(0, 1))
    slope = np.maximum(slope, slope.T)
    assert slope[dims.reads, dims.makes].min() > 1e-4
    assert slope[dims.reads, dims.reads].max() == 0
    seen = slope[dims.makes, dims.makes]
    assert seen.min() > 1e-5 if makers else seen.max() == 0


def test_frames_and_sizes_do_not_matter():
    sigma, dims = rank_one(zm=0.3, zu=0.4, vm=0.4, vu=0.6, mu=0.2, zv=0.2), Dims()
    inputs = np.random.default_rng(1).normal(size=(30, 1))
    runs = []
    for units, key in ((4, None), (4, jr.key(0)), (300, jr.key(1))):
        with float64():
            network = as_network(realise(sigma, units, key), dims, 0.1)
        runs.append(run_both(sigma, network, dims, inputs)[1][1])
    assert np.ptp(runs, axis=0).max() < 1e-13


# ---------------------------------------------------------------- Gaussian weights


def gaussian_network(sigma, dims, nonlinearity, nodes=40):
    """A network that is the Gaussian population: a unit for each pair of quadrature nodes.

    One input and rank 1: m and u stand on the nodes, v and z are their means given those two
    (what is left of them sees nothing of the activity), times the weights of the nodes.
    """
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    weights = weights / weights.sum()
    pairs = np.stack(np.meshgrid(points, points), -1).reshape(-1, 2)
    share = np.outer(weights, weights).reshape(-1, 1)
    spread = sigma[dims.makes, dims.makes]
    makers = pairs @ np.linalg.cholesky(spread).T
    readers = makers @ np.linalg.solve(spread, sigma[dims.makes, dims.reads])
    columns = np.hstack([makers, len(pairs) * share * readers])
    return as_network(columns, dims, 0.1, nonlinearity)


@pytest.mark.parametrize("nonlinearity", [erf, tanh], ids=["erf", "tanh"])
def test_at_gaussian_weights_the_flow_is_the_network(nonlinearity):
    dims = Dims(1, 1, 2)
    root = np.random.default_rng(3).normal(size=(5, 5))
    sigma = 0.6 * root @ root.T / 5
    inputs = np.random.default_rng(4).normal(size=(40, 1))
    with float64():
        network = gaussian_network(sigma, dims, nonlinearity)
        (_, small), (_, large) = run_both(sigma, network, dims, inputs)
        (_, linear), _ = run_both(sigma, as_network(np.ones((5, 5)), dims, 0.1), dims, inputs)
    assert np.abs(small - large).max() < 1e-7 * np.abs(large).max()
    assert np.abs(linear - large).max() > 0.02 * np.abs(large).max()


@pytest.mark.parametrize("nonlinearity", [erf, tanh], ids=["erf", "tanh"])
def test_small_inputs_make_it_linear(nonlinearity):
    """The difference is cubic in the input: it falls by 1000 when that falls by 10."""
    sigma, dims = rank_one(zm=0.3, zu=0.4, vm=0.4, vu=0.6, mu=0.2), Dims()
    inputs = np.random.default_rng(5).normal(size=(60, 1))
    gaps = []
    with float64():
        for size in (1e-1, 1e-2):
            runs = [
                np.asarray(run(Latent(jnp.asarray(sigma), dims, f, 0.1), x).outputs)
                for f, x in ((nonlinearity, size * inputs), (identity, size * inputs))
            ]
            gaps.append(np.abs(runs[0] - runs[1]).max())
    assert gaps[0] > 1e-5
    assert gaps[0] / gaps[1] == pytest.approx(1000, rel=0.05)


# ---------------------------------------------------------------- the gain


@pytest.mark.parametrize("nonlinearity", [identity, erf, tanh], ids=["identity", "erf", "tanh"])
def test_the_gain_starts_at_one_with_a_finite_slope(nonlinearity):
    with float64():
        value, slope = jax.value_and_grad(gain(nonlinearity))(jnp.zeros(()))
    assert float(value) == pytest.approx(1, abs=1e-12)
    # E phi'(sqrt(D) z) = 1 + D phi'''(0) / 2: erf -pi/2, tanh -2
    assert float(slope) == pytest.approx(
        {"identity": 0, "erf": -np.pi / 4, "tanh": -1}[nonlinearity.name], abs=1e-9
    )


def hermite_average(f, variance):
    """64 Gauss-Hermite nodes."""
    points, weights = np.polynomial.hermite_e.hermegauss(64)
    return f(np.sqrt(variance) * points) @ weights / weights.sum()


@given(st.floats(0.0, 1.0))
@settings(max_examples=30, deadline=None)
def test_the_gain_of_erf_is_the_gaussian_mean_of_its_slope(variance):
    slope = lambda x: np.exp(-np.pi / 4 * x**2)
    with float64():
        known = float(gain(erf)(jnp.asarray(variance)))
        measured = float(
            gaussian_average(lambda x: jnp.exp(-jnp.pi / 4 * x**2), jnp.asarray(variance))
        )
    assert known == pytest.approx(hermite_average(slope, variance), abs=1e-12)
    assert known == pytest.approx(measured, abs=1e-12)


@pytest.mark.parametrize(
    ("variance", "within"), [(1e-6, 1e-14), (1, 1e-14), (4, 1e-13), (10, 1e-8)]
)
def test_the_gain_of_tanh_by_a_much_finer_rule(variance, within):
    z = np.linspace(-12, 12, 20_001)
    bell = np.exp(-(z**2) / 2)
    exact = (bell / np.cosh(np.sqrt(variance) * z) ** 2).sum() / bell.sum()
    with float64():
        found = float(gain(tanh)(jnp.asarray(float(variance))))
    assert found == pytest.approx(exact, abs=within)


def test_the_erf_here_has_slope_one():
    assert float(erf(jnp.asarray(0.5))) == pytest.approx(scipy.special.erf(np.pi**0.5 / 4))


# ---------------------------------------------------------------- misuse

SIGMA = jnp.eye(4)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: gain(relu), "no gain is known for relu. Give one of: identity, erf, tanh"),
        (lambda: gain(jnp.sin), "no gain is known for .*sin"),
        (lambda: Latent(SIGMA, nonlinearity=relu), "no gain is known for relu"),
        (lambda: Latent(SIGMA, dt=2.0), "dt=2.0: Euler steps .* 0 < dt < 2"),
        (lambda: Latent(SIGMA, dt=0.0), "dt=0.0"),
        (lambda: Latent(SIGMA, dt=-0.1), "dt=-0.1"),
        (lambda: Latent(SIGMA, dt=float("nan")), "dt=nan"),
        (lambda: Latent(SIGMA, Dims(2)), r"\(4, 4\); Dims\(rank=2.*has 6 columns"),
        (lambda: Latent(jnp.ones((4, 3))), r"\(4, 3\); Dims\(rank=1.*has 4 columns"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_misuse_is_said(call, says, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as a user has it
    with pytest.raises(ValueError, match=says):
        call()
