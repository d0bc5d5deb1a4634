"""Is an optimiser that was made twice compiled once, and never taken for another?"""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from hypothesis import given, strategies as st

from slowpoint.learning import same_optimiser as module
from slowpoint.learning.descend import descend
from slowpoint.learning.same_optimiser import same_optimiser

MAKERS = {
    "adam": lambda: optax.adam(1e-3),
    "one moment more": lambda: optax.adam(1e-3, b1=0.8),
    "another rate": lambda: optax.adam(2e-3),
    "nesterov": lambda: optax.adam(1e-3, nesterov=True),
    "sgd": lambda: optax.sgd(1e-3),
    "momentum": lambda: optax.sgd(1e-3, momentum=0.9),
    "decay": lambda: optax.adamw(1e-3, weight_decay=0.1),
    "schedule": lambda: optax.adam(optax.cosine_decay_schedule(1e-3, 100)),
    "longer": lambda: optax.adam(optax.cosine_decay_schedule(1e-3, 101)),
    "clipped": lambda: optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3)),
    "clipped after": lambda: optax.chain(optax.adam(1e-3), optax.clip_by_global_norm(1.0)),
    "labels": lambda: optax.multi_transform({"a": optax.sgd(0.1)}, {"w": "a"}),
    "injected": lambda: optax.inject_hyperparams(optax.adam)(1e-3),
    "array": lambda: optax.adam(jnp.float32(1e-3)),
    "array of another type": lambda: optax.adam(np.float16(1e-3)),
    "line search": optax.lbfgs,
}


class Traced(eqx.Module):
    """A loss that notes whenever it is traced."""

    log: list = eqx.field(static=True)

    def __call__(self, model, key):
        self.log.append(1)
        return ((model - 1.0) ** 2).sum()


def learned(log, optimiser, updates=3):
    start = jnp.zeros(2)
    done = descend(start, Traced(log), updates=updates, key=jr.key(0), optimiser=optimiser)
    return np.asarray(done.system)


def test_made_twice_it_is_compiled_once():
    class Log(list):
        __hash__ = object.__hash__

    log = Log()
    first = learned(log, optax.adam(0.1))
    traced = len(log)
    again = learned(log, optax.adam(0.1))
    assert len(log) == traced > 0
    np.testing.assert_array_equal(first, again)
    other = learned(log, optax.adam(0.2))
    assert len(log) > traced
    np.testing.assert_allclose(other, 2 * first, rtol=0.1)


@pytest.mark.parametrize("name", MAKERS)
def test_those_made_alike_are_one_and_no_other(name):
    first = same_optimiser(MAKERS[name]())
    assert same_optimiser(MAKERS[name]()) is first
    for other, make in MAKERS.items():
        assert (same_optimiser(make()) is first) == (other == name), other


@given(st.floats(1e-6, 1.0), st.floats(1e-6, 1.0))
def test_rates_tell_them_apart(a, b):
    one, other = (same_optimiser(optax.sgd(rate)) for rate in (a, b))
    assert (one is other) == (a == b)


@pytest.mark.parametrize("module", [__name__, "optax_of_mine", None])
def test_what_is_not_of_optax_is_known_by_its_object(module):
    rate = [0.1]
    steps = [lambda _: rate[0] for _ in "ab"]  # the same code, and who knows what it reads
    for step in steps:
        step.__module__ = module
    assert same_optimiser(optax.sgd(steps[0])) is same_optimiser(optax.sgd(steps[0]))
    assert same_optimiser(optax.sgd(steps[0])) is not same_optimiser(optax.sgd(steps[1]))


def test_one_with_a_key_is_known_by_its_object():
    key = jr.key(1)
    one, two = (optax.add_noise(0.1, 0.5, key) for _ in "ab")
    assert same_optimiser(one) is same_optimiser(two)
    assert same_optimiser(optax.add_noise(0.1, 0.5, jr.key(1))) is not one


def test_few_are_kept():
    first = same_optimiser(optax.sgd(0.5))
    for i in range(module.KEPT):
        same_optimiser(optax.sgd(0.6 + i / 1000))
    assert same_optimiser(optax.sgd(0.5)) is not first
    assert len(module._known) == module.KEPT
