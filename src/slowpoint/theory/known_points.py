"""Which networks have fixed points that are all known, and where are they?

Each is reduced to equations of one unknown, which bisection solves: the Hopfield network as
in Amit, Gutfreund and Sompolinsky (1985), Phys. Rev. A 32, 1007; rank one as in
Mastrogiuseppe and Ostojic (2018), Neuron 99, 609.
"""

import itertools
from collections.abc import Callable
from typing import SupportsFloat

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray
from scipy.optimize import root_scalar

from slowpoint.cells.linear import Linear
from slowpoint.cells.low_rank import LowRank
from slowpoint.cells.vanilla import Vanilla
from slowpoint.core.chance import generator
from slowpoint.core.system import System
from slowpoint.worlds.duffing import Duffing


class Known(eqx.Module):
    """A system, the input held, and every state at which it then stands still."""

    name: str
    system: System
    hold: Float[np.ndarray, " input"]
    points: Float[np.ndarray, "point state"]


def linear(units: int, key: PRNGKeyArray) -> Known:
    """One point, (I - W)^-1 B u."""
    system = Linear.random(units, 1, 1, gain=0.8, key=key)
    w, b = (np.asarray(a, float) for a in (system.recurrent, system.encoder))
    hold = np.ones(1)
    return Known("linear", system, hold, np.linalg.solve(np.eye(units) - w, b @ hold)[None])


def rank_one(units: int, key: PRNGKeyArray) -> Known:
    r"""Three points: 0 and $\pm\kappa U$, with $\kappa = \frac1N \sum V_i \tanh(U_i \kappa)$.

    All $U_i V_i > 0$, so the right side is concave for $\kappa > 0$ and steeper than 1 at 0.
    """
    chance = generator(key)
    left = chance.standard_normal((units, 1))
    right = left * chance.uniform(2, 3, (units, 1)) / (left**2).mean()
    left, right = jnp.asarray(left, jnp.float32), jnp.asarray(right, jnp.float32)
    system = LowRank(jnp.ones((units, 1)), left, right, readout=left)
    u, v = (np.asarray(a, float)[:, 0] for a in (system.left, system.right))
    latent = positive_root(lambda k: v @ np.tanh(u * k) / units, 1 + np.abs(v).mean())
    return Known("rank one", system, np.zeros(1), np.outer([0, latent, -latent], u))


def hopfield(units: int, modules: int, key: PRNGKeyArray) -> Known:
    r"""$9^{modules}$ points: two orthogonal patterns stored in each module of `units`.

    $W = \frac2N \sum_\mu \xi^\mu \xi^{\mu\top}$ and $x = m_1 \xi^1 + m_2 \xi^2$. Where the
    patterns agree the units sit at $\pm a = m_1 + m_2$, where they differ at
    $\pm b = m_1 - m_2$, with $a = 2 \tanh a$ and $b = 2 \tanh b$: a module holds a memory when
    $a = \pm b \ne 0$, else a mixture or nothing.
    """
    if units % 2:
        raise ValueError(f"{units} units: orthogonal patterns need an even number.")
    chance = generator(key)
    signs = chance.choice([-1.0, 1.0], (modules, units))
    agree = np.repeat([1.0, 0.0], units // 2)  # whether pattern 2 equals pattern 1
    halves = [signs * agree, signs * (1 - agree)]
    groups = np.zeros((2 * modules, modules * units))
    for i, half in itertools.product(range(modules), range(2)):
        groups[2 * i + half, i * units : (i + 1) * units] = halves[half][i]
    n = modules * units
    # (xi1 xi1' + xi2 xi2') 2 / N = (A A' + B B') 4 / N, A and B the two halves of pattern 1
    w = jnp.asarray(groups.T @ groups * 4 / units, jnp.float32)
    one = jnp.ones((n, 1))
    system = Vanilla(w, one, jnp.zeros(n), one.T / n, jnp.zeros(1))
    root = positive_root(lambda a: 2 * np.tanh(a), 2.0)
    overlaps = np.array(list(itertools.product([-root, 0.0, root], repeat=2 * modules)))
    return Known("Hopfield", system, np.zeros(1), overlaps @ groups)


def duffing() -> Known:
    """Three points: two wells and the saddle between them."""
    points = np.array([[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    return Known("Duffing", Duffing(), np.zeros(0), points)


def positive_root(function: Callable[[float], SupportsFloat], most: float) -> float:
    """The k > 0 with k = function(k), of a concave function steeper than 1 at 0."""
    found = root_scalar(
        lambda k: float(function(k)) - k, bracket=(1e-6, most), xtol=1e-15, rtol=1e-14
    )
    return float(found.root)
