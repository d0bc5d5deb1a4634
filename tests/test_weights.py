"""Do networks survive their files, and do files that are something else say so?"""

import dataclasses
import importlib
import json
import os
import pathlib
import pkgutil
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import slowpoint.cells
import slowpoint.worlds
from slowpoint.cells.gru import GRU
from slowpoint.cells.linear import Linear
from slowpoint.cells.lstm import LSTM
from slowpoint.cells.vanilla import Vanilla
from slowpoint.core.closed_loop import ClosedLoop
from slowpoint.core.nonlinearity import relu
from slowpoint.core.precision import float64, widen
from slowpoint.core.rollout import rollout
from slowpoint.core.wrap import Delayed, Held, Noisy, Sampled
from slowpoint.weights import save as native
from slowpoint.weights.load import load, read
from slowpoint.weights.save import save
from slowpoint.worlds.double_integrator import DoubleIntegrator

DATA = pathlib.Path(__file__).parent / "data"
MODULES = [
    f"{room.__name__}.{module.name}"
    for room in (slowpoint.cells, slowpoint.worlds)
    for module in pkgutil.iter_modules(room.__path__)
]


def same(a, b) -> bool:
    """Equal class, static fields and every bit of every leaf."""
    if jax.tree.structure(a) != jax.tree.structure(b):
        return False
    return all(
        np.asarray(x).dtype == np.asarray(y).dtype
        and np.asarray(x).tobytes() == np.asarray(y).tobytes()
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b))
    )


# what we wrote ourselves


@pytest.mark.parametrize("module", MODULES)
def test_every_cell_and_world_comes_back(module, tmp_path):
    net = importlib.import_module(module).example(jr.key(3))
    save(net, tmp_path / "net.safetensors")
    assert same(load(tmp_path / "net.safetensors"), net)


def test_systems_made_of_systems_come_back(tmp_path):
    cell, agent, force = jr.split(jr.key(0), 3)
    flow = eqx.tree_at(
        lambda n: n.initial_state,
        Vanilla.random(4, 2, 1, form="rate", dt=1.0, key=cell),
        jnp.arange(4.0),
        is_leaf=lambda x: x is None,
    )
    loop = ClosedLoop(DoubleIntegrator(0.1), GRU.random(3, 1, 1, key=agent), first="agent")
    for net in (
        Sampled(flow, tick=0.02),
        Held(Linear.random(3, 2, 1, key=force), jnp.array([0.1, -0.2])),
        Delayed(Noisy(loop, 1 / 3), ticks=2),
    ):
        save(net, tmp_path / "net.safetensors")
        assert same(load(tmp_path / "net.safetensors"), net)


def test_static_fields_come_back(tmp_path):
    net = Vanilla.random(4, 2, 1, form="rate", dt=0.3, key=jr.key(0))
    net = dataclasses.replace(net, nonlinearity=relu)
    save(net, tmp_path / "net.safetensors")
    back = load(tmp_path / "net.safetensors")
    assert (back.dt, back.form, back.nonlinearity) == (0.3, "rate", relu)


def test_the_header_says_class_and_sizes(tmp_path):
    save(GRU.random(5, 2, 3, key=jr.key(0)), tmp_path / "net.safetensors")
    with safe_open(tmp_path / "net.safetensors", framework="numpy") as file:
        header = file.metadata()
    sizes = [header[n] for n in ("state_size", "input_size", "output_size")]
    assert (header["class"], sizes) == ("GRU", ["5", "2", "3"])
    source = read(tmp_path / "net.safetensors")[1]
    assert (source.kind, source.sizes, source.dtype) == ("GRU", (5, 2, 3), "float32")
    assert source.assumed == ()


