r"""What does a loop cost on average, exactly, and what does imitation cost outside of it?

The joint state starts at $(x_0, 0)$ with x_0 of covariance $v_0 1$, moves by the effective
matrix P, and $L_T = v_0\,\mathrm{tr}\,E^\top S_T E$ with $S_T = \sum_{t<T} (P^t)^\top Q P^t$,
$Q = E E^\top / 2T + \beta U^\top U$, E the plant's part and U the rows that read the controls.
S_T comes by doubling, $S_{2n} = S_n + (P^n)^\top S_n P^n$: seven products for 50 steps, with
their gradient. (The loss: Ger and Barak 2025, arXiv:2505.13567; sums, noise and closed form
are ours.)
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from slowpoint.theory.loop_spectrum import (
    blocks,
    check_loop,
    command,
    DOUBLE_INTEGRATOR,
    joint_matrix,
    LoopOverlaps,
    Overlaps,
    Plant,
)
from slowpoint.theory.wide import is_traced, wide

Numbers = Array | np.ndarray
Number = float | Float[Numbers, ""]


class Noise(eqx.Module):
    """White noise of a loop, fresh each step: covariances, and no noise where none is given."""

    process: Float[Numbers, "_ _"] | None = None  # of the plant's state
    observation: Float[Numbers, "_ _"] | None = None  # of what the network reads

    def covariance(self, plant: Plant, size: int, leak) -> Float[Array, "loop loop"]:
        """Of the kick to the joint state (x, q_m, q_u), the world first."""
        a, _, c = map(jnp.asarray, plant)
        plant_size, seen = len(a), len(c)
        to_state = jnp.concatenate([jnp.eye(plant_size), leak * c])
        total = jnp.zeros((size, size))
        kicked = plant_size + seen
        if self.process is not None:
            total = total.at[:kicked, :kicked].add(to_state @ self.process @ to_state.T)
        if self.observation is not None:
            read = slice(plant_size, kicked)
            total = total.at[read, read].add(leak**2 * jnp.asarray(self.observation))
        return total


def power_sums(
    matrix: Float[Array, "loop loop"], cost: Float[Array, "loop loop"], steps: int
) -> tuple[Float[Array, "loop loop"], Float[Array, "loop loop"]]:
    r"""`(S_T, R_T)`: $S_T = \sum_{t<T} (P^t)^\top Q P^t$ and $R_T = \sum_{t<T} S_t$.

    By doubling, from the leading bit of T down: $R_{2n} = R_n + n S_n + (P^n)^\top R_n P^n$.
    """
    power, total, later = jnp.eye(len(matrix), dtype=matrix.dtype), 0 * cost, 0 * cost
    for place in reversed(range(steps.bit_length())):
        n = steps >> (place + 1)
        if n > 0:
            later = later + n * total + power.T @ later @ power
            total = total + power.T @ total @ power
            power = power @ power
        if steps >> place & 1:
            later = later + total
            total = cost + matrix.T @ total @ matrix
            power = power @ matrix
    return total, later


def _step_cost(overlaps, plant, counted, on_state, on_control):
    """The matrix of `on_state` |x|^2 + `on_control` |u|^2."""
    rows = command(overlaps, plant)
    charged = jnp.arange(rows.shape[1]) < counted
    return jnp.diag(jnp.where(charged, on_state, 0.0)) + on_control * rows.T @ rows


def _over(one, overlaps):
    """`one` of overlaps, with leading axes when they are numbers."""
    if isinstance(overlaps, LoopOverlaps):
        return one(overlaps)
    return jnp.vectorize(one, signature="(s)->()")(jnp.asarray(overlaps))


@wide
def _expected(overlaps, steps, variance, penalty, plant, leak, counted, noise):
    def one(overlaps):
        matrix = joint_matrix(overlaps, plant, leak)
        cost = _step_cost(overlaps, plant, counted, 1 / (2 * steps), penalty)
        total, later = power_sums(matrix, cost, steps)
        loss = variance * jnp.trace(total[:counted, :counted])
        if noise is not None:
            loss = loss + jnp.sum(noise.covariance(plant, len(matrix), leak) * later)
        return loss

    return _over(one, overlaps)


def expected_loss(
    overlaps: Overlaps,
    steps: int,
    variance: Number,
    penalty: Number = 0.0,
    plant: Plant | None = None,
    leak: Number = 1.0,
    counted: int | None = None,
    noise: Noise | None = None,
) -> Float[Numbers, "*many"]:
    r"""The mean of $\frac{1}{2T} \sum_{t<T} |x_t|^2 + \beta \sum_{t<T} |u_t|^2$, T = `steps`.

    Each coordinate of x_0 has `variance`, h_0 = 0; `penalty` is beta. `overlaps` and `plant` as
    in `effective_matrix`. `counted` are the leading coordinates of the plant that start at
    random and are charged (None: all), so that controls on their way are not. Differentiable;
    NumPy and float64 unless traced.

    Raises ValueError on sizes that do not fit, fewer than 2 steps, a variance or penalty below
    0 and a leak outside (0, 1]. (Ger and Barak 2025; the sum is exact.)
    """
    plant, counted = _check(overlaps, plant, leak, counted, noise)
    _check_numbers(steps, variance, penalty)
    return _expected(overlaps, steps, variance, penalty, plant, leak, counted, noise)


def _check(overlaps, plant, leak, counted, noise) -> tuple[Plant, int]:
    """Raise ValueError when sizes do not fit; `(plant, counted)` without None."""
    check_loop(overlaps, plant, leak)
    plant = plant or DOUBLE_INTEGRATOR
    size, seen = len(plant[0]), len(plant[2])
    counted = size if counted is None else counted
    if not 1 <= counted <= size:
        raise ValueError(
            f"counted={counted}: the plant has {size} coordinates. Give 1 to {size}."
        )
    for name, needed in (("process", size), ("observation", seen)):
        given = getattr(noise, name, None)
        if given is not None and given.shape != (needed, needed):
            raise ValueError(
                f"The covariance of {name} noise has shape {given.shape}. Give "
                f"({needed}, {needed})."
            )
    return plant, counted


def _check_numbers(steps, variance, penalty):
    """Raise ValueError on what makes no loss."""
    if steps < 2:
        raise ValueError(f"steps={steps}: a loop closes in 2 steps or more.")
    for name, number in (("variance", variance), ("penalty", penalty)):
        if not is_traced(number) and not number >= 0:
            raise ValueError(f"{name}={number}: give 0 or more.")


@wide
def _stationary(overlaps, penalty, plant, leak, counted, noise):
    def one(overlaps):
        matrix = joint_matrix(overlaps, plant, leak)
        cost = _step_cost(overlaps, plant, counted, 0.5, penalty)
        size = len(matrix)
        both_sides = jnp.eye(size**2) - jnp.kron(matrix, matrix)
        kick = noise.covariance(plant, size, leak)
        spread = jnp.linalg.solve(both_sides, kick.reshape(-1)).reshape(size, size)
        known = jax.lax.stop_gradient(matrix)
        largest = jnp.max(jnp.abs(jnp.linalg.eigvals(known)))
        return jnp.where(largest < 1, jnp.sum(cost * spread), jnp.inf)

    return _over(one, overlaps)


def stationary_loss(
    overlaps: Overlaps,
    noise: Noise,
    penalty: Number = 0.0,
    plant: Plant | None = None,
    leak: Number = 1.0,
    counted: int | None = None,
) -> Float[Numbers, "*many"]:
    r"""The mean of $\frac12 |x|^2 + \beta |u|^2$ of one step, long after the start.

    The covariance solves $\Xi = P \Xi P^\top + N$, N that of `noise`; infinite where the loop
    is not stable. It is what `expected_loss` tends to with a penalty of beta / T. Arguments
    and errors as there.
    """
    plant, counted = _check(overlaps, plant, leak, counted, noise)
    _check_numbers(2, 0.0, penalty)
    return _stationary(overlaps, penalty, plant, leak, counted, noise)


def stage_one_loss(
    s_zm: float | Float[np.ndarray, "*many"], steps: int, variance: float
) -> Float[np.ndarray, "*many"]:
    r"""`expected_loss` of (s_zm, 0, 0, 0), a push by position alone, in closed form.

    With $q = \sqrt{s_{zm}}$, $c_n = ((1+q)^n + (1-q)^n)/2$ and
    $S_n = ((1+q)^n - (1-q)^n)/2q$ (1 and n at 0) it is $\frac{v_0}{2T} \{2 + \sum_{n=0}^{T-2}
    c_n^2 + (c_n + S_n)^2 + (s_{zm} S_n)^2 + (s_{zm} S_n + c_n)^2\}$. (Derivation ours.)
    Raises ValueError on fewer than 2 steps or a variance below 0.
    """
    _check_numbers(steps, variance, 0.0)
    gain = np.asarray(s_zm, float)[..., None]
    n = np.arange(steps - 1)
    root = np.sqrt(gain.astype(complex))
    near = np.abs(root) < 0.5
    small = np.where(near & (root != 0), root, 0.25)
    # (1+q)^n - (1-q)^n without cancellation near 0
    apart = (1 - small) ** n * np.expm1(2 * n * np.arctanh(small)) / (2 * small)
    large = np.where(near, 1.0, root)
    far = ((1 + large) ** n - (1 - large) ** n) / (2 * large)
    sine = np.where(gain == 0, n, np.real(np.where(near, apart, far)))
    cosine = np.real((1 + root) ** n + (1 - root) ** n) / 2
    push = gain * sine
    terms = cosine**2 + (cosine + sine) ** 2 + push**2 + (push + cosine) ** 2
    return np.asarray(variance / (2 * steps) * (2 + terms.sum(axis=-1)))


@wide
def _responses(overlaps, steps, leak):
    def one(overlaps):
        parts = blocks(overlaps)
        seen, rank = parts.zm.shape[1], len(parts.vu)
        fades = (1 - leak) * jnp.eye(seen, seen + rank)
        recurs = leak * jnp.concatenate([parts.vm, parts.vu], axis=1)
        recurs = recurs + (1 - leak) * jnp.eye(rank, seen + rank, seen)
        matrix = jnp.concatenate([fades, recurs])
        read = jnp.concatenate([parts.zm, parts.zu], axis=1)
        tick = lambda mode, _: (matrix @ mode, read @ mode)
        return jax.lax.scan(tick, leak * jnp.eye(seen + rank, seen), None, steps)[1]

    if isinstance(overlaps, LoopOverlaps):
        return one(overlaps)
    return jnp.vectorize(one, signature="(s)->(t,c,o)")(jnp.asarray(overlaps))


def responses(
    overlaps: Overlaps, steps: int, leak: Number = 1.0
) -> Float[Numbers, "*many step control output"]:
    r"""What the network sends after a unit impulse: f_k, k steps later.

    For rank one without leak $f_0 = s_{zm}$, $f_k = s_{zu} s_{vm} s_{vu}^{k-1}$.
    """
    return _responses(overlaps, steps, leak)


def open_loop_loss(
    overlaps: Overlaps,
    teacher: Overlaps,
    steps: int,
    variance: Number = 1.0,
    leak: Number = 1.0,
) -> Float[Numbers, "*many"]:
    r"""The mean of $\frac1T \sum_t |u_t - u^*_t|^2$ while both hear the same white noise.

    $\frac{w^2}{T} \sum_{k<T} (T-k) |f_k - f^*_k|^2$, w^2 the `variance` of each input, both
    networks silent at first. (Imitation in Ger and Barak 2025; the sum is exact.) Raises
    ValueError on fewer than 2 steps or a variance below 0.
    """
    _check_numbers(steps, variance, 0.0)
    return _open_loop(overlaps, teacher, steps, variance, leak)


@wide
def _open_loop(overlaps, teacher, steps, variance, leak):
    apart = _responses(overlaps, steps, leak) - _responses(teacher, steps, leak)
    often = jnp.arange(steps, 0, -1) / steps
    return variance * (jnp.sum(apart**2, axis=(-1, -2)) @ often)
