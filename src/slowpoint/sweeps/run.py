"""What is known of one run: its settings, and what came of them?"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any, Literal

Status = Literal["waiting", "done", "nan", "failed", "lost"]
FINISHED = ("done", "nan")  # the same settings would give the same again

# waiting: not run yet; nan: done, and a number is not one; failed: raised an error;
# lost: its process was killed


@dataclasses.dataclass(frozen=True)
class Run:
    """One row of a sweep. `settings` are what JSON can hold; `metrics` are numbers by name."""

    hash: str
    settings: dict[str, Any]
    status: Status = "waiting"
    metrics: dict[str, float] = dataclasses.field(default_factory=dict)
    verdicts: dict[str, str] = dataclasses.field(default_factory=dict)  # of those with a bar
    says: str = ""  # what went wrong
    seconds: float = 0.0  # of a group, its share
    versions: dict[str, str] = dataclasses.field(default_factory=dict)
    width: int = 1  # runs that are done in one call, as one ensemble; a rerun has the same

    @property
    def seed(self) -> int | None:
        """The seed among its settings."""
        return self.settings.get("seed")

    @property
    def path(self) -> str:
        """Its folder, from that of the sweep."""
        return f"runs/{self.hash}"

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        return self.status in FINISHED

    @property
    def broken(self) -> list[str]:
        """The metrics that fail their bar."""
        return [name for name, verdict in self.verdicts.items() if verdict == "fails"]


def waiting(settings: Mapping[str, Any]) -> Run:
    """A run to be done. Raises ValueError on settings that JSON cannot hold."""
    try:
        words = json.dumps(settings, sort_keys=True)
    except TypeError as error:
        raise ValueError(
            f"Settings {dict(settings)!r}: {error}. Give numbers, words, true or false, or "
            "lists of these, and build what is larger inside the function."
        ) from None
    return Run(
        hashlib.sha256(words.encode()).hexdigest()[:16], json.loads(json.dumps(settings))
    )


def to_json(numbers: Mapping[str, float]) -> str:
    """Numbers as JSON; what is not finite as a word, which strict readers want."""
    return json.dumps({k: v if math.isfinite(v) else str(v) for k, v in numbers.items()})


def from_json(text: str) -> dict[str, float]:
    """The numbers that `to_json` wrote."""
    return {k: float(v) for k, v in json.loads(text).items()}
