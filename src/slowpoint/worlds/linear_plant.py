"""A plant given by its matrices, and the matrices of a plant that is linear."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.precision import float64, widen
from slowpoint.core.system import Map, System

Numbers = Array | np.ndarray


class LinearPlant(Map):
    r"""$x' = A x + B u + K w$, $y = C x$; the control u arrives `delay` steps after it is sent.

    Input `[u, w]`, w the process noise (none without `kick`; it is never late). State
    `[x, controls on their way]`, the oldest first, each step's together.

    Raises ValueError on matrices that do not fit each other and on a delay below 0.
    """

    transition: Float[Numbers, "_ _"]  # A: plant x plant
    control: Float[Numbers, "_ _"]  # B: plant x control
    sensor: Float[Numbers, "_ _"]  # C: output x plant
    kick: Float[Numbers, "_ _"] | None = None  # K: plant x noise
    delay: int = eqx.field(static=True, default=0)
    dt: float = eqx.field(static=True, default=1.0)

    def __check_init__(self):
        rows, columns = self.transition.shape
        if rows != columns:
            raise ValueError(
                f"transition has {rows} rows and {columns} columns. Give a square matrix."
            )
        for name, matrix in (("control", self.control), ("kick", self.kick)):
            if matrix is not None and matrix.shape[0] != rows:
                raise ValueError(
                    f"{name} has {matrix.shape[0]} rows, transition has {rows}. Give {name} of "
                    f"shape ({rows}, {matrix.shape[1]})."
                )
        if self.sensor.shape[1] != rows:
            raise ValueError(
                f"sensor has {self.sensor.shape[1]} columns, transition has {rows}. Give "
                f"sensor of shape ({self.sensor.shape[0]}, {rows})."
            )
        if isinstance(self.delay, bool) or not isinstance(self.delay, int) or self.delay < 0:
            raise ValueError(f"delay={self.delay!r}: give a whole number of steps, 0 or more.")

    @property
    def plant_size(self) -> int:
        """Coordinates of x: those of the state before the controls on their way."""
        return self.transition.shape[0]

    @property
    def control_size(self) -> int:
        """Numbers a controller sends."""
        return self.control.shape[1]

    @property
    def state_size(self):
        return self.plant_size + self.delay * self.control_size

    @property
    def input_size(self):
        return self.control_size + (0 if self.kick is None else self.kick.shape[1])

    @property
    def output_size(self):
        return self.sensor.shape[0]

    def step(self, x, u):
        plant, waiting = x[: self.plant_size], x[self.plant_size :]
        line = jnp.concatenate([waiting, u[: self.control_size]])
        arriving, waiting = line[: self.control_size], line[self.control_size :]
        moved = plant @ self.transition.T + arriving @ self.control.T
        if self.kick is not None:
            moved = moved + u[self.control_size :] @ self.kick.T
        return jnp.concatenate([moved, waiting])

    def output(self, x):
        return x[: self.plant_size] @ self.sensor.T

    def lipschitz_bound(self, x, u, radius):
        return jnp.zeros(())


def matrices(
    world: System,
) -> tuple[
    Float[np.ndarray, "state state"],
    Float[np.ndarray, "state input"],
    Float[np.ndarray, "output state"],
]:
    r"""`(A, B, C)` of one step of a linear `world`: $x' = A x + B u$, $y = C x$, in float64.

    The state is all of it, controls on their way too; B has a column for each input, noise
    too. Raises ValueError when the world is not linear.
    """
    with float64():
        found = tuple(np.asarray(part) for part in _slopes(widen(world)))
    transition, control, sensor, moved, seen, x, u = found
    expected, shown = transition @ x + control @ u, sensor @ x
    wrong = max(np.abs(moved - expected).max(initial=0), np.abs(seen - shown).max(initial=0))
    if not wrong <= 1e-9 * (1 + np.abs(expected).max(initial=0)):
        raise ValueError(
            f"{type(world).__name__} is not linear: a step is {wrong:.3g} away from that of "
            "its slopes at 0. Give LinearPlant the matrices of a linearisation instead."
        )
    return transition, control, sensor


@eqx.filter_jit
def _slopes(world):
    """Slopes at 0, then a step elsewhere: `(moved, seen, x, u)`."""
    size, inputs = world.state_size, world.input_size
    rest, still = jnp.zeros(size), jnp.zeros(inputs)
    a, b = jax.jacfwd(world.step, (0, 1))(rest, still)
    c = jax.jacfwd(world.output)(rest)
    x, u = jnp.cos(jnp.arange(size) + 0.0), jnp.sin(jnp.arange(inputs) + 1.0)
    return a, b, c, world.step(x, u), world.output(x), x, u


def example(key: PRNGKeyArray) -> LinearPlant:
    """A damped mass, kicked, whose control is two steps late; nothing is drawn."""
    del key
    transition, force = jnp.array([[1.0, 0.1], [-0.1, 0.9]]), jnp.array([[0.0], [0.1]])
    return LinearPlant(transition, force, jnp.array([[1.0, 0.0]]), force, delay=2, dt=0.1)
