"""A network trained in PyTorch to hold two bits: the file that `any_network` reads.

Run it where PyTorch is installed: python tests/make_torch_two_bits.py
"""

import pathlib

import numpy as np
import torch

WHERE = pathlib.Path(__file__).parents[1] / "src/slowpoint/weights/data/torch_two_bits.pt"
BITS, UNITS, STEPS, BATCH, UPDATES = 2, 24, 64, 64, 1200


class Model(torch.nn.Module):
    """A GRU and its readout."""

    def __init__(self):
        super().__init__()
        self.rnn = torch.nn.GRU(BITS, UNITS, batch_first=True)
        self.readout = torch.nn.Linear(UNITS, BITS)

    def forward(self, inputs):
        return self.readout(self.rnn(inputs)[0])


def trials(chance: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Pulses with probability 0.1 per step, and on every bit at first; the last ones' signs."""
    shape = BATCH, STEPS, BITS
    pulses = chance.choice([-1.0, 1.0], shape) * (chance.random(shape) < 0.1)
    pulses[:, 0] = chance.choice([-1.0, 1.0], (BATCH, BITS))
    held = pulses.copy()
    for t in range(1, STEPS):
        held[:, t] = np.where(pulses[:, t] == 0, held[:, t - 1], pulses[:, t])
    return torch.tensor(pulses, dtype=torch.float32), torch.tensor(held, dtype=torch.float32)


def main() -> None:
    """Train and write."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    chance, model = np.random.default_rng(0), Model()
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, UPDATES)
    for _ in range(UPDATES):
        inputs, targets = trials(chance)
        loss = ((model(inputs) - targets) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        falling.step()
    print(f"loss {loss.item():.2e} after {UPDATES} updates")
    torch.save(model.state_dict(), WHERE)


if __name__ == "__main__":
    main()
