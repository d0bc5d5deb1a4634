"""A separatrix from the best sum of Gaussians: the ratio loss solved as an eigenproblem."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from slowpoint.analysis.field import Field
from slowpoint.analysis.how import How, Made
from slowpoint.analysis.koopman import Equation
from slowpoint.analysis.koopman_modes import (
    gaussian_grid,
    Gaussians,
    koopman_modes,
    mode_states,
)
from slowpoint.analysis.mountain_pass import Pass
from slowpoint.core.precision import float64

WIDE = 1.2  # half-width of the default box, in distances between the attractors


class Expanded(Field):
    """psi(x), a sum of Gaussians."""

    centres: Float[Array, "feature state"]
    widths: Float[Array, " state"]
    coefficients: Float[Array, " feature"]

    def __call__(self, x):
        return Gaussians(self.centres, self.widths)(x) @ self.coefficients

    def gradient(self, x):
        return jax.grad(self.__call__)(x)

    def pack(self):
        names = ("centres", "widths", "coefficients")
        return {name: np.asarray(getattr(self, name)) for name in names}

    @classmethod
    def unpack(cls, around: Pass, arrays: dict[str, np.ndarray]) -> "Expanded":
        """The field that `pack` gave `arrays` of. Call it inside `float64`."""
        return cls(**{name: jnp.asarray(array) for name, array in arrays.items()})


class Modes(How):
    """Koopman modes over a grid of Gaussians, for one to three dimensions.

    `low`, `high`: corners of the box; by default 1.2 D around the middle of the attractors,
    D their distance. States within `exclude` D of an attractor are left out. `rate`: lambda;
    None: the saddle's unstable rate, the only one at which psi crosses zero with a slope.
    """

    low: tuple[float, ...] | None = eqx.field(static=True, default=None)
    high: tuple[float, ...] | None = eqx.field(static=True, default=None)
    count: int | None = eqx.field(static=True, default=None)  # Gaussians a side
    exclude: float = 0.25
    rate: float | None = None

    def make(self, around, key):
        low, high = self._box(around)
        sizes = around.distance
        states = mode_states(
            low,
            high,
            around.saddle,
            around.ends[np.isfinite(around.ends).all(axis=1)],
            exclude=self.exclude * sizes,
            deviation=0.15 * sizes,
        )
        rate = around.rate if self.rate is None else self.rate
        equation = Equation(around.system, around.hold, np.asarray(rate))
        features = gaussian_grid(low, high, self.count)
        found = koopman_modes(
            features, equation, states, saddle=around.saddle, direction=around.right
        )
        with float64():
            numbers = (features.centres, features.widths, found.coefficients[0])
            centres, widths, coefficients = map(jnp.asarray, numbers)
            return Made(Expanded(centres, widths, coefficients), found.gap)

    def _box(self, around: Pass) -> tuple[np.ndarray, np.ndarray]:
        middle = around.ends.mean(axis=0)
        middle = middle if np.isfinite(middle).all() else around.saddle
        reach = WIDE * around.distance
        low = middle - reach if self.low is None else np.asarray(self.low, float)
        high = middle + reach if self.high is None else np.asarray(self.high, float)
        return low, high