def test_float64_is_kept_outside_the_switch(tmp_path):
    with float64():
        net = widen(LSTM.random(4, 2, 3, key=jr.key(0)))
        net = eqx.tree_at(lambda n: n.bias, net, net.bias + 1e-12)
        net = eqx.tree_at(
            lambda n: n.initial_state, net, jnp.full(8, 0.1), is_leaf=lambda x: x is None
        )
        save(net, tmp_path / "net.safetensors")
    back = load(tmp_path / "net.safetensors")
    assert same(back, net)
    inputs = np.ones((5, 2), np.float32)
    narrow = rollout(back, jnp.zeros(1), inputs).outputs
    assert narrow.dtype == jnp.float32
    with float64():
        assert isinstance(load(tmp_path / "net.safetensors").bias, jax.Array)
        wide = rollout(back, jnp.zeros(1), inputs.astype(np.float64)).outputs
        expected = rollout(net, jnp.zeros(1), inputs.astype(np.float64)).outputs
        assert (wide.dtype, (wide == expected).all()) == (jnp.float64, True)
    np.testing.assert_allclose(narrow, expected, atol=1e-6)


def test_a_loaded_float64_network_can_learn(tmp_path):
    save_file({k: v.astype(np.float64) for k, v in layer().items()}, tmp_path / "a.safetensors")
    net = load(tmp_path / "a.safetensors")
    inputs = jnp.ones((5, 2))
    slope = eqx.filter_grad(lambda n: rollout(n, jnp.zeros(0), inputs).outputs.sum())(net)
    assert all(np.abs(a).max() > 0 for a in jax.tree.leaves(slope))


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "net.safetensors"
    net = GRU.random(3, 1, 1, key=jr.key(0))
    save(net, path)

    def full_disk(arrays, path, metadata):
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(native, "save_file", full_disk)
    with pytest.raises(OSError, match="space"):
        save(GRU.random(3, 1, 1, key=jr.key(1)), path)
    assert same(load(path), net)
    assert os.listdir(tmp_path) == ["net.safetensors"]


class Stranger(Linear):
    """A class that no file may name."""


def test_what_a_file_cannot_hold_is_refused(tmp_path):
    path = tmp_path / "net.safetensors"
    net = Linear.random(3, 2, 1, key=jr.key(0))
    with pytest.raises(ValueError, match=r"Stranger cannot be written.*slowpoint\.cells"):
        save(Stranger(net.recurrent, net.encoder, net.bias, net.readout), path)
    cell = Vanilla.random(3, 1, 1, key=jr.key(0))
    with pytest.raises(ValueError, match=r"nonlinearity=.*never code.*tanh, relu"):
        save(Vanilla(*jax.tree.leaves(cell), nonlinearity=jnp.tanh), path)
    ensemble = eqx.filter_vmap(lambda k: Linear.random(3, 2, 1, key=k))(jr.split(jr.key(0), 4))
    with pytest.raises(ValueError, match=r"Of an ensemble take one: jax\.tree\.map"):
        save(ensemble, path)
    with pytest.raises(ValueError, match=r"net\.npz: type a name that ends in \.safetensors"):
        save(net, tmp_path / "net.npz")
    assert not path.exists()


def rewritten(path, header=None, **changes):
    """The file of `path` with other metadata or arrays."""
    with safe_open(path, framework="numpy") as file:
        old = file.metadata()
    arrays = {k: v for k, v in (load_file(path) | changes).items() if v is not None}
    save_file(arrays, path, metadata=old | (header or {}))


@pytest.mark.parametrize(
    "name",
    [
        "os:system",
        "antigravity:Linear",
        "slowpoint.cells.linear:np.load",
        "slowpoint.core.files:os",
        "slowpoint.cells.linear:example",
        "slowpoint.cells.nothing:Linear",
        "slowpoint.core.system:Map",
        "slowpoint.cli:main",
    ],
)
def test_a_file_names_no_code(name, tmp_path):
    path = tmp_path / "net.safetensors"
    save(Linear.random(3, 2, 1, key=jr.key(0)), path)
    with safe_open(path, framework="numpy") as file:
        tree = json.loads(file.metadata()["system"])
    tree["class"] = name
    rewritten(path, {"system": json.dumps(tree)})
    before = set(sys.modules)
    with pytest.raises(ValueError, match=r"net\.safetensors: "):
        load(path)
    assert not {m for m in set(sys.modules) - before if not m.startswith("slowpoint.")}


