r"""How does a network learn in a closed loop, seen by the scalar products of its vectors alone?

Every loss of a linear loop is a function of ZM, ZU, VM and VU. With $P = [M | U | V | Z]$,
$G = P^\top P$ (no 1/N here) and S the sum of the loss's slope in G and its transpose, the
gradient of the columns is $P S$, and a step of clipped gradient descent is exactly
$G \leftarrow (1 - \eta c S D)^\top G (1 - \eta c S D)$ for any number of units: D is 0 for
columns that are frozen. So the congruences of `theory.congruence` learn what a network of any
size learns. (The setting: Ger and Barak 2025, arXiv:2505.13567; the exact step is ours.)
"""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from slowpoint.core.result import Result
from slowpoint.theory.congruence import Flow, GradientDescent, HeavyBall, Rule, Stepwise
from slowpoint.theory.loop_spectrum import LoopOverlaps, Overlaps
from slowpoint.theory.overlap_learning import learn
from slowpoint.theory.overlaps import Dims

Numbers = Array | np.ndarray
# The loss of a loop: of (s_zm, s_zu, s_vm, s_vu) at rank one, else of LoopOverlaps
LoopLoss = Callable[[Overlaps], Float[Numbers, "*many"]]


def gram(
    columns: Float[Numbers, "*many unit column"],
) -> Float[np.ndarray, "*many column column"]:
    """P'P in float64, without 1/N, of P = [M | U | V | Z] (`columns_of` a network)."""
    columns = np.asarray(columns, float)
    return np.swapaxes(columns, -1, -2) @ columns


def seen(gram: Float[Array, "column column"], dims: Dims = Dims()) -> LoopOverlaps:
    """The overlaps that a plant sees, of columns whose Gram matrix is `gram`."""
    reads = lambda rows: (gram[rows, dims.m], gram[rows, dims.u])
    return LoopOverlaps(*reads(dims.z), *reads(dims.v))


def flat(overlaps: LoopOverlaps) -> Float[Array, " overlap"]:
    """All numbers of `overlaps`, block by block: at rank one (s_zm, s_zu, s_vm, s_vu)."""
    parts = (overlaps.zm, overlaps.zu, overlaps.vm, overlaps.vu)
    return jnp.concatenate([part.reshape(-1) for part in parts])


class OfGram(eqx.Module):
    """`loss` of a loop as one of Gram matrices."""

    loss: LoopLoss
    dims: Dims = eqx.field(static=True, default=Dims())

    def __call__(self, gram, key):
        del key  # nothing is drawn
        overlaps = seen(gram, self.dims)
        return jnp.asarray(self.loss(flat(overlaps) if self.dims == Dims() else overlaps))


def clipped_descent(
    clip: float | None = 1.0,
    momentum: float = 0.0,
    *,
    encoder_learns: bool = False,
    dims: Dims = Dims(),
) -> Stepwise:
    """Gradient descent as PyTorch clips it: times min(1, clip / (norm + 1e-6)).

    M stays as it is unless `encoder_learns`. Raises ValueError on a clip that is not above 0
    (None: no clipping) and on a momentum outside [0, 1).
    """
    if clip is not None and not clip > 0:
        raise ValueError(f"clip={clip}: give the largest norm, above 0, or None.")
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum={momentum}: give 0 or more, below 1.")
    rates = np.ones(dims.size)
    if not encoder_learns:
        rates[dims.m] = 0.0
    if momentum:
        return HeavyBall(rates, 0.0, clip, momentum, slack=1e-6)
    return GradientDescent(rates, 0.0, clip, slack=1e-6)


class GramHistory(Result):
    """A loop while it learns. A leading axis where several Gram matrices were given."""

    losses: Float[np.ndarray, "*many step"]  # before each step, and after the last
    epochs: Int[np.ndarray, " record"]  # of the records below
    grams: Float[np.ndarray, "*many record column column"]
    overlaps: Float[np.ndarray, "*many record overlap"]  # rank one: s_zm, s_zu, s_vm, s_vu
    diverged: Int[np.ndarray, "*many"]  # the first epoch without a finite loss; -1: none


def learn_gram(
    gram: Float[Numbers, "*many column column"],
    loss: LoopLoss,
    rule: Rule = clipped_descent(),
    *,
    rate: float,
    steps: int,
    every: int = 1,
    dims: Dims = Dims(),
) -> GramHistory:
    """Follow `gram` through `steps` updates by `loss`, such as
    `eqx.Partial(expected_loss, steps=50, variance=4 / 3)`.

    `rate` is the learning rate of the network itself. A leading axis of `gram` follows several
    at once. Records come each `every` steps. A loss that overflows is a value.

    Raises ValueError when no network has this Gram matrix, with its smallest eigenvalue; on a
    rate, step count or rule that makes no sense; and on optimisers that do not close.
    """
    if not isinstance(rule, Stepwise | Flow):
        name = rule if isinstance(rule, str) else type(rule).__name__
        raise ValueError(
            f"{name} does not close; use train: it divides each weight by a scale of its own, "
            "which no scalar product knows. Give clipped_descent(), or type "
            "slowpoint.train(loop, task, ...)"
        )
    if not rate > 0:
        raise ValueError(f"rate={rate}: give a learning rate above 0.")
    if gram.shape[-1] != dims.size:
        raise ValueError(
            f"The Gram matrix has shape {gram.shape}; {dims} has {dims.size} columns. Give "
            f"({dims.size}, {dims.size})."
        )
    found = learn(OfGram(loss, dims), gram, rule, eta=rate, steps=steps, every=every)
    blocks = seen_history(found.overlaps, dims)
    bad = ~np.isfinite(found.losses)
    diverged = np.where(bad.any(axis=-1), bad.argmax(axis=-1), -1)
    return GramHistory(found.losses, found.epochs, found.overlaps, blocks, diverged)


def seen_history(
    grams: Float[np.ndarray, "*many column column"], dims: Dims = Dims()
) -> Float[np.ndarray, "*many overlap"]:
    """`flat` of what is `seen`, of each of many Gram matrices."""
    pairs = [(dims.z, dims.m), (dims.z, dims.u), (dims.v, dims.m), (dims.v, dims.u)]
    blocks = [grams[..., rows, columns] for rows, columns in pairs]
    return np.concatenate([b.reshape(*grams.shape[:-2], -1) for b in blocks], axis=-1)
