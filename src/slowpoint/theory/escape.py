r"""How long until noise carries a state out of its well, or past the ghost of one?

Across a fold, $\dot z = b + a z^2$ in noise: Sigeti and Horsthemke (1989), J. Stat. Phys.
54, 1217. Over a saddle in many dimensions: Bouchet and Reygner (2016), Annales Henri Poincaré
17, 3499.
"""

import numpy as np
from jaxtyping import Float, Int

Numbers = Float[np.ndarray, "*shape"] | float
LOWEST = 0.5  # barrier below which nothing holds a state: its residence is undefined
FAR = 40.0  # where the tail of an integral over z is that of 1 / z^2


def noisy_ghost_time(a: Numbers, b: Numbers, diffusion: Numbers) -> Float[np.ndarray, "*shape"]:
    r"""Mean time from $z = -\infty$ to $\infty$ where $dz = (b + a z^2) dt + \sqrt{2D} dW$.

    $\sqrt{\pi / aD} \int_0^\infty u^{-1/2} e^{-(bu + a u^3/12)/D} du$. Where b < 0 a stable
    point and a saddle stand in the way, and noise must lift the state over. Needs a, D > 0.
    """
    a, b, diffusion = np.broadcast_arrays(*(np.asarray(v, float) for v in (a, b, diffusion)))
    height = b / (diffusion**2 * a) ** (1 / 3)
    integral = np.array([_over_all(beta) for beta in height.ravel()]).reshape(height.shape)
    return np.asarray(np.sqrt(np.pi) * integral / (a**2 * diffusion) ** (1 / 3))


def noisy_exit_time(
    a: Numbers, b: Numbers, diffusion: Numbers, start: Numbers
) -> Float[np.ndarray, "*shape"]:
    r"""The same from $z$ = `start` to $\infty$."""
    values = (np.asarray(v, float) for v in (a, b, diffusion, start))
    a, b, diffusion, start = np.broadcast_arrays(*values)
    height, unit = b / (diffusion**2 * a) ** (1 / 3), (diffusion / a) ** (1 / 3)
    rows = zip(height.ravel(), (start / unit).ravel())
    integral = np.array([_from(beta, z) for beta, z in rows]).reshape(height.shape)
    return np.asarray(integral / (a**2 * diffusion) ** (1 / 3))


def free_exit_time(a: Numbers, b: Numbers, start: Numbers) -> Float[np.ndarray, "*shape"]:
    r"""The same without noise, $\int dz / (b + a z^2)$; inf where b is not above 0."""
    values = (np.asarray(v, float) for v in (a, b, start))
    a, b, start = np.broadcast_arrays(*values)
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.pi / 2 - np.arctan(start * np.sqrt(a / b))
        return np.where(b > 0, left / np.sqrt(a * b), np.inf)


def escape_time(
    rate: Numbers, amplitude: Numbers, barrier: Numbers
) -> Float[np.ndarray, "*shape"]:
    r"""Mean time in a well whose edge is left at `rate` $\lambda$ over `barrier` $E$.

    $\frac{2\pi}{\lambda k} e^E$ for a high barrier, k = `amplitude` (in one dimension the root
    of the rate of return over $\lambda$). For a low one, the time in the normal form of a fold
    that has the same three numbers. NaN below a barrier of 1/2.
    """
    values = (np.asarray(v, float) for v in (rate, amplitude, barrier))
    rate, amplitude, barrier = np.broadcast_arrays(*values)
    speed = rate * amplitude / 2  # root of |b|, with a = 1
    with np.errstate(invalid="ignore"):
        held = np.isfinite(speed * barrier) & (speed > 0) & (barrier >= LOWEST)
    root, height = np.where(held, speed, 1.0), np.where(held, barrier, 1.0)
    time = noisy_ghost_time(np.ones_like(root), -(root**2), 4 * root**3 / (3 * height))
    return np.where(held, time, np.nan)


def together(
    times: Float[np.ndarray, " way"],
    origin: Int[np.ndarray, " way"],
    target: Int[np.ndarray, " way"],
    memories: Int[np.ndarray, " memory"],
) -> tuple[Float[np.ndarray, " memory"], Float[np.ndarray, "memory memory"]]:
    """`(mean time in each memory, share of its departures that go to each)`: rates add.

    NaN for a memory from which no way leads, or one of whose ways has no time.
    """
    rates = np.zeros((len(memories), len(memories)))
    for row, memory in enumerate(memories):
        for column, place in enumerate(memories):
            rates[row, column] = (1 / times[(origin == memory) & (target == place)]).sum()
    whole = rates.sum(axis=1)
    known = np.where(whole > 0, whole, np.nan)  # also NaN where a rate is
    return 1 / known, rates / known[:, None]


def _over_all(beta: float) -> float:
    """The integral of exp(-beta s - s^3 / 12) / sqrt(s) over s > 0."""
    w = np.linspace(0, (60 + 8 * abs(beta)) ** 0.5, 20001)  # s = w^2
    with np.errstate(over="ignore"):
        return float(np.trapezoid(2 * np.exp(-beta * w**2 - w**6 / 12), w))


def _from(beta: float, start: float) -> float:
    """The double integral of exp(-beta (y - z) - (y^3 - z^3) / 3) over y > start, z < y."""
    end = max(FAR, 30 * abs(beta) ** 0.5, 2 * abs(start))
    y = np.sinh(np.linspace(np.arcsinh(start), np.arcsinh(end), 1201))[:, None]
    reach = 2 * np.abs(y) + 8 + 4 * abs(beta) ** 0.5
    reach = np.minimum(reach, 60 / beta) if beta > 0 else reach
    w = reach * np.linspace(0, 1, 1501)[None] ** 4  # y - z
    with np.errstate(over="ignore"):
        inside = np.trapezoid(np.exp(-beta * w - y**2 * w + y * w**2 - w**3 / 3), w, axis=1)
    return float(np.trapezoid(inside, y[:, 0]) + 1 / end)