def test_tampered_files_of_ours(tmp_path):
    path = tmp_path / "net.safetensors"
    for header, changes, message in [
        ({"slowpoint": "9"}, {}, "format 9, this version reads 1.*--upgrade"),
        ({"system": "{"}, {}, "header is damaged"),
        ({"system": "[" * 100_000}, {}, "header is damaged"),
        ({"system": '{"tuple": []}'}, {}, "describes no System"),
        ({"state_size": "4"}, {}, "state_size=4, its arrays make 3"),
        ({}, {"readout": None}, "header is damaged.*readout"),
        ({}, {"encoder": np.ones((4, 2), np.float32)}, "do not fit|damaged"),
        ({}, {"bias": np.array([0, 0, np.nan], np.float32)}, r"bias\[2\] is nan: 1 of 3"),
        ({}, {"recurrent": np.full((3, 3), np.inf)}, r"recurrent\[0, 0\] is inf"),
    ]:
        save(Linear.random(3, 2, 1, key=jr.key(0)), path)
        rewritten(path, header, **changes)
        with pytest.raises(ValueError, match=rf"(?s)net\.safetensors: .*{message}"):
            load(path)
    save(Linear.random(3, 2, 1, key=jr.key(0)), path)
    with pytest.raises(ValueError, match=r"says its dt itself\. Leave dt= out"):
        load(path, dt=0.5)


# PyTorch's state dicts


def layer(units=3, inputs=2, blocks=1, prefix="", level="_l0", seed=0):
    """Random arrays under PyTorch's keys."""
    draw = np.random.default_rng(seed)
    rows = blocks * units
    shapes = {"weight_ih": (rows, inputs), "weight_hh": (rows, units)}
    shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
    return {
        f"{prefix}{role}{level}": draw.normal(size=shape).astype(np.float32)
        for role, shape in shapes.items()
    }


def linear(name, outputs, units, seed=9):
    draw = np.random.default_rng(seed)
    return {
        f"{name}.weight": draw.normal(size=(outputs, units)).astype(np.float32),
        f"{name}.bias": draw.normal(size=outputs).astype(np.float32),
    }


@pytest.fixture
def written(tmp_path):
    """Write arrays as a foreign safetensors file and return its path."""

    def write(arrays):
        save_file(arrays, tmp_path / "net.safetensors")
        return tmp_path / "net.safetensors"

    return write


def test_the_kind_follows_from_the_rows(written):
    kinds = {1: Sampled, 3: GRU, 4: LSTM}
    for blocks, cls in kinds.items():
        net, source = read(written(layer(3, 2, blocks, "encoder.rnn.")), dt=0.02)
        assert (type(net), net.dt, net.input_size) == (cls, 0.02, 2)
        assert np.array_equal(net.output(jnp.arange(6.0)[: net.state_size]), [0.0, 1.0, 2.0])
        x, u = jnp.full(net.state_size, 0.1), jnp.ones(2)
        growth = np.abs(np.linalg.eigvals(net.jacobian(x, u)))
        rates = np.sort(np.log(growth) / 0.02)
        np.testing.assert_allclose(np.sort(net.rates(x, u).real), rates, rtol=1e-3)
        assert source.kind == {1: "nn.RNN", 3: "nn.GRU", 4: "nn.LSTM"}[blocks]
        assert any("the outputs are the hidden states" in line for line in source.assumed)
        assert source.sizes == (net.state_size, 2, 3)


