"""Optimal controllers: known gains, least squares, golden ratio, the order of losses."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from slowpoint.core.chance import generator
from slowpoint.core.precision import float64
from slowpoint.theory.gram import gram, learn_gram
from slowpoint.theory.loop_loss import expected_loss
from slowpoint.theory.loop_spectrum import DOUBLE_INTEGRATOR
from slowpoint.theory.optimal import best_rank_one, lqg_bound, lqr

STEPS, VARIANCE = 50, 4 / 3
PENALTIES = [0.0, 0.5, 2.0, 5.0]
GOLDEN = (1 + 5**0.5) / 2
RING = np.roll(np.eye(3), 1, axis=0), np.eye(3, 1), np.eye(1, 3)


@pytest.fixture(scope="module")
def best():
    return {penalty: best_rank_one(STEPS, VARIANCE, penalty) for penalty in PENALTIES}


def plant_of(seed, states, inputs, outputs):
    draw = np.random.default_rng(seed).normal
    shapes = (states, states), (states, inputs), (outputs, states)
    a, b, c = (draw(size=shape) / states**0.5 for shape in shapes)
    return a, b, c


# ---------------------------------------------------------------- who sees the whole state


@pytest.mark.parametrize(
    ("cost", "gain"), [(1.0, (0.42208244, 1.24392885)), (0.0, (1 / GOLDEN, GOLDEN))]
)
def test_gains_of_the_double_integrator(cost, gain):
    """With R = 0 the gains are those of the golden ratio."""
    assert lqr(DOUBLE_INTEGRATOR, 1.0, cost).gains == pytest.approx(np.array([gain]), abs=1e-7)
    long = lqr(DOUBLE_INTEGRATOR, 1.0, cost, 60)
    assert long.gains[0] == pytest.approx(np.array([gain]), abs=1e-7)
    assert np.array_equal(long.gains[-1], np.zeros((1, 2)))


@pytest.mark.parametrize("steps", [1, 4, 200])
def test_the_value_is_what_the_gains_cost(steps):
    """And no other gains cost less."""
    a, b, c = plant_of(0, 3, 2, 1)
    state_cost, control_cost = np.diag([1.0, 0.5, 2.0]), np.diag([0.3, 1.0])
    best = lqr((a, b, c), state_cost, control_cost, steps)

    def cost(gains):
        total, moved = np.zeros((3, 3)), np.eye(3)
        for gain in gains:
            sent = -gain @ moved
            total += moved.T @ state_cost @ moved + sent.T @ control_cost @ sent
            moved = a @ moved + b @ sent
        return total

    assert np.allclose(cost(best.gains), best.values[0], rtol=1e-12)
    other = best.gains + 0.1 * np.random.default_rng(1).normal(size=best.gains.shape)
    assert np.linalg.eigvalsh(cost(other) - best.values[0]).min() > -1e-12
    if steps == 200:
        forever = lqr((a, b, c), state_cost, control_cost)
        assert np.allclose(best.gains[0], forever.gains, atol=1e-10)
        assert np.allclose(best.values[0], forever.values, atol=1e-10)


def test_what_cannot_be_held_has_no_regulator():
    deaf = 2 * np.eye(1), np.zeros((1, 1)), np.eye(1)
    assert np.isnan(lqr(deaf, 1.0, 1.0).gains).all()
    wild = 1e200 * np.eye(1), np.zeros((1, 1)), np.eye(1)
    with np.errstate(over="ignore", invalid="ignore"):
        assert np.isnan(lqr(wild, 1.0, 1.0, 50).gains).all()


# ---------------------------------------------------------------- who sees outputs


def least_squares(plant, steps, variance, penalty, delay):
    """The bound by brute force: all causal maps from what is seen of x_0."""
    a, b, c = plant
    size, inputs = b.shape
    powers = [np.linalg.matrix_power(a, n) for n in range(steps)]
    seen = [
        [c @ powers[s] for s in range(0 if delay else 1, t - delay + 1)] for t in range(steps)
    ]
    rows = [np.concatenate(known) if known else np.zeros((0, size)) for known in seen]
    ends = np.cumsum([0, *(inputs * len(row) for row in rows)])
    residuals, fixed = [], []
    for start in np.eye(size):
        sent = np.zeros((steps, inputs, ends[-1]))
        for t, row in enumerate(rows):
            sent[t, :, ends[t] : ends[t + 1]] = np.kron(np.eye(inputs), row @ start)
        state = np.zeros((size, ends[-1]))
        for t in range(steps):
            residuals += [state / (2 * steps) ** 0.5, penalty**0.5 * sent[t]]
            fixed += [powers[t] @ start / (2 * steps) ** 0.5, np.zeros(inputs)]
            state = a @ state + b @ sent[t]
    matrix, offset = np.concatenate(residuals), np.concatenate(fixed)
    found = np.linalg.lstsq(matrix, -offset, rcond=1e-11)[0]
    return variance * np.sum((matrix @ found + offset) ** 2)


CASES = [(20, penalty, delay) for penalty in PENALTIES for delay in (0, 2)]


@pytest.mark.parametrize(("steps", "penalty", "delay"), [*CASES, (STEPS, 0.5, 0)])
def test_the_bound_is_that_of_least_squares(steps, penalty, delay):
    bound = lqg_bound(None, steps, VARIANCE, penalty, delay).loss
    known = least_squares(DOUBLE_INTEGRATOR, steps, VARIANCE, penalty, delay)
    assert bound == pytest.approx(known, rel=1e-12)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("sizes", [(3, 2, 1), (4, 1, 2), (2, 1, 1), (3, 1, 1)])
def test_so_it_is_for_any_plant(seed, sizes):
    plant = plant_of(seed, *sizes)
    for steps, penalty, delay in ((2, 0.1, 0), (7, 0.0, 0), (9, 0.3, 1)):
        bound = lqg_bound(plant, steps, 0.7, penalty, delay).loss
        known = least_squares(plant, steps, 0.7, penalty, delay)
        assert bound == pytest.approx(known, rel=1e-10)


def test_the_numbers_of_the_bound():
    bounds = [lqg_bound(None, STEPS, VARIANCE, penalty).loss for penalty in PENALTIES]
    assert bounds == pytest.approx([0.22023, 1.06397, 2.18114, 3.69281], abs=5e-6)


def test_the_bound_rises_with_the_penalty_and_bends_down():
    """It is the least of many straight lines in the penalty; and it rises with the delay."""
    bounds = [lqg_bound(None, 20, 1.0, penalty).loss for penalty in np.linspace(0, 5, 41)]
    assert (np.diff(bounds) >= 0).all()
    assert (np.diff(bounds, 2) <= 1e-12).all()
    late = [lqg_bound(None, 20, 1.0, 0.3, delay).loss for delay in range(4)]
    assert (np.diff(late) > 0).all()


def test_what_is_unknown_shrinks_to_nothing():
    """All at first, one direction after one output, nothing after two."""
    unknown = lqg_bound(None, 5, 2.0).unknown
    assert np.array_equal(unknown[0], 2 * np.eye(2))
    assert [np.linalg.matrix_rank(cov, tol=1e-9) for cov in unknown] == [2, 1, 0, 0, 0]
    late = lqg_bound(None, 5, 2.0, 0.0, 2).unknown
    assert [np.linalg.matrix_rank(cov, tol=1e-9) for cov in late] == [2, 2, 1, 0, 0]


# ---------------------------------------------------------------- rank one


@pytest.mark.parametrize("steps", [25, 50])
def test_the_golden_optimum(steps):
    overlaps = np.array([-GOLDEN, 2 * GOLDEN, 1.0, -2 / GOLDEN])
    with float64():
        loss = lambda overlaps: expected_loss(overlaps, steps, VARIANCE)
        value, slope = jax.jit(jax.value_and_grad(loss))(jnp.asarray(overlaps))
        assert float(value) == pytest.approx(
            VARIANCE / (2 * steps) * (6 + 7 * GOLDEN), rel=1e-6
        )
        assert float(jnp.abs(slope).max()) < 1e-6
    if steps == STEPS:
        found = best_rank_one(steps, VARIANCE)
        assert found.overlaps == pytest.approx(overlaps, abs=1e-7)
        assert found.loss == pytest.approx(0.2310165, abs=5e-8)
        assert found.radius == pytest.approx(GOLDEN**-2, abs=1e-4)  # a double eigenvalue


def test_the_numbers_of_the_optima(best):
    assert all(found.found for found in best.values())
    losses = [found.loss for found in best.values()]
    assert losses == pytest.approx([0.23102, 1.10270, 2.24680, 3.78856], abs=6e-6)
    gains = [(-0.532, -1.343), (-0.0995, -0.407), (-0.0555, -0.295), (-0.0371, -0.240)]
    assert np.allclose([found.gain for found in best.values()], gains, atol=6e-4)
    assert max(found.slope for found in best.values()) < 1e-11


def test_delays_cost():
    delayed = [best_rank_one(STEPS, VARIANCE, delay=delay) for delay in (1, 3)]
    assert [d.loss for d in delayed] == pytest.approx([0.8010, 4.090], rel=5e-4)
    for delay, found in zip((1, 3), delayed):
        assert found.found
        assert lqg_bound(None, STEPS, VARIANCE, delay=delay).loss < found.loss
        by_hand = np.mean([by_rollout(found.overlaps, start, delay) for start in corners()])
        assert by_hand == pytest.approx(found.loss, rel=1e-9)


def corners():
    """Four starts whose covariance is VARIANCE times 1."""
    return (2 * VARIANCE) ** 0.5 * np.concatenate([np.eye(2), -np.eye(2)])


def by_rollout(overlaps, start, delay):
    """The loss of one start, tick by tick: outputs are seen `delay` ticks later."""
    s_zm, s_zu, s_vm, s_vu = overlaps
    (position, velocity), seen, sent = start, [start[0]], 0.0
    total, memory, heard = 0.0, 0.0, 0.0
    for t in range(STEPS):
        if t:
            position, velocity = position + velocity, velocity + sent
            seen.append(position)
            memory, heard = s_vm * heard + s_vu * memory, seen[t - delay] if t >= delay else 0.0
            sent = s_zm * heard + s_zu * memory
        total += (position**2 + velocity**2) / (2 * STEPS)
    return total


def test_nothing_is_below_its_bound(best):
    """LQG <= best of rank one <= learned, and any other."""
    for penalty, found in best.items():
        assert lqg_bound(None, STEPS, VARIANCE, penalty).loss < found.loss
        near = found.overlaps + 0.05 * np.random.default_rng(0).normal(size=(200, 4))
        others = expected_loss(near, STEPS, VARIANCE, penalty)
        assert others.min() > found.loss
        known = expected_loss(found.overlaps, STEPS, VARIANCE, penalty)
        assert known == pytest.approx(found.loss, rel=1e-12)
    columns = generator(jr.key(3)).normal(size=(20, 4)) * [0.1, 0.2, 0.2, 0.1]
    loss = lambda overlaps: jnp.asarray(expected_loss(overlaps, STEPS, VARIANCE, 0.5))
    learned = learn_gram(gram(columns), loss, rate=1e-2, steps=1000, every=1000)
    assert best[0.5].loss < learned.losses[-1] < 2 * best[0.5].loss


def test_the_units_of_the_control_do_not_matter(best):
    a, b, c = DOUBLE_INTEGRATOR
    found, known = best_rank_one(STEPS, VARIANCE, plant=(a, 1e-3 * b, c)), best[0.0]
    assert found.found
    assert found.loss == pytest.approx(known.loss, rel=1e-10)
    assert np.allclose(found.overlaps, known.overlaps * [1e3, 1e3, 1, 1], rtol=1e-5)


def test_what_never_ends_is_said():
    """A ring of three wants the control of two ticks ago alone: p to 0, s_vu to infinity."""
    found = best_rank_one(5, 1.0, plant=RING)
    assert not found.found
    assert found.loss == pytest.approx(1.4, abs=1e-5)
    a, b, c = RING
    assert not best_rank_one(5, 1.0, plant=(1e200 * a, b, c)).found


# ---------------------------------------------------------------- misuse

BAD = {
    "A has shape": {"plant": (np.ones((2, 3)), np.ones((2, 1)), np.ones((1, 2)))},
    "B has 3 rows, A has 2": {"plant": (np.eye(2), np.ones((3, 1)), np.ones((1, 2)))},
    "C has 3 columns, A has 2": {"plant": (np.eye(2), np.ones((2, 1)), np.ones((1, 3)))},
    "steps=1: give 2": {"steps": 1},
    "variance=0.0": {"variance": 0.0},
    "penalty=-1.0": {"penalty": -1.0},
    "delay=-1": {"delay": -1},
    "delay=True": {"delay": True},
}


@pytest.mark.parametrize("says", BAD)
def test_bad_input(says):
    good = {"plant": None, "steps": 5, "variance": 1.0, "penalty": 0.0, "delay": 0}
    for function in (lqg_bound, best_rank_one):
        with pytest.raises(ValueError, match=says):
            function(**good | BAD[says])


def test_bad_costs_and_plants():
    with pytest.raises(ValueError, match=r"state_cost has shape \(3, 3\)\. Give \(2, 2\)"):
        lqr(DOUBLE_INTEGRATOR, np.eye(3), 1.0)
    with pytest.raises(ValueError, match="control_cost is not symmetric and semidefinite"):
        lqr(DOUBLE_INTEGRATOR, 1.0, -1.0)
    with pytest.raises(ValueError, match="steps=0"):
        lqr(DOUBLE_INTEGRATOR, 1.0, 1.0, 0)
    with pytest.raises(ValueError, match="2 inputs and 1 outputs"):
        best_rank_one(5, 1.0, plant=plant_of(0, 3, 2, 1))
