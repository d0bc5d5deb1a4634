"""A few updates of the paper's network on Duffing; run alone, its memory is that of the fit."""

import _one_thread  # noqa: F401  # isort: split
import jax.random as jr
import numpy as np

from slowpoint.analysis.koopman import Equation
from slowpoint.analysis.koopman_fit import fit_koopman, Recipe
from slowpoint.analysis.koopman_net import KoopmanNet
from slowpoint.analysis.samplers import Gaussian
from slowpoint.learning.grid import Linear
from slowpoint.worlds.duffing import Duffing

WIDTH, BLOCKS = 400, 20  # of the paper's network for Duffing
VARIANCES = (0.1, 0.5, 1.0, 2.0)
PAPER = Recipe(batch=1000)  # AdamW 1e-4, permuted normaliser, balance 1e-2


def paper_fit(updates: int, looks: int):
    """The paper's network and settings, from the same start each time."""
    equation = Equation(Duffing(), np.zeros(0), np.float32(1.0), squashed=True)
    samplers = [Gaussian(np.zeros(2, np.float32), s) for s in VARIANCES]
    net = KoopmanNet.random(2, WIDTH, BLOCKS, key=jr.key(0))
    options = {"recipe": PAPER, "snapshots": Linear(looks)}
    return fit_koopman(net, equation, samplers, updates=updates, key=jr.key(1), **options)


if __name__ == "__main__":
    paper_fit(3, 2)
