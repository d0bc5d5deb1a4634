"""A rate network fitted to recorded neurons, its weights given as arrays."""

import os

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.nonlinearity import sigmoid
from slowpoint.core.system import Map

CHANNELS = ("cue", "stimulus", "ramp")
ARRAYS = ("weights", "bias", "share", "most", "slope", "threshold")  # of a file
DELAY = (0.0, 0.0, 0.9)  # the input to hold, as while the animal waits


class DataFittedRNN(Map):
    r"""$x \leftarrow x + \eta (-x + M [r; u] + h)$ with u = (cue, stimulus, ramp).

    Shows $r = f_0 / (1 + e^{-\beta_0 (x - \theta_0)})$. Held at `DELAY` it is to have one
    attractor for each answer of the animal; where they and the saddle are, and their rates,
    depends on the weights (Finkelstein, Fontolan et al. 2021, Nat. Neurosci. 24, 843; its
    `velocity` is the flow of Dabholkar and Barak 2025, arXiv:2505.15231). A file may carry rows
    of M and h for the inputs too: give those of the units only.
    """

    weights: Float[Array, "state joined"]  # M: columns = units, then CHANNELS
    bias: Float[Array, " state"]  # h
    share: float  # eta: of the way to its target, in one step
    most: float  # f_0: the highest rate
    slope: float  # beta_0
    threshold: float  # theta_0
    dt: float = eqx.field(static=True, default=1 / 60)
    input_size: int = eqx.field(static=True, default=len(CHANNELS), init=False)

    def __check_init__(self):
        rows, columns = self.weights.shape
        if columns != rows + len(CHANNELS):
            raise ValueError(
                f"weights have shape {self.weights.shape}, expected (units, units + 3), the "
                f"last columns for {', '.join(CHANNELS)}. Type: weights[:{columns - 3}]"
            )

    @property
    def state_size(self):
        return self.weights.shape[0]

    @property
    def output_size(self):
        return self.weights.shape[0]

    def step(self, x, u):
        return self.advance(x, self.encode(u))

    def encode(self, u):
        return u @ self.weights[:, self.state_size :].T + self.bias

    def advance(self, x, drive):
        target = self.output(x) @ self.recurrent.T + drive
        return x + self.share * (target - x)

    @property
    def recurrent(self):
        """The square part of M, from units to units."""
        return self.weights[:, : self.state_size]

    def output(self, x):
        return self.most * sigmoid(self.slope * (x - self.threshold))

    def jacobian(self, x, u):
        steep = jax.vmap(jax.grad(sigmoid))(self.slope * (x - self.threshold))
        change = self.recurrent * (self.most * self.slope * steep)[None, :]
        return (1 - self.share) * jnp.eye(self.state_size) + self.share * change

    def box(self, u):
        if not 0 < self.share <= 1:
            return None
        # a step is a weighted mean of the state and a target in this box
        full = self.recurrent * self.most
        least, most = jnp.minimum(full, 0).sum(axis=1), jnp.maximum(full, 0).sum(axis=1)
        return self.encode(u) + least, self.encode(u) + most

    def lipschitz_bound(self, x, u, radius):
        bend = abs(self.most) * self.slope**2 * sigmoid.curvature  # of r
        return abs(self.share) * bend * jnp.linalg.norm(self.recurrent, 2)


def read(path: str | os.PathLike) -> DataFittedRNN:
    """The network whose ARRAYS are in an `.npz`; rows of M and h for the inputs are left out.

    Call it inside `float64` to keep double precision. Raises ValueError on what is missing.
    """
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    if missing := [name for name in ARRAYS if name not in arrays]:
        raise ValueError(
            f"{path} lacks {', '.join(missing)}. Save them with "
            f"numpy.savez(path, {', '.join(f'{name}=...' for name in ARRAYS)})."
        )
    units = arrays["weights"].shape[1] - len(CHANNELS)
    return DataFittedRNN(
        jnp.asarray(arrays["weights"][:units], float),
        jnp.asarray(arrays["bias"][:units], float),
        **{name: float(arrays[name]) for name in ARRAYS[2:]},
    )


def example(key: PRNGKeyArray) -> DataFittedRNN:
    """Six units with Gaussian weights."""
    weights, bias = jr.split(key)
    return DataFittedRNN(
        jr.normal(weights, (6, 9)),
        jr.normal(bias, (6,)),
        share=0.2,
        most=2.0,
        slope=1.5,
        threshold=0.3,
    )
