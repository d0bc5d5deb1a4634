"""Does the trained network that comes along do what its docstring says?"""

import jax
import jax.numpy as jnp
import jax.random as jr

from slowpoint.core.rollout import rollout
from slowpoint.core.trial import sign_accuracy, weighted_mse
from slowpoint.tasks.flipflop import FlipFlop, PerStep
from slowpoint.weights.trained import flipflop_gru


def test_the_flipflop_gru_remembers_three_bits():
    net = flipflop_gru()
    assert (net.state_size, net.input_size, net.output_size) == (100, 3, 3)
    assert net.recurrent.dtype == jnp.float32
    assert net.initial_state is not None
    task = FlipFlop(bits=3, steps=64, timing=PerStep(0.1))
    trials = jax.vmap(task.trial)(jr.split(jr.key(7), 128))
    answers = jax.vmap(lambda inputs: rollout(net, jnp.zeros(0), inputs))(trials.inputs)
    assert jax.vmap(sign_accuracy)(trials, answers).mean() == 1
    assert jax.vmap(weighted_mse)(trials, answers).mean() < 4e-4  # unseen; 2e-4 on its own
