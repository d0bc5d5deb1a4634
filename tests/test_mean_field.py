"""Does the infinite network learn as it must, and what do populations say?"""

import dataclasses
import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from slowpoint.cells.low_rank import LowRank
from slowpoint.core.nonlinearity import BY_NAME, erf, identity, relu, softplus, tanh
from slowpoint.core.precision import float64
from slowpoint.core.rollout import rollout
from slowpoint.theory.latent import Latent
from slowpoint.theory.mean_field import (
    gaussian_particles,
    mean_field_learn,
    overlap_velocity,
    Particles,
    quadrature,
    units_of,
)
from slowpoint.theory.overlap_learning import learn, OverlapFlow
from slowpoint.theory.overlaps import (
    as_network,
    Dims,
    matrix,
    overlaps,
    rank_one,
    realise,
    vector,
)
from slowpoint.theory.populations import learning_velocity, moments, Populations

SIGMA = rank_one(zm=0.3, zu=0.4, vm=0.4, vu=0.6, mu=0.2, zv=0.2)
DT = 0.2


class Pulse(eqx.Module):
    """A pulse of `size` that is to be remembered; with a key, another target each time."""

    size: float = 1.0
    channels: int = 1

    def __call__(self, system, key):
        inputs = np.zeros((30, self.channels))
        inputs[:3] = self.size
        target = 0.5 if key is None else jr.uniform(key)
        return ((rollout(system, np.zeros(0), inputs).outputs[8:] - target) ** 2).mean()


def latent(sigma=SIGMA, phi=erf, dims=Dims()):
    with float64():
        return Latent(jnp.asarray(sigma, float), dims, phi, DT)


def closed(phi, loss=Pulse()):
    return lambda sigma, key: loss(Latent(sigma, Dims(), phi, DT), key)


@functools.cache
def closed_velocity(phi):
    """dSigma/ds at SIGMA, by the closed equations."""
    with float64():
        flow = jax.jit(OverlapFlow(closed(phi), 4).velocity)
        return np.asarray(matrix(flow(vector(jnp.asarray(SIGMA)), jnp.zeros(0))))


# ---------------------------------------------------------------- the nodes


def test_nodes_are_as_many_as_published_and_have_the_overlaps():
    for nodes, expected in ((6, 648), (8, 2008)):
        roots, weights = quadrature(SIGMA, nodes)
        assert roots.shape == (expected, 4)
        assert weights.sum() == pytest.approx(1, abs=1e-12)
        assert np.abs(roots.T @ roots - SIGMA).max() < 1e-10
        assert weights.min() >= 1e-13


@pytest.mark.parametrize("nodes", [4, 5])
def test_half_of_the_nodes_do_for_an_odd_nonlinearity(nodes):
    """An odd count has a node at the origin, which is its own opposite."""
    runs = []
    for odd in (False, True):
        roots, weights = quadrature(SIGMA, nodes, odd)
        assert weights.sum() == pytest.approx(1, abs=1e-9)
        with float64():
            cloud = Particles(jnp.asarray(roots), jnp.asarray(weights), dt=DT)
        runs.append((len(weights), overlap_velocity(Pulse(), cloud)))
    (all_of, whole), (half_of, half) = runs
    assert 2 * half_of - all_of in (0, 1)
    assert np.abs(whole - half).max() < 1e-12


def test_nodes_are_not_halved_when_the_nonlinearity_is_not_odd():
    bare = latent()
    for phi, count in ((tanh, 128), (softplus, 256), (relu, 256)):
        other = dataclasses.replace(bare)
        object.__setattr__(other, "nonlinearity", phi)  # Latent itself knows no gain of it
        assert len(gaussian_particles(other, 4).weights) == count


# ---------------------------------------------------------------- one network, two ways


@pytest.mark.slow
@pytest.mark.parametrize("phi", [erf, softplus], ids=lambda phi: phi.name)
def test_a_network_is_particles_of_equal_weight(phi):
    """Outputs, also of a nonlinearity with phi(0) != 0, and the descent at eta N."""
    network = two_ranks(phi)
    cloud = units_of(network)
    inputs = np.random.default_rng(1).normal(size=(30, 2))

    def fall(network):
        return Pulse(channels=2)(network, None)

    with float64():
        whole = rollout(network, np.zeros(0), inputs).outputs
        reduced = rollout(cloud, np.zeros(0), inputs).outputs
        assert np.abs(np.asarray(whole - reduced)).max() < 1e-12
        slope = eqx.filter_grad(fall)(network)
        columns = lambda n: np.hstack([n.encoder, n.left, n.right, n.readout])
        p, change = columns(network), -network.state_size * columns(slope)
    expected = (p.T @ change + change.T @ p) / network.state_size
    found = overlap_velocity(Pulse(channels=2), cloud)
    assert np.abs(found - expected).max() < 1e-12
    assert np.abs(expected).max() > 1e-3


