r"""Learning of a low-rank network, as it is seen by its overlaps: exactly, step by step.

Let the loss be $\ell(\Sigma)$ and S the symmetric part of its derivative. The gradient of the
columns is $(2/N) P S$, so with steps $\eta N$ gradient descent is
$P \leftarrow P (1 - 2 \eta S D)$, D the relative rates, and
$\Sigma \leftarrow (1 - 2 \eta D S) \Sigma (1 - 2 \eta S D)$: exact for linear networks at any N
and step, and as N grows while weights are Gaussian. The flow is
$d\Sigma/ds = -2 (D S \Sigma + \Sigma S D)$ at $s = \eta \cdot$ steps. (The flow: Ger and Barak
2026, arXiv:2605.04115, whose ten and twenty-one equations it contains; the rest is ours.)
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from slowpoint.core import system
from slowpoint.core.precision import float64, widen
from slowpoint.core.result import Result
from slowpoint.theory.congruence import descend_columns, GradientDescent, Gram, of_step, Rule
from slowpoint.theory.overlaps import check_overlaps, matrix, vector

# The loss of the overlaps; the key draws a batch or label noise, and may be ignored
Loss = Callable[[Float[Array, "column column"], PRNGKeyArray | None], Float[Array, ""]]
OPEN = ("adam", "adamw", "rmsprop", "sign", "signsgd", "adagrad", "lion")


class Direct(Rule):
    """Descent on the visible overlaps themselves, as if each were a weight: what not to do.

    The identity in place of the metric; the baseline of Ger and Barak (2026). Overlaps that
    the loss does not see stay, and the result may belong to no network.
    """

    def run(self, direction, first, rate, steps, every, key):
        def tick(gram, step):
            loss, gradient = direction(gram, of_step(key, step))  # off the diagonal twice: 2 S
            return gram - rate * gradient * (1 - jnp.eye(len(gram)) / 2), loss

        def stretch(gram, begin):
            gram, losses = jax.lax.scan(tick, gram, begin + jnp.arange(every))
            return gram, (losses, gram)

        last, (losses, path) = jax.lax.scan(stretch, first, every * jnp.arange(steps // every))
        final, _ = direction(last, of_step(key, steps))
        grams = jnp.concatenate([first[None], path])
        return jnp.append(losses.reshape(-1), final), grams, jnp.full_like(grams, jnp.nan)


class OverlapHistory(Result):
    """Overlaps while they learn. A leading axis where several were given."""

    losses: Float[np.ndarray, "*many step"]  # before each step, and after the last
    epochs: Int[np.ndarray, " record"]  # of the records below
    overlaps: Float[np.ndarray, "*many record column column"]  # Sigma
    factors: Float[np.ndarray, "*many record column column"]  # A, P_t = P_0 A; Direct: NaN

    @property
    def final(self) -> Float[np.ndarray, "*many column column"]:
        """Sigma after the last step."""
        return self.overlaps[..., -1, :, :]


def sensitivity(
    loss: Loss, sigma: Gram, key: PRNGKeyArray | None
) -> tuple[Float[Array, ""], Gram]:
    """`(loss, S)`: S is the symmetric part of the derivative with all entries independent."""
    value, slope = jax.value_and_grad(loss)(sigma, key)
    return value, (slope + slope.T) / 2


class _Direction(eqx.Module):
    """What `loss` wants of the columns: $P \\cdot 2 S$."""

    loss: Loss

    def __call__(self, gram, key):
        value, s = sensitivity(self.loss, gram, key)
        return value, 2 * s


def learn(
    loss: Loss,
    sigma: Float[np.ndarray | Array, "*many column column"],
    rule: Rule = GradientDescent(),
    *,
    eta: float,
    steps: int,
    every: int | None = None,
    key: PRNGKeyArray | None = None,
) -> OverlapHistory:
    r"""Follow the overlaps `sigma` through `steps` updates of `loss` at the rate `eta`.

    `rule` is a GradientDescent, HeavyBall, Nesterov or NormalisedDescent (its options: clip,
    decay, relative rates of the columns), a Flow (times eta * step), or Direct. A leading axis
    of `sigma` follows several at once. Records come each `every` steps (default: at the two
    ends). Computes in float64: build the constants of `loss` with NumPy. A loss that draws its
    batch or its label noise does so from its key, a new one each step. NaN is a value here.

    Raises ValueError when no network has these overlaps, on a rate, step count or rule that
    makes no sense, and on optimisers that do not close in overlaps.
    """
    every = max(steps, 1) if every is None else every
    _check(rule, eta, steps, every)
    check_overlaps(sigma)
    with float64():
        start = jnp.asarray(sigma, float)
        many = start.reshape(-1, *start.shape[-2:])
        keys = (
            None if key is None else jr.split(key, len(many)) if start.ndim > 2 else key[None]
        )
        found = _learn(
            widen(loss), many, widen(rule), jnp.asarray(eta, float), steps, every, keys
        )
        losses, grams, factors = (np.asarray(a) for a in found)
    shape = start.shape[:-2]
    epochs = every * np.arange(grams.shape[1])
    return OverlapHistory(
        losses.reshape(*shape, -1),
        epochs,
        grams.reshape(*shape, *grams.shape[1:]),
        factors.reshape(*shape, *factors.shape[1:]),
    )


def _check(rule, eta, steps, every):
    """Raise ValueError on what makes no sense."""
    if not isinstance(rule, Rule):
        name = rule if isinstance(rule, str) else type(rule).__name__
        if str(name).lower() in OPEN:
            raise ValueError(
                f"{name} is not closed in overlaps; train the LowRank cell instead: it divides "
                "each weight by a scale of its own, which no scalar product knows. Type "
                "slowpoint.train(network, task, ...)"
            )
        raise ValueError(
            f"rule={name!r}: give GradientDescent(), Flow(), HeavyBall(), Nesterov(), "
            "NormalisedDescent() or Direct(). An optimiser that treats each weight by itself "
            "is not closed in overlaps; train the LowRank cell instead."
        )
    if not eta > 0:
        raise ValueError(f"eta={eta}: give a rate above 0.")
    if steps < 0 or every < 1 or steps % every:
        raise ValueError(
            f"steps={steps}, every={every}: give 0 or more steps, a multiple of `every`."
        )


@eqx.filter_jit
def _learn(loss, many, rule, eta, steps, every, keys):
    """All at once: `(losses, grams, factors)`, the leading axis that of `many`."""
    direction = _Direction(loss)

    def one(sigma, key):
        return descend_columns(direction, sigma, rule, eta, steps, every, key)

    if len(many) == 1:  # a map of one costs twice as much
        key = None if keys is None else keys[0]
        return jax.tree.map(lambda a: a[None], one(many[0], key))
    return jax.vmap(one, (0, None if keys is None else 0))(many, keys)


class OverlapFlow(system.Flow):
    """Learning as a System: its state is the `vector` of overlaps, its velocity the flow.

    So plateaus, saddles and rates of learning are found like those of any network. Time is
    eta * steps. `loss` is exact: it is called without a key.
    """

    loss: Loss
    columns: int = eqx.field(static=True)  # K
    relative: Float[Array, " column"] | None = None  # rates of the columns; None: all 1
    dt: float = eqx.field(static=True, default=0.01)
    input_size: int = eqx.field(static=True, default=0, init=False)

    @property
    def state_size(self):
        return self.columns * (self.columns + 1) // 2

    @property
    def output_size(self):
        return self.state_size

    def velocity(self, x, u):
        sigma = matrix(x)
        _, s = sensitivity(self.loss, sigma, None)
        mixing = s if self.relative is None else s * self.relative[None]
        half = sigma @ mixing
        return vector(-2 * (half + half.T))

    def output(self, x):
        return x


def example(key: PRNGKeyArray) -> OverlapFlow:
    """Two columns whose product should be 1; nothing is drawn."""
    del key
    return OverlapFlow(lambda sigma, key: (sigma[0, 1] - 1.0) ** 2, 2)
