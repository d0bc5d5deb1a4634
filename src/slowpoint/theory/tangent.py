r"""How fast, along which outputs, and how stably does a network learn? Overlaps tell.

Let $S_t$ be the symmetric derivative of output t. N times the tangent kernel is
$N \Theta_{tt'} = 4\, \mathrm{tr}(S_t \Sigma S_{t'})$, and with steps $\eta N$ the outputs move
by $dy/ds = -N\Theta\, dL/dy$, the loss by $-4\, \mathrm{tr}(S \Sigma S)$. The overlaps say all:
no N, no frame. Where a squared error vanishes, $2 w N\Theta$ is the Hessian, w the weight of a
square. (Jacot et al. 2018, arXiv:1806.07572; for overlaps ours, after Ger and Barak 2026,
arXiv:2605.04115.)

Labels with noise drift along such places. To first order in the noise, mean dynamics is that of
$\ell - w s^2 \log\det(1 - \frac{\eta}{2} H)$, H the Hessian: for small rates descent on
its trace (Blanc et al. 2020, arXiv:1904.09080; Damian et al. 2021, arXiv:2106.06530).
"""

import warnings
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from slowpoint.core.precision import float64, widen
from slowpoint.core.result import Result
from slowpoint.theory.metric import metric
from slowpoint.theory.overlap_learning import Loss, sensitivity
from slowpoint.theory.overlaps import check_overlaps, matrix, vector

Numbers = Array | np.ndarray
# What a network of these overlaps answers, in any shape
Outputs = Callable[[Float[Array, "column column"]], Float[Numbers, "*answer"]]
NOTHING = 1e-8  # a singular value below this share of the largest is 0


def by_overlaps(
    outputs: Outputs, overlaps: Float[Array, " overlap"]
) -> Float[Array, "answer overlap"]:
    """The derivative of all answers by the `vector` of overlaps; pure."""
    return jax.jacfwd(lambda o: jnp.ravel(outputs(matrix(o))))(overlaps)


@eqx.filter_jit
def _by_weights(outputs, root):
    """The derivative of all answers by the weights of the smallest network, P = root."""
    slope = jax.jacfwd(lambda p: jnp.ravel(outputs(p.T @ p)))(root)
    return slope.reshape(len(slope), -1)


def _slopes(outputs: Outputs, sigma: Numbers) -> Float[np.ndarray, "answer weight"]:
    """Rows whose products are N Theta."""
    check_overlaps(sigma)
    values, vectors = np.linalg.eigh(np.asarray(sigma, float))
    values = np.where(values > 1e-14 * values.max(), values, 0.0)
    with float64():
        root = jnp.asarray((vectors * np.sqrt(values)) @ vectors.T)
        return np.asarray(_by_weights(widen(outputs), root))


def ntk(outputs: Outputs, sigma: Numbers) -> Float[np.ndarray, "answer answer"]:
    r"""$N \Theta$ at `sigma`, of all answers in one row: divide by N for the kernel itself.

    Equal rates of all columns. Exact where `outputs` is that of the network. Raises ValueError
    when no network has these overlaps.
    """
    slopes = _slopes(outputs, sigma)
    return slopes @ slopes.T


def curvatures(
    outputs: Outputs, sigma: Numbers, weight: float
) -> Float[np.ndarray, " direction"]:
    r"""The eigenvalues that are not 0, falling, of the Hessian where the error vanishes.

    The loss is `weight` times the sum of squared errors, steps are $\eta N$: gradient descent
    rests there when $\eta$ times the first is below 2. Raises ValueError when no network has
    these overlaps, or `weight` is not above 0.
    """
    if not weight > 0:
        raise ValueError(f"weight={weight}: give what multiplies a square, above 0.")
    lengths = np.linalg.svd(_slopes(outputs, sigma), compute_uv=False)
    return 2 * weight * lengths[lengths > NOTHING * lengths.max(initial=0.0)] ** 2