def two_ranks(phi):
    with float64():
        draw = np.random.default_rng(0).normal
        m, u, v, z = (jnp.asarray(draw(size=(23, n))) for n in (2, 2, 2, 3))
        return LowRank(m, u, v, z, dt=DT, nonlinearity=phi)


def test_linear_particles_learn_as_the_closed_equations_say():
    """Any cloud does, however coarse: two nodes are enough."""
    found = mean_field_learn(Pulse(), latent(phi=identity), 2, eta=0.1, steps=40, every=10)
    theory = learn(closed(identity), SIGMA, eta=0.1, steps=40, every=10)
    assert np.array_equal(found.epochs, theory.epochs)
    assert np.abs(found.overlaps - theory.overlaps).max() < 1e-12
    assert np.abs(found.losses - theory.losses).max() < 1e-12
    p, w = found.columns, found.weights
    assert np.abs(p.T @ (w[:, None] * p) - found.final).max() < 1e-12
    assert np.abs(theory.final - SIGMA).max() > 0.05


def test_a_key_draws_the_batches_that_it_draws_for_the_closed_equations():
    key = jr.key(3)
    found = mean_field_learn(Pulse(), latent(phi=identity), 2, eta=0.1, steps=8, key=key)
    theory = learn(closed(identity), SIGMA, eta=0.1, steps=8, key=key)
    assert np.ptp(theory.losses) > 0.01
    assert np.abs(found.losses - theory.losses).max() < 1e-6  # a key draws float32 or float64


# ---------------------------------------------------------------- the nonlinear theory


@pytest.mark.parametrize("phi", [erf, tanh], ids=lambda phi: phi.name)
def test_at_a_gaussian_the_closed_equations_are_exact(phi):
    """The flow of Sigma, to 1e-6 of its size: nodes converge, to it and to nothing else."""
    exact = closed_velocity(phi)
    size, apart = np.linalg.norm(exact), []
    for nodes in (4, 10):
        velocity = overlap_velocity(Pulse(), gaussian_particles(latent(phi=phi), nodes))
        apart.append(np.linalg.norm(velocity - exact) / size)
    assert size > 0.1
    assert apart[1] < 1e-6
    assert apart[0] > 10 * apart[1]


@pytest.mark.slow
def test_training_leaves_the_gaussian_and_the_closed_equations_behind():
    """To second order in time at most at first, so twice the time is more than twice the error;
    and no finer nodes help."""
    runs = {
        nodes: mean_field_learn(Pulse(2.0), latent(), nodes, eta=0.2, steps=80, every=10)
        for nodes in (5, 6)
    }
    theory = learn(closed(erf, Pulse(2.0)), SIGMA, eta=0.2, steps=80, every=10)
    apart = lambda a, b: np.linalg.norm(a.overlaps - b.overlaps, axis=(1, 2))
    floor, finer = apart(theory, runs[6]), apart(runs[5], runs[6])
    assert floor[0] < 1e-12
    assert floor[2] > 3 * floor[1]
    assert floor[-1] > 50 * finer[-1]


def test_what_is_not_finite_is_a_value():
    found = mean_field_learn(Pulse(), latent(phi=identity), 2, eta=1e4, steps=6, every=2)
    assert np.isnan(found.losses[-1])
    assert np.isfinite(found.losses[0])


# ---------------------------------------------------------------- populations


SHARES = np.array([0.3, 0.7])
MEANS = np.array([[0.3, -0.2, 0.5, 0.4], [-0.2, 0.6, 0.3, -0.5]])
COVARIANCES = np.stack(
    [0.5 * SIGMA, rank_one(zm=-0.2, zu=0.3, vm=0.2, vu=0.5, mu=-0.3, uu=0.8)]
)


def two_kinds(phi):
    with float64():
        parts = (jnp.asarray(a) for a in (SHARES, MEANS, COVARIANCES))
        return Populations(*parts, Dims(), phi, DT)


def particles_of(populations, nodes):
    """All nodes of all kinds, and the shares of each kind that they are."""
    roots, weights = [], []
    for share, mean, covariance in zip(SHARES, MEANS, COVARIANCES, strict=True):
        q, w = quadrature(covariance, nodes, odd=False)
        roots.append(np.sqrt(share) * (q + np.sqrt(w)[:, None] * mean))
        weights.append(share * w)
    with float64():
        cloud = jnp.asarray(np.concatenate(roots)), jnp.asarray(np.concatenate(weights))
        return Particles(*cloud, Dims(), populations.nonlinearity, DT), len(weights[0])


