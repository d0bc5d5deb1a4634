r"""What happens on the plateau of learning in a loop, and what does first order say of it?

The second stage of Ger and Barak (2025), arXiv:2505.13567, figure 4: the pair of eigenvalues
turns and does not decay, $s_{zm}$ jumps to and fro, $p = s_{zu} s_{vm}$ grows until the pair
is inside the unit circle. For rank one on the double integrator at dt = 1; overlaps are
(s_zm, s_zu, s_vm, s_vu).
"""

import numpy as np
from jaxtyping import Array, Float, Int

from slowpoint.core.result import Result
from slowpoint.theory.loop_objectives import long_term, real_root, slow_root
from slowpoint.theory.loop_stability import characteristic, effective_gain, roots

Numbers = Array | np.ndarray


class Plateaus(Result):
    """Of each network, from the end e1 of its first stage to its first stable epoch e2.

    NaN where there is no such stretch.
    """

    pair: Float[np.ndarray, "network 2"]  # real and imaginary part, `soon` after e1
    loss: Float[np.ndarray, " network"]  # the median
    flips: Float[np.ndarray, " network"]  # share of the steps of s_zm that turn back
    step: Float[np.ndarray, " network"]  # their mean size, over the stride
    gains: Float[np.ndarray, "network 2"]  # at e2
    slow_error: Float[np.ndarray, " network"]  # of l_3 to first order, the largest
    pair_error: Float[np.ndarray, " network"]  # of |l_1|^2 by that l_3, the largest


def pair(overlaps: Float[Numbers, "*many 4"]) -> Float[np.ndarray, "*many 2"]:
    """The eigenvalue l_1 that turns the fastest: its real and imaginary part."""
    values = roots(characteristic(overlaps))
    turns = np.imag(values)
    fastest = turns.argmax(axis=-1)[..., None]
    parts = [np.take_along_axis(part, fastest, axis=-1) for part in (np.real(values), turns)]
    return np.concatenate(parts, axis=-1)


def plateaus(
    overlaps: Float[Numbers, "network epoch 4"],
    losses: Float[Numbers, "network epoch"],
    borders: Int[np.ndarray, "network 2"],
    stride: Float[np.ndarray, " network"],
    *,
    soon: int = 10,
    steps: int = 50,
) -> Plateaus:
    """Look at each network between its `borders` e1 and e2 (-1: not reached).

    `stride` is how far a clipped step moves s_zm, the learning rate times |m|; `steps` the
    horizon of the gains.
    """
    nothing, two = np.nan, np.full(2, np.nan)
    rows = []
    for path, loss, (first, second), length in zip(overlaps, losses, borders, stride):
        if not 0 <= first < second - 1:
            rows.append((two, nothing, nothing, nothing, two, nothing, nothing))
            continue
        part = np.asarray(path[first : second + 1], float)
        moves, exact = np.diff(part[:, 0]), real_root(part)
        rows.append(
            (
                pair(path[min(first + soon, len(path) - 1)]),
                np.median(loss[first : second + 1]),
                (np.sign(moves[1:]) != np.sign(moves[:-1])).mean(),
                np.abs(moves).mean() / length,
                effective_gain(part[-1], steps),
                np.abs(slow_root(part) - exact).max(),
                np.abs(np.asarray(long_term(part)) - long_term(part, exact)).max(),
            )
        )
    return Plateaus(*map(np.array, zip(*rows, strict=True)))
