"""Which network learns a Koopman eigenfunction? (Dabholkar and Barak 2025.)"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, PRNGKeyArray


class Affine(eqx.Module):
    """x -> W x + b."""

    weight: Float[Array, "*block to come"]
    bias: Float[Array, "*block to"]

    @classmethod
    def random(cls, come: int, to: int, key: PRNGKeyArray) -> "Affine":
        """Both uniform within 1 / sqrt(come)."""
        first, second = jr.split(key)
        reach = come**-0.5
        weight = jr.uniform(first, (to, come), minval=-reach, maxval=reach)
        return cls(weight, jr.uniform(second, (to,), minval=-reach, maxval=reach))

    def __call__(self, x: Float[Array, " come"]) -> Float[Array, " to"]:
        return x @ self.weight.T + self.bias


class KoopmanNet(eqx.Module):
    """Linear in, blocks h <- h + tanh(W h + b), linear out times 1 / sqrt(width).

    One state in, a scalar out, or (outputs,) when there are several. The state enters as
    (x - centre) * factor. Blocks run in one loop and are computed again when the gradient
    comes back, so that memory holds one state of each, not its insides.
    """

    enter: Affine
    blocks: Affine  # all of them: (block, width, width)
    leave: Affine
    centre: tuple[float, ...] | None = eqx.field(static=True, default=None)
    factor: float = eqx.field(static=True, default=1.0)

    @classmethod
    def random(
        cls,
        size: int,
        width: int,
        depth: int,
        *,
        outputs: int = 1,
        centre: tuple[float, ...] | None = None,
        factor: float = 1.0,
        key: PRNGKeyArray,
    ) -> "KoopmanNet":
        """`depth` blocks of `width` for states of `size` numbers."""
        if centre is not None and len(centre) != size:
            raise ValueError(f"centre has {len(centre)} numbers, a state has {size}.")
        first, middle, last = jr.split(key, 3)
        blocks = jax.vmap(lambda key: Affine.random(width, width, key))(jr.split(middle, depth))
        ends = Affine.random(size, width, first), Affine.random(width, outputs, last)
        return cls(ends[0], blocks, ends[1], centre, factor)

    def __call__(self, x: Float[Array, " state"]) -> Float[Array, "..."]:
        if self.centre is not None:
            x = x - jnp.asarray(self.centre, x.dtype)

        @jax.checkpoint
        def block(h, affine):
            return h + jnp.tanh(affine(h)), None

        h, _ = jax.lax.scan(block, self.enter(x * self.factor), self.blocks)
        out = self.leave(h) * len(h) ** -0.5
        return out[0] if len(out) == 1 else out
