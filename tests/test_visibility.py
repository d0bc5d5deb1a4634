"""Are overlaps told visible or not, and what learning keeps counted, as on paper?"""

import functools

import jax
import jax.numpy as jnp
import jax.random as jr
import jaxtyping
import numpy as np
import pytest

from slowpoint.core.nonlinearity import erf, identity, tanh
from slowpoint.core.precision import float64
from slowpoint.core.rollout import rollout
from slowpoint.theory.congruence import Flow
from slowpoint.theory.latent import Latent
from slowpoint.theory.overlap_learning import learn
from slowpoint.theory.overlaps import as_network, Dims, overlaps, rank_one, realise
from slowpoint.theory.tangent import speed
from slowpoint.theory.visibility import (
    balance,
    functional_coords,
    invariants,
    memory_dims,
    normalised,
    rank,
    slopes_of,
    visible,
)

DT, TIME = 0.2, 30
SHAPES = [Dims(), Dims(2), Dims(1, 2, 3), Dims(2, 2, 1)]


@functools.cache  # compiled once
def answers(dims, phi=identity):
    """What a network says to random inputs of several sizes."""
    inputs = 2 * np.random.default_rng(5).standard_normal((TIME, dims.inputs))
    return lambda sigma: rollout(Latent(sigma, dims, phi, DT), np.zeros(0), inputs).outputs


def some(dims, seed=0):
    """Overlaps of a random network, none of them small."""
    columns = np.random.default_rng(seed).standard_normal((dims.size + 2, dims.size))
    return columns.T @ columns / len(columns)


def another_basis(sigma, dims, seed=1):
    """Sigma when UQ stands for U and V Q^-T for V."""
    q = np.eye(dims.rank) + 0.4 * np.random.default_rng(seed).standard_normal((dims.rank,) * 2)
    change = np.eye(dims.size)
    change[dims.u, dims.u], change[dims.v, dims.v] = q, np.linalg.inv(q).T
    return change.T @ sigma @ change


# ---------------------------------------------------------------- visible, functional


@pytest.mark.parametrize("dims", SHAPES, ids=str)
@pytest.mark.parametrize("phi", [identity, erf], ids=lambda phi: phi.name)
def test_visible_by_name(dims, phi):
    found = visible(answers(dims, phi), some(dims), dims)
    among_makers = {n for n in dims.names if set(n) & set("zv") == set()}
    among_readers = {n for n in dims.names if set(n) & set("mu") == set()}
    blind = among_readers | (among_makers if phi is identity else set())
    assert set(found.invisible) == blind
    assert set(found.visible) == set(dims.names) - blind
    assert (found.effect[~found.seen] == 0).all()  # exactly: the function does not have them
    assert found.functional == len(found.visible) - dims.rank**2
    assert found.next < 1e-8 < found.last <= 1


def test_one_answer_shows_what_it_reads():
    found = visible(lambda sigma: 3 * sigma[0, 3] - sigma[3, 1] ** 2, rank_one(zm=0.2, zu=0.1))
    assert found.visible == ["zm", "zu"]
    assert found.functional == 1
    nothing = visible(lambda sigma: 0 * sigma[0], rank_one())
    assert nothing.visible == []
    assert nothing.functional == 0


@pytest.mark.parametrize("dims", SHAPES, ids=str)
@pytest.mark.parametrize("phi", [identity, erf], ids=lambda phi: phi.name)
def test_functional_coordinates_are_the_function(dims, phi):
    """Another basis moves neither; a small step moves both, or neither: equal row spaces."""
    sigma, outputs = some(dims), answers(dims, phi)
    other = another_basis(sigma, dims)
    with float64():
        said = [np.asarray(jax.jit(outputs)(jnp.asarray(s))) for s in (sigma, other)]
    assert np.abs(said[0] - said[1]).max() < 1e-12 * np.abs(said[0]).max()
    before, after = (functional_coords(s, dims, phi) for s in (sigma, other))
    assert np.abs(before - after).max() < 1e-11 * np.abs(before).max()
    assert np.abs(other - sigma).max() > 0.1

    function = normalised(slopes_of(outputs, sigma, dims))
    named = normalised(slopes_of(lambda s: functional_coords(s, dims, phi), sigma, dims))
    assert rank(named) == rank(function) == rank(np.concatenate([named, function]))


def test_functional_coordinates_of_rank_one():
    sigma = rank_one(zm=0.1, zu=0.2, vm=0.3, vu=0.4, mu=0.5, mm=1.5, uu=1.25)
    linear = [0.1, 0.2 * 0.3, 0.4]
    assert functional_coords(sigma) == pytest.approx(linear)
    more = [*linear, 0.2**2 / 1.25, 0.5 / 0.2, 1.5]
    assert functional_coords(sigma, Dims(), erf) == pytest.approx(more)
    assert not np.isfinite(functional_coords(rank_one(mu=0.5), Dims(), erf)).all()


