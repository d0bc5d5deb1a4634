"""Does a student see what its teacher saw, and is the teacher perfect?"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from slowpoint.cells.low_rank import LowRank
from slowpoint.core.nonlinearity import erf, identity
from slowpoint.core.precision import float64, to_numpy
from slowpoint.core.rollout import rollout
from slowpoint.learning.train import train
from slowpoint.tasks.flipflop import FlipFlop
from slowpoint.tasks.imitate import Given, Imitate, Noised, White
from slowpoint.theory.latent import Latent
from slowpoint.theory.overlaps import as_network, Dims, rank_one, realise

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


def test_a_student_learns_from_its_teacher():
    """One unit from another that is like it, so the error can vanish."""
    teacher = LowRank(*(jnp.full((1, 1), w) for w in (1.0, 0.5, 1.2, 0.8)), nonlinearity=erf)
    student = LowRank(*(jnp.full((1, 1), w) for w in (0.7, 0.6, 0.6, 0.6)), nonlinearity=erf)
    task = Imitate(teacher, White(steps=30, size=2.0))
    done = train(student, task, updates=600, batch=8, key=jr.key(0))
    assert done.losses[-20:].mean() < 1e-2 * done.losses[:20].mean()


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
