"""Is a cell of another library, adapted, the System that it should be?"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from slowpoint.cells.gru import GRU
from slowpoint.core.precision import float64, widen
from slowpoint.core.rollout import rollout
from slowpoint.weights.adapter import from_function
from slowpoint.weights.save import save


class StateFirst(eqx.Module):
    """An Equinox cell, whose first argument is the input, with the state first."""

    cell: eqx.nn.GRUCell

    def __call__(self, state, u):
        return self.cell(u, state)


def test_an_equinox_gru_is_ours():
    theirs = eqx.nn.GRUCell(2, 4, key=jr.key(0))
    net = from_function(StateFirst(theirs), jnp.zeros(4), 2, dt=0.5)
    assert any(leaf is theirs.weight_hh for leaf in jax.tree.leaves(net))
    n = theirs.bias_n
    ours = GRU(theirs.weight_hh, theirs.weight_ih, theirs.bias, n, jnp.eye(4), jnp.zeros(4))
    u = jr.normal(jr.key(1), (10, 2))
    found, expected = rollout(net, jnp.ones(4), u), rollout(ours, jnp.ones(4), u)
    np.testing.assert_allclose(found.states, expected.states, atol=1e-6)
    assert (net.dt, net.state_size, net.output_size) == (0.5, 4, 4)
    with float64():
        x, held = jnp.linspace(-1, 1, 4), jnp.ones(2)
        slope = widen(net).jacobian(x, held)
        np.testing.assert_allclose(slope, widen(ours).jacobian(x, held), atol=1e-12)


def test_a_state_of_two_and_its_readout():
    def step(state, u):
        drift = {
            "angle": state["angle"] + 0.1 * state["speed"],
            "speed": 0.9 * state["speed"] + u,
        }
        return drift

    start = {"angle": jnp.zeros(()), "speed": jnp.array([1.0])}
    with pytest.raises(ValueError, match=r"gives back .*with shapes \[\(1,\), \(1,\)\]"):
        from_function(step, start, 1)
    start = {"angle": jnp.zeros(1), "speed": jnp.ones(1)}
    net = from_function(step, start, 1, output=lambda state: state["speed"])
    np.testing.assert_array_equal(net.initial, [0.0, 1.0])
    x = net.step(jnp.array([2.0, 4.0]), jnp.array([1.0]))
    np.testing.assert_allclose(x, [2.4, 4.6], rtol=1e-6)
    np.testing.assert_array_equal(net.output(jnp.array([2.0, 4.0])), [4.0])
    np.testing.assert_array_equal(net.unpack(jnp.array([2.0, 4.0]))["speed"], [4.0])
    with pytest.raises(ValueError, match="int32 numbers; a System's state is real"):
        from_function(lambda s, u: s, jnp.zeros(2, jnp.int32), 1)
    with pytest.raises(ValueError, match="Adapter cannot be written"):
        save(net, "nowhere.safetensors")