def speed(loss: Loss, sigma: Numbers) -> float:
    r"""$d\ell/ds = -4\, \mathrm{tr}(S \Sigma S)$ at `sigma`: how fast the loss will fall.

    `loss` is exact: it is called without a key. Raises ValueError when no network has these
    overlaps.
    """
    check_overlaps(sigma)
    with float64():
        wide = jnp.asarray(sigma, float)
        _, s = _sensitivity(widen(loss), wide, None)
        return -4 * float(jnp.sum(s * (wide @ s)))


_sensitivity = eqx.filter_jit(sensitivity)
_value = eqx.filter_jit(lambda loss, sigma: loss(sigma, None))


class EffectiveLoss(Result):
    """What descent on noisy labels follows in the mean, at one Sigma."""

    value: float  # infinite where descent on the labels is unstable
    loss: float  # without noise
    curvatures: Float[np.ndarray, " direction"]
    steepness: float  # eta times the first of them
    stable: bool  # below 2


class NoisyLabels(eqx.Module):
    r"""$\ell - w s^2 \log\det(1 - \frac{\eta}{2} H)$: a loss for `learn`, called as one."""

    loss: Loss
    outputs: Outputs
    weight: Float[Numbers, ""]
    eta: Float[Numbers, ""]
    sd: Float[Numbers, ""]

    def __call__(self, sigma, key):
        metric_, slopes = metric(sigma), by_overlaps(self.outputs, vector(sigma))
        hessian = 2 * self.weight * metric_ @ (slopes.T @ slopes)
        held = jnp.eye(len(hessian)) - self.eta / 2 * hessian
        added = -self.weight * self.sd**2 * jnp.linalg.slogdet(held)[1]
        steepness = self.eta * jax.lax.stop_gradient(self._steepest(metric_, slopes))
        return jnp.where(steepness < 2, self.loss(sigma, key) + added, jnp.inf)

    def _steepest(self, metric_, slopes):
        """The largest curvature: H is similar to a symmetric matrix."""
        values, vectors = jnp.linalg.eigh(metric_)
        half = slopes @ (vectors @ jnp.diag(jnp.sqrt(jnp.maximum(values, 0.0))))
        return 2 * self.weight * jnp.linalg.eigvalsh(half.T @ half)[-1]

    def at(self, sigma: Numbers) -> EffectiveLoss:
        """Its value at `sigma`, and whether it means anything there; warns where not.

        `loss` is exact: it is called without a key. Raises ValueError when no network has
        these overlaps.
        """
        curves = curvatures(self.outputs, sigma, float(self.weight))
        with float64():
            wide = jnp.asarray(sigma, float)
            loss, value = (float(_value(widen(f), wide)) for f in (self.loss, self))
        steepness = float(self.eta) * float(curves.max(initial=0.0))
        if steepness >= 2:
            warnings.warn(
                f"eta times the largest curvature is {steepness:.3g}, not below 2: descent at "
                f"eta={float(self.eta):g} leaves this place, and the effective loss is "
                f"infinite. Give eta below {2 / curves.max():.3g}.",
                stacklevel=2,
            )
            value = np.inf
        return EffectiveLoss(value, loss, curves, steepness, steepness < 2)


def label_noise_loss(
    loss: Loss, outputs: Outputs, *, weight: float, eta: float, sd: float
) -> NoisyLabels:
    """The loss that overlaps descend in the mean while their labels have noise.

    `loss` is `weight` times the sum of squared errors of `outputs`, each label has fresh noise
    of standard deviation `sd` at every step, and steps are eta N. It holds where the error
    vanishes, and the better the smaller eta times the largest curvature: at 0.95 drift is
    within a tenth of it, at 1.9 it is a third less. Follow it by `learn(...)`; ask its
    value with `.at(sigma)`. Raises ValueError unless weight and eta are above 0, and sd is 0
    or more.
    """
    if not (weight > 0 and eta > 0 and sd >= 0):
        raise ValueError(
            f"weight={weight}, eta={eta}, sd={sd}: give a weight and a rate above 0, and a "
            "standard deviation of 0 or more."
        )
    return NoisyLabels(loss, outputs, *(np.asarray(x, float) for x in (weight, eta, sd)))