def test_an_orthogonal_turn_of_all_columns_keeps_overlaps():
    columns = np.random.default_rng(2).standard_normal((9, 6))
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((9, 9)))[0]
    with float64():
        before, after = (np.asarray(overlaps(p)) for p in (columns, turn @ columns))
    assert np.abs(before - after).max() < 1e-14


# ---------------------------------------------------------------- what learning keeps


@pytest.mark.parametrize(
    ("dims", "phi", "counts"),
    [
        (Dims(), identity, (10, 5, 3, 8, 2)),
        (Dims(2), identity, (21, 9, 5, 14, 7)),
        (Dims(), erf, (10, 1, 6, 7, 3)),
    ],
    ids=["rank 1", "rank 2", "erf"],
)
def test_counts_of_memory(dims, phi, counts):
    for seed in range(3):
        found = memory_dims(answers(dims, phi), some(dims, seed), dims)
        names = ("overlaps", "invariants", "functional", "joint", "memory")
        assert tuple(getattr(found, name) for name in names) == counts


def loss_of(dims, phi):
    """Squared distance to what another network says."""
    outputs = answers(dims, phi)
    with float64():
        wish = 0.3 * np.asarray(jax.jit(outputs)(jnp.asarray(some(dims, 9))))
    return lambda sigma, key: ((outputs(sigma) - wish) ** 2).mean()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dims", "phi"), [(Dims(2, 1, 2), identity), (Dims(2), tanh)], ids=["linear", "tanh"]
)
def test_the_flow_descends_and_keeps_invariants(dims, phi):
    loss, start = loss_of(dims, phi), some(dims)
    run = learn(loss, start, Flow(), eta=1e-3, steps=100, every=10)
    assert (np.diff(run.losses) <= 0).all()
    assert run.losses[-1] < 0.95 * run.losses[0]
    assert np.abs(run.final - start).max() > 5e-3
    kept = np.stack([invariants(s, dims, phi) for s in run.overlaps])
    assert np.abs(kept - kept[0]).max() < 1e-6
    every = np.stack([invariants(s, dims) for s in run.overlaps])
    if phi is not identity:  # those of linear networks are not kept
        assert (np.abs(every[-1] - every[0])[kept.shape[1] :] > 1e-4).all()
    ahead = (-1.5 * run.losses[0] + 2 * run.losses[1] - 0.5 * run.losses[2]) / 1e-3
    assert speed(loss, start) == pytest.approx(ahead, rel=1e-3)


def test_descent_moves_the_balance_by_the_square_of_its_rate():
    """So at half the rate, over the same time, half as far; one step is on paper."""
    dims, units = Dims(2), 20
    loss, start = loss_of(dims, identity), some(dims)
    columns = realise(start, units, jr.key(0))
    before, moved = balance(columns, dims), []
    for eta, steps in ((4e-3, 100), (2e-3, 200)):
        factor = learn(loss, start, eta=eta, steps=steps).factors[-1]
        moved.append(np.linalg.norm(balance(columns @ factor, dims) - before))
    assert moved[1] > 1e-6 * np.linalg.norm(before)  # far above rounding
    assert moved[0] / moved[1] == pytest.approx(2, abs=0.2)

    factor = learn(loss, start, eta=0.1, steps=1).factors[-1]
    twice = (np.eye(dims.size) - factor) / 0.1  # 2 S
    signed = np.diag(np.repeat([-1.0, 1.0], [3, 3]))
    law = -(0.1**2) * columns @ signed @ twice @ twice @ columns.T
    step = balance(columns @ factor, dims) - before
    assert np.abs(step - law).max() < 1e-12 * np.abs(before).max()
    assert np.abs(law).max() > 1e-6


def test_balance_is_of_the_columns():
    columns = np.random.default_rng(4).standard_normal((7, 6))
    network = as_network(columns, Dims(1, 2, 2), 0.1)
    made = network.encoder @ network.encoder.T + network.left @ network.left.T
    read = network.right @ network.right.T + network.readout @ network.readout.T
    assert np.allclose(balance(columns, Dims(1, 2, 2)), read - made, atol=1e-5)


@pytest.mark.parametrize(
    "ask",
    [
        lambda sigma: visible(answers(Dims()), sigma),
        lambda sigma: memory_dims(answers(Dims()), sigma),
        invariants,
        functional_coords,
    ],
    ids=["visible", "memory_dims", "invariants", "functional_coords"],
)
@pytest.mark.parametrize(
    ("sigma", "says"),
    [
        (np.eye(6), r"shape \(6, 6\).* has 4 columns"),
        (np.eye(4)[:3], r"shape \(3, 4\).* has 4 columns"),
        (np.triu(np.ones((4, 4))), "differs from its transpose"),
        (rank_one(zm=1.5), "no network has these overlaps"),
    ],
    ids=["size", "square", "symmetric", "no network"],
)
def test_bad_overlaps(ask, sigma, says, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as a user has it
    with pytest.raises(ValueError, match=says):
        ask(sigma)
