"""Do kernel, curvatures and the drift of noisy labels, from overlaps, hold for networks?"""

import warnings

import jax
import jax.numpy as jnp
import jax.random as jr
import jaxtyping
import numpy as np
import pytest

from slowpoint.core.precision import float64
from slowpoint.core.rollout import rollout
from slowpoint.theory.congruence import Flow
from slowpoint.theory.filter_start import THETA_1, THETA_2
from slowpoint.theory.latent import Latent
from slowpoint.theory.overlap_learning import learn
from slowpoint.theory.overlaps import as_network, Dims, rank_one, realise
from slowpoint.theory.tangent import curvatures, label_noise_loss, ntk, speed

TIME, DT, SD = 400, 0.05, 0.1
IMPULSE = np.eye(TIME, 1) / DT
TARGET = np.exp(-0.2 * DT * np.linspace(0, TIME, TIME))
INVISIBLE = [Dims().names.index(name) for name in ("mu", "zv", "mm", "uu", "vv", "zz")]


def filtered(sigma):
    """The impulse response of a linear network of rank 1."""
    return rollout(Latent(sigma, Dims(), dt=DT), np.zeros(0), IMPULSE).outputs[:, 0]


def loss(sigma, key):
    return DT * jnp.sum((filtered(sigma) - TARGET) ** 2)


def noisy(sigma, key):
    labels = TARGET + SD * jr.normal(key, (TIME,), float)
    return DT * jnp.sum((filtered(sigma) - labels) ** 2)


def triangle(sigma):
    return np.asarray(sigma)[..., *np.triu_indices(sigma.shape[-1])]


@pytest.mark.parametrize("more", [0, 9])
@pytest.mark.parametrize("dims", [Dims(), Dims(1, 2, 2), Dims(2, 1, 2)], ids=str)
def test_kernel_is_that_of_an_explicit_network(dims, more):
    draw, units = np.random.default_rng(more).standard_normal, dims.size + more
    columns, inputs = draw((units, dims.size)), draw((12, dims.inputs))
    sigma = columns.T @ columns / units

    def of_weights(p):
        return rollout(as_network(p, dims, 0.2), np.zeros(0), inputs).outputs.ravel()

    with float64():
        slopes = np.asarray(jax.jit(jax.jacrev(of_weights))(jnp.asarray(columns)))
    slopes = slopes.reshape(len(slopes), -1)
    kernel = ntk(lambda s: rollout(Latent(s, dims, dt=0.2), np.zeros(0), inputs).outputs, sigma)
    known = units * slopes @ slopes.T
    assert np.trace(kernel) == pytest.approx(units * (slopes**2).sum(), rel=1e-10)
    assert np.abs(kernel - known).max() < 1e-10 * np.abs(known).max()


def test_kernel_in_blocks():
    """J (G_A x 1 + 1 x G_B) J', J by the overlaps C of readers with makers, row by row."""

    def of_cross(cross):
        return filtered(jnp.zeros((4, 4)).at[2:, :2].set(cross))

    with float64():
        slopes = np.asarray(jax.jit(jax.jacfwd(of_cross))(jnp.asarray(THETA_2[2:, :2])))
    slopes, one = slopes.reshape(TIME, 4), np.eye(2)
    blocks = np.kron(THETA_2[2:, 2:], one) + np.kron(one, THETA_2[:2, :2])
    assert np.abs(ntk(filtered, THETA_2) - slopes @ blocks @ slopes.T).max() < 1e-12


def test_speed_of_learning():
    assert speed(loss, THETA_1) == pytest.approx(-5.3556, abs=5e-5)
    assert speed(loss, THETA_2) == pytest.approx(-5.6471, abs=5e-5)
    for sigma in (THETA_1, THETA_2):
        losses = learn(loss, sigma, Flow(), eta=1e-4, steps=2).losses
        ahead = (-1.5 * losses[0] + 2 * losses[1] - 0.5 * losses[2]) / 1e-4
        assert ahead == pytest.approx(speed(loss, sigma), rel=1e-6)


def test_curvatures_where_learning_ends():
    end = learn(loss, THETA_2, Flow(), eta=0.5, steps=80).final
    found = curvatures(filtered, end, DT)
    assert found == pytest.approx([189.5, 9.52, 1.27], abs=0.05)
    assert found[1:] == pytest.approx([9.52, 1.27], abs=0.005)

    def of_weights(p):
        return loss(p.T @ p / 5, None)

    with float64():
        hessian = jax.jit(jax.hessian(of_weights))(jnp.asarray(realise(end, 5, jr.key(0))))
    hessian = 5 * np.asarray(hessian).reshape(20, 20)
    assert np.linalg.eigvalsh(hessian)[:-4:-1] == pytest.approx(found, rel=1e-4)


