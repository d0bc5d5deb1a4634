"""Answer each of many inputs with the pattern that belongs to it.

Kurikawa, Barak and Kaneko (2020), Phys. Rev. Research 2, 023307, arXiv:1906.11770.
"""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.trial import Task, Trial, weighted_mse

Patterns = Float[Array, "*_"] | Float[np.ndarray, "*_"]  # (map, unit), checked in words


class InputOutputMaps(Task):
    r"""Maps $\eta^\mu \mapsto \xi^\mu$ of patterns of $\pm 1$: an input held, a state to reach.

    A trial starts anywhere in [-1, 1]^N and shows the input of a random map for `steps` ticks;
    the last `counted` ticks count, by their mean square error.
    Raises ValueError on patterns that are not of +1 and -1, or of different shapes; warns of
    a target that stands twice or is its own input, for which no capacity is known.
    """

    targets: Patterns  # xi
    inputs: Patterns  # eta
    steps: int = eqx.field(static=True, default=1000)
    counted: int = eqx.field(static=True, default=300)

    def __check_init__(self):
        if not 1 <= self.counted <= self.steps:
            raise ValueError(f"counted={self.counted} of steps={self.steps}: give 1 to steps.")
        if any(isinstance(a, Tracer) for a in (self.targets, self.inputs)):
            return
        shape = self.targets.shape
        if shape != self.inputs.shape or len(shape) != 2:
            raise ValueError(
                f"targets have shape {shape}, inputs {self.inputs.shape}. Give both "
                "(map, unit)."
            )
        targets, inputs = np.asarray(self.targets), np.asarray(self.inputs)
        for name, patterns in (("targets", targets), ("inputs", inputs)):
            if not (np.abs(patterns) == 1).all():
                raise ValueError(
                    f"{name} hold numbers other than 1 and -1. Type numpy.sign(...)"
                )
        _warn_of_dependence(targets, inputs)

    @classmethod
    def random(
        cls, maps: int, units: int, *, key: PRNGKeyArray, **options
    ) -> "InputOutputMaps":
        """Independent patterns, each entry 1 or -1 with equal chance."""
        drawn = jr.rademacher(key, (2, maps, units), float)
        return cls(drawn[0], drawn[1], **options)

    @property
    def input_size(self):
        return self.targets.shape[1]

    @property
    def output_size(self):
        return self.targets.shape[1]

    def trial(self, key):
        choose, begin = jr.split(key)
        row = jr.randint(choose, (), 0, len(self.targets))
        shape = (self.steps, self.input_size)
        return Trial(
            jr.uniform(begin, (self.input_size,), minval=-1.0),
            jnp.broadcast_to(jnp.asarray(self.inputs)[row], shape),
            jnp.broadcast_to(jnp.asarray(self.targets)[row], shape),
            (jnp.arange(self.steps) >= self.steps - self.counted).astype(float),
        )

    def loss(self, trial, trajectory):
        return weighted_mse(trial, trajectory)


def _warn_of_dependence(targets: np.ndarray, inputs: np.ndarray) -> None:
    same = len(targets) - len(np.unique(targets, axis=0))
    own = int((targets == inputs).all(axis=1).sum())
    if same or own:
        warnings.warn(
            f"{same} targets stand there already and {own} are their own input: capacities are "
            "known for independent patterns only.",
            stacklevel=4,
        )


def example(key: PRNGKeyArray) -> InputOutputMaps:
    """Three maps of eight units."""
    chosen = jax.random.fold_in(key, 0)
    return InputOutputMaps.random(3, 8, key=chosen, steps=12, counted=4)