@pytest.mark.slow
@pytest.mark.parametrize("phi", [tanh, erf], ids=lambda phi: phi.name)
def test_two_populations_move_as_their_particles_do(phi):
    """Means and covariances, at rates up to a few per unit of s, to 2e-6."""
    kinds = two_kinds(phi)
    cloud, first = particles_of(kinds, 10)
    found = learning_velocity(Pulse(2.0), kinds)

    def value(roots):
        return Pulse(2.0)(eqx.tree_at(lambda c: c.roots, cloud, roots), None)

    with float64():
        loss, slope = jax.jit(jax.value_and_grad(value))(cloud.roots)
        p, w = np.asarray(cloud.columns), np.asarray(cloud.weights)
        moves = -np.asarray(slope) / np.sqrt(w)[:, None]
    assert found.loss == pytest.approx(float(loss), abs=2e-6)
    for kind, part in enumerate((slice(0, first), slice(first, None))):
        share = (w[part] / SHARES[kind])[:, None]
        by_mean = (share * moves[part]).sum(axis=0)
        mixed = (share * moves[part]).T @ (p[part] - MEANS[kind])
        assert np.abs(found.means[kind] - by_mean).max() < 2e-6
        assert np.abs(found.covariances[kind] - mixed - mixed.T).max() < 2e-6
        assert min(np.abs(by_mean).max(), np.abs(mixed).max()) > 0.02


@pytest.mark.parametrize("phi", [tanh, erf], ids=lambda phi: phi.name)
def test_one_population_of_mean_zero_is_the_overlap_theory(phi):
    with float64():
        parts = jnp.ones(1), jnp.zeros((1, 4)), jnp.asarray(SIGMA)[None]
        one = Populations(*parts, Dims(), phi, DT)
    found, exact = learning_velocity(Pulse(), one), closed_velocity(phi)
    assert np.abs(found.covariances[0] - exact).max() < 1e-12
    assert np.abs(found.means).max() < 1e-12


@pytest.mark.parametrize("phi", [tanh, erf, identity], ids=lambda phi: phi.name)
def test_averages_over_a_normal_are_those_of_many_nodes(phi):
    nodes, share = np.polynomial.hermite_e.hermegauss(80)
    for mean, variance in ((0.0, 0.5), (0.7, 0.0), (-1.3, 1.0)):
        with float64():
            found = moments(phi)(jnp.asarray(mean), jnp.asarray(variance))
            at = jnp.asarray(mean + np.sqrt(variance) * nodes)
            values = BY_NAME[phi.name](at), jax.vmap(jax.grad(BY_NAME[phi.name]))(at)
            expected = [np.asarray(v) @ share / share.sum() for v in values]
            assert np.abs(np.asarray(found) - expected).max() < 1e-10


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"eta": 0.0}, "eta=0.0: give a rate above 0"),
        ({"steps": 0}, "steps=0, every=1: give 1 or more steps"),
        ({"steps": 5, "every": 2}, "a multiple of `every`"),
        ({"nodes": 1}, "1 nodes along each of 4 columns are 1 particles. Give 2"),
        ({"nodes": 32}, "1048576 particles. Give 2 or more, and at most 31"),
    ],
    ids=["eta", "steps", "every", "few", "many"],
)
def test_a_run_that_makes_no_sense_is_refused(change, says):
    given = {"nodes": 2, "eta": 0.1, "steps": 2} | change
    with pytest.raises(ValueError, match=says):
        mean_field_learn(Pulse(), latent(), given.pop("nodes"), **given)


def test_overlaps_of_no_network_are_refused():
    impossible = rank_one(vu=1.2)
    with pytest.raises(ValueError, match="no network has these overlaps"):
        quadrature(impossible, 4)
    with pytest.raises(ValueError, match="no network has these overlaps"):
        mean_field_learn(Pulse(), latent(impossible), 4, eta=0.1, steps=1)


def test_networks_and_particles_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"Particles of 5 columns; Dims.* has 4"):
        Particles(jnp.zeros((3, 5)), jnp.ones(3) / 3)
    network = as_network(realise(SIGMA, 5), Dims(), DT, erf)
    scaled = dataclasses.replace(network, scale=1.0)
    with pytest.raises(ValueError, match=r"scale=1.0: averages over 5 units divide by 5"):
        units_of(scaled)
    with pytest.raises(ValueError, match=r"a nonlinearity of slowpoint.core.nonlinearity"):
        units_of(dataclasses.replace(network, nonlinearity=jnp.tanh))
    assert np.abs(overlaps(realise(SIGMA, 5)) - SIGMA).max() < 1e-6


def test_impossible_populations_are_refused():
    kinds = two_kinds(erf)
    with pytest.raises(ValueError, match=r"shares=\[0.25, 0.25\]: give positive numbers"):
        learning_velocity(Pulse(), dataclasses.replace(kinds, shares=jnp.array([0.25, 0.25])))
    with pytest.raises(ValueError, match="no network has these overlaps"):
        learning_velocity(Pulse(), dataclasses.replace(kinds, covariances=-kinds.covariances))
    with pytest.raises(
        ValueError, match=r"means \(2, 4\), covariances .*: 2 populations of Dims"
    ):
        dataclasses.replace(kinds, dims=Dims(rank=2))
    with pytest.raises(ValueError, match=r"dt=2.5: Euler steps"):
        dataclasses.replace(kinds, dt=2.5)
    with pytest.raises(ValueError, match=r"known for relu. Give one of: identity, erf, tanh"):
        dataclasses.replace(kinds, nonlinearity=relu)