def test_tanh_is_said_to_be_assumed(written):
    path = written(layer())
    net, source = read(path)
    assert net.flow.nonlinearity.name == "tanh"
    assert any("tanh was assumed" in line for line in source.assumed)
    net, source = read(path, nonlinearity="relu")
    assert net.flow.nonlinearity is relu
    assert not any("tanh" in line for line in source.assumed)
    with pytest.raises(ValueError, match=r"nonlinearity='rleu' .*Did you mean 'relu'"):
        load(path, nonlinearity="rleu")
    with pytest.raises(ValueError, match=r"nn\.GRU always uses tanh and sigmoid"):
        load(written(layer(blocks=3)), nonlinearity="relu")


def test_the_readout_is_found_by_its_shape_or_by_name(written):
    rest = {"embed.weight": np.ones((2, 9), np.float32), "steps": np.array(3)}
    head = linear("decoder", 4, 3)
    net, source = read(written(layer(blocks=3) | head | rest))
    np.testing.assert_array_equal(net.readout, head["decoder.weight"])
    np.testing.assert_array_equal(net.readout_bias, head["decoder.bias"])
    assert set(source.unused) == set(rest)
    assert any("embed.weight (2, 9)" in line for line in source.assumed)
    two = layer(blocks=3) | head | linear("value", 1, 3, seed=4)
    with pytest.raises(
        ValueError, match=r"decoder\.weight \(4, 3\), value\.weight \(1, 3\).*readout="
    ):
        load(written(two))
    assert load(written(two), readout="value").output_size == 1
    assert load(written(two), readout="decoder.weight").output_size == 4
    with pytest.raises(
        ValueError, match=r"no readout='critic' of shape \(outputs, 3\), but dec"
    ):
        load(written(two), readout="critic")


def test_biases_are_added_exactly(written):
    arrays = layer(blocks=4)
    net = load(written(arrays))
    exact = arrays["bias_ih_l0"].astype(np.float64) + arrays["bias_hh_l0"]
    np.testing.assert_array_equal(net.bias, exact)
    assert (exact.astype(np.float32) != exact).any()  # float32 would have rounded


CELLS = layer(level="") | layer(level="", prefix="b.")
PAIR = layer(prefix="a.rnn.") | layer(prefix="b.rnn.")
BIDIRECTIONAL = layer() | layer(level="_l0_reverse")
PROJECTED = layer(4, 2, 4) | {"weight_hr_l0": np.ones((2, 4), np.float32)}
FLAT = {k: v for k, v in layer().items() if k != "weight_ih_l0"}
CONVOLUTIONAL = {"conv.weight": np.ones((6, 1, 3, 3), np.float32)} | linear("fc", 10, 84)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (layer() | layer(inputs=3, level="_l1"), r"2 layers \(num_layers=2\).*Taken"),
        (CELLS, r"2 recurrent layers: \(no prefix\), b\."),
        (PAIR, r"2 recurrent layers: a\.rnn, b\.rnn.*model\.b\.rnn\.state"),
        (BIDIRECTIONAL, "bidirectional"),
        (PROJECTED, "proj_size"),
        (FLAT, "holds only bias_hh_l0, bias_ih_l0, weight_hh_l0 of"),
        (CONVOLUTIONAL, r"no recurrent layer, but conv\.weight \(6, 1, 3, 3\).*Taken"),
        ({}, "no recurrent layer, but nothing"),
        (layer() | {"weight_ih_l0": np.ones((4, 2), np.float32)}, r"\(4, 2\).*must have 3"),
        (layer() | {"weight_hh_l0": np.ones((6, 3), np.float32)}, r"shape \(6, 3\); N units"),
        (layer() | {"weight_hh_l0": np.ones((0, 0), np.float32)}, r"shape \(0, 0\); N units"),
        (layer() | {"bias_ih_l0": np.ones(3, np.int32)}, "type int32"),
        (layer() | {"bias_hh_l0": np.array([0, np.inf, 0], np.float32)}, r"hh_l0\[1\] is inf"),
    ],
)
def test_other_networks_are_named(arrays, message, written):
    with pytest.raises(ValueError, match=rf"net\.safetensors: .*{message}"):
        load(written(arrays))
