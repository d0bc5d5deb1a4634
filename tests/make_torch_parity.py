"""What does PyTorch compute? Writes the table and the files the tests compare with.

Run it where PyTorch is installed: python tests/make_torch_parity.py
"""

import pathlib

import numpy as np
import torch

DATA = pathlib.Path(__file__).parent / "data"
UNITS, INPUTS, OUTPUTS, STEPS = 7, 3, 2, 50


class Model(torch.nn.Module):
    """A recurrent layer under a prefix, with a linear readout."""

    def __init__(self, layer: torch.nn.Module):
        super().__init__()
        self.encoder = torch.nn.ModuleDict({"rnn": layer})
        self.decoder = torch.nn.Linear(UNITS, OUTPUTS)

    def forward(self, inputs):
        states, _ = self.encoder["rnn"](inputs)
        return self.decoder(states), states


def cases() -> dict[str, torch.nn.Module]:
    """One of every kind that is taken."""
    nn, size = torch.nn, (INPUTS, UNITS)
    return {
        "tanh": nn.RNN(*size),
        "relu": nn.RNN(*size, nonlinearity="relu"),
        "gru": nn.GRU(*size),
        "lstm": nn.LSTM(*size),
        "tanh_no_bias": nn.RNN(*size, bias=False),
        "gru_no_bias": nn.GRU(*size, bias=False),
        "lstm_no_bias": nn.LSTM(*size, bias=False),
        "tanh_cell": nn.RNNCell(*size),
        "gru_cell": nn.GRUCell(*size),
        "lstm_cell": nn.LSTMCell(*size),
        "gru_model": Model(nn.GRU(*size)),
        "lstm_model": Model(nn.LSTM(*size)),
    }


def run(model: torch.nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """The outputs at every step, from a state of zeros."""
    if isinstance(model, Model):
        return model(inputs)[0]
    if isinstance(model, torch.nn.RNNBase):
        return model(inputs)[0]
    state, outputs = None, []
    for u in inputs:
        state = model(u, state)
        outputs.append(state[0] if isinstance(state, tuple) else state)
    return torch.stack(outputs)


def main() -> None:
    """Weights are float32 numbers; PyTorch computes with them in float64."""
    torch.manual_seed(0)
    inputs = torch.randn(STEPS, INPUTS)
    table = {"inputs": inputs.numpy()}
    for name, model in cases().items():
        for key, value in model.state_dict().items():
            table[f"{name}/{key}"] = value.numpy().copy()
        if name in ("relu", "gru_model", "lstm_cell"):
            torch.save(model.state_dict(), DATA / f"{name}.pt")
        if name == "lstm_model":
            checkpoint = {"epoch": 3, "model": model.state_dict(), "optimizer": {"state": {}}}
            torch.save(checkpoint, DATA / f"{name}.pt")
        with torch.no_grad():
            table[f"outputs/{name}"] = run(model.double(), inputs.double()).numpy()
    np.savez_compressed(DATA / "torch_parity.npz", **table)


if __name__ == "__main__":
    main()
