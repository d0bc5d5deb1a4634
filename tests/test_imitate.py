"""Does a student see what its teacher saw, and is the teacher perfect?"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jaxtyping import Array, Float

from slowpoint.cells.low_rank import LowRank
from slowpoint.core.closed_loop import ClosedLoop
from slowpoint.core.nonlinearity import erf, identity
from slowpoint.core.precision import float64, to_numpy
from slowpoint.core.rollout import rollout
from slowpoint.core.trial import Task, Trial
from slowpoint.learning.train import train
from slowpoint.tasks.flipflop import FlipFlop
from slowpoint.tasks.imitate import Given, Imitate, InControl, Mixture, Noised, seen, White
from slowpoint.theory.latent import Latent
from slowpoint.theory.overlaps import as_network, Dims, rank_one, realise
from slowpoint.worlds.double_integrator import DoubleIntegrator

TEACHER = LowRank.random(12, 2, 3, rank=2, overlap=1.0, key=jr.key(5))
SOURCES = {
    "white": White(steps=20, channels=2, size=1.5),
    "noised": Noised(FlipFlop(bits=2, steps=20), gain=2.0, noise=1.5),
    "given": Given(np.random.default_rng(0).normal(size=(5, 20, 2))),
    "task": FlipFlop(bits=2, steps=20),
    "function": lambda key: jr.uniform(key, (20, 2)),
}


@pytest.mark.parametrize("name", SOURCES)
def test_the_teacher_makes_no_error_and_another_does(name):
    task = Imitate(TEACHER, SOURCES[name])
    trial = task.trial(jr.key(0))
    assert (task.input_size, task.output_size) == (2, 3)
    assert trial.targets.shape == (20, 3)
    assert trial.targets.std() > 0
    own = rollout(TEACHER, trial.start, trial.inputs)
    assert float(task.loss(trial, own)) == 0.0
    other = LowRank.random(12, 2, 3, rank=2, overlap=1.0, key=jr.key(6))
    assert float(task.loss(trial, rollout(other, trial.start, trial.inputs))) > 1e-3


def draws(name, number=4000):
    return np.asarray(jax.jit(jax.vmap(SOURCES[name]))(jr.split(jr.key(1), number)))


def test_white_noise_is_white():
    white = draws("white")
    assert white.shape == (4000, 20, 2)
    assert white.std() == pytest.approx(1.5, rel=0.01)
    assert abs(np.mean(white[:, 1:] * white[:, :-1])) < 0.05  # independent from step to step
    assert abs(np.mean(white[:, :, 0] * white[:, :, 1])) < 0.05


def test_noise_comes_on_top_of_what_the_task_asks():
    noised = draws("noised")
    ask = jax.vmap(lambda key: SOURCES["task"].trial(jr.split(key)[0]).inputs)
    pulses = 2 * np.asarray(ask(jr.split(jr.key(1), 4000)))
    assert set(np.unique(pulses)) == {-2.0, 0.0, 2.0}
    rest = noised - pulses
    assert rest.std() == pytest.approx(1.5, rel=0.01)
    assert abs(np.mean(rest * pulses)) < 0.05  # it does not know the pulses


def test_examples_given_come_equally_often():
    examples = np.float32(SOURCES["given"].inputs)
    alike = (draws("given")[:, None] == examples).all(axis=(2, 3))
    assert np.all(alike.sum(axis=1) == 1)
    assert np.abs(alike.sum(axis=0) - 800).max() < 4 * np.sqrt(800)


def test_a_latent_flow_teaches_what_its_network_would():
    """A linear one: exact at any size."""
    sigma = rank_one(zm=0.3, zu=0.4, vm=0.5, vu=0.6)
    source = Noised(FlipFlop(bits=1, steps=30), 2.0, 1.5)
    with float64():
        flow = Latent(jnp.asarray(sigma), Dims(), identity, 0.1)
        network = as_network(realise(sigma, 9, jr.key(0)), Dims(), 0.1)
        one, two = (to_numpy(Imitate(t, source).trial(jr.key(2))) for t in (flow, network))
    assert one.targets.dtype == float
    assert np.array_equal(one.inputs, two.inputs)
    assert np.abs(one.targets - two.targets).max() < 1e-14


@pytest.mark.slow
def test_a_student_learns_from_its_teacher():
    """One unit from another that is like it, so the error can vanish."""
    teacher = LowRank(*(jnp.full((1, 1), w) for w in (1.0, 0.5, 1.2, 0.8)), nonlinearity=erf)
    student = LowRank(*(jnp.full((1, 1), w) for w in (0.7, 0.6, 0.6, 0.6)), nonlinearity=erf)
    task = Imitate(teacher, White(steps=30, size=2.0))
    done = train(student, task, updates=600, batch=8, key=jr.key(0))
    assert done.losses[-20:].mean() < 1e-2 * done.losses[:20].mean()


def controller(first, noise=0.0):
    """A network that reads a mass and one goal number, in the loop with the mass."""
    agent = LowRank.random(6, 2, 1, rank=1, key=jr.key(8))
    return ClosedLoop(DoubleIntegrator(0.1), agent, first, observation_noise=noise)


@pytest.mark.parametrize("first", ["world", "agent"])
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_in_control_the_teacher_sees_what_it_saw_in_the_loop(first, noise):
    """So alone, on those inputs, it does what it did there."""
    loop = controller(first, noise)
    channels = loop.input_size
    assert channels == (2 if noise else 1)
    start, inputs = jnp.array([1.0, -0.5]), jr.normal(jr.key(2), (15, channels))
    trial = Trial(start, inputs, jnp.zeros((15, 1)), jnp.ones(15))
    with float64():
        path = rollout(loop, start, inputs).states
        alone = Imitate(loop.agent, White(15, 2)).on(seen(loop, trial))
        efforts = jax.vmap(loop.agent.output)(path[:, 2:])
    assert np.allclose(alone.targets, efforts, rtol=1e-5, atol=1e-8)
    assert np.array_equal(np.asarray(alone.inputs)[:, 1], np.asarray(inputs)[:, 0])


def test_a_source_in_control_starts_where_its_task_does():
    loop = controller("agent")
    task = Begun(jnp.array([0.7, 0.0]))
    source = InControl(loop, task)
    inputs = np.asarray(source(jr.key(0)))
    assert inputs[0] == pytest.approx([0.7, 0.25])  # the place before it moves, and the goal
    trial = Imitate(loop.agent, source).trial(jr.key(1))
    assert np.array_equal(trial.inputs, inputs)
    assert trial.start.shape == (0,)  # the student begins at its own initial state


class Begun(Task):
    """From a place, with a goal that stays."""

    place: Float[Array, " given"]
    input_size: int = eqx.field(static=True, default=1)
    output_size: int = eqx.field(static=True, default=1)

    def trial(self, key):
        return Trial(self.place, jnp.full((9, 1), 0.25), jnp.zeros((9, 1)), jnp.ones(9))

    def loss(self, trial, trajectory):
        return jnp.zeros(())


def test_a_mixture_draws_from_both():
    keys = jr.split(jr.key(3), (2, 4000))
    loud, silent = White(3, 1, 5.0), White(3, 1, 0.0)
    drawn = np.asarray(jax.vmap(Mixture(loud, silent, 0.25))(keys[0]))
    is_loud = np.abs(drawn).max(axis=(1, 2)) > 0
    assert is_loud.mean() == pytest.approx(0.25, abs=4 * np.sqrt(0.19 / 4000))
    assert drawn[is_loud].std() == pytest.approx(5, rel=0.05)
    assert np.all(np.asarray(jax.vmap(Mixture(loud, silent, 0.0))(keys[1])) == 0)
    with pytest.raises(ValueError, match=r"share=1.5: give a probability"):
        Mixture(loud, silent, 1.5)


def test_a_sum_over_steps_is_the_mean_times_their_number():
    mean, total = (Imitate(TEACHER, SOURCES["white"], cost) for cost in (None, 0.1))
    trial = mean.trial(jr.key(0))
    other = LowRank.random(12, 2, 3, rank=2, overlap=1.0, key=jr.key(6))
    run = rollout(other, trial.start, trial.inputs)
    size = trial.targets.size
    assert float(total.loss(trial, run)) == pytest.approx(
        0.1 * size * float(mean.loss(trial, run)), rel=1e-5
    )


@pytest.mark.parametrize(
    "source", [White(20, 3), FlipFlop(bits=1, steps=20), Given(np.ones((4, 9, 5)))], ids=str
)
def test_inputs_that_do_not_fit_the_teacher_are_told(source):
    with pytest.raises(ValueError, match="channels, LowRank takes 2"):
        Imitate(TEACHER, source).trial(jr.key(0))


def test_no_example_is_told():
    with pytest.raises(ValueError, match="No example"):
        Given(np.zeros((0, 9, 2)))


def test_a_task_is_one_tree():
    """It can be carried through jit as an argument, its sizes known."""
    task = Imitate(TEACHER, SOURCES["given"])
    inside = eqx.filter_jit(lambda task, key: task.trial(key).inputs)(task, jr.key(3))
    assert np.array_equal(inside, task.trial(jr.key(3)).inputs)
