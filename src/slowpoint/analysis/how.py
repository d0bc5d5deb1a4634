"""How is a separatrix found? What every way to do it promises."""

import abc
from typing import ClassVar

import equinox as eqx
from jaxtyping import PRNGKeyArray

from slowpoint.analysis.field import Field
from slowpoint.analysis.mountain_pass import Pass


class Made(eqx.Module):
    """A field, and the next candidate's loss over that of this one (NaN: there is no other)."""

    field: Field
    gap: float = float("nan")


class How(eqx.Module):
    """A method and its options."""

    draws: ClassVar[bool] = False  # whether it needs a key

    @abc.abstractmethod
    def make(self, around: Pass, key: PRNGKeyArray | None) -> Made:
        """The field for the saddle `around`, positive on the side of its attractor 1."""
