r"""Where does the saddle's hyperplane come from? Pulled back along the flow, no training.

$\psi_T(x) = e^{-\lambda_u T}\, w \cdot (\Phi_T(x) - x_s)$: the left eigenvector w of the
growing rate $\lambda_u$ at the saddle $x_s$, asked where the state is a time T later. T = 0 is
the hyperplane itself; as T grows the zeros of $\psi_T$ tend to the separatrix, their error
falling like $e^{-(2|\lambda_s| + \lambda_u) T}$ with the slowest decaying rate $\lambda_s$.
"""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from slowpoint.analysis.field import Field
from slowpoint.analysis.how import How, Made
from slowpoint.analysis.mountain_pass import Pass
from slowpoint.core.precision import float64, widen
from slowpoint.core.system import System

SHARE = 1e-4  # of the hyperplane's error that is left after the default time


class PulledBack(Field):
    """`rate`, `left` and `saddle` are those of the `fine` map's saddle, `ticks` its steps."""

    fine: System
    hold: Float[Array, " input"]
    saddle: Float[Array, " state"]  # x_s
    left: Float[Array, " state"]  # w
    rate: Float[Array, ""]  # lambda_u
    ticks: Int[Array, ""]
    room: int = eqx.field(static=True)  # states kept for the gradient, at least `ticks`

    def __call__(self, x):
        end = jax.lax.fori_loop(0, self.ticks, lambda _, x: self.move(x), x)
        return self.shrink() * (self.left @ (end - self.saddle))

    def gradient(self, x):
        """w carried back along the trajectory by the adjoint of every step."""

        def forth(i, carry):
            x, path = carry
            return self.move(x), path.at[i].set(x)

        _, path = jax.lax.fori_loop(0, self.ticks, forth, (x, jnp.zeros((self.room, len(x)))))

        def back(i, w):
            _, adjoint = jax.vjp(self.move, path[self.ticks - 1 - i])
            return adjoint(w)[0]

        return self.shrink() * jax.lax.fori_loop(0, self.ticks, back, self.left)

    def plain(self):
        return dataclasses.replace(self, room=0)  # all times then compile as one

    def pack(self):
        return {"ticks": np.asarray(self.ticks)}

    @classmethod
    def unpack(cls, around: Pass, arrays: dict[str, np.ndarray]) -> "PulledBack":
        """The field that `pack` gave `arrays` of, around the same saddle."""
        return pulled_back(around, int(arrays["ticks"]))

    def move(self, x):
        """One tick."""
        return self.fine.step(x, self.hold)

    def shrink(self):
        """e^{-lambda_u T}."""
        return jnp.exp(-self.rate * self.ticks * self.fine.dt)


class Pullback(How):
    """The hyperplane pulled back for `time`; None: until a ten-thousandth of its error is left.

    The default time comes from the rates at the saddle, ln(1e4) / (2|lambda_s| + lambda_u).
    """

    time: float | None = None  # T, in the system's unit of time

    def make(self, around: Pass, key: PRNGKeyArray | None) -> Made:
        slowest = float(np.abs(np.real(around.rates[1:])).min(initial=np.inf))
        law = 2 * slowest + around.rate
        time = -np.log(SHARE) / law if self.time is None else self.time
        if not 0 <= time < np.inf:
            raise ValueError(f"time={self.time}: give 0 (the hyperplane) or a positive time.")
        with float64():
            return Made(pulled_back(around, round(time / around.fine.dt)))


class Hyperplane(How):
    """The plane through the saddle, across its unstable direction: what needs no simulation."""

    def make(self, around: Pass, key: PRNGKeyArray | None) -> Made:
        with float64():
            return Made(pulled_back(around, 0))


def pulled_back(around: Pass, ticks: int) -> PulledBack:
    """The hyperplane at `around`, `ticks` fine steps before. Call it inside `float64`."""
    return PulledBack(
        widen(around.fine),
        jnp.asarray(around.hold),
        jnp.asarray(around.saddle),
        jnp.asarray(around.left),
        jnp.asarray(around.rate),
        jnp.asarray(ticks),
        room=max(32, 2 ** int(np.ceil(np.log2(max(ticks, 1))))),
    )
