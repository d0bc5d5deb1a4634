"""The one idea of the house: a rule that moves a state vector.

Whatever we train, steer or analyse is a System. A Map says where the state goes next; a
Flow says how fast it moves. A System draws no random number and keeps no memory of its
own, so an analysis may call it as often as it likes, anywhere in state space.
"""

import abc
from typing import TYPE_CHECKING

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

if TYPE_CHECKING:  # pyright would take an AbstractVar for a dataclass field
    from typing import ClassVar as AbstractVar
else:
    from equinox import AbstractVar

Box = tuple[Float[Array, " state"], Float[Array, " state"]]  # lowest and highest corner


class System(eqx.Module):
    """A rule that moves a state. Subclass `Map` or `Flow`, not this.

    A state is one vector. If a cell has two (LSTM: h and c), join them and name the slices.
    What follows `output` below has a default that is right; a cell that knows better says so.
    """

    state_size: AbstractVar[int]
    input_size: AbstractVar[int]
    output_size: AbstractVar[int]
    dt: AbstractVar[float]  # time one step stands for, in the units of the rates
    discrete: AbstractVar[bool]  # whether `jacobian` is that of a step (Map) or a velocity

    @abc.abstractmethod
    def step(
        self, x: Float[Array, " state"], u: Float[Array, " input"]
    ) -> Float[Array, " state"]:
        """Where `x` is one tick (`dt`) later, with the input held at `u`."""

    @abc.abstractmethod
    def velocity(
        self, x: Float[Array, " state"], u: Float[Array, " input"]
    ) -> Float[Array, " state"]:
        """State change per unit time at `x`. Zero exactly at a fixed point."""

    @abc.abstractmethod
    def jacobian(
        self, x: Float[Array, " state"], u: Float[Array, " input"]
    ) -> Float[Array, "state state"]:
        """Derivative of `step` (a Map) or of `velocity` (a Flow) with respect to `x`."""

    @abc.abstractmethod
    def rates(
        self, x: Float[Array, " state"], u: Float[Array, " input"]
    ) -> Complex[Array, " state"]:
        """Growth rates of small deviations from `x`, per unit time. Real part < 0: decays."""

    @abc.abstractmethod
    def output(self, x: Float[Array, " state"]) -> Float[Array, " output"]:
        """What the outside sees of `x`."""

    @property
    def initial(self) -> Float[Array, " state"]:
        """The state before the first step, where a Trial does not say."""
        return jnp.zeros(self.state_size)

    def encode(self, u: Float[Array, " input"]) -> Float[Array, " drive"]:
        """The part of a step that does not need the state.

        `rollout` does it for all times at once, unless `drive` is much wider than `u`.
        """
        return u

    def advance(
        self, x: Float[Array, " state"], drive: Float[Array, " drive"]
    ) -> Float[Array, " state"]:
        """`step`, the input already encoded: `advance(x, encode(u)) = step(x, u)`.

        Write products as `x @ W.T`, not `W @ x`: a batch then trains without transposes.
        """
        return self.step(x, drive)

    def box(self, u: Float[Array, " input"]) -> Box | None:
        """With `u` held, a box that no step leaves, every fixed point inside; None: unknown.

        Two corners, of finite numbers, so that an index theorem holds inside.
        """
        return None

    def easier(self) -> "System | None":
        """Another System with the same fixed points that is easier to solve; None: unknown."""
        return None

    def lipschitz_bound(
        self, x: Float[Array, " state"], u: Float[Array, " input"], radius: float
    ) -> Float[Array, ""]:
        """Lipschitz constant (spectral norm) of `jacobian` within `radius`; NaN: unknown."""
        return jnp.full((), jnp.nan)


class Map(System):
    """A System given by where it goes next. Write `step` and `output`."""

    @property
    def discrete(self) -> bool:
        return True

    def velocity(self, x, u):
        return (self.step(x, u) - x) / self.dt

    def jacobian(self, x, u):
        return jax.jacfwd(self.step)(x, u)

    def rates(self, x, u):
        multipliers = jnp.linalg.eigvals(self.jacobian(x, u)).astype(complex)
        # part by part: a complex log(0) / dt has a NaN beside its -inf
        growth, turn = jnp.log(jnp.abs(multipliers)), jnp.angle(multipliers)
        return jax.lax.complex(growth / self.dt, turn / self.dt)


class Flow(System):
    """A System given by how fast it moves. Write `velocity` and `output`."""

    @property
    def discrete(self) -> bool:
        return False

    def step(self, x, u):
        return x + self.dt * self.velocity(x, u)  # Euler: what RNNs are trained with

    def jacobian(self, x, u):
        return jax.jacfwd(self.velocity)(x, u)

    def rates(self, x, u):
        return jnp.linalg.eigvals(self.jacobian(x, u)).astype(complex)
