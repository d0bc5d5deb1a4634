"""A finding, stated so that a run can fail it: a number, a bar, a verdict."""

import json
import math
import os
import pathlib
from typing import Literal, SupportsFloat

import pydantic

from slowpoint.core.files import replacing

Relation = Literal[">=", "<=", "==", "is"]
Scale = Literal["quick", "full"]
Verdict = Literal["holds", "fails", "reported"]


class Claim(pydantic.BaseModel):
    """`says`, in one sentence; it holds when `value relation bar`.

    A claim whose bar belongs to the full scale is reported, not judged, in a quick run; one
    that only says what its number "is" has no bar, and is never judged.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")
    says: str
    value: float
    relation: Relation
    bar: float
    scale: Scale = "quick"

    def holds(self) -> bool:
        """Whether the number meets its bar. NaN meets none, and without a bar nothing does."""
        if math.isnan(self.value):
            return False
        if self.relation == ">=":
            return self.value >= self.bar
        if self.relation == "<=":
            return self.value <= self.bar
        return self.relation == "==" and self.value == self.bar

    def verdict(self, scale: Scale) -> Verdict:
        """What a run of `scale` may say of this claim."""
        if self.relation == "is" or (self.scale == "full" and scale == "quick"):
            return "reported"
        return "holds" if self.holds() else "fails"

    def line(self, scale: Scale) -> str:
        """One line for the terminal."""
        bar = f" ({self.relation} {self.bar:g})" if self.relation != "is" else ""
        measured = f"{self.value:.6g}{bar}"
        return f"{self.verdict(scale):8} {self.says}: {measured}"


def at_least(
    says: str, value: SupportsFloat, bar: SupportsFloat, scale: Scale = "quick"
) -> Claim:
    """A claim that `value >= bar`."""
    return Claim(says=says, value=float(value), relation=">=", bar=float(bar), scale=scale)


def at_most(
    says: str, value: SupportsFloat, bar: SupportsFloat, scale: Scale = "quick"
) -> Claim:
    """A claim that `value <= bar`."""
    return Claim(says=says, value=float(value), relation="<=", bar=float(bar), scale=scale)


def equal(says: str, value: SupportsFloat, bar: SupportsFloat, scale: Scale = "quick") -> Claim:
    """A claim that a count is exactly `bar`."""
    return Claim(says=says, value=float(value), relation="==", bar=float(bar), scale=scale)


def reported(says: str, value: SupportsFloat) -> Claim:
    """A number worth knowing that has no bar: nobody knows what it should keep to."""
    return Claim(says=says, value=float(value), relation="is", bar=float("nan"))


def save_claims(path: str | os.PathLike, claims: list[Claim], scale: Scale) -> None:
    """Write the claims and their verdicts as JSON."""
    rows = [c.model_dump(mode="json") | {"verdict": c.verdict(scale)} for c in claims]
    with replacing(path) as beside:
        beside.write_text(json.dumps(rows, indent=2) + "\n")


def load_claims(path: str | os.PathLike) -> list[dict]:
    """The rows that `save_claims` wrote."""
    return json.loads(pathlib.Path(path).read_text())
