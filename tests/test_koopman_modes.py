"""Does the eigenproblem find the eigenfunction where paper says which it is?"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from slowpoint.analysis.field import values
from slowpoint.analysis.koopman import Equation, ratio_loss
from slowpoint.analysis.koopman_modes import gaussian_grid, koopman_modes, mode_states
from slowpoint.core.precision import float64
from slowpoint.core.system import Flow
from slowpoint.core.wrap import Sampled
from slowpoint.worlds.bistable import Bistable
from slowpoint.worlds.duffing import Duffing

NONE = np.zeros(0)
RATE = (5**0.5 - 1) / 2
WELLS = np.array([[-1.0, 0.0], [1.0, 0.0]])
CORNER = np.array([2.4, 2.4])
LEFT = np.array([1.0, RATE])  # of Duffing's saddle, up to scale


class Faster(Flow):
    """`inside`, `times` as fast."""

    inside: Flow
    times: float
    dt: float = eqx.field(static=True, default=0.05)
    state_size: int = eqx.field(static=True, default=2)
    input_size: int = eqx.field(static=True, default=0)
    output_size: int = eqx.field(static=True, default=2)

    def velocity(self, x, u):
        return self.times * self.inside.velocity(x, u)

    def output(self, x):
        return x


class Twisted(Flow):
    """x' = J x with rates 0.7, -1 and -2; left eigenvector of 0.7: (1, 0.5, 0)."""

    dt: float = eqx.field(static=True, default=0.05)
    state_size: int = eqx.field(static=True, default=3)
    input_size: int = eqx.field(static=True, default=0)
    output_size: int = eqx.field(static=True, default=3)

    def velocity(self, x, u):
        # d/dt (x0 + x1 / 2) = 0.7 (x0 + x1 / 2)
        return jnp.stack([0.7 * x[0] + 0.85 * x[1], -x[1], -2 * x[2]])

    def output(self, x):
        return x


def solved(system=Duffing(), rate=RATE, count=25):
    states = mode_states(-CORNER, CORNER, np.zeros(2), WELLS)
    features = gaussian_grid(-CORNER, CORNER, count)
    found = koopman_modes(
        features, Equation(system, NONE, rate), states, saddle=np.zeros(2), direction=LEFT
    )
    return found, features, states


def test_a_linear_system_has_its_left_eigenvector():
    states = np.random.default_rng(0).normal(size=(50, 3))
    found = koopman_modes(
        lambda x: x,
        Equation(Twisted(), NONE, 0.7),
        states,
        saddle=np.zeros(3),
        direction=np.array([1.0, 0, 0]),
    )
    assert found.coefficients[0] / found.coefficients[0, 0] == pytest.approx(
        [1, 0.5, 0], abs=1e-9
    )
    assert found.ratios[0] < 1e-10  # the floor that keeps B regular is 1e-11
    assert found.ratios[1] > 0.1
    assert (values(found.psi(lambda x: x), states) ** 2).mean() == pytest.approx(1)


def test_one_answer_for_one_pair_of_flow_and_rate():
    """f -> c f, lambda -> c lambda changes nothing; a power of two not even a bit."""
    slow, features, states = solved(count=15)
    fast, *_ = solved(Faster(Duffing(), 8.0), 8.0 * RATE, count=15)
    assert fast.ratios == pytest.approx(slow.ratios, rel=1e-6)
    one, other = (values(found.psi(features), states) for found in (slow, fast))
    assert np.abs(one - other).max() < 1e-6


def test_ratios_are_the_loss_of_the_modes():
    found, features, states = solved(count=15)
    equation = Equation(Duffing(), NONE, RATE)
    for index in range(2):
        with float64():
            loss = float(ratio_loss(found.psi(features, index), equation, states))
        assert loss == pytest.approx(found.ratios[index], rel=0.05)
    assert (np.diff(found.ratios) >= 0).all()
    assert found.gap == found.ratios[1] / found.ratios[0]


def boundary():
    """Points of Duffing's stable manifold within the box of 2, by steps of .01 backwards."""
    line = []
    for sign in (1, -1):
        x = sign * 1e-6 * np.array([1.0, -1 / RATE])
        f = lambda x: -np.array([x[1], x[0] - x[0] ** 3 - x[1]])
        while np.abs(x).max() < 2:
            a = f(x)
            b = f(x + 0.005 * a)
            c = f(x + 0.005 * b)
            x = x + 0.01 / 6 * (a + 2 * b + 2 * c + f(x + 0.01 * c))
            line.append(x)
    line = np.array(line)
    return line[np.linalg.norm(line, axis=1) > 0.05]


