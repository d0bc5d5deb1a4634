"""Do loaded networks compute what PyTorch computes?"""

import pathlib
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from slowpoint.core.precision import float64, to_numpy, widen
from slowpoint.core.rollout import rollout
from slowpoint.weights.load import load, read

DATA = pathlib.Path(__file__).parent / "data"
TABLE = dict(np.load(DATA / "torch_parity.npz"))
CASES = sorted(name.removeprefix("outputs/") for name in TABLE if name.startswith("outputs/"))
FILES = sorted(path.stem for path in DATA.glob("*.pt"))


def stored(name: str) -> dict[str, np.ndarray]:
    """The state dict of a case of the table."""
    start = f"{name}/"
    return {key.removeprefix(start): TABLE[key] for key in TABLE if key.startswith(start)}


def phi(name: str) -> str | None:
    return "relu" if name == "relu" else None


def wide_outputs(system, inputs) -> np.ndarray:
    with float64():
        inputs = np.asarray(inputs, np.float64)
        return to_numpy(rollout(widen(system), jnp.zeros(0), inputs)).outputs


@pytest.mark.parametrize("name", CASES)
def test_outputs_are_pytorchs(name, tmp_path):
    save_file(stored(name), tmp_path / "net.safetensors")
    net = load(tmp_path / "net.safetensors", nonlinearity=phi(name))
    expected = TABLE[f"outputs/{name}"]
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(wide_outputs(net, TABLE["inputs"]), expected, atol=1e-12, rtol=0)
    narrow = rollout(net, jnp.zeros(0), TABLE["inputs"]).outputs
    assert narrow.dtype == jnp.float32
    np.testing.assert_allclose(narrow, expected, atol=1e-6, rtol=0)


def test_float64_weights_keep_their_last_bits(tmp_path):
    weights = {k: v + 1e-10 * (1 + np.abs(v)) for k, v in stored("lstm").items()}
    save_file({k: v.astype(np.float64) for k, v in weights.items()}, tmp_path / "a.safetensors")
    net = load(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(net.recurrent, weights["weight_hh_l0"])
    assert rollout(net, jnp.zeros(0), TABLE["inputs"]).outputs.dtype == jnp.float32
    moved = np.abs(wide_outputs(net, TABLE["inputs"]) - TABLE["outputs/lstm"]).max()
    assert 1e-12 < moved < 1e-8


@pytest.mark.parametrize("torch", ["installed", "absent"])
@pytest.mark.parametrize("name", FILES)
def test_files_that_torch_wrote_hold_the_table(name, torch, monkeypatch):
    if torch == "absent":
        monkeypatch.setitem(sys.modules, "torch", None)
    else:
        pytest.importorskip("torch")
    net, source = read(DATA / f"{name}.pt", nonlinearity=phi(name))
    weights = stored(name)
    assert set(source.keys.values()) == set(weights)
    assert source.dtype == "float32"
    cell = net.flow if name == "relu" else net
    np.testing.assert_array_equal(cell.recurrent, weights[source.keys["weight_hh"]])
    np.testing.assert_array_equal(cell.encoder, weights[source.keys["weight_ih"]])
    if name == "lstm_model":
        assert "'model'" in source.assumed[0]


def layers(torch, seed):
    """One of each kind, of random sizes."""
    draw = np.random.default_rng(seed)
    inputs, units = int(draw.integers(1, 6)), int(draw.integers(1, 9))
    bias = bool(draw.integers(2))
    yield torch.nn.RNN(inputs, units, bias=bias, nonlinearity="relu"), "relu"
    yield torch.nn.RNN(inputs, units, bias=bias), "tanh"
    yield torch.nn.GRU(inputs, units, bias=bias), None
    yield torch.nn.LSTM(inputs, units, bias=bias), None


@pytest.mark.parametrize("seed", range(3))
def test_random_networks_against_torch(seed, tmp_path):
    torch = pytest.importorskip("torch")
    torch.manual_seed(seed)
    for layer, nonlinearity in layers(torch, seed):
        model = torch.nn.ModuleDict(
            {"core": layer, "out": torch.nn.Linear(layer.hidden_size, 3)}
        )
        model = model.double() if seed == 0 else model
        torch.save(model.state_dict(), tmp_path / "net.pt")
        net = load(tmp_path / "net.pt", nonlinearity=nonlinearity)
        inputs = torch.randn(20, layer.input_size)
        model = model.double()
        with torch.no_grad():
            expected = model["out"](layer(inputs.double())[0]).numpy()
        found = wide_outputs(net, inputs.numpy())
        np.testing.assert_allclose(found, expected, atol=1e-12, rtol=0)


def test_what_torch_writes_otherwise(tmp_path, monkeypatch):
    """Views, halves, parameters and the fields around a state dict, read without torch."""
    torch = pytest.importorskip("torch")
    big = torch.randn(9, 8)
    state = {
        "weight_hh": big.T[1:4, 2:5],
        "weight_ih": torch.nn.Parameter(torch.randn(3, 2).to(torch.bfloat16)),
        "bias_ih": torch.randn(3).half(),
        "bias_hh": torch.randn(3).double(),
        "steps": torch.tensor(7),
    }
    path = tmp_path / "net.ckpt"
    torch.save({"state_dict": state, "lr": 0.1, "betas": (0.9, 0.99), "best": None}, path)
    with_torch = load(path)
    monkeypatch.setitem(sys.modules, "torch", None)
    without = load(path)
    for net in (with_torch, without):
        np.testing.assert_array_equal(net.flow.recurrent, state["weight_hh"].numpy())
        expected = state["weight_ih"].detach().float().numpy()
        np.testing.assert_array_equal(net.flow.encoder, expected)
        expected = state["bias_ih"].double() + state["bias_hh"]
        np.testing.assert_array_equal(np.asarray(net.flow.bias), expected.numpy())


@pytest.mark.parametrize("torch_is", ["installed", "absent"])
def test_a_pickled_module_is_code(torch_is, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    torch.save(torch.nn.GRU(2, 3), tmp_path / "net.pt")
    if torch_is == "absent":
        monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(
        ValueError, match=r"net\.pt: names torch\.nn\.modules\.rnn\.GRU.*state_dict"
    ):
        load(tmp_path / "net.pt")


def test_torchscript_and_old_files_say_what_to_type(tmp_path):
    torch = pytest.importorskip("torch")
    state = torch.nn.GRU(2, 3).state_dict()
    torch.save(state, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(ValueError, match=r"before 1\.6.*torch\.save"):
        load(tmp_path / "old.pt")
