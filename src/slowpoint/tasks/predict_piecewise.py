"""Seen a point through a broken curve and told how far it will go: what is seen then?

Ratzon and Barak (2025), arXiv:2511.09290, piecewise-linear observations.
"""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.trial import Task, Trial, weighted_mse

EDGE = 1.01  # the pieces divide -EDGE to EDGE, the points lie between -1 and 1


class PredictPiecewise(Task):
    """f takes a place s in [-1, 1] to many numbers: on each of equal pieces slope s + bias,
    with jumps between them. A frame shows f(s) beside a step a; the target is f(s + a).

    A trial is one frame: one of the pairs (s, a) drawn before. The loss is squared.
    """

    slopes: Float[Array, "piece seen"]
    biases: Float[Array, "piece seen"]
    place: Float[Array, " pair"]  # s
    move: Float[Array, " pair"]  # a

    @classmethod
    def random(
        cls,
        reach: float,
        *,
        pairs: int = 1000,
        pieces: int = 4,
        width: int = 20,
        key: PRNGKeyArray,
    ) -> "PredictPiecewise":
        """s uniform, a of deviation `reach`; pairs that leave [-1, 1] are dropped.

        Slopes and biases are uniform in [-2, 2], as published. Raises ValueError when no pair
        can be drawn.
        """
        if not reach > 0 or min(pairs, pieces, width) < 1:
            raise ValueError(
                f"reach={reach}, pairs={pairs}, pieces={pieces}, width={width}: give a reach "
                "above 0, and 1 or more of the others."
            )
        slope, bias, start, act = jr.split(key, 4)
        place = jr.uniform(start, (pairs,), minval=-1, maxval=1)
        move = reach * jr.normal(act, (pairs,))
        stay = np.asarray(jnp.abs(place + move) <= 1)
        if not stay.any():
            raise ValueError(
                f"All {pairs} pairs leave [-1, 1] with steps of about {reach:g}: give more "
                "pairs or a shorter reach."
            )
        draw = lambda k: jr.uniform(k, (pieces, width), minval=-2, maxval=2)
        return cls(draw(slope), draw(bias), place[stay], move[stay])

    @property
    def input_size(self):
        return self.slopes.shape[1] + 1

    @property
    def output_size(self):
        return self.slopes.shape[1]

    def view(self, place: Float[Array, " pair"]) -> Float[Array, "pair seen"]:
        """f of each place."""
        pieces = len(self.slopes)
        number = jnp.floor((place + EDGE) / (2 * EDGE) * pieces).astype(int)
        piece = jnp.clip(number, 0, pieces - 1)
        return self.slopes[piece] * place[:, None] + self.biases[piece]

    def trial(self, key):
        pair = jr.randint(key, (1,), 0, len(self.place))
        return self._shown(self.place[pair], self.move[pair])

    def every(self) -> Trial:
        """Each pair once, a trial of one frame: the exact loss, with `GivenTrials`."""
        shown = lambda s, a: self._shown(s[None], a[None])
        return jax.vmap(shown)(self.place, self.move)

    def _shown(self, place, move) -> Trial:
        inputs = jnp.concatenate([self.view(place), move[:, None]], axis=1)
        return Trial(jnp.zeros(0), inputs, self.view(place + move), jnp.ones(len(place)))

    def loss(self, trial, trajectory):
        return weighted_mse(trial, trajectory)


def example(key: PRNGKeyArray) -> PredictPiecewise:
    """Three pieces seen as four numbers, twenty pairs."""
    return PredictPiecewise.random(0.2, pairs=20, pieces=3, width=4, key=key)