def distances(psi, points):
    """To first order, from points to the zero set."""
    with float64():
        value, slope = jax.vmap(jax.value_and_grad(psi))(jnp.asarray(points))
        return np.abs(np.asarray(value)) / np.linalg.norm(np.asarray(slope), axis=1)


@pytest.mark.parametrize("share", [0.8, 1.0, 1.05])
def test_duffing_is_solved_near_its_unstable_rate(share):
    found, features, _ = solved(rate=share * RATE)
    assert found.gap > 2.9
    error = distances(found.psi(features), boundary())
    assert np.median(error) < 0.003
    assert np.quantile(error, 0.95) < 0.005
    slope = jax.jvp(found.psi(features), (jnp.zeros(2),), (jnp.asarray(LEFT, float),))[1]
    assert slope > 0


def test_a_wrong_rate_has_no_gap():
    found, *_ = solved(rate=0.25 * RATE)
    assert found.gap < 1.5


def test_fine_steps_have_the_modes_of_the_flow():
    flow, features, states = solved(count=15)
    steps, *_ = solved(Sampled(Duffing(dt=1e-3)), count=15)
    one, other = (values(found.psi(features), states) for found in (flow, steps))
    assert np.sqrt(((one - other) ** 2).mean()) < 10 * 1e-3  # of order dt, of mean square 1


def test_the_double_well_in_one_and_three_dimensions():
    for size in (1, 3):
        corner, wells = np.full(size, 1.8), np.zeros((2, size))
        wells[:, 0] = [-1, 1]
        states = mode_states(-corner, corner, np.zeros(size), wells, counts=(2000, 400))
        features = gaussian_grid(-corner, corner)
        equation = Equation(Bistable(size=size), NONE, 1.0)
        psi = koopman_modes(features, equation, states).psi(features)
        plane = states[::10] * (np.arange(size) > 0)
        assert distances(psi, plane[np.abs(plane).max(axis=1) < 1.5]).max() < 0.05


def test_samples_are_even_and_spare_the_attractors():
    states = mode_states(-CORNER, CORNER, np.zeros(2), WELLS)
    again = mode_states(-CORNER, CORNER, np.zeros(2), WELLS)
    assert np.array_equal(states, again)
    gaps = np.linalg.norm(states[:, None] - WELLS, axis=2).min(axis=1)
    assert gaps.min() > 0.5
    assert np.abs(states).max() <= 2.4
    everything = mode_states(-CORNER, CORNER, np.zeros(2), np.zeros((0, 2)))
    assert len(everything) == 4800
    # each quarter of the box has its quarter of the 4000
    assert (everything[:4000] > 0).all(axis=1).mean() == pytest.approx(0.25, abs=0.005)
    assert everything[4000:].std(axis=0) == pytest.approx([0.3, 0.3], rel=0.02)


def test_the_grid_covers_the_box_and_a_bit():
    features = gaussian_grid(np.array([-2.0, 0.0]), np.array([2.0, 1.0]))
    assert features.centres.shape == (625, 2)
    assert features.centres.max(axis=0) == pytest.approx([2.3, 1.075])
    assert features.widths == pytest.approx([1.6 * 4.6 / 24, 1.6 * 1.15 / 24])
    with float64():
        one = np.asarray(features(jnp.asarray(features.centres[7])))
    assert one.argmax() == 7
    assert one[7] == 1
    assert one[8] == pytest.approx(np.exp(-0.5 / 1.6**2))


def test_misuse_is_answered_in_sentences():
    equation = Equation(Duffing(), NONE, RATE)
    features = gaussian_grid(-CORNER, CORNER)
    few = np.random.default_rng(0).normal(size=(600, 2))
    with pytest.raises(ValueError, match="600 states cannot settle 625 features"):
        koopman_modes(features, equation, few)
    with pytest.raises(ValueError, match="not linear"):
        koopman_modes(features, Equation(Duffing(), NONE, RATE, squashed=True), few)
    with pytest.raises(ValueError, match="not finite"):
        koopman_modes(features, equation, np.full((700, 2), np.nan))
    with pytest.raises(ValueError, match="4 dimensions"):
        gaussian_grid(-np.ones(4), np.ones(4))


def test_features_that_repeat_each_other_hide_no_mode():
    """A grid too coarse for a ratio of 1e-3 beside thirty copies of a feature."""
    states = mode_states(-CORNER, CORNER, np.zeros(2), WELLS)
    grid = gaussian_grid(-CORNER, CORNER, 12)
    copies = lambda x: jnp.concatenate([grid(x), jnp.full(30, 1.0) * grid(x)[:1]])
    equation = Equation(Duffing(), NONE, RATE)
    one, other = (koopman_modes(features, equation, states) for features in (grid, copies))
    assert one.ratios[0] > 2e-3
    assert other.ratios[0] == pytest.approx(one.ratios[0], rel=1e-2)
