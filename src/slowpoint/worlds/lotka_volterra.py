"""Species that grow and hinder each other (generalised Lotka and Volterra)."""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from slowpoint.core.system import Flow

REST = 1e-4  # the largest speed of a steady state, relative to its growth without the others


class LotkaVolterra(Flow):
    r"""$\dot x_i = x_i (\rho_i + \sum_j K_{ij} x_j)$.

    A species that is absent stays absent, so every face of the positive orthant is invariant:
    `face` is the flow on one, `two_species` a flow between two steady states.
    Time in the unit of `growth`: days for the gut bacteria of Stein et al. (2013).
    """

    growth: Float[Array, " state"]  # rho
    interactions: Float[Array, "state state"]  # K: row = affected, column = acting
    dt: float = eqx.field(static=True, default=0.05)
    input_size: int = eqx.field(static=True, default=0, init=False)

    @property
    def state_size(self):
        return self.growth.shape[0]

    @property
    def output_size(self):
        return self.growth.shape[0]

    def per_head(self, x: Float[Array, " state"]) -> Float[Array, " state"]:
        """Growth per head of each species; of an absent one, the rate at which it invades."""
        return self.growth + self.interactions @ x

    def velocity(self, x, u):
        return x * self.per_head(x)

    def output(self, x):
        return x

    def jacobian(self, x, u):
        return jnp.diag(self.per_head(x)) + x[:, None] * self.interactions

    def lipschitz_bound(self, x, u, radius):
        rows = jnp.linalg.norm(self.interactions, axis=1)
        return rows.max() + jnp.linalg.norm(self.interactions, 2)


def face(
    world: LotkaVolterra, members: Sequence[int] | Int[np.ndarray, " member"]
) -> LotkaVolterra:
    """The community of `members` alone, in that order; all other species are absent.

    Raises ValueError when `members` are not different species of `world`.
    """
    members = np.asarray(members, int)
    known, different = np.isin(members, range(world.state_size)), len(set(members.tolist()))
    if not (known.all() and different == len(members) > 0):
        raise ValueError(
            f"members={members.tolist()}, expected different numbers from 0 to "
            f"{world.state_size - 1}. Type: face(world, [0, 2])"
        )
    square = world.interactions[np.ix_(members, members)]
    return LotkaVolterra(world.growth[members], square, dt=world.dt)


def two_species(
    world: LotkaVolterra,
    a: Float[Array | np.ndarray, " state"],
    b: Float[Array | np.ndarray, " state"],
) -> LotkaVolterra:
    r"""Two species z with `a` at (1, 0) and `b` at (0, 1): the world near $z_1 a + z_2 b$.

    $\dot z_i = z_i (\mu_i + \sum_j M_{ij} z_j)$ with $\mu_a = \rho \cdot a^2 / |a|^2$,
    $M_{aa} = a^2 \cdot K a / |a|^2$, likewise for b, and
    $(M_{ab}, M_{ba}) = [a\ b]^+ (a \circ K b + b \circ K a)$: steady-state reduction (Jones and
    Carlson 2019, Phys. Rev. E 99, 032403). Exact along a and along b. Computed in float64; call
    inside `float64()` to keep it. Raises ValueError when a state moves or both lie on one line.
    """
    growth, k = np.asarray(world.growth, float), np.asarray(world.interactions, float)
    pair = np.stack([np.asarray(a, float), np.asarray(b, float)])
    _check_steady(growth, k, pair)
    squares = pair**2 / (pair**2).sum(axis=1, keepdims=True)
    effects = pair @ k.T  # K a, K b
    across = np.linalg.pinv(pair.T) @ (pair[0] * effects[1] + pair[1] * effects[0])
    own = (squares * effects).sum(axis=1)
    matrix = np.array([[own[0], across[0]], [across[1], own[1]]])
    return LotkaVolterra(jnp.asarray(squares @ growth), jnp.asarray(matrix), dt=world.dt)


def _check_steady(growth, k, pair):
    for name, x in zip("ab", pair, strict=True):
        speed, scale = np.linalg.norm(x * (growth + k @ x)), np.linalg.norm(x * growth)
        if not speed <= REST * scale:
            raise ValueError(
                f"{name} moves at speed {speed:.2g}: it is no steady state. "
                "Type: fixed_points(world, ...).states and take two of them."
            )
    if np.linalg.matrix_rank(pair) < 2:
        raise ValueError(
            "a and b lie on one line (or one is 0). Give two steady states with other species."
        )


def example(key: PRNGKeyArray) -> LotkaVolterra:
    """Four species that limit themselves more than each other."""
    grow, hinder = jr.split(key)
    interactions = 0.3 * jr.normal(hinder, (4, 4)) - jnp.eye(4)
    return LotkaVolterra(jr.uniform(grow, (4,), minval=0.5, maxval=1.0), interactions)
