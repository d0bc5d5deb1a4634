"""A separatrix from a network that was taught to be a Koopman eigenfunction.

Dabholkar and Barak (2025), arXiv:2505.15231. Report it beside the hyperplane and the pull-back:
its merit is one cheap query after training, and that it needs no knowledge of the saddle.
"""

import functools
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from slowpoint.analysis.even import even_box, even_normal
from slowpoint.analysis.field import Field
from slowpoint.analysis.how import How, Made
from slowpoint.analysis.koopman import AllPairs, Equation, Normaliser
from slowpoint.analysis.koopman_fit import Anchors, fit_koopman, levenberg_marquardt, Recipe
from slowpoint.analysis.koopman_net import Affine, KoopmanNet
from slowpoint.analysis.mountain_pass import Pass
from slowpoint.analysis.samplers import Gaussian
from slowpoint.core.precision import float64, widen


class Learned(Field):
    """psi(x) of a network, times `sign`."""

    net: KoopmanNet
    sign: Float[Array, ""]

    def __call__(self, x):
        return self.sign * self.net(x)

    def gradient(self, x):
        return jax.grad(self.__call__)(x)

    def pack(self):
        arrays = {"sign": self.sign, "factor": self.net.factor}
        if self.net.centre is not None:
            arrays["centre"] = self.net.centre
        for part in ("enter", "blocks", "leave"):
            affine = getattr(self.net, part)
            arrays |= {f"{part}.weight": affine.weight, f"{part}.bias": affine.bias}
        return {name: np.asarray(array) for name, array in arrays.items()}

    @classmethod
    def unpack(cls, around: Pass, arrays: dict[str, np.ndarray]) -> "Learned":
        """The field that `pack` gave `arrays` of. Call it inside `float64`."""
        affine = lambda part: Affine(
            jnp.asarray(arrays[f"{part}.weight"]), jnp.asarray(arrays[f"{part}.bias"])
        )
        centre = tuple(arrays["centre"].tolist()) if "centre" in arrays else None
        enter, blocks, leave = map(affine, ("enter", "blocks", "leave"))
        net = KoopmanNet(enter, blocks, leave, centre, float(arrays["factor"]))
        return cls(net, jnp.asarray(arrays["sign"]))


def learned(around: Pass, net: KoopmanNet) -> Learned:
    """`net` as a field in double precision, positive on the side of attractor 1.

    Where it has the same sign at both attractors, its slope at the saddle decides.
    """
    with float64():
        field = Learned(widen(net), jnp.asarray(1.0))
        low, high = (float(field(jnp.asarray(end))) for end in around.ends)
        slope = jnp.asarray(around.right) @ field.gradient(jnp.asarray(around.saddle))
        rise = high - low if low * high < 0 else float(slope)
        return Learned(field.net, jnp.asarray(-1.0 if rise < 0 else 1.0))


class Network(How):
    r"""The paper's deep network, by gradient descent on the ratio loss.

    `variances`: of the Gaussian samples at the saddle, in units of $D^2 / 2N$ (D: distance of
    the attractors, N: units), so that they reach equally far in any dimension and are the
    paper's $s_k$ for two attractors at -1 and 1 in the plane. `rate`: lambda; None: the
    saddle's unstable rate (the paper: 1). The paper's own recipe is
    `Network(width=400, blocks=20, updates=1000, batch=1000, squashed=True, rate=1.0,
    learning_rate=1e-4, normaliser=Permuted())`.
    """

    draws: ClassVar[bool] = True

    width: int = eqx.field(static=True, default=64)
    blocks: int = eqx.field(static=True, default=2)
    updates: int = eqx.field(static=True, default=2000)
    batch: int = eqx.field(static=True, default=256)  # states per distribution and update
    variances: tuple[float, ...] = eqx.field(static=True, default=(0.1, 0.5, 1.0, 2.0))
    squashed: bool = eqx.field(static=True, default=True)
    rate: float | None = None
    learning_rate: float = 1e-3
    balance: float = 5e-2  # weight of |mean psi / std psi|
    normaliser: Normaliser = AllPairs()

    def make(self, around, key):
        assert key is not None  # `separatrix` sees to it
        first, then = jax.random.split(key)
        size, unit = len(around.saddle), around.distance**2 / (2 * len(around.saddle))
        # the network sees states in units of their widest spread
        net = KoopmanNet.random(
            size,
            self.width,
            self.blocks,
            centre=tuple(around.saddle.tolist()),
            factor=float(max(self.variances) * unit) ** -0.5,
            key=first,
        )
        rate = around.rate if self.rate is None else self.rate
        single = jax.tree.map(_single, around.system)
        equation = Equation(single, _single(around.hold), np.float32(rate), self.squashed)
        samplers = [Gaussian(_single(around.saddle), s * unit) for s in self.variances]
        recipe = Recipe(
            self.batch, self.normaliser, self.balance, _adamw(self.learning_rate, self.updates)
        )
        found = fit_koopman(
            net, equation, samplers, updates=self.updates, key=then, recipe=recipe
        )
        return Made(learned(around, found.system))


class LeastSquares(How):
    """A small network by Levenberg and Marquardt: squashed, psi = 1 and -1 at the attractors.

    It starts from a random network, so it needs a key. `counts`: states that fill the box of
    `reach` times D around the saddle evenly, and that fill N(0, (.15 D)^2) around it.
    """

    draws: ClassVar[bool] = True

    width: int = eqx.field(static=True, default=24)
    blocks: int = eqx.field(static=True, default=1)
    steps: int = eqx.field(static=True, default=80)
    counts: tuple[int, int] = eqx.field(static=True, default=(1200, 240))
    reach: float = 1.1

    def make(self, around, key):
        assert key is not None  # `separatrix` sees to it
        if not np.isfinite(around.ends).all():
            raise ValueError(
                "LeastSquares() needs both attractors, and a run from this saddle does not "
                "come to rest. Take Pullback() or Network()."
            )
        size, distance = len(around.saddle), around.distance
        box = self.reach * distance * (2 * even_box(self.counts[0], size) - 1)
        near = 0.15 * distance * even_normal(self.counts[1], size)
        net = KoopmanNet.random(
            size,
            self.width,
            self.blocks,
            centre=tuple(around.saddle.tolist()),
            factor=2 / distance,
            key=key,
        )
        equation = Equation(around.system, around.hold, np.asarray(around.rate), squashed=True)
        known = Anchors(np.vstack([around.ends, around.saddle]), np.array([-1.0, 1.0, 0.0]))
        states = around.saddle + np.concatenate([box, near])
        found = levenberg_marquardt(net, equation, states, known, steps=self.steps)
        return Made(learned(around, found.net))


@functools.cache  # one object for equal numbers, or every fit would be compiled anew
def _adamw(learning_rate: float, updates: int) -> optax.GradientTransformation:
    fall = optax.cosine_decay_schedule(learning_rate, updates, alpha=0.02)
    return optax.adamw(fall, weight_decay=1e-5)


def _single(leaf):
    """In single precision, which trains."""
    if eqx.is_inexact_array_like(leaf) and not isinstance(leaf, float):
        return np.asarray(leaf, np.float32)
    return leaf