# ---------------------------------------------------------------- noisy labels, on paper

WEIGHT = 0.5
ONE = rank_one(zm=1.0, mm=2.0, zz=1.5)  # where zm should be 1, all curvature is mm + zz


def product(sigma):
    return sigma[0, 3]


def square(sigma, key):
    return WEIGHT * (product(sigma) - 1) ** 2


def test_effective_loss_on_paper():
    for eta in (0.01, 0.1, 0.5):
        effective = label_noise_loss(square, product, weight=WEIGHT, eta=eta, sd=SD)
        found, spread = effective.at(ONE), WEIGHT * SD**2
        assert found.value == pytest.approx(-spread * np.log(1 - eta / 2 * 3.5), rel=1e-12)
        assert found.curvatures == pytest.approx([3.5])
        assert found.steepness == pytest.approx(3.5 * eta)
        assert found.loss == 0
        assert found.stable
        with float64():
            slope = np.asarray(jax.jit(jax.grad(effective))(jnp.asarray(ONE), None))
        by_norms = spread * eta / 2 / (1 - eta / 2 * 3.5)
        assert slope == pytest.approx(by_norms * np.diag([1.0, 0, 0, 1]), abs=1e-15)


def test_too_steep_is_infinite_and_said():
    effective = label_noise_loss(square, product, weight=WEIGHT, eta=0.6, sd=SD)
    with pytest.warns(UserWarning, match="not below 2.*Give eta below 0.571"):
        found = effective.at(ONE)
    assert found.value == np.inf
    assert not found.stable
    assert found.steepness == pytest.approx(2.1)
    assert np.isinf(learn(effective, ONE, eta=1e-3, steps=1).losses).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert label_noise_loss(square, product, weight=WEIGHT, eta=0.57, sd=SD).at(ONE).stable


def test_drift_of_a_product():
    """Norms shrink, mm and zz by the same amount; 256 runs agree with the law."""
    eta, steps = 0.1, 4000

    def marked(sigma, key):
        return WEIGHT * (product(sigma) - 1 - SD * jr.normal(key, (), float)) ** 2

    effective = label_noise_loss(square, product, weight=WEIGHT, eta=eta, sd=SD)
    law = triangle(learn(effective, ONE, eta=eta, steps=steps).final - ONE)
    many = np.stack([ONE] * 256)
    runs = triangle(learn(marked, many, eta=eta, steps=steps, key=jr.key(0)).final - ONE)
    mean = runs.mean(axis=0)[INVISIBLE]
    assert np.linalg.norm(mean) > 0.2
    assert np.linalg.norm(mean - law[INVISIBLE]) < 0.1 * np.linalg.norm(mean)


@pytest.mark.slow
@pytest.mark.parametrize(("eta", "epochs", "bar"), [(5e-3, 8000, 0.1), (2.5e-3, 32_000, 0.05)])
def test_drift_of_a_filter(eta, epochs, bar):
    start = learn(loss, THETA_2, eta=5e-3, steps=8000).final
    effective = label_noise_loss(loss, filtered, weight=DT, eta=eta, sd=SD)
    law = triangle(learn(effective, start, eta=eta, steps=epochs).final - start)[INVISIBLE]
    many = np.stack([start] * 16)
    runs = triangle(learn(noisy, many, eta=eta, steps=epochs, key=jr.key(0)).final - start)
    mean = runs.mean(axis=0)[INVISIBLE]
    assert np.linalg.norm(mean - law) < bar * np.linalg.norm(mean)


@pytest.mark.parametrize("wrong", [{"weight": 0.0}, {"eta": -1.0}, {"sd": -0.1}], ids=str)
def test_bad_noise(wrong):
    good = {"weight": 1.0, "eta": 0.1, "sd": 0.1}
    with pytest.raises(ValueError, match="above 0"):
        label_noise_loss(square, product, **{**good, **wrong})


@pytest.mark.parametrize(
    "ask",
    [
        lambda sigma: ntk(product, sigma),
        lambda sigma: curvatures(product, sigma, 1.0),
        lambda sigma: speed(square, sigma),
        label_noise_loss(square, product, weight=1.0, eta=0.1, sd=0.1).at,
    ],
    ids=["ntk", "curvatures", "speed", "label noise"],
)
def test_bad_overlaps(ask, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as a user has it
    with pytest.raises(ValueError, match="no network has these overlaps"):
        ask(rank_one(zm=1.5))
    with pytest.raises(ValueError, match="square"):
        ask(np.eye(4)[:3])


def test_bad_weight():
    with pytest.raises(ValueError, match="weight=-1"):
        curvatures(product, np.eye(4), -1.0)
